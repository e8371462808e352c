package render

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"github.com/device-defender/device-defender/internal/browsertest"
)

func TestMain(m *testing.M) { browsertest.Main(m) }

// file writes a page to a file, as a user of --html has it.
func file(t *testing.T, write func(io.Writer) error) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "page.html")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := write(f); err != nil {
		t.Fatal(err)
	}
	return "file://" + path
}

// hostile is what a device may call itself.
const hostile = `<script>window.taken=1</script>"'><img src=x onerror=window.taken=1>` + "\u202egpj.exe\x1b[31m\u0000"

// hostilePage is a violation in which every text is hostile.
func hostilePage() ViolationPage {
	p := examplePage()
	p.Violation.Thing, p.Violation.Profile, p.Violation.Behavior = hostile, hostile, hostile
	p.Violation.Seen, p.Violation.VerificationNote, p.Violation.State = hostile, hostile, State(hostile)
	p.Plot.Title, p.Plot.Metric, p.Plot.Unit, p.Plot.Thresholds[0].Label = hostile, hostile, hostile, hostile
	p.Sets[0].Points[60].Members = []string{hostile, strings.Repeat("A", 5000)}
	p.About.Notes, p.About.Source = []string{hostile}, hostile
	p.Timeline[0].Note = hostile
	return p
}

// TestPagesInBrowser looks at each page as a reader would: wide and narrow,
// light and dark, and with the eyes of axe-core.
func TestPagesInBrowser(t *testing.T) {
	_, live := newSite(t)
	browser := browsertest.NewTab(t, browsertest.Start(t)) // after the site, whose end it would complain of
	axe := browsertest.AxeCore(t)
	set := examplePage().Sets[0]
	for _, page := range []struct{ name, url string }{
		{"violation", file(t, func(w io.Writer) error { return WriteViolationHTML(w, examplePage()) })},
		{"hostile", file(t, func(w io.Writer) error { return WriteViolationHTML(w, hostilePage()) })},
		{"metric", file(t, func(w io.Writer) error {
			return WriteMetricHTML(w, MetricPage{About: exampleAbout(), Thing: "sensor-07", Plot: examplePage().Plot})
		})},
		{"set", file(t, func(w io.Writer) error {
			return WriteMetricHTML(w, MetricPage{About: exampleAbout(), Thing: "sensor-07", Set: &set})
		})},
		{"fleet", file(t, func(w io.Writer) error { return WriteFleetHTML(w, exampleFleet()) })},
		{"overview", live + OverviewPath},
		{"thing", live + ThingLink("sensor-07")},
		{"profile", live + ProfileLink("DataExfiltrationCheck")},
		{"live-violation", live + ViolationLink(exampleViolation().ID)},
	} {
		t.Run(page.name, func(t *testing.T) {
			tb := browser.In(t)
			saved := strings.HasPrefix(page.url, "file:")
			if saved {
				tb.Open(page.url)
			} else {
				tb.OpenLive(page.url)
			}
			widths := []int{1100, 360}
			for _, width := range widths {
				for _, scheme := range []string{"light", "dark"} {
					tb.Screen(width, scheme)
					if got := browsertest.Eval[int](tb, "document.documentElement.scrollWidth"); got > width {
						t.Errorf("the page is %d pixels wide on a screen of %d", got, width)
					}
					tb.Screenshot(fmt.Sprintf("%s-%d-%s", page.name, width, scheme))
				}
			}
			fetched := "performance.getEntriesByType('resource').filter((r) => !r.name.startsWith('data:')).length"
			if n := browsertest.Eval[int](tb, fetched); n != 0 && saved {
				t.Errorf("the page fetched %d things", n)
			}
			if browsertest.Eval[bool](tb, "'taken' in window") {
				t.Error("a name ran as a script")
			}
			tb.Axe(axe)
			for _, width := range widths {
				tb.Screen(width, "light")
				for _, fault := range tb.Faults() {
					t.Errorf("%d pixels, light: %s", width, fault)
				}
				tb.Screen(width, "dark")
				for _, fault := range tb.ColorFaults() {
					t.Errorf("%d pixels, dark: %s", width, fault)
				}
			}
		})
	}
}

// TestHostileNamesStayText reads what a device called itself off the page.
func TestHostileNamesStayText(t *testing.T) {
	tb := browsertest.NewTab(t, browsertest.Start(t))
	tb.Open(file(t, func(w io.Writer) error { return WriteViolationHTML(w, hostilePage()) }))
	const visible = `<script>window.taken=1</script>"'><img src=x onerror=window.taken=1>\u{202e}gpj.exe\u{1b}[31m\u{0}`
	if got, want := browsertest.Eval[string](tb, "document.querySelector('h1').textContent"), visible+" on "+visible; got != want {
		t.Errorf("heading %q, want %q", got, want)
	}
	if n := browsertest.Eval[int](tb, "document.querySelectorAll('main script, main img').length"); n != 0 {
		t.Errorf("%d elements came out of names", n)
	}
}

// TestPlotInBrowser reads values with the pointer and the keys, and zooms.
func TestPlotInBrowser(t *testing.T) {
	tb := browsertest.NewTab(t, browsertest.Start(t))
	at := func(minute int) time.Time { return exampleFrom.Add(time.Duration(minute) * time.Minute) }
	page := MetricPage{About: exampleAbout(), Thing: "sensor-07", Plot: &Plot{
		Title: "packets out", Metric: "aws:all-packets-out", Unit: "packets", From: at(0), To: at(60),
		Series: []Series{{Points: []Point{{at(0), 1200}, {at(10), 1300}, {at(20), 1250}, {at(30), 8412}, {at(40), 1100}, {at(50), 1150}, {at(60), 1234}}}},
		Alarms: []Span{{at(30), at(40)}},
	}}
	tb.Screen(1100, "light")
	tb.Open(file(t, func(w io.Writer) error { return WriteMetricHTML(w, page) }))

	type box struct{ X, Y, Width, Height float64 }
	area := browsertest.Eval[box](tb, `(() => { const r = document.querySelector('.chart.wide .line').getBoundingClientRect(); return {x: r.x, y: r.y, width: r.width, height: r.height}; })()`)
	if area.Width < 500 || area.Height < 100 {
		t.Fatalf("the line's box is %+v", area)
	}
	expect := func(what, want string) {
		t.Helper()
		tb.Expect("after "+what, "document.querySelector('.readout').textContent", want)
	}
	expect("opening", "highest 8,412 packets, 09:30")

	// The line begins at 09:00 and ends at 10:00.
	move := func(minute float64) chromedp.Action[chromedp.Void] {
		return chromedp.MouseEvent("mouseMoved", area.X+area.Width*minute/60, area.Y+area.Height/2)
	}
	tb.Do(move(31))
	expect("hovering", "09:30: 8,412 packets, in alarm")
	tb.Do(move(11))
	expect("moving on", "09:10: 1,300 packets")
	tb.Do(chromedp.MouseEvent("mouseMoved", 5, 5))
	expect("leaving", "highest 8,412 packets, 09:30")

	tb.Do(chromedp.Focus(chromedp.CSS(".canvas")), chromedp.KeyEvent(kb.Home))
	expect("Home", "09:00: 1,200 packets")
	tb.Do(chromedp.KeyEvent(kb.ArrowRight), chromedp.KeyEvent(kb.ArrowRight))
	expect("two steps to the right", "09:20: 1,250 packets")
	tb.Expect("a screen reader hears", "document.querySelector('[role=slider]').getAttribute('aria-valuetext')", "09:20: 1,250 packets")

	labels := `[...document.querySelectorAll('.chart.wide .x-label')].filter((e) => e.getClientRects().length).map((e) => e.textContent).join(' ')`
	whole := browsertest.Eval[string](tb, labels)
	drag := func(from, to float64) {
		t.Helper()
		y := area.Y + area.Height/2
		tb.Do(chromedp.MouseEvent("mousePressed", area.X+area.Width*from/60, y, chromedp.Button("left"), chromedp.ClickCount(1)),
			chromedp.MouseEvent("mouseMoved", area.X+area.Width*to/60, y, chromedp.Button("left")),
			chromedp.MouseEvent("mouseReleased", area.X+area.Width*to/60, y, chromedp.Button("left"), chromedp.ClickCount(1)))
	}
	drag(24, 44)
	tb.Expect("after dragging the way back is hidden", "document.querySelector('.reset').hidden", "false")
	tb.Expect("zoomed to 09:24 to 09:44, the axis reads", labels, "09:25 09:30 09:35 09:40")
	// 09:30 is now at (30-24)/20 of the width.
	tb.Do(move(60 * 6 / 20.0))
	expect("hovering in the zoom", "09:30: 8,412 packets, in alarm")
	tb.Do(chromedp.Focus(chromedp.CSS(".canvas")), chromedp.KeyEvent(kb.Escape))
	tb.Expect("after Escape the way back is hidden", "document.querySelector('.reset').hidden", "true")
	tb.Expect("after Escape the axis reads", labels, whole)
}

// site is a running service of which nothing but the live pages is real.
type site struct {
	mu       sync.Mutex
	overview Overview
	changed  chan struct{} // closed by the next change
}

func newSite(t *testing.T) (*site, string) {
	t.Helper()
	s := &site{overview: exampleOverview(), changed: make(chan struct{})}
	server := httptest.NewServer(s)
	t.Cleanup(func() {
		server.CloseClientConnections() // event streams do not end by themselves
		server.Close()
	})
	return s, server.URL
}

func (s *site) change(do func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	do()
	close(s.changed)
	s.changed = make(chan struct{})
}

func (s *site) events(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "text/event-stream")
	for {
		s.mu.Lock()
		changed := s.changed
		s.mu.Unlock()
		w.(http.Flusher).Flush()
		select {
		case <-changed:
			fmt.Fprint(w, "data: \n\n")
		case <-r.Context().Done():
			return
		}
	}
}

func (s *site) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path == EventsPath {
		s.events(w, r)
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Content-Security-Policy", Policy(false))
	var err error
	switch r.URL.RequestURI() {
	case OverviewPath:
		err = WriteOverviewHTML(w, s.overview)
	case ThingLink("sensor-07"):
		page := exampleThing()
		page.Thing.Active = s.overview.Things[0].Active
		err = WriteThingHTML(w, page)
	case ProfileLink("DataExfiltrationCheck"):
		err = WriteProfileHTML(w, exampleProfile())
	case ViolationLink(exampleViolation().ID):
		page := examplePage()
		page.About.Live = true
		err = WriteViolationHTML(w, page)
	default:
		http.NotFound(w, r)
	}
	if err != nil {
		panic(err)
	}
}

// TestLivePage follows an event, and keeps what the reader has open.
func TestLivePage(t *testing.T) {
	s, url := newSite(t)
	tb := browsertest.NewTab(t, browsertest.Start(t))
	tb.Screen(1100, "light")
	tb.OpenLive(url + OverviewPath)
	s.change(func() {
		v := exampleViolation()
		v.State, v.Ended, v.Thing, v.ID = InAlarm, time.Time{}, "sensor-new", "1"
		s.overview.Violations.Rows = append(s.overview.Violations.Rows, v)
	})
	tb.Until(`document.querySelector('a[href="/live/thing?name=sensor-new"]') !== null`)
	browsertest.Eval[bool](tb, `document.querySelector('a[href="/live/thing?name=sensor-07"]').click(); true`)
	tb.Until("document.querySelector('.plot summary') !== null")
	tb.UntilLive()
	browsertest.Eval[bool](tb, "document.querySelector('.plot summary').click(); document.querySelector('.canvas').focus(); true")
	tb.Do(chromedp.KeyEvent("+"), chromedp.KeyEvent("+"))
	browsertest.Eval[bool](tb, "window.scrollTo(0, 150); window.old = document.querySelector('main'); true")
	view := browsertest.Eval[string](tb, "document.querySelector('.data').getAttribute('viewBox')")
	s.change(func() { s.overview.Things[0].Active = 7 })
	tb.Until("document.querySelector('.lead .pill').textContent === '7 in alarm'")
	if browsertest.Eval[bool](tb, "document.querySelector('main') === window.old") {
		t.Error("the main element was not exchanged")
	}
	for what, want := range map[string]string{
		"document.querySelector('.plot details').open":                 "true",
		"document.activeElement === document.querySelector('.canvas')": "true",
		"document.querySelector('.data').getAttribute('viewBox')":      view,
		"window.scrollY": "150",
		"performance.getEntriesByType('navigation')[0].type": "navigate",
		"document.querySelector('.plot .reset').hidden":      "false",
	} {
		tb.Expect("after the exchange "+what, what, want)
	}
}
