package ingest

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/device-defender/device-defender/internal/defender/detect"
	"github.com/device-defender/device-defender/internal/defender/report"
	"github.com/device-defender/device-defender/internal/defender/service"
	"github.com/device-defender/device-defender/internal/memdir"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const payload = `{"header":{"report_id":7,"version":"1.0"},"metrics":{"network_stats":{"packets_out":1}}}`

// Each identity is tried with each thing.
func TestIdentitySpeaksForItsThing(t *testing.T) {
	s, err := service.Open(service.Options{Data: memdir.New(t), MinReportInterval: -1})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	in := New(s, slog.New(slog.DiscardHandler))
	things := []string{"core-1", "core-2", "core", "Core-1", ""}
	identities := map[string]struct {
		Identity
		may []string
	}{
		"core-1":  {Device("core-1", "certificate"), []string{"core-1"}},
		"core-2":  {Device("core-2", "certificate"), []string{"core-2"}},
		"gateway": {Gateway("broker"), []string{"core-1", "core-2", "core", "Core-1"}},
		"nobody":  {Identity{}, nil},
		"empty":   {Device("", "certificate"), nil},
	}
	for name, id := range identities {
		for _, thing := range things {
			t.Run(name+" for "+thing, func(t *testing.T) {
				allowed := false
				for _, may := range id.may {
					allowed = allowed || may == thing
				}
				reply, err := in.Report(t.Context(), Report{Thing: thing, Identity: id.Identity, Format: report.JSON, Payload: []byte(payload)})
				eventErr := in.Event(id.Identity, detect.CloudEvent{Thing: thing, Type: detect.Connect})
				if allowed {
					if err != nil || eventErr != nil || reply.Status != report.Accepted || reply.ThingName != thing {
						t.Errorf("%+v, %v, %v", reply, err, eventErr)
					}
				} else if !errors.Is(err, ErrNotOwn) || !errors.Is(eventErr, ErrNotOwn) || reply.Status != "" {
					t.Errorf("%+v, %v, %v", reply, err, eventErr)
				}
			})
		}
	}
}

// answering is a service that answers all reports alike.
type answering report.Reply

func (a answering) ReportObserved(context.Context, string, report.Format, []byte, time.Time) report.Reply {
	return report.Reply(a)
}
func (answering) Cloud(detect.CloudEvent) {}

// What is to be acknowledged is what has no error.
func TestOnlyWhatWasNotStoredIsNotAcknowledged(t *testing.T) {
	for _, test := range []struct {
		reply report.Reply
		want  error
	}{
		{report.Reply{Status: report.Accepted}, nil},
		{report.Reply{Status: report.Rejected, ErrorCode: "InvalidPayload"}, nil},
		{report.Reply{Status: report.Rejected, ErrorCode: "Throttled"}, nil},
		{report.Reply{Status: report.Rejected, ErrorCode: "ServiceUnavailable"}, ErrUnavailable},
	} {
		t.Run(fmt.Sprint(test.reply.Status, test.reply.ErrorCode), func(t *testing.T) {
			in := New(answering(test.reply), slog.New(slog.DiscardHandler))
			reply, err := in.Report(t.Context(), Report{Thing: "a", Identity: Device("a", "test"), Format: report.JSON})
			if !errors.Is(err, test.want) || reply != test.reply {
				t.Errorf("%+v, %v, want error %v", reply, err, test.want)
			}
		})
	}
}

// The time observed is that of the evaluation.
func TestTimeObserved(t *testing.T) {
	s, err := service.Open(service.Options{Data: memdir.New(t)})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	in := New(s, slog.New(slog.DiscardHandler))
	observed := time.Now().Add(-3 * time.Hour).UTC().Truncate(time.Millisecond)
	if _, err := in.Report(t.Context(), Report{Thing: "a", Identity: Device("a", "test"), Format: report.JSON, Payload: []byte(payload), Observed: observed}); err != nil {
		t.Fatal(err)
	}
	if state, _, err := s.Thing(t.Context(), "a"); err != nil || !state.LastReport.Equal(observed) {
		t.Errorf("last report %v, %v, want %v", state.LastReport, err, observed)
	}
}
