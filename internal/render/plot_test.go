package render

import (
	"bytes"
	"flag"
	"math"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write the golden files")

// golden compares with a file that was read and found right when it was
// written.
func golden(t *testing.T, path string, got []byte) {
	t.Helper()
	if *update {
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("%s:\n%s", path, diff)
	}
}

func TestViolationText(t *testing.T) {
	var b bytes.Buffer
	if err := WriteViolationText(&b, examplePage(), TextOptions{}); err != nil {
		t.Fatal(err)
	}
	golden(t, "testdata/violation.txt", b.Bytes())
}

func TestFleetText(t *testing.T) {
	var b bytes.Buffer
	if err := WriteFleetText(&b, exampleFleet(), TextOptions{Width: 100}); err != nil {
		t.Fatal(err)
	}
	golden(t, "testdata/fleet.txt", b.Bytes())
}

// TestColorsSayNothingNew takes the colours away: what is left is the text
// without colours.
func TestColorsSayNothingNew(t *testing.T) {
	var plain, colored bytes.Buffer
	if err := WriteViolationText(&plain, examplePage(), TextOptions{}); err != nil {
		t.Fatal(err)
	}
	if err := WriteViolationText(&colored, examplePage(), TextOptions{Color: true}); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(plain.String(), "\x1b") {
		t.Error("there are escape sequences without colours")
	}
	if diff := cmp.Diff(plain.String(), regexp.MustCompile(`\x1b\[[0-9;]*m`).ReplaceAllString(colored.String(), "")); diff != "" {
		t.Error(diff)
	}
	for _, part := range []string{"\x1b[31m203.0.113.77", "\x1b[31m━━\x1b[0m in alarm", "\x1b[33m╌╌\x1b[0m p99.99"} {
		if !strings.Contains(colored.String(), part) {
			t.Errorf("%q is missing", part)
		}
	}
}

// TestPlotText draws what a reader can check by eye: flat at 100 until 09:50,
// no report until 10:10, then 300 and in alarm.
func TestPlotText(t *testing.T) {
	var points []Point
	for minute := 0; minute <= 120; minute += 10 {
		v := 100.0
		if minute >= 70 {
			v = 300
		}
		if minute != 60 {
			points = append(points, Point{exampleFrom.Add(time.Duration(minute) * time.Minute), v})
		}
	}
	p := Plot{
		Title: "messages sent", Unit: "messages", Series: []Series{{Points: points}}, Thresholds: []Threshold{{"limit", 200}, {"far", 1e6}},
		Alarms: []Span{{From: exampleFrom.Add(70 * time.Minute)}}, From: exampleFrom, To: exampleFrom.Add(2 * time.Hour),
	}
	var b bytes.Buffer
	if err := WritePlotText(&b, About{}, p, TextOptions{Width: 60}); err != nil {
		t.Fatal(err)
	}
	golden(t, "testdata/plot.txt", b.Bytes())
	for line := range strings.SplitSeq(b.String(), "\n") {
		if cells(line) > 60 {
			t.Errorf("%d columns: %s", cells(line), line)
		}
	}
}

// TestAxes holds the round numbers that an axis ends on.
func TestAxes(t *testing.T) {
	for _, test := range []struct {
		what      string
		values    []float64
		threshold []float64
		unit      string
		want      valueAxis
	}{
		{"from zero", []float64{900, 8913}, nil, "packets", valueAxis{0, 10000, 2500}},
		{"the threshold is on it", []float64{10, 90}, []float64{180}, "packets", valueAxis{0, 200, 50}},
		{"a far threshold is not", []float64{10, 90}, []float64{1e6}, "packets", valueAxis{0, 100, 25}},
		{"no values", nil, nil, "packets", valueAxis{0, 1, 1}},
		{"zeros", []float64{0, 0}, nil, "packets", valueAxis{0, 1, 1}},
		{"one value", []float64{40}, nil, "packets", valueAxis{0, 40, 10}},
		{"counts have no fractions", []float64{0, 2}, nil, "ports", valueAxis{0, 2, 1}},
		{"numbers do", []float64{0, 2}, nil, "", valueAxis{0, 2, 0.5}},
		{"far from zero", []float64{1013, 1021}, nil, "", valueAxis{1012, 1022, 2}},
		{"below zero", []float64{-12, 8}, nil, "", valueAxis{-15, 10, 5}},
		{"no numbers", []float64{math.NaN(), math.Inf(1), 4}, nil, "", valueAxis{0, 4, 1}},
	} {
		p := Plot{Unit: test.unit, Series: []Series{{}}}
		for _, v := range test.values {
			p.Series[0].Points = append(p.Series[0].Points, Point{exampleFrom, v})
		}
		for _, v := range test.threshold {
			p.Thresholds = append(p.Thresholds, Threshold{Value: v})
		}
		if got := p.axis(4); got != test.want {
			t.Errorf("%s: %+v, want %+v", test.what, got, test.want)
		}
	}
}

func TestTimeTicks(t *testing.T) {
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		what     string
		zone     *time.Location
		from, to string
		n        int
		want     string
	}{
		{"an hour", time.UTC, "2026-11-22T09:02:00Z", "2026-11-22T10:02:00Z", 4, "09:15 09:30 09:45 10:00"},
		{"six hours", time.UTC, "2026-11-22T09:00:00Z", "2026-11-22T15:00:00Z", 6, "09:00 10:00 11:00 12:00 13:00 14:00 15:00"},
		{"over midnight", time.UTC, "2026-11-22T20:00:00Z", "2026-11-23T04:00:00Z", 4, "20:00 22:00 00:00 02:00 04:00"},
		{"two weeks", time.UTC, "2026-11-08T12:00:00Z", "2026-11-22T12:00:00Z", 8, "10 Nov 12 Nov 14 Nov 16 Nov 18 Nov 20 Nov 22 Nov"},
		{"midnights of the zone", berlin, "2026-11-20T22:00:00Z", "2026-11-23T22:00:00Z", 3, "21 Nov 22 Nov 23 Nov"},
		{"the night in which summer ends", berlin, "2026-10-24T22:00:00Z", "2026-10-25T23:00:00Z", 8, "00:00 06:00 12:00 18:00 00:00"},
	} {
		from, err := time.Parse(time.RFC3339, test.from)
		if err != nil {
			t.Fatal(err)
		}
		to, err := time.Parse(time.RFC3339, test.to)
		if err != nil {
			t.Fatal(err)
		}
		ticks, layout := timeTicks(from, to, test.zone, test.n)
		var got []string
		for _, tick := range ticks {
			got = append(got, tick.Format(layout))
		}
		if strings.Join(got, " ") != test.want {
			t.Errorf("%s: %s, want %s", test.what, strings.Join(got, " "), test.want)
		}
	}
}

// TestOddPlots draws what no caller should give: nothing may fail or hang.
func TestOddPlots(t *testing.T) {
	at := exampleFrom
	later := at.Add(time.Hour)
	for what, p := range map[string]Plot{
		"nothing":             {},
		"an empty series":     {Series: []Series{{}}, From: at, To: later},
		"no numbers":          {Series: []Series{{Points: []Point{{at, math.NaN()}, {later, math.Inf(-1)}}}}},
		"one point":           {Series: []Series{{Points: []Point{{at, 5}}}}},
		"huge and tiny":       {Series: []Series{{Points: []Point{{at, 1e308}, {at.Add(time.Minute), -1e300}, {later, 5e-324}}}}},
		"all but equal":       {Series: []Series{{Points: []Point{{at, 1e17}, {later, 1e17 + 16}}}}},
		"backwards":           {Series: []Series{{Points: []Point{{later, 1}, {at, 2}, {at, 3}}}}, From: at, To: later},
		"a window backwards":  {Series: []Series{{Points: []Point{{at, 1}, {later, 2}}}}, From: later, To: at},
		"from the year 1":     {Series: []Series{{Points: []Point{{time.Time{}, 1}, {later, 2}}}}},
		"to a far year":       {Series: []Series{{Points: []Point{{at, 1}, {time.Unix(1<<60, 0), 2}}}}},
		"an alarm backwards":  {Series: []Series{{Points: []Point{{at, 1}, {later, 2}}}}, Alarms: []Span{{later, at}, {}, {To: at}}},
		"a threshold of none": {Series: []Series{{Points: []Point{{at, 1}, {later, 2}}}}, Thresholds: []Threshold{{"a", math.NaN()}, {"b", math.Inf(1)}, {"c", -1e300}}},
		"points outside":      {Series: []Series{{Points: []Point{{at.Add(-time.Hour), 1}, {at, 2}, {later, 3}, {later.Add(time.Hour), 4}}}}, From: at, To: later},
		"many series":         {Series: []Series{{Points: []Point{{at, 1}, {later, 2}}}, {}, {Points: []Point{{at, 3}, {later, 3}}}, {}, {}}},
	} {
		t.Run(what, func(t *testing.T) {
			for _, width := range []int{1, 40, 80, 1000} {
				if err := WritePlotText(&bytes.Buffer{}, About{}, p, TextOptions{Width: width, Color: true}); err != nil {
					t.Error(err)
				}
			}
			page := ViolationPage{Plot: &p, Context: []Plot{p}, Sets: []SetHistory{{}}}
			if err := WriteViolationHTML(&bytes.Buffer{}, page); err != nil {
				t.Error(err)
			}
			if err := WriteViolationText(&bytes.Buffer{}, page, TextOptions{}); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestMetricText(t *testing.T) {
	page := examplePage()
	var b bytes.Buffer
	if err := WriteMetricText(&b, MetricPage{About: About{Notes: []string{"two reports are missing"}}, Thing: "sensor-07", Set: &page.Sets[1]}, TextOptions{}); err != nil {
		t.Fatal(err)
	}
	const want = `sensor-07
listening TCP ports  3 members in 71 reports, 0 new since 2026-11-22 12:30:00 UTC
       22    22 Nov 2026, 09:00 to 15:00 UTC, 71 of 71 reports
       443   22 Nov 2026, 09:00 to 15:00 UTC, 71 of 71 reports
       8883  22 Nov 2026, 09:00 to 15:00 UTC, 71 of 71 reports
Note     two reports are missing
`
	if diff := cmp.Diff(want, b.String()); diff != "" {
		t.Error(diff)
	}
}
