package report

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// Encode writes the report. It fails with an [InvalidError] on a report that
// [Decode] would refuse, except that it does not look at the size: see
// [Report.Fit].
func (r *Report) Encode(enc Encoding) ([]byte, error) {
	w := &writer{Encoding: enc, buf: make([]byte, 0, r.sizeHint())}
	w.report(r)
	if w.err != nil {
		return nil, fmt.Errorf("encode report: %w", w.err)
	}
	return w.buf, nil
}

// sizeHint is about the size of the encoded report, in bytes.
func (r *Report) sizeHint() int {
	size := 512
	if m := r.Metrics; m != nil {
		if b := m.TCPConnections; b != nil {
			size += 96 * len(b.Connections)
		}
		for _, b := range []*ListeningPorts{m.ListeningTCPPorts, m.ListeningUDPPorts} {
			if b != nil {
				size += 40 * len(b.Ports)
			}
		}
	}
	for name, m := range r.CustomMetrics {
		size += len(name) + 32 + 16*(len(m.Numbers)+len(m.Strings))
	}
	return size
}

func (w *writer) report(r *Report) {
	if r.Metrics == nil && r.CustomMetrics == nil {
		w.fail("want metrics or custom metrics")
	}
	w.object(func() {
		w.key("header")
		w.object(func() {
			w.key("report_id")
			w.integer(r.ID, 1)
			w.key("version")
			if !isVersion(r.Version) {
				w.fail("%s, want Major.Minor", quoted(r.Version))
			}
			w.text(r.Version)
		})
		if r.Metrics != nil {
			w.key("metrics")
			w.metrics(r.Metrics)
		}
		if r.CustomMetrics != nil {
			w.key("custom_metrics")
			w.customMetrics(r.CustomMetrics)
		}
	})
}

func (w *writer) metrics(m *Metrics) {
	w.object(func() {
		if s := m.NetworkStats; s != nil {
			w.key("network_stats")
			w.object(func() {
				w.counter("bytes_in", s.BytesIn)
				w.counter("bytes_out", s.BytesOut)
				w.counter("packets_in", s.PacketsIn)
				w.counter("packets_out", s.PacketsOut)
			})
		}
		if e := m.TCPConnections; e != nil {
			w.key("tcp_connections")
			w.object(func() {
				w.key("established_connections")
				w.object(func() {
					if e.Connections != nil {
						w.key("connections")
						writeList(w, e.Connections, w.connection)
					}
					w.total(e.Total)
				})
			})
		}
		w.listeningPorts("listening_tcp_ports", m.ListeningTCPPorts)
		w.listeningPorts("listening_udp_ports", m.ListeningUDPPorts)
	})
}

func (w *writer) counter(name string, n *uint64) {
	if n != nil {
		w.key(name)
		w.natural(*n)
	}
}

func (w *writer) total(n *int64) {
	if n != nil {
		w.key("total")
		w.integer(*n, 0)
	}
}

func (w *writer) connection(c Connection) {
	w.object(func() {
		w.key("remote_addr")
		w.address(c.RemoteAddr)
		if c.LocalInterface != "" {
			w.key("local_interface")
			w.text(c.LocalInterface)
		}
		if c.LocalPort != nil {
			w.key("local_port")
			w.natural(uint64(*c.LocalPort))
		}
	})
}

func (w *writer) listeningPorts(name string, l *ListeningPorts) {
	if l == nil {
		return
	}
	w.key(name)
	w.object(func() {
		if l.Ports != nil {
			w.key("ports")
			writeList(w, l.Ports, w.port)
		}
		w.total(l.Total)
	})
}

func (w *writer) port(p Port) {
	w.object(func() {
		w.key("port")
		if p.Port == 0 {
			w.fail("0, want 1 to 65535")
		}
		w.natural(uint64(p.Port))
		if p.Interface != "" {
			w.key("interface")
			w.text(p.Interface)
		}
	})
}

// customMetrics writes each metric as a list of one object: without the list,
// the service rejects the report.
func (w *writer) customMetrics(metrics map[string]CustomMetric) {
	w.object(func() {
		for _, name := range slices.Sorted(maps.Keys(metrics)) {
			w.member(name)
			writeList(w, []CustomMetric{metrics[name]}, w.customMetric)
		}
	})
}

func (w *writer) customMetric(m CustomMetric) {
	w.object(func() {
		w.member(m.Type.String())
		switch m.Type {
		case Number:
			w.float(m.Number)
		case NumberList:
			writeList(w, m.Numbers, w.float)
		case StringList, IPList:
			writeList(w, m.Strings, w.text)
		default:
			w.fail("want one of %s", typeKeys())
		}
	})
}

func (w *writer) integer(n, least int64) {
	if n < least {
		w.fail("%d, want %d or more", n, least)
	}
	w.natural(uint64(n))
}

func (w *writer) address(a netip.AddrPort) {
	if !isRemoteAddr(a) {
		w.fail("%s, want ip:port", quoted(a.String()))
	}
	w.text(a.String())
}

// isRemoteAddr reports whether an address is one that a report may name. A zone
// means nothing outside its host.
func isRemoteAddr(a netip.AddrPort) bool { return a.IsValid() && a.Addr().Zone() == "" }

// isVersion reports whether a version is of the form Major.Minor.
func isVersion(s string) bool {
	major, minor, _ := strings.Cut(s, ".")
	for _, part := range []string{major, minor} {
		if _, err := strconv.ParseUint(part, 10, 16); err != nil {
			return false
		}
	}
	return true
}
