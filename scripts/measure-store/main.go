//go:build linux

// Command measure-store puts the load of a fleet on storage engines, one after
// the other on the same disk, and prints what it costs: bytes written to the
// disk per report, commit times while a day is dropped, space per thing and
// day, time to open, memory. Linux only: the kernel counts the bytes.
//
// The figures in the package comment of internal/defender/store/pebble come
// from it.
package main

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"github.com/device-defender/device-defender/internal/defender/store/chunk"
)

const (
	reportsPerDay = 288
	reportsPerH   = 12
	batch         = 250 // reports per transaction while it is filled
)

var (
	folder  = flag.String("dir", os.TempDir(), "folder for the databases")
	things  = flag.Int("things", 1000, "things")
	days    = flag.Int("days", 2, "days to fill")
	single  = flag.Int("single", 20_000, "reports in transactions of their own, to measure")
	open    = flag.Int("open", 0, "instead: n things with their states, and open the database")
	drop    = flag.Int("drop", 0, "instead: two days of chunks of n things, and drop the first")
	plain   = flag.Bool("plain", false, "values as JSON, a row per report, instead of chunks of an hour")
	engines = flag.String("engines", "bbolt,bbolt-days,pebble", "which engines, in this order")
)

// row is a row to write: of a day, or of a table without days (day 0).
type row struct {
	day        int
	key, value []byte
}

type engine interface {
	write(rows []row) error // one transaction, durable
	drop(day int) error
	close() error
}

func main() {
	flag.Parse()
	for name := range strings.SplitSeq(*engines, ",") {
		if err := measure(name); err != nil {
			fmt.Fprintln(os.Stderr, "measure-store:", name, err)
			os.Exit(1)
		}
	}
}

func measure(name string) error {
	dir, err := os.MkdirTemp(*folder, "measure-store")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	e, err := openEngine(name, dir)
	if err != nil {
		return err
	}
	f := newFleet(*things)
	if *open > 0 {
		return measureOpen(name, dir, e, f)
	}
	if *drop > 0 {
		return measureDrop(name, dir, e, f)
	}
	shape := "chunks"
	if *plain {
		shape = "JSON rows"
	}
	fmt.Printf("%s, %s, %d things, %d days\n", name, shape, *things, *days)

	var start amount
	began := time.Now()
	for day := 1; day <= *days; day++ {
		start = written() // of the last day, when tables are full
		if err := f.fill(e, day); err != nil {
			return err
		}
	}
	say("bytes written per report, %d per transaction", batch)("%s", start.per(*things*reportsPerDay))
	say("reports/s while filled")("%.0f", float64(*things*reportsPerDay**days)/time.Since(began).Seconds())
	settle()
	full := size(dir)
	say("disk per thing and day, with states")("%.1f KB", float64(full)/float64(*things**days)/1000)

	one := func(what string) error {
		start := written()
		times, err := f.singles(e, *single)
		say("bytes written per report, 1 per transaction, %s", what)("%s; commit p50 %s, max %s", start.per(*single), median(times), slices.Max(times))
		return err
	}
	if err := one("before a drop"); err != nil {
		return err
	}
	if err := dropWhileWriting(e, f); err != nil {
		return err
	}
	if err := one("after it"); err != nil {
		return err
	}
	if err := e.close(); err != nil {
		return err
	}
	return reopen(name, dir)
}

// reopen opens the database without what the page cache of the process holds.
func reopen(name, dir string) error {
	debug.FreeOSMemory()
	before := resident()
	began := time.Now()
	e, err := openEngine(name, dir)
	if err != nil {
		return err
	}
	say("open")("%s", time.Since(began).Round(time.Millisecond))
	say("resident memory of it")("%d MB", (resident()-before)>>20)
	fmt.Println()
	return e.close()
}

// dropWhileWriting drops the first day while reports are written to the last.
func dropWhileWriting(e engine, f *fleet) (err error) {
	done := make(chan error, 1)
	var took time.Duration
	go func() {
		began := time.Now()
		err := e.drop(1)
		took = time.Since(began)
		done <- err
	}()
	times, err := f.singles(e, 2000)
	if err := errors.Join(err, <-done); err != nil {
		return err
	}
	say("drop of a day")("%s", took.Round(10*time.Microsecond))
	say("longest of 2,000 commits meanwhile")("%s", slices.Max(times))
	return nil
}

func measureDrop(name, dir string, e engine, f *fleet) error {
	fmt.Printf("%s, two days of chunks of %d things\n", name, *drop)
	chunks := f.chunks(1000)
	var rows []row
	began := time.Now()
	for day := 1; day <= 2; day++ {
		for hour := range 24 {
			for i, thing := range f.random.Perm(*drop) {
				rows = append(rows, row{day: day, key: fmt.Appendf(nil, "thing-%07d\x00%02d", thing, hour), value: chunks[f.random.IntN(len(chunks))]})
				if len(rows) == 2000 || i == *drop-1 {
					if err := e.write(rows); err != nil {
						return err
					}
					rows = rows[:0]
				}
			}
		}
	}
	say("filled")("%s", time.Since(began).Round(time.Second))
	settle()
	full := size(dir)
	say("disk per thing and day, without states")("%.1f KB", float64(full)/float64(*drop*2)/1000)
	if _, err := f.singles(e, 1000); err != nil { // a first drop would have its warm-up
		return err
	}
	if err := dropWhileWriting(e, f); err != nil {
		return err
	}
	time.Sleep(12 * time.Second) // pebble flushes a range delete after 10 s
	settle()
	say("disk after it, of what it was")("%.0f %%", float64(size(dir))/float64(full)*100)
	if err := e.close(); err != nil {
		return err
	}
	return reopen(name, dir)
}

func measureOpen(name, dir string, e engine, f *fleet) error {
	fmt.Printf("%s, %d things with their states\n", name, *open)
	began := time.Now()
	var rows []row
	for i, thing := range f.random.Perm(*open) {
		rows = append(rows, row{key: fmt.Appendf(nil, "thing-%07d", thing), value: f.state(600)})
		if len(rows) == 2000 || i == *open-1 {
			if err := e.write(rows); err != nil {
				return err
			}
			rows = rows[:0]
		}
	}
	say("filled")("%s", time.Since(began).Round(time.Millisecond))
	settle()
	const reports = 400_000
	start := written()
	began = time.Now()
	var times []time.Duration
	for i := range reports {
		rows = append(rows, row{key: fmt.Appendf(nil, "thing-%07d", f.random.IntN(*open)), value: f.state(600)})
		if (i+1)%batch == 0 {
			one := time.Now()
			if err := e.write(rows); err != nil {
				return err
			}
			times = append(times, time.Since(one).Round(10*time.Microsecond))
			rows = rows[:0]
		}
	}
	took := time.Since(began)
	settle()
	say("states written by %d reports, %d per transaction", reports, batch)("%s per report; %.0f reports/s; commit p50 %s, p99 %s", start.per(reports), reports/took.Seconds(), median(times), times[len(times)*99/100])
	say("resident memory")("%d MB", resident()>>20)
	if err := e.close(); err != nil {
		return err
	}
	say("disk")("%d MB", size(dir)>>20)
	return reopen(name, dir)
}

// fleet makes reports of things.
type fleet struct {
	random *rand.Rand
	open   []*chunk.Writer // of each thing
	names  []int           // neighbours in time are none in the order of keys
	peers  [][]string
	time   int64
	next   int // the thing that reports next
	noise  *rand.ChaCha8
}

func newFleet(n int) *fleet {
	f := &fleet{noise: rand.NewChaCha8([32]byte{}), random: rand.New(rand.NewPCG(1, 2)), open: make([]*chunk.Writer, n), peers: make([][]string, n), time: 1_795_392_000_000}
	f.names = f.random.Perm(n)
	for i := range n {
		f.open[i] = chunk.NewWriter()
		for range 5 {
			f.peers[i] = append(f.peers[i], f.address())
		}
	}
	return f
}

func (f *fleet) address() string {
	return fmt.Sprintf("%d.%d.%d.%d", 1+f.random.IntN(223), f.random.IntN(256), f.random.IntN(256), f.random.IntN(256))
}

// state is the state of a thing with 10 behaviors, which cannot be compressed.
func (f *fleet) state(n int) []byte {
	state := make([]byte, n)
	f.noise.Read(state)
	return state
}

// chunks makes chunks of an hour.
func (f *fleet) chunks(n int) (all [][]byte) {
	for len(all) < n {
		for _, r := range f.report(nil, 1) {
			if r.day > 0 {
				all = append(all, r.value)
			}
		}
	}
	return all
}

var counts = []string{
	"aws:all-bytes-in", "aws:all-bytes-out", "aws:all-packets-in", "aws:all-packets-out", "aws:num-established-tcp-connections",
	"aws:num-listening-tcp-ports", "aws:num-listening-udp-ports",
}

// report appends the rows of the report of the next thing.
func (f *fleet) report(rows []row, day int) []row {
	i := f.next
	if f.next++; f.next == len(f.open) {
		f.next, f.time = 0, f.time+300_000
	}
	if f.random.IntN(4) == 0 {
		f.peers[i] = slices.Clone(f.peers[i])
		f.peers[i][f.random.IntN(5)] = f.address()
	}
	s := chunk.Sample{Time: f.time}
	add := func(metric string, v chunk.Value) {
		s.Series, s.Values = append(s.Series, chunk.Series{Metric: metric}), append(s.Values, v)
	}
	for _, metric := range counts {
		add(metric, chunk.Value{Kind: chunk.Int, Int: int64(100_000 * math.Exp(f.random.NormFloat64()))})
	}
	add("aws:listening-tcp-ports", chunk.Value{Kind: chunk.Ints, Ints: []int64{22, 80, 443, 8883}})
	add("aws:listening-udp-ports", chunk.Value{Kind: chunk.Ints, Ints: []int64{68, 5353}})
	add("aws:destination-ip-addresses", chunk.Value{Kind: chunk.Addresses, Texts: f.peers[i]})
	key := fmt.Appendf(nil, "thing-%07d", f.names[i])
	at := fmt.Appendf(slices.Clone(key), "\x00%013d", f.time)
	if *plain {
		var values []map[string]any
		for k := range s.Series {
			v := &s.Values[k]
			values = append(values, map[string]any{"m": s.Series[k].Metric, "v": map[chunk.Kind]any{
				chunk.Int: map[string]any{"count": v.Int}, chunk.Ints: map[string]any{"ports": v.Ints}, chunk.Addresses: map[string]any{"cidrs": v.Texts},
			}[v.Kind]})
		}
		text, err := json.Marshal(values)
		if err != nil {
			panic(err)
		}
		return append(rows, row{key: key, value: f.state(300)}, row{day: day, key: at, value: text})
	}
	w := f.open[i]
	if err := w.Append(s); err != nil {
		panic(err)
	}
	if w.Len() == reportsPerH {
		rows = append(rows, row{day: day, key: at, value: w.Bytes()})
		w = chunk.NewWriter()
		f.open[i] = w
	}
	return append(rows, row{key: key, value: append(f.state(300), w.Bytes()...)})
}

func (f *fleet) fill(e engine, day int) error {
	var rows []row
	n := len(f.open) * reportsPerDay
	for i := range n {
		rows = f.report(rows, day)
		if (i+1)%batch == 0 || i == n-1 {
			if err := e.write(rows); err != nil {
				return err
			}
			rows = rows[:0]
		}
	}
	return nil
}

// singles writes reports in transactions of their own, for the last day.
func (f *fleet) singles(e engine, n int) (times []time.Duration, err error) {
	for range n {
		rows := f.report(nil, *days)
		began := time.Now()
		if err := e.write(rows); err != nil {
			return times, err
		}
		times = append(times, time.Since(began).Round(10*time.Microsecond))
	}
	return times, nil
}

func median(times []time.Duration) time.Duration {
	slices.Sort(times)
	return times[len(times)/2]
}

func say(format string, args ...any) func(string, ...any) {
	fmt.Printf("  %-58s", fmt.Sprintf(format, args...))
	return func(format string, args ...any) { fmt.Printf(format+"\n", args...) }
}

// settle waits until the engine has stopped compacting.
func settle() {
	for last := (amount{}); ; {
		now := written()
		if now == last {
			return
		}
		last = now
		time.Sleep(2 * time.Second)
	}
}

// amount is what was written: pages that were made dirty, and bytes that were
// handed to the kernel. What the disk gets is between the two. The kernel counts
// whole folios as dirty, and they can be larger than a page.
type amount struct{ dirty, handed int64 }

// written returns what this process has written since its start.
func written() amount {
	return amount{field("/proc/self/io", "write_bytes:"), field("/proc/self/io", "wchar:")}
}

// per says how much was written since, for each of n.
func (a amount) per(n int) string {
	now := written()
	return fmt.Sprintf("%.0f dirty, %.0f handed over", float64(now.dirty-a.dirty)/float64(n), float64(now.handed-a.handed)/float64(n))
}

func resident() int64 { return field("/proc/self/status", "VmRSS:") << 10 }

func field(file, name string) (n int64) {
	data, err := os.ReadFile(file)
	if err != nil {
		panic(err)
	}
	_, rest, _ := strings.Cut(string(data), name)
	fmt.Sscan(rest, &n)
	return n
}

// size returns what the files take on the disk.
func size(dir string) (n int64) {
	filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if info, err := d.Info(); err == nil {
			n += blocks(info)
		}
		return nil
	})
	return n
}
