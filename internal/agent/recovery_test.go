package agent

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/device-defender/device-defender/internal/greengrass"
)

// Nucleus lite's IPC daemon forgets its tokens when it restarts. Whoever runs in
// the component's unit is given another one: no restart, however often.
func TestForgottenTokens(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, greengrass.Lite, nil)
		b.unit = b.component.Name()
		b.run()
		for range 12 {
			b.after(5 * time.Minute)
			b.core.ForgetTokens()
			b.core.CloseConnections()
		}
		b.after(5 * time.Minute)
		if n := len(b.reports()); n != 13 {
			t.Errorf("%d reports in 65 minutes, want 13", n)
		}
		if got := len(b.logged("report accepted")); got != 13 {
			t.Errorf("%d replies seen, want 13", got)
		}
		if strings.Contains(b.log.String(), b.component.Token()) {
			t.Error("the token is in the log")
		}
	})
}

// Before the first configuration nothing is reported: the first report would go
// unfiltered and to the wrong topic.
func TestFirstConfigurationIsWaitedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, greengrass.Lite, map[string]any{"ReportFormat": "cbor"})
		b.core.SetConfigDaemon(false)
		b.run()
		b.after(10 * time.Minute)
		if n := len(b.reports()); n != 0 {
			t.Errorf("%d reports before any configuration", n)
		}
		if n := len(b.logged("level=WARN", "no configuration read yet")); n != 1 {
			t.Errorf("said %d times, want once", n)
		}
		b.core.SetConfigDaemon(true)
		b.after(10 * time.Minute)
		reports := b.reports()
		if len(reports) == 0 || reports[0].topic != "$aws/things/thing/defender/metrics/cbor" {
			t.Errorf("reports %v, want them as configured", reports)
		}
	})
}

// A core that does not deliver a configuration gets reports as it wanted them
// last.
func TestConfigurationOfTheLastStart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, greengrass.Lite, map[string]any{"SampleIntervalSeconds": 600, "MaxListItems": 2, "CustomMetrics": map[string]any{"up": "uptime"}})
		b.run()
		b.after(time.Minute)
		b.stopAgent()
		b.core.SetConfigDaemon(false)
		b.run()
		b.after(time.Minute)
		if n := len(b.logged("level=WARN", "using the one of the last start")); n != 1 {
			t.Errorf("said %d times, want once; log:\n%s", n, b.log.String())
		}
		if n := len(b.logged("configuration of the last start", "interval=10m0s", "max_list_items=2", "custom_metrics=2")); n != 1 {
			t.Errorf("not the last configuration; log:\n%s", b.log.String())
		}
		// An invalid value later finds the last good one, over the restart.
		b.core.SetConfigDaemon(true)
		b.deploy(map[string]any{"SampleIntervalSeconds": 5})
		b.after(time.Hour)
		reports := b.reports()
		if gap := reports[len(reports)-1].at - reports[len(reports)-2].at; gap != 10*time.Minute {
			t.Errorf("reports are %v apart, want the last good 10m", gap)
		}
		if n := len(b.logged("level=WARN", "key=SampleIntervalSeconds", "in_effect=600")); n != 1 {
			t.Errorf("warned %d times, want once; log:\n%s", n, b.log.String())
		}
	})
}

// An answer of nucleus lite has at most 10,000 bytes. A longer configuration is
// read key by key.
func TestLongConfigurationOnLite(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		custom := make(map[string]any)
		for i := range 49 {
			custom[fmt.Sprintf("metric_%d", i)] = map[string]any{"File": "/run/" + strings.Repeat("x", 130), "Type": "number"}
		}
		var excluded []any
		for i := range 60 {
			excluded = append(excluded, fmt.Sprintf("veth%010d", i))
		}
		b := newBench(t, greengrass.Lite, map[string]any{
			"SampleIntervalSeconds": 900, "CustomMetrics": custom, "Interfaces": map[string]any{"Exclude": excluded},
		})
		b.run()
		b.after(time.Minute)
		if n := len(b.logged("configuration read", "interval=15m0s", "custom_metrics=50")); n != 1 {
			t.Errorf("not read key by key; log:\n%s", b.log.String())
		}
	})
}

// The line that says what was read is not hidden by the level that was read.
func TestLogLevelDoesNotHideTheConfiguration(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, greengrass.Java, map[string]any{"LogLevel": "warn"})
		b.run()
		b.after(time.Hour)
		if n := len(b.logged("configuration read")); n != 1 {
			t.Errorf("%d lines, want 1", n)
		}
		if n := len(b.logged("report accepted")); n != 0 {
			t.Errorf("%d lines below the level", n)
		}
	})
}

// Nucleus lite may start a component before it knows the thing's name.
func TestStartWithoutAThingName(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, greengrass.Lite, nil)
		b.thing = ""
		exits := func(within time.Duration) {
			t.Helper()
			b.run()
			select {
			case err := <-b.ended:
				b.stop = nil
				if !errors.Is(err, ErrNoThingName) {
					t.Errorf("ended with %v, want ErrNoThingName", err)
				}
			case <-time.After(within):
				t.Errorf("still running after %v", within)
			}
		}
		begin := time.Now()
		exits(2 * time.Minute)
		if d := time.Since(begin); d < time.Minute {
			t.Errorf("ended after %v, want a minute for the name to come up", d)
		}
		exits(61 * time.Minute)
		exits(61 * time.Minute)
		if d := time.Since(begin); d < 2*time.Hour {
			t.Errorf("three exits in %v: nucleus lite would not start it again", d)
		}
		// Once it was known it is remembered.
		b.thing = "thing"
		b.run()
		b.after(time.Minute)
		b.stopAgent()
		b.thing = ""
		b.run()
		before := len(b.reports())
		b.after(time.Hour)
		if n := len(b.reports()) - before; n < 11 {
			t.Errorf("%d reports in an hour, want 12", n)
		}
	})
}

// A reboot makes the times of the last boot meaningless, also that of a report
// that left late.
func TestRebootAfterALatePublish(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, greengrass.Java, nil)
		boot, err := os.ReadFile(filepath.Join(b.proc, "sys/kernel/random/boot_id"))
		if err != nil {
			t.Fatal(err)
		}
		b.write("uptime", "90000.00 1.00\n")
		b.core.SetOnline(false)
		b.run()
		b.after(time.Minute)
		b.core.SetOnline(true)
		b.after(4 * time.Minute)
		b.stopAgent()
		if n := len(b.reports()); n != 1 {
			t.Fatalf("%d reports, want one that left late", n)
		}
		for i := range 2 { // the reboot, then a restart of the component
			b.write("sys/kernel/random/boot_id", strings.Replace(string(boot), "a", "b", 1))
			b.write("uptime", fmt.Sprintf("%d.00 1.00\n", 20+i*400))
			b.after(time.Hour)
			before := len(b.reports())
			b.run()
			b.after(10 * time.Second)
			if n := len(b.reports()) - before; n != 1 {
				t.Errorf("start %d after the reboot: %d reports at once, want 1", i+1, n)
			}
			b.stopAgent()
		}
	})
}
