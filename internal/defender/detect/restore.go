package detect

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net/netip"
	"slices"

	"github.com/device-defender/device-defender/internal/defender/profile"
)

// maxWindow is more than the index of any window.
var maxWindow = maxTime / int64(reportInterval)

var errSaved = errors.New("not a saved thing")

// Restore returns the thing with the state that it was saved with, by this
// version or by version 0.1; without any, nothing is known of the thing yet.
// Alarms of behaviors that are not there end at the next call.
func (r *Rules) Restore(thing profile.Thing, saved []byte) (*Thing, error) {
	t := r.Thing(thing)
	if len(saved) == 0 {
		return t, nil
	}
	in := &reader{rest: saved}
	version := in.byte()
	switch version {
	case savedVersion:
	case savedVersion01:
		if name := in.text(); string(name) != thing.Name && !in.fault {
			return nil, fmt.Errorf("%w %.64q: it is %.64q", errSaved, thing.Name, name)
		}
	default:
		return nil, fmt.Errorf("%w: version %d, want %d", errSaved, version, savedVersion)
	}
	t.seen = in.time()
	for !in.fault {
		flags := in.byte()
		if flags == savedEnd || in.fault {
			break
		}
		t.restoreState(in, version, flags)
	}
	if !in.fault && len(in.rest) > 0 {
		t.restoreCloud(in)
	}
	if in.fault {
		return nil, errSaved
	}
	return t, nil
}

func (t *Thing) restoreState(in *reader, version, flags byte) {
	if flags&savedEnd != 0 || version == savedVersion01 && flags > savedEnd {
		in.fault = true
	}
	s := state{open: flags&savedOpen != 0, alarm: flags&savedAlarm != 0, last: t.seen}
	mark := in.word()
	if flags&savedCurrent == 0 {
		s.last -= in.int(t.seen-maxTime, t.seen)
	}
	if s.open {
		s.begin = s.last - in.int(0, s.last)
		s.sum = amount(in.int(math.MinInt64, math.MaxInt64))
	}
	if flags&savedRun != 0 {
		s.violating, s.conforming = in.byte(), in.byte()
		s.since = s.last - in.int(0, s.last)
	}
	var name, doc []byte
	if s.alarm {
		name, doc = in.text(), in.text()
	}
	var own []contribution
	if flags&savedOwn != 0 {
		own = in.own()
	}
	if flags&savedGiven != 0 {
		s.given = min(in.byte(), maxPerWindow)
	}
	if in.fault || s.alarm && flags&savedRun == 0 {
		in.fault = true
		return
	}
	b := t.rules.behaviors[mark]
	if b == nil && s.alarm {
		b = &behavior{profile: string(name), doc: new(profile.Behavior), text: slices.Clone(doc), mark: mark}
		in.fault = json.Unmarshal(doc, b.doc) != nil
	}
	if b == nil {
		return
	}
	if version == savedVersion01 {
		own = t.inherit(b, &s, own)
	}
	if !s.runs() {
		own = nil
	}
	t.enter(b, s, own)
}

// own reads datapoints in a baseline: a window, and how many and which there are
// from it on.
func (r *reader) own() []contribution {
	first := r.int(0, maxWindow)
	n := r.int(0, int64(len(r.rest)/9))
	own := make([]contribution, 0, n)
	for range n {
		c := contribution{window: int32(first + r.int(0, maxWindow-first)), value: math.Float64frombits(r.word())}
		r.fault = r.fault || math.IsNaN(c.value) || math.IsInf(c.value, 0)
		own = append(own, c)
	}
	return own
}

func (t *Thing) restoreCloud(in *reader) {
	c := &cloud{window: in.int(0, maxTime/int64(cloudWindow)), last: in.time(), disconnected: in.time()}
	c.known, c.longest = in.int(0, 1) == 1, in.time()
	c.tallies = make([]tally, len(t.class.tallies))
	for !in.fault && len(in.rest) > 0 {
		mark := in.word()
		counted := tally{seen: true, count: in.int(0, math.MaxInt64), least: in.int(0, math.MaxInt64)}
		for range in.int(0, maxSources) {
			addr, ok := netip.AddrFromSlice(in.text())
			in.fault = in.fault || !ok
			counted.sources = append(counted.sources, addr)
		}
		if i := slices.IndexFunc(t.class.tallies, func(k tallyKey) bool { return k.mark() == mark }); i >= 0 {
			c.tallies[i] = counted
		}
	}
	t.cloud = c
	// Stored bytes may say anything; an event is a sign of life, and its window
	// or a later one is under way.
	t.seen = max(t.seen, c.last)
	c.window = max(c.window, c.last/int64(cloudWindow))
}

// inherited is a datapoint in a baseline. Version 0.1 kept baselines in the
// states of things: they are filled from these, at the first call on each.
type inherited struct {
	key BaselineKey
	contribution
}

// inherit takes the datapoints of a state of version 0.1, and returns those
// since its violation.
func (t *Thing) inherit(b *behavior, s *state, all []contribution) (own []contribution) {
	if b.percentile == nil {
		return nil
	}
	since := b.percentile.window(s.since)
	for _, c := range all {
		t.inherited = append(t.inherited, inherited{*b.percentile, c})
		if c.window >= since {
			own = append(own, c)
		}
	}
	return own[max(0, len(own)-maxLeftOut):]
}

func (t *Thing) giveInherited(e *Evaluation) {
	for _, d := range t.inherited {
		e.add(d.key, d.window, d.value)
	}
	t.inherited = nil
}
