package cli

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/device-defender/device-defender/internal/defender/report"
	"github.com/device-defender/device-defender/internal/render"
)

// digestItems is how many entries of a list a digest shows.
const digestItems = 8

// writeDigest writes a report in a few lines for a person.
func writeDigest(w io.Writer, r *report.Report) {
	if m := r.Metrics; m != nil {
		if b := m.ListeningTCPPorts; b != nil {
			writeList(w, "listening TCP", b.Total, b.Ports, describePort)
		}
		if b := m.ListeningUDPPorts; b != nil {
			writeList(w, "listening UDP", b.Total, b.Ports, describePort)
		}
		if b := m.TCPConnections; b != nil {
			writeList(w, "connections", b.Total, b.Connections, describeConnection)
		}
		if n := m.NetworkStats; n != nil {
			writeLine(w, "network", "in %s bytes, %s packets; out %s bytes, %s packets",
				count(n.BytesIn), count(n.PacketsIn), count(n.BytesOut), count(n.PacketsOut))
		}
	}
	for _, name := range slices.Sorted(maps.Keys(r.CustomMetrics)) {
		writeLine(w, name, "%s", describeCustom(r.CustomMetrics[name]))
	}
}

func writeLine(w io.Writer, label, format string, args ...any) {
	fmt.Fprintf(w, "    %-14s  %s\n", render.Clean(label, 128), render.Clean(fmt.Sprintf(format, args...), mostInCell))
}

func writeList[T any](w io.Writer, label string, total *int64, list []T, describe func(T) string) {
	n := int64(len(list))
	if total != nil {
		n = *total
	}
	var shown []string
	for _, item := range list[:min(len(list), digestItems)] {
		shown = append(shown, describe(item))
	}
	text := strings.Join(shown, ", ")
	if rest := n - int64(len(shown)); rest > 0 && text != "" {
		text += fmt.Sprintf(" and %d more", rest)
	}
	writeLine(w, label, "%s", strings.TrimSpace(fmt.Sprintf("%d  %s", n, text)))
}

func describePort(p report.Port) string {
	if p.Interface == "" {
		return strconv.Itoa(int(p.Port))
	}
	return fmt.Sprintf("%d on %s", p.Port, p.Interface)
}

func describeConnection(c report.Connection) string {
	return c.RemoteAddr.String()
}

func describeCustom(m report.CustomMetric) string {
	number := func(v float64) string { return strconv.FormatFloat(v, 'f', -1, 64) }
	switch m.Type {
	case report.Number:
		return number(m.Number)
	case report.NumberList:
		var list []string
		for _, v := range m.Numbers {
			list = append(list, number(v))
		}
		return strings.Join(list, ", ")
	}
	return strings.Join(m.Strings, ", ")
}

func count(n *uint64) string {
	if n == nil {
		return "?"
	}
	return strconv.FormatUint(*n, 10)
}
