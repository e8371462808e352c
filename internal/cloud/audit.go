package cloud

import (
	"context"
	"net/http"
	"net/url"
	"time"
)

// AuditEvent is an entry of the audit log of a service of ours.
type AuditEvent struct {
	Time       time.Time
	User       string // "" is somebody who is not known
	KeyID      string // of the access key; not verified when there is no user
	From       string // address
	Operation  string
	Path       string
	Parameters string
	Status     int
	Error      string
	Omitted    int // refused calls before it that were not kept
}

// AuditFilter chooses entries of the audit log. Empty members match everything.
type AuditFilter struct {
	From, To        time.Time
	User, Operation string
}

// auditEvent is an AuditEvent as the service has it.
type auditEvent struct {
	Time       float64 `json:"time"` // seconds since 1970
	User       string  `json:"userName"`
	KeyID      string  `json:"accessKeyId"`
	From       string  `json:"sourceAddress"`
	Operation  string  `json:"operationName"`
	Path       string  `json:"path"`
	Parameters string  `json:"parameters"`
	Status     int     `json:"status"`
	Error      string  `json:"errorCode"`
	Omitted    int     `json:"omitted"`
}

// AuditEvents returns the latest entries of the audit log, up to most, and whether
// there are more.
func (c *Client) AuditEvents(ctx context.Context, f AuditFilter, most int) (list []AuditEvent, more bool, err error) {
	query := url.Values{"maxResults": {"250"}}
	for name, value := range map[string]string{"userName": f.User, "operationName": f.Operation} {
		if value != "" {
			query.Set(name, value)
		}
	}
	for name, at := range map[string]time.Time{"startTime": f.From, "endTime": f.To} {
		if !at.IsZero() {
			query.Set(name, at.UTC().Format(time.RFC3339Nano))
		}
	}
	for token := ""; ; {
		if token != "" {
			query.Set("nextToken", token)
		}
		var page struct {
			Events []auditEvent `json:"auditEvents"`
			Next   string       `json:"nextToken"`
		}
		if err := c.ask(ctx, http.MethodGet, "/audit?"+query.Encode(), nil, &page); err != nil {
			return nil, false, c.failed("read the audit log", err)
		}
		for _, e := range page.Events {
			if len(list) == most {
				return list, true, nil
			}
			at := time.UnixMilli(int64(e.Time*1000 + 0.5))
			list = append(list, AuditEvent{at, e.User, e.KeyID, e.From, e.Operation, e.Path, e.Parameters, e.Status, e.Error, e.Omitted})
		}
		if page.Next == "" || page.Next == token {
			return list, false, nil
		}
		token = page.Next
	}
}
