package agent

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/device-defender/device-defender/internal/defender/report"
	"github.com/device-defender/device-defender/internal/greengrass"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// One report at once, then one every interval for a day, each accepted. AWS's
// component stops after two reports on Python 3.12.
func TestReportsForADay(t *testing.T) {
	bothNuclei(t, func(t *testing.T, nucleus greengrass.Nucleus) {
		b := newBench(t, nucleus, nil)
		b.run()
		b.after(24 * time.Hour)
		reports := b.reports()
		if n := len(reports); n != 288 {
			t.Fatalf("%d reports in a day, want 288", n)
		}
		if at := reports[0].at; at > 5*time.Second {
			t.Errorf("first report after %v, want at once", at)
		}
		for i := 2; i < len(reports); i++ {
			if gap := reports[i].at - reports[i-1].at; gap != 300*time.Second {
				t.Fatalf("reports %d and %d are %v apart, want 5m: the schedule drifts", i-1, i, gap)
			}
		}
		spaced(t, reports)
		if n := b.count(report.Accepted); n != 288 {
			t.Errorf("%d accepted, want all 288", n)
		}
		if got := len(b.logged("report accepted")); got != 288 {
			t.Errorf("%d replies logged, want 288", got)
		}
		if got, want := reports[0].topic, "$aws/things/thing/defender/metrics/json"; got != want {
			t.Errorf("topic %s, want %s", got, want)
		}
	})
}

// The first report has no counters, each later one has those of its own
// interval. AWS's component begins with the counters since boot.
func TestNetworkStatsCoverOneInterval(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, greengrass.Java, nil)
		b.traffic(1_000_000, 1000)
		b.run()
		b.after(time.Minute)
		b.traffic(1_000_500, 1004)
		b.after(5 * time.Minute)
		b.traffic(1_000_700, 1005)
		b.after(5 * time.Minute)
		reports := b.reports()
		if len(reports) != 3 {
			t.Fatalf("%d reports, want 3", len(reports))
		}
		if s := reports[0].Metrics.NetworkStats; s != nil {
			t.Errorf("first report has network_stats: %d bytes in", *s.BytesIn)
		}
		for i, want := range []uint64{500, 200} {
			if s := reports[i+1].Metrics.NetworkStats; s == nil || *s.BytesIn != want {
				t.Errorf("report %d: network_stats %+v, want %d bytes in", i+2, s, want)
			}
		}
	})
}

// After an outage longer than all retries reporting goes on, with current data
// only: nothing old arrives in a burst. AWS's component never reports again.
func TestOutageLongerThanAllRetries(t *testing.T) {
	bothNuclei(t, func(t *testing.T, nucleus greengrass.Nucleus) {
		b := newBench(t, nucleus, nil)
		b.run()
		b.after(time.Minute)
		b.core.SetOnline(false)
		b.after(6 * time.Hour)
		before := len(b.reports())
		b.core.SetOnline(true)
		b.after(time.Second)
		if burst := len(b.reports()) - before; burst > 1 {
			t.Errorf("%d reports at once after the outage", burst)
		}
		b.after(time.Hour)
		// Twelve intervals; the first after the outage may still be a retry.
		if n := len(b.reports()) - before; n < 11 || n > 13 {
			t.Errorf("%d reports in the hour after the outage, want about 12", n)
		}
		if nucleus == greengrass.Lite {
			lost := b.logged("report dropped", "report_id=", "connections=10", "bytes_in=")
			if len(lost) < 70 {
				t.Errorf("%d dropped reports logged with their figures, want about 72", len(lost))
			}
		}
	})
}

// A core that is offline at boot is no reason to end. AWS's component exits.
func TestOfflineAtBoot(t *testing.T) {
	bothNuclei(t, func(t *testing.T, nucleus greengrass.Nucleus) {
		b := newBench(t, nucleus, nil)
		b.core.SetOnline(false)
		b.run()
		b.after(time.Hour)
		select {
		case err := <-b.ended:
			t.Fatalf("ended while offline: %v", err)
		default:
		}
		b.core.SetOnline(true)
		b.after(time.Hour)
		// What the Java nucleus had in its spooler may make the next report
		// come too soon, and so the one after that late.
		if n := b.count(report.Accepted); n < 10 {
			t.Errorf("%d reports accepted in the hour after, want about 12", n)
		}
		if got := len(b.logged("report accepted")); got < 10 {
			t.Errorf("%d replies seen: the subscriptions did not come to life", got)
		}
	})
}

// A rejection is an ERROR line with code and message. AWS's component does not
// log it.
func TestRejectedReportIsAnError(t *testing.T) {
	bothNuclei(t, func(t *testing.T, nucleus greengrass.Nucleus) {
		b := newBench(t, nucleus, nil)
		b.core.RejectReports("InvalidPayload", "Malformed metrics report")
		b.run()
		b.after(time.Minute)
		id := fmt.Sprintf("report_id=%d", b.reports()[0].ID)
		if lines := b.logged("level=ERROR", "report rejected", "code=InvalidPayload", `message="Malformed metrics report"`, id); len(lines) != 1 {
			t.Errorf("%d ERROR lines, want 1; log:\n%s", len(lines), b.log.String())
		}
	})
}

// Configuration changes during a failing publish neither block the agent, nor
// start a second chain of reports, nor bring a report early. AWS's component
// holds a lock while it publishes, so the second change stops it; a change
// during a retry makes it report twice per interval from then on; and each
// change makes it report at once.
func TestUpdatesDuringAFailingPublish(t *testing.T) {
	bothNuclei(t, func(t *testing.T, nucleus greengrass.Nucleus) {
		b := newBench(t, nucleus, nil)
		b.run()
		b.after(time.Minute)
		b.core.SetOnline(false)
		b.after(5 * time.Minute) // a sample is being retried now
		for i := range 5 {
			b.deploy(map[string]any{"SampleIntervalSeconds": 600 - i%2, "MaxListItems": 10 + i})
			b.after(2 * time.Second)
		}
		b.deploy(map[string]any{"SampleIntervalSeconds": 600})
		b.after(10 * time.Minute)
		b.core.SetOnline(true)
		before := len(b.reports())
		b.after(5 * time.Hour)
		reports := b.reports()
		spaced(t, reports[1:])
		if n := len(reports) - before; n < 30 || n > 31 {
			t.Errorf("%d reports in 5 hours at 600 s, want 30", n)
		}
	})
}

// A thousand updates change the configuration and nothing else. AWS's component
// calls itself once for each, and ends after about 980.
func TestThousandUpdates(t *testing.T) {
	bothNuclei(t, func(t *testing.T, nucleus greengrass.Nucleus) {
		b := newBench(t, nucleus, nil)
		b.run()
		b.after(time.Minute)
		for i := range 1000 {
			b.deploy(map[string]any{"MaxListItems": 2 + i%7})
			b.after(50 * time.Millisecond)
		}
		b.deploy(map[string]any{"MaxListItems": 1})
		b.after(time.Hour)
		reports := b.reports()
		spaced(t, reports)
		if n := len(reports); n < 12 || n > 13 {
			t.Errorf("%d reports in 62 minutes, want 12 or 13", n)
		}
		if n := len(reports[len(reports)-1].Metrics.ListeningTCPPorts.Ports); n != 1 {
			t.Errorf("%d ports listed, want the configured 1", n)
		}
	})
}

// Every key changes live.
func TestFormatChangesLive(t *testing.T) {
	bothNuclei(t, func(t *testing.T, nucleus greengrass.Nucleus) {
		b := newBench(t, nucleus, nil)
		b.run()
		b.after(time.Minute)
		b.deploy(map[string]any{"ReportFormat": "cbor", "ReportNames": "short"})
		b.after(10 * time.Minute)
		reports := b.reports()
		if got, want := reports[len(reports)-1].topic, "$aws/things/thing/defender/metrics/cbor"; got != want {
			t.Errorf("topic %s, want %s", got, want)
		}
		if got, want := len(b.logged("report accepted")), len(reports); got != want {
			t.Errorf("%d replies for %d reports", got, want)
		}
	})
}

// Where it is switched on, the Java nucleus asks before it applies a
// configuration: also whether the host can be read with it.
func TestProposedConfiguration(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, greengrass.Java, map[string]any{"ValidateDeployments": true})
		b.run()
		b.after(time.Minute)
		for _, test := range []struct {
			merge map[string]any
			want  string
		}{
			{map[string]any{"SampleIntervalSeconds": 5}, "SampleIntervalSeconds: 5, want 300 to 86400 seconds"},
			{map[string]any{"ProcPath": "/nonexistent"}, `ProcPath: "/nonexistent"`},
		} {
			if err := b.core.Deploy(context.Background(), b.component.Name(), test.merge); err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("deployment of %v: %v, want a refusal that says what is right", test.merge, err)
			}
		}
		if err := b.core.Deploy(context.Background(), b.component.Name(), map[string]any{"SampleIntervalSeconds": 900, "Typo": 1}); err != nil {
			t.Errorf("deployment of a good interval: %v", err)
		}
		b.after(time.Minute)
		if len(b.logged("configuration read", "interval=15m0s")) != 1 {
			t.Errorf("the new interval was not applied; log:\n%s", b.log.String())
		}
	})
}

// By default it is not asked: a nucleus that asks one component waits for the
// verdicts of all that change, and refuses the deployment for want of them.
func TestDeploymentsOfOthersAreNotDisturbed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, greengrass.Java, nil)
		b.run()
		b.after(time.Minute)
		begin := time.Now()
		b.deploy(map[string]any{"SampleIntervalSeconds": 5})
		if d := time.Since(begin); d > time.Second {
			t.Errorf("deployment took %v: the nucleus waits for a verdict", d)
		}
		b.after(time.Minute)
		// It can be switched on, and off again, while the component runs.
		b.deploy(map[string]any{"SampleIntervalSeconds": 600, "ValidateDeployments": true})
		b.after(time.Minute)
		if err := b.core.Deploy(context.Background(), b.component.Name(), map[string]any{"SampleIntervalSeconds": 5}); err == nil {
			t.Error("wrong interval not refused")
		}
		b.deploy(map[string]any{"ValidateDeployments": false})
		b.after(time.Minute)
		b.deploy(map[string]any{"SampleIntervalSeconds": 5})
	})
}

// Nucleus lite does not ask: a wrong value keeps the last good one, with one
// warning.
func TestWrongConfigurationKeepsTheLast(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, greengrass.Lite, nil)
		b.run()
		b.after(time.Minute)
		b.deploy(map[string]any{"SampleIntervalSeconds": 600})
		b.after(time.Minute)
		b.deploy(map[string]any{"SampleIntervalSeconds": 5})
		b.after(2 * time.Hour)
		reports := b.reports()
		if gap := reports[len(reports)-1].at - reports[len(reports)-2].at; gap != 10*time.Minute {
			t.Errorf("reports are %v apart, want the last good 10m", gap)
		}
		if n := len(b.logged("level=WARN", "key=SampleIntervalSeconds", "value=5", "300 to 86400 seconds")); n != 1 {
			t.Errorf("%d warnings, want 1", n)
		}
	})
}

// What no event told is found by reading again: nucleus lite does not notify
// of a key that is removed, and loses subscriptions silently.
func TestConfigurationIsReadAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, greengrass.Lite, nil)
		b.run()
		b.after(time.Minute)
		b.core.DropSubscriptions()
		b.deploy(map[string]any{"MaxListItems": 1})
		b.after(15 * time.Minute)
		reports := b.reports()
		if n := len(reports[len(reports)-1].Metrics.ListeningTCPPorts.Ports); n != 1 {
			t.Errorf("%d ports listed, want the configured 1", n)
		}
	})
}

// Subscriptions that die without a word are renewed after the first report
// without a reply, before the next one leaves.
func TestSilentSubscriptionDeath(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, greengrass.Lite, nil)
		b.run()
		b.after(time.Minute)
		b.core.DropSubscriptions()
		b.after(time.Hour)
		if n := len(b.logged("renewing the subscriptions")); n != 1 {
			t.Errorf("subscriptions renewed %d times, want once", n)
		}
		if got, want := len(b.logged("report accepted")), len(b.reports())-1; got != want {
			t.Errorf("%d replies seen, want %d: all but one", got, want)
		}
	})
}

// The IPC socket going away is an interruption, not an end.
func TestIPCRestart(t *testing.T) {
	bothNuclei(t, func(t *testing.T, nucleus greengrass.Nucleus) {
		b := newBench(t, nucleus, nil)
		b.run()
		for range 10 {
			b.after(time.Minute)
			b.core.CloseConnections()
		}
		b.after(time.Hour)
		reports := b.reports()
		spaced(t, reports)
		if n := len(reports); n < 14 {
			t.Errorf("%d reports in 70 minutes, want 14", n)
		}
		if got := len(b.logged("report accepted")); got < 12 {
			t.Errorf("%d replies seen: subscriptions were not restored", got)
		}
	})
}

// A nucleus that has forgotten the token and gives no other is tried for
// minutes, then the process ends for a restart with a new one. It does so once
// an hour: nucleus lite starts a component three times and then no more.
func TestTokenRefusedForGood(t *testing.T) {
	bothNuclei(t, func(t *testing.T, nucleus greengrass.Nucleus) {
		b := newBench(t, nucleus, nil)
		refused := func() {
			t.Helper()
			b.run()
			b.after(time.Minute)
			b.core.ForgetTokens()
			b.core.CloseConnections()
		}
		ended := func() bool {
			select {
			case err := <-b.ended:
				b.stop = nil
				if !errors.Is(err, greengrass.ErrTokenRefused) {
					t.Errorf("ended with %v, want ErrTokenRefused", err)
				}
				return true
			default:
				return false
			}
		}
		refused()
		b.after(4 * time.Minute)
		if ended() {
			t.Fatal("ended although a token that is refused may be a nucleus that is full")
		}
		b.after(4 * time.Minute)
		if !ended() {
			t.Fatal("still running eight minutes after the token was refused")
		}
		refused()
		b.after(40 * time.Minute)
		if ended() {
			t.Fatal("ended twice in an hour")
		}
		if n := len(b.logged("level=ERROR", "the nucleus refuses the token")); n != 1 {
			t.Errorf("said %d times, want once", n)
		}
		b.after(30 * time.Minute)
		if !ended() {
			t.Error("still running an hour after the last exit")
		}
	})
}

// Throttled lengthens the interval; acceptance brings it back.
func TestThrottled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, greengrass.Java, nil)
		b.answerWith(func(id int64) []report.Reply {
			return []report.Reply{{ThingName: "thing", ReportID: id, Status: report.Rejected, ErrorCode: "Throttled", ErrorMessage: "too many"}}
		})
		b.run()
		b.after(time.Hour)
		slow := len(b.reports())
		if slow < 3 || slow > 4 { // at 0, 10, 30 and 70 minutes
			t.Errorf("%d reports in an hour of throttling, want 3", slow)
		}
		b.answerWith(func(id int64) []report.Reply {
			return []report.Reply{{ThingName: "thing", ReportID: id, Status: report.Accepted}}
		})
		b.after(12 * time.Hour)
		reports := b.reports()
		if gap := reports[len(reports)-1].at - reports[len(reports)-2].at; gap != 5*time.Minute {
			t.Errorf("reports are %v apart hours later, want 5m again", gap)
		}
	})
}

// A report topic of one's own takes the reports; no reply is awaited.
func TestReportTopic(t *testing.T) {
	bothNuclei(t, func(t *testing.T, nucleus greengrass.Nucleus) {
		b := newBench(t, nucleus, map[string]any{
			"ReportTopic": "$aws/rules/detect/{thing}/report",
			"accessControl": map[string]any{"aws.greengrass.ipc.mqttproxy": map[string]any{"p": map[string]any{
				"operations": []any{"aws.greengrass#PublishToIoTCore"}, "resources": []any{"$aws/rules/detect/*"},
			}}},
		})
		b.run()
		b.after(time.Hour)
		reports := b.reports()
		if len(reports) < 12 || reports[0].topic != "$aws/rules/detect/thing/report" {
			t.Errorf("%d reports, the first on %v", len(reports), reports)
		}
		for _, line := range b.logged("level=") {
			if strings.Contains(line, "level=WARN") || strings.Contains(line, "level=ERROR") {
				t.Errorf("log: %s", line)
			}
		}
	})
}

// A restart within two intervals continues: no gap, no jump, no early report.
func TestRestartContinuesWithoutAGap(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, greengrass.Java, nil)
		b.write("uptime", "1000.00 1.00\n")
		b.traffic(5000, 50)
		b.run()
		b.after(time.Minute)
		if err := b.stopAgent(); err != nil {
			t.Fatal(err)
		}
		b.write("uptime", "1060.00 1.00\n")
		b.traffic(5600, 56)
		b.run()
		b.after(10 * time.Minute)
		reports := b.reports()
		spaced(t, reports)
		if len(reports) != 3 {
			t.Fatalf("%d reports, want 3", len(reports))
		}
		if s := reports[1].Metrics.NetworkStats; s == nil || *s.BytesIn != 600 {
			t.Errorf("network_stats after the restart: %+v, want the 600 bytes since the last report", s)
		}
		// A reboot, and a stop longer than two intervals, start afresh.
		for _, uptime := range []string{"5.00 1.00\n", "9000.00 1.00\n"} {
			b.stopAgent()
			b.write("uptime", uptime)
			b.after(time.Hour)
			before := len(b.reports())
			b.run()
			b.after(10 * time.Second)
			reports := b.reports()
			if len(reports) != before+1 {
				t.Fatalf("uptime %s: %d reports at once, want 1", uptime, len(reports)-before)
			}
			if s := reports[before].Metrics.NetworkStats; s != nil {
				t.Errorf("uptime %s: network_stats %+v without a usable baseline", uptime, s)
			}
		}
	})
}

// A /proc that can't be read costs reports, not the agent.
func TestUnreadableProc(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, greengrass.Java, map[string]any{"ProcPath": "/nonexistent"})
		b.defaults.ProcPath = "/nowhere"
		b.run()
		b.after(10 * time.Minute)
		if n := len(b.reports()); n != 0 {
			t.Errorf("%d reports of nothing", n)
		}
		if n := len(b.logged("level=ERROR", "/nonexistent")); n != 1 {
			t.Errorf("%d error lines, want 1", n)
		}
		b.deploy(map[string]any{"ProcPath": b.proc})
		b.after(10 * time.Minute)
		if n := len(b.reports()); n == 0 {
			t.Error("no report after the path was put right")
		}
	})
}

// A path that can't be read does not end reporting: the last one that could
// counts, also after a restart, or the default, as for the settings of the
// Greengrass V1 connector whose folder is no more.
func TestWrongProcPathKeepsReporting(t *testing.T) {
	bothNuclei(t, func(t *testing.T, nucleus greengrass.Nucleus) {
		b := newBench(t, nucleus, nil)
		b.defaults.ProcPath = b.proc
		b.deploy(map[string]any{"ProcPath": "/proc", "ProcDestinationPath": "/gone", "ProcDestinationPath-ResourceId": "x"})
		b.run()
		b.after(12 * time.Minute)
		if n := len(b.reports()); n != 3 {
			t.Errorf("%d reports of the default path, want 3", n)
		}
		if n := len(b.logged("level=ERROR", "ProcPath can't be read", "/gone", "path="+b.proc)); n != 1 {
			t.Errorf("said %d times, want once; log:\n%s", n, b.log.String())
		}
		b.stopAgent()
		b.defaults.ProcPath = "/nowhere" // the state file knows better
		b.run()
		b.after(12 * time.Minute)
		if n := len(b.reports()); n != 5 {
			t.Errorf("%d reports, want two more after the restart", n)
		}
	})
}

// A busy host's report is cut to fit nucleus lite; its totals stay true, and
// that is said once.
func TestReportIsFittedToLite(t *testing.T) {
	bothNuclei(t, func(t *testing.T, nucleus greengrass.Nucleus) {
		b := newBench(t, nucleus, nil)
		var table strings.Builder
		table.WriteString("  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n")
		for i := range 600 {
			fmt.Fprintf(&table, "%4d: 0100090A:%04X %02X%02X090A:01BB 01 00000000:00000000 00:00000000 00000000     0        0 1 1 0 20 0 0 10 -1\n",
				i, 30000+i, i/250, i%250)
		}
		b.write("1/net/tcp", table.String())
		b.run()
		b.after(time.Hour)
		reports := b.reports()
		if len(reports) < 12 {
			t.Fatalf("%d reports", len(reports))
		}
		connections := reports[5].Metrics.TCPConnections
		if total := *connections.Total; total != 605 { // and five of tcp6
			t.Errorf("total %d, want 605", total)
		}
		cut, capped := len(b.logged("cut to fit the nucleus")), len(b.logged("lists cut to MaxListItems"))
		switch nucleus {
		case greengrass.Java:
			if n := len(connections.Connections); n != 250 || cut != 0 || capped != 1 {
				t.Errorf("%d connections listed, said %d and %d times, want 250, never and once", n, cut, capped)
			}
		case greengrass.Lite:
			if n := len(connections.Connections); n == 0 || n >= 250 || cut != 1 {
				t.Errorf("%d connections listed, said %d times, want fewer than 250 and once", n, cut)
			}
			// Each report carries others, until all were seen.
			seen := make(map[netip.Addr]bool)
			for _, r := range reports {
				for _, c := range r.Metrics.TCPConnections.Connections {
					seen[c.RemoteAddr.Addr()] = true
				}
			}
			if len(seen) < 600 {
				t.Errorf("%d remote addresses in all reports, want all 600", len(seen))
			}
		}
	})
}

// deploy applies a configuration as a deployment does.
func (b *bench) deploy(merge map[string]any) {
	b.t.Helper()
	if err := b.core.Deploy(context.Background(), b.component.Name(), merge); err != nil {
		b.t.Errorf("deploy %v: %v", merge, err)
	}
}

// What is missing for long is said when it begins and when it ends.
func TestLastingProblemsAreSaidOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, greengrass.Java, map[string]any{
			"CustomMetrics": map[string]any{"gpu": map[string]any{"File": "/nonexistent/gpu"}},
		})
		udp := filepath.Join(b.proc, "1/net/udp")
		table, err := os.ReadFile(udp)
		if err != nil {
			t.Fatal(err)
		}
		b.write("1/net/udp", "header\ngarbage\n")
		b.folder = filepath.Join(b.folder, "not", "there")
		b.run()
		b.after(time.Hour)
		b.write("1/net/udp", string(table))
		b.after(time.Hour)
		for _, words := range [][]string{
			{"left out of the report", `what="custom metric gpu"`, "/nonexistent/gpu"},
			{"level=WARN", "left out of the report", "what=listening_udp_ports"},
			{"no longer left out", "what=listening_udp_ports"},
			{"state not saved"},
		} {
			if n := len(b.logged(words...)); n != 1 {
				t.Errorf("%d lines with %q, want 1", n, words)
			}
		}
		reports := b.reports()
		if reports[2].Metrics.ListeningUDPPorts != nil || reports[20].Metrics.ListeningUDPPorts == nil {
			t.Error("the block is not left out and back")
		}
	})
}

// A report that left late, after retries, moves the next one, also when the
// interval changes or the process restarts in between.
func TestDistanceAfterALatePublish(t *testing.T) {
	for _, restart := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			b := newBench(t, greengrass.Lite, map[string]any{"PublishRetryCount": 72})
			b.write("uptime", "1000.00 1.00\n")
			b.run()
			b.after(4 * time.Minute)
			b.core.SetOnline(false)
			b.write("uptime", "1310.00 1.00\n") // as of the next sample
			b.after(4 * time.Minute)
			b.core.SetOnline(true)
			b.after(80 * time.Second) // the longest pause between two retries
			if n := len(b.reports()); n != 2 {
				t.Fatalf("%d reports, want the second one late", n)
			}
			if restart {
				b.stopAgent()
				late := b.reports()[1].at
				b.write("uptime", fmt.Sprintf("%.2f 1.00\n", 1310+(time.Since(b.start)-5*time.Minute).Seconds()))
				t.Logf("second report at %v, restart at %v", late, time.Since(b.start))
				b.run()
			} else {
				b.deploy(map[string]any{"SampleIntervalSeconds": 301})
			}
			b.after(20 * time.Minute)
			reports := b.reports()
			if len(reports) < 4 {
				t.Errorf("%d reports", len(reports))
			}
			if gap := reports[2].at - reports[1].at; gap < MinSampleInterval-30*time.Second || !restart && gap < MinSampleInterval-prompt {
				t.Errorf("restart %v: reports at %v and %v are %v apart", restart, reports[1].at, reports[2].at, gap)
			}
		})
	}
}

// Silence followed by an outage is said once.
func TestSilenceIsSaidOnce(t *testing.T) {
	bothNuclei(t, func(t *testing.T, nucleus greengrass.Nucleus) {
		b := newBench(t, nucleus, nil)
		b.run()
		b.after(time.Minute)
		b.core.SetDefender(nil)
		b.after(22 * time.Minute)
		b.core.SetOnline(false)
		b.after(2 * time.Hour)
		if n := len(b.logged("level=WARN", "renewing the subscriptions")); n != 1 {
			t.Errorf("said %d times, want once", n)
		}
	})
}

// The recipe's defaults do not undo a setting by an older name.
func TestOlderNamesWithTheRecipe(t *testing.T) {
	bothNuclei(t, func(t *testing.T, nucleus greengrass.Nucleus) {
		b := newBench(t, nucleus, nil)
		b.deploy(map[string]any{"SAMPLE_INTERVAL_SECONDS": 900})
		b.run()
		b.after(time.Minute)
		if len(b.logged("configuration read", "interval=15m0s")) != 1 {
			t.Errorf("the older name does not count; log:\n%s", b.log.String())
		}
	})
}

// Subscriptions that can't be made do not hold up the first report.
func TestFirstReportDoesNotWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, greengrass.Java, map[string]any{
			"SampleIntervalSeconds": 86400,
			"accessControl": map[string]any{"aws.greengrass.ipc.mqttproxy": map[string]any{
				"community.greengrass.DeviceDefender:mqttproxy:2": map[string]any{"operations": []any{}, "resources": []any{}},
			}},
		})
		b.run()
		b.after(5 * time.Second)
		if n := len(b.reports()); n != 1 {
			t.Errorf("%d reports after 5 s, want the first", n)
		}
	})
}

// A state file that is none, such as a pipe, stops nothing.
func TestStateFileIsAPipe(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, greengrass.Java, nil)
		for _, name := range []string{stateFile, stateFile + ".new"} {
			if err := syscall.Mkfifo(filepath.Join(b.folder, name), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		b.run()
		b.after(time.Hour)
		if n := len(b.reports()); n < 12 {
			t.Errorf("%d reports in an hour", n)
		}
	})
}
