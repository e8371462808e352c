package detect

import (
	"encoding/binary"
	"errors"
	"math"
	"math/bits"
	"slices"
)

const (
	// bucketBits are the low bits of a float64 in which the values of a bucket
	// differ: what is left are sign, exponent and 7 bits of the mantissa.
	bucketBits = 52 - 7
	// lastBucket has the largest float64.
	lastBucket = 2047 << 7
	// maxFleetWindow is how many datapoints a window takes.
	maxFleetWindow = 1 << 20
	// maxCount is the largest number of datapoints in an encoded histogram.
	maxCount = 1 << 40
)

// Histogram holds datapoints by their size. Each power of two has 128 buckets
// of the same width, so that two values of a bucket differ by less than 1 %
// (1/128; only below 2.3e-308 by more). Negative values are the mirror image,
// and zero has a bucket of its own. A bucket holds how many datapoints it has and
// the largest of them. The bounds of buckets are fixed: merging histograms gives
// the histogram of all their datapoints, in any order. There are at most 524,033
// buckets, and never more than datapoints.
//
// The zero value is empty and ready.
type Histogram struct {
	buckets []bucket // by value
	count   int64
}

type bucket struct {
	largest float64
	count   int64
}

// bucketOf numbers buckets in the order of their values. Zero is in bucket 0.
func bucketOf(v float64) int64 {
	switch b := int64(math.Float64bits(math.Abs(v)) >> bucketBits); {
	case v > 0:
		return b + 1
	case v < 0:
		return -b - 1
	}
	return 0
}

// find returns the position of a bucket, or where it would be.
func (h *Histogram) find(number int64) (int, bool) {
	return slices.BinarySearchFunc(h.buckets, number, func(b bucket, number int64) int { return int(bucketOf(b.largest) - number) })
}

func (h *Histogram) clone() *Histogram { return &Histogram{slices.Clone(h.buckets), h.count} }

// Count returns how many datapoints there are.
func (h *Histogram) Count() int64 { return h.count }

// Add adds a finite datapoint. It reports false if there are 1<<20 already.
func (h *Histogram) Add(v float64) bool {
	if h.count >= maxFleetWindow || math.IsNaN(v) || math.IsInf(v, 0) {
		return false
	}
	i, found := h.find(bucketOf(v))
	if !found {
		h.buckets = slices.Insert(h.buckets, i, bucket{largest: v})
	}
	h.buckets[i].largest = max(h.buckets[i].largest, v)
	h.buckets[i].count++
	h.count++
	return true
}

// Merge adds the datapoints of another histogram.
func (h *Histogram) Merge(other *Histogram) {
	merged := make([]bucket, 0, max(len(h.buckets), len(other.buckets)))
	a, b := h.buckets, other.buckets
	for len(a) > 0 && len(b) > 0 {
		switch x, y := bucketOf(a[0].largest), bucketOf(b[0].largest); {
		case x < y:
			merged, a = append(merged, a[0]), a[1:]
		case x > y:
			merged, b = append(merged, b[0]), b[1:]
		default:
			merged = append(merged, bucket{max(a[0].largest, b[0].largest), a[0].count + b[0].count})
			a, b = a[1:], b[1:]
		}
	}
	h.buckets = append(append(merged, a...), b...)
	h.count += other.count
}

// Percentile returns the percentile by nearest rank, rank being in hundredths of
// a percent, of all datapoints but those in leftOut: the largest datapoint of
// the bucket that it is in, even if that one is left out. It is 0 if nothing is
// left.
func (h *Histogram) Percentile(rank int32, leftOut []float64) float64 {
	out := h.positions(leftOut)
	left := h.count - int64(len(out))
	if left <= 0 {
		return 0
	}
	above := left - max((int64(rank)*left+9999)/10000, 1) // datapoints above the one that is wanted
	for i, b := range slices.Backward(h.buckets) {
		above -= b.count
		for ; len(out) > 0 && out[len(out)-1] == i; out = out[:len(out)-1] {
			above++
		}
		if above < 0 {
			return b.largest
		}
	}
	return 0
}

// positions returns the positions of the buckets that have the datapoints,
// sorted, each as often as it has some.
func (h *Histogram) positions(datapoints []float64) []int {
	if len(datapoints) == 0 {
		return nil
	}
	all := make([]int, 0, len(datapoints))
	for _, v := range datapoints {
		if i, found := h.find(bucketOf(v)); found {
			all = append(all, i)
		}
	}
	slices.Sort(all)
	has, last, same := all[:0], -1, int64(0)
	for _, i := range all {
		if i != last {
			last, same = i, 0
		}
		if same++; same <= h.buckets[i].count {
			has = append(has, i)
		}
	}
	return has
}

// Append appends the histogram in a short form that DecodeHistogram reads: of
// each bucket how far it is from the one before, its count, and what its largest
// value has beyond the bucket's number. These bits are reversed, because those of
// a whole number end with zeros.
func (h *Histogram) Append(to []byte) []byte {
	last := int64(-lastBucket - 1)
	for _, b := range h.buckets {
		number := bucketOf(b.largest)
		to = binary.AppendUvarint(to, uint64(number-last))
		to = binary.AppendUvarint(to, uint64(b.count))
		to = binary.AppendUvarint(to, bits.Reverse64(math.Float64bits(b.largest)<<(64-bucketBits)))
		last = number
	}
	return to
}

var errHistogram = errors.New("not a histogram")

// DecodeHistogram reads what Append wrote.
func DecodeHistogram(data []byte) (*Histogram, error) {
	h := &Histogram{buckets: make([]bucket, 0, len(data)/4)}
	r := &reader{rest: data}
	number := int64(-lastBucket - 1)
	for len(r.rest) > 0 && !r.fault {
		number += r.uint(1, 2*lastBucket+1)
		b := bucket{count: r.uint(1, maxCount)}
		low := bits.Reverse64(uint64(r.uint(0, 1<<bucketBits-1))) >> (64 - bucketBits)
		switch {
		case number > 0:
			b.largest = math.Float64frombits(uint64(number-1)<<bucketBits | low)
		case number < 0:
			b.largest = -math.Float64frombits(uint64(-number-1)<<bucketBits | low)
		}
		if number > lastBucket || number == 0 && low != 0 || bucketOf(b.largest) != number {
			r.fault = true
		}
		h.buckets = append(h.buckets, b)
		h.count += b.count
		r.fault = r.fault || h.count > maxCount
	}
	if r.fault {
		return nil, errHistogram
	}
	return h, nil
}
