package archive

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/klauspost/compress/zstd"

	"github.com/device-defender/device-defender/internal/defender/store"
)

var header = Header{Data: 1, Program: "0.1.0", Time: time.Date(2026, 11, 27, 1, 2, 3, 0, time.UTC), Without: []string{"secrets"}}

func row(table string, day store.Day, key, value string) store.Row {
	return store.Row{Address: store.Address{Part: store.Part{Table: table, Day: day}, Key: key}, Value: []byte(value)}
}

func rowsOf() []store.Row {
	rows := []store.Row{
		row("plain", 0, "a", ""), row("plain", 0, "\x00\xff", "v"), row("days", 20_780, "k", strings.Repeat("x", 300_000)),
		row(strings.Repeat("t", maxTable), 1, strings.Repeat("k", store.MaxKey), string(make([]byte, store.MaxValue))),
	}
	for i := range 2000 {
		rows = append(rows, row("many", 0, fmt.Sprint("key-", i), fmt.Sprint("value ", i*i)))
	}
	return rows
}

func write(t testing.TB, rows []store.Row) []byte {
	t.Helper()
	var b bytes.Buffer
	w, err := NewWriter(&b, header)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range rows {
		if err := w.Put(r); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestRoundTrip(t *testing.T) {
	for _, rows := range [][]store.Row{nil, rowsOf()} {
		var got []store.Row
		var h Header
		n, err := Read(bytes.NewReader(write(t, rows)), func(is Header) error { h = is; return nil }, func(r store.Row) error {
			r.Value = slices.Clone(r.Value)
			got = append(got, r)
			return nil
		})
		if err != nil || n != uint64(len(rows)) {
			t.Fatal(n, err)
		}
		if diff := cmp.Diff(header, h); diff != "" {
			t.Error(diff)
		}
		for i := range rows {
			if rows[i].Address != got[i].Address || !bytes.Equal(rows[i].Value, got[i].Value) {
				t.Errorf("row %d is %v", i, got[i].Address)
			}
		}
	}
}

// A copy that was cut off anywhere, or changed anywhere, is not taken for one.
func TestDamagedCopies(t *testing.T) {
	whole := write(t, rowsOf()[4:])
	for at := 0; at < len(whole); at += 1 + at/50 {
		if _, err := Read(bytes.NewReader(whole[:at]), nil, nil); err == nil {
			t.Errorf("cut off at %d of %d: no error", at, len(whole))
		}
		changed := bytes.Clone(whole)
		changed[at] ^= 1 << (at % 8)
		// Zstandard has bits that mean nothing.
		var rows []store.Row
		_, err := Read(bytes.NewReader(changed), nil, func(r store.Row) error {
			r.Value = slices.Clone(r.Value)
			rows = append(rows, r)
			return nil
		})
		if err == nil {
			if diff := cmp.Diff(rowsOf()[4:], rows); diff != "" {
				t.Errorf("changed at %d: no error", at)
			}
		}
	}
	for name, test := range map[string]struct {
		text []byte
		want error
	}{
		"nothing":       {nil, ErrCut},
		"text":          {[]byte("hello"), ErrFormat},
		"other zstd":    {compress(t, []byte(strings.Repeat("hello", 100))), ErrFormat},
		"more behind":   {append(bytes.Clone(whole), "more"...), ErrDamaged},
		"two of them":   {append(bytes.Clone(whole), whole...), ErrDamaged},
		"long header":   {compress(t, []byte(magic+"\xff\xff\xff\xff\x7f")), ErrDamaged},
		"no header":     {compress(t, []byte(magic)), ErrCut},
		"header":        {compress(t, []byte(magic+"\x01[")), ErrDamaged},
		"mark":          {compress(t, []byte(magic+"\x02{}\x07")), ErrDamaged},
		"long value":    {compress(t, []byte(magic+"\x02{}\x01\x01t\x00\x01k\xff\xff\xff\xff\xff\xff\x7f")), ErrDamaged},
		"no table":      {compress(t, []byte(magic+"\x02{}\x01\x00")), ErrDamaged},
		"number":        {compress(t, []byte(magic+"\x02{}\x01"+strings.Repeat("\xff", 11))), ErrDamaged},
		"rows missing":  {compress(t, []byte(magic+"\x02{}\x00\x05")), ErrDamaged},
		"no checksum":   {compress(t, []byte(magic+"\x02{}\x00\x00")), ErrCut},
		"bad checksum":  {compress(t, []byte(magic+"\x02{}\x00\x00"+strings.Repeat("s", 32))), ErrDamaged},
		"negative days": {compress(t, []byte(magic+"\x02{}\x01\x01t\x01")), ErrDamaged},
	} {
		if _, err := Read(bytes.NewReader(test.text), nil, nil); !errors.Is(err, test.want) {
			t.Errorf("%s: %v, want %v", name, err, test.want)
		}
	}
}

func compress(t testing.TB, text []byte) []byte {
	t.Helper()
	w, err := zstd.NewWriter(nil)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	return w.EncodeAll(text, nil)
}

// What a reader of rows says ends the reading.
func TestReadStops(t *testing.T) {
	text, stop := write(t, rowsOf()), errors.New("stop")
	if _, err := Read(bytes.NewReader(text), func(Header) error { return stop }, nil); !errors.Is(err, stop) {
		t.Error(err)
	}
	n := 0
	if _, err := Read(bytes.NewReader(text), nil, func(store.Row) error { n++; return stop }); !errors.Is(err, stop) || n != 1 {
		t.Error(n, err)
	}
}

// A disk that is full, or a caller that has gone, is an error.
func TestWriteFails(t *testing.T) {
	w, err := NewWriter(failing{}, header)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); !errors.Is(err, io.ErrClosedPipe) {
		t.Error(err)
	}
}

type failing struct{}

func (failing) Write([]byte) (int, error) { return 0, io.ErrClosedPipe }

func FuzzRead(f *testing.F) {
	for _, text := range []string{
		"", magic, magic + "\x02{}\x00\x00", magic + "\x02{}\x01\x01t\x02\x01k\x01v\x00\x01",
		magic + "\x02{}\x01\x01t\x00\x01k\xff\xff\xff\x03", magic + "\x0a" + `{"data":9}`,
	} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		for _, file := range [][]byte{text, compress(t, text)} {
			_, _ = Read(bytes.NewReader(file), nil, func(r store.Row) error {
				if r.Table == "" || r.Key == "" || len(r.Key) > store.MaxKey || len(r.Value) > store.MaxValue || r.Day < 0 {
					t.Errorf("row %v", r.Address)
				}
				return nil
			})
		}
	})
}
