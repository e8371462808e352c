package detect

import (
	"encoding/binary"
	"fmt"
	"hash/fnv"
	"math"
)

// A saved thing begins with its version. Version 1 is that of version 0.1.
const (
	savedVersion   = 2
	savedVersion01 = 1
)

// Flags of a saved state.
const (
	savedOpen    = 1 << iota // a window is under way
	savedAlarm               // with the profile's name and the behavior's document
	savedRun                 // datapoints in a row, and since when
	savedOwn                 // datapoints in a baseline
	savedEnd                 // there is no state, these were all
	savedCurrent             // measured with the thing's last sign of life
	savedGiven               // how many datapoints to a baseline
)

// AppendSaved appends what is known of the thing from its reports and events,
// nothing when that is nothing. Neither its name nor what the registry says are
// in it.
func (t *Thing) AppendSaved(to []byte) []byte {
	if t.empty() {
		return to
	}
	w := &writer{append(to, savedVersion)}
	w.int(t.seen)
	for i := range t.states {
		b, s := t.class.behaviors[i], &t.states[i]
		var own []contribution
		if k := t.class.statistical[i]; k >= 0 && t.own != nil {
			own = t.own[k]
		}
		if *s != (state{}) {
			w.state(t.seen, b, s, own)
		}
	}
	for i := range t.dormant {
		d := &t.dormant[i]
		w.state(t.seen, d.behavior, &d.state, d.own)
	}
	w.buffer = append(w.buffer, savedEnd)
	if t.cloud != nil {
		w.cloud(t.cloud, t.class.tallies)
	}
	return w.buffer
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

func (w *writer) state(seen int64, b *behavior, s *state, own []contribution) {
	flags := bit(savedOpen, s.open) | bit(savedAlarm, s.alarm) | bit(savedRun, s.runs()) | bit(savedOwn, len(own) > 0) |
		bit(savedCurrent, s.last == seen) | bit(savedGiven, s.given > 0)
	w.buffer = append(w.buffer, flags)
	w.word(b.mark)
	if s.last != seen {
		w.int(seen - s.last)
	}
	if s.open {
		w.int(s.last - s.begin)
		w.int(int64(s.sum))
	}
	if s.runs() {
		w.buffer = append(w.buffer, s.violating, s.conforming)
		w.int(s.last - s.since)
	}
	if s.alarm {
		w.text(b.profile)
		w.text(string(b.text))
	}
	if len(own) > 0 {
		first := own[0].window
		w.int(int64(first))
		w.int(int64(len(own)))
		for _, c := range own {
			w.int(int64(c.window - first))
			w.word(math.Float64bits(c.value))
		}
	}
	if s.given > 0 {
		w.buffer = append(w.buffer, s.given)
	}
}

func bit(flag byte, set bool) byte {
	if set {
		return flag
	}
	return 0
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
