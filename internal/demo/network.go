package demo

import (
	"fmt"
	"net/netip"

	"golang.org/x/sys/unix"
)

// Addresses of the little world that a device of its own network sees. They
// are all its own, on its loopback interface: bytes sent there are real, and
// go nowhere. They are of the blocks for documentation (RFC 5737).
var (
	deviceAddress = netip.MustParseAddr("192.0.2.10")
	brokerAddress = netip.MustParseAddr("198.51.100.20")
	// StrangeAddress is where data is exfiltrated to.
	StrangeAddress = netip.MustParseAddr("203.0.113.66")
)

// raiseLoopback brings up this network's loopback interface with the
// addresses.
func raiseLoopback() error {
	socket, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(socket)
	if err := raise(socket, "lo"); err != nil {
		return err
	}
	for i, address := range []netip.Addr{deviceAddress, brokerAddress, StrangeAddress} {
		if err := addAddress(socket, fmt.Sprintf("lo:%d", i+1), address); err != nil {
			return err
		}
	}
	return nil
}

func raise(socket int, name string) error {
	request, err := unix.NewIfreq(name)
	if err != nil {
		return err
	}
	request.SetUint16(unix.IFF_UP | unix.IFF_RUNNING | unix.IFF_LOOPBACK)
	if err := unix.IoctlIfreq(socket, unix.SIOCSIFFLAGS, request); err != nil {
		return fmt.Errorf("bringing up %s: %w", name, err)
	}
	return nil
}

// addAddress gives the address to an alias of an interface.
func addAddress(socket int, alias string, address netip.Addr) error {
	for _, set := range []struct {
		request uint
		value   []byte
	}{
		{unix.SIOCSIFADDR, address.AsSlice()},
		{unix.SIOCSIFNETMASK, []byte{255, 255, 255, 255}},
	} {
		request, err := unix.NewIfreq(alias)
		if err != nil {
			return err
		}
		if err := request.SetInet4Addr(set.value); err != nil {
			return err
		}
		if err := unix.IoctlIfreq(socket, set.request, request); err != nil {
			return fmt.Errorf("adding %v to %s: %w", address, alias, err)
		}
	}
	return nil
}
