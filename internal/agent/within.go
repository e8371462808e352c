package agent

import (
	"context"
	"time"
)

// within returns what f returns. f may block for ever, as reading from a dead
// mount does: it runs on a goroutine of its own, which is left behind if it
// takes longer than d or than ctx lives. Then ok is false.
func within[T any](ctx context.Context, d time.Duration, f func() T) (value T, ok bool) {
	done := make(chan T, 1)
	go func() { done <- f() }()
	timeout := time.NewTimer(d)
	defer timeout.Stop()
	select {
	case value = <-done:
		return value, true
	case <-timeout.C:
	case <-ctx.Done():
	}
	return value, false
}
