package metrics

import (
	"cmp"
	"net/netip"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/device-defender/device-defender/internal/defender/report"
	"github.com/device-defender/device-defender/internal/hostproc"
)

// scope resolves interface names and decides which sockets a report is about.
type scope struct {
	Options
	addresses *hostproc.Addresses
	own       []netip.Addr // all of them, sorted

	// The last verdict of covers, as most sockets share their local address.
	local   netip.Addr
	covered bool
}

// interfaceOf names the interface of a local address, "" if unknown.
func (s *scope) interfaceOf(local netip.Addr) string {
	switch {
	case local == netip.IPv4Unspecified():
		return "0.0.0.0"
	case local == netip.IPv6Unspecified():
		return "::"
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

// covers reports whether the report is about a socket with this local address.
func (s *scope) covers(local netip.Addr) bool {
	if local == s.local {
		return s.covered
	}
	name := s.interfaceOf(local)
	s.local, s.covered = local, local.IsUnspecified() || name == "" || s.selects(name)
	if local.IsLoopback() && !s.IncludeLoopback {
		s.covered = false
	}
	return s.covered
}

// outside reports whether a remote address is another host's.
func (s *scope) outside(remote netip.Addr) bool {
	_, own := slices.BinarySearchFunc(s.own, remote, netip.Addr.Compare)
	return !own && !remote.IsLoopback()
}

// sockets gathers the sockets of both tables of a protocol.
type sockets struct {
	listeners   []listener
	connections []tuple
}

// listener is a port on an interface.
type listener struct {
	report.Port
	outside bool // bound to something other than a loopback address
}

// tuple is a TCP connection. It is as small as can be: a busy host has
// tens of thousands, and a report carries a few hundred.
type tuple struct {
	remote, local         key
	remotePort, localPort uint16
}

// compare sorts by remote address first.
func (t tuple) compare(other tuple) int {
	switch {
	case t.remote != other.remote:
		return t.remote.compare(other.remote)
	case t.remotePort != other.remotePort:
		return cmp.Compare(t.remotePort, other.remotePort)
	case t.localPort != other.localPort:
		return cmp.Compare(t.localPort, other.localPort)
	}
	return t.local.compare(other.local)
}

func (t *sockets) listen(s *scope, local netip.AddrPort) {
	if local.Port() != 0 && s.covers(local.Addr()) {
		t.listeners = append(t.listeners, listener{
			report.Port{Port: local.Port(), Interface: s.interfaceOf(local.Addr())}, !local.Addr().IsLoopback(),
		})
	}
}

func (t *sockets) connect(s *scope, c hostproc.Socket) {
	if s.covers(c.Local.Addr()) && (s.IncludeLoopback || !c.Remote.Addr().IsLoopback()) {
		t.connections = append(t.connections, tuple{
			addressKey(c.Remote.Addr()), addressKey(c.Local.Addr()), c.Remote.Port(), c.Local.Port(),
		})
	}
}

// readTCP gathers the listening sockets and the connections.
func (s *scope) readTCP(host *hostproc.Host) (t sockets, err error) {
	err = host.TCP(func(socket hostproc.Socket) {
		switch {
		case socket.State == hostproc.Listen:
			t.listen(s, socket.Local)
		case socket.State == hostproc.Established, s.IncludeHalfClosed && socket.State.HalfClosed():
			t.connect(s, socket)
		}
	})
	return t, err
}

// readUDP gathers the sockets that listen, by the rule of osquery's
// listening_ports: UDP has no LISTEN state, but a socket without a peer takes
// datagrams from anyone.
func (s *scope) readUDP(host *hostproc.Host) (t sockets, err error) {
	err = host.UDP(func(socket hostproc.Socket) {
		if socket.Remote.Port() == 0 {
			t.listen(s, socket.Local)
		}
	})
	return t, err
}

// listeners makes the block of a protocol's ports and says how many it leaves
// out. The list is in order of importance. Rows that could not be parsed count
// in the total, so that the list is seen not to be whole.
func (l *ledger) listeners(list []listener, sample uint32, unread, n int) (*report.ListeningPorts, int) {
	slices.SortFunc(list, func(a, b listener) int {
		return cmp.Or(portKey(a.Port).compare(portKey(b.Port)), strings.Compare(a.Interface, b.Interface), compareBool(b.outside, a.outside))
	})
	list = slices.CompactFunc(list, func(a, b listener) bool { return a.Port == b.Port })
	groups := groupBy(list, func(l listener) key { return portKey(l.Port) })
	for i := range groups {
		g := &groups[i]
		g.outside = slices.ContainsFunc(list[g.start:g.start+g.size], func(l listener) bool { return l.outside })
	}
	l.update(groups, sample)
	kept := order(groups, min(n, len(list)))
	ports := make([]report.Port, len(kept))
	for i, at := range kept {
		ports[i] = list[at].Port
	}
	return &report.ListeningPorts{Ports: ports, Total: new(int64(len(list) + unread))}, len(list) - len(ports)
}

func (h *History) tcpListeners(list []listener, unread, n int) (*report.ListeningPorts, int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.tcpPorts.listeners(list, h.samples, unread, n)
}

func (h *History) udpListeners(list []listener, unread, n int) (*report.ListeningPorts, int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.udpPorts.listeners(list, h.samples, unread, n)
}

// connections makes the block of the connections, by the same rules.
func (h *History) connections(s *scope, list []tuple, unread, n int) (*report.EstablishedConnections, int) {
	slices.SortFunc(list, tuple.compare)
	list = slices.Compact(list)
	groups := groupBy(list, func(c tuple) key { return c.remote })
	for i := range groups {
		groups[i].outside = s.outside(groups[i].key.address())
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.addresses.update(groups, h.samples)
	kept := order(groups, min(n, len(list)))
	connections := make([]report.Connection, len(kept))
	ports := make([]uint16, len(kept))
	for i, at := range kept {
		c := list[at]
		ports[i] = c.localPort
		connections[i] = report.Connection{
			RemoteAddr:     netip.AddrPortFrom(c.remote.address(), c.remotePort),
			LocalInterface: s.interfaceOf(c.local.address()),
			LocalPort:      &ports[i],
		}
	}
	return &report.EstablishedConnections{Connections: connections, Total: new(int64(len(list) + unread))}, len(list) - len(connections)
}

// groupBy returns the groups of a list that is sorted by key.
func groupBy[T any](list []T, keyOf func(T) key) []group {
	starts := func(i int) bool { return i == 0 || keyOf(list[i]) != keyOf(list[i-1]) }
	n := 0
	for i := range list {
		if starts(i) {
			n++
		}
	}
	groups := make([]group, 0, n)
	for i := range list {
		if starts(i) {
			groups = append(groups, group{record: record{key: keyOf(list[i])}, start: int32(i)})
		}
		groups[len(groups)-1].size++
	}
	return groups
}

func compareBool(a, b bool) int {
	switch {
	case a == b:
		return 0
	case a:
		return 1
	}
	return -1
}
