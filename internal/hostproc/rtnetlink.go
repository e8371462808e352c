package hostproc

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"path/filepath"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// ownNetwork reports whether the host's network namespace is that of this
// process, so that the kernel can be asked about it. Each namespace has inodes
// of its own for the files of net, which are the same in every mount of proc;
// the device is the mount's, so it is not compared. A copy of a tree elsewhere
// may have any inode, and is no proc file system.
func (h *Host) ownNetwork() bool {
	file := filepath.Join(h.netDir, "tcp")
	var theirs, ours unix.Stat_t
	var fileSystem unix.Statfs_t
	if unix.Stat(file, &theirs) != nil || unix.Statfs(file, &fileSystem) != nil || unix.Stat(ownProc+"/self/net/tcp", &ours) != nil {
		return false
	}
	return fileSystem.Type == unix.PROC_SUPER_MAGIC && theirs.Ino == ours.Ino
}

// kernelAddresses returns the addresses of this process' network namespace with
// their interfaces, "" for an address on several.
func kernelAddresses() (map[netip.Addr]string, error) {
	const attempts = 3 // while the tables change as they are read
	for range attempts - 1 {
		interfaces, err := readKernelAddresses()
		if !errors.Is(err, errInterrupted) {
			return interfaces, err
		}
	}
	return readKernelAddresses()
}

func readKernelAddresses() (map[netip.Addr]string, error) {
	names := map[uint32]string{}
	if err := dump(unix.RTM_GETLINK, unix.SizeofIfInfomsg, func(m *syscall.NetlinkMessage) error {
		return addLink(names, m)
	}); err != nil {
		return nil, fmt.Errorf("asking the kernel for interfaces: %w", err)
	}
	interfaces := map[netip.Addr]string{}
	if err := dump(unix.RTM_GETADDR, unix.SizeofIfAddrmsg, func(m *syscall.NetlinkMessage) error {
		return addAddress(interfaces, names, m)
	}); err != nil {
		return nil, fmt.Errorf("asking the kernel for addresses: %w", err)
	}
	return interfaces, nil
}

// addLink adds the interface of a message to names, by index.
func addLink(names map[uint32]string, m *syscall.NetlinkMessage) error {
	if m.Header.Type != unix.RTM_NEWLINK || len(m.Data) < unix.SizeofIfInfomsg {
		return nil
	}
	name := attribute(m.Data[unix.SizeofIfInfomsg:], unix.IFLA_IFNAME)
	names[binary.NativeEndian.Uint32(m.Data[4:])] = unix.ByteSliceToString(name)
	if len(names) > maxInterfaces {
		return fmt.Errorf("more than %d interfaces", maxInterfaces)
	}
	return nil
}

// addAddress adds the address of a message to interfaces.
func addAddress(interfaces map[netip.Addr]string, names map[uint32]string, m *syscall.NetlinkMessage) error {
	if m.Header.Type != unix.RTM_NEWADDR || len(m.Data) < unix.SizeofIfAddrmsg {
		return nil
	}
	// On point-to-point links IFA_ADDRESS is the peer's.
	attributes := m.Data[unix.SizeofIfAddrmsg:]
	bytes := attribute(attributes, unix.IFA_LOCAL)
	if bytes == nil {
		bytes = attribute(attributes, unix.IFA_ADDRESS)
	}
	addr, ok := netip.AddrFromSlice(bytes)
	if !ok {
		return nil // of a family that is not IP
	}
	name := names[binary.NativeEndian.Uint32(m.Data[4:])]
	if other, ok := interfaces[addr]; ok && other != name {
		name = ""
	}
	if interfaces[addr] = name; len(interfaces) > maxAddresses {
		return fmt.Errorf("more than %d addresses", maxAddresses)
	}
	return nil
}

// attribute returns the value of the first attribute of a kind, nil if there is
// none. It is not syscall.ParseNetlinkRouteAttr, which panics if the last
// attribute is not padded.
func attribute(attributes []byte, kind uint16) []byte {
	const header = unix.SizeofRtAttr
	for len(attributes) >= header {
		size := int(binary.NativeEndian.Uint16(attributes))
		if size < header || size > len(attributes) {
			return nil
		}
		if binary.NativeEndian.Uint16(attributes[2:]) == kind {
			return attributes[header:size]
		}
		const alignment = 4
		attributes = attributes[min((size+alignment-1)/alignment*alignment, len(attributes)):]
	}
	return nil
}

// errInterrupted says that a table changed while it was dumped: rows may be
// missing.
var errInterrupted = errors.New("the table changed while it was read")

// dump asks the kernel for a table of rtnetlink and visits its messages.
//
// It is our own because syscall.NetlinkRIB waits without a limit, collects the
// whole table in memory, cuts messages of more than a page, and does not notice
// interrupted dumps.
func dump(request uint16, bodySize int, visit func(*syscall.NetlinkMessage) error) error {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_ROUTE)
	if err != nil {
		return fmt.Errorf("netlink socket: %w", err)
	}
	defer unix.Close(fd)
	// The kernel answers at once; what stands in for one may not.
	patience := unix.NsecToTimeval(int64(2 * time.Second))
	if err := unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &patience); err != nil {
		return fmt.Errorf("netlink timeout: %w", err)
	}
	if err := unix.Sendto(fd, dumpRequest(request, bodySize), 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return fmt.Errorf("netlink request: %w", err)
	}
	// The kernel fills up to 32 KiB at a time.
	buffer := make([]byte, 32<<10)
	for interrupted := false; ; {
		n, _, flags, from, err := unix.Recvmsg(fd, buffer, nil, 0)
		switch {
		case errors.Is(err, unix.EINTR):
			continue
		case errors.Is(err, unix.ENOBUFS):
			return errInterrupted
		case err != nil:
			return fmt.Errorf("netlink answer: %w", err)
		case flags&unix.MSG_TRUNC != 0:
			return fmt.Errorf("netlink answer of more than %d bytes", len(buffer))
		}
		if sender, ok := from.(*unix.SockaddrNetlink); !ok || sender.Pid != 0 {
			continue // another process
		}
		done, changed, err := parseDump(buffer[:n], visit)
		interrupted = interrupted || changed
		switch {
		case err != nil:
			return err
		case done && interrupted:
			return errInterrupted
		case done:
			return nil
		}
	}
}

// dumpSequence numbers the request; its answers have the same number.
const dumpSequence = 1

// dumpRequest returns a request for all rows of a table: a header, and a body of
// zeros, which is of any address family.
func dumpRequest(request uint16, bodySize int) []byte {
	message := make([]byte, unix.SizeofNlMsghdr+bodySize)
	binary.NativeEndian.PutUint32(message[0:], uint32(len(message)))
	binary.NativeEndian.PutUint16(message[4:], request)
	binary.NativeEndian.PutUint16(message[6:], unix.NLM_F_REQUEST|unix.NLM_F_DUMP)
	binary.NativeEndian.PutUint32(message[8:], dumpSequence)
	return message
}

// parseDump visits the messages of one datagram. It returns whether they are the
// last ones, and whether the table has changed meanwhile.
func parseDump(datagram []byte, visit func(*syscall.NetlinkMessage) error) (done, changed bool, err error) {
	messages, err := syscall.ParseNetlinkMessage(datagram)
	if err != nil {
		return false, false, fmt.Errorf("netlink answer of %d bytes: %w", len(datagram), err)
	}
	for i := range messages {
		m := &messages[i]
		if m.Header.Seq != dumpSequence {
			continue
		}
		changed = changed || m.Header.Flags&unix.NLM_F_DUMP_INTR != 0
		switch m.Header.Type {
		case unix.NLMSG_ERROR, unix.NLMSG_DONE: // each with an error number, 0 or negative
			if len(m.Data) >= 4 {
				if number := int32(binary.NativeEndian.Uint32(m.Data)); number < 0 {
					return true, changed, fmt.Errorf("netlink answer: %w", unix.Errno(-number))
				}
			}
			return true, changed, nil
		default:
			if err := visit(m); err != nil {
				return true, changed, err
			}
		}
	}
	return false, changed, nil
}
