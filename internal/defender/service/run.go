package service

import (
	"context"
	"sync"
	"time"

	"github.com/device-defender/device-defender/internal/defender/store"
)

// Run does what is due by the time: jobs, which end the windows of cloud-side
// metrics and alarms of silent things, and carry out mitigation tasks; alerts;
// pruning. What
// fails, because the disk is full or for any other reason, is logged and tried
// again. It returns nil after ctx ended.
func (s *Service) Run(ctx context.Context) error {
	s.watchClock(ctx, s.now())
	if err := s.restamp(ctx); err != nil {
		s.log.Error("setting the time of things back failed", "error", err)
	}
	var parts sync.WaitGroup
	defer s.elsewhere.done.Wait() // after the jobs, which begin these
	defer parts.Wait()
	parts.Go(func() { s.deliver(ctx) })
	parts.Go(func() { s.work(ctx) })
	ticker := time.NewTicker(time.Second)
	defer ticker.Stop()
	// Every second asks whether a minute has passed, as the service's clock
	// may run faster than that of the machine, or jump.
	var minute, pruned time.Time
	for {
		now := s.now()
		s.watchClock(ctx, now)
		if m := now.Truncate(time.Minute); !m.Equal(minute) {
			minute = m
			if err := s.keepClock(ctx); err != nil {
				s.log.Error("storing the time failed", "error", err)
			}
			if hour := now.Truncate(time.Hour); !hour.Equal(pruned) {
				if err := s.prune(ctx); ctx.Err() != nil {
					return nil
				} else if err != nil {
					s.log.Error("pruning failed, it is tried again in a minute", "error", err)
				} else {
					pruned = hour
				}
			}
			// What failed because of the disk is tried again.
			s.wake(s.outboxReady)
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return nil
		}
	}
}

// wake tells a part of Run that there is something to do.
func (s *Service) wake(part chan struct{}) {
	select {
	case part <- struct{}{}:
	default:
	}
}

// restamp has the things looked at whose time is far ahead of the clock: their
// jobs are due later than jobs can be.
func (s *Service) restamp(ctx context.Context) error {
	var things []string
	err := s.read(ctx, func(r *store.Reader) error {
		things = nil
		for job, err := range tableJobs.Later(r, s.now().Add(keepValues+s.mostAhead())) {
			if err != nil {
				return err
			}
			if len(job.ID) > 1 && job.ID[:1] == thingJob {
				things = append(things, job.ID[1:])
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	for len(things) > 0 {
		n := min(len(things), jobBatch)
		if err := s.look(ctx, things[:n]); err != nil {
			return err
		}
		things = things[n:]
	}
	return nil
}
