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
	awaited    []int64 // ids without a reply, oldest first
	pending    bool    // the latest report is out and has no reply
	unanswered int     // reports in a row without a reply
	accepted   int
	rejected   int
}

// sent notes that a report is about to be published, and whether a reply is
// to be expected.
func (t *tracker) sent(id int64, expectReply bool) {
	if t.pending {
		t.unanswered++
	}
	t.pending = expectReply
	if !expectReply {
		t.awaited, t.unanswered = nil, 0
		return
	}
	t.awaited = append(t.awaited, id)
	if len(t.awaited) > maxAwaited {
		t.awaited = slices.Delete(t.awaited, 0, 1)
	}
}

// unsent notes that the latest report never left, so that no reply will come.
func (t *tracker) unsent(id int64) {
	t.pending = false
	t.awaited = slices.DeleteFunc(t.awaited, func(a int64) bool { return a == id })
}

// silent reports whether it is time to suspect the subscriptions.
func (t *tracker) silent() bool { return t.unanswered > 0 && t.unanswered%silence == 0 }

// answer finds the report that a reply is about. A rejection carries no id, as
// the report could not be read; it is about the latest one.
func (t *tracker) answer(r report.Reply) (id int64, known bool) {
	t.pending, t.unanswered = false, 0
	id = r.ReportID
	if id == 0 && len(t.awaited) > 0 {
		id = t.awaited[len(t.awaited)-1]
	}
	i := slices.Index(t.awaited, id)
	if i >= 0 {
		t.awaited = slices.Delete(t.awaited, 0, i+1) // replies come in order
	}
	switch {
	case r.Status == report.Rejected:
		t.rejected++
	case i >= 0:
		t.accepted++
	}
	return id, i >= 0
}
