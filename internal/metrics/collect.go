package metrics

import (
	"cmp"
	"errors"
	"fmt"
	"time"

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
	// IncludeHalfClosed reports connections that one end has closed as well:
	// the other end may go on sending. AWS's definition is "Established TCP
	// state".
	IncludeHalfClosed bool
	// MaxListItems caps each list of ports, connections and custom values.
	MaxListItems int
	// MaxBaselineAge is how old a counter of the baseline may be for anything
	// to be measured against it: a report is about its own interval. 0 is no
	// limit.
	MaxBaselineAge time.Duration
	// Custom are the custom metrics by name.
	Custom map[string]Source
	// Files reads the files of custom metrics. It should be the same at each
	// sample; with nil, each sample has its own.
	Files *Files
}

// Sample is one look at a host.
type Sample struct {
	// Metrics is nil if no block could be read. Its lists are in order of
	// importance, for [report.Report.Fit] to cut and sort.
	Metrics *report.Metrics
	// Custom is nil if there are no custom metrics.
	Custom map[string]report.CustomMetric
	// Cut is what MaxListItems left out.
	Cut report.Cut
	// Baseline is for the next sample.
	Baseline *Baseline
	// Problems are what was left out because something is wrong with it.
	Problems []Problem
}

// Problem is why something is missing from a sample.
type Problem struct {
	// What is missing: the long name of a block ("listening_tcp_ports") or of a
	// figure ("bytes_out"), "interface names", "rows of the TCP tables", or
	// "custom metric" and its name.
	What string
	Err  error
}

func (p Problem) Error() string { return fmt.Sprintf("%s left out: %v", p.What, p.Err) }

func (p Problem) Unwrap() error { return p.Err }

// Collect takes a sample. Without a baseline of the same boot and the same
// tables, not older than the options allow, there is no network_stats block and
// no cpu_usage; since may be nil.
//
// The history decides which entries a list keeps if it is too long, and is told
// what was found; what was sent is for the caller to add. It may be nil.
func Collect(host *hostproc.Host, options Options, since *Baseline, history *History) Sample {
	if options.Files == nil {
		options.Files = NewFiles()
	}
	c := collector{host: host, scope: scope{Options: options}}
	c.baseline(since)
	c.network(cmp.Or(history, new(History)))
	c.custom()
	return c.sample
}

// collector is the state of one call of Collect.
type collector struct {
	host   *hostproc.Host
	scope  scope
	since  *Baseline // nil unless of this boot and these tables
	age    time.Duration
	sample Sample

	cpuErr, ownErr error // why there are no CPU times, or addresses may be missing
}

func (c *collector) missing(what string, err error) {
	c.sample.Problems = append(c.sample.Problems, Problem{What: what, Err: err})
}

// baseline reads the running counters. They come first, so that two samples
// of a busy host are an interval apart however long the tables take.
func (c *collector) baseline(since *Baseline) {
	now := &Baseline{NetDir: c.host.NetDir(), Live: true}
	c.sample.Baseline = now
	var bootErr, clockErr error
	now.BootID, bootErr = c.host.BootID()
	now.Uptime, clockErr = c.host.Clock()
	if since != nil {
		if since.precedes(now) && clockErr == nil {
			c.since, c.age = since, now.Uptime-since.Uptime
		} else if err := errors.Join(bootErr, clockErr); err != nil {
			c.missing("network_stats", err)
		}
	}
	c.cpu(now)
	c.counters(now)
}

// cpu reads the processor times, or keeps those of the baseline.
func (c *collector) cpu(now *Baseline) {
	if now.CPU, c.cpuErr = c.host.CPU(); c.cpuErr != nil && c.since != nil {
		if age := c.since.CPUAge + c.age; !tooOld(age, c.scope.MaxBaselineAge) {
			now.CPU, now.CPUAge = c.since.CPU, age
		}
	}
}

// counters reads the interfaces' counters. Those that can't be read are kept
// from the baseline: the next report then covers both intervals, so that nothing
// is lost.
func (c *collector) counters(now *Baseline) {
	since := c.since
	if since == nil {
		since = &Baseline{}
	}
	counters, err := c.host.Counters()
	now.LastIndex = since.LastIndex
	for _, i := range counters {
		now.LastIndex = max(now.LastIndex, i.Index)
	}
	var traffic traffic
	now.Interfaces, traffic = count(since, counters, countOptions{
		elapsed: c.age, limit: c.scope.MaxBaselineAge, selected: c.scope.selects, unread: err != nil,
	})
	switch _, partial := errors.AsType[*hostproc.RowsError](err); {
	case partial:
		c.missing("rows of the interface counters", err)
	case err != nil:
		c.missing("network_stats", err)
		return
	}
	if !since.usable(c.age, c.scope.MaxBaselineAge) {
		return
	}
	for f, err := range traffic.unknown {
		if err != nil {
			c.missing(figureNames[f], err)
		}
	}
	if stats := traffic.stats(); stats != nil {
		c.metrics().NetworkStats = stats
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
func (c *collector) network(history *History) {
	var err error
	if c.scope.addresses, err = c.host.Addresses(); err != nil {
		c.missing("interface names", err)
	}
	c.scope.own, c.ownErr = c.scope.addresses.All()
	history.begin()
	n := c.scope.MaxListItems

	tcp, err := c.scope.readTCP(c.host)
	ports := c.tells("listening_tcp_ports", err, len(tcp.listeners))
	connections := c.tells("tcp_connections", err, len(tcp.connections))
	unread := c.unread("rows of the TCP tables", err, ports || connections)
	if ports {
		c.metrics().ListeningTCPPorts, c.sample.Cut.TCPPorts = history.tcpListeners(tcp.listeners, unread, n)
	}
	if connections {
		c.metrics().TCPConnections, c.sample.Cut.Connections = history.connections(&c.scope, tcp.connections, unread, n)
	}

	udp, err := c.scope.readUDP(c.host)
	ports = c.tells("listening_udp_ports", err, len(udp.listeners))
	unread = c.unread("rows of the UDP tables", err, ports)
	if ports {
		c.metrics().ListeningUDPPorts, c.sample.Cut.UDPPorts = history.udpListeners(udp.listeners, unread, n)
	}
}

// tells reports whether there is something to say in a block, of which that
// many entries were found. With rows that could not be parsed, none is not a
// fact.
func (c *collector) tells(block string, err error, found int) bool {
	if _, partial := errors.AsType[*hostproc.RowsError](err); err == nil || partial && found > 0 {
		return true
	}
	c.missing(block, err)
	return false
}

// unread returns how many rows of a table could not be parsed, and says so if
// the others are told.
func (c *collector) unread(rows string, err error, told bool) int {
	e, partial := errors.AsType[*hostproc.RowsError](err)
	if !partial || !told {
		return 0
	}
	c.missing(rows, err)
	return e.Bad
}
