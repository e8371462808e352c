package chunk

import (
	"bytes"
	"compress/flate"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

func read(t testing.TB, chunk []byte) (all []Sample) {
	t.Helper()
	r, err := NewReader(chunk)
	if err != nil {
		t.Fatal(err)
	}
	for {
		s, ok, err := r.Next()
		if err != nil {
			t.Fatal(err)
		}
		if !ok {
			return all
		}
		all = append(all, s)
	}
}

// same compares floats by their bits: NaN is a value too.
var same = cmp.Options{
	cmp.Comparer(func(a, b float64) bool { return math.Float64bits(a) == math.Float64bits(b) }),
	cmpopts.EquateEmpty(),
}

// sample returns a sample of the values, whose series are named m0, m1, ...
func sample(time int64, values ...Value) Sample {
	s := Sample{Time: time, Values: values}
	for i := range values {
		s.Series = append(s.Series, Series{Metric: fmt.Sprint("m", i)})
	}
	return s
}

func texts(list ...string) Value { return Value{Kind: Texts, Texts: list} }

var tests = map[string][]Sample{
	"none":      {},
	"no values": {{Time: 1}, {Time: 2}},
	"times":     {sample(math.MinInt64), sample(math.MaxInt64), sample(0), sample(-1), sample(300_000), sample(600_000)},
	"numbers": {
		sample(1, Value{Kind: Int, Int: math.MinInt64}, Value{Kind: Float, Float: math.NaN()}),
		sample(2, Value{Kind: Int, Int: math.MaxInt64}, Value{Kind: Float, Float: math.Inf(-1)}),
		sample(3, Value{Kind: Int, Int: 0}, Value{Kind: Float, Float: math.Copysign(0, -1)}),
		sample(4, Value{Kind: Int, Int: 0}, Value{Kind: Float, Float: 0}),
		sample(5, Value{Kind: Int, Int: 7}, Value{Kind: Float, Float: 0.1}),
	},
	"lists keep order and duplicates": {
		sample(1, texts("b", "a", "a", "")),
		sample(2, texts("a", "b", "a", "", "a")),
		sample(3, texts()),
		sample(4, texts("", "", "")),
		sample(5, texts("x", "", "y", "", "z")),
		sample(6, texts("z", "y", "x")),
	},
	"list elements": {
		sample(1, Value{Kind: Ints, Ints: []int64{443, 22, math.MaxInt64, math.MinInt64}}, Value{Kind: Floats, Floats: []float64{1, math.NaN(), math.Copysign(0, -1), 1e300}}),
		sample(2, Value{Kind: Ints, Ints: []int64{22, 8080, 443}}, Value{Kind: Floats, Floats: []float64{math.NaN(), 0, 1}}),
	},
	"addresses are texts": {
		sample(1, Value{Kind: Addresses, Texts: []string{"10.0.0.1", "::1", "2001:db8::1", "10.0.0.0/8", "::ffff:10.0.0.1", "fe80::1%eth0", "010.0.0.1", "2001:DB8::1", "", "nonsense"}}),
		sample(2, Value{Kind: Addresses, Texts: []string{"10.0.0.2", "::1"}}),
	},
	"cut lists": {
		sample(1, Value{Kind: Texts, Texts: []string{"a"}, Cut: true, Listed: 250, Total: 1240}),
		sample(2, Value{Kind: Texts, Texts: []string{"a"}, Cut: true, Listed: 250, Total: 1241}),
		sample(3, texts("a")),
		sample(4, Value{Kind: Texts, Texts: []string{"a"}, Cut: true}),
	},
	"kinds change": {
		sample(1, Value{Kind: Int, Int: 5}), sample(2, Value{Kind: Float, Float: 5}), sample(3, texts("5")), sample(4, Value{Kind: Addresses, Texts: []string{"5"}}), sample(5, Value{Kind: Int, Int: 5}),
	},
	"series come and go": {
		{Time: 1, Series: []Series{{Metric: "aws:all-bytes-in"}, {Metric: "custom"}}, Values: []Value{{Kind: Int, Int: 1}, {Kind: Int, Int: 2}}},
		{Time: 2, Series: []Series{{Metric: "custom"}}, Values: []Value{{Kind: Int, Int: 3}}},
		{Time: 3, Series: []Series{{Metric: "custom"}, {Metric: "custom", Dimension: "d"}, {Metric: "custom", Dimension: "d", NotIn: true}, {}}, Values: []Value{{Kind: Int, Int: 4}, {Kind: Int, Int: 5}, {Kind: Int, Int: 6}, {Kind: Int, Int: 7}}},
		{Time: 4, Series: []Series{{Metric: "aws:all-bytes-in"}}, Values: []Value{{Kind: Int, Int: 8}}},
	},
}

func TestRoundTrip(t *testing.T) {
	for name, samples := range tests {
		t.Run(name, func(t *testing.T) {
			w := NewWriter()
			for i, s := range samples {
				if err := w.Append(s); err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff(samples[:i+1], read(t, w.Bytes()), same); diff != "" {
					t.Fatalf("after %d samples (-want +got):\n%s", i+1, diff)
				}
			}
		})
	}
}

// TestResume: a chunk that is written with interruptions is the same one.
func TestResume(t *testing.T) {
	for name, samples := range tests {
		whole := NewWriter()
		var chunk []byte
		for i, s := range samples {
			if err := whole.Append(s); err != nil {
				t.Fatal(err)
			}
			w, err := Resume(chunk)
			if err != nil {
				t.Fatal(err)
			}
			if w.Len() != i {
				t.Errorf("%s: %d samples, want %d", name, w.Len(), i)
			}
			before := slices.Clone(chunk)
			if err := w.Append(s); err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(before, chunk) {
				t.Errorf("%s: the chunk that was resumed has changed", name)
			}
			chunk = w.Bytes()
		}
		if len(samples) > 0 && !bytes.Equal(chunk, whole.Bytes()) {
			t.Errorf("%s: %x in steps, %x at once", name, chunk, whole.Bytes())
		}
	}
}

// TestFormat: chunks that were written stay readable.
func TestFormat(t *testing.T) {
	w := NewWriter()
	for _, s := range []Sample{
		{Time: 300_000, Series: []Series{{Metric: "aws:all-bytes-out"}, {Metric: "x", Dimension: "d", NotIn: true}}, Values: []Value{{Kind: Int, Int: 1000}, {Kind: Addresses, Texts: []string{"10.0.0.1", "a"}}}},
		{Time: 600_000, Series: []Series{{Metric: "aws:all-bytes-out"}, {Metric: "x", Dimension: "d", NotIn: true}}, Values: []Value{{Kind: Int, Int: 999}, {Kind: Addresses, Texts: []string{"10.0.0.1", "b"}}}},
	} {
		if err := w.Append(s); err != nil {
			t.Fatal(err)
		}
	}
	want := "\x01" +
		"\xc0\xcf\x24" + "\x03" + "\x00\x08" + "\x01\x03\x01x\x01d" + // time, 2 series: known 2, and x with d, NOT_IN
		"\x01\xd0\x0f" + "\x06\x04\x01\x0a\x00\x00\x01\x00\x01a\x00" + // Int 1000, Addresses: 2 new ones, end
		"\x00\x00" + "\x01\x01" + "\x06\x03\x00\x02\x00\x01b\x00" // same delta and series, -1, copy 1 of 0, 1 new one, end
	if got := string(w.Bytes()); got != want {
		t.Errorf("chunk\n%q, want\n%q", got, want)
	}
}

func TestTooLarge(t *testing.T) {
	w := NewWriter()
	if err := w.Append(sample(1, Value{Kind: Ints, Ints: make([]int64, maxElements+1)})); !errors.Is(err, ErrTooLarge) {
		t.Errorf("a list that is too long: %v", err)
	}
	if err := w.Append(sample(1, Value{Kind: Ints, Ints: make([]int64, maxElements)})); err != nil {
		t.Errorf("the longest list: %v", err)
	}
	if err := w.Append(sample(2, Value{Kind: Ints, Ints: make([]int64, maxElements)})); err != nil {
		t.Errorf("the longest list again: %v", err)
	}
	if err := w.Append(sample(3, make([]Value, maxSeries+1)...)); !errors.Is(err, ErrTooLarge) {
		t.Errorf("too many series: %v", err)
	}
	if got := read(t, w.Bytes()); len(got) != 2 {
		t.Errorf("%d samples, want 2", len(got))
	}
}

func TestDamaged(t *testing.T) {
	for _, chunk := range []string{"", "\x00", "\x02", "\x01\x00\x02\x00", "\x01\x00\x03\x00\x08\x05", "\x01\x00\x01\xff"} {
		if _, err := Resume([]byte(chunk)); chunk != "" && !errors.Is(err, ErrDamaged) {
			t.Errorf("%q: %v", chunk, err)
		}
	}
}

// FuzzRead: whatever can be read is written again as something that reads the
// same; and nothing makes it panic or take much memory.
func FuzzRead(f *testing.F) {
	for _, samples := range tests {
		w := NewWriter()
		for _, s := range samples {
			if err := w.Append(s); err != nil {
				f.Fatal(err)
			}
		}
		f.Add(w.Bytes())
	}
	f.Fuzz(func(t *testing.T, chunk []byte) {
		r, err := NewReader(chunk)
		if err != nil {
			return
		}
		w := NewWriter()
		var all []Sample
		for {
			s, ok, err := r.Next()
			if !ok {
				if err != nil && !errors.Is(err, ErrDamaged) {
					t.Error(err)
				}
				break
			}
			if err := w.Append(s); err != nil {
				t.Fatal(err)
			}
			all = append(all, s)
			if len(all) > 1000 {
				return
			}
		}
		if diff := cmp.Diff(all, read(t, w.Bytes()), same); diff != "" {
			t.Errorf("read again (-want +got):\n%s", diff)
		}
	})
}

// FuzzLists encodes lists that differ in any way.
func FuzzLists(f *testing.F) {
	f.Add([]byte("abc"), []byte("bcd"), []byte(""))
	f.Add([]byte("aab"), []byte("abaab"), []byte("bbbb"))
	f.Fuzz(func(t *testing.T, a, b, c []byte) {
		list := func(elements []byte) Value {
			v := Value{Kind: Ints}
			for _, e := range elements {
				v.Ints = append(v.Ints, int64(e))
			}
			return v
		}
		want := []Sample{sample(1, list(a)), sample(2, list(b)), sample(3, list(c))}
		w := NewWriter()
		for _, s := range want {
			if err := w.Append(s); err != nil {
				t.Skip()
			}
		}
		if diff := cmp.Diff(want, read(t, w.Bytes()), same); diff != "" {
			t.Errorf("lists (-want +got):\n%s", diff)
		}
	})
}

// thing makes reports as a gateway does that has the profiles of
// artifacts/profiles: all metrics that they use, device side and cloud side,
// with traffic that varies, a few fixed ports and peers, and a peer that changes
// its address now and then.
type thing struct {
	random *rand.Rand
	time   int64
	peers  []string
}

func newThing(seed uint64, peers int) *thing {
	t := &thing{random: rand.New(rand.NewPCG(seed, 3)), time: 1_795_392_000_000}
	for range peers {
		t.peers = append(t.peers, t.address())
	}
	return t
}

func (t *thing) address() string {
	return fmt.Sprintf("%d.%d.%d.%d", 1+t.random.IntN(223), t.random.IntN(256), t.random.IntN(256), t.random.IntN(256))
}

func (t *thing) report() Sample {
	t.time += 300_000 + int64(t.random.IntN(40)) - 20
	count := func(mean float64) Value {
		return Value{Kind: Int, Int: int64(mean * math.Exp(t.random.NormFloat64()/2))}
	}
	if t.random.IntN(4) == 0 && len(t.peers) > 0 {
		t.peers = slices.Clone(t.peers)
		t.peers[t.random.IntN(len(t.peers))] = t.address()
	}
	var s Sample
	add := func(metric string, v Value) {
		s.Series, s.Values = append(s.Series, Series{Metric: metric}), append(s.Values, v)
	}
	packetsIn, packetsOut := count(4000), count(3000)
	add("aws:all-bytes-in", Value{Kind: Int, Int: packetsIn.Int*700 + int64(t.random.IntN(5000))})
	add("aws:all-bytes-out", Value{Kind: Int, Int: packetsOut.Int*300 + int64(t.random.IntN(5000))})
	add("aws:all-packets-in", packetsIn)
	add("aws:all-packets-out", packetsOut)
	add("aws:num-listening-tcp-ports", Value{Kind: Int, Int: 4})
	add("aws:num-listening-udp-ports", Value{Kind: Int, Int: 2})
	add("aws:num-established-tcp-connections", Value{Kind: Int, Int: int64(len(t.peers) + t.random.IntN(3))})
	add("aws:listening-tcp-ports", Value{Kind: Ints, Ints: []int64{22, 80, 443, 8883}})
	add("aws:listening-udp-ports", Value{Kind: Ints, Ints: []int64{68, 5353}})
	add("aws:destination-ip-addresses", Value{Kind: Addresses, Texts: t.peers})
	add("aws:num-messages-sent", count(60))
	add("aws:num-connection-attempts", Value{Kind: Int, Int: int64(t.random.IntN(20) / 19)})
	add("aws:num-disconnects", Value{Kind: Int})
	add("aws:source-ip-address", Value{Kind: Addresses, Texts: []string{"198.51.100.7"}})
	return s
}

// BenchmarkThingDay is a day of a thing, in chunks of an hour.
func BenchmarkThingDay(b *testing.B) {
	for _, peers := range []int{5, 50, 250} {
		b.Run(fmt.Sprint(peers, "-peers"), func(b *testing.B) {
			t := newThing(1, peers)
			var size, packed, largest int
			b.ReportAllocs()
			for b.Loop() {
				var compressed bytes.Buffer
				size = 0
				for range 24 {
					w := NewWriter()
					for range 12 {
						if err := w.Append(t.report()); err != nil {
							b.Fatal(err)
						}
					}
					size += len(w.Bytes())
					largest = max(largest, len(w.Bytes()))
					if packed == 0 {
						f, _ := flate.NewWriter(&compressed, flate.DefaultCompression)
						f.Write(w.Bytes())
						f.Close()
					}
				}
				if packed == 0 {
					packed = compressed.Len()
				}
			}
			b.ReportMetric(float64(size), "bytes/day")
			b.ReportMetric(float64(packed), "flate-bytes/day")
			b.ReportMetric(float64(largest), "largest-chunk")
		})
	}
}

// BenchmarkAppend is what a report costs: with the writer at hand, and with one
// that is resumed from the bytes of half an hour.
func BenchmarkAppend(b *testing.B) {
	t := newThing(1, 5)
	half := NewWriter()
	for range 6 {
		if err := half.Append(t.report()); err != nil {
			b.Fatal(err)
		}
	}
	next := t.report()
	b.Run("resume", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			w, err := Resume(half.Bytes())
			if err != nil {
				b.Fatal(err)
			}
			if err := w.Append(next); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("kept", func(b *testing.B) {
		b.ReportAllocs()
		w := NewWriter()
		for b.Loop() {
			if w.Len() == 12 {
				w = NewWriter()
			}
			if err := w.Append(next); err != nil {
				b.Fatal(err)
			}
		}
	})
}
