package report

import (
	"encoding/binary"
	"encoding/json"
	"math"
	"slices"
	"strconv"
	"unicode/utf8"
)

// writer appends a document in either format, so that the order of calls is the
// one description of it. Its CBOR is that of AWS's own agents: definite
// lengths, smallest integers, 64-bit floats, members in the order written.
type writer struct {
	Encoding
	buf  []byte
	path path
	err  *InvalidError // the first
}

func (w *writer) fail(format string, args ...any) {
	if w.err == nil {
		w.err = invalid(format, args...)
		w.err.Path = w.path.String()
	}
}

// object writes an object with the members that the function writes.
func (w *writer) object(members func()) { w.container(false, members) }

// writeList writes a list, each item by a call of write.
func writeList[T any](w *writer, items []T, write func(T)) {
	w.container(true, func() {
		for _, item := range items {
			w.next("")
			write(item)
		}
	})
}

func (w *writer) container(list bool, content func()) {
	start := len(w.buf)
	w.path = append(w.path, step{list: list, index: -1})
	brackets, major := "{}", cborMap
	if list {
		brackets, major = "[]", cborArray
	}
	if w.Format == JSON {
		w.buf = append(w.buf, brackets[0])
		content()
		w.buf = append(w.buf, brackets[1])
	} else {
		content()
		var head [9]byte // stands before the content but holds its length
		n := w.path[len(w.path)-1].index + 1
		w.buf = slices.Insert(w.buf, start, appendHead(head[:0], major, uint64(n))...)
	}
	w.path = w.path[:len(w.path)-1]
}

// next begins a member or an item of the innermost container.
func (w *writer) next(name string) {
	s := &w.path[len(w.path)-1]
	s.name, s.index = name, s.index+1
	if w.Format == JSON && s.index > 0 {
		w.buf = append(w.buf, ',')
	}
}

// member begins a member whose name has one spelling. Its value is to follow.
func (w *writer) member(name string) {
	w.next(name)
	w.text(name)
	if w.Format == JSON {
		w.buf = append(w.buf, ':')
	}
}

// key begins a member of the specification's table, by its long name.
func (w *writer) key(long string) { w.member(w.Names.spell(long)) }

func (w *writer) natural(v uint64) {
	if w.Format == JSON {
		w.buf = strconv.AppendUint(w.buf, v, 10)
	} else {
		w.buf = appendHead(w.buf, cborUint, v)
	}
}

// float refuses NaN and infinities, which JSON does not have.
func (w *writer) float(v float64) {
	switch {
	case math.IsNaN(v) || math.IsInf(v, 0):
		w.fail("%v, want a finite number", v)
	case w.Format == CBOR:
		w.buf = binary.BigEndian.AppendUint64(append(w.buf, cborFloat64), math.Float64bits(v))
	case v != 0 && (math.Abs(v) < 1e-6 || math.Abs(v) >= 1e21): // the bounds of encoding/json
		w.buf = strconv.AppendFloat(w.buf, v, 'e', -1, 64)
	default:
		w.buf = strconv.AppendFloat(w.buf, v, 'f', -1, 64)
	}
}

func (w *writer) text(s string) {
	switch {
	case !utf8.ValidString(s):
		w.fail("%.64q, want valid UTF-8", s)
	case w.Format == CBOR:
		w.buf = append(appendHead(w.buf, cborText, uint64(len(s))), s...)
	case isPlain(s):
		w.buf = append(w.buf, '"')
		w.buf = append(w.buf, s...)
		w.buf = append(w.buf, '"')
	default:
		quoted, _ := json.Marshal(s) // a string cannot fail
		w.buf = append(w.buf, quoted...)
	}
}

// isPlain reports whether JSON takes a string as it is. It spares the names
// and addresses of a report an allocation each.
func isPlain(s string) bool {
	for i := range len(s) {
		if s[i] < ' ' || s[i] == '"' || s[i] == '\\' {
			return false
		}
	}
	return true
}

// The first bytes of CBOR data items (RFC 8949, section 3.1), without a length.
const (
	cborUint     byte = 0 << 5
	cborNegative byte = 1 << 5
	cborText     byte = 3 << 5
	cborArray    byte = 4 << 5
	cborMap      byte = 5 << 5
	cborOther    byte = 7 << 5
	cborFloat64  byte = cborOther | 27
)

// appendHead appends the head of a CBOR data item in its shortest form.
func appendHead(b []byte, major byte, n uint64) []byte {
	switch {
	case n < 24:
		return append(b, major|byte(n))
	case n <= math.MaxUint8:
		return append(b, major|24, byte(n))
	case n <= math.MaxUint16:
		return binary.BigEndian.AppendUint16(append(b, major|25), uint16(n))
	case n <= math.MaxUint32:
		return binary.BigEndian.AppendUint32(append(b, major|26), uint32(n))
	}
	return binary.BigEndian.AppendUint64(append(b, major|27), n)
}
