package cli

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/iot/types"
	"github.com/google/go-cmp/cmp"

	"github.com/device-defender/device-defender/internal/defender/servicetest"
)

// recordedLine is a line of a recording, as it's documented.
type recordedLine struct {
	Thing     string          `json:"thing"`
	Time      time.Time       `json:"time"`
	Report    json.RawMessage `json:"report"`
	Metric    string          `json:"metric"`
	Dimension json.RawMessage `json:"dimension"`
	Value     json.RawMessage `json:"value"`
}

func recordedLines(t *testing.T, text string) (lines []recordedLine) {
	t.Helper()
	for line := range strings.Lines(text) {
		var l recordedLine
		if err := json.Unmarshal([]byte(line), &l); err != nil || !strings.HasSuffix(line, "\n") {
			t.Fatalf("%v: %q", err, line)
		}
		lines = append(lines, l)
	}
	return lines
}

// The examples of record and backtest in their help, run one after the other:
// what is recorded is evaluated.
func TestRecordAndBacktestExamples(t *testing.T) {
	t.Chdir(t.TempDir())
	write := func(name, text string) {
		t.Helper()
		if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	example := func(c string, n int) []string {
		t.Helper()
		command, _, err := newRoot().Find([]string{c})
		if err != nil {
			t.Fatal(err)
		}
		args := words(strings.Split(strings.TrimSpace(command.Example), "\n")[n])
		if args[0] != "defenderctl" || args[1] != c {
			t.Fatalf("example %q", args)
		}
		return args[1:]
	}

	// A day of this host, in which time flies.
	synctest.Test(t, func(t *testing.T) {
		if _, stderr, code := invoke(t, "", example("record", 0)...); code != 0 {
			t.Fatalf("exit code %d\n%s", code, stderr)
		}
	})
	text, err := os.ReadFile("gateway.ndjson")
	if err != nil {
		t.Fatal(err)
	}
	lines := recordedLines(t, string(text))
	host, _ := os.Hostname()
	if last := lines[len(lines)-1]; len(lines) != 289 || last.Thing != host || last.Time.Sub(lines[0].Time) != 24*time.Hour {
		t.Fatalf("%d lines, the last %s at %v", len(lines), last.Thing, last.Time)
	}
	if bytes.Contains(lines[0].Report, []byte("network_stats")) || !bytes.Contains(lines[288].Report, []byte("network_stats")) {
		t.Errorf("%s\n%s", lines[0].Report, lines[288].Report)
	}

	// What the service has kept of a fleet.
	w := servicetest.NewWorld(t, time.Now().Add(-95*time.Minute).Truncate(time.Minute))
	w.Things("gateway-1", "gateway-2")
	w.Profile("DataExfiltrationCheck", servicetest.PacketExfiltration(1))
	w.Exfiltrate()
	w.Real()
	succeed(t, w, example("record", 1)...)
	if text, err = os.ReadFile("fleet.ndjson"); err != nil {
		t.Fatal(err)
	}
	lines = recordedLines(t, string(text))
	count := map[string]int{}
	for i, l := range lines {
		count[l.Thing+" "+l.Metric]++
		if i > 0 && l.Time.Before(lines[i-1].Time) {
			t.Errorf("line %d is before the one before", i+1)
		}
	}
	expected := map[string]int{}
	for _, thing := range []string{"gateway-1", "gateway-2"} {
		for _, metric := range []string{"aws:all-packets-out", "aws:all-packets-in", "aws:destination-ip-addresses"} {
			expected[thing+" "+metric] = 18
		}
	}
	if d := cmp.Diff(expected, count); d != "" {
		t.Error(d)
	}
	var values []int
	for _, l := range recordedLines(t, succeed(t, w, example("record", 2)...)) {
		var v struct{ Count int }
		if err := json.Unmarshal(l.Value, &v); err != nil {
			t.Fatal(err)
		}
		if l.Metric == "aws:all-packets-out" {
			values = append(values, v.Count)
		}
	}
	if d := cmp.Diff([]int{300, 300, 300, 300, 300, 300, 300, 300, 300, 300, 300, 320, 5013, 5014, 5015, 290, 290, 290}, values); d != "" {
		t.Error(d)
	}

	// What a profile with the limit of the service's says of it is what the
	// service has said.
	write("profiles/p.yaml", `
securityProfileName: DataExfiltrationCheck
behaviors:
  - {name: PacketExfiltration, metric: aws:all-packets-out, criteria: {comparisonOperator: less-than-equals, value: {count: 1000}, durationSeconds: 300}}
`)
	write("rule.json", `{"securityProfileName":"Never","targets":["gateways"],"behaviors":[{"name":"Never","metric":"aws:all-packets-in","criteria":{"comparisonOperator":"less-than","value":{"count":1000}}}]}`)
	for _, name := range []string{"monday.ndjson", "recordings/tuesday.ndjson"} {
		write(name, string(text))
	}
	var z bytes.Buffer
	zip := gzip.NewWriter(&z)
	zip.Write(text)
	zip.Close()
	write("tuesday.ndjson.gz", z.String())
	stdout, stderr, code := invoke(t, "", example("backtest", 0)...)
	if code != 0 {
		t.Fatalf("exit code %d\n%s", code, stderr)
	}
	if rows := violations(t, w, "--since", "3h"); len(rows) != 2 {
		t.Errorf("%+v", rows)
	}
	want(t, stdout, `^gateway-2 +DataExfiltrationCheck +PacketExfiltration +1 +15m +clear$`)
	if stdout, stderr, code = invoke(t, "", example("backtest", 1)...); code != 0 || !strings.Contains(stdout, `"ignored": 0`) {
		t.Errorf("exit code %d\n%s%s", code, stdout, stderr)
	}
	if stdout, stderr, code = invoke(t, "", example("backtest", 2)...); code != 1 || stderr != "defenderctl: 1 alarm\n" {
		t.Errorf("exit code %d\n%s%s", code, stdout, stderr)
	}
}

// A recording goes on in the same file, and ends when it's interrupted.
func TestRecordHost(t *testing.T) {
	file := filepath.Join(t.TempDir(), "r.ndjson")
	record := func(ctx context.Context, args ...string) (stderr string, code int) {
		var errs bytes.Buffer
		code = Main(ctx, append([]string{"record", "--thing", "laptop", "--output-file", file}, args...), strings.NewReader(""), &bytes.Buffer{}, &errs)
		return errs.String(), code
	}
	if stderr, code := record(t.Context(), "--count", "1"); code != 0 || stderr != "" {
		t.Errorf("exit code %d: %s", code, stderr)
	}
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 11*time.Second)
		defer cancel()
		if stderr, code := record(ctx, "--interval", "5s"); code != 0 || stderr != "3 reports recorded\n" {
			t.Errorf("exit code %d: %s", code, stderr)
		}
	})
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if lines := recordedLines(t, string(text)); len(lines) != 4 || lines[3].Thing != "laptop" {
		t.Errorf("%s", text)
	}
	if err := os.Truncate(file, int64(len(text)-1)); err != nil {
		t.Fatal(err)
	}
	if stderr, code := record(t.Context(), "--count", "1"); code != 1 || !strings.Contains(stderr, "its last line is cut off") {
		t.Errorf("exit code %d: %s", code, stderr)
	}
}

// A metric with a dimension is recorded with it; so is what is kept of a thing
// that is not registered. A thing that is not there is an error.
func TestRecordValues(t *testing.T) {
	w := exfiltrated(t)
	w.Profile("Topics", types.Behavior{Name: new("Any"), Metric: new("aws:listening-tcp-ports"), Criteria: &types.BehaviorCriteria{
		ComparisonOperator: types.ComparisonOperatorNotInPortSet, Value: &types.MetricValue{Ports: []int32{23}},
	}})
	w.Report("gateway-1", 310)
	text := succeed(t, w, "record", "--from-api", "--thing", "gateway-1", "--metric", "aws:listening-tcp-ports", "--since", "13d")
	if lines := recordedLines(t, text); len(lines) != 1 || string(lines[0].Value) != `{"ports":[22]}` {
		t.Errorf("%s", text)
	}
	for _, args := range [][]string{{"--thing", "nobody", "--all-retained"}, {"--thing", "gateway-1", "--metric", "no_such_metric"}} {
		if _, stderr, code := invoke(t, "", append([]string{"record", "--from-api", "--endpoint-url", w.URL}, args...)...); code != 1 || stderr == "" {
			t.Errorf("%v: %d %q", args, code, stderr)
		}
	}
}

func TestRecordUsage(t *testing.T) {
	for args, want := range map[string]string{
		"--from-api":                                     "say which things",
		"--from-api --thing a --all-things":              "say which things",
		"--from-api --thing a":                           "say which metrics",
		"--from-api --thing a --metric b --all-retained": "say which metrics",
		"--from-api --thing a --metric b --count 1":      "--count is of this host",
		"--since 24h":                                    "--since needs --from-api",
		"--local":                                        "--local needs --from-api",
		"--thing a --thing b":                            "this host is one --thing",
		"--thing a/b":                                    "--thing: ",
		"--interval 1ms":                                 "--interval 1ms, want a second or more",
		"--count -1":                                     "want more than 0",
		"--output-file x.ndjson.gz":                      "name it without .gz",
	} {
		if _, stderr, code := invoke(t, "", append([]string{"record"}, strings.Fields(args)...)...); code != 2 || !strings.Contains(stderr, want) {
			t.Errorf("%s: %d %q, want %q", args, code, stderr, want)
		}
	}
}

// What takes long is shown, and nothing of it is left.
func TestBar(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var b bytes.Buffer
		shown := &bar{w: &b, began: time.Now()}
		shown.update("reading", 1, 10)
		if b.Len() > 0 {
			t.Errorf("%q at once", b.String())
		}
		time.Sleep(patience)
		shown.update("reading", 5, 10)
		time.Sleep(time.Second)
		shown.update("trying", 10, 10)
		time.Sleep(time.Second)
		shown.end()
		shown.end()
		if text := b.String(); !strings.Contains(text, "reading") || !strings.Contains(text, "50.00%") || !strings.Contains(text, "trying") {
			t.Errorf("%q", text)
		}
	})
}

// That a list was cut goes from the report over the service and its API into a
// recording: what backtest says of it is what the service said. Tables and
// plots say it too.
func TestCutLists(t *testing.T) {
	t.Chdir(t.TempDir())
	w := servicetest.NewWorld(t, time.Now().Add(-65*time.Minute).Truncate(time.Minute))
	w.Things("gateway-1")
	w.Profile("Destinations", types.Behavior{Name: new("Known"), Metric: new("aws:destination-ip-addresses"), Criteria: &types.BehaviorCriteria{
		ComparisonOperator: types.ComparisonOperatorInCidrSet, Value: &types.MetricValue{Cidrs: []string{"127.0.0.0/8", "198.51.100.0/24"}},
	}})
	report := func(total int, addresses ...string) {
		w.Pass(5 * time.Minute)
		w.ReportCut("gateway-1", 300, total, addresses...)
	}
	report(1, servicetest.Broker)
	report(2, servicetest.Broker, servicetest.Unknown)
	report(1240, "127.0.0.1", "127.0.0.2")
	report(1240, "127.0.0.3", "127.0.0.4")
	report(1, servicetest.Broker)
	report(1240, "127.0.0.5", "127.0.0.6")
	w.Real()
	rows := violations(t, w, "--since", "3h")
	if len(rows) != 2 || rows[0].State != "alarm-cleared" || !rows[0].Time.Equal(w.At(25)) || !rows[1].Time.Equal(w.At(10)) {
		t.Fatalf("%+v", rows)
	}

	recording := succeed(t, w, "record", "--from-api", "--all-things", "--all-retained", "--since", "3h")
	if err := os.WriteFile("r.ndjson", []byte(recording), 0o600); err != nil {
		t.Fatal(err)
	}
	const behavior = `{"securityProfileName":"Destinations","behaviors":[{"name":"Known","metric":"aws:destination-ip-addresses",
		"criteria":{"comparisonOperator":"in-cidr-set","value":{"cidrs":["127.0.0.0/8","198.51.100.0/24"]}}}]}`
	if err := os.WriteFile("p.json", []byte(behavior), 0o600); err != nil {
		t.Fatal(err)
	}
	stdout, stderr, code := invoke(t, "", "backtest", "p.json", "--reports", "r.ndjson")
	if code != 0 {
		t.Fatalf("exit code %d\n%s", code, stderr)
	}
	want(t, stdout, `^gateway-1 +Destinations +Known +1 +15m +clear$`)
	want(t, stdout, `^Destinations Known: 3 of 6 lists are cut, shorter than their total: they may raise an alarm and never clear one$`)

	want(t, succeed(t, w, "metric", "values", "gateway-1", "aws:destination-ip-addresses", "--since", "3h", "--as", "table"),
		`127\.0\.0\.3, 127\.0\.0\.4 \(list cut: 2 of 1,240 reported\)$`)
	want(t, succeed(t, w, "violation", "show", rows[0].ViolationID), `^destination IP addresses  8 members in 6 reports \(3 lists cut, the last to 2 of 1,240\)`)
}
