package web

import (
	"log/slog"
	"testing"
	"time"

	"github.com/device-defender/device-defender/internal/browsertest"
	"github.com/device-defender/device-defender/internal/defender/report"
	"github.com/device-defender/device-defender/internal/defender/service"
	"github.com/device-defender/device-defender/internal/defender/servicetest"
)

func TestMain(m *testing.M) {
	time.Local = time.UTC // pages show this machine's time
	browsertest.Main(m)
}

// newWorld is a service with its pages, at six in the morning.
func newWorld(t testing.TB) *servicetest.World {
	t.Helper()
	return servicetest.NewWorld(t, time.Date(2026, 11, 22, 6, 0, 0, 0, time.UTC), func(o *service.Options) {
		o.Pages = Pages(slog.New(slog.NewTextHandler(t.Output(), nil)), nil)
	})
}

// hostile is what a thing may call itself, and what it may report. Only some
// of it may be in a name: no control character and no slash.
const hostile = `<img src=x onerror=window.taken=1>"'&` + "\u202egpj.exe"

// story is a world in which much has happened: gateway-2 exfiltrated and
// stopped, gateway-1 does it now, and a thing that nobody knows has reported
// what it likes.
func story(t *testing.T) *servicetest.World {
	t.Helper()
	w := newWorld(t)
	w.Things("gateway-1", "gateway-2", "silent-1")
	w.Profile("DataExfiltrationCheck", servicetest.PacketExfiltration(1))
	w.Exfiltrate()
	w.Report(hostile, 10, "192.0.2.1")
	w.Pass(5 * time.Minute)
	w.Report("gateway-1", 4870, servicetest.Broker, servicetest.Unknown)
	w.Service.Report(t.Context(), "gateway-2", report.JSON, []byte(`{"header":{"report_id":1,"version":"1.0"}}`))
	return w
}
