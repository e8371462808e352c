package metrics

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"math"
	"os"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
	"unicode"

	"github.com/device-defender/device-defender/internal/defender/report"
)

const (
	// maxFileSize bounds a metric's file, in bytes: 250 addresses are about
	// 10 KB.
	maxFileSize = 64 << 10
	// readTimeout bounds how long a sample waits for all files together.
	readTimeout = time.Second
	// maxPending bounds how many reads may be under way: each is a goroutine,
	// and a thread if the kernel does not answer.
	maxPending = 64
)

// Files reads files that other programs write. A file on a mount that does not
// answer blocks who reads it for as long as it likes, so each is read in a
// goroutine of its own, and not again before that ends. Files lives as long as
// the process and is safe for concurrent use.
type Files struct {
	open func(name string) (io.ReadCloser, error)

	mu      sync.Mutex
	pending map[string]bool
}

// NewFiles returns a reader of files.
func NewFiles() *Files { return &Files{open: openFile, pending: make(map[string]bool)} }

// content is what was read of a file.
type content struct {
	text []byte
	err  error
}

// start begins to read a file. The channel receives the content.
func (f *Files) start(name string) <-chan content {
	result := make(chan content, 1)
	if err := f.claim(name); err != nil {
		result <- content{err: err}
		return result
	}
	go func() {
		text, err := f.load(name)
		f.mu.Lock()
		delete(f.pending, name)
		f.mu.Unlock()
		result <- content{text, err}
	}()
	return result
}

func (f *Files) claim(name string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	switch {
	case f.pending[name]:
		return fmt.Errorf("%s: an earlier read has not ended yet: does its file system answer?", name)
	case len(f.pending) >= maxPending:
		return fmt.Errorf("%s: not read, as %d reads of files have not ended yet", name, len(f.pending))
	}
	f.pending[name] = true
	return nil
}

func (f *Files) load(name string) ([]byte, error) {
	file, err := f.open(name)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	text, err := io.ReadAll(io.LimitReader(file, maxFileSize+1))
	if err == nil && len(text) > maxFileSize {
		err = fmt.Errorf("%s: more than %d bytes", name, maxFileSize)
	}
	return text, err
}

// openFile opens a file that may be read for a metric.
func openFile(name string) (io.ReadCloser, error) {
	// Without O_NONBLOCK a FIFO would block until somebody writes.
	f, err := os.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	if err := readable(f); err != nil {
		f.Close()
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	// Some of the kernel's files are regular and wait for news all the same.
	// Those that can't wait take no deadline.
	_ = f.SetReadDeadline(time.Now().Add(readTimeout))
	return f, nil
}

func readable(f *os.File) error {
	info, err := f.Stat()
	switch {
	case err != nil:
		return err
	case !info.Mode().IsRegular():
		return fmt.Errorf("%v, want a regular file", info.Mode().Type())
	}
	return refuseProcess(f)
}

// fileReads are the files of one sample.
type fileReads struct {
	started map[string]<-chan content
	ended   map[string]content
	ctx     context.Context // until when they are waited for
}

// startReads begins to read the files of the sources, each once.
func (f *Files) startReads(ctx context.Context, sources map[string]Source) *fileReads {
	r := &fileReads{started: make(map[string]<-chan content), ended: make(map[string]content), ctx: ctx}
	for _, s := range sources {
		if _, started := r.started[s.File]; s.Builtin == "" && !started {
			r.started[s.File] = f.start(s.File)
		}
	}
	return r
}

// get waits for a file.
func (r *fileReads) get(name string) content {
	c, ended := r.ended[name]
	if ended {
		return c
	}
	select {
	case c = <-r.started[name]:
	case <-r.ctx.Done():
		select {
		case c = <-r.started[name]: // in time, but looked for late
		default:
			c.err = fmt.Errorf("%s: no answer within %v: does its file system answer?", name, readTimeout)
		}
	}
	r.ended[name] = c
	return c
}

// metric reads a metric's value from its file.
func (r *fileReads) metric(s Source) (report.CustomMetric, error) {
	c := r.get(s.File)
	if c.err != nil {
		return report.CustomMetric{}, c.err
	}
	metric, err := parseValue(bytes.NewReader(c.text), s.Type)
	if err != nil {
		return report.CustomMetric{}, fmt.Errorf("%s: %w", s.File, err)
	}
	return metric, nil
}

// parseValue reads one number, or a list separated by white space or commas.
// Its errors say where something is and how long, never what: the file may hold
// a secret, and errors are logged.
func parseValue(r io.Reader, t report.MetricType) (report.CustomMetric, error) {
	text, err := io.ReadAll(io.LimitReader(r, maxFileSize))
	if err != nil {
		return report.CustomMetric{}, err
	}
	words := strings.FieldsFunc(string(text), func(r rune) bool { return r == ',' || unicode.IsSpace(r) })
	metric := report.CustomMetric{Type: t}
	switch t {
	case report.Number:
		if len(words) != 1 {
			return metric, fmt.Errorf("%d values, want one number", len(words))
		}
		metric.Number, err = parseNumber(words[0])
	case report.NumberList:
		metric.Numbers = make([]float64, len(words))
		for i, w := range words {
			if metric.Numbers[i], err = parseNumber(w); err != nil {
				metric.Numbers[i] = math.NaN() // which costs this item only
			}
		}
		return metric, nil
	case report.IPList:
		metric.Strings = parseIPs(words)
	case report.StringList:
		metric.Strings = words
	}
	return metric, err
}

func parseNumber(word string) (float64, error) {
	v, err := strconv.ParseFloat(word, 64)
	if err != nil || math.IsNaN(v) || math.IsInf(v, 0) || strings.ContainsAny(word, "xX_") {
		return 0, fmt.Errorf("%d bytes that are not a finite number", len(word))
	}
	return v, nil
}
