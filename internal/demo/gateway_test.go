package demo

import (
	"context"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/device-defender/device-defender/internal/defender/report"
	"github.com/device-defender/device-defender/internal/greengrass/localcore"
)

// A gateway reports what its device does, and hears that it was accepted.
func TestGatewayReportsItsDevice(t *testing.T) {
	d := start(t)
	g, err := NewGateway(t.Context(), "gateway-1", d.ProcRoot, time.Second)
	if err != nil {
		t.Fatal(err)
	}
	defer g.Close()
	var mu sync.Mutex
	var last *report.Report
	g.Core.Tap(func(m localcore.Message) {
		if thing, _, ok := report.ParseTopic(m.Topic); ok && thing == "gateway-1" {
			r, _, err := report.Decode(m.Payload)
			if err != nil {
				t.Error(err)
				return
			}
			mu.Lock()
			last = r
			mu.Unlock()
		}
	})
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- g.Run(ctx, slog.New(slog.DiscardHandler)) }()
	// The core answers reports itself, with AWS's 300 seconds between two.
	until(t, "a report is accepted", func() bool { return g.Accepted() > 0 })
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	mu.Lock()
	defer mu.Unlock()
	var ports []uint16
	for _, p := range last.Metrics.ListeningTCPPorts.Ports {
		ports = append(ports, p.Port)
	}
	slices.Sort(ports)
	if !slices.Equal(ports, []uint16{443, 8883}) {
		t.Errorf("listening %v, want 443 and 8883", ports)
	}
}
