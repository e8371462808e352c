package service

import (
	"bytes"
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/device-defender/device-defender/internal/defender/store"
)

var rowTests = map[string]thingRow{
	"nothing": {},
	"all": {
		last: lastReport{
			id: 1<<53 - 1, digest: 1<<64 - 1, time: start, clock: start.Add(-time.Hour), every: 5 * time.Minute, day: store.DayOf(start), bytes: 16 << 20,
		},
		due: start.Add(48 * time.Hour), chunkTime: start, chunks: 255, chunk: []byte("chunk"), state: []byte("state"),
	},
	"an id below zero": {last: lastReport{id: -1, time: start}, state: []byte{0}},
}

func TestRow(t *testing.T) {
	for name, want := range rowTests {
		data, err := encodeRow(want)
		if err != nil {
			t.Fatal(err)
		}
		got, err := decodeRow(data)
		if err != nil {
			t.Fatal(name, err)
		}
		if diff := cmp.Diff(want, got, cmp.AllowUnexported(thingRow{}, lastReport{}), cmp.Comparer(bytes.Equal)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
		clear(data) // a row keeps nothing of what it was read from
		if !bytes.Equal(got.chunk, want.chunk) || !bytes.Equal(got.state, want.state) {
			t.Errorf("%s: the row has changed with its bytes", name)
		}
	}
}

// Whatever is on the disk, it is a row or damaged.
func FuzzRow(f *testing.F) {
	for _, row := range rowTests {
		data, err := encodeRow(row)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
		f.Add(data[:len(data)-1])
		f.Add(data[:11])
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		row, err := decodeRow(data)
		if err != nil {
			if !errors.Is(err, store.ErrDamaged) {
				t.Errorf("%v, want ErrDamaged", err)
			}
			return
		}
		again, err := encodeRow(row)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := decodeRow(again); err != nil {
			t.Errorf("a row that was read and written: %v", err)
		}
	})
}
