package agent

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/device-defender/device-defender/internal/defender/report"
	"github.com/device-defender/device-defender/internal/greengrass"
)

// once checks that no report has arrived twice, and none that was not current.
func (b *bench) once() {
	b.t.Helper()
	copies := make(map[int64]int)
	for _, r := range b.reports() { // checks that ids rise
		copies[r.ID]++
	}
	for id, n := range copies {
		if n > 1 {
			b.t.Errorf("report %d arrived %d times", id, n)
		}
	}
}

// A nucleus that stands still over a sample gets the report once, however long
// it takes (runs of Java 2.18 and lite 2.6.0 under SIGSTOP: what lies in the
// socket is published later, each attempt).
func TestStallMakesNoCopies(t *testing.T) {
	for _, stall := range []time.Duration{5 * time.Second, 40 * time.Second, 3 * time.Minute, 20 * time.Minute} {
		t.Run(stall.String(), func(t *testing.T) {
			bothNuclei(t, func(t *testing.T, nucleus greengrass.Nucleus) {
				b := newBench(t, nucleus, nil)
				b.run()
				b.after(10*time.Minute - 10*time.Second)
				due := b.reports()[1].at + 5*time.Minute
				b.after(due - time.Since(b.start) - time.Second)
				b.core.Stall(stall)
				b.after(stall + time.Minute)
				b.once()
				b.after(time.Hour)
				b.once()
				reports := b.reports()
				last := reports[len(reports)-1]
				if age := time.Since(b.start) - last.at; age > 5*time.Minute {
					t.Errorf("no report for %v", age)
				}
				if n := b.count(report.Accepted); n < 12 {
					t.Errorf("%d accepted, want an hour's and more", n)
				}
			})
		})
	}
}

// Nothing is left behind by an outage: an offline nucleus refuses, and what
// arrives later is current.
func TestNothingStaleAfterAnOutage(t *testing.T) {
	bothNuclei(t, func(t *testing.T, nucleus greengrass.Nucleus) {
		b := newBench(t, nucleus, nil)
		b.run()
		b.after(time.Minute)
		for _, outage := range []time.Duration{time.Minute, 11 * time.Minute, 3 * time.Hour} {
			b.core.SetOnline(false)
			b.after(outage)
			before := len(b.reports())
			b.core.SetOnline(true)
			b.after(5 * time.Minute)
			for _, r := range b.reports()[before:] {
				if age := b.start.Add(r.at).Sub(time.Unix(r.ID, 0)); age > 5*time.Minute {
					t.Errorf("outage of %v: a report arrived %v after its sample", outage, age)
				}
			}
			if n := len(b.reports()) - before; n < 1 || n > 2 {
				t.Errorf("outage of %v: %d reports in the five minutes after, want 1 or 2", outage, n)
			}
		}
		b.once()
		if got, want := len(b.logged("report accepted")), len(b.reports()); got != want {
			t.Errorf("%d replies seen of %d reports", got, want)
		}
	})
}

// The attempts of a report are spread over its interval, as a nucleus takes a
// while to connect again: by chance none is so early that there is none left at
// 85 % of it.
func TestAttemptsAreSpread(t *testing.T) {
	bothNuclei(t, func(t *testing.T, nucleus greengrass.Nucleus) {
		b := newBench(t, nucleus, nil)
		b.run()
		b.after(4*time.Minute + 50*time.Second)
		b.core.SetOnline(false)
		phase := newSchedule("thing", 5*time.Minute, 0).phase
		due := 5*time.Minute + time.Duration(phase*float64(30*time.Second)) // of the second report
		b.after(due + 255*time.Second - time.Since(b.start))
		b.core.SetOnline(true)
		b.after(40 * time.Second)
		if n := len(b.reports()); n != 2 {
			t.Fatalf("%d reports, want the second one late", n)
		}
		if len(b.logged("report published", "attempts=1 ")) > 1 || len(b.logged("report dropped")) > 0 {
			t.Errorf("log:\n%s", b.log.String())
		}
		if got := len(b.logged("report accepted")); got != 2 {
			t.Errorf("%d replies seen, want 2", got)
		}
	})
}

// The first report after a start without a network has its reply: the
// subscriptions come first.
func TestReplyToTheFirstReportAfterAnOutage(t *testing.T) {
	bothNuclei(t, func(t *testing.T, nucleus greengrass.Nucleus) {
		b := newBench(t, nucleus, nil)
		b.core.SetOnline(false)
		b.run()
		b.after(17 * time.Minute)
		b.core.SetOnline(true)
		b.after(time.Hour)
		if got, want := len(b.logged("report accepted")), len(b.reports()); got != want || want < 12 {
			t.Errorf("%d replies seen of %d reports", got, want)
		}
	})
}

// An access control that does not allow what is needed costs one attempt per
// report, and its repair is noticed at once.
func TestAccessControlIsRepaired(t *testing.T) {
	bothNuclei(t, func(t *testing.T, nucleus greengrass.Nucleus) {
		none := map[string]any{"operations": []any{}, "resources": []any{}}
		publish := map[string]any{"operations": []any{"aws.greengrass#PublishToIoTCore"}, "resources": []any{"*"}}
		subscribe := map[string]any{"operations": []any{"aws.greengrass#SubscribeToIoTCore"}, "resources": []any{"*"}}
		access := func(publish, subscribe map[string]any) map[string]any {
			return map[string]any{"accessControl": map[string]any{"aws.greengrass.ipc.mqttproxy": map[string]any{
				"community.greengrass.DeviceDefender:mqttproxy:1": publish, "community.greengrass.DeviceDefender:mqttproxy:2": subscribe,
			}}}
		}
		b := newBench(t, nucleus, access(none, none))
		b.run()
		b.after(22 * time.Minute)
		if n := len(b.logged("report dropped", "UnauthorizedError", "attempts=1 ")); n != 5 {
			t.Errorf("%d reports dropped after one attempt, want 5; log:\n%s", n, b.log.String())
		}
		if n := len(b.logged("level=ERROR", "accessControl")); n != 2 {
			t.Errorf("access control blamed %d times, want once for each topic", n)
		}
		b.deploy(access(publish, none))
		b.after(5 * time.Minute)
		b.deploy(access(publish, subscribe))
		b.after(5 * time.Second)
		if n := len(b.logged("msg=subscribed", "/accepted")); n != 1 {
			t.Errorf("%d subscriptions within five seconds of the repair, want 1", n)
		}
		before := len(b.reports())
		b.after(time.Hour)
		if got, want := len(b.logged("report accepted")), len(b.reports())-before; got != want {
			t.Errorf("%d replies seen of %d reports", got, want)
		}
	})
}

// While its configuration daemon is down, nucleus lite takes everything for not
// authorized. That is over in seconds, and not the access control's fault.
func TestConfigurationDaemonRestarts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, greengrass.Lite, nil)
		b.run()
		b.after(time.Minute)
		b.core.SetConfigDaemon(false)
		b.core.CloseConnections() // makes the subscriptions again
		b.after(20 * time.Second)
		b.core.SetConfigDaemon(true)
		b.after(30 * time.Second)
		if n := len(b.logged("msg=subscribed", "/accepted")); n != 2 {
			t.Errorf("%d subscriptions, want another one within half a minute", n)
		}
		if n := len(b.logged("accessControl")); n != 0 {
			t.Errorf("access control blamed %d times", n)
		}
		b.after(time.Hour)
		if got, want := len(b.logged("report accepted")), len(b.reports()); got != want {
			t.Errorf("%d replies seen of %d reports", got, want)
		}
	})
}

// An open connection on which nothing arrives any more is replaced.
func TestSilentConnectionIsReplaced(t *testing.T) {
	bothNuclei(t, func(t *testing.T, nucleus greengrass.Nucleus) {
		b := newBench(t, nucleus, nil)
		b.run()
		b.after(time.Minute)
		b.core.Silence()
		b.after(2 * time.Hour)
		b.once()
		if n := len(b.reports()); n < 24 {
			t.Errorf("%d reports in two hours, want 24 or more", n)
		}
		if got := len(b.logged("report accepted")); got < 23 {
			t.Errorf("%d replies seen, want all but the one of the silence", got)
		}
		if n := len(b.logged("level=WARN", "no connection to the nucleus", "the server does not answer any more")); n != 1 {
			t.Errorf("said %d times, want once", n)
		}
	})
}

// Only a reply to the current report slows reporting down, by one step. Those
// without an id, to other reports, and copies of them do nothing, and are said
// once.
func TestSurplusRepliesDoNotSlowDown(t *testing.T) {
	reply := func(id int64) report.Reply {
		return report.Reply{ThingName: "thing", ReportID: id, Status: report.Rejected, ErrorCode: "Throttled", ErrorMessage: "too many"}
	}
	accepted := func(id int64) report.Reply {
		return report.Reply{ThingName: "thing", ReportID: id, Status: report.Accepted}
	}
	tests := []struct {
		name    string
		replies func(id int64) []report.Reply
		period  time.Duration // after the second report
	}{
		{"accepted, then throttled as if there were copies", func(id int64) []report.Reply {
			return []report.Reply{accepted(id), reply(id), reply(id), reply(0), reply(0)}
		}, 5 * time.Minute},
		{"throttled without an id", func(int64) []report.Reply { return []report.Reply{reply(0), reply(0), reply(0)} }, 5 * time.Minute},
		{"an earlier report is throttled", func(id int64) []report.Reply { return []report.Reply{reply(id - 300), accepted(id)} }, 5 * time.Minute},
		{"throttled, many times", func(id int64) []report.Reply { return []report.Reply{reply(id), reply(id), reply(id), reply(0)} }, 20 * time.Minute},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBench(t, greengrass.Java, nil)
				b.answerWith(test.replies)
				b.run()
				b.after(45 * time.Minute)
				reports := b.reports()
				if gap := reports[2].at - reports[1].at; gap != test.period {
					t.Errorf("third report %v after the second, want %v", gap, test.period)
				}
				if n := len(b.logged("level=WARN", "no report that waits")); n > 1 {
					t.Errorf("surplus replies said %d times, want once", n)
				}
			})
		})
	}
}

// A topic of one's own may want every report, also those of an outage.
func TestReportTopicWithHistory(t *testing.T) {
	for qos, want := range map[int]int{0: 14, 1: 26} {
		t.Run(fmt.Sprint("QoS ", qos), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBench(t, greengrass.Java, map[string]any{
					"ReportTopic": "reports/{thing}", "ReportQoS": qos,
					"accessControl": map[string]any{"aws.greengrass.ipc.mqttproxy": map[string]any{"p": map[string]any{
						"operations": []any{"aws.greengrass#PublishToIoTCore"}, "resources": []any{"reports/*"},
					}}},
				})
				b.run()
				b.after(time.Minute)
				b.core.SetOnline(false)
				b.after(time.Hour)
				b.core.SetOnline(true)
				b.after(time.Hour + time.Minute)
				if n := len(b.reports()); n < want-1 || n > want+1 {
					t.Errorf("%d reports in two hours with an outage of one, want about %d", n, want)
				}
			})
		})
	}
}
