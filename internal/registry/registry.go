// Package registry has a service know the things and groups of AWS IoT: it reads them every
// few minutes, and moves things to groups there.
//
// All of the registry is read, page by page, at a share of AWS's quotas; the service's
// database is made the same (see [service.Service.Mirror]). A thing that reports and is not known yet
// is looked up by itself. While AWS cannot be read, the service goes on with what it
// has, and says since when.
package registry

import (
	"context"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/device-defender/device-defender/internal/cloud"
	"github.com/device-defender/device-defender/internal/defender/service"
)

const (
	// Every is the time from one reading to the next, and retry after one that failed.
	Every = 5 * time.Minute
	retry = time.Minute
	// describeEvery is how often groups are described again that are known: what can change
	// of them is their description and attributes.
	describeEvery = time.Hour
	// settling is how long a list of AWS may lack what was changed.
	settling = 30 * time.Second
	// A thing that is not registered is looked up again after askAgain. maxAsked bounds the
	// memory for that, and the look-ups have a rate of their own: anybody who reaches the
	// service can make up names.
	askAgain  = 10 * time.Minute
	maxAsked  = 10_000
	maxWanted = 100
	lookups   = 1 // a second
	burst     = 10
)

// AWS is the registry of an account of AWS IoT. It is run once.
type AWS struct {
	client *cloud.Client
	log    *slog.Logger
	every  time.Duration
	now    func() time.Time
	wanted chan string

	mu      sync.Mutex // guards the rest
	status  service.RegistryStatus
	asked   map[string]time.Time // things that were looked up, or wait for it
	swept   time.Time            // when asked was rid of what is too old
	touched map[string]time.Time // things of which more is known than a reading that began before
}

// New returns the registry that a client is for.
func New(client *cloud.Client, log *slog.Logger) *AWS {
	return &AWS{
		client: client, log: log, every: Every, now: time.Now, wanted: make(chan string, maxWanted),
		status: service.RegistryStatus{Source: client.Source()}, asked: map[string]time.Time{}, touched: map[string]time.Time{},
	}
}

// Status is how reading goes.
func (a *AWS) Status() service.RegistryStatus {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.status
}

// Stranger has a thing looked up that reported and is not known.
func (a *AWS) Stranger(thing string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	now := a.now()
	if at, ok := a.asked[thing]; ok && now.Sub(at) < askAgain {
		return
	}
	if len(a.asked) >= maxAsked && now.Sub(a.swept) >= askAgain/10 {
		a.swept = now // not with each report, as it takes a while
		maps.DeleteFunc(a.asked, func(_ string, at time.Time) bool { return now.Sub(at) >= askAgain })
	}
	if len(a.asked) >= maxAsked {
		return // the next reading finds it
	}
	select {
	case a.wanted <- thing:
		a.asked[thing] = now
	default: // so does its next report, or the next reading
	}
}

// Add puts a thing into a group of AWS IoT.
func (a *AWS) Add(ctx context.Context, thing, group string, overrideDynamic bool) error {
	add := a.client.AddToGroup
	if overrideDynamic {
		add = a.client.AddOverriding
	}
	return a.moved(thing, add(ctx, thing, group))
}

// Remove takes a thing out of a group of AWS IoT.
func (a *AWS) Remove(ctx context.Context, thing, group string) error {
	return a.moved(thing, a.client.RemoveFromGroup(ctx, thing, group))
}

// moved notes that a thing was moved, and says why not as a service does.
func (a *AWS) moved(thing string, err error) error {
	if err == nil {
		a.touch(thing)
		return nil
	}
	if code, message, ok := cloud.Answer(err); ok {
		return &service.RegistryError{Code: code, Message: message, Err: err}
	}
	return err
}

// touch says that what a reading under way has of a thing may be old.
func (a *AWS) touch(thing string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.touched[thing] = a.now()
}

// Run reads the registry into a service until ctx ends.
func (a *AWS) Run(ctx context.Context, s *service.Service) error {
	var running sync.WaitGroup
	running.Go(func() { a.lookUp(ctx, s) })
	defer running.Wait()
	var last *cloud.Registry
	var described time.Time
	for {
		began := a.now()
		old := last
		if began.Sub(described) >= describeEvery {
			old = nil
		}
		wait := a.every
		if read, err := a.read(ctx, s, old, began); err == nil {
			last = &cloud.Registry{Groups: read.Groups} // the rest is in the database
			if old == nil {
				described = began
			}
		} else {
			wait = min(retry, a.every)
		}
		timer := time.NewTimer(wait)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return nil
		}
	}
}

// read reads the registry once.
func (a *AWS) read(ctx context.Context, s *service.Service, old *cloud.Registry, began time.Time) (*cloud.Registry, error) {
	r, err := a.client.ReadRegistry(ctx, old)
	var mirrored service.Mirrored
	if err == nil {
		things, groups := asMirrored(r)
		mirrored, err = s.Mirror(ctx, things, groups, a.keep(began))
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if err != nil {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		if a.status.Problem != err.Error() || a.status.Failed.IsZero() {
			a.log.Error("reading the registry failed, it is tried again", "registry", a.status.Source, "error", err)
		}
		a.status.Failed, a.status.Problem = a.now(), err.Error()
		return nil, err
	}
	if again := !a.status.Failed.IsZero(); again || a.status.Read.IsZero() || mirrored != (service.Mirrored{}) {
		a.log.Info("registry read", "registry", a.status.Source, "things", len(r.Things), "groups", len(r.Groups), "took", a.now().Sub(began).Round(time.Millisecond),
			"registered", mirrored.Registered, "changed", mirrored.Changed, "unregistered", mirrored.Unregistered)
	}
	a.status = service.RegistryStatus{Source: a.status.Source, Read: a.now(), Things: len(r.Things), Groups: len(r.Groups)}
	maps.DeleteFunc(a.touched, func(_ string, at time.Time) bool { return at.Before(began.Add(-settling)) })
	return r, nil
}

// keep tells of which things more is known than by a reading that began then.
func (a *AWS) keep(began time.Time) func(thing string) bool {
	return func(thing string) bool {
		a.mu.Lock()
		defer a.mu.Unlock()
		at, ok := a.touched[thing]
		return ok && !at.Before(began.Add(-settling))
	}
}

// asMirrored is the registry as the service has it.
func asMirrored(r *cloud.Registry) (things []service.MirroredThing, groups []service.MirroredGroup) {
	for _, t := range r.Things {
		things = append(things, service.MirroredThing{Name: t.Name, Attributes: t.Attributes, Version: t.Version, Groups: r.Members[t.Name]})
	}
	for _, name := range slices.Sorted(maps.Keys(r.Groups)) {
		g := r.Groups[name]
		groups = append(groups, service.MirroredGroup{
			Name: name, Parent: g.Parent(), Description: g.Description, Attributes: g.Attributes, Version: g.Version, Created: g.Created,
		})
	}
	return things, groups
}

// lookUp looks up things that reported and are not known.
func (a *AWS) lookUp(ctx context.Context, s *service.Service) {
	pace := rate.NewLimiter(lookups, burst)
	for {
		select {
		case thing := <-a.wanted:
			if pace.Wait(ctx) != nil {
				return
			}
			if err := a.find(ctx, s, thing); err != nil && ctx.Err() == nil {
				a.log.Warn("looking up a thing in the registry failed", "thing", thing, "error", err)
			}
		case <-ctx.Done():
			return
		}
	}
}

func (a *AWS) find(ctx context.Context, s *service.Service, thing string) error {
	t, groups, ok, err := a.client.RegistryThing(ctx, thing)
	if err != nil || !ok {
		return err
	}
	a.touch(thing)
	if err := s.MirrorThing(ctx, service.MirroredThing{Name: t.Name, Attributes: t.Attributes, Version: t.Version, Groups: groups}); err != nil {
		return err
	}
	a.log.Info("thing found in the registry", "thing", thing)
	return nil
}
