package service

import (
	"context"
	"slices"
	"time"

	"github.com/device-defender/device-defender/internal/defender/awsrest"
	"github.com/device-defender/device-defender/internal/defender/store"
)

// AuditEvent is an entry of the audit log.
type AuditEvent struct {
	Time       time.Time
	User       string // name of the access key, or who logged in; "" is not known
	KeyID      string // of the access key; not verified when there is no user
	From       string // address
	Operation  string
	Path       string
	Parameters string // as JSON, cut and without secrets
	Status     int
	Error      string // type of the error
	Omitted    int    // refused calls before it that were not kept
}

// AuditFilter chooses entries. The zero one takes all.
type AuditFilter struct {
	From, To        time.Time // both ends included
	User, Operation string
}

// AuditEvents returns the latest entries, up to most, and whether there are more.
func (s *Service) AuditEvents(ctx context.Context, f AuditFilter, most int) (list []AuditEvent, more bool, err error) {
	err = s.read(ctx, func(view *store.Reader) error {
		list, more = nil, false
		return walkAudit(view, f, "", func(_ string, e AuditEvent) bool {
			if more = len(list) == most; more {
				return false
			}
			list = append(list, e)
			return true
		})
	})
	return list, more, err
}

// walkAudit yields entries from the latest to the earliest, from the one before
// the key on.
func walkAudit(view *store.Reader, f AuditFilter, after string, yield func(key string, e AuditEvent) bool) error {
	days, err := tableAudit.Days(view)
	if err != nil {
		return err
	}
	span := store.Range{Reverse: true}
	if !f.From.IsZero() {
		span.From = store.TimeKey(f.From)
	}
	if !f.To.IsZero() {
		span.To = store.TimeKey(f.To.Add(time.Millisecond))
	}
	span = span.Resume(after)
	for _, day := range slices.Backward(days) {
		if span.To != "" && store.TimeKey(day.Time()) >= span.To || span.From != "" && store.TimeKey((day+1).Time()) <= span.From {
			continue
		}
		for entry, err := range tableAudit.Scan(view, day, span) {
			if err != nil {
				return err
			}
			v := &entry.Value
			if f.User != "" && v.User != f.User || f.Operation != "" && v.Operation != f.Operation {
				continue
			}
			at, _ := store.KeyTime(entry.Key)
			e := AuditEvent{at, v.User, v.KeyID, v.From, v.Operation, v.Path, v.Parameters, v.Status, v.Error, v.Omitted}
			if !yield(entry.Key, e) {
				return nil
			}
		}
	}
	return nil
}

// auditEvent is an entry in an answer.
type auditEvent struct {
	Time       awsrest.Epoch `json:"time"`
	User       string        `json:"userName,omitempty"`
	KeyID      string        `json:"accessKeyId,omitempty"`
	From       string        `json:"sourceAddress,omitempty"`
	Operation  string        `json:"operationName"`
	Path       string        `json:"path,omitempty"`
	Parameters string        `json:"parameters,omitempty"`
	Status     int           `json:"status"`
	Error      string        `json:"errorCode,omitempty"`
	Omitted    int           `json:"omitted,omitempty"`
}

func (s *Service) listAuditEvents(r *awsrest.Request) (any, error) {
	f := AuditFilter{User: r.Query("userName"), Operation: r.Query("operationName")}
	for name, into := range map[string]*time.Time{"startTime": &f.From, "endTime": &f.To} {
		if !r.Has(name) {
			continue
		}
		var err error
		if *into, err = r.QueryTime(name); err != nil {
			return nil, err
		}
	}
	return answerList(s, r, "auditEvents", func(view *store.Reader, after string, yield func(string, auditEvent) bool) error {
		return walkAudit(view, f, after, func(key string, e AuditEvent) bool {
			return yield(key, auditEvent{awsrest.Epoch(e.Time), e.User, e.KeyID, e.From, e.Operation, e.Path, e.Parameters, e.Status, e.Error, e.Omitted})
		})
	})
}
