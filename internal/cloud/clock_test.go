package cloud_test

import (
	"testing"
	"time"

	"github.com/device-defender/device-defender/internal/cloud"
	"github.com/device-defender/device-defender/internal/defender/servicetest"
)

// A service that began in the past is asked for its own "last hour".
func TestNowIsTheServicesTime(t *testing.T) {
	begin := time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC)
	w := servicetest.NewWorld(t, begin)
	got := cloud.Options{EndpointURL: w.URL}.Now(t.Context())
	if d := got.Sub(begin); d < 0 || d > 2*time.Second {
		t.Errorf("now is %v, want the service's %v", got, begin)
	}
	for name, endpoint := range map[string]string{
		"nobody listens": "http://127.0.0.1:1", "not this machine": "http://192.0.2.1", "AWS": "",
	} {
		before := time.Now()
		now := cloud.Options{EndpointURL: endpoint}.Now(t.Context())
		if after := time.Now(); now.Before(before) || now.After(after) {
			t.Errorf("%s: now is %v, want this machine's time, %v to %v", name, now, before, after)
		}
	}
}
