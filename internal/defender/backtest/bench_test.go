package backtest

import (
	"bufio"
	"context"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"testing"

	"github.com/device-defender/device-defender/internal/defender/detect"
	"github.com/device-defender/device-defender/internal/defender/report"
)

// fleet is ten behaviors, on all metrics of a report; two are statistical.
const fleet = `
securityProfileName: Fleet
behaviors:
  - {name: PacketsOut, metric: aws:all-packets-out, criteria: {comparisonOperator: less-than-equals, statisticalThreshold: {statistic: p99.99}, durationSeconds: 300, consecutiveDatapointsToAlarm: 3}}
  - {name: BytesOut, metric: aws:all-bytes-out, criteria: {comparisonOperator: less-than-equals, statisticalThreshold: {statistic: p99.99}, durationSeconds: 300, consecutiveDatapointsToAlarm: 3}}
  - {name: PacketsIn, metric: aws:all-packets-in, criteria: {comparisonOperator: less-than-equals, value: {count: 1000}, durationSeconds: 300}}
  - {name: BytesIn, metric: aws:all-bytes-in, criteria: {comparisonOperator: less-than-equals, value: {count: 10000000}, durationSeconds: 900}}
  - {name: TCPPortCount, metric: aws:num-listening-tcp-ports, criteria: {comparisonOperator: less-than-equals, value: {count: 20}, durationSeconds: 300}}
  - {name: UDPPortCount, metric: aws:num-listening-udp-ports, criteria: {comparisonOperator: less-than-equals, value: {count: 20}, durationSeconds: 300}}
  - {name: Connections, metric: aws:num-established-tcp-connections, criteria: {comparisonOperator: less-than-equals, value: {count: 200}, durationSeconds: 300}}
  - {name: TCPPorts, metric: aws:listening-tcp-ports, criteria: {comparisonOperator: in-port-set, value: {ports: [22, 443, 8883]}}}
  - {name: UDPPorts, metric: aws:listening-udp-ports, criteria: {comparisonOperator: not-in-port-set, value: {ports: [19, 161]}}}
  - {name: Destinations, metric: aws:destination-ip-addresses, criteria: {comparisonOperator: in-cidr-set, value: {cidrs: [10.0.0.0/8, 192.0.2.0/24, 198.51.100.0/24]}}}
`

// excess is a behavior that every third datapoint violates.
const excess = `
securityProfileName: Excess
behaviors: [{name: PacketsOut, metric: aws:all-packets-out, criteria: {comparisonOperator: less-than-equals, value: {count: 900}, durationSeconds: 300}}]
`

// write writes reports of so many things, each every five minutes, with ten
// metrics in a report as it is of an ordinary device.
func write(b *testing.B, things, reports int) string {
	b.Helper()
	name := filepath.Join(b.TempDir(), "fleet.ndjson")
	f, err := os.Create(name)
	if err != nil {
		b.Fatal(err)
	}
	defer f.Close()
	w := bufio.NewWriter(f)
	r := &report.Report{ID: 1, Version: "1.0", Metrics: &report.Metrics{
		NetworkStats:      &report.NetworkStats{BytesIn: new(uint64), BytesOut: new(uint64), PacketsIn: new(uint64), PacketsOut: new(uint64)},
		TCPConnections:    &report.EstablishedConnections{Total: new(int64(4)), Connections: []report.Connection{}},
		ListeningTCPPorts: &report.ListeningPorts{Total: new(int64(2)), Ports: []report.Port{{Port: 22, Interface: "0.0.0.0"}, {Port: 443, Interface: "eth0"}}},
		ListeningUDPPorts: &report.ListeningPorts{Total: new(int64(1)), Ports: []report.Port{{Port: 68, Interface: "eth0"}}},
	}}
	for _, a := range []string{"192.0.2.1:8883", "192.0.2.7:443", "10.1.2.3:22", "198.51.100.9:443"} {
		r.Metrics.TCPConnections.Connections = append(r.Metrics.TCPConnections.Connections, report.Connection{RemoteAddr: netip.MustParseAddrPort(a), LocalInterface: "eth0", LocalPort: new(uint16(40000))})
	}
	for i := range reports {
		for k := range things {
			n := uint64(i*things + k)
			*r.Metrics.NetworkStats.PacketsOut, *r.Metrics.NetworkStats.PacketsIn = n*7919%1000+300, n*7907%500
			*r.Metrics.NetworkStats.BytesOut, *r.Metrics.NetworkStats.BytesIn = n*104729%100000+30000, n*104723%100000
			r.ID = int64(n) + 1
			line, err := ReportLine(fmt.Sprintf("thing-%04d", k), at(5*i), r)
			if err != nil {
				b.Fatal(err)
			}
			w.Write(line)
		}
	}
	if err := w.Flush(); err != nil {
		b.Fatal(err)
	}
	return name
}

// BenchmarkRun is a backtest from the file to the result: a million datapoints
// of a thousand things. With a behavior that is excessive, the file is read a
// second time.
func BenchmarkRun(b *testing.B) {
	const things, reports = 1000, 100
	name := write(b, things, reports)
	for _, c := range []struct{ name, profiles string }{{"fleet", fleet}, {"excess", fleet + "---\n" + excess}} {
		b.Run(c.name, func(b *testing.B) {
			s := set(b, c.profiles)
			for b.Loop() {
				rec, err := Open(context.Background(), []string{name}, nil)
				if err != nil {
					b.Fatal(err)
				}
				r, err := Run(context.Background(), s.Profiles, s.Registry(), rec, Options{MaxAlarmsPerWeek: 1})
				if err != nil || r.Recording.Values != 10*things*reports {
					b.Fatalf("%+v, %v", r, err)
				}
			}
			b.ReportMetric(float64(b.N)*10*things*reports/b.Elapsed().Seconds(), "datapoints/s")
		})
	}
}

// BenchmarkRead is the reading alone.
func BenchmarkRead(b *testing.B) {
	const things, reports = 1000, 20
	name := write(b, things, reports)
	info, err := os.Stat(name)
	if err != nil {
		b.Fatal(err)
	}
	b.SetBytes(info.Size())
	rec, err := Open(context.Background(), []string{name}, nil)
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if err := rec.Read(context.Background(), func(int64) {}, func(*detect.Observation) {}); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.N)*10*things*reports/b.Elapsed().Seconds(), "datapoints/s")
}
