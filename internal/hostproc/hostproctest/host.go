package hostproctest

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Requests, one a line, and what answers those that succeed.
const (
	sendDatagrams   = "send datagrams"
	deleteInterface = "delete interface"
	answerOK        = "ok"
)

// interfaces are commands of ip. Addresses are exempt from duplicate address
// detection, which would make the sockets wait. The neighbours make packets
// to hosts that are not there leave all the same.
const interfaces = `
link set lo up
link add dum0 type veth peer name dum0p
link add br-a1 type veth peer name br-a1p
link set dum0 addrgenmode none
link set br-a1 addrgenmode none
link set dum0 up
link set dum0p up
link set br-a1 up
link set br-a1p up
addr add 10.9.0.1/24 dev dum0
addr add fd09::1/64 dev dum0 nodad
addr add fe80::d/64 dev dum0 nodad
addr add 10.8.0.1/24 dev br-a1
addr add fe80::b/64 dev br-a1 nodad
neigh add 10.9.0.77 lladdr 02:00:00:00:00:77 dev dum0 nud permanent
neigh add 10.8.0.2 lladdr 02:00:00:00:00:02 dev br-a1 nud permanent
`

// serve is the scenario's process, the first of its process id namespace. It
// sets the host up, then does as requested until the requests end.
func serve(requests io.Reader, answers io.Writer) {
	s := newSockets()
	answer := func(err error) {
		text := answerOK
		if err != nil {
			text = strings.ReplaceAll(err.Error(), "\n", "; ")
		}
		fmt.Fprintln(answers, text)
	}
	answer(setup(s))
	for lines := bufio.NewScanner(requests); lines.Scan(); {
		switch lines.Text() {
		case sendDatagrams:
			answer(s.sendDatagrams())
		case deleteInterface:
			answer(s.loseInterface())
		default:
			answer(fmt.Errorf("unknown request %q", lines.Text()))
		}
	}
}

func setup(s *sockets) error {
	// The mounts are copies; a mount of ours must not reach the originals.
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("making mounts private: %w", err)
	}
	if err := unix.Mount("proc", "/proc", "proc", 0, ""); err != nil {
		return fmt.Errorf("mounting proc: %w", err)
	}
	if err := ip(interfaces); err != nil {
		return err
	}
	if err := waitForRoute(); err != nil {
		return err
	}
	for _, open := range []func() error{s.listenTCP, s.listenUDP, s.connect, s.halfClose, s.timeWait, s.synSent, s.bound} {
		if err := open(); err != nil {
			return err
		}
	}
	return nil
}

// waitForRoute waits until the kernel routes fd09::1 to the host itself, which it
// arranges in the background: a connection made earlier would look for a
// neighbour of that address.
func waitForRoute() error {
	const patience = time.Minute
	for start := time.Now(); time.Since(start) < patience; time.Sleep(time.Millisecond) {
		routes, err := os.ReadFile("/proc/net/ipv6_route")
		if err != nil {
			return err
		}
		if bytes.Contains(routes, []byte("fd090000000000000000000000000001 80 ")) {
			return nil
		}
	}
	return fmt.Errorf("no route to fd09::1 after %v", patience)
}

// ip runs commands of iproute2's ip, one a line.
func ip(commands string) error {
	command := exec.Command("ip", "-batch", "-")
	command.Stdin = strings.NewReader(commands)
	if output, err := command.CombinedOutput(); err != nil {
		return fmt.Errorf("ip: %w: %s", err, output)
	}
	return nil
}
