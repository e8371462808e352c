package agent

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/device-defender/device-defender/internal/defender/report"
)

// A figure that a report does not have is not in the log either.
func TestFiguresOfAPartialReport(t *testing.T) {
	r := &report.Report{Metrics: &report.Metrics{
		NetworkStats:      &report.NetworkStats{BytesIn: new(uint64(5)), PacketsOut: new(uint64(7))},
		ListeningUDPPorts: &report.ListeningPorts{},
		ListeningTCPPorts: &report.ListeningPorts{Total: new(int64(3))},
	}}
	want := []any{"tcp_ports", int64(3), "bytes_in", uint64(5), "packets_out", uint64(7)}
	if diff := cmp.Diff(want, figures(r)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if got := figures(&report.Report{}); got != nil {
		t.Errorf("%v of a report without metrics", got)
	}
}
