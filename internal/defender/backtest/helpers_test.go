package backtest

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/device-defender/device-defender/internal/defender/detect"
	"github.com/device-defender/device-defender/internal/defender/profile"
	"github.com/device-defender/device-defender/internal/defender/profile/profilefile"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// begin is when recordings of tests begin.
var begin = time.Date(2026, 11, 20, 0, 0, 0, 0, time.UTC)

// at is the time so many minutes later.
func at(minutes int) time.Time { return begin.Add(time.Duration(minutes) * time.Minute) }

// value is a line.
func value(t testing.TB, thing string, minutes int, metric string, v profile.Value) string {
	t.Helper()
	return measured(t, thing, minutes, detect.Measurement{Metric: profile.MetricRef{Name: metric}, Value: v})
}

// measured is a line of a measurement.
func measured(t testing.TB, thing string, minutes int, m detect.Measurement) string {
	t.Helper()
	text, err := ValueLine(thing, at(minutes), m)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// counts are lines of a thing, every 5 minutes from the fifth on.
func counts(t testing.TB, thing, metric string, values ...int64) string {
	t.Helper()
	var b strings.Builder
	for i, v := range values {
		b.WriteString(value(t, thing, 5*(i+1), metric, profile.Value{Count: &v}))
	}
	return b.String()
}

// recording opens lines as a file.
func recording(t testing.TB, lines ...string) *Recording {
	t.Helper()
	name := filepath.Join(t.TempDir(), "r.ndjson")
	if err := os.WriteFile(name, []byte(strings.Join(lines, "")), 0o600); err != nil {
		t.Fatal(err)
	}
	rec, err := Open(context.Background(), []string{name}, nil)
	if err != nil {
		t.Fatal(err)
	}
	return rec
}

// set reads profiles, which are valid.
func set(t testing.TB, yaml string) *profilefile.Set {
	t.Helper()
	s, problems := profilefile.Parse("p.yaml", []byte(yaml))
	for _, p := range append(problems, s.Validate()...) {
		if p.Severity == profile.Error {
			t.Fatal(p)
		}
	}
	return s
}

// run evaluates at one alarm a week and thing.
func run(t testing.TB, s *profilefile.Set, rec *Recording) *Result {
	t.Helper()
	r, err := Run(t.Context(), s.Profiles, s.Registry(), rec, Options{MaxAlarmsPerWeek: 1})
	if err != nil {
		t.Fatal(err)
	}
	return r
}
