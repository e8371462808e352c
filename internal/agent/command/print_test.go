package command

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/device-defender/device-defender/internal/defender/report"
)

// configFile writes a configuration file and returns its path.
func configFile(t *testing.T, text string) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "config.json")
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

// printed returns the only report that print writes.
func printed(t *testing.T, args ...string) (r *report.Report, encoding report.Encoding, stderr string) {
	t.Helper()
	code, stdout, stderr := runCommand(t, nil, append([]string{"print"}, args...)...)
	if code != 0 {
		t.Fatalf("print %v: exit code %d, stderr %q", args, code, stderr)
	}
	r, encoding, err := report.Decode([]byte(strings.TrimSuffix(stdout, "\n")))
	if err != nil {
		t.Fatalf("print %v: %v", args, err)
	}
	return r, encoding, stderr
}

func TestPrintConfigured(t *testing.T) {
	absolute, err := filepath.Abs(proc)
	if err != nil {
		t.Fatal(err)
	}
	name := configFile(t, fmt.Sprintf(`{"ProcPath": %q, "ReportFormat": "cbor", "ReportNames": "short", "IncludeLoopback": "false",
		"Interfaces": {"Exclude": ["dum0p"]}, "MaxListItems": 3, "CustomMetrics": {"nics": "interface_names"}}`, absolute))
	r, encoding, stderr := printed(t, "-config", name)
	if encoding != (report.Encoding{Format: report.CBOR, Names: report.Short}) {
		t.Errorf("encoding %+v", encoding)
	}
	if n, total := len(r.Metrics.ListeningTCPPorts.Ports), *r.Metrics.ListeningTCPPorts.Total; n != 3 || total != 8 {
		t.Errorf("%d TCP ports of %d, want 3 of the 8 that are not on lo", n, total)
	}
	if nics := r.CustomMetrics["nics"].Strings; len(nics) != 1 || nics[0] != "dum0" {
		t.Errorf("interface names %q, want dum0", nics)
	}
	if want := "device-defender print: report cut, totals are true: connections=3 tcp_ports=5 udp_ports=3\n"; stderr != want {
		t.Errorf("stderr %q, want %q", stderr, want)
	}
}

// Flags count more than the configuration.
func TestPrintFlagsWin(t *testing.T) {
	name := configFile(t, `{"ProcPath": "/nonexistent", "ReportFormat": "cbor", "ReportNames": "short"}`)
	_, encoding, _ := printed(t, "-config", name, "-proc", proc, "-format", "json", "-names", "long")
	if encoding != (report.Encoding{}) {
		t.Errorf("encoding %+v, want JSON with long names", encoding)
	}
}

// The documents that deployments are made of are taken as they are.
func TestPrintTakesDeployments(t *testing.T) {
	documents, err := filepath.Glob("../../../artifacts/deployments/*.json")
	if err != nil || len(documents) == 0 {
		t.Fatal("no deployment documents", err)
	}
	for _, name := range documents {
		if _, _, stderr := printed(t, "-config", name, "-proc", proc); strings.Contains(stderr, "unknown key") || strings.Contains(stderr, "want") {
			t.Errorf("%s: stderr %q", name, stderr)
		}
	}
	for _, text := range []string{
		`{"components": {"other": {}, "community.greengrass.DeviceDefender": {"configurationUpdate": {"merge": "{\"ReportNames\":\"short\"}"}}}}`,
		`{"components": {"community.greengrass.DeviceDefender.Container": {"configurationUpdate": {"merge": {"ReportNames": "short"}}}}}`,
	} {
		if _, encoding, _ := printed(t, "-config", configFile(t, text), "-proc", proc); encoding.Names != report.Short {
			t.Errorf("%s: long names", text)
		}
	}
}

// Problems are told as the agent would tell them, once, and cost nothing else.
func TestPrintTellsConfigurationProblems(t *testing.T) {
	name := configFile(t, `{"SampleIntervalSeconds": 5, "ReportFormt": "cbor", "ReportNames": "short"}`)
	code, stdout, stderr := runCommand(t, nil, "print", "-config", name, "-proc", proc, "-count", "2", "-interval", "1ms")
	want := "device-defender print: key without effect ReportFormt: did you mean ReportFormat?\n" +
		"device-defender print: SampleIntervalSeconds: 5, want 300 to 86400 seconds\n"
	if code != 0 || stderr != want {
		t.Errorf("exit code %d, stderr %q, want %q", code, stderr, want)
	}
	if strings.Count(stdout, `"rid"`) != 2 {
		t.Errorf("stdout %s, want two reports with short names", stdout)
	}
}

func TestPrintConfigurationErrors(t *testing.T) {
	tests := []struct{ text, want string }{
		{`{"MaxListItems": `, "want a JSON object: unexpected end of JSON input"},
		{`[]`, "want a JSON object"},
		{`null`, "want a JSON object"},
		{`{"components": {"other": {}}}`, "the deployment has no component community.greengrass.DeviceDefender"},
		{`{"components": {"community.greengrass.DeviceDefender": {"configurationUpdate": {"merge": "{"}}}}`, "merge: want a JSON object"},
		{`{"components": {"community.greengrass.DeviceDefender": {"configurationUpdate": {"merge": 5}}}}`, "merge: want a JSON object or its text"},
		{strings.Repeat(" ", maxConfigSize+1), "more than 1048576 bytes"},
	}
	for _, test := range tests {
		name := configFile(t, test.text)
		code, _, stderr := runCommand(t, nil, "print", "-proc", proc, "-config", name)
		if code != 1 || !strings.Contains(stderr, name+": ") || !strings.Contains(stderr, test.want) {
			t.Errorf("%.80s: exit code %d, stderr %q, want %q", test.text, code, stderr, test.want)
		}
	}
	if code, _, stderr := runCommand(t, nil, "print", "-config", "/nonexistent"); code != 1 || !strings.Contains(stderr, "/nonexistent") {
		t.Errorf("exit code %d, stderr %q", code, stderr)
	}
}

// Both files are opened for each sample: a link may lead elsewhere.
func TestPrintOpensFilesForEachSample(t *testing.T) {
	folder := t.TempDir()
	trees := [2]string{filepath.Join(folder, "first"), filepath.Join(folder, "second")}
	for _, tree := range trees {
		if err := os.CopyFS(tree, os.DirFS(proc)); err != nil {
			t.Fatal(err)
		}
	}
	dev, err := os.ReadFile(filepath.Join(trees[1], "1/net/dev"))
	if err != nil {
		t.Fatal(err)
	}
	more := strings.Replace(string(dev), "11864      36", "11964      37", 1)
	if err := os.WriteFile(filepath.Join(trees[1], "1/net/dev"), []byte(more), 0o600); err != nil {
		t.Fatal(err)
	}
	link, config := filepath.Join(folder, "proc"), configFile(t, `{}`)
	if err := os.Symlink(trees[0], link); err != nil {
		t.Fatal(err)
	}
	lines := &lineWriter{lines: make(chan string)}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	ended := make(chan int, 1)
	go func() {
		args := []string{"print", "-proc", link, "-config", config, "-count", "1000000", "-interval", "1ms"}
		ended <- Main(ctx, args, func(string) string { return "" }, lines, io.Discard)
	}()
	<-lines.lines
	// The report that is being written now is of the first tree or the second.
	if err := os.Rename(configFile(t, `{"ReportNames": "short"}`), config); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(trees[1], link+".new"); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(link+".new", link); err != nil {
		t.Fatal(err)
	}
	var bytesIn uint64
	short := false
	for range 3 {
		r, encoding, err := report.Decode([]byte(<-lines.lines))
		if err != nil {
			t.Fatal(err)
		}
		short = short || encoding.Names == report.Short
		if n := r.Metrics.NetworkStats; n != nil {
			bytesIn += *n.BytesIn
		}
	}
	if bytesIn != 100 || !short {
		t.Errorf("%d bytes in, short names %v; want 100, those of the second tree, and short names", bytesIn, short)
	}
	cancel()
	for {
		select {
		case <-lines.lines:
		case code := <-ended:
			if code != 0 {
				t.Errorf("exit code %d", code)
			}
			return
		}
	}
}

// lineWriter hands over each line.
type lineWriter struct{ lines chan string }

func (w *lineWriter) Write(p []byte) (int, error) {
	w.lines <- strings.TrimSuffix(string(p), "\n")
	return len(p), nil
}

// Reports are printed sorted, as they are sent.
func TestPrintIsSorted(t *testing.T) {
	r, _, _ := printed(t, "-proc", proc)
	_, sent, _, err := r.Fit(report.Encoding{}, report.MaxSize)
	if err != nil {
		t.Fatal(err)
	}
	for i, p := range r.Metrics.ListeningTCPPorts.Ports {
		if sent.Metrics.ListeningTCPPorts.Ports[i] != p {
			t.Errorf("port %d is %v", i, p)
		}
	}
	if first := r.Metrics.TCPConnections.Connections[0].RemoteAddr.String(); first != "10.9.0.1:1002" {
		t.Errorf("the first connection is %s", first)
	}
}

func FuzzParseConfig(f *testing.F) {
	f.Add(`{"MaxListItems": 5}`)
	f.Add(`null`)
	f.Add(`{"components": {"community.greengrass.DeviceDefender": {"configurationUpdate": {"merge": "null"}}}}`)
	f.Add(`{"components": {"community.greengrass.DeviceDefender": {"configurationUpdate": {"merge": "{}"}}}}`)
	f.Add(`{"components": {"community.greengrass.DeviceDefender": {"configurationUpdate": {"merge": []}}}}`)
	f.Fuzz(func(t *testing.T, text string) {
		if raw, err := parseConfig(strings.NewReader(text)); err == nil && raw == nil {
			t.Error("no object and no error")
		}
	})
}
