package report

import (
	"cmp"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sort"
	"strings"
)

// Cut is what was left out of a report because there was no room for it.
type Cut struct {
	Connections     int // entries
	TCPPorts        int // entries
	UDPPorts        int // entries
	CustomListItems int // items of custom metrics that were kept
	// CustomMetrics are the names of custom metrics that were left out, sorted.
	CustomMetrics []string
}

// IsZero reports whether nothing was left out.
func (c Cut) IsZero() bool { return len(c.attrs()) == 0 }

// String lists what was left out, as in "connections=12 tcp_ports=3". It is ""
// when nothing was.
func (c Cut) String() string {
	var parts []string
	for _, a := range c.attrs() {
		parts = append(parts, a.String())
	}
	return strings.Join(parts, " ")
}

// LogValue implements [slog.LogValuer].
func (c Cut) LogValue() slog.Value { return slog.GroupValue(c.attrs()...) }

// Plus adds what was left out at another step.
func (c Cut) Plus(d Cut) Cut {
	return Cut{
		Connections:     c.Connections + d.Connections,
		TCPPorts:        c.TCPPorts + d.TCPPorts,
		UDPPorts:        c.UDPPorts + d.UDPPorts,
		CustomListItems: c.CustomListItems + d.CustomListItems,
		CustomMetrics:   slices.Concat(c.CustomMetrics, d.CustomMetrics),
	}
}

func (c Cut) attrs() []slog.Attr {
	var attrs []slog.Attr
	for _, a := range []slog.Attr{
		slog.Int("connections", c.Connections),
		slog.Int("tcp_ports", c.TCPPorts),
		slog.Int("udp_ports", c.UDPPorts),
		slog.Int("custom_list_items", c.CustomListItems),
		slog.Int("custom_metrics", len(c.CustomMetrics)),
	} {
		if a.Value.Int64() > 0 {
			attrs = append(attrs, a)
		}
	}
	if len(c.CustomMetrics) > 0 {
		attrs[len(attrs)-1] = slog.String("custom_metrics", strings.Join(c.CustomMetrics, ","))
	}
	return attrs
}

// fitFloor is the length down to which the lists of ports and connections are
// cut before custom metrics go: they are what the service watches.
const fitFloor = 20

// Fit encodes the report within a limit in bytes and returns it as sent. When
// the whole report is too long, it caps all lists to the largest common length
// that fits. Before that is less than 20 it leaves out custom metrics, the last
// name first. The report itself is not changed.
//
// Lists of ports and connections are in order of importance: they are cut from
// the end, and what is left is sorted, so that equal states give equal reports.
// Lists of custom metrics are cut from the end and keep their order.
//
// What is left stays true. The totals remain those of the device; a list that
// would have to go whole becomes absent, not empty, and a custom metric whose
// list would have to goes with it.
func (r *Report) Fit(enc Encoding, limit int) (payload []byte, sent *Report, cut Cut, err error) {
	sent = r.sorted()
	payload, err = sent.Encode(enc)
	switch {
	case err != nil:
		return nil, nil, Cut{}, err
	case len(payload) <= limit:
		return payload, sent, Cut{}, nil
	}
	names := slices.Sorted(maps.Keys(r.CustomMetrics))
	fits := func(items, custom int) bool {
		capped, _ := r.capped(items, names[:custom])
		payload, err := capped.Encode(enc)
		return err == nil && len(payload) <= limit // the one error here is that nothing is left
	}
	floor := min(fitFloor, r.Metrics.longestList())
	if floor == 0 { // nothing but lists of custom metrics: something of each
		floor = min(1, r.longestList())
	}
	custom := len(names) - sort.Search(len(names), func(dropped int) bool { return fits(floor, len(names)-dropped) })
	items := sort.Search(r.longestList(), func(n int) bool { return !fits(n+1, custom) })

	sent, cut = r.capped(items, names[:custom])
	sent = sent.sorted()
	payload, err = sent.Encode(enc)
	if err != nil || len(payload) > limit {
		return nil, nil, Cut{}, fmt.Errorf("report %d does not fit in %d bytes even without its lists and custom metrics", r.ID, limit)
	}
	return payload, sent, cut, nil
}

// sorted returns a copy whose lists of ports and connections are sorted.
func (r *Report) sorted() *Report {
	c := *r
	if r.Metrics == nil {
		return &c
	}
	m := *r.Metrics
	c.Metrics = &m
	if e := m.TCPConnections; e != nil {
		list := slices.Clone(e.Connections)
		slices.SortFunc(list, compareConnections)
		m.TCPConnections = &EstablishedConnections{list, e.Total}
	}
	m.ListeningTCPPorts = m.ListeningTCPPorts.sorted()
	m.ListeningUDPPorts = m.ListeningUDPPorts.sorted()
	return &c
}

func (l *ListeningPorts) sorted() *ListeningPorts {
	if l == nil {
		return nil
	}
	list := slices.Clone(l.Ports)
	slices.SortFunc(list, func(a, b Port) int {
		return cmp.Or(cmp.Compare(a.Port, b.Port), strings.Compare(a.Interface, b.Interface))
	})
	return &ListeningPorts{list, l.Total}
}

func compareConnections(a, b Connection) int {
	port := func(c Connection) int {
		if c.LocalPort == nil {
			return -1
		}
		return int(*c.LocalPort)
	}
	return cmp.Or(
		a.RemoteAddr.Compare(b.RemoteAddr),
		cmp.Compare(port(a), port(b)),
		strings.Compare(a.LocalInterface, b.LocalInterface),
	)
}

// capped returns a copy with the first n entries of each list at most, and of
// the custom metrics only the named ones. It states every total, so that the
// next smaller n always gives a smaller report.
func (r *Report) capped(n int, custom []string) (*Report, Cut) {
	c := &Report{ID: r.ID, Version: r.Version}
	var cut Cut
	if m := r.Metrics; m != nil {
		c.Metrics = &Metrics{NetworkStats: m.NetworkStats}
		if e := m.TCPConnections; e != nil {
			list := capList(e.Connections, n)
			c.Metrics.TCPConnections = &EstablishedConnections{list, trueTotal(e.Total, e.Connections)}
			cut.Connections = len(e.Connections) - len(list)
		}
		c.Metrics.ListeningTCPPorts, cut.TCPPorts = m.ListeningTCPPorts.capped(n)
		c.Metrics.ListeningUDPPorts, cut.UDPPorts = m.ListeningUDPPorts.capped(n)
	}
	kept := make(map[string]CustomMetric, len(custom))
	for _, name := range custom {
		m := r.CustomMetrics[name]
		items := len(m.Numbers) + len(m.Strings) // only one of them is in use
		m.Numbers = m.Numbers[:min(n, len(m.Numbers))]
		m.Strings = m.Strings[:min(n, len(m.Strings))]
		if items > 0 && n == 0 {
			continue
		}
		kept[name] = m
		cut.CustomListItems += max(0, items-n)
	}
	if len(kept) > 0 {
		c.CustomMetrics = kept
	}
	for name := range r.CustomMetrics {
		if _, ok := kept[name]; !ok {
			cut.CustomMetrics = append(cut.CustomMetrics, name)
		}
	}
	slices.Sort(cut.CustomMetrics)
	return c, cut
}

func (l *ListeningPorts) capped(n int) (*ListeningPorts, int) {
	if l == nil {
		return nil, 0
	}
	ports := capList(l.Ports, n)
	return &ListeningPorts{ports, trueTotal(l.Total, l.Ports)}, len(l.Ports) - len(ports)
}

// capList returns nil for a list of which nothing is left.
func capList[T any](list []T, n int) []T {
	if n == 0 && len(list) > 0 {
		return nil
	}
	return list[:min(n, len(list))]
}

func trueTotal[T any](total *int64, list []T) *int64 {
	if total == nil && list != nil {
		return new(int64(len(list)))
	}
	return total
}

// longestList is the length of the longest list.
func (r *Report) longestList() int {
	longest := r.Metrics.longestList()
	for _, m := range r.CustomMetrics {
		longest = max(longest, len(m.Numbers), len(m.Strings))
	}
	return longest
}

// longestList is the length of the longest list of ports or connections.
func (m *Metrics) longestList() int {
	if m == nil {
		return 0
	}
	var longest int
	if e := m.TCPConnections; e != nil {
		longest = len(e.Connections)
	}
	for _, l := range []*ListeningPorts{m.ListeningTCPPorts, m.ListeningUDPPorts} {
		if l != nil {
			longest = max(longest, len(l.Ports))
		}
	}
	return longest
}
