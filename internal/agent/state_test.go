package agent

import (
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
	folder := t.TempDir()
	want := state{ReportID: 1795385460, Baseline: &metrics.Baseline{
		BootID: "b", Uptime: 90 * time.Second,
		Interfaces: map[string]metrics.Interface{"eth0": {Counters: hostproc.Counters{RxBytes: 1 << 63, TxPackets: 2}}},
		CPU:        hostproc.CPUTime{User: 1 << 63, Idle: 3},
	}}
	if err := want.save(folder); err != nil {
		t.Fatal(err)
	}
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
