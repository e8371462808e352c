// Package archive is a copy of a store as one stream: compressed, and checked as a
// whole.
//
// It is a stream of zstd. In it are a line that names the format, a header, rows
// and an end:
//
//	"defenderctl backup 1\n"
//	uvarint length, header as JSON
//	1, uvarint length, table, varint day, uvarint length, key, uvarint length, value
//	...
//	0, uvarint number of rows
//	SHA-256 of all before, 32 bytes
//
// A stream that was cut off has no end, whatever it was cut at.
package archive

import (
	"bufio"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"math"
	"time"

	"github.com/klauspost/compress/zstd"

	"github.com/device-defender/device-defender/internal/defender/store"
)

const (
	magic     = "defenderctl backup 1\n"
	rowMark   = 1
	endMark   = 0
	maxHeader = 64 << 10
	maxTable  = 40 // as package store takes them
	maxWindow = 8 << 20
)

// Errors of reading.
var (
	ErrFormat  = errors.New("not a backup of defenderctl")
	ErrDamaged = errors.New("the backup is damaged")
	ErrCut     = errors.New("the backup is cut off")
)

// Header says what a copy is of.
type Header struct {
	Data    int       `json:"data"`              // version of the rows' form
	Program string    `json:"program"`           // version of what wrote it
	Time    time.Time `json:"time"`              // the moment that the rows are of
	Without []string  `json:"without,omitempty"` // tables that were left out
}

// Writer writes a copy.
type Writer struct {
	zstd   *zstd.Encoder
	out    io.Writer // to zstd and sum
	sum    hash.Hash
	buffer []byte
	rows   uint64
}

// NewWriter begins a copy.
func NewWriter(w io.Writer, header Header) (*Writer, error) {
	encoder, err := zstd.NewWriter(w, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderConcurrency(1), zstd.WithWindowSize(1<<20))
	if err != nil {
		return nil, err
	}
	a := &Writer{zstd: encoder, sum: sha256.New()}
	a.out = io.MultiWriter(a.zstd, a.sum)
	text, err := json.Marshal(header)
	if err != nil {
		return nil, err
	}
	b := binary.AppendUvarint([]byte(magic), uint64(len(text)))
	_, err = a.out.Write(append(b, text...))
	return a, err
}

// Put adds a row.
func (a *Writer) Put(row store.Row) error {
	b := a.buffer[:0]
	b = append(b, rowMark)
	b = append(binary.AppendUvarint(b, uint64(len(row.Table))), row.Table...)
	b = binary.AppendVarint(b, int64(row.Day))
	b = append(binary.AppendUvarint(b, uint64(len(row.Key))), row.Key...)
	b = append(binary.AppendUvarint(b, uint64(len(row.Value))), row.Value...)
	a.buffer = b
	a.rows++
	_, err := a.out.Write(b)
	return err
}

// Close writes the end. Without it the copy is not one.
func (a *Writer) Close() error {
	if _, err := a.out.Write(binary.AppendUvarint([]byte{endMark}, a.rows)); err != nil {
		return err
	}
	if _, err := a.zstd.Write(a.sum.Sum(nil)); err != nil {
		return err
	}
	return a.zstd.Close()
}

// Read reads a copy. It calls header and then row with each row; both may be nil.
// What it calls row with is known to be right only when it has returned nil: read
// twice to know before.
func Read(r io.Reader, header func(Header) error, row func(store.Row) error) (rows uint64, err error) {
	decoder, err := zstd.NewReader(r, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(maxWindow), zstd.WithDecoderLowmem(true))
	if err != nil {
		return 0, err
	}
	defer decoder.Close()
	a := &reader{in: bufio.NewReaderSize(decoder, 64<<10), sum: sha256.New()}
	switch start, err := a.bytes(uint64(len(magic)), uint64(len(magic))); {
	case errors.Is(err, ErrCut):
		return 0, err
	case err != nil || string(start) != magic:
		return 0, ErrFormat
	}
	h, err := a.header()
	if err == nil && header != nil {
		err = header(h)
	}
	for err == nil {
		var mark [1]byte
		if err = a.full(mark[:]); err != nil {
			break
		}
		switch mark[0] {
		case rowMark:
			var next store.Row
			if next, err = a.row(); err == nil {
				rows++
				if row != nil {
					err = row(next)
				}
			}
		case endMark:
			return rows, a.end(rows)
		default:
			err = fmt.Errorf("%w: mark %d", ErrDamaged, mark[0])
		}
	}
	return rows, err
}

// reader reads what is in the stream, and sums it up.
type reader struct {
	in     *bufio.Reader
	sum    hash.Hash
	key    []byte
	value  []byte
	buffer [1]byte
}

// ReadByte makes it an io.ByteReader for numbers.
func (a *reader) ReadByte() (byte, error) {
	err := a.full(a.buffer[:])
	return a.buffer[0], err
}

func (a *reader) full(b []byte) error {
	_, err := io.ReadFull(a.in, b)
	switch {
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return ErrCut
	case err != nil:
		return fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	a.sum.Write(b)
	return nil
}

func (a *reader) uvarint() (uint64, error) {
	n, err := binary.ReadUvarint(a)
	if err != nil && !errors.Is(err, ErrCut) && !errors.Is(err, ErrDamaged) {
		err = fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	return n, err
}

// bytes reads n bytes, and no more than this many are taken.
func (a *reader) bytes(n, most uint64) ([]byte, error) {
	return a.into(nil, n, most)
}

func (a *reader) into(b []byte, n, most uint64) ([]byte, error) {
	if n > most {
		return nil, fmt.Errorf("%w: length %d, want at most %d", ErrDamaged, n, most)
	}
	if uint64(cap(b)) < n {
		b = make([]byte, n)
	}
	b = b[:n]
	return b, a.full(b)
}

func (a *reader) header() (h Header, err error) {
	n, err := a.uvarint()
	if err != nil {
		return h, err
	}
	text, err := a.bytes(n, maxHeader)
	if err != nil {
		return h, err
	}
	if err := json.Unmarshal(text, &h); err != nil {
		return h, fmt.Errorf("%w: header: %w", ErrDamaged, err)
	}
	return h, nil
}

func (a *reader) row() (row store.Row, err error) {
	field := func(b *[]byte, least, most uint64) {
		if err != nil {
			return
		}
		var n uint64
		if n, err = a.uvarint(); err == nil && n < least {
			err = fmt.Errorf("%w: length %d, want at least %d", ErrDamaged, n, least)
		}
		if err == nil {
			*b, err = a.into(*b, n, most)
		}
	}
	var table []byte
	field(&table, 1, maxTable)
	if err == nil {
		var day int64
		day, err = binary.ReadVarint(a)
		if err == nil && (day < 0 || day > math.MaxInt32) {
			err = fmt.Errorf("%w: day %d", ErrDamaged, day)
		}
		row.Day = store.Day(day)
	}
	field(&a.key, 1, store.MaxKey)
	field(&a.value, 0, store.MaxValue)
	if err != nil {
		if !errors.Is(err, ErrCut) && !errors.Is(err, ErrDamaged) {
			err = fmt.Errorf("%w: %w", ErrDamaged, err)
		}
		return row, err
	}
	row.Table, row.Key, row.Value = string(table), string(a.key), a.value
	return row, nil
}

func (a *reader) end(rows uint64) error {
	n, err := a.uvarint()
	if err != nil {
		return err
	}
	if n != rows {
		return fmt.Errorf("%w: %d rows, want %d", ErrDamaged, rows, n)
	}
	want := a.sum.Sum(nil)
	var got [sha256.Size]byte
	if err := a.full(got[:]); err != nil {
		return err
	}
	if string(got[:]) != string(want) {
		return fmt.Errorf("%w: its checksum is not right", ErrDamaged)
	}
	// The decoder checks the end of its stream, too.
	if _, err := a.in.ReadByte(); !errors.Is(err, io.EOF) {
		return fmt.Errorf("%w: there is more behind its end", ErrDamaged)
	}
	return nil
}
