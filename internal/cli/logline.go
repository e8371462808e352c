package cli

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/device-defender/device-defender/internal/render"
)

// console writes lines of several goroutines, each with the time and the part
// of the system that it comes from.
type console struct {
	mu   sync.Mutex
	out  io.Writer
	gone func() // called when nobody reads any more
}

// line writes one line.
func (c *console) line(part, text string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.write(part, text)
}

// mostOfLine is how many characters of a line are shown.
const mostOfLine = 4000

// write makes the text harmless: much of it is from devices and their programs.
func (c *console) write(part, text string) {
	text = render.Clean(strings.ReplaceAll(text, "\t", "    "), mostOfLine)
	if _, err := fmt.Fprintf(c.out, "%s  %-5s  %s\n", time.Now().Format(time.TimeOnly), part, text); err != nil {
		c.gone()
	}
}

// writer returns a writer for lines of part; each Write is one or more.
func (c *console) writer(part string) io.Writer { return partWriter{c, part} }

type partWriter struct {
	console *console
	part    string
}

func (w partWriter) Write(p []byte) (int, error) {
	for line := range strings.Lines(string(p)) {
		w.console.line(w.part, strings.TrimRight(line, "\r\n"))
	}
	return len(p), nil
}

// block writes a line and indented lines below it, together.
func (c *console) block(part, text string, below func(io.Writer)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.write(part, text)
	below(c.out)
}

// logger returns a logger whose records become lines of part.
func (c *console) logger(part string, level slog.Leveler) *slog.Logger {
	attrs := new(bytes.Buffer)
	text := slog.NewTextHandler(attrs, &slog.HandlerOptions{
		Level: level,
		// Time, level and message are written by Handle.
		ReplaceAttr: func(groups []string, a slog.Attr) slog.Attr {
			if len(groups) == 0 && (a.Key == slog.TimeKey || a.Key == slog.LevelKey || a.Key == slog.MessageKey) {
				return slog.Attr{}
			}
			return a
		},
	})
	return slog.New(&lineHandler{console: c, part: part, attrs: attrs, text: text})
}

// lineHandler lets a text handler format the attributes and writes the rest
// for a person.
type lineHandler struct {
	console *console
	part    string
	attrs   *bytes.Buffer // of the record in hand; guarded by console.mu
	text    slog.Handler  // writes to attrs
}

func (h *lineHandler) Enabled(ctx context.Context, level slog.Level) bool {
	return h.text.Enabled(ctx, level)
}

func (h *lineHandler) Handle(ctx context.Context, r slog.Record) error {
	h.console.mu.Lock()
	defer h.console.mu.Unlock()
	h.attrs.Reset()
	if err := h.text.Handle(ctx, r); err != nil {
		return err
	}
	text := r.Message
	if r.Level != slog.LevelInfo {
		text = r.Level.String() + " " + text
	}
	if attrs := bytes.TrimSpace(h.attrs.Bytes()); len(attrs) > 0 {
		text += "  " + string(attrs)
	}
	h.console.write(h.part, text)
	return nil
}

func (h *lineHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	derived := *h
	derived.text = h.text.WithAttrs(attrs)
	return &derived
}

func (h *lineHandler) WithGroup(name string) slog.Handler {
	derived := *h
	derived.text = h.text.WithGroup(name)
	return &derived
}
