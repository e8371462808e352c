package service

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/device-defender/device-defender/internal/defender/store"
)

// Jobs are what is due at a time. A thing has at most one: to end windows of
// cloud-side metrics, alarms of a thing that is silent, and to forget it. A
// profile has one after it was changed: to end the alarms of behaviors that are
// gone. A mitigation task has one until it is over. The first byte of a job's id
// says which it is.
const (
	thingJob   = "t"
	profileJob = "p"
	taskJob    = "m"
)

const (
	// jobLease is how long a worker may take for jobs.
	jobLease = time.Minute
	jobBatch = 256
)

// plan sees to it that the thing's job is there when it is due. A job that is
// there earlier stays: it comes to nothing and is planned again, which costs less
// than moving it with every report.
func (b *batch) plan(k *known, evaluated bool) error {
	due := k.thing.Due()
	switch {
	case evaluated && due.IsZero():
		// Its state is forgotten in two days at the latest, or it is looked
		// at again then.
		due = b.now.Add(2 * 24 * time.Hour)
	case !evaluated && !k.registry.Registered && !k.row.last.time.IsZero():
		// Nothing that it said is kept any longer. If that is over and it was not
		// forgotten, the clock cannot be right, which takes people a while.
		if due = k.row.last.time.Add(keepValues); !due.After(b.now) {
			due = b.now.Add(time.Hour)
		}
	case !evaluated:
		due = time.Time{}
	}
	if !due.IsZero() {
		// Not before it is over, and never at once again.
		due = later(due.Truncate(time.Millisecond).Add(time.Millisecond), b.now.Add(time.Second))
	}
	if due.IsZero() || !k.row.due.IsZero() && !k.row.due.After(due) && k.row.due.After(b.now) {
		return nil
	}
	if !k.row.due.IsZero() {
		if _, err := tableJobs.Done(b.tx, store.Job[struct{}]{Due: k.row.due, ID: thingJob + k.name}); err != nil {
			return err
		}
	}
	k.row.due = due
	return tableJobs.Put(b.tx, store.Job[struct{}]{Due: due, ID: thingJob + k.name})
}

// advance does what is due for a thing.
func (b *batch) advance(k *known, job *store.Job[struct{}]) error {
	if job != nil {
		if _, err := tableJobs.Done(b.tx, *job); err != nil {
			return err
		}
		if !k.row.due.After(b.now) {
			k.row.due = time.Time{}
		}
	}
	k.thing.Advance(&b.eval, b.now)
	if err := b.settle(k); err != nil {
		return err
	}
	if k.open != nil && !sameHour(k.row.chunkTime, b.now) {
		if err := b.closeChunk(k); err != nil {
			return err
		}
	}
	return nil
}

// hurry has a thing looked at soon: what the registry or a profile says of it
// has changed.
func (s *Service) hurry(tx *store.Tx, name string) error {
	s.evict(name)
	row, found, err := tableRows.Get(&tx.Reader, name)
	if err != nil || !found {
		return err
	}
	if !row.due.IsZero() {
		if _, err := tableJobs.Done(tx, store.Job[struct{}]{Due: row.due, ID: thingJob + name}); err != nil {
			return err
		}
	}
	row.due = s.now()
	tx.OnCommit(func() { s.wake(s.jobsReady) })
	if err := tableJobs.Put(tx, store.Job[struct{}]{Due: row.due, ID: thingJob + name}); err != nil {
		return err
	}
	return tableRows.Put(tx, name, row)
}

// work does jobs as they become due, until ctx ends.
func (s *Service) work(ctx context.Context) {
	ticker := time.NewTicker(time.Second)
	defer ticker.Stop()
	for {
		if err := s.runJobs(ctx, pause); err != nil && ctx.Err() == nil {
			s.log.Error("jobs that are due failed, they are tried again in a minute", "error", err)
		}
		select {
		case <-ticker.C:
		case <-s.jobsReady:
		case <-ctx.Done():
			return
		}
	}
}

// jobsDone is a time from before which no job is left. Jobs are put for the
// future, and so it only has to be found out now and then that this is so.
type jobsDone struct {
	mu     sync.Mutex
	before time.Time
	looked time.Time // at all jobs
}

// from returns where to look for jobs that are due.
func (d *jobsDone) from(now time.Time) time.Time {
	d.mu.Lock()
	defer d.mu.Unlock()
	if since := now.Sub(d.looked); since < 0 || since >= jobLease {
		return time.Time{}
	}
	return d.before
}

// none says that no job is due that was not due before from.
func (d *jobsDone) none(from, now time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if from.IsZero() {
		d.looked = now
	}
	// A transaction under way may have a clock that is behind.
	d.before = now.Add(-jobLease)
}

// pause leaves two thirds of the time to others while many jobs are due, such as
// after the service was off for days.
func pause(ctx context.Context, worked time.Duration) {
	select {
	case <-time.After(2 * worked):
	case <-ctx.Done():
	}
}

// runJobs does all jobs that are due. It calls pause, if there is one, between
// batches with how long the last one took.
func (s *Service) runJobs(ctx context.Context, pause func(context.Context, time.Duration)) error {
	for {
		began, now := time.Now(), s.now()
		s.watchClock(ctx, now) // which must not be trusted blindly
		from := s.jobsDone.from(now)
		due := false
		err := s.read(ctx, func(r *store.Reader) error {
			first, found, err := tableJobs.NextDue(r, from)
			due = found && !first.After(now)
			return err
		})
		if err != nil {
			return err
		}
		if !due {
			s.jobsDone.none(from, now)
			return nil
		}
		jobs, err := tableJobs.Claim(ctx, s.store, from, now, jobLease, jobBatch)
		if err != nil {
			return err
		}
		if err := s.doJobs(ctx, jobs); err != nil {
			return err
		}
		if len(jobs) == jobBatch && pause != nil {
			pause(ctx, time.Since(began))
		}
	}
}

// doJobs does jobs that were claimed: those of things at once, each by the
// thing's lane.
func (s *Service) doJobs(ctx context.Context, jobs []store.Job[struct{}]) error {
	var errs []error
	done := make(chan error, len(jobs))
	waiting := 0
	for i := range jobs {
		job := &jobs[i]
		name := job.ID[1:]
		switch {
		case strings.HasPrefix(job.ID, thingJob):
			if err := s.hand(ctx, &task{thing: name, job: job, done: done}); err != nil {
				errs = append(errs, err)
				continue
			}
			waiting++
		case strings.HasPrefix(job.ID, profileJob):
			errs = append(errs, s.doProfile(ctx, name, *job))
		case strings.HasPrefix(job.ID, taskJob) && s.options.Registry != nil:
			s.mitigateElsewhere(ctx, name, *job)
		case strings.HasPrefix(job.ID, taskJob):
			errs = append(errs, s.mitigateStep(ctx, name, *job))
		default:
			errs = append(errs, fmt.Errorf("job %q: %w", job.ID, store.ErrDamaged))
		}
	}
	return errors.Join(append(errs, s.wait(done, waiting))...)
}

// endGone looks at the things that have an alarm under a profile which was
// changed: a behavior that is gone ends its alarms, also when the thing is
// silent.
func (s *Service) endGone(ctx context.Context, name string) error {
	after := ""
	for {
		var things []string
		err := s.read(ctx, func(r *store.Reader) error {
			span := store.Prefix(name + "\x00").Resume(after)
			span.Limit = jobBatch
			for entry, err := range tableActiveByProfile.Scan(r, span) {
				if err != nil {
					return err
				}
				after = entry.Key
				v, found, err := tableViolations.Get(r, entry.Key[len(name)+1:])
				if err != nil {
					return err
				}
				if found {
					things = append(things, v.Thing)
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
		if len(things) == 0 {
			return nil
		}
		if err := s.look(ctx, things); err != nil {
			return err
		}
	}
}

// doProfile does the job of a profile.
func (s *Service) doProfile(ctx context.Context, name string, job store.Job[struct{}]) error {
	if err := s.endGone(ctx, name); err != nil {
		return err
	}
	return s.write(ctx, func(tx *store.Tx) error {
		_, err := tableJobs.Done(tx, job)
		return err
	})
}

// look has things evaluated by the rules of now.
func (s *Service) look(ctx context.Context, things []string) error {
	done := make(chan error, len(things))
	for _, name := range things {
		if err := s.hand(ctx, &task{thing: name, done: done}); err != nil {
			return err
		}
	}
	return s.wait(done, len(things))
}

// wait waits for the answers to n tasks.
func (s *Service) wait(done <-chan error, n int) error {
	var errs []error
	for range n {
		select {
		case err := <-done:
			errs = append(errs, err)
		case <-s.intake.done:
			return errors.Join(append(errs, errClosing)...)
		}
	}
	return errors.Join(errs...)
}
