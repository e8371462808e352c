package hostproc

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"testing"
	"unsafe"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/device-defender/device-defender/internal/hostproc/hostproctest"
)

// readers are what the kernel and the tables say about the same sockets.
type readers struct {
	Kernel, Tables struct{ TCP, UDP []string }
	Err            string
}

// moreTCP and moreUDP are the sockets of openMore.
var (
	moreTCP = []string{
		"0A [::]:1011 [::]:0",
		"05 127.0.0.1:50001 127.0.0.1:1011 lo", // closed by its process, and in TIME_WAIT with FIN_WAIT2 as its substate
		"08 127.0.0.1:1011 127.0.0.1:50001 lo", // v4-mapped
		"05 [::1]:50002 [::1]:1011 lo",         // closed by its process
		"08 [::1]:1011 [::1]:50002 lo",
		"05 [::1]:50003 [::1]:1011 lo",
		"08 [::1]:1011 [::1]:50003 lo",
		"01 [fe80::d]:50005 [fe80::d]:1011 dum0", // both with a zone
		"01 [fe80::d]:1011 [fe80::d]:50005 dum0",
	}
	moreUDP = []string{
		"01 [fe80::d]:2007 [fe80::d]:9 dum0",
		"01 10.9.0.1:2008 10.9.0.2:53 dum0", // of IPv6, v4-mapped
	}
)

// openMore opens sockets that two readers could see differently.
func openMore() error {
	listener, err := net.Listen("tcp", "[::]:1011")
	if err != nil {
		return err
	}
	keep = append(keep, listener)
	for _, c := range []struct {
		from, to string
		close    func(client, server *net.TCPConn) error
	}{
		{"127.0.0.1:50001", "127.0.0.1:1011", func(client, server *net.TCPConn) error { return errors.Join(client.Close(), acknowledge(server)) }},
		{"[::1]:50002", "[::1]:1011", func(client, server *net.TCPConn) error { return errors.Join(client.Close(), acknowledge(server)) }},
		{"[::1]:50003", "[::1]:1011", func(client, server *net.TCPConn) error { return errors.Join(client.CloseWrite(), acknowledge(server)) }},
		{"[::1]:50004", "[::1]:1011", func(client, server *net.TCPConn) error { // ends in TIME_WAIT
			return errors.Join(client.Close(), acknowledge(server), server.Close())
		}},
		{"[fe80::d%dum0]:50005", "[fe80::d%dum0]:1011", func(_, _ *net.TCPConn) error { return nil }},
	} {
		from, err := net.ResolveTCPAddr("tcp", c.from)
		if err != nil {
			return err
		}
		dialer := net.Dialer{LocalAddr: from}
		client, err := dialer.DialContext(context.Background(), "tcp", c.to)
		if err != nil {
			return err
		}
		server, err := listener.Accept()
		if err != nil {
			return err
		}
		keep = append(keep, client, server)
		if err := c.close(client.(*net.TCPConn), server.(*net.TCPConn)); err != nil {
			return fmt.Errorf("closing %s: %w", c.from, err)
		}
	}
	scoped, err := net.ResolveUDPAddr("udp", "[fe80::d%dum0]:2007")
	if err != nil {
		return err
	}
	udp, err := net.DialUDP("udp", scoped, &net.UDPAddr{IP: scoped.IP, Zone: scoped.Zone, Port: 9})
	if err != nil {
		return err
	}
	keep = append(keep, udp)
	mapped, err := unix.Socket(unix.AF_INET6, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0) // held until the process ends
	if err != nil {
		return err
	}
	return errors.Join(
		unix.Bind(mapped, &unix.SockaddrInet6{Addr: [16]byte(net.IPv4(10, 9, 0, 1)), Port: 2008}),
		unix.Connect(mapped, &unix.SockaddrInet6{Addr: [16]byte(net.IPv4(10, 9, 0, 2)), Port: 53}),
	)
}

// keep holds what the garbage collector would close.
var keep []io.Closer

// acknowledge confirms that the other end has closed, which the kernel would do
// some time later.
func acknowledge(c *net.TCPConn) error {
	if _, err := io.Copy(io.Discard, c); err != nil {
		return err
	}
	raw, err := c.SyscallConn()
	if err != nil {
		return err
	}
	var result error
	err = raw.Control(func(fd uintptr) { result = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_QUICKACK, 1) })
	return errors.Join(err, result)
}

// readBoth opens more sockets and returns what both readers see.
func readBoth(root string) (r readers) {
	h, err := Open(root)
	if err := errors.Join(err, openMore()); err != nil {
		return readers{Err: err.Error()}
	}
	addresses, err := h.Addresses()
	if err != nil {
		return readers{Err: err.Error()}
	}
	read := func(p *protocol, kernel, tables *[]string) {
		asked, err1 := sockets(func(visit func(Socket)) error { _, err := p.ask(visit); return err })
		parsed, err2 := sockets(func(visit func(Socket)) error {
			return readTables(filepath.Join(h.NetDir(), p.file), p.states, visit)
		})
		if err := errors.Join(err1, err2); err != nil {
			r.Err = err.Error()
		}
		*kernel, *tables = rows(asked, addresses), rows(parsed, addresses)
	}
	read(&tcp, &r.Kernel.TCP, &r.Tables.TCP)
	read(&udp, &r.Kernel.UDP, &r.Tables.UDP)
	return r
}

// The kernel and the tables tell of the same sockets.
func TestReadersAgree(t *testing.T) {
	s := hostproctest.Start(t)
	var got readers
	command := s.Command(t, executable(t))
	command.Env = append(os.Environ(), viewRoot+"=/proc", viewReaders+"=1")
	decodeOutput(t, command, &got)
	var want readers
	want.Tables.TCP, want.Tables.UDP = slices.Concat(scenarioTCP, moreTCP), slices.Concat(scenarioUDP, moreUDP)
	slices.Sort(want.Tables.TCP)
	slices.Sort(want.Tables.UDP)
	want.Kernel = want.Tables
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("readers (-want +got):\n%s", diff)
	}
}

// Where netlink is forbidden, as by a service manager's or a container's filter of
// system calls, the files tell the same.
func TestNetlinkRefused(t *testing.T) {
	s := hostproctest.Start(t)
	for _, refusal := range []syscall.Errno{unix.EPERM, unix.EAFNOSUPPORT} {
		command := s.Command(t, executable(t))
		command.Env = append(os.Environ(), viewRoot+"=/proc", fmt.Sprintf("%s=%d", viewRefusal, refusal))
		var got view
		decodeOutput(t, command, &got)
		want := view{NetDir: "/proc/1/net", TCP: scenarioTCP, UDP: scenarioUDP, Addresses: scenarioAddresses}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%v (-want +got):\n%s", refusal, diff)
		}
	}
}

// refuseNetlink makes the kernel refuse netlink sockets to this process from now
// on.
func refuseNetlink(refusal syscall.Errno) error {
	const (
		number   = 0  // of the system call, in struct seccomp_data
		argument = 16 // the first, in its lower half if the machine is little-endian
	)
	filter := []unix.SockFilter{
		{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: number},
		{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: unix.SYS_SOCKET, Jf: 3},
		{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: argument},
		{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: unix.AF_NETLINK, Jf: 1},
		{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ERRNO | uint32(refusal)},
		{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ALLOW},
	}
	program := unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]}
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("prctl: %w", err)
	}
	if _, _, errno := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, unix.SECCOMP_FILTER_FLAG_TSYNC, uintptr(unsafe.Pointer(&program))); errno != 0 {
		return fmt.Errorf("seccomp: %w", errno)
	}
	if _, err := openNetlink(unix.NETLINK_SOCK_DIAG); !errors.Is(err, refusal) {
		return fmt.Errorf("netlink socket: %v, want %w", err, refusal)
	}
	return nil
}
