package command

import (
	"context"
	"io"
	"log/slog"
)

// splitHandler writes warnings and errors apart from the rest.
type splitHandler struct{ calm, loud slog.Handler }

func newSplitHandler(calm, loud io.Writer, options *slog.HandlerOptions) slog.Handler {
	return splitHandler{slog.NewTextHandler(calm, options), slog.NewTextHandler(loud, options)}
}

func (h splitHandler) of(level slog.Level) slog.Handler {
	if level >= slog.LevelWarn {
		return h.loud
	}
	return h.calm
}

func (h splitHandler) Enabled(ctx context.Context, level slog.Level) bool {
	return h.of(level).Enabled(ctx, level)
}

func (h splitHandler) Handle(ctx context.Context, r slog.Record) error {
	return h.of(r.Level).Handle(ctx, r)
}

func (h splitHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return splitHandler{h.calm.WithAttrs(attrs), h.loud.WithAttrs(attrs)}
}

func (h splitHandler) WithGroup(name string) slog.Handler {
	return splitHandler{h.calm.WithGroup(name), h.loud.WithGroup(name)}
}
