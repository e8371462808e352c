package outbox

import (
	"container/heap"
	"slices"
	"strconv"
	"time"
)

// lane is the way to one target.
type lane struct {
	target string
	flying int
	swept  time.Time
	turn   bool

	// read are alerts that were read and not looked at, in order; last is the
	// number of the last one that was read.
	read []Alert
	last uint64
	more bool // the store may have more

	heads   map[string]*head // by violation
	waiting queue            // heads that were tried, by due time
	done    []*head          // to be deleted from the store

	failures    int       // in a row
	pausedUntil time.Time // when they are many
}

// head is the first alert of a violation that is not delivered.
type head struct {
	violation string
	number    uint64
	flying    bool // or delivered and still in the store
	tries     int
	due       time.Time
	behind    []uint64 // later alerts of the violation
}

func newLane(target string) *lane { return &lane{target: target, heads: map[string]*head{}} }

// mayStart reports whether one more delivery may be under way.
func (l *lane) mayStart(now time.Time) bool {
	if l.failures < maxFailures {
		return l.flying < maxOfTarget
	}
	return l.flying == 0 && !now.Before(l.pausedUntil)
}

// fresh returns an alert that has not been tried yet and that nothing is ahead
// of.
func (l *lane) fresh(store Store, _ time.Time) (*head, Alert, error) {
	for {
		if len(l.read) == 0 {
			if !l.more {
				return nil, Alert{}, nil
			}
			read, err := store.Next(l.target, l.last, batch)
			if err != nil {
				return nil, Alert{}, err
			}
			if l.more = len(read) == batch; len(read) == 0 {
				return nil, Alert{}, nil
			}
			l.read, l.last = read, read[len(read)-1].Number
		}
		alert := l.read[0]
		l.read = l.read[1:]
		violation := alert.violation()
		if ahead := l.heads[violation]; ahead != nil {
			ahead.behind = append(ahead.behind, alert.Number)
			continue
		}
		h := &head{violation: violation, number: alert.Number}
		l.heads[violation] = h
		return h, alert, nil
	}
}

// violation is that of the alert, or one of its own.
func (a *Alert) violation() string {
	if a.Violation == "" {
		return "\x00" + strconv.FormatUint(a.Number, 10)
	}
	return a.Violation
}

// again returns an alert whose time to be tried again has come.
func (l *lane) again(store Store, now time.Time) (*head, Alert, error) {
	for len(l.waiting) > 0 && !l.waiting[0].due.After(now) {
		h := l.waiting[0]
		read, err := store.Next(l.target, h.number-1, 1)
		if err != nil {
			return nil, Alert{}, err
		}
		heap.Pop(&l.waiting)
		if len(read) == 1 && read[0].Number == h.number {
			return h, read[0], nil
		}
		l.release(h) // it was too old, and is gone
	}
	return nil, Alert{}, nil
}

// release lets the next alert of the violation come.
func (l *lane) release(h *head) {
	if len(h.behind) == 0 {
		delete(l.heads, h.violation)
		return
	}
	h.number, h.behind = h.behind[0], h.behind[1:]
	h.flying, h.tries, h.due = false, 0, time.Time{}
	heap.Push(&l.waiting, h)
}

// busy reports whether the alert is on its way.
func (l *lane) busy(alert *Alert) bool {
	h := l.heads[alert.violation()]
	return h != nil && h.number == alert.Number && h.flying
}

// forget drops alerts that are not in the store any more.
func (l *lane) forget(numbers []uint64) {
	l.read = slices.DeleteFunc(l.read, func(a Alert) bool { return slices.Contains(numbers, a.Number) })
}

// works notes that the target answered.
func (l *lane) works() { l.failures = 0 }

// fails notes that the target did not take an alert. It reports whether the
// target is to be left alone for a while.
func (l *lane) fails() bool {
	l.failures++
	if l.failures < maxFailures {
		return false
	}
	l.pausedUntil = time.Now().Add(backoff(l.failures - maxFailures + 1))
	return true
}

// due is when the lane has something to do by itself.
func (l *lane) due() (due time.Time, waits bool) {
	switch {
	case l.failures >= maxFailures:
		if l.flying > 0 || len(l.waiting) == 0 && len(l.read) == 0 && !l.more {
			return due, false
		}
		due = l.pausedUntil
		if len(l.read) == 0 && !l.more && l.waiting[0].due.After(due) {
			due = l.waiting[0].due
		}
		return due, true
	case l.flying >= maxOfTarget:
		return due, false
	case len(l.waiting) > 0:
		return l.waiting[0].due, true
	}
	return due, false
}

// queue is a heap of heads, the first due first.
type queue []*head

func (q queue) Len() int           { return len(q) }
func (q queue) Less(i, j int) bool { return q[i].due.Before(q[j].due) }
func (q queue) Swap(i, j int)      { q[i], q[j] = q[j], q[i] }
func (q *queue) Push(h any)        { *q = append(*q, h.(*head)) }
func (q *queue) Pop() any {
	last := (*q)[len(*q)-1]
	*q = (*q)[:len(*q)-1]
	return last
}
