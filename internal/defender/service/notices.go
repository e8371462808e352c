package service

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/device-defender/device-defender/internal/defender/effect"
	"github.com/device-defender/device-defender/internal/defender/store"
)

// turnAway is why reports of things that are not registered are turned away.
type turnAway int

const (
	tooManyThings turnAway = iota
	tooMuchOfThing
	tooMuchOfAll
	turnAways
)

// shownFor is how long the pages tell of reports that were turned away.
const shownFor = 24 * time.Hour

// turnedAway are the reports that were, since the service was opened.
type turnedAway struct {
	mu   sync.Mutex // guards the rest
	why  [turnAways]turned
	last time.Time // line of the log
}

type turned struct {
	count int64
	last  time.Time
	thing string
}

// turn notes that a report was turned away, and says so once a minute.
func (s *Service) turn(why turnAway, thing string, now time.Time) {
	t := &s.turnedAway
	t.mu.Lock()
	defer t.mu.Unlock()
	w := &t.why[why]
	w.count, w.last, w.thing = w.count+1, now, thing
	if since := now.Sub(t.last); since >= 0 && since < time.Minute {
		return
	}
	t.last = now
	s.log.Warn("reports of things that are not registered are turned away", "reason", s.turnText(why), "thing", thing, "reports", w.count)
}

func (s *Service) turnText(why turnAway) string {
	switch why {
	case tooManyThings:
		return fmt.Sprintf("there are %d such things, the most of --unregistered-things; registered ones are not counted", s.maxUnregistered())
	case tooMuchOfThing:
		return fmt.Sprintf("one such thing has sent %d MB today; registered ones may send more", maxThingBytes>>20)
	default:
		return fmt.Sprintf("all such things have sent %d MB today, the most of --unregistered-megabytes; registered ones are not counted", s.maxUnregisteredBytes()>>20)
	}
}

// Without lists what this service takes of profiles and does nothing about, see
// package effect.
func (s *Service) Without() []string {
	without := []string{effect.Export, effect.ML}
	switch {
	case s.options.CloudEvents:
	case s.options.CloudConnections:
		without = append(without, effect.Messages)
	default:
		without = append(without, effect.CloudSide)
	}
	return without
}

// Notices are what an operator has to know and no operation tells: what is wrong
// with the clock, where the registry is, what is turned away, what of profiles is without effect.
func (s *Service) Notices(ctx context.Context) (notices []string, err error) {
	if leap := s.clock.leapt(); leap > 0 {
		notices = append(notices, leapText(leap))
	}
	if s.options.Registry != nil {
		status := s.options.Registry.Status()
		notices = append(notices, status.notice())
		if text, ok := s.elsewhere.notice(s.now()); ok {
			notices = append(notices, text)
		}
	}
	s.turnedAway.mu.Lock()
	for why, w := range s.turnedAway.why {
		if w.count > 0 && s.now().Sub(w.last) < shownFor {
			notices = append(notices, fmt.Sprintf("%d reports of things that are not registered were turned away, the last of %s: %s", w.count, w.thing, s.turnText(turnAway(why))))
		}
	}
	s.turnedAway.mu.Unlock()
	err = s.read(ctx, func(view *store.Reader) error {
		for stored, err := range tableProfiles.Scan(view, store.Range{}) {
			if err != nil {
				return err
			}
			for _, note := range s.notesOn(&stored.Value.Document, s.Without()) {
				notices = append(notices, "profile "+stored.Key+": "+note)
			}
		}
		return nil
	})
	return notices, err
}

// without is the header that says so to clients.
func (s *Service) without() string { return strings.Join(s.Without(), ",") }
