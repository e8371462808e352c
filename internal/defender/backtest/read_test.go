package backtest

import (
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/device-defender/device-defender/internal/defender/detect"
	"github.com/device-defender/device-defender/internal/defender/profile"
	"github.com/device-defender/device-defender/internal/defender/report"
)

const aReport = `{"header":{"report_id":1,"version":"1.0"},"metrics":{"network_stats":{"bytes_in":1,"bytes_out":2,"packets_in":3,"packets_out":4},"listening_tcp_ports":{"ports":[{"port":22,"interface":"lo"}],"total":1}}}`

// Lines as they are documented, there and back.
func TestLines(t *testing.T) {
	r, _, err := report.Decode([]byte(aReport))
	if err != nil {
		t.Fatal(err)
	}
	text, err := ReportLine("gateway-2", at(5).Add(1500*time.Microsecond), r)
	if want := `{"thing":"gateway-2","time":"2026-11-20T00:05:00.001Z","report":` + aReport + "}\n"; err != nil || string(text) != want {
		t.Errorf("%s %v, want\n%s", text, err, want)
	}
	o, err := parseLine(text)
	if err != nil {
		t.Fatal(err)
	}
	want := detect.Observation{Thing: "gateway-2", Time: at(5).Add(time.Millisecond), Measurements: []detect.Measurement{
		{Metric: profile.MetricRef{Name: "aws:all-bytes-out"}, Value: profile.Value{Count: new(int64(2))}},
		{Metric: profile.MetricRef{Name: "aws:all-bytes-in"}, Value: profile.Value{Count: new(int64(1))}},
		{Metric: profile.MetricRef{Name: "aws:all-packets-out"}, Value: profile.Value{Count: new(int64(4))}},
		{Metric: profile.MetricRef{Name: "aws:all-packets-in"}, Value: profile.Value{Count: new(int64(3))}},
		{Metric: profile.MetricRef{Name: "aws:num-listening-tcp-ports"}, Value: profile.Value{Count: new(int64(1))}},
		{Metric: profile.MetricRef{Name: "aws:listening-tcp-ports"}, Value: profile.Value{Ports: []int32{22}}},
	}}
	ignore := cmpopts.IgnoreUnexported(detect.Measurement{})
	if d := cmp.Diff(want, o, ignore); d != "" {
		t.Error(d)
	}
	text, err = ValueLine("<a>", at(0), detect.Measurement{
		Metric: profile.MetricRef{Name: "aws:num-messages-sent", Dimension: "Auth", NotIn: true}, Value: profile.Value{Count: new(int64(3))},
	})
	if want := `{"thing":"<a>","time":"2026-11-20T00:00:00Z","metric":"aws:num-messages-sent","dimension":{"dimensionName":"Auth","operator":"NOT_IN"},"value":{"count":3}}` + "\n"; err != nil || string(text) != want {
		t.Errorf("%s %v, want\n%s", text, err, want)
	}
	cut := detect.Measurement{Metric: profile.MetricRef{Name: "aws:listening-tcp-ports"}, Value: profile.Value{Ports: []int32{22}}, Cut: &profile.Cut{Listed: 1, Total: 3}}
	text, err = ValueLine("a", at(0), cut)
	if want := `{"thing":"a","time":"2026-11-20T00:00:00Z","metric":"aws:listening-tcp-ports","value":{"ports":[22]},"cut":{"listed":1,"total":3}}` + "\n"; err != nil || string(text) != want {
		t.Errorf("%s %v, want\n%s", text, err, want)
	}
	if o, err = parseLine(text); err != nil || cmp.Diff([]detect.Measurement{cut}, o.Measurements, ignore) != "" {
		t.Errorf("%+v %v, want %+v", o, err, cut)
	}
}

// observed returns what is read, as "thing minute value".
func observed(t *testing.T, rec *Recording) []string {
	t.Helper()
	var list []string
	err := rec.Read(t.Context(), func(int64) {}, func(o *detect.Observation) {
		list = append(list, fmt.Sprintf("%s %v %d", o.Thing, o.Time.Sub(begin).Minutes(), *o.Measurements[0].Value.Count))
	})
	if err != nil {
		t.Fatal(err)
	}
	return list
}

// Files are merged by time, whether they are in order or not, compressed or
// not, in a folder or on standard input; and may be read again.
func TestMerge(t *testing.T) {
	folder := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(folder, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	line := func(thing string, minutes int, n int64) string {
		return value(t, thing, minutes, "aws:all-packets-out", profile.Value{Count: &n})
	}
	write("f/ordered.ndjson", line("a", 0, 1)+"\r\n\n"+line("a", 10, 2)+"  "+line("a", 20, 3))
	write("f/deep/unordered.jsonl", line("b", 20, 3)+" \n"+line("b", 0, 1)+"\t"+strings.TrimSuffix(line("b", 10, 2), "\n"))
	write("f/notes.txt", "not a recording")
	write("f/.hidden/x.ndjson", "not read")
	var z bytes.Buffer
	w := gzip.NewWriter(&z)
	fmt.Fprint(w, `{"time":"2026-11-20T01:10:00+01:00","value":{"count":2},"extra":[{"time":"x"}],"metric":"aws:all-packets-out","thing":"c"}`)
	w.Close()
	gz := write("c.ndjson.gz", z.String())

	rec, err := Open(t.Context(), []string{filepath.Join(folder, "f"), gz, "-"}, strings.NewReader(line("d", 15, 9)+line("d", 5, 8)))
	if err != nil {
		t.Fatal(err)
	}
	if rec.Lines != 9 || !rec.From.Equal(at(0)) || !rec.To.Equal(at(20)) {
		t.Errorf("%d lines from %v to %v", rec.Lines, rec.From, rec.To)
	}
	// Of the same time, in the order of the files.
	want := []string{"b 0 1", "a 0 1", "d 5 8", "b 10 2", "a 10 2", "c 10 2", "d 15 9", "b 20 3", "a 20 3"}
	for range 2 {
		if d := cmp.Diff(want, observed(t, rec)); d != "" {
			t.Error(d)
		}
	}
}

func TestBadLines(t *testing.T) {
	good := counts(t, "a", "aws:all-packets-out", 1)
	for text, want := range map[string]string{
		`{`:                                "2: malformed JSON",
		`[]`:                               "2: array, want an object",
		`{"thing":"a"}`:                    "2: no time",
		`{"thing":"a","time":3}`:           "2: time: number does not fit",
		`{"thing":"a","time":"yesterday"}`: `2: time "yesterday", want as 2026-11-22T14:30:00Z`,
		`{"thing":"a","time":"1969-12-31T23:00:00Z"}`:                                                                                    "2: time 1969-12-31T23:00:00Z, want one from 1970 to 2199",
		`{"thing":"a","time":"2026-11-22T14:30:00Z"}`:                                                                                    "2: neither a report nor a value",
		`{"thing":"a","time":"2026-11-22T14:30:00Z","report":{},"metric":"m","value":{"count":1}}`:                                       "2: both a report and a value",
		`{"thing":"a","time":"2026-11-22T14:30:00Z","report":{}}`:                                                                        "2: report: header: missing",
		`{"thing":"a","time":"2026-11-22T14:30:00Z","metric":"m"}`:                                                                       "2: a metric without a value",
		`{"thing":"a","time":"2026-11-22T14:30:00Z","value":{"count":1}}`:                                                                "2: metric: ",
		`{"thing":"a","time":"2026-11-22T14:30:00Z","metric":"m","value":{"count":1,"number":1}}`:                                        "2: a value with 2 members",
		`{"thing":"a","time":"2026-11-22T14:30:00Z","metric":"m","value":{"count":"1"}}`:                                                 "2: value.count: string does not fit",
		`{"thing":"a","time":"2026-11-22T14:30:00Z","metric":"aws:all-packets-out","value":{"ports":[1]}}`:                               "2: metric aws:all-packets-out with ports, want count",
		`{"thing":"a","time":"2026-11-22T14:30:00Z","metric":"m","dimension":{"dimensionName":"d","operator":"OF"},"value":{"count":1}}`: `2: operator "OF"`,
		`{"thing":"a","time":"2026-11-22T14:30:00Z","metric":"m","value":{"count":1},"cut":{"listed":1,"total":2}}`:                      "2: cut with count, want it with a list",
		`{"thing":"a","time":"2026-11-22T14:30:00Z","metric":"m","value":{"ports":[1]},"cut":{"listed":2,"total":2}}`:                    "2: cut with 2 of 2 entries listed",
		`{"thing":"a","time":"2026-11-22T14:30:00Z","metric":"m","value":{"ports":[1]},"cut":true}`:                                      "2: cut: bool does not fit",
		`{"thing":"a","time":"2026-11-22T14:30:00Z","report":{},"cut":{"listed":1,"total":2}}`:                                           "2: both a report and a value",
		`{"thing":"a/b","time":"2026-11-22T14:30:00Z","metric":"m","value":{"count":1}}`:                                                 "2: ",
		`{"thing":"a","time":"2026-11-22T14:30:00Z","metric":"m","value":{"count":1},"time":"2026-11-23T14:30:00Z"}`:                     "2: two times",
		"{\"thing\":\"\xff\",\"time\":\"2026-11-22T14:30:00Z\"}":                                                                         "2: not valid UTF-8",
		strings.Repeat("x", MaxLine+1): "2: longer than 1048576 bytes",
	} {
		name := filepath.Join(t.TempDir(), "r.ndjson")
		if err := os.WriteFile(name, []byte(good+text+"\n"+good), 0o600); err != nil {
			t.Fatal(err)
		}
		rec, err := Open(t.Context(), []string{name}, nil)
		if err == nil {
			err = rec.Read(t.Context(), func(int64) {}, func(*detect.Observation) {})
		}
		if err == nil || !strings.HasPrefix(err.Error(), name+":"+want) {
			t.Errorf("%.80s: %v, want %s", text, err, want)
		}
	}
}

func TestOpenFails(t *testing.T) {
	folder := t.TempDir()
	if err := os.WriteFile(filepath.Join(folder, "x.ndjson.gz"), []byte("this is not what gzip makes"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ name, stdin, want string }{
		{filepath.Join(folder, "missing"), "", "no such file"},
		{filepath.Join(folder, "x.ndjson.gz"), "", "gzip: invalid header"},
		{t.TempDir(), "", "nothing is recorded in"},
		{"-", "\n\n", "nothing is recorded in -"},
		{"-", strings.Repeat("{}\n", 100), "-: more than 0 MB of recordings"},
	} {
		if _, err := open(t.Context(), []string{c.name}, strings.NewReader(c.stdin), 200); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %s", c.name, err, c.want)
		}
	}
	// What is in order needs no memory, what is not does.
	line := func(minutes int) string {
		return value(t, "a", minutes, "aws:all-packets-out", profile.Value{Count: new(int64(1))})
	}
	name := filepath.Join(folder, "r.ndjson")
	for text, fits := range map[string]bool{line(0) + line(5) + line(5) + line(10): true, line(0) + line(5) + line(4): false} {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := open(t.Context(), []string{name}, nil, 200); (err == nil) != fits {
			t.Errorf("%v, want it to fit: %v", err, fits)
		}
	}
}

// Reading ends when it is cancelled, and when the file has become another one.
func TestReadEnds(t *testing.T) {
	lines := counts(t, "a", "aws:all-packets-out", make([]int64, 20_000)...)
	rec := recording(t, lines)
	ctx, cancel := context.WithCancel(t.Context())
	n := 0
	if err := rec.Read(ctx, func(int64) {}, func(*detect.Observation) { n++; cancel() }); err != context.Canceled || n == 20_000 {
		t.Errorf("%v after %d", err, n)
	}
	// Lines that come later are not part of it.
	name := rec.sources[0].name
	if err := os.WriteFile(name, []byte(lines+lines), 0o600); err != nil {
		t.Fatal(err)
	}
	if list := observed(t, rec); len(list) != 20_000 {
		t.Errorf("%d lines", len(list))
	}
	if err := os.WriteFile(name, []byte(lines[:1000]), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := rec.Read(t.Context(), func(int64) {}, func(*detect.Observation) {}); err == nil {
		t.Error("no error from a shorter file")
	}
}

// Whatever a file holds, it is read or refused with its name, and what is read
// is in order of time.
func FuzzRead(f *testing.F) {
	f.Add([]byte(counts(f, "a", "aws:all-packets-out", 1, 2, 3)))
	f.Add([]byte(`{"thing":"a","time":"2026-11-22T14:30:00Z","report":` + aReport + "}\n\n" + `{"time":"2026-11-22T14:30:00+01:00","thing":"a","metric":"m","value":{"strings":["x"]}}`))
	f.Add([]byte(`{"thing":"a\",\"time\":\"","time":"2026-11-22T14:30:00Z","metric":"aws:source-ip-address","dimension":{"dimensionName":"d"},"value":{"cidrs":["::1"]}}`))
	f.Add([]byte(`{"thing":"a","time":"2026-11-22T14:30:00Z","metric":"aws:listening-udp-ports","value":{"ports":[53]},"cut":{"listed":1,"total":3}}`))
	f.Add([]byte("{\"thing\":\"a\",\"time\":\"\"}\x00\r\n\xff"))
	f.Fuzz(func(t *testing.T, data []byte) {
		rec, err := open(t.Context(), []string{"-"}, bytes.NewReader(data), 1<<20)
		var last time.Time
		if err == nil {
			err = rec.Read(t.Context(), func(int64) {}, func(o *detect.Observation) {
				if o.Thing == "" || o.Time.Before(last) || o.Time.Before(rec.From) || o.Time.After(rec.To) {
					t.Errorf("%+v after %v", o, last)
				}
				last = o.Time
			})
		}
		if err != nil && !strings.HasPrefix(err.Error(), "-:") && !strings.HasPrefix(err.Error(), "nothing is recorded") {
			t.Errorf("%v", err)
		}
	})
}
