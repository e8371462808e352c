package hostproc

import (
	"errors"
	"fmt"
	"io/fs"
	"math"
	"net/netip"
	"path/filepath"
	"slices"

	"github.com/prometheus/procfs"
)

// State is the state of a socket, as the kernel numbers it
// (include/net/tcp_states.h).
type State uint8

// The states of the sockets returned here.
const (
	Established State = 0x01 // TCP, and a UDP socket that is connected
	Close       State = 0x07 // a UDP socket that is not connected
	Listen      State = 0x0A // TCP only: a UDP socket that waits is in Close
)

// Socket is a row of a socket table. IPv4 addresses in a table of IPv6 (those of
// a dual-stack listener's connections) are given as IPv4.
type Socket struct {
	Local, Remote netip.AddrPort
	State         State
}

// TCP returns the host's TCP sockets that listen or are established, IPv4 and
// IPv6, in the kernel's order. Those being opened or closed are left out: a
// busy host has many in TIME_WAIT.
func (h *Host) TCP() ([]Socket, error) {
	//lint:ignore SA1019 netlink, which procfs advises instead, sees only the network of this process.
	v4, v6 := h.tcp.NetTCP, h.tcp.NetTCP6
	return readSockets(filepath.Join(h.netDir, "tcp"), v4, v6, Established, Listen)
}

// UDP returns the host's UDP sockets, IPv4 and IPv6, in the kernel's order.
func (h *Host) UDP() ([]Socket, error) {
	return readSockets(filepath.Join(h.netDir, "udp"), h.network.NetUDP, h.network.NetUDP6, Established, Close)
}

// readSockets reads the table file and its IPv6 counterpart.
func readSockets[T procfs.NetTCP | procfs.NetUDP](file string, v4, v6 func() (T, error), states ...State) ([]Socket, error) {
	sockets, err := appendSockets(nil, file, v4, states)
	if err != nil {
		return nil, err
	}
	both, err := appendSockets(sockets, file+"6", v6, states)
	if errors.Is(err, fs.ErrNotExist) { // IPv6 is switched off
		return sockets, nil
	}
	return both, err
}

// appendSockets appends the sockets of a table that are in one of the states.
// The rows of procfs take twice the memory of Sockets, so each table is let go
// before the next is read.
func appendSockets[T procfs.NetTCP | procfs.NetUDP](sockets []Socket, file string, read func() (T, error), states []State) ([]Socket, error) {
	table, err := guard(file, read)
	if err != nil {
		return nil, err
	}
	rows := procfs.NetIPSocket(table)
	count := 0
	for _, row := range rows {
		if row.St > math.MaxUint8 || row.LocalPort > math.MaxUint16 || row.RemPort > math.MaxUint16 {
			return nil, fmt.Errorf("parsing %s: row %d has state %#x and ports %d and %d", file, row.Sl, row.St, row.LocalPort, row.RemPort)
		}
		if slices.Contains(states, State(row.St)) {
			count++
		}
	}
	sockets = slices.Grow(sockets, count)
	for _, row := range rows {
		if state := State(row.St); slices.Contains(states, state) {
			sockets = append(sockets, Socket{
				Local:  addrPort(row.LocalAddr, row.LocalPort),
				Remote: addrPort(row.RemAddr, row.RemPort),
				State:  state,
			})
		}
	}
	return sockets, nil
}

// addrPort converts an address of 4 or 16 bytes, as procfs' are, and a port.
func addrPort(ip []byte, port uint64) netip.AddrPort {
	addr, _ := netip.AddrFromSlice(ip)
	return netip.AddrPortFrom(addr.Unmap(), uint16(port))
}
