package agent

import (
	"slices"

	"github.com/device-defender/device-defender/internal/defender/report"
)

const (
	// silence is how many reports in a row without a reply make the
	// subscriptions suspect: nucleus lite loses them without a word.
	silence = 3
	// maxAwaited bounds the ids kept for late replies.
	maxAwaited = 8
)

// tracker accounts for replies.
type tracker struct {
	awaited    []int64 // published and without a reply, oldest first
	unanswered int     // published in a row without any reply
	accepted   int
	rejected   int
}

// published notes a report to which a reply is to be expected. It reports
// whether those before it make the subscriptions suspect.
func (t *tracker) published(id int64) (suspect bool) {
	suspect = t.unanswered > 0 && t.unanswered%silence == 0
	t.unanswered++
	t.awaited = append(t.awaited, id)
	if len(t.awaited) > maxAwaited {
		t.awaited = slices.Delete(t.awaited, 0, 1)
	}
	return suspect
}

// forget stops waiting for replies.
func (t *tracker) forget() { t.awaited, t.unanswered = nil, 0 }

// answer finds the report that a reply is about. A rejection carries no id, as
// the report could not be read; it is about the latest one.
func (t *tracker) answer(r report.Reply) (id int64, known bool) {
	t.unanswered = 0
	id = r.ReportID
	if id == 0 && len(t.awaited) > 0 {
		id = t.awaited[len(t.awaited)-1]
	}
	i := slices.Index(t.awaited, id)
	if known = i >= 0; !known {
		return id, false
	}
	t.awaited = slices.Delete(t.awaited, 0, i+1) // replies come in order
	if r.Status == report.Accepted {
		t.accepted++
	} else {
		t.rejected++
	}
	return id, true
}
