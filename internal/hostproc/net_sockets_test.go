package hostproc

import (
	"errors"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

func socket(state State, local, remote string) Socket {
	return Socket{Local: netip.MustParseAddrPort(local), Remote: netip.MustParseAddrPort(remote), State: state}
}

var equateAddrs = cmpopts.EquateComparable(netip.AddrPort{}, netip.Addr{})

// nativeTCP is testdata/native in its order; the rows in other states are of
// 127.0.0.1:1001 (CLOSE_WAIT), :55484 (FIN_WAIT2), :55492 (TIME_WAIT) and
// 10.9.0.1:55156 (SYN_SENT).
var nativeTCP = []Socket{
	socket(Listen, "10.9.0.1:1005", "0.0.0.0:0"),
	socket(Listen, "0.0.0.0:1010", "0.0.0.0:0"),
	socket(Listen, "0.0.0.0:1010", "0.0.0.0:0"),
	socket(Listen, "0.0.0.0:1010", "0.0.0.0:0"),
	socket(Listen, "0.0.0.0:1001", "0.0.0.0:0"),
	socket(Listen, "10.8.0.1:1006", "0.0.0.0:0"),
	socket(Listen, "127.0.0.1:1004", "0.0.0.0:0"),
	socket(Established, "10.9.0.1:47750", "10.9.0.1:1002"),
	socket(Established, "127.0.0.1:1004", "127.0.0.1:43322"),
	socket(Established, "10.9.0.1:48970", "10.9.0.1:1005"),
	socket(Established, "127.0.0.1:43322", "127.0.0.1:1004"),
	socket(Established, "10.9.0.1:1005", "10.9.0.1:48970"),

	socket(Listen, "[fe80::f005:c8ff:fefc:6e41]:1009", "[::]:0"),
	socket(Listen, "[::]:1003", "[::]:0"),
	socket(Listen, "[::]:1002", "[::]:0"),
	socket(Listen, "[::1]:1007", "[::]:0"),
	socket(Listen, "[fd09::1]:1008", "[::]:0"),
	socket(Established, "[fd09::1]:1008", "[fd09::1]:41562"),
	socket(Established, "[fd09::1]:41562", "[fd09::1]:1008"),
	socket(Established, "[::1]:45778", "[::1]:1007"),
	socket(Established, "[::1]:1007", "[::1]:45778"),
	socket(Established, "10.9.0.1:1002", "10.9.0.1:47750"), // v4-mapped in the table
}

var nativeUDP = []Socket{
	socket(Close, "0.0.0.0:43098", "0.0.0.0:0"),
	socket(Close, "0.0.0.0:2001", "0.0.0.0:0"),
	socket(Close, "10.9.0.1:2003", "0.0.0.0:0"),
	socket(Established, "10.9.0.1:2004", "10.9.0.2:53"),
	socket(Close, "0.0.0.0:2006", "0.0.0.0:0"),
	socket(Close, "0.0.0.0:2006", "0.0.0.0:0"),

	socket(Close, "[::]:2002", "[::]:0"),
	socket(Close, "[fd09::1]:2005", "[::]:0"),
}

func checkSockets(t *testing.T, h *Host, wantTCP, wantUDP []Socket) {
	t.Helper()
	for _, table := range []struct {
		name string
		read func() ([]Socket, error)
		want []Socket
	}{{"TCP", h.TCP, wantTCP}, {"UDP", h.UDP, wantUDP}} {
		got, err := table.read()
		if err != nil {
			t.Errorf("%s: %v", table.name, err)
		}
		if diff := cmp.Diff(table.want, got, equateAddrs, cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("%s sockets (-want +got):\n%s", table.name, diff)
		}
	}
}

func TestSockets(t *testing.T) {
	ssh := []Socket{socket(Listen, "0.0.0.0:22", "0.0.0.0:0")}
	for _, test := range []struct {
		tree     string
		tcp, udp []Socket
	}{
		{"native", nativeTCP, nativeUDP},
		{"container", ssh, nil}, // of 1/net, not of net
		{"noipv6", ssh, nil},
		{"subset", ssh, nil},
	} {
		t.Run(test.tree, func(t *testing.T) {
			checkSockets(t, open(t, filepath.Join("testdata", test.tree)), test.tcp, test.udp)
		})
	}
}

// procfs takes TCP tables at such a path for UDP tables, and panics.
func TestSocketsUnderPathWithUDP(t *testing.T) {
	root := copyTree(t, "native", "udp-gateway/proc")
	h := open(t, root)
	checkSockets(t, h, nativeTCP, nativeUDP)

	remove(t, root, "1/net/tcp")
	_, err := h.TCP()
	if !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), root+"/1/net/tcp") {
		t.Errorf("error %v does not say that %s/1/net/tcp is missing", err, root)
	}
}

const (
	tcpHeader = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n"
	rowEnd    = " 00000000:00000000 00:00000000 00000000     0        0 745002 1 000000003e40bf7f 100 0 0 10 0\n"
	goodRow   = "   0: 0100090A:03ED 00000000:0000 0A" + rowEnd
)

func TestBadSocketTables(t *testing.T) {
	tests := []struct{ name, rows string }{
		{"garbage", "garbage\n"},
		{"short row", "   1: 0100090A:03ED 00000000:0000 0A\n"},
		{"row with as many columns as TIME_WAIT", "   1: 0100007F:D8C4 0100007F:03E9 06 00000000:00000000 03:00001757 00000000     0        0 0\n"},
		{"port of five digits", "   1: 0100090A:103ED 00000000:0000 0A" + rowEnd},
		{"remote port of five digits", "   1: 0100090A:03ED 00000000:10000 0A" + rowEnd},
		{"state of three digits", "   1: 0100090A:03ED 00000000:0000 10A" + rowEnd},
		{"address of three bytes", "   1: 00090A:03ED 00000000:0000 0A" + rowEnd},
		{"endless line", strings.Repeat("0", 1<<20)},
	}
	for _, name := range []string{"tcp", "tcp6", "udp", "udp6"} {
		for _, test := range tests {
			if strings.HasPrefix(test.name, "row with") && strings.HasPrefix(name, "tcp") {
				continue // TIME_WAIT rows are good ones
			}
			t.Run(name+" "+test.name, func(t *testing.T) {
				root := copyTree(t, "native", "proc")
				write(t, root, "1/net/"+name, tcpHeader+goodRow+test.rows)
				h := open(t, root)
				read := h.TCP
				if strings.HasPrefix(name, "udp") {
					read = h.UDP
				}
				got, err := read()
				if err == nil {
					t.Fatalf("no error, %d sockets", len(got))
				}
				if !strings.Contains(err.Error(), filepath.Join(root, "1/net", name)+":") {
					t.Errorf("error %q does not name the file", err)
				}
			})
		}
	}
}

// Only an absent table means no IPv6.
func TestUnreadableIPv6Table(t *testing.T) {
	root := copyTree(t, "noipv6", "proc")
	if err := os.Mkdir(filepath.Join(root, "1/net/tcp6"), 0o700); err != nil {
		t.Fatal(err)
	}
	if got, err := open(t, root).TCP(); err == nil {
		t.Errorf("no error, sockets %v", got)
	}
}
