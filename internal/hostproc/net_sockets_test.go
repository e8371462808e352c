package hostproc

import (
	"errors"
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
// 127.0.0.1:55492 (TIME_WAIT) and 10.9.0.1:55156 (SYN_SENT).
var nativeTCP = []Socket{
	socket(Listen, "10.9.0.1:1005", "0.0.0.0:0"),
	socket(Listen, "0.0.0.0:1010", "0.0.0.0:0"),
	socket(Listen, "0.0.0.0:1010", "0.0.0.0:0"),
	socket(Listen, "0.0.0.0:1010", "0.0.0.0:0"),
	socket(Listen, "0.0.0.0:1001", "0.0.0.0:0"),
	socket(Listen, "10.8.0.1:1006", "0.0.0.0:0"),
	socket(Listen, "127.0.0.1:1004", "0.0.0.0:0"),
	socket(CloseWait, "127.0.0.1:1001", "127.0.0.1:55484"),
	socket(Established, "10.9.0.1:47750", "10.9.0.1:1002"),
	socket(FinWait2, "127.0.0.1:55484", "127.0.0.1:1001"),
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

// sockets returns what a method of Host visits.
func sockets(read func(func(Socket)) error) (visited []Socket, err error) {
	err = read(func(s Socket) { visited = append(visited, s) })
	return visited, err
}

func checkSockets(t *testing.T, h *Host, wantTCP, wantUDP []Socket) {
	t.Helper()
	for _, table := range []struct {
		name string
		read func(func(Socket)) error
		want []Socket
	}{{"TCP", h.TCP, wantTCP}, {"UDP", h.UDP, wantUDP}} {
		got, err := sockets(table.read)
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

const (
	tcpHeader = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n"
	rowEnd    = " 00000000:00000000 00:00000000 00000000     0        0 745002 1 000000003e40bf7f 100 0 0 10 0\n"
)

// A malformed row costs none of its neighbours, and is reported.
func TestBadRows(t *testing.T) {
	const v4, v6 = "0100090A", "000009FD000000000000000001000000"
	good4, good6 := socket(Established, "10.9.0.1:1005", "10.9.0.1:443"), socket(Established, "[fd09::1]:1005", "[fd09::1]:443")
	for name, bad := range map[string]string{ // A stands for the address
		"garbage":                "garbage\n",
		"another table's":        "eth0: 1 2 3 4\n",
		"cut in an address":      "   1: 01\n",
		"cut before the state":   "   1: A:03ED A:01BB \n",
		"cut in the state":       "   1: A:03ED A:01BB 0\n",
		"no number":              "A:03ED A:01BB 01" + rowEnd,
		"port of five digits":    "   1: A:103ED A:01BB 01" + rowEnd,
		"remote port of five":    "   1: A:03ED A:101BB 01" + rowEnd,
		"state of three digits":  "   1: A:03ED A:01BB 101" + rowEnd,
		"state without digits":   "   1: A:03ED A:01BB  x" + rowEnd,
		"address of three bytes": "   1: 00090A:03ED A:01BB 01" + rowEnd,
		"other punctuation":      "   1: A.03ED A:01BB 01" + rowEnd,
		"address not in hex":     "   1: A:03ED A:01BB 01" + rowEnd,
		"port not in hex":        "   1: A:03ED A:-1BB 01" + rowEnd,
	} {
		for _, table := range []struct {
			file, address string
			want          Socket
			read          func(*Host, func(Socket)) error
		}{
			{"tcp", v4, good4, (*Host).TCP},
			{"tcp6", v6, good6, (*Host).TCP},
			{"udp", v4, good4, (*Host).UDP},
			{"udp6", v6, good6, (*Host).UDP},
		} {
			t.Run(table.file+" "+name, func(t *testing.T) {
				address := table.address
				if name == "address not in hex" {
					address = "G" + address[1:]
				}
				bad := strings.ReplaceAll(bad, "A:", address+":")
				good := "   0: " + table.address + ":03ED " + table.address + ":01BB 01" + rowEnd
				root := emptyTables(t)
				write(t, root, "1/net/"+table.file, tcpHeader+good+bad+good)
				h := open(t, root)
				got, err := sockets(func(visit func(Socket)) error { return table.read(h, visit) })
				if diff := cmp.Diff([]Socket{table.want, table.want}, got, equateAddrs); diff != "" {
					t.Errorf("sockets (-want +got):\n%s", diff)
				}
				rows, ok := errors.AsType[*RowsError](err)
				if !ok || rows.Bad != 1 || rows.Rows != 3 {
					t.Fatalf("error %v, want a RowsError of 1 row of 3", err)
				}
				if want := filepath.Join(root, "1/net", table.file) + ": line 3"; !strings.Contains(err.Error(), want) {
					t.Errorf("%q is not in %q", want, err)
				}
			})
		}
	}
}

// emptyTables returns a tree whose socket tables have no rows.
func emptyTables(t testing.TB) string {
	t.Helper()
	root := copyTree(t, "native", "proc")
	for _, name := range []string{"tcp", "tcp6", "udp", "udp6"} {
		write(t, root, "1/net/"+name, tcpHeader)
	}
	return root
}

// Both tables of a protocol count for its error.
func TestBadRowsOfBothTables(t *testing.T) {
	root := emptyTables(t)
	write(t, root, "1/net/tcp", tcpHeader+"x\n")
	write(t, root, "1/net/tcp6", tcpHeader+"x\ny\n")
	_, err := sockets(open(t, root).TCP)
	if rows, ok := errors.AsType[*RowsError](err); !ok || rows.Bad != 3 || rows.Rows != 3 {
		t.Errorf("error %v, want a RowsError of 3 rows of 3", err)
	}
}

// What is no table is an error, not a host without sockets.
func TestNoSocketTable(t *testing.T) {
	long := strings.Repeat("0", 1<<20)
	for _, name := range []string{"tcp", "tcp6", "udp", "udp6"} {
		for content, want := range map[string]string{
			"":                             "line 1: the header is missing in 0 bytes", // WSL 1
			"\n":                           "line 1: the header is missing in 1 bytes",
			"   0: 0100090A:03ED 00000000": "line 1: the header is missing in 28 bytes",
			tcpHeader + long:               "line 2: longer than 65536 bytes",
		} {
			root := emptyTables(t)
			write(t, root, "1/net/"+name, content)
			h := open(t, root)
			read := h.TCP
			if strings.HasPrefix(name, "udp") {
				read = h.UDP
			}
			got, err := sockets(read)
			if _, ok := errors.AsType[*RowsError](err); err == nil || ok || len(got) > 0 {
				t.Errorf("%s %.20q: sockets %v, error %v, want one that is no RowsError", name, content, got, err)
				continue
			}
			if want := filepath.Join(root, "1/net", name) + ": " + want; !strings.Contains(err.Error(), want) {
				t.Errorf("%q is not in %q", want, err)
			}
			if len(err.Error()) > 500 || strings.Contains(err.Error(), "0100090A") {
				t.Errorf("error with the file's content: %.500s", err)
			}
		}
	}
}

// Rows that are passed over, and ones that end early, are no faults.
func TestOddRows(t *testing.T) {
	want := []Socket{socket(Listen, "10.9.0.1:1005", "0.0.0.0:0")}
	for name, rows := range map[string]string{
		"TIME_WAIT, of 12 columns": "  10: 0100007F:D8C4 0100007F:03E9 06 00000000:00000000 03:00001757 00000000     0        0 0 3 000000009572427a\n" +
			"   0: 0100090A:03ED 00000000:0000 0A" + rowEnd,
		"state of newer kernels":     "   1: 0100007F:D8C4 0100007F:03E9 0D" + rowEnd + "   0: 0100090A:03ED 00000000:0000 0A" + rowEnd,
		"state beyond all":           "   1: 0100007F:D8C4 0100007F:03E9 FF" + rowEnd + "   0: 0100090A:03ED 00000000:0000 0A" + rowEnd,
		"four columns":               "   0: 0100090A:03ED 00000000:0000 0A\n",
		"no line feed":               "   0: 0100090A:03ED 00000000:0000 0A",
		"padding":                    "   0: 0100090A:03ED 00000000:0000 0A" + strings.TrimSuffix(rowEnd, "\n") + "        \n",
		"lower case":                 "   0: 0100090a:03ed 00000000:0000 0a" + rowEnd,
		"number of nine digits":      "123456789: 0100090A:03ED 00000000:0000 0A" + rowEnd,
		"empty line, trailing zeros": "\n   0: 0100090A:03ED 00000000:0000 0A" + rowEnd + "\x00\x00\x00\x00",
	} {
		root := emptyTables(t)
		write(t, root, "1/net/tcp", tcpHeader+rows)
		got, err := sockets(open(t, root).TCP)
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if diff := cmp.Diff(want, got, equateAddrs); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

// Memory follows the sockets that the caller keeps, not the rows.
func TestRowsCostNoMemory(t *testing.T) {
	allocated := func(rows int) float64 {
		root := emptyTables(t)
		write(t, root, "1/net/tcp", tcpHeader+strings.Repeat("   1: 0100007F:D8C4 0100007F:03E9 06 0:0 03:1 0 0 0 0 3 0\n", rows)+
			strings.Repeat("   1: 0100007F:D8C4 0100007F:03E9 01"+rowEnd, rows))
		h := open(t, root)
		return testing.AllocsPerRun(1, func() {
			if err := h.TCP(func(Socket) {}); err != nil {
				t.Error(err)
			}
		})
	}
	if few, many := allocated(1), allocated(10_000); many > few {
		t.Errorf("%.0f allocations for 2 rows, %.0f for 20,000", few, many)
	}
}

// Only an absent table means no IPv6.
func TestUnreadableIPv6Table(t *testing.T) {
	root := copyTree(t, "noipv6", "proc")
	if err := os.Mkdir(filepath.Join(root, "1/net/tcp6"), 0o700); err != nil {
		t.Fatal(err)
	}
	if got, err := sockets(open(t, root).TCP); err == nil {
		t.Errorf("no error, sockets %v", got)
	}
}
