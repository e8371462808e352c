// Package browsertest lets tests look at pages as readers do, in Debian's
// Chromium and with the eyes of axe-core.
package browsertest

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
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

// Start starts Debian's Chromium.
func Start(t *testing.T) context.Context {
	t.Helper()
	path, err := exec.LookPath("chromium")
	if err != nil {
		missing(t, "no browser (apt-get install chromium): %v", err)
	}
	allocator, stop := chromedp.NewExecAllocator(t.Context(),
		chromedp.ExecPath(path), chromedp.UserDataDir(t.TempDir()), chromedp.Headless, chromedp.NoSandbox, chromedp.NoFirstRun,
		chromedp.DisableGPU, chromedp.Flag("disable-quic", true), chromedp.Flag("disable-background-networking", true),
		chromedp.Flag("disable-component-update", true), chromedp.Flag("disable-sync", true), chromedp.Flag("hide-scrollbars", true))
	t.Cleanup(stop)
	browser, stop := chromedp.NewContext(allocator)
	t.Cleanup(stop)
	if err := chromedp.Do(browser); err != nil {
		t.Fatalf("starting %s: %v", path, err)
	}
	return browser
}

// Tab is one page in the browser; whatever its console complains of fails the
// test: a script's exception, and what the page's policy refused.
type Tab struct {
	*testing.T
	ctx context.Context
}

// NewTab opens an empty page, which is closed when the test ends.
func NewTab(t *testing.T, browser context.Context) Tab {
	t.Helper()
	ctx, stop := chromedp.NewContext(browser)
	messages := chromedp.Console(ctx)
	reading := make(chan struct{})
	go func() {
		defer close(reading)
		for m, err := range messages {
			if err == nil {
				t.Errorf("the console says: %v", m)
			}
		}
	}()
	t.Cleanup(func() { stop(); <-reading })
	return Tab{t, ctx}
}

// Do takes steps in the page, in time.
func (tb Tab) Do(steps ...chromedp.Action[chromedp.Void]) {
	tb.Helper()
	ctx, cancel := context.WithTimeout(tb.ctx, 30*time.Second)
	defer cancel()
	if err := chromedp.Do(ctx, steps...); err != nil {
		tb.Fatal(err)
	}
}

// Eval returns the value of an expression, or of its promise.
func Eval[T any](tb Tab, expression string) T {
	tb.Helper()
	ctx, cancel := context.WithTimeout(tb.ctx, 30*time.Second)
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
	ctx, cancel := context.WithTimeout(tb.ctx, 30*time.Second)
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

// Screen sets the page's width in pixels, and the colour scheme.
func (tb Tab) Screen(width int, scheme string) {
	tb.Helper()
	tb.Do(chromedp.EmulateViewport(int64(width), 900))
	media := emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}}}
	if _, err := chromedp.Call(tb.ctx, emulation.SetEmulatedMedia, media); err != nil {
		tb.Fatal(err)
	}
}

// Open loads a page.
func (tb Tab) Open(url string) {
	tb.Helper()
	tb.Do(chromedp.Navigate(url), chromedp.WaitReady(chromedp.CSS("main")))
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

// Faults are what axe-core finds, be it serious or not.
func (tb Tab) Faults(axe string) []string {
	tb.Helper()
	Eval[bool](tb, axe+"; true")
	return Eval[[]string](tb, `axe.run(document, {resultTypes: ['violations']}).then((r) => r.violations.map((v) =>
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
