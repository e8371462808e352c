package service

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"runtime"
	"strconv"
	"sync"
	"time"

	"github.com/device-defender/device-defender/internal/defender/detect"
	"github.com/device-defender/device-defender/internal/defender/store"
)

const (
	// maxBatch is the most tasks that share a transaction. Each waits for all
	// of them, and they are all in memory.
	maxBatch = 512
	// gatherDelay is how long a transaction waits for tasks that are under way, if
	// the last had many: one for a few of them costs as much as one for all.
	gatherDelay = 5 * time.Millisecond
	// many tasks are a lane under load.
	many = 8
	// maxCloudBatch is the most cloud events that share a transaction.
	maxCloudBatch = 4096
	// cloudDelay is how long a cloud event may wait for others, since each
	// transaction costs a write to the disk. A process that is killed loses
	// the counts of that time and no more.
	cloudDelay = time.Second
	// maxLanes bounds the rows of counters that have to be added up.
	maxLanes = 16
	// operatorLane names the rows that operations of the API count by.
	operatorLane = "operator"
	// defaultCache is the memory of all lanes for things in bytes.
	defaultCache = 128 << 20
)

// intake is the way in for all that is evaluated. A thing has a lane, by its
// name, so that one goroutine at a time evaluates it. A lane takes what has come
// while it wrote the last transaction into the next: the number of writes to the
// disk does not grow with the number of things.
type intake struct {
	lanes   []*lane
	closing chan struct{} // closed by stop
	done    chan struct{} // closed when the lanes have ended
	once    sync.Once
	running sync.WaitGroup
}

// lane is a goroutine that evaluates things, and what it knows of them.
type lane struct {
	name  string // in keys of rows that are the lane's own
	tasks chan *task
	cache *cache
}

// laneNames are the names of all lanes that there can be, and the operator's. Rows
// of lanes are read by their names, since each of them is written again and again:
// a scan passes over every version of a row that is still in memory.
var laneNames = func() (names []string) {
	for i := range maxLanes {
		names = append(names, strconv.Itoa(i))
	}
	return append(names, operatorLane)
}()

// task is something to be evaluated for a thing: a report, an event in the
// cloud, or, with neither, the time.
type task struct {
	thing  string
	report *pendingReport
	cloud  *detect.CloudEvent
	job    *store.Job[struct{}] // that this does, if it is of one
	done   chan<- error         // has room; nil: nobody waits
}

var errClosing = errors.New("the service is closing")

// startIntake starts the goroutines that stopIntake ends.
func (s *Service) startIntake() {
	n := min(cmp.Or(s.options.lanes, max(2, runtime.GOMAXPROCS(0))), maxLanes)
	memory := cmp.Or(s.options.CacheBytes, defaultCache) / n
	s.intake = intake{closing: make(chan struct{}), done: make(chan struct{})}
	for i := range n {
		l := &lane{name: laneNames[i], tasks: make(chan *task, maxBatch), cache: newCache(memory)}
		s.intake.lanes = append(s.intake.lanes, l)
		s.intake.running.Go(func() { s.take(l) })
	}
	// What operations of the API evaluate is not kept in memory.
	s.operator = &lane{name: operatorLane, cache: newCache(0)}
	go func() {
		s.intake.running.Wait()
		close(s.intake.done)
	}()
}

// stopIntake ends the intake; what was handed to it before is still committed.
func (s *Service) stopIntake() {
	s.intake.once.Do(func() { close(s.intake.closing) })
	<-s.intake.done
}

// laneOf returns the lane of a thing.
func (s *Service) laneOf(thing string) *lane {
	h := fnv.New32a()
	h.Write([]byte(thing))
	return s.intake.lanes[h.Sum32()%uint32(len(s.intake.lanes))]
}

// evict has the thing read again: its row or what the registry says of it is
// changed in tx.
func (s *Service) evict(name string) {
	if len(s.intake.lanes) > 0 { // not while a database is converted
		s.laneOf(name).cache.evict(name)
	}
}

// hand gives a task to the lane of its thing. It waits while the lane is behind.
func (s *Service) hand(ctx context.Context, t *task) error {
	select {
	case <-s.intake.closing: // select chooses at random when several are possible
		return errClosing
	default:
	}
	select {
	case s.laneOf(t.thing).tasks <- t:
		return nil
	case <-s.intake.closing:
		return errClosing
	case <-ctx.Done():
		return ctx.Err()
	}
}

// take is the goroutine of a lane.
func (s *Service) take(l *lane) {
	var events []*task // of the cloud
	var due <-chan time.Time
	last := 0 // tasks of the last transaction
	for {
		var tasks []*task
		select {
		case t := <-l.tasks:
			if t.cloud == nil {
				tasks = append(tasks, t)
				if last >= many {
					tasks = l.gather(tasks)
				}
				break
			}
			events = append(events, t)
			if due == nil {
				due = time.After(cloudDelay)
			}
			if len(events) < maxCloudBatch {
				continue
			}
		case <-due:
		case <-s.intake.closing:
			s.commit(l, append(events, l.waiting(nil)...))
			return
		}
		tasks = l.waiting(tasks)
		last = len(tasks)
		s.commit(l, append(events, tasks...))
		events, due = nil, nil
	}
}

// gather appends the tasks that come within gatherDelay, up to maxBatch.
func (l *lane) gather(tasks []*task) []*task {
	over := time.NewTimer(gatherDelay)
	defer over.Stop()
	for len(tasks) < maxBatch {
		select {
		case t := <-l.tasks:
			tasks = append(tasks, t)
		case <-over.C:
			return tasks
		}
	}
	return tasks
}

// waiting appends the tasks that wait, up to maxBatch.
func (l *lane) waiting(tasks []*task) []*task {
	for len(tasks) < maxBatch {
		select {
		case t := <-l.tasks:
			tasks = append(tasks, t)
		default:
			return tasks
		}
	}
	return tasks
}

// commit does tasks in one transaction, and then answers. When one of them
// cannot be done, each goes into a transaction of its own, so that one does not
// spoil the others. Where the disk fails that would not help.
func (s *Service) commit(l *lane, tasks []*task) {
	if len(tasks) == 0 {
		return
	}
	// Tasks are done whether or not somebody still waits.
	err := s.evaluate(context.Background(), l, func(b *batch) error { return b.do(l, tasks) })
	switch {
	case err == nil:
	case len(tasks) == 1, storeFailed(err):
		s.log.Error("storing failed", "tasks", len(tasks), "error", err)
	default:
		s.log.Warn("storing a batch failed, taking it one by one", "tasks", len(tasks), "error", err)
		for i := range tasks {
			s.commit(l, tasks[i:i+1])
		}
		return
	}
	for _, t := range tasks {
		t.answer(err)
	}
}

// answer tells whoever waits what came of the task.
func (t *task) answer(err error) {
	if p := t.report; p != nil {
		if err != nil {
			p.reply = rejected(codeUnavailable, "The report could not be stored")
		}
		p.answer <- p.reply
	}
	if t.done != nil {
		t.done <- err
	}
}

// do does tasks in their order.
func (b *batch) do(l *lane, tasks []*task) error {
	names := make([]string, len(tasks))
	for i, t := range tasks {
		names[i] = t.thing
	}
	if err := b.load(l, names); err != nil {
		return err
	}
	for _, t := range tasks {
		k := b.things[t.thing]
		var err error
		switch {
		case t.report != nil:
			t.report.reply, err = b.judge(k, t.report)
		case t.cloud != nil:
			k.thing.ObserveCloud(&b.eval, *t.cloud)
			err = b.settle(k)
		default:
			err = b.advance(k, t.job)
		}
		if err != nil {
			return fmt.Errorf("evaluating %q: %w", t.thing, err)
		}
	}
	return nil
}
