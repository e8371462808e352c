package hostproctest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"syscall"

	"golang.org/x/sys/unix"
)

// sockets are the scenario's, open as long as its process runs.
type sockets struct {
	open      []io.Closer // held, as the garbage collector closes what is not
	listeners map[string]net.Listener
}

func newSockets() *sockets { return &sockets{listeners: map[string]net.Listener{}} }

// reusePort lets several sockets have one address, as the workers of a server do.
var reusePort = net.ListenConfig{
	KeepAlive: -1,
	Control: func(_, _ string, c syscall.RawConn) error {
		return setOption(c, unix.SOL_SOCKET, unix.SO_REUSEPORT)
	},
}

func setOption(c syscall.RawConn, level, option int) error {
	var result error
	err := c.Control(func(fd uintptr) { result = unix.SetsockoptInt(int(fd), level, option, 1) })
	return errors.Join(err, result)
}

func (s *sockets) listenTCP() error {
	for _, l := range []struct{ network, address string }{
		{"tcp4", "0.0.0.0:1001"},
		{"tcp", "[::]:1002"}, // dual stack
		{"tcp6", "[::]:1003"},
		{"tcp4", "127.0.0.1:1004"},
		{"tcp4", "10.9.0.1:1005"},
		{"tcp4", "10.8.0.1:1006"},
		{"tcp6", "[::1]:1007"},
		{"tcp6", "[fd09::1]:1008"},
		{"tcp6", "[fe80::d%dum0]:1009"},
		{"tcp4", "0.0.0.0:1010"},
		{"tcp4", "0.0.0.0:1010"},
		{"tcp4", "0.0.0.0:1010"},
	} {
		listener, err := reusePort.Listen(context.Background(), l.network, l.address)
		if err != nil {
			return err
		}
		_, port, _ := net.SplitHostPort(l.address)
		s.listeners[port] = listener
		s.open = append(s.open, listener)
	}
	return nil
}

func (s *sockets) listenUDP() error {
	for _, l := range []struct{ network, address string }{
		{"udp4", "0.0.0.0:2001"},
		{"udp6", "[::]:2002"},
		{"udp4", "10.9.0.1:2003"},
		{"udp6", "[fd09::1]:2005"},
		{"udp4", "0.0.0.0:2006"},
		{"udp4", "0.0.0.0:2006"},
	} {
		if _, err := s.bindUDP(l.network, l.address); err != nil {
			return err
		}
	}
	connected, err := net.DialUDP("udp4",
		&net.UDPAddr{IP: net.IPv4(10, 9, 0, 1), Port: 2004}, &net.UDPAddr{IP: net.IPv4(10, 9, 0, 2), Port: 53})
	if err != nil {
		return err
	}
	s.open = append(s.open, connected)
	return nil
}

func (s *sockets) bindUDP(network, address string) (net.PacketConn, error) {
	socket, err := reusePort.ListenPacket(context.Background(), network, address)
	if err != nil {
		return nil, err
	}
	s.open = append(s.open, socket)
	return socket, nil
}

func (s *sockets) connect() error {
	for _, c := range []struct{ from, to string }{
		{"127.0.0.1:43322", "127.0.0.1:1004"},
		{"10.9.0.1:48970", "10.9.0.1:1005"},
		{"10.9.0.1:47750", "10.9.0.1:1002"},
		{"[::1]:45778", "[::1]:1007"},
		{"[fd09::1]:41562", "[fd09::1]:1008"},
	} {
		if _, _, err := s.dial(c.from, c.to); err != nil {
			return err
		}
	}
	return nil
}

// dial connects to one of the listeners and returns both ends.
func (s *sockets) dial(from, to string) (client, server *net.TCPConn, err error) {
	local, err := net.ResolveTCPAddr("tcp", from)
	if err != nil {
		return nil, nil, err
	}
	dialer := net.Dialer{LocalAddr: local, KeepAlive: -1} // no packets of its own
	c, err := dialer.Dial("tcp", to)
	if err != nil {
		return nil, nil, err
	}
	_, port, _ := net.SplitHostPort(to)
	a, err := s.listeners[port].Accept()
	if err != nil {
		return nil, nil, err
	}
	s.open = append(s.open, c, a)
	return c.(*net.TCPConn), a.(*net.TCPConn), nil
}

// halfClose leaves a connection in FIN_WAIT2 at one end, CLOSE_WAIT at the other.
func (s *sockets) halfClose() error {
	client, server, err := s.dial("127.0.0.1:55484", "127.0.0.1:1001")
	if err != nil {
		return err
	}
	return errors.Join(client.CloseWrite(), drain(server), acknowledge(server))
}

// acknowledge sends what would otherwise be a packet on lo some time later, in
// the middle of a test that counts them.
func acknowledge(c *net.TCPConn) error {
	raw, err := c.SyscallConn()
	if err != nil {
		return err
	}
	return setOption(raw, unix.IPPROTO_TCP, unix.TCP_QUICKACK)
}

// timeWait leaves a connection that both ends have closed.
func (s *sockets) timeWait() error {
	client, server, err := s.dial("127.0.0.1:55492", "127.0.0.1:1001")
	if err != nil {
		return err
	}
	return errors.Join(client.Close(), drain(server), server.Close())
}

// drain waits until the other end has closed.
func drain(c net.Conn) error {
	_, err := io.Copy(io.Discard, c)
	return err
}

// synSent leaves a connection to a host that does not answer.
func (s *sockets) synSent() error {
	fd, err := bindTCP(55156)
	if err != nil {
		return err
	}
	err = unix.Connect(fd, &unix.SockaddrInet4{Addr: [4]byte{10, 9, 0, 77}, Port: 9})
	if !errors.Is(err, unix.EINPROGRESS) {
		return fmt.Errorf("connecting to 10.9.0.77: %w, want it to be in progress", err)
	}
	return nil
}

// bound leaves a socket that has an address and does not listen.
func (s *sockets) bound() error {
	_, err := bindTCP(1099)
	return err
}

// bindTCP makes a socket with an address on dum0, which package net has no call
// for. It is never closed.
func bindTCP(port int) (fd int, err error) {
	fd, err = unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return 0, fmt.Errorf("socket: %w", err)
	}
	if err := unix.Bind(fd, &unix.SockaddrInet4{Addr: [4]byte{10, 9, 0, 1}, Port: port}); err != nil {
		return 0, fmt.Errorf("binding 10.9.0.1:%d: %w", port, err)
	}
	return fd, nil
}

// sendDatagrams sends 10 from a socket that stays open.
func (s *sockets) sendDatagrams() error {
	socket, err := s.bindUDP("udp4", "0.0.0.0:43098")
	if err != nil {
		return err
	}
	return send(socket, &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 2001}, 10)
}

// loseInterface sends 50 datagrams out of br-a1 and deletes it.
func (s *sockets) loseInterface() error {
	socket, err := net.ListenPacket("udp4", "10.8.0.1:0")
	if err != nil {
		return err
	}
	defer socket.Close()
	if err := send(socket, &net.UDPAddr{IP: net.IPv4(10, 8, 0, 2), Port: 9}, 50); err != nil {
		return err
	}
	return ip("link del br-a1")
}

// send sends datagrams of 1,000 bytes.
func send(socket net.PacketConn, to *net.UDPAddr, count int) error {
	for range count {
		if _, err := socket.WriteTo(make([]byte, 1000), to); err != nil {
			return err
		}
	}
	return nil
}
