package hostproc

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"runtime"
	"strings"
)

// guard calls a function of package procfs that reads file. procfs indexes the
// columns of some tables without looking at their number, so a short row
// panics: guard returns that as an error too. All errors name file, which
// procfs may know under another name or not mention.
func guard[T any](file string, read func() (T, error)) (value T, err error) {
	defer func() {
		if r := recover(); r != nil {
			fault, ok := r.(runtime.Error)
			if !ok {
				panic(r)
			}
			err = fmt.Errorf("parsing %s: malformed row: %w", file, fault)
		}
	}()
	value, err = read()
	if path, ok := errors.AsType[*fs.PathError](err); ok {
		return value, &fs.PathError{Op: path.Op, Path: file, Err: path.Err}
	}
	if err != nil {
		return value, fmt.Errorf("parsing %s: %w", file, err)
	}
	return value, nil
}

// parseFile calls one of our own parsers on a file. The value is the parser's
// also if there is an error: that may be about a part of the file.
func parseFile[T any](file string, parse func(io.Reader) (T, error)) (value T, err error) {
	f, err := os.Open(file)
	if err != nil {
		return value, err
	}
	defer f.Close()
	if value, err = parse(f); err != nil {
		err = fmt.Errorf("parsing %s: %w", file, err)
	}
	return value, err
}

// maxLine bounds the lines that our own parsers take. The longest of the
// kernel's, a leaf of fib_trie 33 levels deep, has about 150 bytes.
const maxLine = 4096

func newLineScanner(r io.Reader) *bufio.Scanner {
	lines := bufio.NewScanner(r)
	lines.Buffer(make([]byte, maxLine), maxLine)
	return lines
}

// firstLine returns the only line of a file that has one, as its fields.
func firstLine(r io.Reader) ([]string, error) {
	lines := newLineScanner(r)
	lines.Scan()
	return strings.Fields(lines.Text()), lines.Err()
}

// blank reports whether a line is empty but for white space and zeros, which
// some kernels and drivers leave at the end of a file.
func blank(line []byte) bool { return len(bytes.Trim(line, " \t\r\n\x00")) == 0 }
