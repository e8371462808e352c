package service

import (
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/device-defender/device-defender/internal/defender/store"
)

// thingRow is what is kept of a thing from one report to the next: a report
// reads one row and writes it.
type thingRow struct {
	last      lastReport
	due       time.Time // of the thing's job; zero: it has none
	chunkTime time.Time // of the first sample of the open chunk
	chunks    uint8     // chunks closed so far, to tell their keys apart
	chunk     []byte    // the open chunk of values, see keep
	state     []byte    // detect.Thing.AppendSaved
}

// lastReport is a thing's last accepted report.
type lastReport struct {
	id     int64     // 0 is an id that tells nothing
	digest uint64    // of its payload
	time   time.Time // zero: there was none
	clock  time.Time // the service's, when it was behind time; else zero
	every  time.Duration
	// day and bytes are what the thing has sent on a day, when it is not
	// registered.
	day   store.Day
	bytes int64
}

// received is when the service took the report, by its own clock.
func (r *lastReport) received() time.Time { return cmp.Or(r.clock, r.time) }

// rowVersion is the first byte of a row.
const rowVersion = 1

// rowCodec writes a row as integers of variable length, times in milliseconds.
// What package detect knows comes last.
var rowCodec = store.Codec[thingRow]{Encode: encodeRow, Decode: decodeRow}

// lastCodec reads the last report of a row, and nothing else of it.
var lastCodec = store.Codec[lastReport]{
	Encode: func(lastReport) ([]byte, error) { return nil, errors.New("a row is not written by a part of it") },
	Decode: func(data []byte) (lastReport, error) {
		r, _, err := readRow(data)
		return r.last, err
	},
}

func encodeRow(r thingRow) ([]byte, error) {
	b := make([]byte, 0, 64+len(r.chunk)+len(r.state))
	b = append(b, rowVersion, r.chunks)
	b = binary.BigEndian.AppendUint64(b, r.last.digest)
	for _, v := range []int64{
		r.last.id, milliseconds(r.last.time), milliseconds(r.last.clock), r.last.every.Milliseconds(), int64(r.last.day), r.last.bytes,
		milliseconds(r.due), milliseconds(r.chunkTime), int64(len(r.chunk)),
	} {
		b = binary.AppendVarint(b, v)
	}
	return append(append(b, r.chunk...), r.state...), nil
}

// milliseconds is the time since 1970; 0 is the zero time.
func milliseconds(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMilli()
}

func millisecondTime(ms int64) time.Time {
	if ms == 0 {
		return time.Time{}
	}
	return time.UnixMilli(ms).UTC()
}

// decodeRow is the inverse of encodeRow. A row that is cut short or has lengths
// that cannot be is store.ErrDamaged.
func decodeRow(data []byte) (thingRow, error) {
	r, rest, err := readRow(data)
	if err != nil {
		return thingRow{}, err
	}
	size := len(r.chunk)
	r.chunk, r.state = append([]byte(nil), rest[:size]...), append([]byte(nil), rest[size:]...)
	return r, nil
}

// readRow reads all but the chunk and the state of a row, which rest has. The
// chunk is a part of data.
func readRow(data []byte) (r thingRow, rest []byte, err error) {
	const fixed = 2 + 8
	if len(data) < fixed || data[0] != rowVersion {
		return r, nil, errRow
	}
	r.chunks = data[1]
	r.last.digest = binary.BigEndian.Uint64(data[2:])
	rest = data[fixed:]
	var v [9]int64
	for i := range v {
		n := 0
		if v[i], n = binary.Varint(rest); n <= 0 {
			return thingRow{}, nil, errRow
		}
		rest = rest[n:]
	}
	size := v[8]
	if size < 0 || size > int64(len(rest)) {
		return thingRow{}, nil, errRow
	}
	r.last.id, r.last.time, r.last.clock = v[0], millisecondTime(v[1]), millisecondTime(v[2])
	r.last.every, r.last.day, r.last.bytes = time.Duration(v[3])*time.Millisecond, store.Day(v[4]), v[5]
	r.due, r.chunkTime = millisecondTime(v[6]), millisecondTime(v[7])
	r.chunk = rest[:size]
	return r, rest, nil
}

var errRow = fmt.Errorf("row of a thing: %w", store.ErrDamaged)
