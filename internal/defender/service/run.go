package service

import (
	"context"
	"fmt"
	"sync"
	"time"
)

// Run does what is due by the time: it ends the windows of cloud-side metrics
// and alarms of silent things, delivers alerts, carries out mitigation tasks,
// and prunes. It returns nil after ctx ended.
func (s *Service) Run(ctx context.Context) error {
	if err := s.advance(); err != nil {
		return fmt.Errorf("advancing the time: %w", err)
	}
	if err := s.prune(); err != nil {
		return fmt.Errorf("pruning: %w", err)
	}
	var parts sync.WaitGroup
	defer parts.Wait()
	parts.Go(func() { s.deliver(ctx) })
	parts.Go(func() { s.mitigate(ctx) })
	ticker := time.NewTicker(time.Second)
	defer ticker.Stop()
	// Every second asks whether a minute has passed, as the service's clock
	// may run faster than that of the machine, or jump.
	minute, pruned := s.now().Truncate(time.Minute), s.now().Truncate(time.Hour)
	for {
		if now := s.now().Truncate(time.Minute); !now.Equal(minute) {
			minute = now
			if err := s.advance(); err != nil {
				s.log.Error("advancing the time failed", "error", err)
			}
			// What failed because of the disk is tried again.
			s.wake(s.outboxReady)
			s.wake(s.tasksReady)
		}
		if now := s.now().Truncate(time.Hour); !now.Equal(pruned) {
			pruned = now
			if err := s.prune(); err != nil {
				s.log.Error("pruning failed", "error", err)
			}
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
func (s *Service) advance() error {
	return s.change(func(c *change) error {
		return c.outcome(s.engine.Advance(c.now))
	})
}
