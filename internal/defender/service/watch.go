package service

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/device-defender/device-defender/internal/defender/report"
	"github.com/device-defender/device-defender/internal/defender/store"
)

const (
	// maxWatchers leaves most of maxConnections to callers of the API.
	maxWatchers = 64
	// keepReports is how many of the latest reports are remembered.
	keepReports = 512
)

// watch is what pages are told that the API does not tell: that something
// changed, and which reports came. It is only in memory.
type watch struct {
	sync.Mutex
	watchers map[chan struct{}]bool
	reports  []TakenReport // a ring once it is full
	next     int           // where the next is put
}

// TakenReport is a report that came in since the service was opened.
type TakenReport struct {
	Time   time.Time
	Thing  string
	Format report.Format
	Bytes  int
	Reply  report.Reply
}

// Subscribe returns a channel that has a value when something changed since
// the last one was taken, and a function that ends the subscription. ok is
// false when there are too many.
func (s *Service) Subscribe() (changes <-chan struct{}, cancel func(), ok bool) {
	s.watch.Lock()
	defer s.watch.Unlock()
	if len(s.watch.watchers) >= maxWatchers {
		return nil, nil, false
	}
	if s.watch.watchers == nil {
		s.watch.watchers = map[chan struct{}]bool{}
	}
	c := make(chan struct{}, 1)
	s.watch.watchers[c] = true
	return c, func() {
		s.watch.Lock()
		defer s.watch.Unlock()
		delete(s.watch.watchers, c)
	}, true
}

// changed tells those who subscribed. It waits for nobody.
func (w *watch) changed() {
	w.Lock()
	defer w.Unlock()
	for c := range w.watchers {
		select {
		case c <- struct{}{}:
		default: // it has not looked yet
		}
	}
}

// took remembers a report.
func (w *watch) took(r TakenReport) {
	// Of one that no thing can have, any amount may have come.
	const mostName = 128
	if len(r.Thing) > mostName {
		r.Thing = r.Thing[:mostName]
	}
	r.Thing = strings.ToValidUTF8(r.Thing, "\uFFFD")
	r.Reply.ThingName = ""
	w.Lock()
	if len(w.reports) < keepReports {
		w.reports = append(w.reports, r)
	} else {
		w.reports[w.next] = r
	}
	w.next = (w.next + 1) % keepReports
	w.Unlock()
	w.changed()
}

// Reports returns the latest reports of a thing, or of all when it is empty,
// newest first, up to most. Those from before the service was opened are
// not known.
func (s *Service) Reports(thing string, most int) []TakenReport {
	s.watch.Lock()
	defer s.watch.Unlock()
	var reports []TakenReport
	for i := range s.watch.reports {
		r := s.watch.reports[(s.watch.next-1-i+2*keepReports)%keepReports]
		if thing == "" || r.Thing == thing {
			reports = append(reports, r)
		}
		if len(reports) == most {
			break
		}
	}
	return reports
}

// ThingState is what is known of a thing.
type ThingState struct {
	Name       string
	Registered bool
	Groups     []string
	LastReport time.Time // zero when none was accepted
	// Silent says that three reports and more are missing, by the time that was
	// between the last two.
	Silent bool
	Active int // violations in alarm
}

// missed is how many reports have to be missing.
const missed = 3

func (t *ThingState) reported(s *Service, last *lastReport) {
	t.LastReport = last.time
	t.Silent = !last.time.IsZero() && s.now().Sub(last.time) > missed*max(last.every, s.minReportInterval(), time.Second)
}

// Things returns the things that are registered or have reported: first those
// that did so last, up to most. total is how many there are.
func (s *Service) Things(ctx context.Context, most int) (things []ThingState, total int, err error) {
	err = s.read(ctx, func(view *store.Reader) error {
		latest := latestThings{most: most}
		reported := map[string]bool{}
		for last, err := range tableLast.Scan(view, store.Range{}) {
			if err != nil {
				return err
			}
			if !last.Value.time.IsZero() {
				latest.add(last.Key, last.Value)
				reported[last.Key] = true
			}
		}
		for name, err := range tableThings.keysAfter(view, "", "") {
			if err != nil {
				return err
			}
			if !reported[name] {
				latest.add(name, lastReport{})
			}
		}
		total = latest.total
		for _, entry := range latest.sorted() {
			t := ThingState{Name: entry.Key}
			t.reported(s, &entry.Value)
			if err := t.register(view); err != nil {
				return err
			}
			things = append(things, t)
		}
		return nil
	})
	return things, total, err
}

// latestThings are the things of a fleet that reported last: those that never
// did come last, and among equals the first by name.
type latestThings struct {
	most  int
	total int
	list  []store.Entry[lastReport]
}

func (l *latestThings) add(name string, last lastReport) {
	l.total++
	l.list = append(l.list, store.Entry[lastReport]{Key: name, Value: last})
	if len(l.list) >= 2*l.most+100 {
		l.sorted()
	}
}

// sorted drops all but the first, and returns these.
func (l *latestThings) sorted() []store.Entry[lastReport] {
	slices.SortFunc(l.list, func(a, b store.Entry[lastReport]) int {
		return cmp.Or(b.Value.time.Compare(a.Value.time), strings.Compare(a.Key, b.Key))
	})
	l.list = l.list[:min(len(l.list), l.most)]
	return l.list
}

// Thing returns what is known of one thing; ok is false when there is none of
// that name.
func (s *Service) Thing(ctx context.Context, name string) (state ThingState, ok bool, err error) {
	err = s.read(ctx, func(view *store.Reader) error {
		if ok, err = thingKnown(view, name); err != nil || !ok {
			return err
		}
		last, _, err := tableLast.Get(view, name)
		if err != nil {
			return err
		}
		state.Name = name
		state.reported(s, &last)
		return state.register(view)
	})
	return state, ok, err
}

// Known reports whether a thing is registered or has reported.
func (s *Service) Known(ctx context.Context, thing string) (known bool, err error) {
	err = s.read(ctx, func(view *store.Reader) error {
		known, err = thingKnown(view, thing)
		return err
	})
	return known, err
}

func (t *ThingState) register(view *store.Reader) (err error) {
	for _, err := range tableActiveByThing.keysAfter(view, t.Name+"\x00", "") {
		if err != nil {
			return err
		}
		t.Active++
	}
	if t.Registered, err = tableThings.has(view, t.Name); err != nil {
		return err
	}
	t.Groups, err = groupsOf(view, t.Name)
	return err
}

// Now is the service's time.
func (s *Service) Now() time.Time { return s.now() }

// ReportInterval is the minimum time between two reports of a thing: 0 is none.
func (s *Service) ReportInterval() time.Duration { return s.minReportInterval() }
