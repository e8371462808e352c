package report

import (
	"math"
	"slices"
	"strings"
)

// Decode reads a report in any encoding and says which one it was in. It
// returns an [InvalidError] for a report that the service would reject, and for
// one that mixes long and short names.
//
// Members that the specification does not have are ignored, since a minor
// version may add some. Floats without a fraction count as integers, and null
// counts as absent.
func Decode(data []byte) (*Report, Encoding, error) {
	tree, format, err := parse(data)
	enc := Encoding{Format: format}
	if err != nil {
		return nil, enc, err
	}
	defer tree.free()
	root := tree.root()
	if root.has(Short.spell("header")) && !root.has(Long.spell("header")) {
		enc.Names = Short
	}
	d := &reader{names: enc.Names}
	report := d.report(root)
	if d.err != nil {
		return nil, enc, d.err
	}
	return report, enc, nil
}

func (d *reader) report(root value) *Report {
	report := &Report{}
	d.required(root, "header", func(v value) {
		header := d.object(v)
		d.required(header, "report_id", func(v value) { report.ID = int64(d.integer(v, 1, math.MaxInt64)) })
		d.required(header, "version", func(v value) { report.Version = d.version(v) })
	})
	d.optional(root, "metrics", func(v value) { report.Metrics = d.metrics(v) })
	d.optional(root, "custom_metrics", func(v value) { report.CustomMetrics = d.customMetrics(v) })
	if report.Metrics == nil && report.CustomMetrics == nil {
		d.fail("want %s or %s", d.names.spell("metrics"), d.names.spell("custom_metrics"))
	}
	return report
}

func (d *reader) version(v value) string {
	s := d.label(v)
	if !isVersion(s) {
		d.fail("%s, want Major.Minor", v)
	}
	return s
}

func (d *reader) metrics(v value) *Metrics {
	metrics, object := &Metrics{}, d.object(v)
	d.optional(object, "network_stats", func(v value) { metrics.NetworkStats = d.networkStats(v) })
	d.optional(object, "tcp_connections", func(v value) {
		d.optional(d.object(v), "established_connections", func(v value) {
			metrics.TCPConnections = d.establishedConnections(v)
		})
	})
	d.optional(object, "listening_tcp_ports", func(v value) { metrics.ListeningTCPPorts = d.listeningPorts(v) })
	d.optional(object, "listening_udp_ports", func(v value) { metrics.ListeningUDPPorts = d.listeningPorts(v) })
	return metrics
}

func (d *reader) networkStats(v value) *NetworkStats {
	object := d.object(v)
	return &NetworkStats{
		BytesIn:    d.counter(object, "bytes_in"),
		BytesOut:   d.counter(object, "bytes_out"),
		PacketsIn:  d.counter(object, "packets_in"),
		PacketsOut: d.counter(object, "packets_out"),
	}
}

func (d *reader) counter(object value, name string) (n *uint64) {
	d.optional(object, name, func(v value) { n = new(d.integer(v, 0, math.MaxUint64)) })
	return n
}

func (d *reader) total(object value) (n *int64) {
	d.optional(object, "total", func(v value) { n = new(int64(d.integer(v, 0, math.MaxInt64))) })
	return n
}

func (d *reader) establishedConnections(v value) *EstablishedConnections {
	established, object := &EstablishedConnections{}, d.object(v)
	d.optional(object, "connections", func(v value) { established.Connections = readList(d, v, d.connection) })
	established.Total = d.total(object)
	return established
}

func (d *reader) connection(v value) (c Connection) {
	object := d.object(v)
	d.required(object, "remote_addr", func(v value) { c.RemoteAddr = d.remoteAddr(v) })
	d.optional(object, "local_interface", func(v value) { c.LocalInterface = d.label(v) })
	d.optional(object, "local_port", func(v value) { c.LocalPort = d.pointer(uint16(d.integer(v, 0, math.MaxUint16))) })
	return c
}

func (d *reader) listeningPorts(v value) *ListeningPorts {
	listening, object := &ListeningPorts{}, d.object(v)
	d.optional(object, "ports", func(v value) { listening.Ports = readList(d, v, d.port) })
	listening.Total = d.total(object)
	return listening
}

func (d *reader) port(v value) (p Port) {
	object := d.object(v)
	d.required(object, "port", func(v value) { p.Port = uint16(d.integer(v, 1, math.MaxUint16)) })
	d.optional(object, "interface", func(v value) { p.Interface = d.label(v) })
	return p
}

func (d *reader) customMetrics(v value) map[string]CustomMetric {
	object := d.object(v)
	metrics := make(map[string]CustomMetric, object.node().size)
	// In the order of their names, so that of several faults it is always the
	// same one that is told.
	byName := func(a, b value) int { return strings.Compare(a.node().name, b.node().name) }
	for _, member := range slices.SortedFunc(object.inside(), byName) {
		name := strings.Clone(member.node().name)
		d.within(step{name: name}, func() { metrics[name] = d.customMetric(member) })
	}
	return metrics
}

// customMetric reads a list of one object with one value.
func (d *reader) customMetric(v value) (m CustomMetric) {
	if v.kind() != kindList || v.node().size != 1 {
		d.fail("%s, want a list of one object", v)
		return m
	}
	d.within(step{list: true}, func() {
		object := d.object(value{v.nodes[1:]})
		var found []string
		for _, t := range metricTypes {
			if d.member(object, t.String(), func(v value) { m = d.customValue(t, v) }) {
				found = append(found, t.String())
			}
		}
		switch len(found) {
		case 0:
			d.fail("want one of %s", typeKeys())
		case 1:
		default:
			d.fail("%s, want only one of them", strings.Join(found, " and "))
		}
	})
	return m
}

func (d *reader) customValue(t MetricType, v value) CustomMetric {
	m := CustomMetric{Type: t}
	switch t {
	case Number:
		m.Number = d.float(v)
	case NumberList:
		m.Numbers = readList(d, v, d.float)
	case StringList, IPList:
		m.Strings = readList(d, v, d.text)
	}
	return m
}
