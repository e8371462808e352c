package hostproc

import (
	"encoding/binary"
	"errors"
	"fmt"
	"path/filepath"
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

// errInterrupted says that a table changed while it was dumped: rows may be
// missing.
var errInterrupted = errors.New("the table changed while it was read")

// netlinkConn is a connection to a part of the kernel.
type netlinkConn struct {
	fd     int
	buffer []byte
}

// openNetlink connects to the part of the kernel with a netlink protocol number.
//
// It is our own because syscall.NetlinkRIB, which knows rtnetlink only, waits
// without a limit, collects the whole table in memory, cuts messages of more
// than a page, and does not notice interrupted dumps.
func openNetlink(protocol int) (*netlinkConn, error) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, protocol)
	if err != nil {
		return nil, fmt.Errorf("netlink socket: %w", err)
	}
	// The kernel answers at once; what stands in for one may not.
	patience := unix.NsecToTimeval(int64(2 * time.Second))
	if err := unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &patience); err != nil {
		unix.Close(fd)
		return nil, fmt.Errorf("netlink timeout: %w", err)
	}
	// The kernel fills up to 32 KiB at a time.
	return &netlinkConn{fd: fd, buffer: make([]byte, 32<<10)}, nil
}

func (c *netlinkConn) close() { unix.Close(c.fd) }

// dump asks for a table and visits its messages, whose bodies are valid only
// during the visit. After an error the connection must not be used again.
func (c *netlinkConn) dump(request uint16, body []byte, visit func(kind uint16, body []byte) error) error {
	if err := unix.Sendto(c.fd, dumpRequest(request, body), 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return fmt.Errorf("netlink request: %w", err)
	}
	for interrupted := false; ; {
		n, _, flags, from, err := unix.Recvmsg(c.fd, c.buffer, nil, 0)
		switch {
		case errors.Is(err, unix.EINTR):
			continue
		case errors.Is(err, unix.ENOBUFS):
			return errInterrupted
		case err != nil:
			return fmt.Errorf("netlink answer: %w", err)
		case flags&unix.MSG_TRUNC != 0:
			return fmt.Errorf("netlink answer of more than %d bytes", len(c.buffer))
		}
		if sender, ok := from.(*unix.SockaddrNetlink); !ok || sender.Pid != 0 {
			continue // another process
		}
		done, changed, err := parseDump(c.buffer[:n], visit)
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

// dumpRequest returns a request for all rows of a table.
func dumpRequest(request uint16, body []byte) []byte {
	message := make([]byte, unix.SizeofNlMsghdr, unix.SizeofNlMsghdr+len(body))
	binary.NativeEndian.PutUint32(message[0:], uint32(cap(message)))
	binary.NativeEndian.PutUint16(message[4:], request)
	binary.NativeEndian.PutUint16(message[6:], unix.NLM_F_REQUEST|unix.NLM_F_DUMP)
	binary.NativeEndian.PutUint32(message[8:], dumpSequence)
	return append(message, body...)
}

// errCutMessage says that a message is longer than its datagram, or too short.
var errCutMessage = errors.New("a message is cut")

// parseDump visits the messages of one datagram. It returns whether they are the
// last ones, and whether the table has changed meanwhile.
//
// It is not syscall.ParseNetlinkMessage, which makes a list of them.
func parseDump(datagram []byte, visit func(kind uint16, body []byte) error) (done, changed bool, err error) {
	const header, alignment = unix.SizeofNlMsghdr, unix.NLMSG_ALIGNTO
	for rest := datagram; len(rest) >= header; {
		size := uint64(binary.NativeEndian.Uint32(rest))
		if size < header || size > uint64(len(rest)) {
			return false, changed, fmt.Errorf("netlink answer of %d bytes: %w", len(datagram), errCutMessage)
		}
		kind, flags := binary.NativeEndian.Uint16(rest[4:]), binary.NativeEndian.Uint16(rest[6:])
		sequence, body := binary.NativeEndian.Uint32(rest[8:]), rest[header:size]
		rest = rest[min((size+alignment-1)/alignment*alignment, uint64(len(rest))):]
		if sequence != dumpSequence {
			continue
		}
		changed = changed || flags&unix.NLM_F_DUMP_INTR != 0
		switch kind {
		case unix.NLMSG_ERROR, unix.NLMSG_DONE: // each with an error number, 0 or negative
			if len(body) >= 4 {
				if number := int32(binary.NativeEndian.Uint32(body)); number < 0 {
					return true, changed, fmt.Errorf("netlink answer: %w", unix.Errno(-number))
				}
			}
			return true, changed, nil
		default:
			if err := visit(kind, body); err != nil {
				return true, changed, err
			}
		}
	}
	return false, changed, nil
}
