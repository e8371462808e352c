//go:build linux

package main

import (
	"math"
	"sync"
	"time"
)

// latencies counts durations in buckets that are 2 % wide: an hour of them must
// not show in the memory of a process that is measured.
type latencies struct {
	mu     sync.Mutex // guards the rest
	counts [1600]int  // from 1 us; the last is 15 hours
	n      int
	max    time.Duration
}

var bucketWidth = math.Log(1.02)

func (l *latencies) add(d time.Duration) {
	us := max(1, float64(d)/float64(time.Microsecond))
	i := min(int(math.Log(us)/bucketWidth), len(l.counts)-1)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.counts[i]++
	l.n++
	l.max = max(l.max, d)
}

// quantile returns the middle of the bucket that has it, in milliseconds.
func (l *latencies) quantile(q float64) float64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	rank := int(math.Ceil(q * float64(l.n)))
	for i, n := range l.counts {
		if rank -= n; rank <= 0 && l.n > 0 {
			return math.Exp((float64(i)+0.5)*bucketWidth) / 1000
		}
	}
	return 0
}

func (l *latencies) count() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.n
}

// longest is in milliseconds.
func (l *latencies) longest() float64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return float64(l.max) / float64(time.Millisecond)
}
