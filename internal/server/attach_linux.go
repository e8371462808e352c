package server

import (
	"context"
	"errors"
	"net/netip"

	"github.com/device-defender/device-defender/internal/defender/detect"
	"github.com/device-defender/device-defender/internal/defender/report"
	"github.com/device-defender/device-defender/internal/greengrass/localcore"
	"github.com/device-defender/device-defender/internal/ingest"
)

// Attach registers a thing and puts the service behind the topics of its core:
// it answers the reports, and hears of every message that the thing sends or
// receives, and of its connection. The device reports as its own thing only. The
// core must be closed before the server is.
func (s *Server) Attach(ctx context.Context, core *localcore.Core, thing string) error {
	if err := s.Register(ctx, thing); err != nil {
		return err
	}
	in, device := s.Intake().By(s.Tally("core")), ingest.Device(thing, "stand-in core")
	core.SetDefender(func(m localcore.Message) []localcore.Message {
		named, format, ok := report.ParseTopic(m.Topic)
		if !ok {
			return nil
		}
		reply, err := in.Report(context.Background(), ingest.Report{Thing: named, Identity: device, Format: format, Payload: m.Payload})
		if errors.Is(err, ingest.ErrNotOwn) {
			return nil // as for one that AWS IoT does not let through
		}
		topic, payload, err := ingest.Answer(reply, named, format)
		if err != nil {
			return nil
		}
		return []localcore.Message{{Topic: topic, Payload: payload}}
	})
	core.OnConnection(func(connected bool) {
		ev := detect.CloudEvent{Thing: thing, Type: detect.Disconnect, ClientID: thing}
		if connected {
			ev.Type, ev.SourceIP = detect.Connect, netip.AddrFrom4([4]byte{127, 0, 0, 1})
		}
		s.Cloud(ev)
	})
	core.Tap(func(m localcore.Message) { s.Cloud(cloudEvent(thing, m)) })
	return nil
}

// cloudEvent is what AWS IoT counts of a message of this thing.
func cloudEvent(thing string, m localcore.Message) detect.CloudEvent {
	direction := detect.Deliver
	if m.Component != "" {
		direction = detect.Publish
	}
	return detect.CloudEvent{
		Thing: thing, Type: direction, Topic: m.Topic, Bytes: len(m.Payload), ClientID: thing,
		SourceIP: netip.AddrFrom4([4]byte{127, 0, 0, 1}),
	}
}
