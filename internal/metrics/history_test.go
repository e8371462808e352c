package metrics

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/device-defender/device-defender/internal/defender/report"
	"github.com/device-defender/device-defender/internal/hostproc"
)

// lite is the payload limit of nucleus lite, in bytes.
const lite = 7000

// crowd is a host whose sockets change from report to report.
type crowd struct {
	t       testing.TB
	root    string
	options Options
	limit   int // of the report, in bytes
	history History
}

func newCrowd(t testing.TB) *crowd {
	root := copyTree(t)
	for _, name := range []string{"tcp6", "udp", "udp6"} {
		write(t, root, "1/net/"+name, socketHeader)
	}
	return &crowd{t: t, root: root, options: options(), limit: report.MaxSize}
}

const socketHeader = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n"

// word shows an IPv4 address as the kernel does.
func word(addr string) string {
	b := netip.MustParseAddr(addr).As4()
	return fmt.Sprintf("%02X%02X%02X%02X", b[3], b[2], b[1], b[0])
}

// connected is a row of a connection, listening one of a listener.
func connected(local string, localPort int, remote string, remotePort int) string {
	return fmt.Sprintf("   0: %s:%04X %s:%04X 01 00000000:00000000 00:00000000 00000000     0        0 1 1\n", word(local), localPort, word(remote), remotePort)
}

func listening(local string, port int) string {
	return fmt.Sprintf("   0: %s:%04X 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 1 1\n", word(local), port)
}

// report takes a sample of these rows and sends it.
func (c *crowd) report(rows ...string) *report.Metrics {
	c.t.Helper()
	write(c.t, c.root, "1/net/tcp", socketHeader+strings.Join(rows, ""))
	host, err := hostproc.Open(c.root)
	if err != nil {
		c.t.Fatal(err)
	}
	s := Collect(host, c.options, nil, &c.history)
	r := &report.Report{ID: 1, Version: report.DocumentVersion, Metrics: s.Metrics}
	_, sent, _, err := r.Fit(report.Encoding{}, c.limit)
	if err != nil {
		c.t.Fatal(err)
	}
	c.history.Add(sent)
	return sent.Metrics
}

func hasRemote(m *report.Metrics, addr string) bool {
	return slices.ContainsFunc(m.TCPConnections.Connections, func(c report.Connection) bool {
		return c.RemoteAddr.Addr().String() == addr
	})
}

func hasPort(m *report.Metrics, port uint16) bool {
	return slices.ContainsFunc(m.ListeningTCPPorts.Ports, func(p report.Port) bool { return p.Port == port })
}

// bothLimits runs a test with the room of each nucleus.
func bothLimits(t *testing.T, test func(t *testing.T, c *crowd)) {
	for name, limit := range map[string]int{"java": report.MaxSize, "lite": lite} {
		t.Run(name, func(t *testing.T) {
			c := newCrowd(t)
			c.limit = limit
			test(t, c)
		})
	}
}

// A local user opens new connections over loopback for every report, to ports
// and to addresses of 127.0.0.0/8. The one to another host is in each report.
func TestLoopbackHidesNoOtherHost(t *testing.T) {
	bothLimits(t, func(t *testing.T, c *crowd) {
		for round := range 30 {
			var rows []string
			for i := range 400 {
				rows = append(rows,
					connected("127.0.0.1", 1024+i, "127.0.0.1", 20000+round*400+i),
					connected("127.0.0.1", 1024+i, fmt.Sprintf("127.%d.%d.%d", round, i/250, 1+i%250), 443))
			}
			rows = append(rows, connected("10.9.0.1", 40000, "203.0.113.66", 8443))
			m := c.report(rows...)
			if !hasRemote(m, "203.0.113.66") {
				t.Fatalf("report %d does not have it", round)
			}
			if want := int64(801); *m.TCPConnections.Total != want {
				t.Fatalf("total %d, want %d", *m.TCPConnections.Total, want)
			}
		}
	})
}

// A local user opens new ports for every report, below the one that matters and
// as visible: each port waits its turn, and no longer.
func TestPortsHideNoPort(t *testing.T) {
	bothLimits(t, func(t *testing.T, c *crowd) {
		seen := 0
		const rounds = 40
		for round := range rounds {
			var rows []string
			for i := range 300 {
				rows = append(rows, listening("0.0.0.0", 1024+round*300+i))
			}
			if round > 0 {
				rows = append(rows, listening("0.0.0.0", 31337))
			}
			if hasPort(c.report(rows...), 31337) {
				seen++
			} else if round == 2 && seen == 0 {
				t.Fatal("not in the second report after it was opened")
			}
		}
		if seen < 2 {
			t.Errorf("in %d of %d reports", seen, rounds)
		}
	})
}

// What is there all the time hides nothing that is new, not even on loopback.
func TestSteadyHidesNothingNew(t *testing.T) {
	bothLimits(t, func(t *testing.T, c *crowd) {
		var rows []string
		for i := range 300 {
			rows = append(rows, listening("0.0.0.0", 2000+i), connected("10.9.0.1", 1024+i, fmt.Sprintf("198.51.%d.%d", i/250, 1+i%250), 443))
		}
		for range 10 {
			c.report(rows...)
		}
		rows = append(rows, listening("127.0.0.1", 60001), listening("10.9.0.1", 60002),
			connected("127.0.0.1", 50000, "127.0.0.9", 50001), connected("10.9.0.1", 50000, "203.0.113.66", 443))
		m := c.report(rows...)
		if !hasPort(m, 60001) || !hasPort(m, 60002) || !hasRemote(m, "127.0.0.9") || !hasRemote(m, "203.0.113.66") {
			t.Error("something new is missing")
		}
	})
}

// Everything is seen in turn, whatever its class, and as often as the rest.
func TestEverythingInTurn(t *testing.T) {
	c := newCrowd(t)
	c.options.MaxListItems = 40
	var rows []string
	for i := range 200 {
		rows = append(rows, connected("10.9.0.1", 1024+i, fmt.Sprintf("198.51.100.%d", 1+i), 443),
			connected("127.0.0.1", 1024+i, fmt.Sprintf("127.0.0.%d", 1+i), 443))
	}
	times := make(map[string]int)
	// Until each was reported once, those that were new go first.
	const first, rounds = 20, 40
	for round := range first + rounds {
		m := c.report(rows...)
		if n := len(m.TCPConnections.Connections); n != 40 {
			t.Fatalf("%d connections, want 40", n)
		}
		for _, connection := range m.TCPConnections.Connections {
			if round >= first {
				times[connection.RemoteAddr.Addr().String()]++
			}
		}
	}
	if len(times) != 400 {
		t.Errorf("%d addresses were reported, want all 400", len(times))
	}
	for _, class := range []string{"198.51.100.", "127.0.0."} {
		var counts []int
		for addr, n := range times {
			if strings.HasPrefix(addr, class) {
				counts = append(counts, n)
			}
		}
		if least, most := slices.Min(counts), slices.Max(counts); most > least+2 {
			t.Errorf("%s: reported between %d and %d times", class, least, most)
		}
	}
}

// The connections of one address take turns.
func TestConnectionsOfAnAddressInTurn(t *testing.T) {
	c := newCrowd(t)
	c.options.MaxListItems = 4
	var rows []string
	for i := range 4 {
		rows = append(rows, connected("10.9.0.1", 1024+i, fmt.Sprintf("198.51.100.%d", 1+i), 443))
	}
	for i := range 5 {
		rows = append(rows, connected("10.9.0.1", 2000+i, "198.51.100.1", 9000+i))
	}
	ports := make(map[uint16]bool)
	for range 6 {
		for _, connection := range c.report(rows...).TCPConnections.Connections {
			if connection.RemoteAddr.Addr() == netip.MustParseAddr("198.51.100.1") {
				ports[connection.RemoteAddr.Port()] = true
			}
		}
	}
	if len(ports) != 6 {
		t.Errorf("%d of its 6 connections were reported", len(ports))
	}
}

// A port on loopback says nothing of the same number on other interfaces.
func TestPortIsNewOnAnotherInterface(t *testing.T) {
	c := newCrowd(t)
	rows := []string{listening("127.0.0.1", 5000)}
	for i := range 40 {
		rows = append(rows, listening("0.0.0.0", 6000+i))
	}
	for range 3 {
		c.report(rows...)
	}
	c.options.MaxListItems = 2
	m := c.report(append(rows, listening("0.0.0.0", 5000))...)
	if !slices.Contains(m.ListeningTCPPorts.Ports, port(5000, "0.0.0.0")) {
		t.Errorf("ports %v", m.ListeningTCPPorts.Ports)
	}
}

// What fits is the same report each time, and the same host gives the same
// reports.
func TestSameHostSameReports(t *testing.T) {
	var rows []string
	for i := range 100 {
		rows = append(rows, listening("0.0.0.0", 2000+i), connected("10.9.0.1", 1024+i, fmt.Sprintf("198.51.100.%d", 1+i), 443))
	}
	a := newCrowd(t)
	first := a.report(rows...)
	for range 3 {
		if diff := cmp.Diff(first, a.report(rows...), equal); diff != "" {
			t.Errorf("lists that fit changed (-first +later):\n%s", diff)
		}
	}
	a, b := newCrowd(t), newCrowd(t)
	for round := range 8 {
		rows = append(rows, listening("127.0.0.1", 3000+round))
		a.options.MaxListItems, b.options.MaxListItems = 10+round, 10+round
		if diff := cmp.Diff(a.report(rows...), b.report(rows...), equal); diff != "" {
			t.Fatalf("the same host and the same reports before gave another report:\n%s", diff)
		}
	}
}

// History forgets what is gone: what comes back is new.
func TestHistoryForgets(t *testing.T) {
	c := newCrowd(t)
	c.report(listening("0.0.0.0", 80), connected("10.9.0.1", 1, "198.51.100.1", 443))
	if len(c.history.tcpPorts) != 1 || len(c.history.addresses) != 1 {
		t.Fatalf("%d ports, %d addresses, want one of each", len(c.history.tcpPorts), len(c.history.addresses))
	}
	c.report()
	if len(c.history.tcpPorts) != 0 || len(c.history.addresses) != 0 {
		t.Errorf("%d ports, %d addresses are left", len(c.history.tcpPorts), len(c.history.addresses))
	}
	// A table that can't be read is no reason to forget.
	c.report(listening("0.0.0.0", 80))
	write(t, c.root, "1/net/tcp", "garbage\n")
	collectWith(t, c.root, c.options, &c.history)
	if len(c.history.tcpPorts) != 1 {
		t.Error("forgotten because the table was not read")
	}
}

func collectWith(t *testing.T, root string, o Options, h *History) Sample {
	t.Helper()
	host, err := hostproc.Open(root)
	if err != nil {
		t.Fatal(err)
	}
	return Collect(host, o, nil, h)
}

// A delivery ends while the next sample is taken.
func TestHistoryConcurrently(t *testing.T) {
	c := newCrowd(t)
	sent := &report.Report{Metrics: c.report(listening("0.0.0.0", 80))}
	var running sync.WaitGroup
	for range 4 {
		running.Go(func() { c.history.Add(sent) })
		running.Go(func() { collectWith(t, c.root, c.options, &c.history) })
	}
	running.Wait()
	(*History)(nil).Add(sent)
}

// MaxListItems is said to have cut.
func TestCutIsTold(t *testing.T) {
	o := all()
	o.MaxListItems = 3
	want := report.Cut{Connections: 7, TCPPorts: 7, UDPPorts: 3, CustomListItems: 3}
	if got := collect(t, scenario, o, nil).Cut; !cmp.Equal(want, got) {
		t.Errorf("cut %v, want %v", got, want)
	}
	if got := collect(t, scenario, all(), nil).Cut; !got.IsZero() {
		t.Errorf("cut %v, want nothing", got)
	}
}
