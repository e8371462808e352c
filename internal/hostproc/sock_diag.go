package hostproc

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"sync/atomic"

	"golang.org/x/sys/unix"
)

// protocol is one whose sockets are in two tables, of IPv4 and of IPv6.
type protocol struct {
	file   string // in net; that of IPv6 has a 6 at its end
	number uint8  // IPPROTO_TCP, ...
	states stateSet

	// refused is set when the kernel will not tell its sockets. It is not asked
	// again: without the module for it, it starts a program to load it each time.
	refused atomic.Bool
}

var (
	tcp = protocol{file: "tcp", number: unix.IPPROTO_TCP, states: statesOf(Established, FinWait1, FinWait2, CloseWait, Listen)}
	udp = protocol{file: "udp", number: unix.IPPROTO_UDP, states: statesOf(Established, Close)}
)

// The sizes of the structs of include/uapi/linux/inet_diag.h.
const (
	sizeofInetDiagReqV2 = 56
	sizeofInetDiagMsg   = 72
)

// ask visits the sockets of this process' network namespace and returns how many
// there are. If there is an error, some may have been visited.
func (p *protocol) ask(visit func(Socket)) (visited int, err error) {
	kernel, err := openNetlink(unix.NETLINK_SOCK_DIAG)
	if err != nil {
		return 0, err
	}
	defer kernel.close()
	for _, family := range []uint8{unix.AF_INET, unix.AF_INET6} {
		if err := kernel.dump(unix.SOCK_DIAG_BY_FAMILY, p.request(family), func(_ uint16, body []byte) error {
			socket, err := parseDiagSocket(body)
			// The state may have changed since the kernel chose the socket.
			if err == nil && p.states.has(socket.State) {
				visited++
				visit(socket)
			}
			return err
		}); err != nil {
			return visited, fmt.Errorf("asking the kernel for %s sockets: %w", p.file, err)
		}
	}
	return visited, nil
}

// request returns the struct inet_diag_req_v2 for the sockets of a family: the
// family, the protocol, two bytes, the states, and a socket to look for, whose
// zeros mean any.
func (p *protocol) request(family uint8) []byte {
	body := make([]byte, sizeofInetDiagReqV2)
	body[0], body[1] = family, p.number
	binary.NativeEndian.PutUint32(body[4:], uint32(p.states))
	return body
}

// lasting reports whether the kernel would answer with the same error again.
func lasting(err error) bool {
	return !errors.Is(err, errInterrupted) && !errors.Is(err, unix.ENOMEM) && !errors.Is(err, unix.ENOBUFS) &&
		!errors.Is(err, unix.EMFILE) && !errors.Is(err, unix.ENFILE)
}

var (
	errDiagSize   = errors.New("a socket of too few bytes")
	errDiagFamily = errors.New("a socket that is not of IP")
)

// parseDiagSocket parses a struct inet_diag_msg. Its ports and addresses have the
// byte order of the network:
//
//	0 family, 1 state, 4 local port, 6 remote port, 8 local address, 24 remote address
func parseDiagSocket(body []byte) (Socket, error) {
	if len(body) < sizeofInetDiagMsg {
		return Socket{}, errDiagSize
	}
	local, remote := [16]byte(body[8:]), [16]byte(body[24:])
	var localAddr, remoteAddr netip.Addr
	switch body[0] {
	case unix.AF_INET:
		localAddr, remoteAddr = netip.AddrFrom4([4]byte(local[:])), netip.AddrFrom4([4]byte(remote[:]))
	case unix.AF_INET6:
		localAddr, remoteAddr = netip.AddrFrom16(local).Unmap(), netip.AddrFrom16(remote).Unmap()
	default:
		return Socket{}, errDiagFamily
	}
	return Socket{
		Local:  netip.AddrPortFrom(localAddr, binary.BigEndian.Uint16(body[4:])),
		Remote: netip.AddrPortFrom(remoteAddr, binary.BigEndian.Uint16(body[6:])),
		State:  State(body[1]),
	}, nil
}
