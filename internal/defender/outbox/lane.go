package outbox

import (
	"container/heap"
	"slices"
	"strconv"
	"time"
)

const (
	// maxInParcel is how many alerts go with one message at most, and maxHeld how
	// many a lane that groups has in memory.
	maxInParcel = 1000
	maxHeld     = 10_000
)

// lane is the way to one target.
type lane struct {
	target string
	group  func(Alert) (key string, hold time.Duration)
	flying int
	swept  time.Time
	turn   bool

	// read are alerts that were read and not looked at, in order; last is the
	// number of the last one that was read.
	read []Alert
	last uint64
	more bool // the store may have more

	heads   map[string]*head   // by violation
	open    map[string]*parcel // by group: parcels that are waiting, and take more
	waiting queue              // parcels that were tried or are held back, by due time
	done    []*parcel          // to be deleted from the store

	grouped     bool      // alerts are held back
	failures    int       // in a row
	pausedUntil time.Time // when they are many
}

// head is the first alert of a violation that is not delivered.
type head struct {
	violation string
	number    uint64
	parcel    *parcel
	behind    []later // alerts of the violation
}

// later is an alert that waits for one of its violation.
type later struct {
	number uint64
	key    string // of its group
	hold   time.Duration
}

// parcel is what goes with one message: one head, or those of a group.
type parcel struct {
	heads  []*head
	key    string // of the group
	flying bool   // or delivered and still in the store
	tries  int
	due    time.Time
}

func newLane(target string, group func(Alert) (string, time.Duration)) *lane {
	return &lane{target: target, group: group, heads: map[string]*head{}, open: map[string]*parcel{}}
}

// mayStart reports whether one more delivery may be under way.
func (l *lane) mayStart(now time.Time) bool {
	if l.failures < maxFailures {
		return l.flying < maxOfTarget
	}
	return l.flying == 0 && !now.Before(l.pausedUntil)
}

// mayRead reports whether there is more to read, and room for it.
func (l *lane) mayRead() bool {
	return (len(l.read) > 0 || l.more) && !(l.grouped && len(l.heads) >= maxHeld)
}

// fresh returns an alert that has not been tried yet and that nothing is ahead
// of. Those that are grouped it puts into parcels, which are sent when they are due.
func (l *lane) fresh(store Store, now time.Time) (*parcel, []Alert, error) {
	for l.mayRead() {
		if len(l.read) == 0 {
			read, err := store.Next(l.target, l.last, batch)
			if err != nil {
				return nil, nil, err
			}
			if l.more = len(read) == batch; len(read) == 0 {
				return nil, nil, nil
			}
			l.read, l.last = read, read[len(read)-1].Number
		}
		alert := l.read[0]
		l.read = l.read[1:]
		key, hold := l.group(alert)
		violation := alert.violation()
		if ahead := l.heads[violation]; ahead != nil {
			ahead.behind = append(ahead.behind, later{alert.Number, key, hold})
			continue
		}
		h := &head{violation: violation, number: alert.Number}
		l.heads[violation] = h
		if hold > 0 {
			l.join(h, key, now.Add(hold))
			continue
		}
		h.parcel = &parcel{heads: []*head{h}}
		return h.parcel, []Alert{alert}, nil
	}
	return nil, nil, nil
}

// join puts an alert into the parcel of its group that is open, or opens one that is
// due then.
func (l *lane) join(h *head, key string, due time.Time) {
	l.grouped = true
	p := l.open[key]
	if p == nil || len(p.heads) >= maxInParcel {
		p = &parcel{key: key, due: due}
		l.open[key] = p
		heap.Push(&l.waiting, p)
	}
	h.parcel = p
	p.heads = append(p.heads, h)
}

// violation is that of the alert, or one of its own.
func (a *Alert) violation() string {
	if a.Violation == "" {
		return "\x00" + strconv.FormatUint(a.Number, 10)
	}
	return a.Violation
}

// again returns a parcel whose time to be tried has come.
func (l *lane) again(store Store, now time.Time) (*parcel, []Alert, error) {
	for len(l.waiting) > 0 && !l.waiting[0].due.After(now) {
		p := l.waiting[0]
		var alerts []Alert
		var there, gone []*head
		for _, h := range p.heads {
			read, err := store.Next(l.target, h.number-1, 1)
			if err != nil {
				return nil, nil, err
			}
			if len(read) == 1 && read[0].Number == h.number {
				alerts, there = append(alerts, read[0]), append(there, h)
			} else {
				gone = append(gone, h) // it was too old
			}
		}
		heap.Pop(&l.waiting)
		if l.open[p.key] == p {
			delete(l.open, p.key)
		}
		p.heads = there
		for _, h := range gone {
			l.release(h, now)
		}
		if len(alerts) > 0 {
			return p, alerts, nil
		}
	}
	return nil, nil, nil
}

// release lets the next alert of the violation come.
func (l *lane) release(h *head, now time.Time) {
	if len(h.behind) == 0 {
		delete(l.heads, h.violation)
		return
	}
	next := h.behind[0]
	h.number, h.behind = next.number, h.behind[1:]
	if next.hold > 0 {
		l.join(h, next.key, now.Add(next.hold))
		return
	}
	h.parcel = &parcel{heads: []*head{h}}
	heap.Push(&l.waiting, h.parcel)
}

// busy reports whether the alert is on its way.
func (l *lane) busy(alert *Alert) bool {
	h := l.heads[alert.violation()]
	return h != nil && h.number == alert.Number && h.parcel.flying
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
		if l.flying > 0 || len(l.waiting) == 0 && !l.mayRead() {
			return due, false
		}
		due = l.pausedUntil
		if !l.mayRead() && l.waiting[0].due.After(due) {
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

// queue is a heap of parcels, the first due first.
type queue []*parcel

func (q queue) Len() int           { return len(q) }
func (q queue) Less(i, j int) bool { return q[i].due.Before(q[j].due) }
func (q queue) Swap(i, j int)      { q[i], q[j] = q[j], q[i] }
func (q *queue) Push(p any)        { *q = append(*q, p.(*parcel)) }
func (q *queue) Pop() any {
	last := (*q)[len(*q)-1]
	*q = (*q)[:len(*q)-1]
	return last
}
