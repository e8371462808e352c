package ingest

import (
	"context"
	"errors"
	"fmt"

	"github.com/device-defender/device-defender/internal/defender/detect"
	"github.com/device-defender/device-defender/internal/defender/report"
	"github.com/device-defender/device-defender/internal/defender/service"
	"github.com/device-defender/device-defender/internal/ingest/iotrule"
)

// ErrPoison is of a message that no service will ever take. It stays so.
var ErrPoison = errors.New("the message can't be taken")

// Registry tells whose a certificate is.
type Registry interface {
	// ThingOfCertificate returns which thing a certificate is of; "" when of none.
	ThingOfCertificate(ctx context.Context, id string) (thing string, err error)
}

// Rules takes what rules of AWS IoT hand over, by whatever way it comes. Any number of
// goroutines may use it.
type Rules struct {
	intake   *Intake
	registry Registry
	recent   *iotrule.Recent
}

// NewRules returns the way in for messages of rules.
func NewRules(in *Intake, registry Registry) *Rules { return &Rules{in, registry, new(iotrule.Recent)} }

// By returns the same way in for one kind of source, whose reports are counted.
func (r *Rules) By(t *service.Tally) *Rules { return &Rules{r.intake.By(t), r.registry, r.recent} }

// Take takes a message. Its sender is the thing that its topic names. If the certificate that
// published it is one that is registered here, it is that certificate's thing, and it
// may name no other.
//
// Without an error the message is done with. [ErrUnavailable] is of one that is welcome
// later, [ErrPoison] of one that never will be.
func (r *Rules) Take(ctx context.Context, m *iotrule.Message) error {
	sender, name := m.Thing, "rule"
	if m.Principal != "" {
		name = "rule, certificate " + shortened(m.Principal)
		owner, err := r.registry.ThingOfCertificate(ctx, m.Principal)
		if err != nil {
			return fmt.Errorf("%w: looking up a certificate: %w", ErrUnavailable, err)
		}
		if owner != "" {
			sender = owner
		}
	}
	if m.Event != nil {
		// A client may have any id. Its certificate says more.
		return r.event(sender, name, m)
	}
	reply, err := r.intake.Report(ctx, Report{
		Thing: m.Thing, Identity: Device(sender, name), Format: m.Format, Payload: m.Payload, Observed: m.Time,
	})
	switch {
	case errors.Is(err, ErrNotOwn):
		return fmt.Errorf("%w: %w", ErrPoison, err)
	case err != nil:
		return err
	case reply.Status == report.Rejected && reply.ErrorCode == service.CodeInvalid:
		return fmt.Errorf("%w: report of thing %q is rejected: %s", ErrPoison, m.Thing, reply.ErrorMessage)
	}
	return nil
}

func (r *Rules) event(thing, name string, m *iotrule.Message) error {
	if !r.recent.Fresh(m) {
		return nil
	}
	err := r.intake.Event(Device(thing, name), detect.CloudEvent{
		Thing: thing, Time: m.Time, Type: m.Event.Type, ClientID: m.Event.Client, SourceIP: m.Event.Address,
	})
	if err != nil {
		return fmt.Errorf("%w: %w", ErrPoison, err)
	}
	return nil
}

func shortened(text string) string { return text[:min(len(text), 64)] }
