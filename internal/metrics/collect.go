package metrics

import (
	"errors"
	"fmt"

	"github.com/device-defender/device-defender/internal/defender/report"
	"github.com/device-defender/device-defender/internal/hostproc"
)

// DefaultMaxListItems caps each list of a report. AWS's component keeps 50;
// 250 connections are about 21 KB of JSON, far below the 128 KiB of AWS IoT
// Core, and show five times as many destinations.
const DefaultMaxListItems = 250

// Options says what of a host is reported.
type Options struct {
	Interfaces Filter
	// IncludeLoopback reports the interface lo, its sockets and its traffic,
	// as AWS's component does.
	IncludeLoopback bool
	// MaxListItems caps each list of ports, connections and custom values.
	MaxListItems int
	// Custom are the custom metrics by name.
	Custom map[string]Source
}

// Sample is one look at a host.
type Sample struct {
	// Metrics is nil if no block could be read.
	Metrics *report.Metrics
	// Custom is nil if there are no custom metrics.
	Custom map[string]report.CustomMetric
	// Baseline is for the next sample.
	Baseline *Baseline
	// Problems are the blocks and custom metrics left out, with the reason.
	Problems []Problem
}

// Problem is why something is missing from a sample.
type Problem struct {
	// What is missing: the long name of a block ("listening_tcp_ports"),
	// "interface names", or "custom metric" and its name.
	What string
	Err  error
}

func (p Problem) Error() string { return fmt.Sprintf("%s left out: %v", p.What, p.Err) }

func (p Problem) Unwrap() error { return p.Err }

// Collect takes a sample. Without a baseline of the same boot and the same
// tables there is no network_stats block and no cpu_usage; since may be nil.
func Collect(host *hostproc.Host, options Options, since *Baseline) Sample {
	c := collector{host: host, scope: scope{Options: options}}
	c.baseline(since)
	c.network()
	c.custom()
	return c.sample
}

// collector is the state of one call of Collect.
type collector struct {
	host   *hostproc.Host
	scope  scope
	since  *Baseline // nil unless of this boot and these tables
	cpuErr error     // why there are no CPU times
	sample Sample
}

func (c *collector) missing(what string, err error) {
	c.sample.Problems = append(c.sample.Problems, Problem{What: what, Err: err})
}

// baseline reads the running counters. They come first, so that two samples
// of a busy host are an interval apart however long the tables take.
func (c *collector) baseline(since *Baseline) {
	now := &Baseline{NetDir: c.host.NetDir()}
	c.sample.Baseline = now
	var bootErr, clockErr, err error
	now.BootID, bootErr = c.host.BootID()
	now.Uptime, clockErr = c.host.Clock()
	now.CPU, c.cpuErr = c.host.CPU()
	if err := errors.Join(bootErr, clockErr); err != nil {
		c.missing("network_stats", err)
		now.BootID = "" // of no boot: nothing can be measured against this sample
	} else if since != nil && since.BootID == now.BootID && since.NetDir == now.NetDir && since.Uptime <= now.Uptime {
		c.since = since
	}
	if now.Interfaces, err = c.host.Counters(); err != nil {
		c.missing("network_stats", err)
		if c.since != nil {
			now.Interfaces = withUnread(now.Interfaces, c.since.Interfaces)
		}
		if _, ok := errors.AsType[*hostproc.RowsError](err); !ok {
			return
		}
	}
	if c.since != nil && c.since.Interfaces != nil {
		c.metrics().NetworkStats = networkStats(c.since.Interfaces, now.Interfaces, c.scope.selects)
	}
}

// metrics returns the report's metrics, made when the first block is.
func (c *collector) metrics() *report.Metrics {
	if c.sample.Metrics == nil {
		c.sample.Metrics = &report.Metrics{}
	}
	return c.sample.Metrics
}

// network reads the socket tables.
func (c *collector) network() {
	var err error
	if c.scope.addresses, err = c.host.Addresses(); err != nil {
		c.missing("interface names", err)
	}
	var listening, established, udp []hostproc.Socket
	err = c.host.TCP(func(s hostproc.Socket) {
		switch s.State {
		case hostproc.Listen:
			listening = append(listening, s)
		case hostproc.Established:
			established = append(established, s)
		}
	})
	if err != nil {
		c.missing("listening_tcp_ports", err)
		c.missing("tcp_connections", err)
	} else {
		c.metrics().ListeningTCPPorts = c.scope.listeningPorts(listening, listensTCP)
		c.metrics().TCPConnections = c.scope.establishedConnections(established)
	}
	if err := c.host.UDP(func(s hostproc.Socket) { udp = append(udp, s) }); err != nil {
		c.missing("listening_udp_ports", err)
	} else {
		c.metrics().ListeningUDPPorts = c.scope.listeningPorts(udp, listensUDP)
	}
}
