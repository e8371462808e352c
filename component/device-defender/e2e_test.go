package main

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/device-defender/device-defender/internal/agent/command"
	"github.com/device-defender/device-defender/internal/defender/report"
	"github.com/device-defender/device-defender/internal/greengrass"
	"github.com/device-defender/device-defender/internal/greengrass/localcore"
	"github.com/device-defender/device-defender/internal/hostproc/hostproctest"
	"github.com/device-defender/device-defender/recipes"
)

// These tests run the real binary as a child of a stand-in core, through its
// real socket, with an interval of one second. What a day holds is tested on a
// false clock in internal/agent; here it is the process that matters.

var binary string

func TestMain(m *testing.M) {
	hostproctest.Helper()
	folder, err := os.MkdirTemp("", "device-defender-")
	if err != nil {
		panic(err)
	}
	// The scenarios wait most of the time, so all run at once.
	if err := flag.Set("test.parallel", "32"); err != nil {
		panic(err)
	}
	binary = filepath.Join(folder, "device-defender")
	out, err := exec.Command("go", "build", "-o", binary, ".").CombinedOutput()
	if err != nil {
		panic(fmt.Sprintf("go build: %v\n%s", err, out))
	}
	code := m.Run()
	os.RemoveAll(folder)
	os.Exit(code)
}

// device is a core with the binary as its component.
type device struct {
	t         *testing.T
	core      *localcore.Core
	component *localcore.Component
	process   *localcore.Process

	mu      sync.Mutex
	changed chan struct{} // closed and replaced when something below changes
	reports []*report.Report
	log     bytes.Buffer
}

// onBoth runs a scenario on each nucleus.
func onBoth(t *testing.T, scenario func(*device)) {
	t.Parallel()
	for _, nucleus := range []greengrass.Nucleus{greengrass.Java, greengrass.Lite} {
		t.Run(nucleus.String(), func(t *testing.T) {
			t.Parallel()
			scenario(newDevice(t, nucleus))
		})
	}
}

// newDevice makes a device whose component is not running yet.
func newDevice(t *testing.T, nucleus greengrass.Nucleus) *device {
	t.Helper()
	root, err := os.MkdirTemp("", "core-") // a socket's path is short
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(root) })
	d := &device{t: t, changed: make(chan struct{})}
	d.core, err = localcore.New(localcore.Options{
		Nucleus: nucleus, ThingName: "thing", Region: "local", Root: root,
		MinReportInterval: -1, Stdout: output{d}, Stderr: output{d},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		d.core.Close()
		if t.Failed() {
			t.Logf("log:\n%s", d.text())
		}
	})
	d.core.Tap(d.see)
	recipe, err := localcore.ParseRecipe(bytes.NewReader(recipes.DeviceDefender))
	if err != nil {
		t.Fatal(err)
	}
	if d.component, err = d.core.Install(recipe); err != nil {
		t.Fatal(err)
	}
	d.component.Setenv(command.MinIntervalVariable, "1s")
	d.deploy(map[string]any{"SampleIntervalSeconds": 1})
	if err := d.core.Listen(); err != nil {
		t.Fatal(err)
	}
	return d
}

func (d *device) start() {
	d.t.Helper()
	var err error
	if d.process, err = d.core.Start(d.t.Context(), d.component, binary); err != nil {
		d.t.Fatal(err)
	}
}

func (d *device) deploy(merge map[string]any) {
	d.t.Helper()
	if err := d.core.Deploy(d.t.Context(), d.component.Name(), merge); err != nil {
		d.t.Fatal(err)
	}
}

func (d *device) change(f func()) {
	d.mu.Lock()
	defer d.mu.Unlock()
	f()
	close(d.changed)
	d.changed = make(chan struct{})
}

func (d *device) see(m localcore.Message) {
	if r, _, err := report.Decode(m.Payload); err == nil {
		d.change(func() { d.reports = append(d.reports, r) })
	}
}

// output takes the process' lines.
type output struct{ *device }

func (o output) Write(p []byte) (int, error) {
	o.change(func() { o.log.Write(p) })
	return len(p), nil
}

func (d *device) text() string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.log.String()
}

// lines counts the log lines that hold all the words.
func (d *device) lines(words ...string) int {
	n := 0
	for line := range strings.Lines(d.text()) {
		if !slices.ContainsFunc(words, func(w string) bool { return !strings.Contains(line, w) }) {
			n++
		}
	}
	return n
}

// patience is far beyond what anything here takes.
const patience = 2 * time.Minute

// until waits for a condition on what the device says and sends.
func (d *device) until(what string, condition func() bool) {
	d.t.Helper()
	deadline := time.After(patience)
	for {
		d.mu.Lock()
		changed := d.changed
		d.mu.Unlock()
		if condition() {
			return
		}
		select {
		case <-changed:
		case <-deadline:
			d.t.Fatalf("still waiting for %s", what)
		}
	}
}

// more waits for n further lines with the words.
func (d *device) more(n int, words ...string) {
	d.t.Helper()
	before := d.lines(words...)
	d.until(fmt.Sprintf("%d more lines with %q", n, words), func() bool { return d.lines(words...) >= before+n })
}

// accepted waits for reports that are accepted from now on.
func (d *device) accepted() {
	d.t.Helper()
	d.more(2, "report accepted")
}

func TestReportsAccepted(t *testing.T) {
	onBoth(t, func(d *device) {
		d.start()
		d.accepted()
		d.mu.Lock()
		defer d.mu.Unlock()
		if d.reports[0].Metrics.NetworkStats != nil {
			d.t.Error("the first report has network_stats")
		}
		if d.reports[1].Metrics.NetworkStats == nil || d.reports[1].ID <= d.reports[0].ID {
			d.t.Errorf("second report %+v", d.reports[1])
		}
	})
}

func TestOfflineAtBoot(t *testing.T) {
	onBoth(t, func(d *device) {
		d.core.SetOnline(false)
		d.start()
		d.more(3, "report_id=") // published to the spooler, or dropped
		d.core.SetOnline(true)
		d.accepted()
	})
}

func TestOutageLongerThanAllRetries(t *testing.T) {
	onBoth(t, func(d *device) {
		d.deploy(map[string]any{"PublishRetryCount": 1})
		d.start()
		d.accepted()
		d.core.SetOnline(false)
		d.more(4, "report_id=")
		d.core.SetOnline(true)
		d.accepted()
	})
}

func TestRejectedReports(t *testing.T) {
	onBoth(t, func(d *device) {
		d.core.RejectReports("InvalidPayload", "Malformed metrics report")
		d.start()
		d.more(2, "level=ERROR", "report rejected", "code=InvalidPayload", `message="Malformed metrics report"`)
		d.core.RejectReports("", "")
		d.accepted()
	})
}

// The Java nucleus starts its components again when it restarts itself. On
// nucleus lite the daemon forgets all tokens; outside of a unit of lite's, as
// here, the process can't get another one and tries the old one for minutes.
func TestIPCDaemonRestart(t *testing.T) {
	onBoth(t, func(d *device) {
		d.start()
		d.accepted()
		if err := d.core.RestartIPC(); err != nil {
			d.t.Fatal(err)
		}
		starts := 2
		if strings.Contains(d.t.Name(), "lite") {
			starts = 1
			d.more(1, "level=WARN", "token refused")
		} else {
			d.accepted()
		}
		if n := d.process.Starts(); n != starts {
			d.t.Errorf("started %d times, want %d", n, starts)
		}
	})
}

func TestSilentSubscriptionDeath(t *testing.T) {
	onBoth(t, func(d *device) {
		d.start()
		d.accepted()
		d.core.DropSubscriptions()
		d.more(1, "renewing the subscriptions")
		d.accepted()
	})
}

func TestUpdatesDuringAFailingPublish(t *testing.T) {
	onBoth(t, func(d *device) {
		d.start()
		d.accepted()
		d.core.SetOnline(false)
		d.more(1, "report_id=")
		for i := range 5 {
			d.deploy(map[string]any{"MaxListItems": 10 + i, "SampleIntervalSeconds": 1 + i%2})
		}
		d.core.SetOnline(true)
		d.until("the last value", func() bool { return d.lines("configuration read", "max_list_items=14") > 0 })
		d.accepted()
	})
}

func TestThousandUpdates(t *testing.T) {
	onBoth(t, func(d *device) {
		d.start()
		d.accepted()
		for i := range 1000 {
			d.deploy(map[string]any{"MaxListItems": 100 + i})
		}
		d.until("the last value", func() bool { return d.lines("configuration read", "max_list_items=1099") > 0 })
		d.accepted()
		if n := d.process.Starts(); n != 1 {
			d.t.Errorf("started %d times, want once", n)
		}
	})
}

func TestBrokenStateFile(t *testing.T) {
	onBoth(t, func(d *device) {
		folder := d.component.WorkDir()
		if err := os.MkdirAll(folder, 0o700); err != nil {
			d.t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(folder, "state.json"), []byte("\x00{\"report_id\":1e999"), 0o600); err != nil {
			d.t.Fatal(err)
		}
		d.start()
		d.until("the line on the state file", func() bool { return d.lines("state file can't be used") == 1 })
		d.accepted()
	})
}

// SIGTERM while the nucleus does not answer a publish: exit code 0 and a state
// file that knows the last id.
func TestSIGTERMInTheMiddleOfAPublish(t *testing.T) {
	onBoth(t, func(d *device) {
		d.start()
		d.accepted()
		d.core.DelayAnswers(time.Minute)
		d.mu.Lock()
		before := len(d.reports)
		d.mu.Unlock()
		d.until("a publish without an answer", func() bool {
			d.mu.Lock()
			defer d.mu.Unlock()
			return len(d.reports) > before
		})
		if err := d.process.Signal(syscall.SIGTERM); err != nil { // Stop would kill it after a while
			d.t.Fatal(err)
		}
		<-d.process.Done()
		if code := d.process.ExitCode(); code != 0 {
			d.t.Errorf("exit code %d", code)
		}
		var state struct {
			ReportID int64 `json:"report_id"`
		}
		text, err := os.ReadFile(filepath.Join(d.component.WorkDir(), "state.json"))
		if err == nil {
			err = json.Unmarshal(text, &state)
		}
		// A further report may have been prepared and not sent.
		if last := d.reports[len(d.reports)-1].ID; err != nil || state.ReportID < last {
			d.t.Errorf("state %s, %v; want report_id %d or later", text, err, last)
		}
	})
}

// A new process goes on where the old one ended.
func TestRestartContinues(t *testing.T) {
	onBoth(t, func(d *device) {
		d.start()
		d.accepted()
		d.process.Stop()
		<-d.process.Done()
		// A restart within two intervals continues, and starting takes its time.
		d.deploy(map[string]any{"SampleIntervalSeconds": 60})
		d.mu.Lock()
		before := len(d.reports)
		d.mu.Unlock()
		accepted := d.lines("report accepted")
		d.start()
		d.until("a report after the restart", func() bool { return d.lines("report accepted") > accepted })
		d.mu.Lock()
		defer d.mu.Unlock()
		if r := d.reports[before]; r.ID <= d.reports[before-1].ID || r.Metrics.NetworkStats == nil {
			d.t.Errorf("first report after the restart: id %d after %d, network_stats %v",
				r.ID, d.reports[before-1].ID, r.Metrics.NetworkStats)
		}
	})
}
