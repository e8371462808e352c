package agent

import (
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/device-defender/device-defender/internal/hostproc"
	"github.com/device-defender/device-defender/internal/metrics"
)

func TestStateSurvives(t *testing.T) {
	folder, log := t.TempDir(), new(logBuffer)
	w := stateWriter{folder: folder, log: slog.New(slog.NewTextHandler(log, nil))}
	want := state{ReportID: 1795385460, ThingName: "gw-1", ProcPath: "/host-proc", Exited: 1795385000,
		Configuration: map[string]any{"SampleIntervalSeconds": 600.0}, Published: time.Minute, Baseline: &metrics.Baseline{
			BootID: "b", Uptime: 90 * time.Second,
			Interfaces: map[string]metrics.Interface{"eth0": {Counters: hostproc.Counters{RxBytes: 1 << 63, TxPackets: 2}}},
			CPU:        hostproc.CPUTime{User: 1 << 63, Idle: 3},
		}}
	<-w.save(&want)
	got, err := loadState(folder)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("state (-want +got):\n%s", diff)
	}
	entries, _ := os.ReadDir(folder)
	if len(entries) != 1 {
		t.Errorf("%d files in the work folder, want 1", len(entries))
	}
	if text := log.String(); text != "" {
		t.Errorf("log:\n%s", text)
	}
}

// Of many states the last one ends up on the disk, and each save is answered.
func TestLastStateCounts(t *testing.T) {
	w := stateWriter{folder: t.TempDir(), log: slog.New(slog.DiscardHandler)}
	var saved []<-chan struct{}
	for id := range int64(100) {
		saved = append(saved, w.save(&state{ReportID: id + 1}))
	}
	for _, done := range saved {
		<-done
	}
	if s, err := loadState(w.folder); err != nil || s.ReportID != 100 {
		t.Errorf("state %+v, %v, want report 100", s, err)
	}
}

// A full disk, or a folder that is away, is said once, and so is its end.
func TestStateThatCannotBeSaved(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "work")
	log := new(logBuffer)
	w := stateWriter{folder: folder, log: slog.New(slog.NewTextHandler(log, nil))}
	for range 3 {
		<-w.save(&state{ReportID: 1})
	}
	if err := os.Mkdir(folder, 0o700); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		<-w.save(&state{ReportID: 2})
	}
	if n := strings.Count(log.String(), "\n"); n != 2 || !strings.Contains(log.String(), "state saved again") {
		t.Errorf("want a warning and its end; log:\n%s", log)
	}
}

// One exit an hour, whatever the clock does.
func TestUntilExit(t *testing.T) {
	exited := time.Unix(1795385000, 0)
	for after, want := range map[time.Duration]time.Duration{
		0: time.Hour, 20 * time.Minute: 40 * time.Minute, time.Hour: 0, 50 * 365 * 24 * time.Hour: 0,
		-20 * time.Minute: 40 * time.Minute, -50 * 365 * 24 * time.Hour: 0, // the clock was set back
	} {
		s := state{Exited: exited.Unix()}
		if got := s.untilExit(exited.Add(after)); got != want {
			t.Errorf("%v after an exit: %v to wait, want %v", after, got, want)
		}
	}
	if got := new(state).untilExit(exited); got != 0 {
		t.Errorf("no exit before: %v to wait", got)
	}
}

func TestStateOfAnyContent(t *testing.T) {
	if s, err := loadState(t.TempDir()); err != nil || s.ReportID != 0 {
		t.Errorf("no file: %+v, %v", s, err)
	}
	for _, content := range []string{
		"", "{", "null,", "[]", `"x"`, "\x00\xff", `{"report_id": "x"}`, `{"report_id": -5}`,
		`{"report_id": 9223372036854775807}`, `{"baseline": 5}`, strings.Repeat("x", maxStateSize+1),
	} {
		folder := t.TempDir()
		if err := os.WriteFile(filepath.Join(folder, stateFile), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		s, err := loadState(folder)
		if err == nil {
			t.Errorf("%.20q: no error", content)
		}
		if s.ReportID != 0 || s.Baseline != nil {
			t.Errorf("%.20q: state %+v, want none", content, s)
		}
	}
}

func TestReportIDNeverRepeats(t *testing.T) {
	s := state{}
	clock := []int64{1000, 1000, 1001, 5, 2000, 0, -7}
	want := []int64{1000, 1001, 1002, 1003, 2000, 2001, 2002}
	for i, second := range clock {
		if got := s.nextReportID(time.Unix(second, 0)); got != want[i] {
			t.Errorf("clock %d: id %d, want %d", second, got, want[i])
		}
	}
}

func FuzzParseState(f *testing.F) {
	f.Add(`{"report_id":1795385460,"baseline":{"boot_id":"b","uptime_ns":1,"interfaces":{"lo":{"RxBytes":1}},"cpu":{}}}`)
	f.Add(`{"report_id":9007199254740991}`)
	f.Fuzz(func(t *testing.T, text string) {
		s, err := parseState(strings.NewReader(text))
		if err != nil {
			return
		}
		if id := s.nextReportID(time.Unix(0, 0)); id < 1 {
			t.Errorf("report id %d", id)
		}
	})
}
