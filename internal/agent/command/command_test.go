package command

import (
	"bytes"
	"context"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/fxamacker/cbor/v2"

	"github.com/device-defender/device-defender/internal/agent"
	"github.com/device-defender/device-defender/internal/defender/report"
)

const proc = "../../metrics/testdata/scenario"

// runCommand runs the command line with an environment.
func runCommand(t *testing.T, environment map[string]string, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	code = Main(t.Context(), args, func(name string) string { return environment[name] }, &out, &errs)
	return code, out.String(), errs.String()
}

func TestPrint(t *testing.T) {
	tests := []struct {
		args []string
		want report.Encoding
	}{
		{nil, report.Encoding{Format: report.JSON, Names: report.Long}},
		{[]string{"-names", "short"}, report.Encoding{Format: report.JSON, Names: report.Short}},
		{[]string{"-format", "CBOR"}, report.Encoding{Format: report.CBOR, Names: report.Long}},
		{[]string{"--format=cbor", "--names=short"}, report.Encoding{Format: report.CBOR, Names: report.Short}},
	}
	for _, test := range tests {
		code, stdout, stderr := runCommand(t, nil, append([]string{"print", "-proc", proc}, test.args...)...)
		if code != 0 || stderr != "" {
			t.Fatalf("print %v: exit code %d, stderr %q", test.args, code, stderr)
		}
		r, encoding, err := report.Decode([]byte(strings.TrimSuffix(stdout, "\n")))
		if err != nil {
			t.Fatalf("print %v: %v", test.args, err)
		}
		if encoding != test.want {
			t.Errorf("print %v: encoding %+v, want %+v", test.args, encoding, test.want)
		}
		if total := *r.Metrics.ListeningTCPPorts.Total; total != 10 {
			t.Errorf("print %v: %d listening TCP ports, want 10", test.args, total)
		}
		if r.Metrics.NetworkStats != nil {
			t.Errorf("print %v: network_stats in the only sample", test.args)
		}
	}
}

func TestPrintSeveral(t *testing.T) {
	code, stdout, stderr := runCommand(t, map[string]string{"PROCFS_PATH": proc}, "print", "-count", "3", "-interval", "1ms")
	if code != 0 {
		t.Fatalf("exit code %d, stderr %q", code, stderr)
	}
	lines := strings.Split(strings.TrimSuffix(stdout, "\n"), "\n")
	if len(lines) != 3 {
		t.Fatalf("%d lines, want 3", len(lines))
	}
	var last int64
	for i, line := range lines {
		r, _, err := report.Decode([]byte(line))
		if err != nil {
			t.Fatal(err)
		}
		if (r.Metrics.NetworkStats != nil) != (i > 0) {
			t.Errorf("report %d: network_stats %v", i+1, r.Metrics.NetworkStats)
		}
		if r.ID <= last {
			t.Errorf("report id %d after %d", r.ID, last)
		}
		last = r.ID
	}
}

// Reports in CBOR one after the other are a CBOR sequence.
func TestPrintSeveralCBOR(t *testing.T) {
	_, stdout, _ := runCommand(t, nil, "print", "-proc", proc, "-format", "cbor", "-count", "2", "-interval", "1ms")
	decoder := cbor.NewDecoder(strings.NewReader(stdout))
	for n := 0; ; n++ {
		var item cbor.RawMessage
		err := decoder.Decode(&item)
		if err == io.EOF && n == 2 {
			return
		}
		if err != nil {
			t.Fatalf("item %d: %v", n, err)
		}
	}
}

func TestPrintEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	var out bytes.Buffer
	args := []string{"print", "-proc", proc, "-count", "1000", "-interval", "1h"}
	if code := Main(ctx, args, func(string) string { return "" }, &out, io.Discard); code != 0 {
		t.Errorf("exit code %d", code)
	}
}

func TestErrors(t *testing.T) {
	core := map[string]string{
		"AWS_GG_NUCLEUS_DOMAIN_SOCKET_FILEPATH_FOR_COMPONENT": "/run/ipc.socket",
		"SVCUID": "SECRETTOKEN", "AWS_IOT_THING_NAME": "thing",
	}
	without := func(name, value string) map[string]string {
		m := map[string]string{name: value}
		for k, v := range core {
			if k != name {
				m[k] = v
			}
		}
		return m
	}
	tests := []struct {
		name        string
		environment map[string]string
		args        []string
		code        int
		want        string
	}{
		{"no nucleus", nil, nil, 2, "AWS_GG_NUCLEUS_DOMAIN_SOCKET_FILEPATH_FOR_COMPONENT, SVCUID not set"},
		{"no socket", without("AWS_GG_NUCLEUS_DOMAIN_SOCKET_FILEPATH_FOR_COMPONENT", ""), nil, 2, "SOCKET_FILEPATH_FOR_COMPONENT not set"},
		{"bad thing name", without("AWS_IOT_THING_NAME", "a/b"), nil, 2, "a/b"},
		{"bad least interval", without(MinIntervalVariable, "5"), nil, 2, `DEVICE_DEFENDER_MIN_INTERVAL: "5", want a duration from 1s`},
		{"unknown command", nil, []string{"report"}, 2, `unknown command "report"`},
		{"argument", core, []string{"run", "now"}, 2, `unexpected argument "now"`},
		{"print argument", nil, []string{"print", "x"}, 2, `unexpected argument "x"`},
		{"print flag", nil, []string{"print", "-fromat", "json"}, 2, "flag provided but not defined: -fromat"},
		{"print format", nil, []string{"print", "-format", "xml"}, 2, `invalid value "xml"`},
		{"print count", nil, []string{"print", "-count", "0"}, 2, "-count 0, want 1 or more"},
		{"print interval", nil, []string{"print", "-interval", "0s"}, 2, "-interval 0s, want more than 0"},
		{"print proc", nil, []string{"print", "-proc", "/nonexistent"}, 1, "/nonexistent"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			code, stdout, stderr := runCommand(t, test.environment, test.args...)
			if code != test.code || !strings.Contains(stderr, test.want) {
				t.Errorf("exit code %d, stderr %q; want %d and %q", code, stderr, test.code, test.want)
			}
			if strings.Contains(stdout+stderr, "SECRETTOKEN") {
				t.Error("the token was printed")
			}
			if test.code == 2 && test.environment != nil && strings.Count(stderr, "\n") != 1 {
				t.Errorf("stderr %q, want one line", stderr)
			}
		})
	}
}

func TestHelpAndVersion(t *testing.T) {
	for _, arg := range []string{"-h", "--help", "help"} {
		code, stdout, _ := runCommand(t, nil, arg)
		for _, want := range []string{"device-defender print", "-names", "PROCFS_PATH", MinIntervalVariable} {
			if code != 0 || !strings.Contains(stdout, want) {
				t.Errorf("%s: exit code %d, output without %q", arg, code, want)
			}
		}
	}
	code, stdout, _ := runCommand(t, nil, "version")
	if code != 0 || !strings.HasPrefix(stdout, "device-defender dev (go") || !strings.Contains(stdout, "commit ") {
		t.Errorf("version: exit code %d, output %q", code, stdout)
	}
}

func TestDefaultsFromEnvironment(t *testing.T) {
	environment := map[string]string{"PROCFS_PATH": "/host-proc", "SAMPLE_INTERVAL_SECONDS": "600", "GG_DD_PUB_RETRY_COUNT": "73"}
	config, problems := DefaultsFrom(func(name string) string { return environment[name] }, agent.MinSampleInterval)
	if config.ProcPath != "/host-proc" || config.SampleInterval != 10*time.Minute || config.PublishRetryCount != 5 {
		t.Errorf("defaults %+v", config)
	}
	if len(problems) != 1 || problems[0].String() != `GG_DD_PUB_RETRY_COUNT: "73", want 0 to 72` {
		t.Errorf("problems %v", problems)
	}
}
