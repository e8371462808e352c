package hostproc

import (
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// Answers of Linux 6.18 in the scenario, without what follows the sizes of the
// queues. These bytes are of the network's order.
var diagSockets = []struct {
	name, body string
	want       Socket
}{
	{"listening",
		"020a0000 03ed 0000 0a090001000000000000000000000000 00000000000000000000000000000000 00000000 ba50000000000000 0000000000000000 00100000 00000000 e6b72d00",
		socket(Listen, "10.9.0.1:1005", "0.0.0.0:0")},
	{"half closed, with attributes behind it",
		"02050000 d8bc 03e9 7f000001000000000000000000000000 7f000001000000000000000000000000 00000000 c350000000000000 0000000000000000 00000000 00000000 08b82d00" +
			"0500080002000000 08000f0000000000 0c0015000100000000000000 0600160052000000",
		socket(FinWait2, "127.0.0.1:55484", "127.0.0.1:1001")},
	{"IPv6",
		"0a010000 a25a 03f0 fd090000000000000000000000000001 fd090000000000000000000000000001 00000000 cd50000000000000 0000000000000000 00000000 00000000 06b82d00",
		socket(Established, "[fd09::1]:41562", "[fd09::1]:1008")},
	{"IPv4 mapped into IPv6",
		"0a010000 03ea ba86 00000000000000000000ffff0a090001 00000000000000000000ffff0a090001 00000000 ce50000000000000 0000000000000000 00000000 00000000 03b82d00",
		socket(Established, "10.9.0.1:1002", "10.9.0.1:47750")},
	{"link-local, bound to interface 3",
		"0a0a0000 03f1 0000 fe80000000000000000000000000000d 00000000000000000000000000000000 03000000 c850000000000000 0000000000000000 00100000 00000000 eeb72d00",
		socket(Listen, "[fe80::d]:1009", "[::]:0")},
	{"UDP",
		"02010000 07d4 0035 0a090001000000000000000000000000 0a090002000000000000000000000000 00000000 d450000000000000 0000000000000000 00000000 00000000 fdb72d00",
		socket(Established, "10.9.0.1:2004", "10.9.0.2:53")},
}

func diagBody(t testing.TB, text string) []byte {
	t.Helper()
	body, err := hex.DecodeString(strings.ReplaceAll(text, " ", ""))
	if err != nil {
		t.Fatal(err)
	}
	return body
}

func TestParseDiagSocket(t *testing.T) {
	for _, test := range diagSockets {
		body := diagBody(t, test.body)
		if got, err := parseDiagSocket(body); got != test.want || err != nil {
			t.Errorf("%s: %v, %v, want %v", test.name, got, err, test.want)
		}
		if got, err := parseDiagSocket(body[:sizeofInetDiagMsg-1]); got != (Socket{}) || !errors.Is(err, errDiagSize) {
			t.Errorf("%s, cut: %v, %v", test.name, got, err)
		}
		body[0] = unix.AF_UNIX
		if got, err := parseDiagSocket(body); got != (Socket{}) || !errors.Is(err, errDiagFamily) {
			t.Errorf("%s, of another family: %v, %v", test.name, got, err)
		}
	}
}

// The rows of an answer cost no memory.
func TestDiagSocketsCostNoMemory(t *testing.T) {
	var datagram []byte
	const rows = 250
	for i := range rows {
		datagram = append(datagram, message(unix.SOCK_DIAG_BY_FAMILY, 0, dumpSequence, diagBody(t, diagSockets[i%len(diagSockets)].body)...)...)
	}
	visited := 0
	allocations := testing.AllocsPerRun(10, func() {
		visited = 0
		_, _, err := parseDump(datagram, func(_ uint16, body []byte) error {
			_, err := parseDiagSocket(body)
			visited++
			return err
		})
		if err != nil {
			t.Error(err)
		}
	})
	if allocations > 0 || visited != rows {
		t.Errorf("%.0f allocations for %d rows", allocations, visited)
	}
}

// A protocol that the kernel has no module for is read from its tables, and is
// not asked for again.
func TestNoDiagModule(t *testing.T) {
	listener, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	h := open(t, ownRoot(t))
	experiment := protocol{file: "tcp", number: 253, states: tcp.states} // RFC 3692: of no protocol
	if visited, err := experiment.ask(func(Socket) {}); visited != 0 || err == nil {
		t.Fatalf("%d sockets, %v, want an error", visited, err)
	}
	want := Socket{Local: address(listener.Addr()), Remote: netip.MustParseAddrPort("0.0.0.0:0"), State: Listen}
	for range 2 {
		got, err := sockets(func(visit func(Socket)) error { return h.sockets(&experiment, visit) })
		if !slices.Contains(got, want) || err != nil {
			t.Errorf("sockets %v, %v", got, err)
		}
		if !experiment.refused.Load() {
			t.Error("the kernel would be asked again")
		}
	}
}

// A list without sockets is true only if there are tables that say so.
func TestEmptyAnswer(t *testing.T) {
	h := open(t, ownRoot(t))
	for _, test := range []struct {
		file string
		want error
	}{{"tcp", nil}, {"absent", fs.ErrNotExist}} {
		none := protocol{file: test.file, number: unix.IPPROTO_TCP, states: statesOf(0)} // no socket has that state
		got, err := sockets(func(visit func(Socket)) error { return h.sockets(&none, visit) })
		if len(got) > 0 || !errors.Is(err, test.want) {
			t.Errorf("%s: sockets %v, error %v, want %v", test.file, got, err, test.want)
		}
	}
}

// Which failures are remembered.
func TestLasting(t *testing.T) {
	for err, want := range map[error]bool{
		unix.EPERM: true, unix.EACCES: true, unix.ENOENT: true, unix.EOPNOTSUPP: true, unix.EINVAL: true,
		unix.EAFNOSUPPORT: true, unix.EPROTONOSUPPORT: true, unix.EAGAIN: true, errDiagSize: true, errCutMessage: true,
		errInterrupted: false, unix.ENOMEM: false, unix.ENOBUFS: false, unix.EMFILE: false, unix.ENFILE: false,
	} {
		if lasting(fmt.Errorf("asking: %w", err)) != want {
			t.Errorf("%v: %v, want %v", err, !want, want)
		}
	}
}
