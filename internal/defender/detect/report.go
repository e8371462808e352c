package detect

import (
	"maps"
	"math"
	"net/netip"
	"slices"

	"github.com/device-defender/device-defender/internal/defender/profile"
	"github.com/device-defender/device-defender/internal/defender/report"
)

// FromReport returns the device-side and custom metrics of a report. What is
// absent in it is no measurement; an empty list is an empty list. Addresses
// and ports are sorted, each once. A list with fewer entries than its total is
// cut. A custom metric that the service would not keep is left out.
func FromReport(r *report.Report) []Measurement {
	list := make([]Measurement, 0, 10+len(r.CustomMetrics))
	counts := make([]int64, 0, 7)
	count := func(metric string, v int64) {
		counts = append(counts, v)
		list = append(list, Measurement{Metric: profile.MetricRef{Name: metric}, Value: profile.Value{Count: &counts[len(counts)-1]}})
	}
	if m := r.Metrics; m != nil {
		if s := m.NetworkStats; s != nil {
			for _, c := range []struct {
				metric string
				v      *uint64
			}{
				{"aws:all-bytes-out", s.BytesOut},
				{"aws:all-bytes-in", s.BytesIn},
				{"aws:all-packets-out", s.PacketsOut},
				{"aws:all-packets-in", s.PacketsIn},
			} {
				if c.v != nil {
					count(c.metric, int64(min(*c.v, math.MaxInt64)))
				}
			}
		}
		for _, p := range []struct {
			total, ports string
			v            *report.ListeningPorts
		}{
			{"aws:num-listening-tcp-ports", "aws:listening-tcp-ports", m.ListeningTCPPorts},
			{"aws:num-listening-udp-ports", "aws:listening-udp-ports", m.ListeningUDPPorts},
		} {
			if p.v == nil {
				continue
			}
			if p.v.Total != nil {
				count(p.total, *p.v.Total)
			}
			if p.v.Ports != nil {
				list = append(list, Measurement{Metric: profile.MetricRef{Name: p.ports}, Value: profile.Value{Ports: portsOf(p.v.Ports)}, Cut: cutOf(len(p.v.Ports), p.v.Total)})
			}
		}
		if c := m.TCPConnections; c != nil {
			if c.Total != nil {
				count("aws:num-established-tcp-connections", *c.Total)
			}
			if c.Connections != nil {
				addrs := addrsOf(c.Connections)
				list = append(list, Measurement{
					Metric: profile.MetricRef{Name: "aws:destination-ip-addresses"}, Value: profile.Value{CIDRs: addrTexts(addrs)}, Cut: cutOf(len(c.Connections), c.Total), addrs: addrs,
				})
			}
		}
	}
	if len(r.CustomMetrics) == 0 {
		return list
	}
	for _, name := range slices.Sorted(maps.Keys(r.CustomMetrics)) {
		c := r.CustomMetrics[name]
		if report.CheckMetricName(name) == nil && c.Check() == nil {
			list = append(list, Measurement{Metric: profile.MetricRef{Name: name}, Value: customValue(c)})
		}
	}
	return list
}

// cutOf compares a list's entries with their total. Both count connections, or
// ports on interfaces: the entries are counted as they came, since several may
// have the same address or port number, and an agent that lists an entry twice
// counts it twice too.
func cutOf(listed int, total *int64) *profile.Cut {
	if total == nil || int64(listed) >= *total {
		return nil
	}
	return &profile.Cut{Listed: int64(listed), Total: *total}
}

func portsOf(list []report.Port) []int32 {
	ports := make([]int32, 0, len(list))
	for _, p := range list {
		ports = append(ports, int32(p.Port))
	}
	slices.Sort(ports)
	return slices.Compact(ports)
}

func addrsOf(list []report.Connection) []netip.Addr {
	addrs := make([]netip.Addr, 0, len(list))
	for _, c := range list {
		addrs = append(addrs, c.RemoteAddr.Addr().WithZone("").Unmap())
	}
	slices.SortFunc(addrs, netip.Addr.Compare)
	return slices.Compact(addrs)
}

func customValue(c report.CustomMetric) profile.Value {
	switch c.Type {
	case report.Number:
		return profile.Value{Number: new(c.Number)}
	case report.NumberList:
		return profile.Value{Numbers: append([]float64{}, c.Numbers...)}
	case report.StringList:
		return profile.Value{Strings: append([]string{}, c.Strings...)}
	default:
		return profile.Value{CIDRs: append([]string{}, c.Strings...)}
	}
}
