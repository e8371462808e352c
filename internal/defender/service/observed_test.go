package service

import (
	"slices"
	"testing"
	"time"

	"github.com/device-defender/device-defender/internal/defender/report"
)

// A backlog of a trusted source is evaluated as it happened: not throttled though it
// comes at once, and with the events at the times of then. What a queue gives twice or
// in another order counts as nothing.
func TestBacklogIsEvaluatedAsItHappened(t *testing.T) {
	b := newBench(t, Options{})
	b.attach(profileOf("Traffic", atMost(100)))
	b.after(6 * time.Hour) // the source was not read
	send := func(minutes int, id int64, n int) {
		t.Helper()
		at := start.Add(time.Duration(minutes) * time.Minute)
		reply := b.ReportObserved(t.Context(), "thing-1", report.JSON, reportOf(id, packets(n)), at)
		if reply.Status != report.Accepted || reply.ReportID != id {
			t.Errorf("report %d of minute %d: %+v", id, minutes, reply)
		}
	}
	send(0, 1, 50)
	send(5, 2, 500)
	send(5, 2, 500) // twice
	send(10, 3, 50)
	b.restart()
	send(5, 2, 500) // again, and late
	send(15, 4, 600)
	send(12, 9, 50) // late
	send(20, 5, 50)
	b.wantHistory(
		"20m0s thing-1 PacketsOut alarm-cleared 50", "15m0s thing-1 PacketsOut in-alarm 600",
		"10m0s thing-1 PacketsOut alarm-cleared 50", "5m0s thing-1 PacketsOut in-alarm 500",
	)
	if state, found, err := b.Thing(t.Context(), "thing-1"); err != nil || !found || !state.LastReport.Equal(start.Add(20*time.Minute)) {
		t.Errorf("thing: %+v, %t, %v", state, found, err)
	}
}

func TestTimesObservedAreJudged(t *testing.T) {
	b := newBench(t, Options{})
	for _, step := range []struct {
		id       int64
		observed time.Duration // since the start, which is now
		want     string
		last     time.Duration
	}{
		{1, -20 * 24 * time.Hour, "", -1}, // before all that is kept: counts as nothing
		{2, -time.Hour, "", -time.Hour},   //
		{3, -time.Hour + 269*time.Second, "Throttled", -time.Hour},
		{3, -55 * time.Minute, "", -55 * time.Minute}, //
		{4, 24 * time.Hour, "", 0},                    // the source's clock is ahead: now
		{5, -time.Minute, "", 0},                      // late
	} {
		reply := b.ReportObserved(t.Context(), "a", report.JSON, reportOf(step.id, packets(1)), start.Add(step.observed))
		if reply.ErrorCode != step.want {
			t.Errorf("report %d: %+v, want code %q", step.id, reply, step.want)
		}
		state, found, err := b.Thing(t.Context(), "a")
		if err != nil || found != (step.last != -1) || found && !state.LastReport.Equal(start.Add(step.last)) {
			t.Errorf("after report %d: last %v (%t, %v), want %v", step.id, state.LastReport.Sub(start), found, err, step.last)
		}
	}
	// A report by the service's clock comes after those.
	b.after(5 * time.Minute)
	if reply := b.Report(t.Context(), "a", report.JSON, reportOf(6, packets(1))); reply.Status != report.Accepted {
		t.Errorf("%+v", reply)
	}
	// The clock was a day ahead, and is set right: what is observed from then on counts.
	b.after(-24 * time.Hour)
	if reply := b.ReportObserved(t.Context(), "a", report.JSON, reportOf(7, packets(1)), b.now()); reply.Status != report.Accepted {
		t.Errorf("%+v", reply)
	}
	if state, _, err := b.Thing(t.Context(), "a"); err != nil || !state.LastReport.Equal(b.now()) {
		t.Errorf("last %v, now %v, %v", state.LastReport, b.now(), err)
	}
}

// Whatever order a queue gives reports in, and however often, the thing's time goes on
// and no report is evaluated twice.
func TestDisorderOfAQueue(t *testing.T) {
	b := newBench(t, Options{})
	b.attach(profileOf("Ports", onlyPort(443)))
	b.after(time.Hour)
	for _, i := range []int{0, 2, 1, 2, 3, 0, 5, 4, 5, 6} {
		list := ports(443)
		if i == 3 {
			list = ports(443, 8080)
		}
		at := start.Add(time.Duration(i) * 5 * time.Minute)
		if reply := b.ReportObserved(t.Context(), "a", report.JSON, reportOf(int64(i+1), list), at); reply.Status != report.Accepted {
			t.Errorf("report %d: %+v", i, reply)
		}
	}
	want := []string{"25m0s a Ports alarm-cleared [443]", "15m0s a Ports in-alarm [443 8080]"}
	if got := b.history(); !slices.Equal(got, want) {
		t.Errorf("events %q, want %q", got, want)
	}
}
