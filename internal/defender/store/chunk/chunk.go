// Package chunk packs the values of one thing over a short time, an hour or
// similar, into few bytes.
//
// A chunk is a row of samples: what one report measured. It is written and read
// from the front, so that the open chunk of a thing travels with its state and
// grows by a sample with each report: [Resume], [Writer.Append],
// [Writer.Bytes]. A sample is encoded as what differs from the one before:
//
//	time       varint of the delta of the delta, in milliseconds
//	series     which there are: one byte if they are those of the sample before
//	Int        zigzag varint of the delta
//	Float      XOR with the one before, without its zero bytes at both ends
//	lists      runs of elements copied from the list before, and new elements;
//	           one byte for an equal list. Order and duplicates are kept
//	addresses  4 or 16 bytes, if the text is the one that the address prints as
//
// Names of series that AWS defines are one byte; others are written out once in
// a chunk.
//
// # Size
//
// A day of a thing with all metrics that the profiles of artifacts/profiles use,
// 288 reports in chunks of an hour (BenchmarkThingDay):
//
//	peers it talks to, one changing in every fourth report    5     50    250
//	KB a day                                                  11.0  16.3  40.5
//	the same, each chunk compressed with flate                9.2   14.4  36.1
//	largest chunk in bytes                                    505   736   1,745
//
// Compressing single chunks does not pay for its time. The blocks of the store,
// which hold many chunks, are compressed by the store.
package chunk

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"net/netip"
	"slices"
)

// Kind is the kind of a value.
type Kind uint8

// The kinds of values.
const (
	Int       Kind = iota + 1 // Value.Int
	Float                     // Value.Float
	Ints                      // Value.Ints
	Floats                    // Value.Floats
	Texts                     // Value.Texts
	Addresses                 // Value.Texts: IP addresses and CIDRs, mostly
)

// Value is a value of a series at one time.
type Value struct {
	Kind   Kind
	Int    int64
	Float  float64
	Ints   []int64
	Floats []float64
	Texts  []string

	// Cut says that a list does not have all of its entries: Listed of Total,
	// which is 0 if it is not known.
	Cut           bool
	Listed, Total int64
}

// Series names what is measured: a metric, and the dimension that narrows it.
type Series struct {
	Metric    string
	Dimension string
	NotIn     bool
}

// Sample is what was measured at one time, by series. No series may be in a
// sample twice.
type Sample struct {
	Time   int64 // milliseconds
	Series []Series
	Values []Value // of the series at the same index
}

const version = 1

// Limits of a chunk, so that damaged bytes do not ask for much memory. Reports
// are below 128 KB, and every element of a list takes two bytes of one.
const (
	maxSeries   = 1 << 12 // in a chunk
	maxElements = 1 << 16 // in the lists of a sample
)

// Errors of chunks.
var (
	ErrDamaged = errors.New("not a chunk")
	// ErrTooLarge says that a sample has too much for this chunk. Append it to a
	// new one; it is too large for any if that refuses it too.
	ErrTooLarge = errors.New("too much for a chunk")
)

// state is what both sides know after a sample.
type state struct {
	time, delta int64
	table       []Series // all series of the chunk, in the order they came
	index       map[Series]int
	last        []Value // of the series of the table
	current     []int   // series of the last sample, as indexes of the table
}

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
