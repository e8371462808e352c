package greengrass

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/device-defender/device-defender/internal/greengrass/eventrpc"
)

// blameAfter is how long a refusal for lack of authorization must last before
// the component's accessControl is named as its cause. Nucleus lite gives the
// same answer while its configuration daemon is down (run of 2.6.0).
const blameAfter = time.Minute

// Registration is a subscription that a [Session] keeps. It is safe for
// concurrent use.
type Registration struct {
	name     string
	optional bool
	ctx      context.Context // until Close, or the end of the session
	cancel   context.CancelFunc
	run      func(context.Context)
	renew    chan struct{} // capacity 1
	nudge    chan struct{} // capacity 1

	mu      sync.Mutex
	up      bool          // subscribed, and nobody has asked for another one
	failed  int           // attempts
	err     error         // of the last attempt that failed
	changed chan struct{} // closed, and replaced, when one of these changes
}

// Option modifies a registration.
type Option func(*Registration)

// Optional is for an operation that not every nucleus has: a refusal is no
// fault, and not tried again on the same connection.
func Optional() Option { return func(r *Registration) { r.optional = true } }

// Subscribe registers a subscription: open makes it, on each new connection and
// again if the nucleus ends it; handle takes its events, one at a time and in
// order, on a goroutine of the registration's own. The context of both ends
// with the registration, open's also with the connection. name is for the log.
//
// A refusal is tried again with growing pauses of up to a minute. Between two
// subscriptions events are lost: read again what they would have told, in open
// after it has subscribed.
func Subscribe[E any](s *Session, name string, open func(context.Context, *Client) (*Subscription[E], error), handle func(context.Context, E), options ...Option) *Registration {
	r := &Registration{name: name, renew: make(chan struct{}, 1), nudge: make(chan struct{}, 1), changed: make(chan struct{})}
	for _, option := range options {
		option(r)
	}
	r.ctx, r.cancel = context.WithCancel(context.Background())
	k := keeper[E]{Registration: r, log: s.config.Log, open: open, handle: handle}
	r.run = func(ctx context.Context) {
		for ctx.Err() == nil {
			client, err := s.Client(ctx)
			if err != nil {
				return
			}
			k.keep(ctx, client)
		}
	}
	s.add(r)
	return r
}

// Renew subscribes again and, when that is done, ends the old subscription. In
// between events may come twice, and the registration is not ready. An attempt
// that is under way starts over. It does not wait; without a connection it does
// nothing.
//
// It is not for SubscribeToValidateConfigurationUpdates: there, the Java
// nucleus takes the end of the old subscription for the end of both.
func (r *Registration) Renew() {
	r.change(func() { r.up = false })
	select {
	case r.renew <- struct{}{}:
	default:
	}
}

// Retry makes the next attempt at once if the last one has failed. It does not
// wait, and does nothing while the subscription stands or is being made.
func (r *Registration) Retry() {
	select {
	case r.nudge <- struct{}{}:
	default:
	}
}

// Await returns nil when the subscription stands, and after [Renew] the new
// one. If an attempt fails first, one that is made at once if none is under way,
// it returns why; otherwise the error is the context's. Without a connection it
// waits for one.
func (r *Registration) Await(ctx context.Context) error {
	r.mu.Lock()
	before := r.failed
	r.mu.Unlock()
	r.Retry()
	for {
		r.mu.Lock()
		up, failed, err, changed := r.up, r.failed, r.err, r.changed
		r.mu.Unlock()
		switch {
		case up:
			return nil
		case failed > before:
			return err
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// change changes what is guarded by r.mu.
func (r *Registration) change(f func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	f()
	close(r.changed)
	r.changed = make(chan struct{})
}

// Close ends the subscription for good. It does not wait: an event may still
// be with its handler.
func (r *Registration) Close() { r.cancel() }

// keeper keeps a registration's subscription. It belongs to the registration's
// goroutine.
type keeper[E any] struct {
	*Registration
	log     *slog.Logger
	open    func(context.Context, *Client) (*Subscription[E], error)
	handle  func(context.Context, E)
	failure string    // the one logged last, "" since a success
	denied  time.Time // since when the authorization is missing, zero if it is not

	// On one connection.
	client  *Client
	current *Subscription[E] // nil if there is none
	since   time.Time        // of current
	attempt *attempt[E]      // nil if none is under way
	retry   *time.Timer
	backoff backoff
}

// attempt is a call of open, under way on its own goroutine because the Java
// nucleus may take hours to answer.
type attempt[E any] struct {
	cancel       context.CancelFunc
	done         chan struct{}
	subscription *Subscription[E]
	err          error
}

// keep returns when the connection or ctx has ended.
func (k *keeper[E]) keep(ctx context.Context, client *Client) {
	k.client, k.backoff = client, backoff{}
	for _, request := range []chan struct{}{k.renew, k.nudge} {
		select {
		case <-request: // there was nothing to renew or to retry
		default:
		}
	}
	k.retry = time.NewTimer(0)
	defer k.retry.Stop()
	defer k.change(func() { k.up = false })
	defer k.drop()
	defer k.abandon()
	for {
		var events <-chan E
		if k.current != nil {
			events = k.current.Events()
		}
		var opened <-chan struct{}
		if k.attempt != nil {
			opened = k.attempt.done
		}
		select {
		case <-ctx.Done():
			return
		case <-k.client.Done():
			k.connectionLost(ctx)
			return
		case event, ok := <-events:
			if ok {
				k.handle(ctx, event)
			} else {
				k.lost()
			}
		case <-k.retry.C:
			k.start(ctx)
		case <-k.renew:
			k.abandon()
			k.start(ctx)
		case <-k.nudge:
			if k.current == nil && k.attempt == nil {
				k.start(ctx)
			}
		case <-opened:
			k.finish(ctx)
		}
	}
}

// start makes an attempt.
func (k *keeper[E]) start(ctx context.Context) {
	k.retry.Stop()
	ctx, cancel := context.WithCancel(ctx)
	a := &attempt[E]{cancel: cancel, done: make(chan struct{})}
	k.attempt = a
	go func() {
		defer close(a.done)
		a.subscription, a.err = k.open(ctx, k.client)
	}()
}

// abandon ends an attempt that is under way.
func (k *keeper[E]) abandon() {
	a := k.attempt
	if a == nil {
		return
	}
	k.attempt = nil
	a.cancel()
	<-a.done
	if a.err == nil {
		a.subscription.Close()
	}
}

// finish takes what came of an attempt.
func (k *keeper[E]) finish(ctx context.Context) {
	a := k.attempt
	k.attempt = nil
	a.cancel()
	if a.err != nil {
		var refusal *Error
		if k.optional && errors.As(a.err, &refusal) {
			k.log.Debug("not subscribed, which is optional", "to", k.name, "error", a.err)
			k.change(func() { k.failed++; k.err = a.err })
			return
		}
		k.fail(a.err)
		return
	}
	old := k.current
	k.current, k.since = a.subscription, time.Now()
	k.failure, k.denied = "", time.Time{}
	k.change(func() { k.up = true })
	if old == nil {
		k.log.Info("subscribed", "to", k.name)
		return
	}
	k.log.Debug("subscription renewed", "to", k.name)
	// The old one may hold what the new one came too late for.
	old.stream.Close()
	for event := range old.Events() {
		k.handle(ctx, event)
	}
	old.Close()
}

// fail notes and logs a failure and sets the time of the next attempt.
func (k *keeper[E]) fail(err error) {
	if k.client.Err() != nil {
		return // the session says so
	}
	k.change(func() { k.failed++; k.err = err })
	pause := k.backoff.next()
	k.retry.Reset(pause)
	switch {
	case !IsCode(err, UnauthorizedError):
		k.denied = time.Time{}
	case k.denied.IsZero():
		k.denied = time.Now()
	}
	failure, level, message := err.Error(), slog.LevelWarn, "not subscribed"
	if !k.denied.IsZero() && time.Since(k.denied) >= blameAfter {
		failure, level = "denied", slog.LevelError
		message = "subscription not authorized: the component's accessControl in the recipe or the deployment must allow it"
	}
	if k.failure == failure {
		level, message = slog.LevelDebug, "still not subscribed"
	}
	k.failure = failure
	k.log.Log(context.Background(), level, message, "to", k.name, "error", err, "retry_in", pause.Round(time.Millisecond))
}

// lost accounts for a subscription that the nucleus has ended.
func (k *keeper[E]) lost() {
	err := k.current.Err()
	if err == nil {
		err = eventrpc.ErrStreamEnded
	}
	k.backoff.lasted(k.since)
	k.current = nil
	k.change(func() { k.up = false })
	if k.attempt == nil {
		k.fail(err)
	}
}

// connectionLost handles the events that arrived before the loss, also those of
// an attempt that had just succeeded.
func (k *keeper[E]) connectionLost(ctx context.Context) {
	if a := k.attempt; a != nil {
		a.cancel()
		<-a.done
		k.finish(ctx)
	}
	if k.current == nil {
		return
	}
	for event := range k.current.Events() {
		if ctx.Err() != nil {
			return
		}
		k.handle(ctx, event)
	}
}

// drop ends the current subscription.
func (k *keeper[E]) drop() {
	if k.current != nil {
		k.current.Close()
		k.current = nil
	}
}
