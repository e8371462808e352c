package web

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	bt "github.com/device-defender/device-defender/internal/browsertest"
	"github.com/device-defender/device-defender/internal/defender/report"
	"github.com/device-defender/device-defender/internal/defender/servicetest"
	"github.com/device-defender/device-defender/internal/render"
)

// TestInBrowser looks at the pages of a story as readers do: in each of the
// layouts, light and dark. The tab fails the test when the console complains, such
// as of what the policy refused.
func TestInBrowser(t *testing.T) {
	w := story(t)
	browser := bt.NewTab(t, bt.Start(t)) // after the service, whose end it holds up
	axe := bt.AxeCore(t)
	for name, path := range map[string]string{
		"overview":  render.OverviewPath,
		"thing":     render.ThingLink("gateway-2"),
		"in-alarm":  render.ThingLink("gateway-1"),
		"hostile":   render.ThingLink(hostile),
		"metric":    render.MetricLink("gateway-2", "aws:all-packets-out", "", ""),
		"set":       render.MetricLink("gateway-2", "aws:destination-ip-addresses", "", ""),
		"profile":   render.ProfileLink("DataExfiltrationCheck"),
		"violation": render.ViolationLink(violations(t, w)["gateway-2"]),
	} {
		t.Run(name, func(t *testing.T) {
			tab := browser.In(t)
			tab.OpenLive(w.URL + path)
			widths, schemes := []int{1100, 820, 360}, []string{"light", "dark"}
			for _, width := range widths {
				for _, scheme := range schemes {
					tab.Screen(width, scheme)
					if got := bt.Eval[int](tab, "document.documentElement.scrollWidth"); got > width {
						t.Errorf("the page is %d pixels wide on a screen of %d", got, width)
					}
					dark := bt.Eval[string](tab, "getComputedStyle(document.body).backgroundColor") == "rgb(20, 22, 26)"
					if dark != (scheme == "dark") {
						t.Errorf("dark is %t in the %s scheme", dark, scheme)
					}
					tab.Screenshot(fmt.Sprintf("web-%s-%d-%s", name, width, scheme))
				}
			}
			if bt.Eval[bool](tab, "'taken' in window || document.querySelector('img') !== null") {
				t.Error("a name became markup")
			}
			tab.Axe(axe)
			for _, width := range widths {
				tab.Screen(width, "light")
				for _, fault := range tab.Faults() {
					t.Errorf("%d pixels, light: %s", width, fault)
				}
				tab.Screen(width, "dark")
				for _, fault := range tab.ColorFaults() {
					t.Errorf("%d pixels, dark: %s", width, fault)
				}
			}
		})
	}
}

func TestHostileName(t *testing.T) {
	w := story(t)
	tab := bt.NewTab(t, bt.Start(t))
	tab.OpenLive(w.URL)
	const visible = `<img src=x onerror=window.taken=1>"'&\u{202e}gpj.exe`
	link := `[...document.querySelectorAll('a')].find((a) => a.textContent.startsWith('<img'))`
	if got := bt.Eval[string](tab, link+".textContent"); got != visible {
		t.Errorf("the overview calls it %q, want %q", got, visible)
	}
	bt.Eval[bool](tab, link+".click(), true")
	tab.Until("document.querySelector('h1') && document.querySelector('h1').textContent.startsWith('<img')")
	if got := bt.Eval[string](tab, "document.querySelector('h1').textContent"); got != visible {
		t.Errorf("its own page calls it %q, want %q", got, visible)
	}
}

// TestHover reads the plot of a metric with the pointer, and zooms.
func TestHover(t *testing.T) {
	w := story(t)
	tab := bt.NewTab(t, bt.Start(t))
	tab.Screen(1100, "light")
	tab.OpenLive(w.URL + render.MetricLink("gateway-2", "aws:all-packets-out", "", ""))
	type box struct{ X, Y, Width, Height float64 }
	area := bt.Eval[box](tab, `(() => { const r = document.querySelector('.chart.wide .line').getBoundingClientRect(); return {x: r.x, y: r.y, width: r.width, height: r.height}; })()`)
	if area.Width < 500 || area.Height < 100 {
		t.Fatalf("the line's box is %+v", area)
	}
	// The line goes from the report of 06:05 to that of 07:30.
	at := func(minute float64) float64 { return area.X + area.Width*(minute-5)/85 }
	tab.Do(chromedp.MouseEvent("mouseMoved", at(71), area.Y+area.Height/2))
	tab.Expect("hovering", "document.querySelector('.readout').textContent", "07:10: 5,014 packets, in alarm")
	bt.Eval[bool](tab, "document.querySelector('.canvas').focus(); true")
	tab.Do(chromedp.KeyEvent("+"))
	tab.Expect("the way back from the zoom of + is hidden", "document.querySelector('.reset').hidden", "false")
}

// TestLive lets a thing report while its pages are open.
func TestLive(t *testing.T) {
	browser := bt.Start(t)
	w := newWorld(t)
	w.Things("gateway-1")
	w.Profile("DataExfiltrationCheck", servicetest.PacketExfiltration(1))
	for range 3 {
		w.Pass(5 * time.Minute)
		w.Report("gateway-1", 300, servicetest.Broker)
	}
	overview, thing := bt.NewTab(t, browser), bt.NewTab(t, browser)
	for tab, path := range map[bt.Tab]string{overview: render.OverviewPath, thing: render.ThingLink("gateway-1")} {
		tab.Screen(1100, "light")
		tab.OpenLive(w.URL + path)
		bt.Eval[bool](tab, "window.unloaded = false, true")
	}
	bt.Eval[bool](thing, "document.querySelector('details').open = true")
	if got := bt.Eval[string](overview, "document.querySelector('h1').textContent"); got != "All quiet" {
		t.Errorf("before: %q", got)
	}
	w.Pass(5 * time.Minute)
	body := `{"header":{"report_id":99,"version":"1.0"},"metrics":{"network_stats":{"bytes_in":1,"bytes_out":1,"packets_in":1,"packets_out":7000},
		"tcp_connections":{"established_connections":{"connections":[{"remote_addr":"203.0.113.77:443"}],"total":1}}}}`
	answer, err := http.Post(w.URL+"/things/gateway-1/defender/metrics/json", "application/json", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		t.Fatal(answer.Status)
	}
	overview.Until("document.querySelector('h1').textContent === '1 violation in alarm'")
	overview.Until("document.title === '1 violation in alarm - Device Defender'")
	thing.Until("document.querySelector('.chips .new') && document.querySelector('.chips .new').textContent.startsWith('203.0.113.77')")
	if !bt.Eval[bool](thing, "document.querySelector('details').open") {
		t.Error("what was open is closed")
	}
	for _, tab := range []bt.Tab{overview, thing} {
		if !bt.Eval[bool](tab, "window.unloaded === false") {
			t.Error("the page was loaded anew")
		}
		if footer := bt.Eval[string](tab, "document.querySelector('.bottom').textContent"); !strings.Contains(footer, "06:20:00") {
			t.Errorf("the page says %q", footer)
		}
	}
	w.Pass(5 * time.Minute)
	w.Service.Report(t.Context(), "gateway-1", report.JSON, []byte("{"))
	overview.Until("document.querySelector('.pill.rejected') !== null")
}

// TestWithoutScript reads the pages as a browser without scripts does.
func TestWithoutScript(t *testing.T) {
	w := story(t)
	_, page := get(t, w.URL)
	if !strings.Contains(page, "reload to see what is new") {
		t.Error("the page does not say how it is kept up to date")
	}
}
