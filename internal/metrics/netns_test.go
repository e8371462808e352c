package metrics

import (
	"runtime"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/device-defender/device-defender/internal/defender/report"
	"github.com/device-defender/device-defender/internal/hostproc"
	"github.com/device-defender/device-defender/internal/hostproc/hostproctest"
)

// The fixed socket scenario on real sockets of another network namespace, seen
// through its mounted /proc as the component in a container sees its host.
func TestLiveScenario(t *testing.T) {
	host := hostproctest.Start(t)
	first := collect(t, host.Root(), all(), nil)
	if diff := cmp.Diff(liveTCP("br-a1"), first.Metrics.ListeningTCPPorts.Ports); diff != "" {
		t.Errorf("listening TCP ports (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(wantUDP[:5], first.Metrics.ListeningUDPPorts.Ports); diff != "" {
		t.Errorf("listening UDP ports (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(wantConnections, first.Metrics.TCPConnections.Connections, equal); diff != "" {
		t.Errorf("connections (-want +got):\n%s", diff)
	}
	if first.Metrics.NetworkStats != nil || hasCPU(first) {
		t.Error("the first sample has network_stats or cpu_usage")
	}

	// dum0 carries retries of the connection that is being opened: look at lo.
	onLoopback := all()
	onLoopback.Interfaces.Include = []string{"lo"}
	host.SendDatagrams(t)
	second := collect(t, host.Root(), onLoopback, first.Baseline)
	wantStats := &report.NetworkStats{
		BytesIn: new(uint64(10_280)), BytesOut: new(uint64(10_280)), PacketsIn: new(uint64(10)), PacketsOut: new(uint64(10)),
	}
	if diff := cmp.Diff(wantStats, second.Metrics.NetworkStats); diff != "" {
		t.Errorf("network_stats (-want +got):\n%s", diff)
	}
	if !slices.Contains(second.Metrics.ListeningUDPPorts.Ports, port(43098, "0.0.0.0")) {
		t.Errorf("the unbound sender is missing of %v", second.Metrics.ListeningUDPPorts.Ports)
	}

	withoutLoopback := all()
	withoutLoopback.IncludeLoopback = false
	host.DeleteInterface(t)
	third := collect(t, host.Root(), withoutLoopback, second.Baseline)
	if n := third.Metrics.NetworkStats; *n.BytesIn > 1e6 || *n.PacketsIn > 1e4 {
		t.Errorf("network_stats after an interface is gone: %d bytes, %d packets in", *n.BytesIn, *n.PacketsIn)
	}
	if total := *third.Metrics.TCPConnections.Total; total != 6 {
		t.Errorf("%d connections without loopback, want 6", total)
	}
	untilTick(t, host.Root(), third.Baseline.CPU)
	whole := collect(t, host.Root(), all(), third.Baseline)
	if diff := cmp.Diff(liveTCP(""), whole.Metrics.ListeningTCPPorts.Ports); diff != "" {
		t.Errorf("listening TCP ports after br-a1 is gone (-want +got):\n%s", diff)
	}
	if !hasCPU(whole) {
		t.Error("no cpu_usage in a later sample")
	}
}

// untilTick waits until the processors' clocks have ticked: within one tick, of a
// hundredth of a second, there is no CPU usage to tell.
func untilTick(t *testing.T, root string, before hostproc.CPUTime) {
	t.Helper()
	host, err := hostproc.Open(root)
	if err != nil {
		t.Fatal(err)
	}
	for {
		now, err := host.CPU()
		if err != nil {
			t.Fatal(err)
		}
		if _, ok := now.BusySince(before); ok {
			return
		}
		runtime.Gosched()
	}
}

// liveTCP is the scenario's listening TCP ports; port 1006 listens on br-a1
// while that exists.
func liveTCP(bridge string) []report.Port {
	ports := slices.Clone(wantTCP)
	ports[5] = port(1006, bridge)
	return ports
}

func hasCPU(s Sample) bool {
	_, ok := s.Custom["cpu_usage"]
	return ok
}
