package detect

import (
	"encoding/binary"
	"math"
)

// reader takes saved bytes apart. After a fault it returns zeros.
type reader struct {
	rest  []byte
	fault bool
}

func (r *reader) fail() { r.fault, r.rest = true, nil }

func (r *reader) take(n int64) []byte {
	if n < 0 || n > int64(len(r.rest)) {
		r.fail()
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
		r.fail()
		return 0
	}
	r.rest = r.rest[n:]
	return v
}

// uint reads a number from low to high that was written without a sign.
func (r *reader) uint(low, high int64) int64 {
	v, n := binary.Uvarint(r.rest)
	if n <= 0 || v > math.MaxInt64 || int64(v) < low || int64(v) > high {
		r.fail()
		return 0
	}
	r.rest = r.rest[n:]
	return int64(v)
}

// time reads a time in nanoseconds.
func (r *reader) time() int64 { return r.int(0, maxTime) }

func (r *reader) text() []byte { return r.take(r.int(0, math.MaxInt32)) }
