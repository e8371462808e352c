package render

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/xml"
	"io"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// htmlPages are all pages, as their callers write them.
func htmlPages(t *testing.T) map[string]string {
	t.Helper()
	pages := map[string]string{}
	for name, write := range map[string]func(io.Writer) error{
		"violation": func(w io.Writer) error { return WriteViolationHTML(w, examplePage()) },
		"hostile":   func(w io.Writer) error { return WriteViolationHTML(w, hostilePage()) },
		"metric": func(w io.Writer) error {
			return WriteMetricHTML(w, MetricPage{About: exampleAbout(), Thing: "sensor-07", Plot: examplePage().Plot})
		},
		"fleet":    func(w io.Writer) error { return WriteFleetHTML(w, exampleFleet()) },
		"overview": func(w io.Writer) error { return WriteOverviewHTML(w, exampleOverview()) },
		"thing":    func(w io.Writer) error { return WriteThingHTML(w, exampleThing()) },
		"profile":  func(w io.Writer) error { return WriteProfileHTML(w, exampleProfile()) },
		"audit":    func(w io.Writer) error { return WriteAuditHTML(w, exampleAudit()) },
		"login":    func(w io.Writer) error { return WriteLoginHTML(w, exampleLogin()) },
	} {
		var b bytes.Buffer
		if err := write(&b); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		pages[name] = b.String()
	}
	return pages
}

// TestPolicyFitsPage computes the hashes of what is inline from the page
// itself, as a browser does, and looks for all that a policy would refuse.
func TestPolicyFitsPage(t *testing.T) {
	policyOf := regexp.MustCompile(`<meta http-equiv="Content-Security-Policy" content="([^"]*)">`)
	inline := regexp.MustCompile(`(?s)<(style|script)>(.*?)</(style|script)>`)
	for name, page := range htmlPages(t) {
		found := policyOf.FindStringSubmatch(page)
		if found == nil {
			t.Fatalf("%s has no policy", name)
		}
		policy := strings.ReplaceAll(strings.ReplaceAll(found[1], "&#39;", "'"), "&#43;", "+")
		if !strings.HasPrefix(policy, "default-src 'none';") || strings.Contains(policy, "unsafe") {
			t.Errorf("%s: policy %s", name, policy)
		}
		live := strings.Contains(policy, "connect-src 'self'")
		if live != (name == "overview" || name == "thing" || name == "profile" || name == "audit") {
			t.Errorf("%s: policy %s", name, policy)
		}
		forms := name == "audit" || name == "login" // those of the examples that somebody logs in to
		if want := map[bool]string{true: "form-action 'self'", false: "form-action 'none'"}[forms]; !strings.HasSuffix(policy, want) {
			t.Errorf("%s: policy %s, want %s", name, policy, want)
		}
		if live && Policy(forms) != policy+"; frame-ancestors 'none'" {
			t.Errorf("the header says %s, the page %s", Policy(forms), policy)
		}
		for _, part := range inline.FindAllStringSubmatch(page, -1) {
			sum := sha256.Sum256([]byte(part[2]))
			want := part[1] + "-src [^;]*'sha256-" + regexp.QuoteMeta(base64.StdEncoding.EncodeToString(sum[:])) + "'"
			if !regexp.MustCompile(want).MatchString(policy) {
				t.Errorf("%s: the policy does not know this %s:\n%.100s", name, part[1], part[2])
			}
		}
		rest := inline.ReplaceAllString(page, "")
		if name == "hostile" {
			continue // its names look like what is searched for, and are escaped
		}
		if found := regexp.MustCompile(`(?i)\s(style|on[a-z]+|src)=|https?:|<(script|iframe|img|base` + map[bool]string{false: "|form"}[forms] + `)`).FindString(rest); found != "" {
			t.Errorf("%s contains %q", name, found)
		}
	}
}

// TestHostilePageText reads the page as a parser does: no element or attribute
// comes out of a name.
func TestHostilePageText(t *testing.T) {
	page := htmlPages(t)["hostile"]
	harmless(t, page, "\n")
	for _, part := range []string{"<script>window", "<img", `"'>`, "window.taken=1</script>"} {
		if strings.Contains(page, part) {
			t.Errorf("the page contains %s", part)
		}
	}
	if !strings.Contains(page, "&lt;script&gt;window.taken=1&lt;/script&gt;") {
		t.Error("the name is not on the page")
	}
	if strings.Contains(page, strings.Repeat("A", 200)) {
		t.Error("an overlong member is not cut")
	}
}

// TestPlotSVG reads a drawing as XML: it is well formed, has no colours of its
// own, and tells those who do not see it what it shows.
func TestPlotSVG(t *testing.T) {
	p := *examplePage().Plot
	for _, size := range append(pageSizes, smallSizes...) {
		svg, err := p.svg(clock{time.UTC}, size, `a "label" & <more>`)
		if err != nil {
			t.Fatal(err)
		}
		classes := map[string]int{}
		label := ""
		decoder := xml.NewDecoder(strings.NewReader(string(svg)))
		for {
			token, err := decoder.Token()
			if err == io.EOF {
				break
			}
			if err != nil {
				t.Fatalf("%s: %v", size.class, err)
			}
			start, ok := token.(xml.StartElement)
			if !ok {
				continue
			}
			for _, a := range start.Attr {
				switch a.Name.Local {
				case "class":
					classes[a.Value]++
				case "aria-label":
					label = a.Value
				case "style", "fill", "stroke":
					t.Errorf("%s: %s has %s=%q", size.class, start.Name.Local, a.Name.Local, a.Value)
				}
			}
		}
		if label != `a "label" & <more>` {
			t.Errorf("label %q", label)
		}
		// The two missing reports cut line and area in two.
		for class, want := range map[string]int{"chart " + size.class: 1, "line line-1": 2, "area": 2, "band": 1, "alarm": 1, "limit": 1, "limit-label": 1, "": 0} {
			if classes[class] != want {
				t.Errorf("%s: %d elements of class %q, want %d", size.class, classes[class], class, want)
			}
		}
	}
}

// TestFigure holds what surrounds a plot: words for those who cannot see it,
// the table, the data of the script.
func TestFigure(t *testing.T) {
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	// The night in which summer time ends, at 01:00 UTC.
	from := time.Date(2026, 10, 25, 0, 0, 0, 0, time.UTC)
	p := Plot{
		Title: "bytes out", Metric: "aws:all-bytes-out", Unit: "bytes", From: from, To: from.Add(2 * time.Hour),
		Series:     []Series{{Points: []Point{{from, 1000}, {from.Add(time.Hour), 2500000}, {from.Add(2 * time.Hour), 1500}}}},
		Thresholds: []Threshold{{"limit", 2e6}}, Alarms: []Span{{From: from.Add(time.Hour)}},
	}
	f, err := p.figure(clock{berlin}, false)
	if err != nil {
		t.Fatal(err)
	}
	const wantData = `{"from":1792886400,"to":1792893600,"min":0,"max":3000000,"unit":"bytes","offsets":[[1792886400,7200],[1792890000,3600]],` +
		`"alarms":[[1792890000,null]],"series":[{"name":"","points":[[1792886400,1000],[1792890000,2500000],[1792893600,1500]]}]}`
	f.Charts = nil
	want := figureView{
		Key: "aws:all-bytes-out", Title: "Bytes out", Unit: "bytes", Summary: "highest 2.50 MB, 02:00", Data: wantData,
		Limits: []string{"limit: 2.00 MB"}, Alarms: []string{"in alarm since 2026-10-25 02:00:00 CET"},
		Count: "3 values as a table",
		Rows: []valueRow{
			{from.Add(2 * time.Hour), "", "1,500", true},
			{from.Add(time.Hour), "", "2,500,000", true},
			{from, "", "1,000", false},
		},
	}
	if diff := cmp.Diff(want, f); diff != "" {
		t.Error(diff)
	}
}

// TestLongPages holds the limits of what one page shows, and that it says so.
func TestLongPages(t *testing.T) {
	r := exampleFleet()
	for len(r.Violations) < 2000 {
		v := exampleViolation()
		v.Thing = "thing-" + v.ID[:len(v.ID)-4] + time.Duration(len(r.Violations)).String()
		r.Violations = append(r.Violations, v)
	}
	var b bytes.Buffer
	if err := WriteFleetHTML(&b, r); err != nil {
		t.Fatal(err)
	}
	if got := strings.Count(b.String(), "<tr"); got > 1300 {
		t.Errorf("%d rows", got)
	}
	if want := "The list has the latest 1,000 of 2,000 violations; the totals count all."; !strings.Contains(b.String(), want) {
		t.Errorf("the page does not say %q", want)
	}
	if !strings.Contains(b.String(), "2,000 violations on") {
		t.Error("the total is missing")
	}
}

func TestWriteError(t *testing.T) {
	for name, write := range map[string]func(io.Writer) error{
		"page": func(w io.Writer) error { return WriteViolationHTML(w, examplePage()) },
		"text": func(w io.Writer) error { return WriteViolationText(w, examplePage(), TextOptions{}) },
	} {
		reader, writer := io.Pipe()
		reader.Close()
		if err := write(writer); err != io.ErrClosedPipe {
			t.Errorf("%s: error %v, want the writer's", name, err)
		}
	}
}

func TestPaths(t *testing.T) {
	for got, want := range map[string]string{
		ThingLink("sensor-07"):      "/live/thing?name=sensor-07",
		ThingLink("a/../b?c#d\"<é"): "/live/thing?name=a%2F..%2Fb%3Fc%23d%22%3C%C3%A9",
		ThingLink(".."):             "/live/thing?name=..",
		ProfileLink("Data:Check"):   "/live/profile?name=Data%3ACheck",
		ViolationLink("1f"):         "/live/violation?id=1f",
	} {
		if got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

// FuzzPages puts anything everywhere: the page stays one page, the text stays
// text.
func FuzzPages(f *testing.F) {
	f.Add(hostile, "packets", 1e3, int64(0))
	f.Add("", "bytes", -1.5, int64(1<<61))
	f.Add("{{.}}</style><!--", "\u202e", 1e308, int64(-1))
	f.Fuzz(func(t *testing.T, text, unit string, value float64, second int64) {
		p := hostilePage()
		at := time.Unix(second, 0)
		p.Violation.Thing, p.Violation.Seen, p.Violation.Started = text, text, at
		p.Plot.Title, p.Plot.Unit, p.Plot.Thresholds = text, unit, []Threshold{{text, value}}
		p.Plot.Series = append(p.Plot.Series, Series{Name: text, Points: []Point{{at, value}, {alarmFrom, -value}}})
		p.Sets[0].Points = append(p.Sets[0].Points, SetPoint{Time: at, Members: []string{text}, Cut: text})
		p.Timeline = append(p.Timeline, Event{Time: at, Value: text})
		var page, plain bytes.Buffer
		if err := WriteViolationHTML(&page, p); err != nil {
			t.Fatal(err)
		}
		if n := strings.Count(page.String(), "<script"); n != 1 {
			t.Fatalf("%d scripts", n)
		}
		harmless(t, page.String(), "\n")
		if err := WriteViolationText(&plain, p, TextOptions{}); err != nil {
			t.Fatal(err)
		}
		harmless(t, plain.String(), "\n")
	})
}
