package web

import (
	"cmp"
	"io"
	"net/http"
	"time"
)

const (
	// eventPause is the least time between two messages of a stream: what
	// changes in between is told by the second.
	eventPause = time.Second
	// eventSilence is the longest time without a message or a comment, by which
	// a listener that went away is noticed.
	eventSilence = 20 * time.Second
	// eventTimeout is how long a listener may take to read a message.
	eventTimeout = 10 * time.Second
)

// events streams a message for each change. What changed it does not say: the
// page reads itself again.
func (p *pages) events(w http.ResponseWriter, r *http.Request) {
	changes, cancel, ok := p.service.Subscribe()
	if !ok {
		// Without a stream the page is one to reload.
		http.Error(w, "too many pages are open", http.StatusServiceUnavailable)
		return
	}
	defer cancel()
	control := http.NewResponseController(w)
	say := func(text string) error {
		// A session that has ended gets no more.
		if visits, err := p.service.Visits(r.Context()); err != nil || !visits {
			return cmp.Or(err, errNotAllowed)
		}
		// The server's own deadline is for answers that have an end.
		if err := control.SetWriteDeadline(time.Now().Add(eventTimeout)); err != nil {
			return err
		}
		if _, err := io.WriteString(w, text); err != nil {
			return err
		}
		return control.Flush()
	}
	w.Header().Set("Content-Type", "text/event-stream")
	if err := say(": listening\n\n"); err != nil {
		return
	}
	silence := time.NewTimer(eventSilence)
	defer silence.Stop()
	for {
		text := "data: changed\n\n"
		select {
		case <-changes:
		case <-silence.C:
			text = ": still here\n\n"
		case <-r.Context().Done():
			return
		}
		if err := say(text); err != nil {
			return
		}
		silence.Reset(eventSilence)
		select {
		case <-time.After(eventPause):
		case <-r.Context().Done():
			return
		}
	}
}
