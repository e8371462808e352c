package report

import (
	"math"
	"net/netip"
	"slices"
	"strings"
)

// reader walks through a parsed document. After the first error it goes on
// with zero values, so that the walk needs no error handling of its own.
type reader struct {
	names  Names
	path   path
	labels []string
	ports  []uint16      // room for those that are pointed to
	err    *InvalidError // the first
}

// maxLabels is how many labels a document has at most for a reader to know them
// again.
const maxLabels = 16

func (r *reader) fail(format string, args ...any) {
	if r.err == nil {
		r.err = invalid(format, args...)
		r.err.Path = r.path.String()
	}
}

func (r *reader) within(s step, read func()) {
	r.path = append(r.path, s)
	read()
	r.path = r.path[:len(r.path)-1]
}

// object wants an object. Nobody asks for members that a later minor version of
// the document may add.
func (r *reader) object(v value) value {
	if v.kind() != kindObject {
		r.fail("%s, want an object", v)
	}
	return v
}

// member reads a member whose name has one spelling, and reports whether it is
// there. Null is absent: AWS's Python SDK sends it for an unknown interface.
func (r *reader) member(object value, name string, read func(v value)) bool {
	v := object.member(name)
	if v.kind() == kindNull {
		return false
	}
	r.within(step{name: name}, func() { read(v) })
	return true
}

// optional reads a member of the specification's table, by its long name.
func (r *reader) optional(object value, long string, read func(v value)) bool {
	if stray := r.names.other().spell(long); object.has(stray) {
		r.within(step{name: stray}, func() {
			r.fail("%v name in a report with %v names", r.names.other(), r.names)
		})
	}
	return r.member(object, r.names.spell(long), read)
}

// required is optional for a member that must be there.
func (r *reader) required(object value, long string, read func(v value)) {
	if !r.optional(object, long, read) {
		r.within(step{name: r.names.spell(long)}, func() { r.fail("missing") })
	}
}

// readList reads each item of a list. The result is never nil.
func readList[T any](r *reader, v value, read func(v value) T) []T {
	if v.kind() != kindList {
		r.fail("%s, want a list", v)
		return []T{}
	}
	all := make([]T, 0, v.node().size)
	for item := range v.inside() {
		if r.err != nil {
			break
		}
		r.within(step{list: true, index: len(all)}, func() { all = append(all, read(item)) })
	}
	return all
}

// text reads a text of its own: the document, of which v is a part, goes away.
func (r *reader) text(v value) string { return strings.Clone(r.peek(v)) }

// peek reads a text that is good as long as the document is.
func (r *reader) peek(v value) string {
	if v.kind() != kindText {
		r.fail("%s, want text", v)
	}
	return v.node().text
}

// label reads a text that comes again and again in a document, such as the name
// of an interface.
func (r *reader) label(v value) string {
	s := r.peek(v)
	if i := slices.Index(r.labels, s); i >= 0 {
		return r.labels[i]
	}
	s = strings.Clone(s)
	if len(r.labels) < maxLabels {
		r.labels = append(r.labels, s)
	}
	return s
}

// integer reads an integer of the range, also one that is written as a float.
func (r *reader) integer(v value, least, most uint64) uint64 {
	n := v.node()
	integer, ok := n.bits, n.kind == kindNatural
	if f := math.Float64frombits(n.bits); n.kind == kindFloat && f >= 0 && f < 1<<64 && f == math.Trunc(f) {
		integer, ok = uint64(f), true
	}
	switch {
	case ok && least <= integer && integer <= most:
		return integer
	case least == 0 && most == math.MaxUint64:
		r.fail("%s, want 0 or more", v)
	default:
		r.fail("%s, want %d to %d", v, least, most)
	}
	return 0
}

func (r *reader) float(v value) float64 {
	switch n := v.node(); n.kind {
	case kindNatural:
		return float64(n.bits)
	case kindNegative:
		return float64(int64(n.bits))
	case kindFloat:
		if f := math.Float64frombits(n.bits); !math.IsNaN(f) && !math.IsInf(f, 0) {
			return f
		}
	}
	r.fail("%s, want a finite number", v)
	return 0
}

// pointer returns a pointer to the number: some at once are less work than each.
func (r *reader) pointer(port uint16) *uint16 {
	if len(r.ports) == cap(r.ports) {
		r.ports = make([]uint16, 0, 64)
	}
	r.ports = append(r.ports, port)
	return &r.ports[len(r.ports)-1]
}

func (r *reader) remoteAddr(v value) netip.AddrPort {
	addr, err := netip.ParseAddrPort(r.peek(v))
	if err != nil || !isRemoteAddr(addr) {
		r.fail("%s, want ip:port", v)
	}
	return addr
}
