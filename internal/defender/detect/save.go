package detect

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
	"math"
	"net/netip"
	"slices"

	"github.com/device-defender/device-defender/internal/defender/profile"
)

// savedVersion is the first byte of a saved thing.
const savedVersion = 1

// Flags of a saved state.
const (
	savedOpen = 1 << iota
	savedAlarm
	savedRun
	savedHistory
	savedEnd
)

// SaveThing returns what the engine knows of a thing from its reports and
// events, nil when that is nothing. What SetThing told is not in it.
func (e *Engine) SaveThing(name string) ([]byte, error) {
	e.settle()
	t := e.things[name]
	if t == nil || t.seen == 0 && t.states == nil && t.dormant == nil && t.cloud == nil {
		return nil, nil
	}
	w := &writer{buffer: []byte{savedVersion}}
	w.text(t.Name)
	w.int(t.seen)
	for i, s := range t.states {
		b := t.class.behaviors[i]
		var own []contribution
		if k := t.class.statistical[i]; k >= 0 && t.history != nil {
			own = t.history[k]
		}
		if s != (state{}) || own != nil {
			w.state(t.seen, b, s, own)
		}
	}
	for _, d := range t.dormant {
		w.state(t.seen, d.behavior, d.state, nil)
	}
	w.buffer = append(w.buffer, savedEnd)
	if t.cloud != nil {
		w.cloud(t.cloud, t.class.tallies)
	}
	return w.buffer, nil
}

// writer appends the parts of a saved thing. Times go as what they are later
// than an earlier one, to be short.
type writer struct{ buffer []byte }

func (w *writer) int(v int64)   { w.buffer = binary.AppendVarint(w.buffer, v) }
func (w *writer) word(v uint64) { w.buffer = binary.BigEndian.AppendUint64(w.buffer, v) }
func (w *writer) text(s string) {
	w.int(int64(len(s)))
	w.buffer = append(w.buffer, s...)
}

func (w *writer) state(seen int64, b *behavior, s state, own []contribution) {
	flags := byte(0)
	if s.open {
		flags |= savedOpen
	}
	if s.alarm {
		flags |= savedAlarm
	}
	if s.alarm || s.violating > 0 {
		flags |= savedRun
	}
	if own != nil {
		flags |= savedHistory
	}
	w.buffer = append(w.buffer, flags)
	w.word(b.mark)
	w.int(seen - s.last)
	if s.open {
		w.int(s.last - s.begin)
		w.int(int64(s.sum))
	}
	if flags&savedRun != 0 {
		w.buffer = append(w.buffer, s.violating, s.conforming)
		w.int(s.last - s.since)
	}
	if s.alarm {
		w.text(b.profile)
		w.text(string(b.text))
	}
	if own != nil {
		w.int(int64(b.baseline.floor))
		// Windows before the floor are of no use any more.
		own = slices.DeleteFunc(slices.Clone(own), func(c contribution) bool { return c.window < b.baseline.floor })
		w.int(int64(len(own)))
		for _, c := range own {
			w.int(int64(c.window - b.baseline.floor))
			w.word(math.Float64bits(c.value))
		}
	}
}

func (w *writer) cloud(c *cloud, keys []tallyKey) {
	known := int64(0)
	if c.known {
		known = 1
	}
	for _, v := range []int64{c.window, c.last, c.disconnected, known, c.longest} {
		w.int(v)
	}
	for i, t := range c.tallies {
		if !t.seen {
			continue
		}
		w.word(keys[i].mark())
		w.int(t.count)
		w.int(t.least)
		w.int(int64(len(t.sources)))
		for _, a := range t.sources {
			w.text(string(a.AsSlice()))
		}
	}
}

// mark tells the metric from every other.
func (k *tallyKey) mark() uint64 {
	h := fnv.New64a()
	fmt.Fprintf(h, "%s\x00%s\x00%t", k.Name, k.Dimension, k.NotIn)
	return h.Sum64()
}

// maxWindow is more than the index of any window.
var maxWindow = maxTime / int64(reportInterval)

// saved is a thing as it was saved.
type saved struct {
	name   string
	seen   int64
	states []savedState
	cloud  *cloud
	marks  []uint64 // of the cloud's tallies
}

type savedState struct {
	state
	mark    uint64
	profile string // in alarm
	doc     []byte // in alarm
	floor   int32
	own     []contribution
}

var errSaved = errors.New("not a saved thing")

// RestoreThing gives a thing the state that it had when it was saved. Set the
// profiles, the dimensions and the thing first: alarms of behaviors that are
// not there are invalidated by the next call of Advance. Nothing has changed
// when it fails.
func (e *Engine) RestoreThing(data []byte) error {
	s, err := readSaved(data)
	if err != nil {
		return err
	}
	e.settle()
	t := e.thing(s.name)
	e.clear(t)
	t.seen = s.seen
	for _, from := range s.states {
		e.restoreState(t, &from)
	}
	if s.cloud != nil {
		e.restoreCloud(t, s)
	}
	e.watch(t)
	return nil
}

// clear forgets all that a thing did.
func (e *Engine) clear(t *thing) {
	for i := range t.states {
		if k := t.class.statistical[i]; k >= 0 && t.history != nil {
			t.class.behaviors[i].withdraw(t.history[k])
		}
	}
	t.seen, t.states, t.history, t.dormant = 0, nil, nil, nil
	e.dropCloud(t)
	delete(e.alarmed, t)
}

func (e *Engine) restoreState(t *thing, from *savedState) {
	i := slices.IndexFunc(t.class.behaviors, func(b *behavior) bool { return b.is(from.mark) })
	if i < 0 {
		if from.alarm {
			t.dormant = append(t.dormant, dormant{e.orphan(from), from.state})
		}
		return
	}
	if t.states == nil {
		t.states = make([]state, len(t.class.behaviors))
	}
	b := t.class.behaviors[i]
	from.violating, from.conforming = min(from.violating, b.ToAlarm-1), min(from.conforming, b.ToClear-1)
	t.states[i] = from.state
	if b.baseline == nil || from.own == nil {
		return
	}
	b.baseline.raise(from.floor)
	own := t.contributions(int32(i))
	for _, c := range from.own {
		if b.baseline.add(c.window, c.value) {
			*own = append(*own, c)
		}
	}
}

// orphan returns the behavior of an alarm that does not apply to the thing.
func (e *Engine) orphan(from *savedState) *behavior {
	if p := e.profiles[from.profile]; p != nil {
		for _, b := range p.behaviors {
			if b.is(from.mark) {
				return b
			}
		}
	}
	doc := new(profile.Behavior)
	// It was read once already.
	_ = json.Unmarshal(from.doc, doc)
	return &behavior{profile: from.profile, doc: doc, text: from.doc, mark: from.mark, gone: true}
}

func (e *Engine) restoreCloud(t *thing, s *saved) {
	counted := s.cloud.tallies
	t.cloud = s.cloud
	t.cloud.tallies = make([]tally, len(t.class.tallies))
	for i := range t.class.tallies {
		if k := slices.Index(s.marks, t.class.tallies[i].mark()); k >= 0 {
			t.cloud.tallies[i] = counted[k]
		}
	}
	if e.window == 0 || len(e.clouded) == 0 {
		e.window = s.cloud.window
	}
	e.window = min(e.window, s.cloud.window)
	e.clouded[t] = struct{}{}
}

// reader takes a saved thing apart. After a fault it returns zeros.
type reader struct {
	rest  []byte
	fault bool
}

func (r *reader) take(n int64) []byte {
	if n < 0 || n > int64(len(r.rest)) {
		r.fault, r.rest = true, nil
		return nil
	}
	part := r.rest[:n]
	r.rest = r.rest[n:]
	return part
}

func (r *reader) byte() byte {
	if part := r.take(1); part != nil {
		return part[0]
	}
	return 0
}

func (r *reader) word() uint64 {
	if part := r.take(8); part != nil {
		return binary.BigEndian.Uint64(part)
	}
	return 0
}

// int reads a number from low to high.
func (r *reader) int(low, high int64) int64 {
	v, n := binary.Varint(r.rest)
	if n <= 0 || v < low || v > high {
		r.fault, r.rest = true, nil
		return 0
	}
	r.rest = r.rest[n:]
	return v
}

// time reads a time in nanoseconds.
func (r *reader) time() int64 { return r.int(0, maxTime) }

func (r *reader) text() []byte { return r.take(r.int(0, math.MaxInt32)) }

func readSaved(data []byte) (*saved, error) {
	r := &reader{rest: data}
	if version := r.byte(); version != savedVersion {
		return nil, fmt.Errorf("%w: version %d, want %d", errSaved, version, savedVersion)
	}
	s := &saved{name: string(r.text()), seen: r.time()}
	for !r.fault {
		flags := r.byte()
		if flags == savedEnd {
			break
		}
		s.states = append(s.states, r.state(flags, s.seen))
	}
	if !r.fault && len(r.rest) > 0 {
		r.cloud(s)
	}
	if r.fault || s.name == "" {
		return nil, errSaved
	}
	return s, nil
}

func (r *reader) state(flags byte, seen int64) savedState {
	s := savedState{state: state{open: flags&savedOpen != 0, alarm: flags&savedAlarm != 0}}
	s.mark = r.word()
	s.last = seen - r.int(seen-maxTime, seen)
	if s.open {
		s.begin = s.last - r.int(0, maxTime)
		s.sum = amount(r.int(math.MinInt64, math.MaxInt64))
	}
	if flags&savedRun != 0 {
		s.violating, s.conforming = r.byte(), r.byte()
		s.since = s.last - r.int(0, s.last)
	}
	if flags >= savedEnd || s.alarm && flags&savedRun == 0 {
		r.fault = true
	}
	if s.alarm {
		s.profile, s.doc = string(r.text()), slices.Clone(r.text())
		if !json.Valid(s.doc) || json.Unmarshal(s.doc, new(profile.Behavior)) != nil {
			r.fault = true
		}
	}
	if flags&savedHistory != 0 {
		s.floor = int32(r.int(0, maxWindow))
		n := r.int(0, int64(len(r.rest)/9))
		s.own = make([]contribution, 0, n)
		for range n {
			c := contribution{window: s.floor + int32(r.int(0, maxWindow-int64(s.floor)))}
			c.value = math.Float64frombits(r.word())
			if math.IsNaN(c.value) {
				r.fault = true
			}
			s.own = append(s.own, c)
		}
	}
	return s
}

func (r *reader) cloud(s *saved) {
	c := &cloud{window: r.int(0, maxTime/int64(cloudWindow)), last: r.time(), disconnected: r.time()}
	c.known, c.longest = r.int(0, 1) == 1, r.time()
	for !r.fault && len(r.rest) > 0 {
		s.marks = append(s.marks, r.word())
		t := tally{seen: true, count: r.int(0, math.MaxInt64), least: r.int(0, math.MaxInt64)}
		for range r.int(0, maxSources) {
			addr, ok := netip.AddrFromSlice(r.text())
			r.fault = r.fault || !ok
			t.sources = append(t.sources, addr)
		}
		c.tallies = append(c.tallies, t)
	}
	s.cloud = c
}
