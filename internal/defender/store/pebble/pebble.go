package pebble

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"runtime/debug"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	lsm "github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/bloom"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/atomicfs"

	"github.com/device-defender/device-defender/internal/defender/store"
)

// Options are options of [Open]. The zero value is good.
type Options struct {
	Log *slog.Logger // default: no log

	// Cache is the size of the cache of blocks in bytes; default 32 MB.
	Cache int64
	// Reserve is how many bytes of the disk are left free: with less, Commit
	// returns store.ErrFull for all but deletes. It is what dropping a day, and
	// the compactions that free its space, need to succeed on a disk that has
	// run full. Default 256 MB.
	Reserve uint64

	// MemTable is the size in bytes of the table in memory that is flushed to the
	// disk when it is full; default 16 MB. Twice that is taken from memory, and
	// four times that from the disk for the log. With more of it, a fleet writes
	// less: more states overwrite each other in memory, and what is flushed is
	// merged into the rest less often. Small databases take less memory, since
	// the table grows from 256 KB.
	MemTable uint64

	fs vfs.FS // of tests; default the operating system's
}

// Pauses between attempts to open the database again after a failure.
const (
	firstRetry   = time.Second
	longestRetry = time.Minute
)

// Engine is a database in a folder.
type Engine struct {
	dir     string
	options Options
	log     *slog.Logger
	fs      vfs.FS
	lock    io.Closer
	space   space
	stalls  atomic.Uint64 // times that writes waited for compactions

	mu      sync.Mutex
	current *instance // nil after a failed attempt to open it again
	cause   error     // of that
	retry   time.Time // when the next attempt may begin
	pause   time.Duration
	closed  bool
}

// Open opens the database in the folder, and creates both if they are not
// there. The folder is locked: store.ErrInUse says that another process has it
// open. store.ErrDamaged says that the files cannot be read, store.ErrNewer that a
// newer engine wrote them.
func Open(dir string, o Options) (*Engine, error) {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Cache == 0 {
		o.Cache = 32 << 20
	}
	if o.Reserve == 0 {
		o.Reserve = 256 << 20
	}
	if o.MemTable == 0 {
		o.MemTable = 16 << 20
	}
	if o.fs == nil {
		o.fs = vfs.Default
	}
	e := &Engine{dir: dir, options: o, log: o.Log, fs: o.fs}
	e.space = space{fs: o.fs, dir: dir, reserve: o.Reserve}
	if err := e.fs.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("creating the database folder: %w", err)
	}
	// The engine holds the lock, and not its instances: see instance.
	var err error
	if e.lock, err = e.fs.Lock(e.fs.PathJoin(dir, "LOCK")); err != nil {
		return nil, fmt.Errorf("database %s: %w: %w", dir, store.ErrInUse, err)
	}
	if e.current, err = e.open(); err != nil {
		e.lock.Close()
		return nil, err
	}
	return e, nil
}

// open opens an instance.
func (e *Engine) open() (in *instance, err error) {
	in = newInstance(e)
	defer func() {
		if r := recover(); r != nil {
			e.log.Error("opening the database panicked", "panic", r, "stack", string(debug.Stack()))
			err = fmt.Errorf("%v", r)
		}
		if err == nil {
			return
		}
		in.gate.fence()
		// What isn't of the system is of the files, such as a table that is too
		// short, which pebble does not call a corruption.
		if _, system := errors.AsType[syscall.Errno](err); (!system || errors.Is(err, os.ErrNotExist)) && !errors.Is(err, store.ErrNewer) {
			err = fmt.Errorf("%w: %w", store.ErrDamaged, err)
		}
		in, err = nil, fmt.Errorf("opening database %s: %w", e.dir, err)
	}()
	if err = e.known(); err == nil {
		in.db, err = lsm.Open(e.dir, e.lsmOptions(in))
	}
	if err == nil {
		in.gate.guard()
	}
	return in, err
}

// known returns store.ErrNewer for files in a format that this pebble does not
// know. Pebble says so as of files that are damaged.
func (e *Engine) known() error {
	format, err := atomicfs.ReadMarker(e.fs, e.dir, "format-version")
	if err != nil {
		return nil // pebble says it better
	}
	if n, err := strconv.ParseUint(format, 10, 32); err == nil && n > uint64(lsm.FormatNewest) {
		return fmt.Errorf("format %d of its files: %w", n, store.ErrNewer)
	}
	return nil
}

func (e *Engine) lsmOptions(in *instance) *lsm.Options {
	o := &lsm.Options{
		FS: in.gate, Logger: logger{in}, EventListener: in.events(),
		// A fixed version: a new release of pebble must not make a database
		// unreadable for the release before.
		FormatMajorVersion:          lsm.FormatTableFormatV6,
		CacheSize:                   e.options.Cache,
		MemTableSize:                e.options.MemTable,
		MemTableStopWritesThreshold: 2,
		L0CompactionThreshold:       4,
		L0StopWritesThreshold:       20,
		LBaseMaxBytes:               64 << 20,
		BytesPerSync:                512 << 10,
		WALBytesPerSync:             512 << 10,
		MaxOpenFiles:                1000,
	}
	// The default one looks ten times a second whether more compactions may run at
	// once than before. Here it is always one.
	o.Experimental.CompactionScheduler = lsm.NewConcurrencyLimitSchedulerWithNoPeriodicGrantingForTest()
	o.ApplyCompressionSettings(func() lsm.DBCompressionSettings { return lsm.DBCompressionBalanced })
	for i := range o.Levels {
		o.Levels[i].FilterPolicy = bloom.FilterPolicy(10)
		o.Levels[i].BlockSize = 16 << 10
	}
	return o
}

// Begin begins a transaction.
func (e *Engine) Begin(ctx context.Context, writing bool) (store.Txn, error) {
	in, err := e.instance()
	if err != nil {
		return nil, err
	}
	return in.begin(ctx, writing)
}

// Drop deletes a day of a table.
func (e *Engine) Drop(ctx context.Context, part store.Part) error {
	in, err := e.instance()
	if err != nil {
		return err
	}
	return in.drop(ctx, part)
}

// instance returns the database, for the caller to release. It opens it again
// if it has failed.
func (e *Engine) instance() (*instance, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed {
		return nil, store.ErrClosed
	}
	if e.current != nil {
		failure := e.current.failure()
		if failure == nil {
			e.current.use()
			return e.current, nil
		}
		e.log.Error("the database failed and is opened again", "database", e.dir, "error", failure)
		e.current.abandon()
		e.current, e.cause = nil, failure
		if now := time.Now(); now.Sub(e.retry) > longestRetry {
			e.pause, e.retry = firstRetry, now // the first failure for long
		}
	}
	if now := time.Now(); !now.Before(e.retry) {
		e.retry, e.pause = now.Add(e.pause), min(2*e.pause, longestRetry)
		in, err := e.open()
		if err == nil {
			e.log.Info("the database is open again", "database", e.dir)
			e.current = in
			in.use()
			return in, nil
		}
		e.log.Error("opening the database again failed", "error", err)
		e.cause = err
	}
	return nil, fmt.Errorf("%w: %w", store.ErrUnavailable, e.cause)
}

// Close waits until the transactions under way have ended and closes the
// database. A commit that waits for room on a full disk is not waited for.
func (e *Engine) Close() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed {
		return nil
	}
	e.closed = true
	var err error
	if in := e.current; in != nil {
		err = in.shutdown()
	}
	return errors.Join(err, e.lock.Close())
}
