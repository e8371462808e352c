package service

import (
	"encoding/binary"
	"fmt"
	"iter"

	"github.com/device-defender/device-defender/internal/defender/detect"
	"github.com/device-defender/device-defender/internal/defender/store"
)

// baselines are the histograms of statistical behaviors, as a transaction sees
// them. A behavior has a row for each window and lane: lanes add to their own
// rows only, and never wait for each other. Whoever compares merges the rows.
type baselines struct {
	tx   *store.Tx
	lane string
	own  map[histogramKey]*detect.Histogram // rows of the lane that were added to
	base map[histogramKey]*detect.Base      // what was merged
	err  error                              // the first
}

var _ detect.Baselines = (*baselines)(nil)

// histogramKey is a behavior and a window.
type histogramKey struct {
	detect.BaselineKey
	window int32
}

func newBaselines(tx *store.Tx, lane string) *baselines {
	return &baselines{tx: tx, lane: lane, own: map[histogramKey]*detect.Histogram{}, base: map[histogramKey]*detect.Base{}}
}

// windowKey is the beginning of the rows of a window: the behavior and the
// window, so that keys are in the order of time.
func windowKey(k detect.BaselineKey, window int32) string {
	b := binary.BigEndian.AppendUint64(make([]byte, 0, 16), k.Mark)
	return string(binary.BigEndian.AppendUint32(b, uint32(window)))
}

const windowKeySize = 12

func (b *baselines) row(k histogramKey) (store.Day, string) {
	return store.DayOf(k.Time(k.window)), windowKey(k.BaselineKey, k.window) + b.lane
}

func (b *baselines) Before(key detect.BaselineKey, window int32) *detect.Base {
	at := histogramKey{key, window}
	if base, known := b.base[at]; known {
		return base
	}
	// Scans of this transaction have to see what it has added.
	b.put()
	base := key.Gather(window, b.before(key, window))
	b.base[at] = base
	return base
}

// before yields the rows of windows, from the latest before window on. Mostly the
// first window has enough, and is read without a scan.
func (b *baselines) before(key detect.BaselineKey, window int32) iter.Seq2[int32, *detect.Histogram] {
	return func(yield func(int32, *detect.Histogram) bool) {
		last := window - 1
		prefix := windowKey(key, last)
		keys := make([]string, len(laneNames))
		for i, lane := range laneNames {
			keys[i] = prefix + lane
		}
		rows, err := tableHistograms.GetMany(&b.tx.Reader, store.DayOf(key.Time(last)), keys)
		if err != nil {
			b.fail(err)
			return
		}
		for _, data := range rows {
			if !give(yield, last, data) {
				return
			}
		}
		at := key.Time(last)
		span := store.Range{From: windowKey(key, 0), To: prefix, Reverse: true}
		for day := store.DayOf(at); day > 0 && day >= store.DayOf(at.Add(-baselineReach)); day-- {
			for entry, err := range tableHistograms.Scan(&b.tx.Reader, day, span) {
				if err == nil && len(entry.Key) < windowKeySize {
					err = fmt.Errorf("histogram %q: %w", entry.Key, store.ErrDamaged)
				}
				if err != nil {
					b.fail(err)
					return
				}
				if !give(yield, int32(binary.BigEndian.Uint32([]byte(entry.Key[8:windowKeySize]))), entry.Value) {
					return
				}
			}
		}
	}
}

// give yields a row. One that is damaged is passed over: it is only what others
// are compared with.
func give(yield func(int32, *detect.Histogram) bool, window int32, data []byte) bool {
	h, err := detect.DecodeHistogram(data)
	return err != nil || yield(window, h)
}

func (b *baselines) Add(key detect.BaselineKey, window int32, value float64) {
	k := histogramKey{key, window}
	h := b.own[k]
	if h == nil {
		day, row := b.row(k)
		data, found, err := tableHistograms.Get(&b.tx.Reader, day, row)
		if err != nil {
			b.fail(err)
			return
		}
		if found {
			h, _ = detect.DecodeHistogram(data) // a damaged one is begun again
		}
		if h == nil {
			h = new(detect.Histogram)
		}
		b.own[k] = h
	}
	h.Add(value)
	for at := range b.base { // few
		if at.BaselineKey == key && at.window > window {
			delete(b.base, at)
		}
	}
}

// put writes what was added.
func (b *baselines) put() {
	for k, h := range b.own {
		day, row := b.row(k)
		b.fail(tableHistograms.Put(b.tx, day, row, h.Append(nil)))
	}
}

func (b *baselines) fail(err error) {
	if b.err == nil {
		b.err = err
	}
}

// finish writes what was added. It returns the first error of the transaction.
func (b *baselines) finish() error {
	b.put()
	return b.err
}
