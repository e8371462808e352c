package report

import (
	"math"
	"net/netip"
)

// reader walks through a parsed document. After the first error it goes on
// with zero values, so that the walk needs no error handling of its own.
type reader struct {
	names Names
	path  path
	err   *InvalidError // the first
}

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

// object returns the members of an object. Nobody asks for those that a later
// minor version of the document may add.
func (r *reader) object(v any) map[string]any {
	members, ok := v.(map[string]any)
	if !ok {
		r.fail("%s, want an object", describe(v))
	}
	return members
}

// member reads a member whose name has one spelling, and reports whether it is
// there. Null is absent: AWS's Python SDK sends it for an unknown interface.
func (r *reader) member(object map[string]any, name string, read func(v any)) bool {
	v := object[name]
	if v != nil {
		r.within(step{name: name}, func() { read(v) })
	}
	return v != nil
}

// optional reads a member of the specification's table, by its long name.
func (r *reader) optional(object map[string]any, long string, read func(v any)) bool {
	if stray := r.names.other().spell(long); has(object, stray) {
		r.within(step{name: stray}, func() {
			r.fail("%v name in a report with %v names", r.names.other(), r.names)
		})
	}
	return r.member(object, r.names.spell(long), read)
}

// required is optional for a member that must be there.
func (r *reader) required(object map[string]any, long string, read func(v any)) {
	if !r.optional(object, long, read) {
		r.within(step{name: r.names.spell(long)}, func() { r.fail("missing") })
	}
}

func has(object map[string]any, name string) bool {
	_, ok := object[name]
	return ok
}

// readList reads each item of a list. The result is never nil.
func readList[T any](r *reader, v any, read func(v any) T) []T {
	items, ok := v.([]any)
	if !ok {
		r.fail("%s, want a list", describe(v))
	}
	list := make([]T, 0, len(items))
	for i, item := range items {
		if r.err != nil {
			break
		}
		r.within(step{list: true, index: i}, func() { list = append(list, read(item)) })
	}
	return list
}

func (r *reader) text(v any) string {
	s, ok := v.(string)
	if !ok {
		r.fail("%s, want text", describe(v))
	}
	return s
}

// integer reads an integer of the range, also one that is written as a float.
func (r *reader) integer(v any, least, most uint64) uint64 {
	n, ok := v.(uint64)
	if f, isFloat := v.(float64); isFloat && f >= 0 && f < 1<<64 && f == math.Trunc(f) {
		n, ok = uint64(f), true
	}
	switch {
	case ok && least <= n && n <= most:
		return n
	case least == 0 && most == math.MaxUint64:
		r.fail("%s, want 0 or more", describe(v))
	default:
		r.fail("%s, want %d to %d", describe(v), least, most)
	}
	return 0
}

func (r *reader) float(v any) float64 {
	switch v := v.(type) {
	case uint64:
		return float64(v)
	case int64:
		return float64(v)
	case float64:
		if !math.IsNaN(v) && !math.IsInf(v, 0) {
			return v
		}
	}
	r.fail("%s, want a finite number", describe(v))
	return 0
}

func (r *reader) remoteAddr(v any) netip.AddrPort {
	addr, err := netip.ParseAddrPort(r.text(v))
	if err != nil || !isRemoteAddr(addr) {
		r.fail("%s, want ip:port", describe(v))
	}
	return addr
}
