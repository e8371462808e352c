package backtest

import (
	"bufio"
	"container/heap"
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"sync"

	"github.com/device-defender/device-defender/internal/defender/detect"
)

// Read gives what was recorded to yield, in order of time. It may be called
// again. The lines are parsed by several goroutines, which are gone when it
// returns. The number of lines that are done goes to progress from time to
// time.
func (r *Recording) Read(ctx context.Context, progress func(lines int64), yield func(*detect.Observation)) error {
	ctx, cancel := context.WithCancel(ctx)
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()
	workers := runtime.GOMAXPROCS(0)
	work := make(chan *batch, workers)
	order := make(chan *batch, 2*workers)
	wg.Go(func() {
		defer close(order)
		defer close(work)
		r.merge(ctx, func(b *batch) bool {
			select {
			case order <- b:
			case <-ctx.Done():
				return false
			}
			select {
			case work <- b:
				return true
			case <-ctx.Done():
				return false
			}
		})
	})
	for range workers {
		wg.Go(func() {
			for b := range work {
				b.parse()
				close(b.parsed)
			}
		})
	}
	var done int64
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case b, more := <-order:
			if !more {
				return ctx.Err()
			}
			select {
			case <-ctx.Done():
				return ctx.Err()
			case <-b.parsed:
			}
			for i := range b.observations {
				yield(&b.observations[i])
			}
			if b.err != nil {
				return b.err
			}
			done += int64(len(b.lines))
			progress(done)
		}
	}
}

// batch is a number of lines on their way.
type batch struct {
	text   []byte
	lines  []batchLine
	failed error // after the lines

	parsed       chan struct{} // closed when what follows is there
	observations []detect.Observation
	err          error
}

type batchLine struct {
	begin, end int
	at         int64
	source     *source
	number     int64
}

// batchSize is how much text a batch has, or one line.
const batchSize = 256 << 10

func newBatch() *batch { return &batch{parsed: make(chan struct{})} }

func (b *batch) add(c *cursor) {
	begin := len(b.text)
	b.text = append(b.text, c.text...)
	b.lines = append(b.lines, batchLine{begin, len(b.text), c.at, c.source, c.number})
}

// parse reads the lines, up to the first that is wrong.
func (b *batch) parse() {
	b.observations = make([]detect.Observation, 0, len(b.lines))
	for _, l := range b.lines {
		o, err := parseLine(b.text[l.begin:l.end])
		if err == nil && o.Time.UnixNano() != l.at {
			err = errors.New("two times")
		}
		if err != nil {
			b.err = fmt.Errorf("%s:%d: %w", l.source.name, l.number, err)
			return
		}
		b.observations = append(b.observations, o)
	}
	b.text, b.err = nil, b.failed
}

// merge puts the lines of all sources in order and into batches, until they
// end, one fails or send reports false.
func (r *Recording) merge(ctx context.Context, send func(*batch) bool) {
	b := newBatch()
	var cursors cursorHeap
	defer func() {
		for _, c := range cursors {
			c.close()
		}
	}()
	for i, s := range r.sources {
		c := &cursor{source: s, rank: i}
		cursors = append(cursors, c)
		if b.failed = c.open(); b.failed == nil {
			b.failed = c.next()
		}
		if b.failed != nil {
			send(b)
			return
		}
	}
	heap.Init(&cursors)
	for len(cursors) > 0 && ctx.Err() == nil {
		c := cursors[0]
		if c.text == nil {
			c.close()
			heap.Pop(&cursors)
			continue
		}
		b.add(c)
		if b.failed = c.next(); b.failed != nil {
			break
		}
		heap.Fix(&cursors, 0)
		if len(b.text) >= batchSize {
			if !send(b) {
				return
			}
			b = newBatch()
		}
	}
	if len(b.lines) > 0 || b.failed != nil {
		send(b)
	}
}

// cursor is the place in a source.
type cursor struct {
	source *source
	rank   int
	file   io.ReadCloser // nil for a source that was sorted
	lines  lineReader
	done   int64

	text   []byte // of the line; nil at the end
	at     int64
	number int64
}

func (c *cursor) open() error {
	if c.source.order != nil {
		return nil
	}
	file, err := c.source.open()
	if err != nil {
		return err
	}
	c.file = file
	c.lines = lineReader{name: c.source.name, from: bufio.NewReaderSize(file, 64<<10)}
	return nil
}

func (c *cursor) close() {
	if c.file != nil {
		c.file.Close()
	}
}

// next goes to the next line. What was added to a file since it was looked at
// is not read.
func (c *cursor) next() error {
	if c.done == c.source.lines {
		c.text = nil
		return nil
	}
	if c.file == nil {
		p := c.source.order[c.done]
		c.text, c.at, c.number = c.source.data[p.begin:p.end], p.at, p.number
		c.done++
		return nil
	}
	text, err := c.lines.next()
	if errors.Is(err, io.EOF) {
		return fmt.Errorf("%s: shorter than it was a moment ago", c.source.name)
	}
	if err != nil {
		return err
	}
	at, err := timeOf(text)
	if err != nil {
		return fmt.Errorf("%s:%d: %w", c.source.name, c.lines.number, err)
	}
	c.done++
	c.text, c.number = text, c.lines.number
	if at.UnixNano() < c.at {
		return fmt.Errorf("%s:%d: out of order, which it was not a moment ago", c.source.name, c.number)
	}
	c.at = at.UnixNano()
	return nil
}

// cursorHeap has the cursor with the earliest line first, and those at their
// end last.
type cursorHeap []*cursor

func (h cursorHeap) Len() int      { return len(h) }
func (h cursorHeap) Swap(i, j int) { h[i], h[j] = h[j], h[i] }
func (h cursorHeap) Less(i, j int) bool {
	a, b := h[i], h[j]
	switch {
	case a.text == nil || b.text == nil:
		return a.text != nil
	case a.at != b.at:
		return a.at < b.at
	}
	return a.rank < b.rank
}
func (h *cursorHeap) Push(x any) { *h = append(*h, x.(*cursor)) }
func (h *cursorHeap) Pop() any {
	old := *h
	last := old[len(old)-1]
	*h = old[:len(old)-1]
	return last
}
