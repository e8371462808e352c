package pebble

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	lsm "github.com/cockroachdb/pebble/v2"

	"github.com/device-defender/device-defender/internal/defender/store"
)

// instance is the database between two failures. Where pebble cannot write its
// log or manifest, it ends the process. Here it is the end of the instance: its
// files are fenced off, and the engine opens another one, which has everything
// that was acknowledged.
type instance struct {
	engine *Engine
	gate   *gate
	db     *lsm.DB
	stuck  atomic.Bool    // the last flush failed
	users  sync.WaitGroup // transactions and drops

	once   sync.Once
	broken chan struct{} // closed when the instance has failed
	cause  error         // set before that

	commits sync.Mutex // held by the one commit that is being put into the log

	mu      sync.Mutex        // never held while something waits for the disk
	seq     uint64            // number of the last commit
	applied uint64            // number of the last commit that every new snapshot shows
	last    *commit           // the last commit that a snapshot may show
	writers map[*txn]struct{} // transactions for writing
	written map[string]uint64 // key -> seq of its last commit, as far as a writer can conflict with it
	history []commitKeys      // the same by seq
}

// commit is a commit on its way to the disk.
type commit struct {
	done chan struct{} // closed when it is durable, and never when it has failed
}

type commitKeys struct {
	seq  uint64
	keys []string
}

func newInstance(e *Engine) *instance {
	in := &instance{
		engine: e, broken: make(chan struct{}),
		last: &commit{done: make(chan struct{})}, writers: map[*txn]struct{}{}, written: map[string]uint64{},
	}
	close(in.last.done)
	in.gate = newGate(e.fs, in.fail, e.log)
	return in
}

func (in *instance) use()     { in.users.Add(1) }
func (in *instance) release() { in.users.Done() }

// fail gives up the instance; the first cause counts.
func (in *instance) fail(err error) {
	in.once.Do(func() {
		in.engine.log.Error("database failure", "database", in.engine.dir, "error", err)
		in.cause = err
		close(in.broken)
	})
}

// failure returns why the instance has failed, nil if it has not.
func (in *instance) failure() error {
	select {
	case <-in.broken:
		return in.cause
	default:
		return nil
	}
}

// unavailable is the error of a call that met the failure.
func (in *instance) unavailable() error { return fmt.Errorf("%w: %w", store.ErrUnavailable, in.cause) }

// abandon keeps a failed instance from changing files, and closes it when its
// last transaction has ended. Closing may hang, because what failed never
// returns to pebble: nobody waits for it.
func (in *instance) abandon() {
	in.gate.fence()
	go func() {
		in.users.Wait()
		if err := in.close(); err != nil {
			in.engine.log.Debug("closing the failed database", "error", err)
		}
	}()
}

// shutdown closes the instance when its last transaction has ended. Nobody may
// begin one any more. Where a full disk keeps it from ending, it is abandoned:
// what was acknowledged is in the log.
func (in *instance) shutdown() error {
	closed := make(chan error, 1)
	go func() {
		in.users.Wait()
		closed <- in.close()
	}()
	look := time.NewTicker(roomRetry)
	defer look.Stop()
	for {
		select {
		case err := <-closed:
			return err
		case <-in.broken:
			in.gate.fence()
			return in.unavailable()
		case <-look.C:
			if in.gate.full.Load() > 0 || in.stuck.Load() {
				in.fail(store.ErrFull)
			}
		}
	}
}

func (in *instance) close() (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("closing the database: %v", r)
		}
	}()
	return in.db.Close()
}

// begin begins a transaction for an instance that the caller uses; the
// transaction releases it.
func (in *instance) begin(ctx context.Context, writing bool) (store.Txn, error) {
	t := &txn{in: in}
	in.mu.Lock()
	if t.start = in.applied; writing {
		in.writers[t] = struct{}{}
	}
	in.mu.Unlock()
	t.snapshot = in.db.NewSnapshot()
	in.mu.Lock()
	last := in.last
	in.mu.Unlock()
	// Commits become durable in the order of their numbers, so it is enough to
	// wait for the last one that the snapshot may show.
	select {
	case <-last.done:
		return t, nil
	case <-in.broken:
		t.Rollback()
		return nil, in.unavailable()
	case <-ctx.Done():
		t.Rollback()
		err := fmt.Errorf("beginning a transaction: %w", ctx.Err())
		if in.gate.full.Load() > 0 {
			err = fmt.Errorf("%w: %w", store.ErrFull, err)
		}
		return nil, err
	}
}

// forget forgets a writer, and the keys that no other can conflict with.
func (in *instance) forget(t *txn) {
	in.mu.Lock()
	defer in.mu.Unlock()
	delete(in.writers, t)
	oldest := in.applied
	for w := range in.writers {
		oldest = min(oldest, w.start)
	}
	for len(in.history) > 0 && in.history[0].seq <= oldest {
		for _, key := range in.history[0].keys {
			if in.written[key] == in.history[0].seq {
				delete(in.written, key)
			}
		}
		in.history[0].keys = nil
		in.history = in.history[1:]
	}
	if len(in.history) == 0 {
		in.history = nil
	}
}

// room returns store.ErrFull if a commit would wait for room on the disk, or
// leave too little of it.
func (in *instance) room(size int) error {
	if in.stuck.Load() || in.gate.full.Load() > 0 {
		return fmt.Errorf("%w: the database cannot write its files", store.ErrFull)
	}
	return in.engine.space.check(size)
}

// apply applies the batch and waits until it is durable. keys are those that it
// writes; they and the guards are checked for conflicts with t, unless that is
// nil. It ends t, or releases the instance if there is none.
func (in *instance) apply(ctx context.Context, batch *lsm.Batch, t *txn, keys, guards []string) error {
	// What fails for ever or waits for room on the disk does so in a goroutine
	// of its own.
	durable := make(chan error, 1)
	go func() {
		durable <- in.commit(batch, t, keys, guards)
		if t != nil {
			t.end()
		} else {
			in.release()
		}
	}()
	select {
	case err := <-durable:
		return err
	case <-in.broken:
		select { // it may have been durable before
		case err := <-durable:
			return err
		default:
			return in.unavailable()
		}
	case <-ctx.Done():
		return fmt.Errorf("%w: %w while committing", store.ErrUnavailable, ctx.Err())
	}
}

func (in *instance) commit(batch *lsm.Batch, t *txn, keys, guards []string) error {
	c, err := in.publish(batch, t, keys, guards)
	if err != nil {
		return err
	}
	if err := batch.SyncWait(); err != nil {
		in.fail(fmt.Errorf("writing the log: %w", err))
		return in.unavailable()
	}
	if in.failure() != nil {
		return in.unavailable()
	}
	close(c.done)
	return batch.Close()
}

// publish puts the batch behind the others into the log, unless it conflicts.
func (in *instance) publish(batch *lsm.Batch, t *txn, keys, guards []string) (c *commit, err error) {
	in.commits.Lock()
	defer in.commits.Unlock()
	if in.failure() != nil {
		return nil, in.unavailable()
	}
	if c, err = in.enter(t, keys, guards); err != nil {
		return nil, err
	}
	defer func() {
		if r := recover(); r != nil {
			in.engine.log.Error("the database panicked", "panic", r, "stack", string(debug.Stack()))
			in.fail(fmt.Errorf("%w: %v", errPanic, r))
			c, err = nil, in.unavailable()
		}
	}()
	if err := in.db.ApplyNoSyncWait(batch, lsm.Sync); err != nil {
		in.fail(err)
	}
	// Pebble tells the logger of a write that failed, and returns nil.
	if in.failure() != nil {
		return nil, in.unavailable()
	}
	in.mu.Lock()
	in.applied = in.seq
	in.mu.Unlock()
	return c, nil
}

// enter gives a commit its number, unless it conflicts. From here on snapshots
// may show it.
func (in *instance) enter(t *txn, keys, guards []string) (*commit, error) {
	in.mu.Lock()
	defer in.mu.Unlock()
	if t != nil {
		for _, list := range [][]string{keys, guards} {
			for _, key := range list {
				if in.written[key] > t.start {
					return nil, store.ErrConflict
				}
			}
		}
	}
	in.seq++
	for _, key := range keys {
		in.written[key] = in.seq
	}
	if len(keys) > 0 {
		in.history = append(in.history, commitKeys{in.seq, keys})
	}
	in.last = &commit{done: make(chan struct{})}
	return in.last, nil
}

// errPanic says that the database panicked.
var errPanic = errors.New("panic")

// drop deletes a part.
func (in *instance) drop(ctx context.Context, part store.Part) error {
	from, to := partBounds(part)
	batch := in.db.NewBatch()
	if err := batch.DeleteRange(from, to, nil); err != nil {
		in.release()
		return err
	}
	in.use()
	defer in.release()
	if err := in.apply(ctx, batch, nil, nil, nil); err != nil {
		return err
	}
	// The space comes back when the range delete has left the memory table. The
	// disk may be full: nobody waits for it.
	in.use()
	go func() {
		defer in.release()
		if flushed, err := in.db.AsyncFlush(); err == nil {
			select {
			case <-flushed:
			case <-in.broken:
			}
		}
	}()
	return nil
}

// slowRetry is the pause between two flushes that fail.
const slowRetry = 100 * time.Millisecond

// events takes what happens in the background.
func (in *instance) events() *lsm.EventListener {
	log := in.engine.log
	return &lsm.EventListener{
		BackgroundError: func(err error) {
			if !in.stuck.Swap(true) {
				log.Error("the database cannot write its files, and tries again", "error", err)
			}
			// Pebble tries again at once, and for ever.
			time.Sleep(slowRetry)
		},
		FlushEnd: func(info lsm.FlushInfo) {
			if info.Err == nil && in.stuck.Swap(false) {
				log.Info("the database writes its files again")
			}
		},
		DataCorruption: func(info lsm.DataCorruptionInfo) {
			log.Error("the database is damaged", "file", info.Path, "error", info.Details)
		},
		WriteStallBegin: func(info lsm.WriteStallBeginInfo) {
			in.engine.stalls.Add(1)
			log.Warn("writes wait for compactions", "reason", info.Reason)
		},
	}
}

// logger is pebble's log.
type logger struct{ in *instance }

func (l logger) Infof(string, ...any) {}

func (l logger) Errorf(format string, args ...any) {
	l.in.engine.log.Warn("database", "message", fmt.Sprintf(format, args...))
}

// Fatalf is called where pebble would end the process.
func (l logger) Fatalf(format string, args ...any) {
	l.in.fail(fmt.Errorf(format, args...))
}
