package chunk

import (
	"encoding/binary"
	"fmt"
	"math"
	"net/netip"
	"slices"
)

// Writer appends samples to a chunk. It is for one goroutine.
type Writer struct {
	state
	buffer []byte
	count  int
}

// NewWriter returns a writer of an empty chunk.
func NewWriter() *Writer {
	return &Writer{state: state{index: map[Series]int{}}, buffer: []byte{version}}
}

// Resume returns a writer that goes on behind the last sample of the chunk. It
// keeps the bytes.
func Resume(chunk []byte) (*Writer, error) {
	if len(chunk) == 0 {
		return NewWriter(), nil
	}
	r, err := NewReader(chunk)
	if err != nil {
		return nil, err
	}
	w := &Writer{buffer: slices.Clip(chunk)}
	for {
		ok, err := r.next()
		if err != nil {
			return nil, err
		}
		if !ok {
			break
		}
		w.count++
	}
	w.state = r.state
	return w, nil
}

// Bytes returns the chunk so far. The next Append may change the bytes.
func (w *Writer) Bytes() []byte { return w.buffer }

// Memory returns about how many bytes of memory the writer takes: the chunk, and
// the values of the last sample.
func (w *Writer) Memory() int {
	const text, series = 32, 250 // a string with some bytes; a series with its names
	n := cap(w.buffer)
	for i := range w.last {
		v := &w.last[i]
		n += series + 8*(len(v.Ints)+len(v.Floats)) + text*len(v.Texts)
	}
	return n
}

// Len returns the number of samples.
func (w *Writer) Len() int { return w.count }

// Append appends a sample. The writer keeps its lists, which must not change
// afterwards. Nothing is appended if it returns an error.
func (w *Writer) Append(s Sample) error {
	if err := w.check(s); err != nil {
		return err
	}
	delta := s.Time - w.time
	w.int(delta - w.delta)
	w.time, w.delta = s.Time, delta
	w.series(s.Series)
	for i := range s.Values {
		place := w.current[i]
		w.value(&w.last[place], &s.Values[i])
		w.last[place] = s.Values[i]
	}
	w.count++
	return nil
}

func (w *Writer) check(s Sample) error {
	elements, added := 0, 0
	for i := range s.Values {
		v := &s.Values[i]
		elements += len(v.Ints) + len(v.Floats) + len(v.Texts)
		if _, known := w.index[s.Series[i]]; !known {
			added++
		}
	}
	if elements > maxElements || len(w.table)+added > maxSeries {
		return fmt.Errorf("%w: %d elements of lists, %d new series beside %d", ErrTooLarge, elements, added, len(w.table))
	}
	return nil
}

func (w *Writer) int(v int64)   { w.buffer = binary.AppendVarint(w.buffer, v) }
func (w *Writer) uint(v uint64) { w.buffer = binary.AppendUvarint(w.buffer, v) }

func (w *Writer) text(s string) {
	w.uint(uint64(len(s)))
	w.buffer = append(w.buffer, s...)
}

// series writes which series a sample has: 0 for those of the one before, else
// their number plus one and the index of each; an index that is not used yet is
// followed by the name.
func (w *Writer) series(list []Series) {
	same := len(list) == len(w.current)
	for i := 0; same && i < len(list); i++ {
		same = w.table[w.current[i]] == list[i]
	}
	if same {
		w.uint(0)
		return
	}
	w.uint(uint64(len(list)) + 1)
	w.current = w.current[:0:0]
	for _, s := range list {
		place, known := w.index[s]
		if !known {
			place = w.add(s)
		}
		w.uint(uint64(place))
		if !known {
			w.name(s)
		}
		w.current = append(w.current, place)
	}
}

func (s *state) add(name Series) int {
	place := len(s.table)
	s.index[name] = place
	s.table = append(s.table, name)
	s.last = append(s.last, Value{})
	return place
}

// Flags of a name.
const (
	nameDimension = 1 << iota
	nameNotIn
	nameShift = 2
)

// name writes the index of a known metric plus one, or 0 and the metric.
func (w *Writer) name(s Series) {
	code := uint64(slices.Index(known[:], s.Metric)+1) << nameShift
	if s.Dimension != "" {
		code |= nameDimension
	}
	if s.NotIn {
		code |= nameNotIn
	}
	w.uint(code)
	if code>>nameShift == 0 {
		w.text(s.Metric)
	}
	if s.Dimension != "" {
		w.text(s.Dimension)
	}
}

// Flags of a value, above its kind.
const (
	kindMask  = 0x07
	valueCut  = 0x08
	valueSame = 0x10 // the value before, all of it
)

func (w *Writer) value(old, v *Value) {
	if old.Kind == v.Kind && old.equal(v) {
		w.buffer = append(w.buffer, byte(v.Kind)|valueSame)
		return
	}
	head := byte(v.Kind)
	if v.Cut {
		head |= valueCut
	}
	w.buffer = append(w.buffer, head)
	if v.Cut {
		w.int(v.Listed - old.Listed)
		w.int(v.Total - old.Total)
	}
	switch v.Kind {
	case Int:
		w.int(v.Int - old.Int)
	case Float:
		w.float(math.Float64bits(v.Float) ^ math.Float64bits(old.Float))
	case Ints:
		last := int64(0)
		script(w, old.Ints, v.Ints, func(e int64) {
			w.int(e - last)
			last = e
		})
	case Floats:
		last := uint64(0)
		script(w, bitsOf(old.Floats), bitsOf(v.Floats), func(e uint64) {
			w.float(e ^ last)
			last = e
		})
	case Addresses:
		script(w, old.Texts, v.Texts, w.address)
	default:
		script(w, old.Texts, v.Texts, w.text)
	}
}

// equal compares all but the kinds. Floats are equal if their bits are.
func (v *Value) equal(o *Value) bool {
	return v.Int == o.Int && math.Float64bits(v.Float) == math.Float64bits(o.Float) &&
		v.Cut == o.Cut && v.Listed == o.Listed && v.Total == o.Total &&
		slices.Equal(v.Ints, o.Ints) && slices.Equal(v.Texts, o.Texts) &&
		slices.EqualFunc(v.Floats, o.Floats, func(a, b float64) bool { return math.Float64bits(a) == math.Float64bits(b) })
}

func bitsOf(list []float64) []uint64 {
	bits := make([]uint64, len(list))
	for i, v := range list {
		bits[i] = math.Float64bits(v)
	}
	return bits
}

// float writes 8 bytes without the zeros at both ends: how many at the low end
// and how many are left, in one byte, and those.
func (w *Writer) float(x uint64) {
	var all [8]byte
	binary.LittleEndian.PutUint64(all[:], x)
	from, to := 0, 8
	for to > 0 && all[to-1] == 0 {
		to--
	}
	for from < to && all[from] == 0 {
		from++
	}
	w.buffer = append(w.buffer, byte(from<<4|to-from))
	w.buffer = append(w.buffer, all[from:to]...)
}

// script writes a list as operations on the one before: a number n << 1 and then
// n new elements, or n << 1 | 1 and where in the old list n elements are copied
// from, counted from the end of the last copy. 0 ends it.
func script[E comparable](w *Writer, old, list []E, element func(E)) {
	places := make(map[E]int, len(old))
	for i, e := range slices.Backward(old) {
		places[e] = i
	}
	next := 0 // where the last copy ended
	for i := 0; i < len(list); {
		// Going on where the last copy ended is right for lists with duplicates.
		from, found := next, next < len(old) && old[next] == list[i]
		if !found {
			from, found = places[list[i]]
		}
		if found {
			n := 1
			for i+n < len(list) && from+n < len(old) && list[i+n] == old[from+n] {
				n++
			}
			w.uint(uint64(n)<<1 | 1)
			w.int(int64(from - next))
			next, i = from+n, i+n
			continue
		}
		n := 1
		for i+n < len(list) {
			if _, found := places[list[i+n]]; found {
				break
			}
			n++
		}
		w.uint(uint64(n) << 1)
		for _, e := range list[i : i+n] {
			element(e)
		}
		i += n
	}
	w.uint(0)
}

// Forms of an address.
const (
	addressText = iota // any other text
	address4
	address6
)

func (w *Writer) address(s string) {
	a, err := netip.ParseAddr(s)
	switch {
	case err != nil || a.Zone() != "" || a.String() != s || a.Is4In6():
		w.buffer = append(w.buffer, addressText)
		w.text(s)
	case a.Is4():
		w.buffer = append(append(w.buffer, address4), a.AsSlice()...)
	default:
		w.buffer = append(append(w.buffer, address6), a.AsSlice()...)
	}
}
