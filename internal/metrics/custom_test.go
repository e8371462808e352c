package metrics

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/device-defender/device-defender/internal/defender/report"
	"github.com/device-defender/device-defender/internal/hostproc"
)

func all() Options {
	o := options()
	o.Custom = make(map[string]Source)
	for _, name := range Builtins() {
		o.Custom[name], _ = Builtin(name)
	}
	return o
}

func TestBuiltins(t *testing.T) {
	since := &Baseline{
		BootID: "6a7f4e9c-0d0e-4a51-9f0e-6f0f3b0f1d11", NetDir: netDir, Uptime: 5100 * time.Second,
		// The scenario's less 550 busy and 2450 idle ticks.
		CPU: hostproc.CPUTime{User: 600, System: 400, Idle: 5550, IOWait: 400, SoftIRQ: 50},
	}
	got := collect(t, scenario, all(), since)
	want := map[string]report.CustomMetric{
		"cpu_usage":           {Type: report.Number, Number: 18.3},
		"memory_usage":        {Type: report.Number, Number: 25},
		"memory_available":    {Type: report.Number, Number: 768000000},
		"load":                {Type: report.NumberList, Numbers: []float64{0.5, 1.25, 2}},
		"uptime":              {Type: report.Number, Number: 5400},
		"process_count":       {Type: report.Number, Number: 1},
		"open_files":          {Type: report.Number, Number: 1216},
		"interface_names":     {Type: report.StringList, Strings: []string{"dum0", "dum0p", "lo"}},
		"interface_addresses": {Type: report.IPList, Strings: []string{"10.9.0.1", "127.0.0.1", "::1", "fd09::1", "fe80::38a0:9cff:fe09:e324", "fe80::f005:c8ff:fefc:6e41"}},
	}
	if diff := cmp.Diff(want, got.Custom, cmpopts.SortSlices(func(a, b string) bool { return a < b })); diff != "" {
		t.Errorf("custom metrics (-want +got):\n%s", diff)
	}
	if len(got.Problems) > 0 {
		t.Errorf("problems: %v", got.Problems)
	}
}

// The first sample of a boot has no CPU usage: it would be that since boot.
func TestCPUUsageNeedsABaseline(t *testing.T) {
	got := collect(t, scenario, all(), nil)
	if m, ok := got.Custom["cpu_usage"]; ok {
		t.Errorf("cpu_usage %v without a baseline", m)
	}
	if len(got.Problems) > 0 {
		t.Errorf("problems: %v", got.Problems)
	}
}

func TestCustomListsFollowTheFilter(t *testing.T) {
	o := all()
	o.IncludeLoopback = false
	o.Interfaces.Exclude = []string{"*p"}
	o.MaxListItems = 2
	got := collect(t, scenario, o, nil).Custom
	if diff := cmp.Diff([]string{"dum0"}, got["interface_names"].Strings); diff != "" {
		t.Errorf("interface_names (-want +got):\n%s", diff)
	}
	if n := len(got["interface_addresses"].Strings); n != 2 {
		t.Errorf("%d addresses, want the list capped at 2", n)
	}
}

func TestFileMetrics(t *testing.T) {
	tests := []struct {
		content string
		kind    report.MetricType
		want    report.CustomMetric
		wantErr string
	}{
		{content: "42\n", kind: report.Number, want: report.CustomMetric{Number: 42}},
		{content: "  -1.5e3 ", kind: report.Number, want: report.CustomMetric{Number: -1500}},
		{content: "1, 2\n3", kind: report.NumberList, want: report.CustomMetric{Numbers: []float64{1, 2, 3}}},
		{content: "", kind: report.NumberList, want: report.CustomMetric{Numbers: []float64{}}},
		{content: "idle busy", kind: report.StringList, want: report.CustomMetric{Strings: []string{"idle", "busy"}}},
		{content: "10.0.0.1\n[fd09::1], ::ffff:10.0.0.2", kind: report.IPList,
			want: report.CustomMetric{Strings: []string{"10.0.0.1", "fd09::1", "10.0.0.2"}}},
		{content: "", kind: report.Number, wantErr: "0 values, want one number"},
		{content: "1 2", kind: report.Number, wantErr: "2 values, want one number"},
		{content: "23 %", kind: report.Number, wantErr: "2 values, want one number"},
		{content: "NaN", kind: report.Number, wantErr: "3 bytes that are not a finite number"},
		{content: "Inf", kind: report.Number, wantErr: "3 bytes that are not a finite number"},
		{content: "x", kind: report.NumberList, wantErr: "all 1 values: number_list[0]: not a finite number"},
		{content: "23.400000000000002", kind: report.Number, want: report.CustomMetric{Number: 23.4}},
		{content: "0.1 0.30000000000000004", kind: report.NumberList, want: report.CustomMetric{Numbers: []float64{0.1, 0.3}}},
		{content: "pass word", kind: report.IPList, wantErr: "all 2 values: ip_list[0]: 4 bytes, want an IP address"},
		{content: strings.Repeat("1 ", maxFileSize), kind: report.NumberList, wantErr: "more than 65536 bytes"},
	}
	for _, test := range tests {
		name := filepath.Join(t.TempDir(), "value")
		if err := os.WriteFile(name, []byte(test.content), 0o600); err != nil {
			t.Fatal(err)
		}
		o := options()
		o.Custom = map[string]Source{"m": {File: name, Type: test.kind}}
		got := collect(t, scenario, o, nil)
		if test.wantErr != "" {
			if len(got.Problems) != 1 || got.Problems[0].What != "custom metric m" || !strings.Contains(got.Problems[0].Error(), test.wantErr) {
				t.Errorf("%.20q: problems %v, want %q", test.content, got.Problems, test.wantErr)
			}
			continue
		}
		test.want.Type = test.kind
		if diff := cmp.Diff(map[string]report.CustomMetric{"m": test.want}, got.Custom); diff != "" {
			t.Errorf("%.20q (-want +got):\n%s", test.content, diff)
		}
	}
}

// A value that the service would silently drop is left out with a reason; the
// other values of a list stay.
func TestBadValuesAreLeftOut(t *testing.T) {
	folder := t.TempDir()
	write(t, folder, "states", "idle naïve busy")
	write(t, folder, "peers", "10.0.0.1 nonsense")
	write(t, folder, "loads", "0.5 x 0.7")
	o := options()
	o.Custom = map[string]Source{
		"states":    {File: filepath.Join(folder, "states"), Type: report.StringList},
		"peers":     {File: filepath.Join(folder, "peers"), Type: report.IPList},
		"loads":     {File: filepath.Join(folder, "loads"), Type: report.NumberList},
		"aws:mine":  {File: filepath.Join(folder, "states"), Type: report.StringList},
		"not there": {File: filepath.Join(folder, "none"), Type: report.Number},
	}
	got := collect(t, scenario, o, nil)
	want := map[string]report.CustomMetric{
		"states": {Type: report.StringList, Strings: []string{"idle", "busy"}},
		"peers":  {Type: report.IPList, Strings: []string{"10.0.0.1"}},
		"loads":  {Type: report.NumberList, Numbers: []float64{0.5, 0.7}},
	}
	if diff := cmp.Diff(want, got.Custom); diff != "" {
		t.Errorf("custom metrics (-want +got):\n%s", diff)
	}
	var missing []string
	for _, p := range got.Problems {
		missing = append(missing, p.What)
	}
	if diff := cmp.Diff([]string{"custom metric aws:mine", "custom metric loads", "custom metric not there", "custom metric peers", "custom metric states"}, missing); diff != "" {
		t.Errorf("problems about (-want +got):\n%s", diff)
	}
}

// A pipe that nobody writes to does not block the agent.
func TestFileMustBeRegular(t *testing.T) {
	fifo := filepath.Join(t.TempDir(), "fifo")
	if err := syscall.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{fifo, t.TempDir(), "/dev/zero"} {
		if c := <-NewFiles().start(name); c.err == nil {
			t.Errorf("%s: %q, want an error", name, c.text)
		}
	}
}

func FuzzParseValue(f *testing.F) {
	f.Add("1.5", 0)
	f.Add("1,2 3", 1)
	f.Add("a b", 2)
	f.Add("10.0.0.1, [::1]", 3)
	f.Fuzz(func(t *testing.T, text string, kind int) {
		m, err := parseValue(strings.NewReader(text), report.MetricType(kind&3))
		if err == nil && len(m.Numbers)+len(m.Strings) > len(text) {
			t.Errorf("%d items of %d bytes", len(m.Numbers)+len(m.Strings), len(text))
		}
	})
}
