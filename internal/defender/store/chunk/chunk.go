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
	"errors"
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
