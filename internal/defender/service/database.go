package service

import (
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"runtime/debug"
	"strings"
	"time"

	"go.etcd.io/bbolt"
	berrors "go.etcd.io/bbolt/errors"
)

// DamagedError says that the database can't be read, and what to do.
type DamagedError struct {
	Path   string
	Reason string
}

func (e *DamagedError) Error() string {
	return fmt.Sprintf("database %s is damaged (%s): put a copy in its place, or move it away to begin afresh", e.Path, e.Reason)
}

// openDatabase opens the file, or makes it.
func openDatabase(path string) (db *bbolt.DB, err error) {
	defer noDamage(path, &err)()
	db, err = bbolt.Open(path, 0o600, &bbolt.Options{Timeout: time.Second})
	switch {
	case errors.Is(err, berrors.ErrTimeout):
		return nil, fmt.Errorf("database %s is in use: is another defenderctl using it?", path)
	case errors.Is(err, berrors.ErrInvalid), errors.Is(err, berrors.ErrChecksum), errors.Is(err, berrors.ErrVersionMismatch),
		errors.Is(err, io.ErrUnexpectedEOF), err != nil && strings.Contains(err.Error(), "file size too small"):
		return nil, &DamagedError{path, err.Error()}
	case err != nil:
		return nil, fmt.Errorf("opening database %s: %w", path, err)
	}
	if err := checkSize(db); err != nil {
		db.Close()
		return nil, err
	}
	return db, nil
}

// checkSize finds a file that was cut short, before something reads beyond its
// end.
func checkSize(db *bbolt.DB) error {
	info, err := os.Stat(db.Path())
	if err != nil {
		return err
	}
	return db.View(func(tx *bbolt.Tx) error {
		if tx.Size() > info.Size() {
			return &DamagedError{db.Path(), fmt.Sprintf("it has %d bytes of %d", info.Size(), tx.Size())}
		}
		return nil
	})
}

// noDamage returns a function to defer. It makes an error of what reading a
// damaged file comes to: a fault of memory, or a panic of bbolt.
func noDamage(path string, err *error) func() {
	before := debug.SetPanicOnFault(true)
	return func() {
		debug.SetPanicOnFault(before)
		p := recover()
		switch {
		case p == nil:
		case isFault(p) || panickedInBolt():
			reason, _, _ := strings.Cut(fmt.Sprint(p), "\n")
			*err = &DamagedError{path, reason}
		default:
			panic(p)
		}
	}
}

// isFault reports whether the panic is of memory that can't be read, such as of
// a mapped file that is shorter now.
func isFault(p any) bool {
	_, ok := p.(interface {
		runtime.Error
		Addr() uintptr
	})
	return ok
}

// panickedInBolt reports whether what panics is bbolt. It is called while that
// is on the stack.
func panickedInBolt() bool {
	pcs := make([]uintptr, 64)
	frames := runtime.CallersFrames(pcs[:runtime.Callers(0, pcs)])
	panicking := false
	for {
		frame, more := frames.Next()
		switch {
		case frame.Function == "runtime.gopanic":
			panicking = true
		case panicking && !strings.HasPrefix(frame.Function, "runtime."):
			return strings.HasPrefix(frame.Function, "go.etcd.io/bbolt")
		}
		if !more {
			return false
		}
	}
}
