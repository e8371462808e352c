package hostproc

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"

	"golang.org/x/sys/unix"
)

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
	kernel, err := openNetlink(unix.NETLINK_ROUTE)
	if err != nil {
		return nil, err
	}
	defer kernel.close()
	// A body of zeros is for all address families.
	names := map[uint32]string{}
	if err := kernel.dump(unix.RTM_GETLINK, make([]byte, unix.SizeofIfInfomsg), func(kind uint16, body []byte) error {
		return addLink(names, kind, body)
	}); err != nil {
		return nil, fmt.Errorf("asking the kernel for interfaces: %w", err)
	}
	interfaces := map[netip.Addr]string{}
	if err := kernel.dump(unix.RTM_GETADDR, make([]byte, unix.SizeofIfAddrmsg), func(kind uint16, body []byte) error {
		return addAddress(interfaces, names, kind, body)
	}); err != nil {
		return nil, fmt.Errorf("asking the kernel for addresses: %w", err)
	}
	return interfaces, nil
}

// addLink adds the interface of a message to names, by index.
func addLink(names map[uint32]string, kind uint16, body []byte) error {
	if kind != unix.RTM_NEWLINK || len(body) < unix.SizeofIfInfomsg {
		return nil
	}
	name := attribute(body[unix.SizeofIfInfomsg:], unix.IFLA_IFNAME)
	names[binary.NativeEndian.Uint32(body[4:])] = unix.ByteSliceToString(name)
	if len(names) > maxInterfaces {
		return fmt.Errorf("more than %d interfaces", maxInterfaces)
	}
	return nil
}

// addAddress adds the address of a message to interfaces.
func addAddress(interfaces map[netip.Addr]string, names map[uint32]string, kind uint16, body []byte) error {
	if kind != unix.RTM_NEWADDR || len(body) < unix.SizeofIfAddrmsg {
		return nil
	}
	// On point-to-point links IFA_ADDRESS is the peer's.
	attributes := body[unix.SizeofIfAddrmsg:]
	bytes := attribute(attributes, unix.IFA_LOCAL)
	if bytes == nil {
		bytes = attribute(attributes, unix.IFA_ADDRESS)
	}
	addr, ok := netip.AddrFromSlice(bytes)
	if !ok {
		return nil // of a family that is not IP
	}
	name := names[binary.NativeEndian.Uint32(body[4:])]
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
