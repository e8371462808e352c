package chunk

import (
	"encoding/binary"
	"fmt"
	"math"
	"net/netip"
)

// Reader reads the samples of a chunk. It is for one goroutine.
type Reader struct {
	state
	rest     []byte
	elements int // in lists of the sample so far
	fault    bool
}

// NewReader returns a reader of the chunk. What it reads does not share memory
// with the chunk.
func NewReader(chunk []byte) (*Reader, error) {
	if len(chunk) == 0 || chunk[0] != version {
		return nil, fmt.Errorf("%w: no version that is known", ErrDamaged)
	}
	return &Reader{state: state{index: map[Series]int{}}, rest: chunk[1:]}, nil
}

// Next returns the next sample, ok is false after the last. The lists of the
// sample belong to the reader and must not be changed.
func (r *Reader) Next() (s Sample, ok bool, err error) {
	if ok, err = r.next(); !ok {
		return Sample{}, false, err
	}
	s = Sample{Time: r.time, Series: make([]Series, len(r.current)), Values: make([]Value, len(r.current))}
	for i, place := range r.current {
		s.Series[i], s.Values[i] = r.table[place], r.last[place]
	}
	return s, true, nil
}

// next reads a sample into the state.
func (r *Reader) next() (bool, error) {
	if len(r.rest) == 0 {
		return false, nil
	}
	r.delta += r.int()
	r.time += r.delta
	r.series()
	r.elements = 0
	for _, place := range r.current {
		r.value(&r.last[place])
	}
	if r.fault {
		return false, ErrDamaged
	}
	return true, nil
}

func (r *Reader) fail() { r.fault, r.rest = true, nil }

func (r *Reader) int() int64 {
	v, n := binary.Varint(r.rest)
	if n <= 0 {
		r.fail()
		return 0
	}
	r.rest = r.rest[n:]
	return v
}

func (r *Reader) uint() uint64 {
	v, n := binary.Uvarint(r.rest)
	if n <= 0 {
		r.fail()
		return 0
	}
	r.rest = r.rest[n:]
	return v
}

func (r *Reader) byte() byte {
	if part := r.take(1); part != nil {
		return part[0]
	}
	return 0
}

func (r *Reader) take(n uint64) []byte {
	if n > uint64(len(r.rest)) {
		r.fail()
		return nil
	}
	part := r.rest[:n]
	r.rest = r.rest[n:]
	return part
}

func (r *Reader) text() string { return string(r.take(r.uint())) }

func (r *Reader) series() {
	n := r.uint()
	if n == 0 || r.fault {
		return
	}
	if n--; n > maxSeries || n > uint64(len(r.rest)) {
		r.fail()
		return
	}
	r.current = make([]int, 0, n)
	for range n {
		place := r.uint()
		if place == uint64(len(r.table)) && place < maxSeries && !r.fault {
			name := r.name()
			if _, twice := r.index[name]; twice {
				r.fail()
			}
			r.add(name)
		}
		if r.fault || place >= uint64(len(r.table)) {
			r.fail()
			r.current = nil
			return
		}
		r.current = append(r.current, int(place))
	}
}

func (r *Reader) name() (s Series) {
	code := r.uint()
	switch i := code >> nameShift; {
	case i == 0:
		s.Metric = r.text()
	case i <= uint64(len(known)):
		s.Metric = known[i-1]
	default:
		r.fail()
	}
	if code&nameDimension != 0 {
		s.Dimension = r.text()
	}
	s.NotIn = code&nameNotIn != 0
	return s
}

func (r *Reader) value(v *Value) {
	head := r.byte()
	kind := Kind(head & kindMask)
	if head&valueSame != 0 {
		r.elements += len(v.Ints) + len(v.Floats) + len(v.Texts)
		if kind != v.Kind || head&valueCut != 0 || r.elements > maxElements {
			r.fail()
		}
		return
	}
	old := *v
	*v = Value{Kind: kind, Cut: head&valueCut != 0}
	if v.Cut {
		v.Listed, v.Total = old.Listed+r.int(), old.Total+r.int()
	}
	switch kind {
	case Int:
		v.Int = old.Int + r.int()
	case Float:
		v.Float = math.Float64frombits(math.Float64bits(old.Float) ^ r.float())
	case Ints:
		last := int64(0)
		v.Ints = replay(r, old.Ints, func() int64 {
			last += r.int()
			return last
		})
	case Floats:
		last := uint64(0)
		v.Floats = replay(r, old.Floats, func() float64 {
			last ^= r.float()
			return math.Float64frombits(last)
		})
	case Texts:
		v.Texts = replay(r, old.Texts, r.text)
	case Addresses:
		v.Texts = replay(r, old.Texts, r.address)
	default:
		r.fail()
	}
}

func (r *Reader) float() uint64 {
	head := r.byte()
	from, n := int(head>>4), int(head&0x0f)
	if from+n > 8 {
		r.fail()
		return 0
	}
	var all [8]byte
	copy(all[from:], r.take(uint64(n)))
	return binary.LittleEndian.Uint64(all[:])
}

func (r *Reader) address() string {
	switch r.byte() {
	case addressText:
		return r.text()
	case address4:
		if part := r.take(4); part != nil {
			return netip.AddrFrom4([4]byte(part)).String()
		}
	case address6:
		if part := r.take(16); part != nil {
			return netip.AddrFrom16([16]byte(part)).String()
		}
	default:
		r.fail()
	}
	return ""
}

// replay is the inverse of script.
func replay[E any](r *Reader, old []E, element func() E) []E {
	list := []E{}
	next := int64(0)
	for {
		op := r.uint()
		n := op >> 1
		switch {
		case r.fault:
			return nil
		case op == 0:
			return list
		case n == 0 || n > uint64(maxElements-r.elements):
			r.fail()
			return nil
		}
		r.elements += int(n)
		switch {
		case op&1 != 0:
			from := next + r.int()
			if from < 0 || from > int64(len(old)) || n > uint64(int64(len(old))-from) {
				r.fail()
				return nil
			}
			list = append(list, old[from:from+int64(n)]...)
			next = from + int64(n)
		default:
			for range n {
				if list = append(list, element()); r.fault {
					return nil
				}
			}
		}
	}
}
