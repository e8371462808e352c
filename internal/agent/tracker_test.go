package agent

import (
	"slices"
	"testing"

	"github.com/device-defender/device-defender/internal/defender/report"
)

func TestRepliesAreMatched(t *testing.T) {
	accepted := func(id int64) report.Reply { return report.Reply{Status: report.Accepted, ReportID: id} }
	rejected := report.Reply{Status: report.Rejected}
	tests := []struct {
		name      string
		published []int64
		reply     report.Reply
		id        int64
		known     bool
		left      int
	}{
		{"accepted", []int64{7}, accepted(7), 7, true, 0},
		{"an earlier one", []int64{7, 8}, accepted(7), 7, true, 1},
		{"a later one answers for those before", []int64{7, 8}, accepted(8), 8, true, 0},
		{"somebody else's", []int64{7}, accepted(6), 6, false, 1},
		{"rejected, without an id", []int64{7, 8}, rejected, 8, true, 0},
		{"rejected, with nothing published", nil, rejected, 0, false, 0},
	}
	for _, test := range tests {
		var tr tracker
		for _, id := range test.published {
			tr.published(id)
		}
		id, known := tr.answer(test.reply)
		if id != test.id || known != test.known || len(tr.awaited) != test.left {
			t.Errorf("%s: id %d, known %v, %d left; want %d, %v, %d", test.name, id, known, len(tr.awaited), test.id, test.known, test.left)
		}
	}
}

// The first missing reply makes the subscriptions suspect, later ones ever less
// often.
func TestSilence(t *testing.T) {
	var tr tracker
	var suspect []int
	for n := range 20 {
		if tr.suspect() {
			suspect = append(suspect, n)
		}
		tr.published(int64(n))
		if n == 9 {
			tr.answer(report.Reply{Status: report.Accepted, ReportID: 9})
		}
	}
	if want := []int{1, 2, 4, 8, 11, 12, 14, 18}; !slices.Equal(suspect, want) {
		t.Errorf("suspect before reports %v, want %v", suspect, want)
	}
	if len(tr.awaited) > maxAwaited {
		t.Errorf("%d ids kept", len(tr.awaited))
	}
}

// A series of surplus replies is news once, until an interval passes without.
func TestSurplusRepliesAreSaidOnce(t *testing.T) {
	var tr tracker
	news := 0
	for _, strays := range []int{4, 1, 30, 0, 2} {
		for range strays {
			if tr.surplus() {
				news++
			}
		}
		tr.sampled()
	}
	if news != 2 {
		t.Errorf("said %d times, want once for each series", news)
	}
}
