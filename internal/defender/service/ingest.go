package service

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"math"
	"runtime/debug"
	"strings"
	"sync"
	"time"

	"github.com/device-defender/device-defender/internal/defender/detect"
	"github.com/device-defender/device-defender/internal/defender/report"
	"github.com/device-defender/device-defender/internal/defender/store"
)

const (
	// defaultReportInterval is AWS's quota per device (AWS General Reference,
	// "Device metric minimum delay").
	defaultReportInterval = 300 * time.Second
	// maxBatch is the most reports that share a transaction. Each waits for all
	// of them, and they are all in memory.
	maxBatch = 512
	// maxCloudBatch is the most cloud events that share a transaction.
	maxCloudBatch = 4096
	// cloudDelay is how long a cloud event may wait for others, since each
	// transaction costs a write to the disk. A process that is killed loses
	// the counts of that time and no more.
	cloudDelay = time.Second
	// What things that are not registered may do, see Options.
	defaultUnregistered      = 100_000
	defaultUnregisteredBytes = 512 << 20
	// maxThingBytes is what one of them may send in a day: a device with long
	// lists and AWS's shortest interval sends half of it.
	maxThingBytes = 16 << 20
)

// Codes of rejections. AWS documents only InvalidPayload, and its message;
// the others are ours.
const (
	codeInvalid     = "InvalidPayload"
	codeThrottled   = "Throttled"
	codeUnavailable = "ServiceUnavailable"
)

func rejected(code, message string) report.Reply {
	return report.Reply{Status: report.Rejected, ErrorCode: code, ErrorMessage: message}
}

// throttled says which report it is about, unlike AWS's documented rejection, of
// a report that could not be read: a device can then tell it from the echo of
// another agent's.
func throttled(id int64, message string) report.Reply {
	reply := rejected(codeThrottled, message)
	reply.ReportID = id
	return reply
}

func malformed() report.Reply { return rejected(codeInvalid, "Malformed metrics report") }

// intake is the way in for reports and cloud events: one goroutine takes what
// has come while it wrote the last transaction into the next, so that the
// number of writes to the disk does not grow with the number of things.
type intake struct {
	reports chan *pendingReport
	cloud   chan detect.CloudEvent
	closing chan struct{} // closed by stop
	done    chan struct{} // closed when the goroutine has ended
	once    sync.Once
}

// pendingReport is a report that can be read and waits to be evaluated.
type pendingReport struct {
	thing        string
	id           int64
	digest       uint64 // of the payload
	size         int    // of the payload
	measurements []detect.Measurement
	reply        report.Reply // what to answer when the transaction is on disk
	answer       chan report.Reply
}

// startIntake starts the goroutine that stopIntake ends.
func (s *Service) startIntake() {
	s.intake = intake{
		reports: make(chan *pendingReport, maxBatch),
		cloud:   make(chan detect.CloudEvent),
		closing: make(chan struct{}),
		done:    make(chan struct{}),
	}
	go s.take()
}

// stopIntake ends the intake; what was handed to it before is still committed.
func (s *Service) stopIntake() {
	s.intake.once.Do(func() { close(s.intake.closing) })
	<-s.intake.done
}

// Report takes a thing's report, in the format of the topic that it came on,
// and says what to reply. A report that is accepted is on disk with everything
// that follows from it. The last report once more has the answer that it had,
// and one that comes too soon after the last is rejected.
func (s *Service) Report(ctx context.Context, thing string, format report.Format, payload []byte) report.Reply {
	reply := s.report(ctx, thing, format, payload)
	reply.ThingName = strings.ToValidUTF8(thing, "\uFFFD")
	if reply.Timestamp.IsZero() {
		reply.Timestamp = s.now()
	}
	s.log.Info("report", "thing", thing, "status", reply.Status, "report_id", reply.ReportID, "code", reply.ErrorCode, "bytes", len(payload))
	s.watch.took(TakenReport{Time: reply.Timestamp, Thing: thing, Format: format, Bytes: len(payload), Reply: reply})
	return reply
}

func (s *Service) report(ctx context.Context, thing string, format report.Format, payload []byte) report.Reply {
	if err := report.CheckThingName(thing); err != nil {
		s.log.Warn("malformed report", "thing", thing, "error", err)
		return malformed()
	}
	r, encoding, err := report.Decode(payload)
	if err != nil {
		s.log.Warn("malformed report", "thing", thing, "error", err)
		return malformed()
	}
	if encoding.Format != format {
		s.log.Warn("malformed report", "thing", thing, "format", encoding.Format, "topic_format", format)
		return malformed()
	}
	p := &pendingReport{thing: thing, id: r.ID, digest: digest(payload), size: len(payload), measurements: detect.FromReport(r), answer: make(chan report.Reply, 1)}
	unavailable := rejected(codeUnavailable, "The service is not available")
	select {
	case <-s.intake.closing: // select chooses at random when both are possible
		return unavailable
	default:
	}
	select {
	case s.intake.reports <- p:
	case <-s.intake.closing:
		return unavailable
	case <-ctx.Done():
		return unavailable
	}
	// From here on it will be stored, whether the caller still waits or not.
	select {
	case reply := <-p.answer:
		return reply
	case <-s.intake.done:
	}
	select { // it may have been the last before the end
	case reply := <-p.answer:
		return reply
	default:
		return unavailable
	}
}

// Cloud counts what happened between a thing and the cloud. A zero time is
// now. It waits while the service is behind, and the event is on disk within a
// second or so.
func (s *Service) Cloud(ev detect.CloudEvent) {
	if report.CheckThingName(ev.Thing) != nil {
		return
	}
	if ev.Time.IsZero() {
		ev.Time = s.now()
	}
	select {
	case s.intake.cloud <- ev:
	case <-s.intake.closing:
	}
}

// take is the goroutine of the intake.
func (s *Service) take() {
	defer close(s.intake.done)
	var events []detect.CloudEvent
	var due <-chan time.Time
	for {
		var reports []*pendingReport
		select {
		case p := <-s.intake.reports:
			reports = append(reports, p)
		case ev := <-s.intake.cloud:
			events = append(events, ev)
			if due == nil {
				due = time.After(cloudDelay)
			}
			if len(events) < maxCloudBatch {
				continue
			}
		case <-due:
		case <-s.intake.closing:
			s.commit(s.waiting(nil), events)
			return
		}
		s.commit(s.waiting(reports), events)
		events, due = nil, nil
	}
}

// waiting appends the reports that wait, up to maxBatch.
func (s *Service) waiting(reports []*pendingReport) []*pendingReport {
	for len(reports) < maxBatch {
		select {
		case p := <-s.intake.reports:
			reports = append(reports, p)
		default:
			return reports
		}
	}
	return reports
}

// commit evaluates and stores reports and events in one transaction, and then
// answers. When one of them can't be evaluated, each goes into a transaction of
// its own, so that one doesn't spoil the others. Where the disk fails that would
// be of no use, and every attempt costs a rebuild of the engine.
func (s *Service) commit(reports []*pendingReport, events []detect.CloudEvent) {
	// What was taken is stored, whoever still waits.
	err := s.evaluate(context.Background(), reports, events)
	switch {
	case err == nil:
		for _, p := range reports {
			p.answer <- p.reply
		}
	case len(reports)+len(events) == 1, errors.Is(err, errStoring):
		s.log.Error("storing failed", "reports", len(reports), "events", len(events), "error", err)
		for _, p := range reports {
			p.answer <- rejected(codeUnavailable, "The report could not be stored")
		}
	default:
		s.log.Warn("storing a batch failed, taking it one by one", "reports", len(reports), "events", len(events), "error", err)
		for i := range events {
			s.commit(nil, events[i:i+1])
		}
		for i := range reports {
			s.commit(reports[i:i+1], nil)
		}
	}
}

// evaluate runs reports and events through the engine and stores what comes
// of them, all or nothing.
func (s *Service) evaluate(ctx context.Context, reports []*pendingReport, events []detect.CloudEvent) error {
	return s.change(ctx, func(c *change) error {
		for _, ev := range events {
			outcome := s.engine.ObserveCloud(ev)
			c.touched[ev.Thing] = true
			if err := c.outcome(outcome); err != nil {
				return err
			}
		}
		for _, p := range reports {
			reply, err := c.report(p)
			if err != nil {
				return fmt.Errorf("report of %q: %w", p.thing, err)
			}
			p.reply = reply
		}
		return nil
	})
}

// change is a transaction in which the engine moves: it ends with the state of
// the things that it touched.
type change struct {
	s       *Service
	tx      *store.Tx
	now     time.Time
	touched map[string]bool   // things whose state in the engine changed
	models  map[string]uint64 // datapoints for models
}

func (s *Service) newChange(tx *store.Tx) *change {
	return &change{s: s, tx: tx, now: s.now(), touched: map[string]bool{}, models: map[string]uint64{}}
}

// errStoring says that a transaction could not be written to the disk.
var errStoring = errors.New("writing the database")

// change runs fn in a transaction and stores the engine's state with what fn
// has stored.
func (s *Service) change(ctx context.Context, fn func(*change) error) error {
	refused := false // by fn, and not by the store
	err := s.write(ctx, func(tx *store.Tx) (err error) {
		// Whatever a report holds, the service stays up; and as nothing of the
		// transaction remains, neither does what the panic left half done.
		defer func() {
			if r := recover(); r != nil {
				err = fmt.Errorf("panic: %v\n%s", r, debug.Stack())
			}
			refused = err != nil
		}()
		s.touch()
		c := s.newChange(tx)
		if err := fn(c); err != nil {
			return err
		}
		return c.finish()
	})
	if err != nil && (!refused || errors.Is(err, store.ErrUnavailable)) {
		return fmt.Errorf("%w: %w", errStoring, err)
	}
	return err
}

// finish stores the state of the things that were touched.
func (c *change) finish() error {
	for thing := range c.touched {
		if err := c.saveThing(thing); err != nil {
			return err
		}
	}
	return c.countModels()
}

func (c *change) saveThing(thing string) error {
	state, err := c.s.engine.SaveThing(thing)
	if err != nil {
		return fmt.Errorf("state of %q: %w", thing, err)
	}
	if len(state) == 0 {
		return tableStates.Delete(c.tx, thing)
	}
	return tableStates.Put(c.tx, thing, state)
}

// storedReporter is a thing's last accepted report.
type storedReporter struct {
	ID     int64     `json:"id,omitempty"`     // 0 is an id that tells nothing
	Digest uint64    `json:"digest,omitempty"` // of its payload
	Time   time.Time `json:"time"`
	Clock  time.Time `json:"clock,omitzero"` // the service's, when it was behind Time
	// Every is the time between this report and the one before.
	Every time.Duration `json:"every,omitempty"`
	// Day and Bytes are what the thing has sent on a day, when it isn't
	// registered.
	Day   string `json:"day,omitempty"`
	Bytes int64  `json:"bytes,omitempty"`
}

// load is what things that are not registered have sent on a day.
type load struct {
	day   string
	bytes int64
}

// received is when the service took the report, by its own clock.
func (r *storedReporter) received() time.Time { return cmp.Or(r.Clock, r.Time) }

// digest tells payloads apart that bear the same id.
func digest(payload []byte) uint64 {
	h := fnv.New64a()
	h.Write(payload)
	return h.Sum64()
}

// mostAhead is how far a thing's time may be ahead of the service's clock. A
// clock that goes back farther was wrong before, see restamp.
const mostAhead = time.Minute

// report judges one report and, unless it's rejected, evaluates and stores it.
//
// Reports are in the order in which they come: an id only tells the last report
// from the next. A smaller one is a device that has restarted, as many count
// from their boot. The last one again is the same report, delivered once
// more, and gets the same answer; with another content it's a device that
// restarts and counts from the same number, unless it comes at once.
//
// One too soon after the last is throttled, where a tenth of the interval is
// forgiven for the jitter of a schedule and of the way here. When the clock was
// set back, the interval is unknown, and the report not too soon; a thing's time
// goes on by the minimum then, until the clock has met it, or is set to the
// clock when it is far ahead.
func (c *change) report(p *pendingReport) (report.Reply, error) {
	last, err := tableReporters.find(&c.tx.Reader, p.thing)
	if err != nil {
		return report.Reply{}, err
	}
	at := c.now
	if last != nil {
		least := c.s.minReportInterval()
		least -= least / 10
		since := c.now.Sub(last.received())
		tooSoon := since >= 0 && since < least
		switch {
		case p.id == last.ID && (tooSoon || p.digest == last.Digest):
			return report.Reply{Status: report.Accepted, ReportID: p.id, Timestamp: last.received()}, nil
		case tooSoon:
			return throttled(p.id, "Too many metrics reports"), nil
		case p.id < last.ID:
			c.tx.OnCommit(func() {
				c.s.log.Info("report_id begins again, the device has restarted", "thing", p.thing, "report_id", p.id, "last", last.ID)
			})
		}
		if last.Time.Sub(c.now) > max(mostAhead, least) {
			c.s.engine.Restamp(p.thing, at)
		} else {
			at = later(at, last.Time.Add(max(time.Millisecond, least))) // a thing's time always grows
		}
	}
	reporter := storedReporter{Time: at}
	if last != nil {
		reporter.Every = max(0, at.Sub(last.Time))
	}
	if refusal := c.admit(p, last, &reporter); refusal != "" {
		return throttled(p.id, refusal), nil
	}
	if p.id <= report.MaxID {
		reporter.ID, reporter.Digest = p.id, p.digest
	}
	if !at.Equal(c.now) {
		reporter.Clock = c.now
	}
	if err := tableReporters.Put(c.tx, p.thing, reporter); err != nil {
		return report.Reply{}, err
	}
	observation := detect.Observation{Thing: p.thing, Time: at, Measurements: p.measurements}
	events := c.s.engine.Observe(observation)
	c.touched[p.thing] = true
	if err := c.keep(observation); err != nil {
		return report.Reply{}, err
	}
	if err := c.events(events); err != nil {
		return report.Reply{}, err
	}
	return report.Reply{Status: report.Accepted, ReportID: p.id, Timestamp: c.now}, nil
}

// admit counts a report of a thing that isn't registered. It returns why it is
// turned away, if it is.
func (c *change) admit(p *pendingReport, last, reporter *storedReporter) (refusal string) {
	s := c.s
	if s.thing(p.thing).Registered {
		return ""
	}
	reporter.Day = day(c.now).String()
	if s.sent.day != reporter.Day {
		s.sent = load{day: reporter.Day}
	}
	size := int64(p.size)
	reporter.Bytes = size
	if last != nil && last.Day == reporter.Day {
		reporter.Bytes += last.Bytes
	}
	switch most := s.maxUnregisteredBytes(); {
	case last == nil && s.unregistered >= s.maxUnregistered():
		s.turn(tooManyThings, p.thing, c.now)
		return "Too many unregistered things"
	case reporter.Bytes > maxThingBytes:
		s.turn(tooMuchOfThing, p.thing, c.now)
		return "Too much of an unregistered thing"
	case size > most-s.sent.bytes:
		s.turn(tooMuchOfAll, p.thing, c.now)
		return "Too much of unregistered things"
	}
	s.sent.bytes += size
	if last == nil {
		s.unregistered++
	}
	return ""
}

func (s *Service) maxUnregistered() int {
	switch n := s.options.MaxUnregistered; {
	case n == 0:
		return defaultUnregistered
	case n < 0:
		return math.MaxInt
	default:
		return n
	}
}

func (s *Service) maxUnregisteredBytes() int64 {
	switch n := s.options.MaxUnregisteredBytes; {
	case n == 0:
		return defaultUnregisteredBytes
	case n < 0:
		return math.MaxInt64
	default:
		return n
	}
}

// outcome stores what came of cloud events or of time.
func (c *change) outcome(o detect.Outcome) error {
	for _, observation := range o.Measured {
		c.touched[observation.Thing] = true
		if err := c.keep(observation); err != nil {
			return err
		}
	}
	for _, ev := range o.Events {
		c.touched[ev.Thing] = true
	}
	return c.events(o.Events)
}

// minReportInterval is the minimum time between two reports of a thing.
func (s *Service) minReportInterval() time.Duration {
	switch interval := s.options.MinReportInterval; {
	case interval == 0:
		return defaultReportInterval
	case interval < 0:
		return 0
	default:
		return interval
	}
}
