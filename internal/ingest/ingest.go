// Package ingest is the one way in for what sources bring: a broker, a queue, a
// gateway. A source hands over who says it, of which thing, what, and when that was
// observed, and hears when it is durable. Its own acknowledgement to the sender hangs
// on that: an MQTT PUBACK, the deletion of a message of a queue, an HTTP 200.
//
// A source may hand over the same report twice and in another order: see
// [service.Service.ReportObserved].
package ingest

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/device-defender/device-defender/internal/defender/detect"
	"github.com/device-defender/device-defender/internal/defender/report"
	"github.com/device-defender/device-defender/internal/defender/service"
)

// Identity is who hands something over, as the source has authenticated it. The zero
// value may speak for no thing.
type Identity struct {
	name    string
	thing   string
	anyone  bool
	enrolls bool
}

// Device is the identity of a thing. It speaks for itself only. The name says in logs
// by what it was authenticated.
func Device(thing, name string) Identity { return Identity{name: name, thing: thing} }

// Gateway is the identity of what speaks for all things, such as a broker that guards
// its topics by rules of its own.
func Gateway(name string) Identity { return Identity{name: name, anyone: true} }

// Enrolling is the identity with the right to have things registered: its first report of
// a thing does that, see [Intake.EnrollBy].
func (id Identity) Enrolling() Identity {
	id.enrolls = true
	return id
}

// String is for logs.
func (id Identity) String() string { return id.name }

// SpeaksFor reports whether what is said of the thing may come from this identity.
func (id Identity) SpeaksFor(thing string) bool {
	return thing != "" && (id.anyone || id.thing == thing)
}

// Report is a report that a source hands over.
type Report struct {
	Thing    string
	Identity Identity
	Format   report.Format // of the topic that it came on
	Payload  []byte
	// Observed is when it came to the source, if the source is trusted to know; zero is
	// now.
	Observed time.Time
}

// What [Intake.Report] fails with.
var (
	// ErrNotOwn is of an identity that speaks of another thing. It stays so.
	ErrNotOwn = errors.New("identity does not speak for the thing")
	// ErrUnavailable is of a report that could not be stored. The same report is
	// welcome later.
	ErrUnavailable = errors.New("the report could not be stored")
)

// Service is what takes reports and events: a [service.Service].
type Service interface {
	ReportObserved(ctx context.Context, thing string, format report.Format, payload []byte, observed time.Time) report.Reply
	Cloud(ev detect.CloudEvent)
}

// Intake takes what sources bring. Any number of goroutines may use it.
type Intake struct {
	service Service
	log     *slog.Logger
	enroll  func(ctx context.Context, thing string) error // nil: things are registered elsewhere
}

// New returns the way into a service.
func New(s Service, log *slog.Logger) *Intake { return &Intake{service: s, log: log} }

// EnrollBy has things registered by the reports of identities that may do so. It is called
// before each of these reports, and before the intake is used.
func (in *Intake) EnrollBy(enroll func(ctx context.Context, thing string) error) { in.enroll = enroll }

// Report takes a report and returns what to reply to the thing. Without an error the
// report is done with, and is acknowledged to whoever sent it: it is on disk with all
// that follows, or rejected for good. With an error it must not be acknowledged.
func (in *Intake) Report(ctx context.Context, r Report) (report.Reply, error) {
	if !r.Identity.SpeaksFor(r.Thing) {
		in.log.Warn("report of another thing is refused", "thing", r.Thing, "identity", r.Identity)
		return report.Reply{}, fmt.Errorf("%w: %s, thing %.128q", ErrNotOwn, r.Identity, r.Thing)
	}
	if in.enroll != nil && r.Identity.enrolls {
		if err := in.enroll(ctx, r.Thing); err != nil {
			return report.Reply{}, fmt.Errorf("%w: %w", ErrUnavailable, err)
		}
	}
	reply := in.service.ReportObserved(ctx, r.Thing, r.Format, r.Payload, r.Observed)
	if reply.Status == report.Rejected && reply.ErrorCode == service.CodeUnavailable {
		return reply, fmt.Errorf("%w: thing %q", ErrUnavailable, r.Thing)
	}
	return reply, nil
}

// Event counts what happened between a thing and the cloud. It may wait while the
// service is behind, and the event is on disk within a second or so.
func (in *Intake) Event(id Identity, ev detect.CloudEvent) error {
	if !id.SpeaksFor(ev.Thing) {
		return fmt.Errorf("%w: %s, thing %.128q", ErrNotOwn, id, ev.Thing)
	}
	in.service.Cloud(ev)
	return nil
}

// Answer is what is published to a thing as the reply to its report, and on which
// topic.
func Answer(reply report.Reply, thing string, format report.Format) (topic string, payload []byte, err error) {
	topic = report.AcceptedTopic(thing, format)
	if reply.Status == report.Rejected {
		topic = report.RejectedTopic(thing, format)
	}
	payload, err = reply.Encode(format)
	return topic, payload, err
}
