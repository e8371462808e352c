// Package outbox delivers alerts: at least once, those of one violation in their
// order, and each on its own otherwise.
//
// An alert is in the [Store] from the transaction of its event until it is
// delivered, refused for what it is, or three days old. One that its target
// answers with an error waits, for a second at first and up to five minutes
// later, and holds up none but later alerts of its violation. A target that
// takes nothing any more is asked with one alert at a time, in the same pauses,
// until it takes one.
//
// Alerts of a group can go with one message: they are held back for a while, and
// then sent together. Of a violation, the next alert waits until that is delivered.
//
// What waits is in the store only. In memory are the numbers of alerts that were
// tried and are to be tried again, which grow no faster than a target is asked, and
// of those that are held back, which are bounded.
package outbox

import (
	"container/heap"
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"slices"
	"time"
)

const (
	// Life is how long delivery is tried. An alert of days ago is news to
	// nobody, and the API still lists its event.
	Life = 3 * 24 * time.Hour

	maxParallel = 64 // deliveries under way at one time
	maxOfTarget = 8  // and to one target
	// maxFailures in a row are a target that takes nothing any more.
	maxFailures = maxOfTarget

	deliveryTimeout = 10 * time.Second
	firstRetry      = time.Second
	longestRetry    = 5 * time.Minute
	sweepInterval   = time.Minute
	batch           = 64 // alerts read or deleted at once
)

// ErrRefused says that a target will not take an alert, however often it is
// tried. Other refusals, such as of credentials, the operator can mend, and the
// alert then still arrives.
var ErrRefused = errors.New("the alert itself is refused")

// Alert is a message that is to be delivered.
type Alert struct {
	Number    uint64 // of its target; it grows
	Time      time.Time
	Violation string // alerts of one are in order; "" is of none
	Message   []byte
}

// Store keeps alerts by target. One courier uses it, and others may add to it
// meanwhile.
type Store interface {
	// Targets lists the targets that have alerts.
	Targets() ([]string, error)
	// Next reads a target's alerts with greater numbers, in their order.
	Next(target string, after uint64, most int) ([]Alert, error)
	// Delete forgets alerts. Some may not be there.
	Delete(target string, numbers []uint64) error
}

// Courier delivers what is in a store.
type Courier struct {
	Store Store
	// Send delivers an alert, or those of a group, or wraps [ErrRefused].
	Send func(ctx context.Context, target string, alerts []Alert) error
	// Group is with which others an alert may go, and how long it is held back for
	// them; 0 is that it goes at once, by itself. Nil is that for all.
	Group func(target string, a Alert) (key string, hold time.Duration)
	// Age is how long an alert has waited.
	Age func(Alert) time.Duration
	// Name is a target as it may stand in a log.
	Name func(target string) string
	Log  *slog.Logger
}

// Run delivers until ctx ends. It looks into the store at first and whenever
// there is a value in wake.
func (c *Courier) Run(ctx context.Context, wake <-chan struct{}) {
	r := &run{Courier: c, lanes: map[string]*lane{}, results: make(chan result, maxParallel)}
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		r.look()
		r.start(ctx)
		timer.Reset(r.pause())
		select {
		case <-wake:
		case got := <-r.results:
			r.take(got)
			for range len(r.results) {
				r.take(<-r.results)
			}
			r.settle()
		case <-timer.C:
			r.settle()
		case <-ctx.Done():
			for ; r.flying > 0; r.flying-- {
				// What was delivered in the end is not delivered again.
				if got := <-r.results; got.err == nil || errors.Is(got.err, ErrRefused) {
					got.lane.done = append(got.lane.done, got.parcel)
				}
			}
			r.settle()
			return
		}
	}
}

// run is what a courier knows while it runs. It belongs to one goroutine.
type run struct {
	*Courier
	lanes   map[string]*lane
	flying  int // deliveries under way
	results chan result
}

// result is what came of a delivery.
type result struct {
	lane   *lane
	parcel *parcel
	alerts []Alert
	err    error
}

// look finds targets that have alerts, and those that have none any more.
func (r *run) look() {
	targets, err := r.Store.Targets()
	if err != nil {
		r.Log.Error("reading the outbox failed", "error", err)
		return
	}
	has := map[string]bool{}
	for _, target := range targets {
		has[target] = true
		if r.lanes[target] == nil {
			r.lanes[target] = newLane(target, func(a Alert) (string, time.Duration) {
				if r.Group == nil {
					return "", 0
				}
				return r.Group(target, a)
			})
		}
		r.lanes[target].more = true
	}
	for target, l := range r.lanes {
		if !has[target] && l.flying == 0 && len(l.done) == 0 {
			delete(r.lanes, target)
		}
	}
}

// start begins deliveries as long as there is something to deliver.
func (r *run) start(ctx context.Context) {
	for _, l := range r.lanes { // in any order: none is always the last
		if err := r.sweep(l); err != nil {
			r.Log.Error("reading the outbox failed", "error", err)
			continue
		}
		for r.flying < maxParallel && l.mayStart(time.Now()) {
			p, alerts, err := r.next(l)
			if err != nil {
				r.Log.Error("reading the outbox failed", "error", err)
				break
			}
			if p == nil {
				break
			}
			p.flying = true
			l.flying++
			r.flying++
			go func() {
				sending, cancel := context.WithTimeout(ctx, deliveryTimeout)
				defer cancel()
				err := r.Send(sending, l.target, alerts)
				r.results <- result{l, p, alerts, err}
			}()
		}
	}
}

// sweep gives up what is too old, whether it was tried or not.
func (r *run) sweep(l *lane) error {
	if time.Since(l.swept) < sweepInterval {
		return nil
	}
	l.swept = time.Now()
	for {
		oldest, err := r.Store.Next(l.target, 0, batch)
		if err != nil {
			return err
		}
		var old []uint64
		for _, alert := range oldest {
			if r.Age(alert) < Life {
				break
			}
			if l.busy(&alert) {
				continue
			}
			r.giveUp(l, alert, errors.New("it is too old"))
			old = append(old, alert.Number)
		}
		if len(old) == 0 {
			return nil
		}
		if err := r.Store.Delete(l.target, old); err != nil {
			return err
		}
		l.forget(old)
	}
}

// next returns what is to be delivered now: what has not been tried yet, or what
// has its time come, by turns. It is nil if there is none.
func (r *run) next(l *lane) (*parcel, []Alert, error) {
	l.turn = !l.turn
	for range 2 {
		pick := l.fresh
		if l.turn {
			pick = l.again
		}
		if p, alerts, err := pick(r.Store, time.Now()); p != nil || err != nil {
			return p, alerts, err
		}
		l.turn = !l.turn
	}
	return nil, nil, nil
}

// take notes what came of a delivery.
func (r *run) take(got result) {
	l, p := got.lane, got.parcel
	l.flying--
	r.flying--
	switch {
	case got.err == nil:
		l.works()
	case errors.Is(got.err, ErrRefused), !slices.ContainsFunc(got.alerts, func(a Alert) bool { return r.Age(a) < Life }):
		l.works()
		for _, a := range got.alerts {
			r.giveUp(l, a, got.err)
		}
	default:
		p.flying = false
		p.tries++
		wait := backoff(p.tries)
		p.due = time.Now().Add(wait)
		heap.Push(&l.waiting, p)
		if l.fails() {
			wait = max(wait, time.Until(l.pausedUntil))
		}
		r.Log.Warn("alert not delivered", "target", r.Name(l.target), "alerts", len(got.alerts), "error", got.err, "tries", p.tries, "retry_in", wait.Round(time.Millisecond))
		return
	}
	l.done = append(l.done, p)
}

func (r *run) giveUp(l *lane, alert Alert, err error) {
	r.Log.Error("alert given up", "target", r.Name(l.target), "after", r.Age(alert).Round(time.Second), "error", err, "alert", string(alert.Message))
}

// settle forgets what is done. What can't be forgotten, because the disk is
// full, is not delivered again meanwhile.
func (r *run) settle() {
	for _, l := range r.lanes {
		if len(l.done) == 0 {
			continue
		}
		var numbers []uint64
		for _, p := range l.done {
			for _, h := range p.heads {
				numbers = append(numbers, h.number)
			}
		}
		if err := r.Store.Delete(l.target, numbers); err != nil {
			r.Log.Error("forgetting delivered alerts failed", "target", r.Name(l.target), "alerts", len(numbers), "error", err)
			continue
		}
		done := l.done
		l.done = nil
		for _, p := range done {
			for _, h := range p.heads {
				l.release(h, time.Now())
			}
		}
	}
}

// pause is how long there is nothing to do.
func (r *run) pause() time.Duration {
	next := time.Now().Add(sweepInterval)
	for _, l := range r.lanes {
		if len(l.done) > 0 {
			next = earlier(next, time.Now().Add(time.Second))
		}
		if due, waits := l.due(); waits && r.flying < maxParallel {
			next = earlier(next, due)
		}
	}
	return max(0, time.Until(next))
}

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

// backoff is the pause after so many tries, with a part left to chance, so that
// what failed together does not come together again.
func backoff(tries int) time.Duration {
	wait := longestRetry
	if tries < 16 {
		wait = min(firstRetry<<(tries-1), longestRetry)
	}
	return wait/2 + rand.N(wait/2)
}
