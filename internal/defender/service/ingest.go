package service

import (
	"context"
	"log/slog"
	"strings"
	"time"

	"github.com/device-defender/device-defender/internal/defender/detect"
	"github.com/device-defender/device-defender/internal/defender/report"
)

// Codes of rejections. AWS documents only InvalidPayload, and its message;
// the others are ours.
const (
	codeInvalid     = CodeInvalid
	codeThrottled   = "Throttled"
	codeUnavailable = CodeUnavailable
)

// CodeUnavailable is the code of a rejection of a report that could not be
// stored: the same report is welcome later. Any other verdict is final.
const CodeUnavailable = "ServiceUnavailable"

// CodeInvalid is the code of a rejection of what is no report.
const CodeInvalid = "InvalidPayload"

func rejected(code, message string) report.Reply {
	return report.Reply{Status: report.Rejected, ErrorCode: code, ErrorMessage: message}
}

func malformed() report.Reply { return rejected(codeInvalid, "Malformed metrics report") }

// throttled says which report it is about, unlike AWS's documented rejection, of
// a report that could not be read: a device can then tell it from the echo of
// another agent's.
func throttled(id int64, message string) report.Reply {
	reply := rejected(codeThrottled, message)
	reply.ReportID = id
	return reply
}

// pendingReport is a report that can be read and waits to be evaluated.
type pendingReport struct {
	thing        string
	id           int64
	digest       uint64    // of the payload
	size         int       // of the payload
	observed     time.Time // when it came to a source that is trusted with it; zero: when it is judged
	measurements []detect.Measurement
	first        bool         // nothing is known of the thing yet
	reply        report.Reply // what to answer when the transaction is on disk
	answer       chan report.Reply
}

// Report takes a thing's report, in the format of the topic that it came on,
// and says what to reply. A report that is accepted is on disk with everything
// that follows from it. The last report once more has the answer that it had,
// and one that comes too soon after the last is rejected.
func (s *Service) Report(ctx context.Context, thing string, format report.Format, payload []byte) report.Reply {
	return s.ReportObserved(ctx, thing, format, payload, time.Time{})
}

// ReportObserved is Report for one that came at a time that a trusted source tells,
// such as a broker or a queue: it is evaluated as it was then, and whether it comes
// too soon is decided by the times observed. A backlog of hours is not throttled. A zero
// time, or one after the service's, is now.
//
// A thing's time does not go back. A report that was observed before the last one
// that was evaluated, or before all that is kept, is accepted, logged, and counts as
// nothing: a queue may give reports twice, or in another order.
func (s *Service) ReportObserved(ctx context.Context, thing string, format report.Format, payload []byte, observed time.Time) report.Reply {
	reply := s.submit(ctx, thing, format, payload, observed)
	reply.ThingName = strings.ToValidUTF8(thing, "\uFFFD")
	if reply.Timestamp.IsZero() {
		reply.Timestamp = s.now()
	}
	// A fleet sends thousands a second: only what is out of the ordinary is said.
	level := slog.LevelDebug
	if reply.Status != report.Accepted {
		level = slog.LevelInfo
	}
	s.log.Log(ctx, level, "report", "thing", thing, "status", reply.Status, "report_id", reply.ReportID, "code", reply.ErrorCode, "bytes", len(payload))
	s.watch.took(TakenReport{Time: reply.Timestamp, Thing: thing, Format: format, Bytes: len(payload), Reply: reply})
	return reply
}

// submit reads a report and waits for what its lane says.
func (s *Service) submit(ctx context.Context, thing string, format report.Format, payload []byte, observed time.Time) report.Reply {
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
	p := &pendingReport{
		thing: thing, id: r.ID, digest: digest(payload), size: len(payload), measurements: detect.FromReport(r), answer: make(chan report.Reply, 1),
	}
	if !observed.IsZero() {
		p.observed = observed.UTC().Truncate(time.Millisecond)
	}
	unavailable := rejected(codeUnavailable, "The service is not available")
	if s.hand(ctx, &task{thing: thing, report: p}) != nil {
		return unavailable
	}
	// From here on it will be stored, whether the caller still waits or not.
	select {
	case reply := <-p.answer:
		if p.first && reply.Status == report.Accepted {
			s.log.Info("first report of a thing", "thing", thing, "report_id", reply.ReportID)
		}
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
	// Its only error is that the service is closing.
	_ = s.hand(context.Background(), &task{thing: ev.Thing, cloud: &ev})
}
