package cli

import (
	"io"
	"os"
	"time"

	"github.com/jedib0t/go-pretty/v6/progress"
	"github.com/spf13/cobra"
)

// patience is how long work may take before it's shown how far it has come.
const patience = time.Second

// bar shows on stderr how far long work has come, if that is a terminal.
type bar struct {
	w       io.Writer // nil shows nothing
	began   time.Time
	tracker *progress.Tracker // nil as long as there is no need
	drawn   chan struct{}     // closed when nothing is drawn any more
}

func newBar(cmd *cobra.Command) *bar {
	b := &bar{began: time.Now()}
	if w := cmd.ErrOrStderr(); isTerminal(w) && os.Getenv("TERM") != "dumb" {
		b.w = w
	}
	return b
}

// update tells how much is done, and of what.
func (b *bar) update(what string, done, total int64) {
	if b.w == nil || time.Since(b.began) < patience {
		return
	}
	if b.tracker == nil {
		b.start(what, total)
	}
	b.tracker.UpdateMessage(what)
	b.tracker.UpdateTotal(total)
	// A tracker that has it all is over, and there may be more work.
	b.tracker.SetValue(min(done, total-1))
}

func (b *bar) start(what string, total int64) {
	b.tracker = &progress.Tracker{Message: what, Total: total, RemoveOnCompletion: true}
	w := progress.NewWriter()
	w.SetOutputWriter(b.w)
	w.SetAutoStop(true)
	w.SetUpdateFrequency(100 * time.Millisecond)
	w.SetTrackerLength(30)
	w.SetTrackerPosition(progress.PositionRight)
	w.Style().Visibility.Value = false
	w.Style().Visibility.ETA = true
	w.Style().Options.TimeInProgressPrecision = time.Second
	w.Style().Options.ETAPrecision = time.Second
	w.AppendTracker(b.tracker)
	b.drawn = make(chan struct{})
	go func() {
		defer close(b.drawn)
		w.Render()
	}()
}

// end takes the bar away. It's called in any case.
func (b *bar) end() {
	if b.tracker != nil {
		b.tracker.MarkAsDone()
		<-b.drawn
		b.tracker = nil
	}
}
