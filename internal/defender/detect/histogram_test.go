package detect

import (
	"encoding/binary"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"
)

func histogramOf(values ...float64) *Histogram {
	h := &Histogram{}
	for _, v := range values {
		h.Add(v)
	}
	return h
}

// TestHistogram: percentiles of random datapoints, without some of them, are
// close to the exact ones, and those of a merged and stored histogram the same.
func TestHistogram(t *testing.T) {
	for seed := range uint64(300) {
		r := rand.New(rand.NewPCG(seed, 5))
		scale := math.Pow(10, float64(r.IntN(20)-5))
		var values []float64
		h, parts := &Histogram{}, []*Histogram{{}, {}, {}}
		for range 10 + r.IntN(500) {
			v := r.NormFloat64() * scale
			switch r.IntN(3) {
			case 0:
				v = math.Round(v)
			case 1:
				v = math.Abs(math.Round(v))
			}
			values = append(values, v)
			h.Add(v)
			parts[r.IntN(3)].Add(v)
		}
		left := slices.Clone(values[:r.IntN(len(values)-1)])
		merged := &Histogram{}
		for _, i := range r.Perm(3) {
			part, err := DecodeHistogram(parts[i].Append(nil))
			if err != nil {
				t.Fatal(err)
			}
			merged.Merge(part)
		}
		if d := gocmp.Diff(h, merged, gocmp.AllowUnexported(Histogram{}, bucket{})); d != "" {
			t.Fatalf("seed %d: the whole (-), merged (+): %s", seed, d)
		}
		slices.Sort(values)
		for _, rank := range []int32{0, 1, 10, 1000, 5000, 9000, 9999, 10000} {
			checkPercentile(t, values, int64(rank), left, h.Percentile(rank, left))
		}
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
}

// TestHistogramExact: where a bucket has one value only, percentiles are exact,
// and what a thing left out is not answered.
func TestHistogramExact(t *testing.T) {
	h := histogramOf(5000, 300, 300, 300, 300, 301)
	for _, c := range []struct {
		rank    int32
		leftOut []float64
		want    float64
	}{
		{0, nil, 301}, {5000, nil, 301}, {10000, nil, 5000}, {10000, []float64{5000}, 301},
		{10000, []float64{5000, 5000, 7, 300, 300, 301, 300, 300}, 0}, {0, []float64{300, 300, 301, 300, 300, 300, 300}, 5000},
	} {
		if got := h.Percentile(c.rank, c.leftOut); got != c.want {
			t.Errorf("percentile %d without %v: %v, want %v", c.rank, c.leftOut, got, c.want)
		}
	}
	if got := histogramOf(300, 300, 5000).Percentile(5000, nil); got != 300 {
		t.Errorf("a constant value is %v, want 300", got)
	}
}

// TestHistogramBounds: buckets are as narrow as is said, and there are as many.
func TestHistogramBounds(t *testing.T) {
	h := histogramOf(math.Inf(1), math.Inf(-1), math.NaN())
	if h.Count() != 0 {
		t.Errorf("%d datapoints that are no numbers", h.Count())
	}
	if first, last := bucketOf(-math.MaxFloat64), bucketOf(math.MaxFloat64); last != lastBucket || last-first+1 != 524_033 {
		t.Errorf("buckets %d to %d", first, last)
	}
	if bucketOf(math.Copysign(0, -1)) != 0 || bucketOf(math.SmallestNonzeroFloat64) != 1 || bucketOf(-math.SmallestNonzeroFloat64) != -1 {
		t.Error("zero is not by itself")
	}
	for low := 2.3e-308; low < 1e308; low *= 1.0037 {
		if math.Nextafter(low*1.01, low) > low && bucketOf(low) == bucketOf(low*1.0079) {
			t.Fatalf("a bucket has %v and %v", low, low*1.0079)
		}
		if number := bucketOf(low); bucketOf(-low) != -number {
			t.Fatalf("buckets of %v and its negative are %d and %d", low, number, bucketOf(-low))
		}
	}
	for n := range maxFleetWindow + 10 {
		if h.Add(float64(n%100)) != (n < maxFleetWindow) {
			t.Fatalf("datapoint %d", n)
		}
	}
}

// TestHistogramSize: a window of a large fleet is stored in little room.
func TestHistogramSize(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	h := &Histogram{}
	for range 100_000 {
		h.Add(math.Round(math.Exp(10 + r.NormFloat64())))
	}
	if size := len(h.Append(nil)); size > 8*1024 {
		t.Errorf("%d buckets take %d bytes", len(h.buckets), size)
	}
}

// FuzzDecodeHistogram: damaged bytes are an error or a histogram as any other.
func FuzzDecodeHistogram(f *testing.F) {
	f.Add([]byte{})
	f.Add(histogramOf(0).Append(nil))
	f.Add(histogramOf(-1.5, 300, 300, 301, 5000, 1e300, -5e-324).Append(nil))
	f.Add(histogramOf(math.MaxFloat64, -math.MaxFloat64).Append(nil))
	f.Fuzz(func(t *testing.T, data []byte) {
		h, err := DecodeHistogram(data)
		if err != nil {
			return
		}
		again, err := DecodeHistogram(h.Append(nil))
		if d := gocmp.Diff(h, again, gocmp.AllowUnexported(Histogram{}, bucket{})); d != "" || err != nil {
			t.Fatal(d, err)
		}
		if len(h.buckets) == 0 {
			return
		}
		if h.Percentile(10000, nil) != h.buckets[len(h.buckets)-1].largest || h.Percentile(0, nil) != h.buckets[0].largest {
			t.Error("p0 and p100 are not the ends")
		}
		h.Merge(again)
		if h.Count() != 2*again.Count() {
			t.Error("merged with itself it is not twice as many")
		}
	})
}

// FuzzHistogram holds percentiles to the exact ones.
func FuzzHistogram(f *testing.F) {
	f.Add([]byte("\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b\x0c\x0d\x0e\x0f\x10\x11\x12\x13\x14\x15\x16\x17\x18"), uint16(9999), uint8(1))
	f.Add(binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint64(nil, math.Float64bits(-300)), math.Float64bits(300)), uint16(0), uint8(0))
	f.Fuzz(func(t *testing.T, data []byte, rank uint16, leave uint8) {
		h := &Histogram{}
		var values []float64
		for ; len(data) >= 8; data = data[8:] {
			v := math.Float64frombits(binary.BigEndian.Uint64(data))
			if small := math.Abs(v) < 2.3e-308 && v != 0; !small && h.Add(v) {
				values = append(values, v)
			}
		}
		if int(leave) >= len(values) || rank > 10000 {
			return
		}
		left := slices.Clone(values[:leave])
		slices.Sort(values)
		checkPercentile(t, values, int64(rank), left, h.Percentile(int32(rank), left))
	})
}
