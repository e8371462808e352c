package main

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// perAddress is how many connections go to one address: fewer than there are
// ports to come from.
const perAddress = 20_000

// openTimeWait leaves n connections in TIME_WAIT. They are made one after the
// other, by system calls, as all of them have to be there within the 60 seconds
// that the first one lasts. The server that they were made to goes on listening.
func openTimeWait(n int) error {
	for name, value := range map[string]string{
		"tcp_max_tw_buckets":  fmt.Sprint(2 * n),
		"tcp_tw_reuse":        "0", // else the loopback's give way to new connections
		"ip_local_port_range": "1024 65535",
	} {
		if err := os.WriteFile("/proc/sys/net/ipv4/"+name, []byte(value), 0); err != nil {
			return err
		}
	}
	listener, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	const port = 1000
	if err := errors.Join(
		unix.Bind(listener, &unix.SockaddrInet4{Port: port}),
		unix.Listen(listener, 16),
	); err != nil {
		return fmt.Errorf("listen: %w", err)
	}
	for i := range n {
		to := unix.SockaddrInet4{Port: port, Addr: [4]byte{127, 0, 1, byte(1 + i/perAddress)}}
		if err := closedConnection(listener, &to); err != nil {
			return fmt.Errorf("after %d connections: %w", i, err)
		}
	}
	return nil
}

// closedConnection opens a connection and closes it, the client's end first.
func closedConnection(listener int, to unix.Sockaddr) error {
	client, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	if err := unix.Connect(client, to); err != nil {
		return errors.Join(err, unix.Close(client))
	}
	server, _, err := unix.Accept4(listener, unix.SOCK_CLOEXEC)
	if err != nil {
		return errors.Join(err, unix.Close(client))
	}
	return errors.Join(unix.Close(client), unix.Close(server))
}
