package detect

import (
	"encoding/json"
	"fmt"
	"iter"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/device-defender/device-defender/internal/defender/profile"
)

// This file evaluates a fleet as several processes on one store do, and holds
// the outcome to that of one Engine.

// call is something to evaluate of a thing.
type call struct {
	observation *Observation
	event       *CloudEvent
	advance     bool
	at          time.Time
}

func (c *call) on(t *Thing, e *Evaluation) {
	switch {
	case c.advance:
		t.Advance(e, c.at)
	case c.event != nil:
		t.ObserveCloud(e, *c.event)
	default:
		t.Observe(e, *c.observation)
	}
}

// stored is the state that workers share.
type stored struct {
	mu     sync.Mutex
	things map[string][]byte
	due    map[string]time.Time
	// rows are the histograms of windows, one row for each worker.
	rows  map[windowKey]map[int][]byte
	bases map[windowKey]*Base // what was read of the rows before
	lines []string
	// caches are what the workers remember of things.
	caches [3]map[string]*Thing
}

type windowKey struct {
	BaselineKey
	window int32
}

// newestFirst gives the rows of a baseline before a window.
func (s *stored) newestFirst(t *testing.T, key BaselineKey, window int32) iter.Seq2[int32, *Histogram] {
	return func(yield func(int32, *Histogram) bool) {
		for range maxSilence / key.Span {
			window--
			for _, row := range s.rows[windowKey{key, window}] {
				h, err := DecodeHistogram(row)
				if err != nil {
					t.Error(err)
				}
				if !yield(window, h) {
					return
				}
			}
		}
	}
}

// transaction is what a worker is about to commit.
type transaction struct {
	t     *testing.T
	store *stored
	given map[windowKey]*Histogram
}

func (tx *transaction) Before(key BaselineKey, window int32) *Base {
	tx.store.mu.Lock()
	defer tx.store.mu.Unlock()
	base, known := tx.store.bases[windowKey{key, window}]
	if !known {
		base = key.Gather(window, tx.store.newestFirst(tx.t, key, window))
		tx.store.bases[windowKey{key, window}] = base
	}
	return base
}

func (tx *transaction) Add(key BaselineKey, window int32, value float64) {
	at := windowKey{key, window}
	if tx.given[at] == nil {
		tx.given[at] = &Histogram{}
	}
	tx.given[at].Add(value)
}

// commit stores what came of a transaction.
func (s *stored) commit(tx *transaction, worker int, e *Evaluation, t *Thing) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.things[t.Name], s.due[t.Name] = t.AppendSaved(nil), t.Due()
	s.lines = append(s.lines, outcomeLines(e.Events, e.Measured)...)
	for at, h := range tx.given {
		if s.rows[at] == nil {
			s.rows[at] = map[int][]byte{}
		}
		own, err := DecodeHistogram(s.rows[at][worker])
		if err != nil {
			tx.t.Error(err)
		}
		own.Merge(h)
		s.rows[at][worker] = own.Append(nil)
	}
}

func outcomeLines(events []Event, measured []Observation) (lines []string) {
	for _, ev := range events {
		text, _ := json.Marshal([]any{ev.Time, ev.Type, ev.ViolationID, ev.Thing, ev.Mark, ev.Value, ev.Threshold})
		lines = append(lines, string(text))
	}
	for _, o := range measured {
		lines = append(lines, o.Thing+fmt.Sprint(texts([]Observation{o})))
	}
	return lines
}

// waiting are the calls on one thing until the next barrier, in order.
type waiting struct {
	thing string
	calls []call
}

// evaluate has workers evaluate what waits, and returns when all is done.
func (s *stored) evaluate(t *testing.T, seed uint64, rules *Rules, registry func(string) profile.Thing, all []*waiting) {
	work := make(chan *waiting, len(all)) // a thing is in it once, or with one worker
	var left, running sync.WaitGroup
	for _, w := range all {
		left.Add(1)
		work <- w
	}
	for worker := range s.caches {
		running.Go(func() {
			r := rand.New(rand.NewPCG(seed, uint64(worker)))
			for w := range work {
				n := 1 + r.IntN(len(w.calls))
				lost := r.IntN(8) == 0
				s.attempt(t, worker, rules, registry(w.thing), w.calls[:n], lost)
				if !lost {
					w.calls = w.calls[n:]
				}
				if len(w.calls) > 0 {
					work <- w
				} else {
					left.Done()
				}
			}
		})
	}
	left.Wait()
	close(work)
	running.Wait()
}

// attempt evaluates calls on a thing in a transaction. If it is lost, so is all
// that the worker knew.
func (s *stored) attempt(t *testing.T, worker int, rules *Rules, registry profile.Thing, calls []call, lost bool) {
	name := registry.Name
	s.mu.Lock()
	saved := s.things[name]
	s.mu.Unlock()
	thing := s.caches[worker][name]
	if thing == nil || string(thing.AppendSaved(nil)) != string(saved) {
		var err error
		if thing, err = rules.Restore(registry, saved); err != nil {
			t.Error(err)
			return
		}
	}
	thing.Place(rules, registry)
	tx := &transaction{t, s, map[windowKey]*Histogram{}}
	e := &Evaluation{Baselines: tx}
	for _, c := range calls {
		c.on(thing, e)
	}
	if lost {
		s.caches[worker] = nil
		return
	}
	s.commit(tx, worker, e, thing)
	if s.caches[worker] == nil {
		s.caches[worker] = map[string]*Thing{}
	}
	s.caches[worker][name] = thing
}

// registered says which things are registered, and when they are in a group.
func registered(name string, at int64) profile.Thing {
	t := profile.Thing{Name: name, Registered: name < "c"}
	if at/20%3 < 2 {
		t.Groups = []string{"changing"}
	}
	return t
}

// randomEvents makes cloud events of things.
func randomEvents(r *rand.Rand, things []string, end time.Time) (events []CloudEvent) {
	for _, thing := range things {
		for at := 300; after(at).Before(end); at += r.IntN(600) {
			if r.IntN(50) == 0 {
				at += r.IntN(60 * 3600)
			}
			events = append(events, CloudEvent{Thing: thing, Time: after(at), Type: CloudEventType(1 + r.IntN(5)), Topic: []string{"", "data"}[r.IntN(2)], Bytes: r.IntN(200)})
		}
	}
	return events
}

// TestWorkers: workers that share a store, with retries and crashes, make the
// events that one engine makes. Within a window of a baseline the order of things
// is random; the next begins when all are through with it.
func TestWorkers(t *testing.T) {
	total := map[EventType]int{}
	for seed := range uint64(3) {
		r := rand.New(rand.NewPCG(seed, 6))
		behaviors := append(randomBehaviors(r), statistical("s1", packetsOut, profile.LessThanEquals, "p90"),
			statistical("s2", messagesSent, profile.LessThanEquals, "p50"), statistical("s3", disconnects, profile.GreaterThanEquals, "p10"),
			consecutive(static("c1", disconnectDuration, profile.LessThan, count(9)), 2, 2), static("c2", messageByteSize, profile.GreaterThan, count(20)))
		changed := slices.Clone(behaviors[1:])
		changed[len(changed)-2] = static("c1", disconnectDuration, profile.LessThan, count(100))

		sometimes := randomBehaviors(r)

		stream := slices.DeleteFunc(randomStream(r), func(o Observation) bool { return o.Thing > "e" || o.Time.After(after(12*3600)) })
		things := map[string]bool{}
		calls := map[int64][]call{}
		epochOf := func(at time.Time) int64 { return at.Unix() / 300 }
		for i := range stream {
			o := &stream[i]
			things[o.Thing] = true
			calls[epochOf(o.Time)] = append(calls[epochOf(o.Time)], call{observation: o, at: o.Time})
		}
		last := stream[len(stream)-1].Time
		events := randomEvents(r, slices.Sorted(maps.Keys(things)), last)
		for i := range events {
			ev := &events[i]
			calls[epochOf(ev.Time)] = append(calls[epochOf(ev.Time)], call{event: ev, at: ev.Time})
		}

		engine := New()
		engine.evaluation.Baselines = newChecked(t)
		store := &stored{things: map[string][]byte{}, due: map[string]time.Time{}, rows: map[windowKey]map[int][]byte{}, bases: map[windowKey]*Base{}}
		rules := new(Rules)
		use := func(behaviors []profile.Behavior) {
			rules = rules.Recompile([]Attached{
				{Profile: &profile.Profile{Name: "p", Behaviors: behaviors}, Targets: []profile.Target{{Kind: profile.AllThings}}, Registry: registry},
				{Profile: &profile.Profile{Name: "q", Behaviors: sometimes}, Targets: []profile.Target{{Kind: profile.ThingGroup, Group: "changing"}}, Registry: registry, Revision: "1"},
			}, nil)
			attach(t, engine, "p", behaviors...)
			set(t, engine, "q", []profile.Target{{Kind: profile.ThingGroup, Group: "changing"}}, sometimes...)
		}
		use(behaviors)
		var want []string
		note := func(events []Event, measured []Observation) {
			want = append(want, outcomeLines(events, measured)...)
			for _, ev := range events {
				total[ev.Type]++
			}
		}
		first, end := epochOf(epoch), epochOf(last.Add(50*time.Hour))
		half := first + (epochOf(last)-first)/2
		for at := first; at < end; at++ {
			if at == half {
				use(changed)
			}
			barrier := time.Unix(at*300, 0).UTC()
			registry := func(name string) profile.Thing { return registered(name, at) }
			for name := range things {
				engine.SetThing(registry(name))
			}
			o := engine.Advance(barrier)
			note(o.Events, o.Measured)
			var all []*waiting
			for name, due := range store.due {
				if at == half || at%20 == 0 || !due.IsZero() && !due.After(barrier) {
					all = append(all, &waiting{name, []call{{advance: true, at: barrier}}})
				}
			}
			store.evaluate(t, seed, rules, registry, all)

			list := calls[at]
			slices.SortStableFunc(list, func(a, b call) int { return a.at.Compare(b.at) })
			byThing := map[string]*waiting{}
			for _, c := range list {
				var name string
				if c.event != nil {
					name = c.event.Thing
					o := engine.ObserveCloud(*c.event)
					note(o.Events, o.Measured)
				} else {
					name = c.observation.Thing
					note(engine.Observe(*c.observation), nil)
				}
				if byThing[name] == nil {
					byThing[name] = &waiting{thing: name}
				}
				byThing[name].calls = append(byThing[name].calls, c)
			}
			store.evaluate(t, seed, rules, registry, slices.Collect(maps.Values(byThing)))
		}
		slices.Sort(want)
		slices.Sort(store.lines)
		if !slices.Equal(want, store.lines) {
			t.Fatalf("seed %d: one engine (-), workers (+): %s", seed, gocmp.Diff(want, store.lines))
		}
		for name, saved := range store.things {
			if string(saved) != string(save(engine, name)) {
				t.Errorf("seed %d: the state of %s differs", seed, name)
			}
		}
	}
	for _, kind := range []EventType{InAlarm, AlarmCleared, AlarmInvalidated, Ongoing} {
		if total[kind] < 10 {
			t.Errorf("the streams made %d events %s: too few to tell", total[kind], kind)
		}
	}
}
