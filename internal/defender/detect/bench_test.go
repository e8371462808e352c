package detect

import (
	"fmt"
	"net/netip"
	"runtime"
	"testing"

	"github.com/device-defender/device-defender/internal/defender/profile"
	"github.com/device-defender/device-defender/internal/defender/report"
)

// fleetBehaviors are ten behaviors, two of them statistical and three on lists.
func fleetBehaviors() []profile.Behavior {
	return []profile.Behavior{
		statistical("PacketsOut", packetsOut, profile.LessThanEquals, "p99.99"),
		statistical("BytesOut", "aws:all-bytes-out", profile.LessThanEquals, "p99.99"),
		over(static("PacketsIn", "aws:all-packets-in", profile.LessThan, count(1_000_000)), 300),
		over(static("BytesIn", "aws:all-bytes-in", profile.LessThan, count(1<<40)), 900),
		over(static("TCPPortCount", tcpCount, profile.LessThanEquals, count(20)), 300),
		over(static("UDPPortCount", "aws:num-listening-udp-ports", profile.LessThanEquals, count(20)), 300),
		consecutive(over(static("Connections", "aws:num-established-tcp-connections", profile.LessThanEquals, count(200)), 300), 3, 3),
		static("TCPPorts", tcpPorts, profile.InPortSet, ports(22, 80, 443, 8883)),
		static("UDPPorts", "aws:listening-udp-ports", profile.NotInPortSet, ports(19, 161)),
		static("Destinations", destIPs, profile.InCIDRSet, cidrs("10.0.0.0/8", "127.0.0.0/8", "192.0.2.0/24", "198.51.100.0/24", "::1/128")),
	}
}

// fleetReport is the report of an ordinary device.
func fleetReport() *report.Report {
	r := &report.Report{ID: 1, Version: "1.0", Metrics: &report.Metrics{
		NetworkStats:      &report.NetworkStats{BytesIn: new(uint64(40_000)), BytesOut: new(uint64(30_000)), PacketsIn: new(uint64(400)), PacketsOut: new(uint64(300))},
		TCPConnections:    &report.EstablishedConnections{Total: new(int64(4)), Connections: []report.Connection{}},
		ListeningTCPPorts: &report.ListeningPorts{Total: new(int64(2)), Ports: []report.Port{{Port: 22}, {Port: 443}}},
		ListeningUDPPorts: &report.ListeningPorts{Total: new(int64(1)), Ports: []report.Port{{Port: 68}}},
	}}
	for _, a := range []string{"192.0.2.1:8883", "192.0.2.7:443", "10.1.2.3:22", "198.51.100.9:443"} {
		r.Metrics.TCPConnections.Connections = append(r.Metrics.TCPConnections.Connections, report.Connection{RemoteAddr: netip.MustParseAddrPort(a)})
	}
	return r
}

// BenchmarkFleet evaluates reports of 100,000 things under 10 behaviors, each
// thing once in five minutes.
func BenchmarkFleet(b *testing.B) {
	const things = 100_000
	names := make([]string, things)
	for i := range names {
		names[i] = fmt.Sprintf("thing-%06d", i)
	}
	r := fleetReport()
	heap := func() uint64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	before := heap()
	e := New()
	attach(b, e, "p", fleetBehaviors()...)
	n := 0
	observe := func() {
		// The traffic of each thing differs, and from report to report.
		*r.Metrics.NetworkStats.PacketsOut = uint64(n*7919%1000 + 300)
		*r.Metrics.NetworkStats.BytesOut = uint64(n*104729%100000 + 30000)
		at(e, names[n%things], n/things*300+n%things*300/things, FromReport(r)...)
		n++
	}
	for n < 4*things {
		observe()
	}
	size := heap() - before
	b.ReportAllocs()
	for b.Loop() {
		observe()
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "reports/s")
	b.ReportMetric(float64(size)/things, "bytes/thing")
	runtime.KeepAlive(e)
}

// BenchmarkStatistical is the fleet with ten statistical behaviors.
func BenchmarkStatistical(b *testing.B) {
	const things = 10_000
	e := New()
	var behaviors []profile.Behavior
	for i := range 10 {
		behaviors = append(behaviors, statistical(fmt.Sprint("b", i), packetsOut, profile.LessThanEquals, profile.Statistics[i%len(profile.Statistics)]))
	}
	attach(b, e, "p", behaviors...)
	names := make([]string, things)
	for i := range names {
		names[i] = fmt.Sprintf("thing-%06d", i)
	}
	m := of(packetsOut, count(0))
	n := 0
	for b.Loop() {
		*m.Value.Count = int64(n * 7919 % 1000)
		at(e, names[n%things], n/things*300, m)
		n++
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "reports/s")
}

func BenchmarkFromReport(b *testing.B) {
	r := fleetReport()
	b.ReportAllocs()
	for b.Loop() {
		FromReport(r)
	}
}

// BenchmarkThing evaluates reports as a service does: a thing is restored, and
// saved again. It has 10 behaviors and 250 connections.
func BenchmarkThing(b *testing.B) {
	var registry profile.Registry
	rules := Compile([]Attached{{Profile: &profile.Profile{Name: "p", Behaviors: fleetBehaviors()}, Targets: []profile.Target{{Kind: profile.AllThings}}, Registry: registry}}, nil)
	r := fleetReport()
	for a := netip.MustParseAddr("10.0.0.1"); len(r.Metrics.TCPConnections.Connections) < 250; a = a.Next() {
		r.Metrics.TCPConnections.Connections = append(r.Metrics.TCPConnections.Connections, report.Connection{RemoteAddr: netip.AddrPortFrom(a, 443)})
	}
	measured := FromReport(r)
	states := make([][]byte, 10_000)
	names := make([]string, len(states))
	for i := range names {
		names[i] = fmt.Sprintf("thing-%06d", i)
	}
	e := &Evaluation{Baselines: memory{}}
	n := 0
	report := func() {
		i := n % len(states)
		*measured[0].Value.Count = int64(n*7919%1000 + 300)
		t, err := rules.Restore(profile.Thing{Name: names[i], Registered: true}, states[i])
		if err != nil {
			b.Fatal(err)
		}
		t.Observe(e, Observation{Time: after(n/len(states)*300 + i*300/len(states)), Measurements: measured})
		states[i] = t.AppendSaved(states[i][:0])
		n++
	}
	for n < 3*len(states) {
		report()
	}
	b.ReportAllocs()
	for b.Loop() {
		report()
	}
	b.ReportMetric(float64(len(states[0])), "bytes/thing")
	if e.Ignored > 0 {
		b.Fatal(e.Ignored, "ignored")
	}
}
