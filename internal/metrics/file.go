package metrics

import (
	"fmt"
	"io"
	"math"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"
	"unicode"

	"github.com/device-defender/device-defender/internal/defender/report"
)

// maxFileSize bounds a metric's file, in bytes: 250 addresses are about 10 KB.
const maxFileSize = 64 << 10

// readTimeout bounds the reading of a metric's file.
const readTimeout = time.Second

// readFile reads a metric's value from a file that another program writes.
func readFile(name string, t report.MetricType) (report.CustomMetric, error) {
	// Without O_NONBLOCK a FIFO would block the agent until somebody writes.
	f, err := os.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return report.CustomMetric{}, err
	}
	defer f.Close()
	if info, err := f.Stat(); err != nil {
		return report.CustomMetric{}, err
	} else if !info.Mode().IsRegular() {
		return report.CustomMetric{}, fmt.Errorf("%s: %v, want a regular file", name, info.Mode().Type())
	}
	// Some of the kernel's files are regular and wait for news all the same.
	// Those that can't wait take no deadline.
	_ = f.SetReadDeadline(time.Now().Add(readTimeout))
	metric, err := parseValue(f, t)
	if err != nil {
		return report.CustomMetric{}, fmt.Errorf("%s: %w", name, err)
	}
	return metric, nil
}

// parseValue reads one number, or a list separated by white space or commas.
func parseValue(r io.Reader, t report.MetricType) (report.CustomMetric, error) {
	text, err := io.ReadAll(io.LimitReader(r, maxFileSize+1))
	if err != nil {
		return report.CustomMetric{}, err
	}
	if len(text) > maxFileSize {
		return report.CustomMetric{}, fmt.Errorf("more than %d bytes", maxFileSize)
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
				break
			}
		}
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
		return 0, fmt.Errorf("%q is not a number", word)
	}
	return v, nil
}
