package metrics

import (
	"cmp"
	"net/netip"
	"slices"
	"unicode/utf8"

	"github.com/device-defender/device-defender/internal/defender/report"
	"github.com/device-defender/device-defender/internal/hostproc"
)

// scope resolves interface names and decides which sockets a report is about.
type scope struct {
	Options
	addresses *hostproc.Addresses // nil if they could not be read
}

// interfaceOf names the interface of a local address, "" if unknown.
func (s *scope) interfaceOf(local netip.Addr) string {
	switch {
	case local.IsUnspecified():
		return local.String()
	case s.addresses == nil:
		return ""
	}
	name := s.addresses.Interface(local)
	if !utf8.ValidString(name) { // Linux allows any bytes, the report none but text
		return ""
	}
	return name
}

// selects reports whether the report is about the interface.
func (s *scope) selects(name string) bool {
	return s.Interfaces.Match(name) && (s.IncludeLoopback || name != "lo")
}

// covers reports whether the report is about a socket with this local address
// on this interface.
func (s *scope) covers(local netip.Addr, name string) bool {
	if local.IsLoopback() && !s.IncludeLoopback {
		return false
	}
	return local.IsUnspecified() || name == "" || s.selects(name)
}

// listeningPorts makes the block of one protocol from its listening sockets.
func (s *scope) listeningPorts(sockets []hostproc.Socket, listens func(hostproc.Socket) bool) *report.ListeningPorts {
	seen := make(map[report.Port]struct{})
	for _, socket := range sockets {
		if !listens(socket) || socket.Local.Port() == 0 {
			continue
		}
		name := s.interfaceOf(socket.Local.Addr())
		if s.covers(socket.Local.Addr(), name) {
			seen[report.Port{Port: socket.Local.Port(), Interface: name}] = struct{}{}
		}
	}
	ports := make([]report.Port, 0, len(seen))
	for p := range seen {
		ports = append(ports, p)
	}
	slices.SortFunc(ports, func(a, b report.Port) int {
		return cmp.Or(cmp.Compare(a.Port, b.Port), cmp.Compare(a.Interface, b.Interface))
	})
	return &report.ListeningPorts{
		Ports: report.TrimPorts(ports, s.MaxListItems),
		Total: new(int64(len(ports))),
	}
}

func listensTCP(s hostproc.Socket) bool { return s.State == hostproc.Listen }

// listensUDP is the rule of osquery's listening_ports: UDP has no LISTEN
// state, but a socket without a peer takes datagrams from anyone.
func listensUDP(s hostproc.Socket) bool { return s.Remote.Port() == 0 }

// establishedConnections makes the block of established TCP connections. It
// reorders sockets.
func (s *scope) establishedConnections(sockets []hostproc.Socket) *report.EstablishedConnections {
	sockets = slices.DeleteFunc(sockets, func(c hostproc.Socket) bool {
		return c.State != hostproc.Established ||
			c.Remote.Addr().IsLoopback() && !s.IncludeLoopback ||
			!s.covers(c.Local.Addr(), s.interfaceOf(c.Local.Addr()))
	})
	slices.SortFunc(sockets, func(a, b hostproc.Socket) int {
		return cmp.Or(
			a.Remote.Compare(b.Remote),
			cmp.Compare(a.Local.Port(), b.Local.Port()),
			a.Local.Addr().Compare(b.Local.Addr()),
		)
	})
	sockets = slices.Compact(sockets)

	connections := make([]report.Connection, len(sockets))
	ports := make([]uint16, len(sockets))
	for i, c := range sockets {
		ports[i] = c.Local.Port()
		connections[i] = report.Connection{
			// A link-local peer's zone is not part of the report's "ip:port".
			RemoteAddr:     netip.AddrPortFrom(c.Remote.Addr().WithZone(""), c.Remote.Port()),
			LocalInterface: s.interfaceOf(c.Local.Addr()),
			LocalPort:      &ports[i],
		}
	}
	return &report.EstablishedConnections{
		Connections: report.TrimConnections(connections, s.MaxListItems),
		Total:       new(int64(len(connections))),
	}
}
