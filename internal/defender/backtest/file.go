package backtest

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// MaxHeld is how many bytes are kept in memory of recordings that are not in
// order of time or come from the standard input.
const MaxHeld = 512 << 20

// Extensions are how names of recordings end; in folders, files with others are
// passed over.
var Extensions = []string{".ndjson", ".jsonl", ".ndjson.gz", ".jsonl.gz"}

// IsRecording reports whether a file is a recording by its name.
func IsRecording(name string) bool {
	return slices.ContainsFunc(Extensions, func(e string) bool { return strings.HasSuffix(name, e) })
}

// Recording is what was recorded, in one or several files.
type Recording struct {
	Lines    int64 // those that are empty not counted
	From, To time.Time
	sources  []*source
	held     int64
	most     int64 // of held
}

// source is one file.
type source struct {
	name  string
	lines int64
	// data is the text of what is held in memory, and order where its lines
	// are, by time. Both are nil for a file to be read as it is.
	data  []byte
	order []position
}

type position struct {
	at         int64 // nanoseconds since 1970
	begin, end int64
	number     int64 // of the line
}

// Open finds out what there is in files, folders and, for "-", the standard
// input: each line is looked at for its time. The order of the names matters
// for lines of the same time only.
func Open(ctx context.Context, names []string, stdin io.Reader) (*Recording, error) {
	return open(ctx, names, stdin, MaxHeld)
}

func open(ctx context.Context, names []string, stdin io.Reader, most int64) (*Recording, error) {
	r := &Recording{most: most}
	for _, name := range names {
		files, err := filesIn(name)
		if err != nil {
			return nil, err
		}
		for _, file := range files {
			if err := r.add(ctx, file, stdin); err != nil {
				return nil, err
			}
		}
	}
	if r.Lines == 0 {
		return nil, errors.New("nothing is recorded in " + strings.Join(names, ", "))
	}
	return r, nil
}

// filesIn returns the recordings of a folder, or the name of what is none.
func filesIn(name string) ([]string, error) {
	if name == "-" {
		return []string{name}, nil
	}
	info, err := os.Stat(name)
	if err != nil || !info.IsDir() {
		return []string{name}, err
	}
	var files []string
	err = filepath.WalkDir(name, func(path string, entry fs.DirEntry, err error) error {
		hidden := strings.HasPrefix(entry.Name(), ".") && path != name
		switch {
		case err != nil:
			return err
		case entry.IsDir() && hidden:
			return fs.SkipDir
		case !entry.IsDir() && !hidden && IsRecording(path):
			files = append(files, path)
		}
		return nil
	})
	return files, err
}

// add takes in a file.
func (r *Recording) add(ctx context.Context, name string, stdin io.Reader) error {
	s := &source{name: name}
	if name == "-" {
		if err := r.hold(s, stdin); err != nil {
			return err
		}
	}
	var last int64
	ordered := true
	err := s.scan(func(text []byte, number int64) error {
		at, err := timeOf(text)
		if err != nil {
			return err
		}
		if s.lines++; s.lines%1000 == 0 && ctx.Err() != nil {
			return ctx.Err()
		}
		ordered = ordered && at.UnixNano() >= last
		last = at.UnixNano()
		if r.From.IsZero() || at.Before(r.From) {
			r.From = at
		}
		if at.After(r.To) {
			r.To = at
		}
		return nil
	})
	if err != nil {
		return err
	}
	if !ordered {
		if err := r.sort(s); err != nil {
			return err
		}
	}
	r.Lines += s.lines
	r.sources = append(r.sources, s)
	return nil
}

// hold reads all of a source into memory.
func (r *Recording) hold(s *source, from io.Reader) error {
	room := r.most - r.held
	data, err := io.ReadAll(io.LimitReader(from, room+1))
	if err != nil {
		return fmt.Errorf("%s: %w", s.name, err)
	}
	if int64(len(data)) > room {
		return fmt.Errorf("%s: more than %d MB of recordings that have to be held in memory, because they are not in order of time or come from the standard input", s.name, r.most>>20)
	}
	s.data = data
	r.held += int64(len(data))
	return nil
}

// sort holds the source in memory and puts its lines in order.
func (r *Recording) sort(s *source) error {
	if s.data == nil {
		f, err := s.open()
		if err != nil {
			return err
		}
		defer f.Close()
		if err := r.hold(s, f); err != nil {
			return err
		}
	}
	var begin int64
	order := make([]position, 0, s.lines)
	for number := int64(1); begin < int64(len(s.data)); number++ {
		length := int64(bytes.IndexByte(s.data[begin:], '\n'))
		if length < 0 {
			length = int64(len(s.data)) - begin
		}
		if text := trim(s.data[begin : begin+length]); len(text) > 0 {
			at, err := timeOf(text)
			if err != nil { // it has changed since
				return fmt.Errorf("%s:%d: %w", s.name, number, err)
			}
			first := begin + int64(bytes.Index(s.data[begin:begin+length], text))
			order = append(order, position{at.UnixNano(), first, first + int64(len(text)), number})
		}
		begin += length + 1
	}
	slices.SortStableFunc(order, func(a, b position) int {
		switch {
		case a.at < b.at:
			return -1
		case a.at > b.at:
			return 1
		}
		return 0
	})
	s.order = order
	return nil
}

// open opens what the source is read from.
func (s *source) open() (io.ReadCloser, error) {
	if s.data != nil {
		return io.NopCloser(bytes.NewReader(s.data)), nil
	}
	f, err := os.Open(s.name)
	if err != nil || !strings.HasSuffix(s.name, ".gz") {
		return f, err
	}
	z, err := gzip.NewReader(bufio.NewReader(f))
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("%s: %w", s.name, err)
	}
	return struct {
		io.Reader
		io.Closer
	}{z, f}, nil
}

// scan gives every line that is not empty to f, with its number.
func (s *source) scan(f func(text []byte, number int64) error) error {
	file, err := s.open()
	if err != nil {
		return err
	}
	defer file.Close()
	lines := lineReader{name: s.name, from: bufio.NewReaderSize(file, 64<<10)}
	for {
		text, err := lines.next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if err := f(text, lines.number); err != nil {
			return fmt.Errorf("%s:%d: %w", s.name, lines.number, err)
		}
	}
}

// trim takes blanks and the end of the line away.
func trim(text []byte) []byte { return bytes.Trim(text, " \t\r\n") }

// lineReader reads lines of bounded length.
type lineReader struct {
	name   string
	from   *bufio.Reader
	number int64
	long   []byte
}

// next returns the next line that is not empty, without its end; it is valid
// until the call after. At the end the error is io.EOF.
func (l *lineReader) next() ([]byte, error) {
	for {
		l.number++
		text, err := l.line()
		if text = trim(text); len(text) > 0 && (err == nil || errors.Is(err, io.EOF)) {
			return text, nil
		}
		if errors.Is(err, io.EOF) {
			return nil, io.EOF
		}
		if err != nil {
			return nil, fmt.Errorf("%s:%d: %w", l.name, l.number, err)
		}
	}
}

func (l *lineReader) line() ([]byte, error) {
	text, err := l.from.ReadSlice('\n')
	if !errors.Is(err, bufio.ErrBufferFull) {
		return text, err
	}
	l.long = l.long[:0]
	for errors.Is(err, bufio.ErrBufferFull) && len(l.long) <= MaxLine {
		l.long = append(l.long, text...)
		text, err = l.from.ReadSlice('\n')
	}
	l.long = append(l.long, text...)
	if len(l.long) > MaxLine {
		return nil, fmt.Errorf("longer than %d bytes", MaxLine)
	}
	return l.long, err
}
