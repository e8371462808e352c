package hostproc

import (
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

// The kernel that runs these tests is the judge of the formats.

// ownRoot returns a root whose network tables are those of this process, whatever
// network the first process is in.
func ownRoot(t *testing.T) string {
	t.Helper()
	root := t.TempDir()
	if err := os.Symlink("/proc/self", filepath.Join(root, "1")); err != nil {
		t.Fatal(err)
	}
	return root
}

func TestRealSockets(t *testing.T) {
	h := open(t, ownRoot(t))
	listener, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	client, err := net.Dial("tcp4", listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	accepted, err := listener.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer accepted.Close()

	server, local := address(listener.Addr()), address(client.LocalAddr())
	want := []Socket{
		{Local: server, Remote: netip.MustParseAddrPort("0.0.0.0:0"), State: Listen},
		{Local: local, Remote: server, State: Established},
		{Local: server, Remote: local, State: Established},
	}
	// The kernel hands the table out in pieces, and loses its place when sockets of
	// other programs come and go meanwhile: what one reading lacks, another has.
	var visited []Socket
	for range 10 {
		if visited, err = sockets(h.TCP); err != nil {
			t.Fatal(err)
		}
		if want = slices.DeleteFunc(want, func(s Socket) bool { return slices.Contains(visited, s) }); len(want) == 0 {
			break
		}
	}
	for _, s := range want {
		t.Errorf("%v is not among %v", s, visited)
	}
	addresses, err := h.Addresses()
	if err != nil {
		t.Fatal(err)
	}
	all, err := addresses.All()
	if loopback := netip.MustParseAddr("127.0.0.1"); err != nil || !slices.Contains(all, loopback) {
		t.Errorf("%v is not among %v, %v", loopback, all, err)
	}
	if c, err := h.Counters(); err != nil || c["lo"].RxPackets == 0 {
		t.Errorf("counters %v, %v", c, err)
	}
	if _, err := sockets(h.UDP); err != nil {
		t.Error(err)
	}
}

func address(a net.Addr) netip.AddrPort { return a.(*net.TCPAddr).AddrPort() }

func TestRealMachine(t *testing.T) {
	h, err := Open("/proc")
	if err != nil {
		t.Skip(err)
	}
	for _, fact := range facts {
		if _, err := fact.read(h); err != nil {
			t.Error(err)
		}
	}
	if n, err := h.Processes(); n < 1 || err != nil {
		t.Errorf("%d processes, %v", n, err)
	}
}
