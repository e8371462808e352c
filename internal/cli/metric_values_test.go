package cli

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/device-defender/device-defender/internal/defender/finding"
	"github.com/device-defender/device-defender/internal/defender/profile"
	"github.com/device-defender/device-defender/internal/defender/servicetest"
)

func TestMetricValues(t *testing.T) {
	w := exfiltrated(t)
	values := func(args ...string) string { return succeed(t, w, append([]string{"metric", "values"}, args...)...) }
	from, to := w.At(58).UTC().Format(time.RFC3339), w.At(66).UTC().Format(time.RFC3339)
	stamp := func(minute int) string { return w.At(minute).UTC().Format("2006-01-02T15:04:05Z") }

	if got, want := values("gateway-2", "aws:all-packets-out", "--from", from, "--to", to, "--as", "csv"),
		"time,value\n"+stamp(60)+",320\n"+stamp(65)+",5013\n"; got != want {
		t.Errorf("CSV:\n%s\nwant\n%s", got, want)
	}
	if got, want := values("gateway-2", "aws:destination-ip-addresses", "--from", from, "--to", to, "--as", "csv"),
		"time,value\n"+stamp(60)+",198.51.100.10 203.0.113.77\n"+stamp(65)+",198.51.100.10 203.0.113.77\n"; got != want {
		t.Errorf("CSV:\n%s\nwant\n%s", got, want)
	}
	want(t, values("gateway-2", "aws:all-packets-out", "--from", from, "--to", to, "--as", "table"), `^TIME +VALUE$`, ` 5,013 packets$`)
	want(t, values("gateway-2", "aws:all-packets-out", "--since", "3h"), `^gateway-2$`, `packets out`)
	var rows []valueRow
	if err := json.Unmarshal([]byte(values("gateway-2", "aws:all-packets-in", "--since", "3h", "-o", "json")), &rows); err != nil || len(rows) != 18 || *rows[0].Value.Count != 10 {
		t.Errorf("%+v, %v", rows, err)
	}
	if page := values("gateway-2", "aws:destination-ip-addresses", "--html", "-"); !strings.HasPrefix(page, "<!") || !strings.Contains(page, servicetest.Unknown) {
		t.Errorf("%.200s", page)
	}
	// A metric that no profile retains has no values, which is said.
	stdout, stderr, code := invoke(t, "", "metric", "values", "gateway-2", "aws:listening-tcp-ports", "--endpoint-url", w.URL)
	if code != 0 || stdout != "" || !strings.Contains(stderr, "uses or retains") {
		t.Errorf("%d %q %q", code, stdout, stderr)
	}
	for _, args := range [][]string{{"nobody", "aws:all-packets-out"}, {"gateway-2", "no_such_metric"}} {
		if _, stderr, code := invoke(t, "", append([]string{"metric", "values", "--endpoint-url", w.URL}, args...)...); code != 1 || stderr == "" {
			t.Errorf("%v: %d %q", args, code, stderr)
		}
	}
}

// Elements from devices do not become formulas or escape sequences.
func TestCSVIsHarmless(t *testing.T) {
	var b strings.Builder
	values := []finding.TimedValue{
		{Time: time.Unix(0, 0), Value: profile.Value{Strings: []string{"=1+1", "a,\"b", "\x1b[2J", "-"}}},
		{Time: time.Unix(60, 0), Value: profile.Value{Number: new(-1.5)}},
		{Time: time.Unix(120, 0), Value: profile.Value{Ports: []int32{22, 443}}},
		{Time: time.Unix(180, 0), Value: profile.Value{Strings: []string{}}},
	}
	if err := writeCSV(&b, values); err != nil {
		t.Fatal(err)
	}
	want := "time,value\n1970-01-01T00:00:00Z,\"'=1+1 a,\"\"b \\u{1b}[2J '-\"\n1970-01-01T00:01:00Z,-1.5\n1970-01-01T00:02:00Z,22 443\n1970-01-01T00:03:00Z,\n"
	if b.String() != want {
		t.Errorf("%q\nwant\n%q", b.String(), want)
	}
}
