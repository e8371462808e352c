package service

import (
	"context"
	"sync"
	"time"
)

// Run does what is due by the time: it ends the windows of cloud-side metrics
// and alarms of silent things, delivers alerts, carries out mitigation tasks,
// and prunes. What fails, because the disk is full or for any other reason, is
// logged and tried again. It returns nil after ctx ended.
func (s *Service) Run(ctx context.Context) error {
	s.watchClock(ctx, s.now())
	if err := s.restamp(ctx); err != nil {
		s.log.Error("setting the time of things back failed", "error", err)
	}
	var parts sync.WaitGroup
	defer parts.Wait()
	parts.Go(func() { s.deliver(ctx) })
	parts.Go(func() { s.mitigate(ctx) })
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
			if err := s.advance(ctx); err != nil {
				s.log.Error("advancing the time failed", "error", err)
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
			s.wake(s.tasksReady)
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

// advance tells the engine the time: windows of cloud-side metrics end, and
// alarms of things that have been silent for two days are invalidated.
func (s *Service) advance(ctx context.Context) error {
	return s.change(ctx, func(c *change) error {
		if err := c.keepClock(); err != nil {
			return err
		}
		return c.outcome(s.engine.Advance(c.now))
	})
}
