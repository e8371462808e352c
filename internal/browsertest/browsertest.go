// Package browsertest lets tests look at pages as readers do, in Debian's
// Chromium and with the eyes of axe-core.
package browsertest

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"
)

// missing skips a test for want of a tool, except in CI, where none may be
// missing.
func missing(t *testing.T, format string, args ...any) {
	t.Helper()
	if os.Getenv("CI") != "" {
		t.Fatalf(format, args...)
	}
	t.Skipf(format, args...)
}

// patience is far beyond what a step takes, on a machine that does much else
// too. It ends tests that would never end.
const patience = 2 * time.Minute

// browser is the one that all tests of a package share: starting one takes
// longer than most of them.
var browser struct {
	once sync.Once
	ctx  context.Context
	err  error
	end  []func() // from the last on
}

// Main runs the tests of a package that looks at pages, for its TestMain.
func Main(m *testing.M) {
	code := m.Run()
	for _, end := range slices.Backward(browser.end) {
		end()
	}
	os.Exit(code)
}

// Start returns Debian's Chromium, which ends with [Main].
func Start(t *testing.T) context.Context {
	t.Helper()
	path, err := exec.LookPath("chromium")
	if err != nil {
		missing(t, "no browser (apt-get install chromium): %v", err)
	}
	browser.once.Do(func() { browser.err = start(path) })
	if browser.err != nil {
		t.Fatalf("starting %s: %v", path, browser.err)
	}
	return browser.ctx
}

func start(path string) error {
	data, err := os.MkdirTemp("", "chromium-")
	if err != nil {
		return err
	}
	browser.end = append(browser.end, func() { os.RemoveAll(data) })
	allocator, stop := chromedp.NewExecAllocator(context.Background(),
		chromedp.ExecPath(path), chromedp.UserDataDir(data), chromedp.Headless, chromedp.NoSandbox, chromedp.NoFirstRun,
		chromedp.WSURLReadTimeout(patience), chromedp.DisableGPU, chromedp.Flag("disable-quic", true), chromedp.Flag("disable-background-networking", true),
		chromedp.Flag("disable-component-update", true), chromedp.Flag("disable-sync", true), chromedp.Flag("hide-scrollbars", true))
	browser.end = append(browser.end, stop)
	browser.ctx, stop = chromedp.NewContext(allocator)
	browser.end = append(browser.end, stop)
	return chromedp.Do(browser.ctx)
}

// Tab is one page in the browser; whatever its console complains of fails the
// test: a script's exception, and what the page's policy refused.
type Tab struct {
	*testing.T
	ctx context.Context
}

// NewTab opens an empty page, which is closed when the test ends. The console may
// say only what has one of the expected texts in it.
func NewTab(t *testing.T, browser context.Context, expected ...string) Tab {
	t.Helper()
	ctx, stop := chromedp.NewContext(browser)
	messages := chromedp.Console(ctx)
	reading := make(chan struct{})
	go func() {
		defer close(reading)
		for m, err := range messages {
			if err == nil && !slices.ContainsFunc(expected, func(text string) bool { return strings.Contains(fmt.Sprint(m), text) }) {
				t.Errorf("the console says: %v", m)
			}
		}
	}()
	t.Cleanup(func() { stop(); <-reading })
	script := page.AddScriptToEvaluateOnNewDocumentParams{Source: countExchanges}
	if _, err := chromedp.Call(ctx, page.AddScriptToEvaluateOnNewDocument, script); err != nil {
		t.Fatal(err)
	}
	return Tab{t, ctx}
}

// countExchanges counts how often a live page has read itself again.
const countExchanges = "window.exchanges = 0; document.addEventListener('exchanged', () => { window.exchanges++; })"

// In is the tab in a subtest, which opens a page of its own in it. A browser that
// has run a page's scripts runs them again in half the time.
func (tb Tab) In(t *testing.T) Tab { return Tab{t, tb.ctx} }

// Do takes steps in the page, in time.
func (tb Tab) Do(steps ...chromedp.Action[chromedp.Void]) {
	tb.Helper()
	ctx, cancel := context.WithTimeout(tb.ctx, patience)
	defer cancel()
	if err := chromedp.Do(ctx, steps...); err != nil {
		tb.Fatal(err)
	}
}

// Eval returns the value of an expression, or of its promise.
func Eval[T any](tb Tab, expression string) T {
	tb.Helper()
	ctx, cancel := context.WithTimeout(tb.ctx, patience)
	defer cancel()
	value, err := chromedp.Run(ctx, chromedp.Evaluate[T](expression, chromedp.EvalAwaitPromise))
	if err != nil {
		tb.Fatalf("%s: %v", expression, err)
	}
	return value
}

// Until waits for a condition. While the tab goes from one page to another,
// none can be asked for, and none is met.
func (tb Tab) Until(condition string) {
	tb.Helper()
	ctx, cancel := context.WithTimeout(tb.ctx, patience)
	defer cancel()
	ask := chromedp.Evaluate[bool]("(() => { try { return Boolean(" + condition + "); } catch { return false; } })()")
	ticker := time.NewTicker(20 * time.Millisecond)
	defer ticker.Stop()
	for {
		met, err := chromedp.Run(ctx, ask)
		if met && err == nil {
			return
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			tb.Fatalf("still waiting for %s: %v", condition, err)
		}
	}
}

// Expect waits until an expression has a value. What an event does to a page may
// take a moment.
func (tb Tab) Expect(what, expression, want string) {
	tb.Helper()
	ctx, cancel := context.WithTimeout(tb.ctx, patience)
	defer cancel()
	ask := chromedp.Evaluate[string]("(() => { try { return String(" + expression + "); } catch (e) { return String(e); } })()")
	ticker := time.NewTicker(20 * time.Millisecond)
	defer ticker.Stop()
	for {
		got, err := chromedp.Run(ctx, ask)
		if err == nil && got == want {
			return
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			tb.Errorf("%s: %q, want %q (%v)", what, got, want, err)
			return
		}
	}
}

// Screen sets the page's width in pixels, and the colour scheme. The reader wants
// no motion: a colour on its way from one scheme to the other is in neither.
func (tb Tab) Screen(width int, scheme string) {
	tb.Helper()
	tb.Do(chromedp.EmulateViewport(int64(width), 900))
	media := emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{
		{Name: "prefers-color-scheme", Value: scheme}, {Name: "prefers-reduced-motion", Value: "reduce"},
	}}
	if _, err := chromedp.Call(tb.ctx, emulation.SetEmulatedMedia, media); err != nil {
		tb.Fatal(err)
	}
}

// Open loads a page.
func (tb Tab) Open(url string) {
	tb.Helper()
	tb.Do(chromedp.Navigate(url), chromedp.WaitReady(chromedp.CSS("main")))
}

// OpenLive loads a page of a service and waits until it is live and at rest: a
// live page reads itself again when its event stream opens, and what was found
// in it before is gone then.
func (tb Tab) OpenLive(url string) {
	tb.Helper()
	tb.Open(url)
	tb.UntilLive()
}

// UntilLive waits for that after a click on a link.
func (tb Tab) UntilLive() {
	tb.Helper()
	tb.Until("document.querySelector('.live').textContent === 'live' && window.exchanges > 0")
}

// AxeCore returns axe-core's script, from npm.
func AxeCore(t *testing.T) string {
	t.Helper()
	folder := t.TempDir()
	install := exec.CommandContext(t.Context(), "npm", "install", "--no-audit", "--no-fund", "--prefix", folder, "axe-core@4.14.1")
	if out, err := install.CombinedOutput(); err != nil {
		missing(t, "installing axe-core: %v\n%s", err, out)
	}
	script, err := os.ReadFile(filepath.Join(folder, "node_modules", "axe-core", "axe.min.js"))
	if err != nil {
		t.Fatal(err)
	}
	return string(script)
}

// Axe makes the page ready for axe-core. Rows of a table are alike: the first ten
// stay, as axe-core takes most of its time on hundreds of them.
func (tb Tab) Axe(script string) {
	tb.Helper()
	Eval[bool](tb, "for (const row of document.querySelectorAll('tbody tr:nth-child(n+11)')) row.remove(); true")
	Eval[bool](tb, script+"; true")
}

// Faults are what axe-core finds, be it serious or not.
func (tb Tab) Faults() []string {
	tb.Helper()
	return tb.faults("")
}

// ColorFaults are what axe-core finds in colors. It is for a page that differs in
// nothing else from when its Faults were looked for: other rules take as long
// again, and find the same.
func (tb Tab) ColorFaults() []string {
	tb.Helper()
	return tb.faults(", runOnly: {type: 'rule', values: ['color-contrast', 'link-in-text-block']}")
}

func (tb Tab) faults(only string) []string {
	tb.Helper()
	return Eval[[]string](tb, `axe.run(document, {resultTypes: ['violations']`+only+`}).then((r) => r.violations.map((v) =>
		v.impact + ' ' + v.id + ': ' + v.help + ': ' + v.nodes.map((n) => n.html).slice(0, 3).join(' ')))`)
}

// Screenshot writes a picture of the page to the folder that RENDER_SCREENSHOTS
// names, if it does.
func (tb Tab) Screenshot(name string) {
	tb.Helper()
	folder := os.Getenv("RENDER_SCREENSHOTS")
	if folder == "" {
		return
	}
	picture, err := chromedp.Run(tb.ctx, chromedp.FullScreenshot(100))
	if err != nil {
		tb.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(folder, name+".png"), picture, 0o644); err != nil {
		tb.Fatal(err)
	}
}
