package pebble

import (
	"errors"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// errFenced is what a failed instance gets from its files.
var errFenced = errors.New("this instance of the database has been given up")

// roomRetry is the pause between two attempts to write to a full disk.
const roomRetry = 100 * time.Millisecond

// gate is the file system of one instance. It is there for the writes whose
// failure ends the process in pebble: a failed write of the log is a fatal
// error, and one that happens while it begins the next log file is a Go panic
// that cannot be recovered, as it unlocks an unlocked mutex. So pebble never
// sees such a failure:
//
//   - A full disk is a slow disk: the write is tried again until there is room.
//   - Any other failure, of a sync above all, gives up the instance, and the call
//     never returns. What a failed sync should have written is unknown, and the
//     next sync would claim that it is there.
//
// Failures of tables, which pebble writes in the background and can write
// again, are passed on.
//
// The gate can be shut: what is left of an instance that was given up must not
// touch the files of the next. Reads go on, for transactions under way.
type gate struct {
	vfs.FS
	fail    func(error)
	log     *slog.Logger
	guarded atomic.Bool
	full    atomic.Int32 // writes that wait for room

	mu   sync.RWMutex // held for reading while a file changes
	shut bool
}

func newGate(fs vfs.FS, fail func(error), log *slog.Logger) *gate {
	return &gate{FS: fs, fail: fail, log: log}
}

// guard begins to hide failures. While the database is being opened they are the
// result of that.
func (g *gate) guard() { g.guarded.Store(true) }

// fence shuts the gate. Changes under way have ended when it returns.
func (g *gate) fence() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.shut = true
}

// pass makes a change, unless the gate is shut.
func (g *gate) pass(change func() error) error {
	g.mu.RLock()
	defer g.mu.RUnlock()
	if g.shut {
		return errFenced
	}
	return change()
}

// must makes a change that pebble cannot do without.
func (g *gate) must(change func() error) error {
	err := g.pass(change)
	if err == nil || !g.guarded.Load() {
		return err
	}
	if vfs.IsNoSpaceError(err) {
		if g.full.Add(1) == 1 {
			g.log.Error("the disk is full, the database waits for room", "error", err)
		}
		for vfs.IsNoSpaceError(err) {
			time.Sleep(roomRetry)
			err = g.pass(change)
		}
		if g.full.Add(-1) == 0 && err == nil {
			g.log.Info("the disk has room again")
		}
	}
	if err != nil {
		g.fail(err)
		park()
	}
	return nil
}

// park does not return.
func park() { select {} }

// changing makes the change as the file of the name needs it.
func (g *gate) changing(name string, change func() error) error {
	if ext := filepath.Ext(name); ext == ".sst" || ext == ".blob" {
		return g.pass(change)
	}
	return g.must(change)
}

// opened opens a file for writing.
func (g *gate) opened(name string, open func() (vfs.File, error)) (f vfs.File, err error) {
	err = g.changing(name, func() error {
		f, err = open()
		return err
	})
	if err != nil {
		return nil, err
	}
	return &gateFile{f, g, name}, nil
}

func (g *gate) Create(name string, c vfs.DiskWriteCategory) (vfs.File, error) {
	return g.opened(name, func() (vfs.File, error) { return g.FS.Create(name, c) })
}

func (g *gate) OpenReadWrite(name string, c vfs.DiskWriteCategory, o ...vfs.OpenOption) (vfs.File, error) {
	return g.opened(name, func() (vfs.File, error) { return g.FS.OpenReadWrite(name, c, o...) })
}

// ReuseForWrite does not overwrite old logs, as pebble means it: where the page
// cache holds a log in large folios, Linux accounts a folio for each small
// commit, 28 KB instead of 5.
func (g *gate) ReuseForWrite(from, to string, c vfs.DiskWriteCategory) (vfs.File, error) {
	if err := g.Remove(from); err != nil {
		return nil, err
	}
	return g.Create(to, c)
}

func (g *gate) OpenDir(name string) (vfs.File, error) {
	f, err := g.FS.OpenDir(name)
	if err != nil {
		return nil, err
	}
	return &gateFile{f, g, name}, nil
}

func (g *gate) Link(from, to string) error {
	return g.changing(to, func() error { return g.FS.Link(from, to) })
}

func (g *gate) Rename(from, to string) error {
	return g.changing(to, func() error { return g.FS.Rename(from, to) })
}

func (g *gate) Remove(name string) error {
	return g.pass(func() error { return g.FS.Remove(name) })
}

func (g *gate) RemoveAll(name string) error {
	return g.pass(func() error { return g.FS.RemoveAll(name) })
}

func (g *gate) MkdirAll(name string, mode os.FileMode) error {
	return g.pass(func() error { return g.FS.MkdirAll(name, mode) })
}

// Lock does nothing: the engine holds the lock for all its instances.
func (g *gate) Lock(string) (io.Closer, error) { return io.NopCloser(nil), nil }

func (g *gate) Unwrap() vfs.FS { return g.FS }

// gateFile is a file that is open for writing, or a folder.
type gateFile struct {
	vfs.File
	gate *gate
	name string
}

// Write goes on behind what a full disk took of it.
func (f *gateFile) Write(p []byte) (int, error) {
	done := 0
	err := f.gate.changing(f.name, func() error {
		n, err := f.File.Write(p[done:])
		done += n
		return err
	})
	return done, err
}

func (f *gateFile) WriteAt(p []byte, at int64) (n int, err error) {
	err = f.gate.changing(f.name, func() error {
		n, err = f.File.WriteAt(p, at)
		return err
	})
	return n, err
}

func (f *gateFile) Preallocate(at, length int64) error {
	return f.gate.pass(func() error {
		err := f.File.Preallocate(at, length)
		if vfs.IsNoSpaceError(err) {
			return nil // it only saves time
		}
		return err
	})
}

func (f *gateFile) Sync() error { return f.gate.changing(f.name, f.File.Sync) }

func (f *gateFile) SyncData() error { return f.gate.changing(f.name, f.File.SyncData) }

func (f *gateFile) SyncTo(length int64) (full bool, err error) {
	err = f.gate.changing(f.name, func() error {
		full, err = f.File.SyncTo(length)
		return err
	})
	return full, err
}
