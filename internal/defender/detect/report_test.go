package detect

import (
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/device-defender/device-defender/internal/defender/profile"
	"github.com/device-defender/device-defender/internal/defender/report"
)

func TestFromReport(t *testing.T) {
	r := &report.Report{
		ID: 1, Version: "1.0",
		Metrics: &report.Metrics{
			NetworkStats: &report.NetworkStats{BytesIn: new(uint64(1)), BytesOut: new(uint64(1 << 63)), PacketsOut: new(uint64(3))},
			TCPConnections: &report.EstablishedConnections{
				Connections: []report.Connection{
					{RemoteAddr: netip.MustParseAddrPort("[2001:db8::1]:443")},
					{RemoteAddr: netip.MustParseAddrPort("192.0.2.7:8883")},
					{RemoteAddr: netip.MustParseAddrPort("192.0.2.7:443")},
				},
				Total: new(int64(300)),
			},
			ListeningTCPPorts: &report.ListeningPorts{Ports: []report.Port{{Port: 443, Interface: "eth0"}, {Port: 22}, {Port: 443, Interface: "lo"}}},
			ListeningUDPPorts: &report.ListeningPorts{Ports: []report.Port{}, Total: new(int64(0))},
		},
		CustomMetrics: map[string]report.CustomMetric{
			"battery":  {Type: report.Number, Number: 75.5},
			"fans":     {Type: report.NumberList, Numbers: []float64{1, 2}},
			"roles":    {Type: report.StringList, Strings: []string{}},
			"peers":    {Type: report.IPList, Strings: []string{"192.0.2.1"}},
			"unkept":   {Type: report.IPList, Strings: []string{"nowhere"}},
			"bad name": {Type: report.Number, Number: 1},
		},
	}
	want := []Measurement{
		of("aws:all-bytes-out", count(1<<63-1)),
		of("aws:all-bytes-in", count(1)),
		of("aws:all-packets-out", count(3)),
		of("aws:listening-tcp-ports", ports(22, 443)), // no total, no number of ports
		of("aws:num-listening-udp-ports", count(0)),
		of("aws:listening-udp-ports", ports()),
		of("aws:num-established-tcp-connections", count(300)),
		{Metric: profile.MetricRef{Name: "aws:destination-ip-addresses"}, Value: cidrs("192.0.2.7", "2001:db8::1"), Cut: &profile.Cut{Listed: 3, Total: 300}},
		of("battery", number(75.5)),
		of("fans", numbersOf(1, 2)),
		of("peers", cidrs("192.0.2.1")),
		of("roles", stringsOf()),
	}
	if d := cmp.Diff(want, FromReport(r), cmpopts.IgnoreUnexported(Measurement{})); d != "" {
		t.Error(d)
	}
	if got := FromReport(&report.Report{Metrics: &report.Metrics{}}); len(got) != 0 {
		t.Errorf("of a report without blocks: %v", got)
	}
}

// TestReportRaisesAlarm: a report's addresses are compared as they stand.
func TestReportRaisesAlarm(t *testing.T) {
	e := New()
	attach(t, e, "p", static("b", destIPs, profile.InCIDRSet, cidrs("192.0.2.0/24")))
	r := &report.Report{Metrics: &report.Metrics{TCPConnections: &report.EstablishedConnections{
		Connections: []report.Connection{{RemoteAddr: netip.MustParseAddrPort("[::ffff:192.0.2.7]:443")}, {RemoteAddr: netip.MustParseAddrPort("198.51.100.1:443")}},
	}}}
	got := at(e, "thing", 0, FromReport(r)...)
	if kinds(got) != "in-alarm" {
		t.Fatal(kinds(got))
	}
	if d := cmp.Diff([]string{"192.0.2.7", "198.51.100.1"}, got[0].Value.CIDRs); d != "" {
		t.Error(d)
	}
}

// TestCutLists: entries are connections, and ports on interfaces. Fewer of them
// than the total are a cut list, whatever distinct addresses and port numbers
// there are in it.
func TestCutLists(t *testing.T) {
	ssh := []report.Port{{Port: 22, Interface: "eth0"}, {Port: 22, Interface: "lo"}}
	remote := netip.MustParseAddrPort("192.0.2.7:443")
	broker := []report.Connection{{RemoteAddr: remote, LocalPort: new(uint16(40000))}, {RemoteAddr: remote, LocalPort: new(uint16(40001))}}
	for _, c := range []struct {
		name    string
		metrics report.Metrics
		want    *profile.Cut
	}{
		{"one port on two interfaces, both there", report.Metrics{ListeningTCPPorts: &report.ListeningPorts{Ports: ssh, Total: new(int64(2))}}, nil},
		{"and a third that is not", report.Metrics{ListeningTCPPorts: &report.ListeningPorts{Ports: ssh, Total: new(int64(3))}}, &profile.Cut{Listed: 2, Total: 3}},
		{"UDP", report.Metrics{ListeningUDPPorts: &report.ListeningPorts{Ports: ssh[:1], Total: new(int64(2))}}, &profile.Cut{Listed: 1, Total: 2}},
		{"two connections to one address, both there", report.Metrics{TCPConnections: &report.EstablishedConnections{Connections: broker, Total: new(int64(2))}}, nil},
		{"and a third that is not", report.Metrics{TCPConnections: &report.EstablishedConnections{Connections: broker, Total: new(int64(3))}}, &profile.Cut{Listed: 2, Total: 3}},
		{"an empty list, and there are some", report.Metrics{TCPConnections: &report.EstablishedConnections{Connections: []report.Connection{}, Total: new(int64(3))}}, &profile.Cut{Total: 3}},
		{"none at all", report.Metrics{TCPConnections: &report.EstablishedConnections{Connections: []report.Connection{}, Total: new(int64(0))}}, nil},
		{"without a total", report.Metrics{TCPConnections: &report.EstablishedConnections{Connections: broker}}, nil},
		{"a total that is too low", report.Metrics{TCPConnections: &report.EstablishedConnections{Connections: broker, Total: new(int64(1))}}, nil},
	} {
		for _, m := range FromReport(&report.Report{Metrics: &c.metrics}) {
			want := c.want
			if m.Value.Count != nil {
				want = nil // the total itself is never cut
			}
			if d := cmp.Diff(want, m.Cut); d != "" {
				t.Errorf("%s: %s: %s", c.name, m.Metric, d)
			}
		}
	}
}
