package agent

import (
	"slices"

	"github.com/device-defender/device-defender/internal/defender/report"
)

// maxAwaited bounds the ids kept for late replies.
const maxAwaited = 8

// tracker accounts for replies.
type tracker struct {
	awaited    []int64 // published, or perhaps, and without a reply, oldest first
	unanswered int     // published in a row without any reply
	accepted   int
	rejected   int
	strays     int  // replies to no report that waits for one, since the last sample
	straySaid  bool // a series of them is under way and was logged
}

// published notes a report to which a reply is to be expected.
func (t *tracker) published(id int64) {
	t.unanswered++
	t.await(id)
}

// await notes a report that may have been published.
func (t *tracker) await(id int64) {
	t.awaited = append(t.awaited, id)
	if len(t.awaited) > maxAwaited {
		t.awaited = slices.Delete(t.awaited, 0, 1)
	}
}

// suspect reports whether a missing reply makes the subscriptions suspect:
// nucleus lite loses them without a word when its MQTT daemon restarts. While
// replies stay away it says so ever less often.
func (t *tracker) suspect() bool { return t.unanswered > 0 && t.unanswered&(t.unanswered-1) == 0 }

// surplus notes a reply that no report waits for. It reports whether that is
// news.
func (t *tracker) surplus() (news bool) {
	t.strays++
	news = !t.straySaid
	t.straySaid = true
	return news
}

// sampled notes a sample. One without a stray reply before it ends their series.
func (t *tracker) sampled() {
	t.straySaid = t.strays > 0
	t.strays = 0
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
