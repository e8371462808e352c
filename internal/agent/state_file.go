package agent

import (
	"encoding/json"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
)

// stateWriter writes the state file, away from the agent's loop: a disk may
// take its time, or for ever. Of states that wait only the last is written.
type stateWriter struct {
	folder string
	log    *slog.Logger

	mu      sync.Mutex
	next    []byte          // waits to be written, nil if nothing does
	waiting []chan struct{} // closed when next has been
	busy    bool            // a goroutine writes
	failure string          // the one logged last, "" since a success
}

// save writes a state. The channel is closed when that, or a later state, is on
// the disk, or can't be written, which is logged.
func (w *stateWriter) save(s *state) <-chan struct{} {
	text, err := json.Marshal(s)
	if err != nil {
		panic(err) // of types that can't be encoded, which state has none of
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	done := make(chan struct{})
	w.next, w.waiting = text, append(w.waiting, done)
	if !w.busy {
		w.busy = true
		go w.write()
	}
	return done
}

// write writes what waits until nothing does.
func (w *stateWriter) write() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for w.next != nil {
		text, waiting := w.next, w.waiting
		w.next, w.waiting = nil, nil
		w.mu.Unlock()
		err := replaceState(w.folder, text)
		w.mu.Lock()
		w.say(err)
		for _, done := range waiting {
			close(done)
		}
	}
	w.busy = false
}

// say logs a failure when it begins, changes or ends.
func (w *stateWriter) say(err error) {
	failure := ""
	if err != nil {
		failure = err.Error()
	}
	if failure == w.failure {
		return
	}
	w.failure = failure
	if err != nil {
		w.log.Warn("state not saved, a restart would start afresh", "error", err)
	} else {
		w.log.Info("state saved again")
	}
}

// replaceState replaces the state file in one step: after a crash at any moment
// it holds the old state or the new one.
func replaceState(folder string, text []byte) error {
	name := filepath.Join(folder, stateFile)
	// A fixed name, so that crashes do not leave a trail of files, and always a
	// new file: nothing that lies there under that name is written to.
	if err := os.Remove(name + ".new"); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	f, err := os.OpenFile(name+".new", os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(text)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), name)
}
