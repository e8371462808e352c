package agent

import (
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

func TestSilence(t *testing.T) {
	var tr tracker
	var suspect []int64
	for id := int64(1); id <= 20; id++ {
		if tr.published(id) {
			suspect = append(suspect, id)
		}
		if id == 10 {
			tr.answer(report.Reply{Status: report.Accepted, ReportID: 10})
		}
	}
	// After three, six and nine without a reply, then three after the reply.
	want := []int64{4, 7, 10, 14, 17, 20}
	if len(suspect) != len(want) {
		t.Fatalf("suspect at %v, want %v", suspect, want)
	}
	for i := range want {
		if suspect[i] != want[i] {
			t.Errorf("suspect at %v, want %v", suspect, want)
		}
	}
	if len(tr.awaited) > maxAwaited {
		t.Errorf("%d ids kept", len(tr.awaited))
	}
}
