package service

import (
	"hash/fnv"
	"time"

	"github.com/device-defender/device-defender/internal/defender/detect"
	"github.com/device-defender/device-defender/internal/defender/report"
)

// defaultReportInterval is AWS's quota per device (AWS General Reference,
// "Device metric minimum delay").
const defaultReportInterval = 300 * time.Second

// mostAhead is how far a thing's time may be ahead of the service's clock. A
// clock that goes back farther was wrong before.
const mostAhead = time.Minute

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

// mostAhead is mostAhead, or the interval by which a thing's time goes on while
// the clock has not met it.
func (s *Service) mostAhead() time.Duration { return max(mostAhead, s.minReportInterval()) }

// digest tells payloads apart that bear the same id.
func digest(payload []byte) uint64 {
	h := fnv.New64a()
	h.Write(payload)
	return h.Sum64()
}

// judge decides about one report and, unless it is rejected, evaluates it.
//
// Reports are in the order in which they come: an id only tells the last report
// from the next. A smaller one is a device that has restarted, as many count
// from their boot. The last one again is the same report, delivered once
// more, and gets the same answer; with another content it is a device that
// restarts and counts from the same number, unless it comes at once.
//
// One too soon after the last is throttled, where a tenth of the interval is
// forgiven for the jitter of a schedule and of the way here. When the clock was
// set back, the interval is unknown, and the report not too soon; a thing's time
// goes on by the minimum then, until the clock has met it, or is set to the
// clock when it is far ahead.
//
// Of a report with a time observed all this is by that time in place of the clock,
// but one that is out of order is late and not evaluated: see ReportObserved.
func (b *batch) judge(k *known, p *pendingReport) (report.Reply, error) {
	last := &k.row.last
	came := b.now
	if !p.observed.IsZero() && p.observed.Before(came) {
		came = p.observed
	}
	if b.late(k, p, came) {
		b.s.log.Info("late report is not evaluated", "thing", p.thing, "report_id", p.id, "observed", came, "last", last.received())
		return report.Reply{Status: report.Accepted, ReportID: p.id, Timestamp: came}, nil
	}
	at := came
	var next lastReport
	p.first = last.time.IsZero()
	if !last.time.IsZero() {
		least := b.s.minReportInterval()
		least -= least / 10
		since := came.Sub(last.received())
		tooSoon := since >= 0 && since < least
		switch {
		case p.id == last.id && (tooSoon || p.digest == last.digest):
			return report.Reply{Status: report.Accepted, ReportID: p.id, Timestamp: last.received()}, nil
		case tooSoon:
			return throttled(p.id, "Too many metrics reports"), nil
		case p.id < last.id:
			b.s.log.Info("report_id begins again, the device has restarted", "thing", p.thing, "report_id", p.id, "last", last.id)
		}
		if last.time.Sub(b.now) > max(mostAhead, least) {
			k.thing.Restamp(at)
		} else {
			at = later(at, last.time.Add(max(time.Millisecond, least))) // a thing's time always grows
		}
		next.every = max(0, at.Sub(last.time))
	}
	next.time = at
	refusal, err := b.admit(k, int64(p.size), &next)
	if err != nil {
		return report.Reply{}, err
	}
	if refusal != "" {
		return throttled(p.id, refusal), nil
	}
	if p.id <= report.MaxID {
		next.id, next.digest = p.id, p.digest
	}
	if !at.Equal(came) {
		next.clock = came
	}
	k.row.last = next
	observation := detect.Observation{Thing: p.thing, Time: at, Measurements: p.measurements}
	k.thing.Observe(&b.eval, observation)
	if err := b.settle(k); err != nil {
		return report.Reply{}, err
	}
	if err := b.keep(k, observation); err != nil {
		return report.Reply{}, err
	}
	return report.Reply{Status: report.Accepted, ReportID: p.id, Timestamp: came}, nil
}

// late reports whether a report with a time observed comes after one that was
// observed later, or when nothing of its time is kept any more. Where the last one's
// time is far ahead of the clock, that was wrong, not this.
func (b *batch) late(k *known, p *pendingReport, came time.Time) bool {
	last := &k.row.last
	switch {
	case p.observed.IsZero():
		return false
	case b.now.Sub(came) > keepValues:
		return true
	case last.time.IsZero() || last.time.Sub(b.now) > b.s.mostAhead():
		return false
	}
	return came.Before(last.received()) && !(p.id == last.id && p.digest == last.digest)
}
