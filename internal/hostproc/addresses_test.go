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
)

func readAddresses(t *testing.T, root string) *Addresses {
	t.Helper()
	a, err := open(t, root).Addresses()
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// The tree holds tables captured of interfaces set up for the purpose.
func TestInterface(t *testing.T) {
	a := readAddresses(t, "testdata/addresses")
	for _, test := range []struct{ addr, want, why string }{
		{"127.0.0.1", "lo", ""},
		{"127.0.0.10", "lo", ""},
		{"127.1.2.3", "lo", "the whole network is local"},
		{"::1", "lo", ""},
		{"10.8.0.1", "br-a1", "primary address"},
		{"10.8.0.2", "br-a1", "secondary address"},
		{"10.8.1.1", "br-a1", "address with a label, br-a1:x"},
		{"10.8.0.129", "br-a1.100", "smaller network within that of br-a1"},
		{"::ffff:10.8.0.1", "br-a1", "v4-mapped"},
		{"fd09::1", "dum0", ""},
		{"fe80::f005:c8ff:fefc:6e41", "dum0", "link-local"},
		{"fe80::a", "br-a1", "link-local"},
		{"fe80::a%br-a1", "br-a1", "with its zone"},
		{"fe80::1", "", "link-local on dum0 and br-a1"},
		{"10.9.0.1", "", "in a network that br-a1 is in, too"},
		{"10.9.0.9", "", "in a network that dum0 is in, too"},
		{"192.0.2.7", "", "/32: in the default route's network only"},
		{"172.16.0.5", "", "in the network of a gateway only"},
		{"10.64.64.64", "", "point to point: its network is the peer"},
		{"10.8.0.77", "", "a neighbour"},
		{"203.0.113.9", "", "of another routing table"},
		{"0.0.0.0", "", "wildcard"},
		{"::", "", "wildcard"},
	} {
		if got := a.Interface(netip.MustParseAddr(test.addr)); got != test.want {
			t.Errorf("Interface(%s) = %q, want %q: %s", test.addr, got, test.want, test.why)
		}
	}
	if got := a.Interface(netip.Addr{}); got != "" {
		t.Errorf("Interface of no address = %q", got)
	}
}

func TestAll(t *testing.T) {
	for tree, want := range map[string]string{
		"native": "10.9.0.1 127.0.0.1 ::1 fd09::1 fe80::38a0:9cff:fe09:e324 fe80::f005:c8ff:fefc:6e41",
		"noipv6": "10.9.0.1 127.0.0.1",
		"addresses": "10.8.0.1 10.8.0.2 10.8.0.129 10.8.1.1 10.9.0.1 10.9.0.9 10.64.64.64 127.0.0.1 127.0.0.10 172.16.0.5 192.0.2.7 " +
			"::1 fd09::1 fe80::1 fe80::a fe80::38a0:9cff:fe09:e324 fe80::4854:f0ff:fea1:e156 fe80::f005:c8ff:fefc:6e41",
	} {
		var got []string
		for _, addr := range readAddresses(t, filepath.Join("testdata", tree)).All() {
			got = append(got, addr.String())
		}
		if diff := cmp.Diff(strings.Fields(want), got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tree, diff)
		}
	}
}

// Each table may be missing, and costs only what it alone knows.
func TestMissingAddressTables(t *testing.T) {
	for _, test := range []struct{ missing, v4, v6 string }{
		{"if_inet6", "dum0", ""},
		{"fib_trie", "", "dum0"},
		{"route", "", "dum0"},
	} {
		root := copyTree(t, "native", "proc")
		remove(t, root, "1/net/"+test.missing)
		a := readAddresses(t, root)
		v4, v6 := a.Interface(netip.MustParseAddr("10.9.0.1")), a.Interface(netip.MustParseAddr("fd09::1"))
		if v4 != test.v4 || v6 != test.v6 {
			t.Errorf("without %s: %q and %q, want %q and %q", test.missing, v4, v6, test.v4, test.v6)
		}
	}
}

func TestBadAddressTables(t *testing.T) {
	for name, content := range map[string]string{"if_inet6": "garbage\n", "fib_trie": "|-- garbage\n", "route": "header\ngarbage\n"} {
		root := copyTree(t, "native", "proc")
		write(t, root, "1/net/"+name, content)
		_, err := open(t, root).Addresses()
		if err == nil || !strings.Contains(err.Error(), filepath.Join(root, "1/net", name)) {
			t.Errorf("%s: error %v does not name the file", name, err)
		}
		remove(t, root, "1/net/"+name)
		if err := os.Mkdir(filepath.Join(root, "1/net", name), 0o700); err != nil {
			t.Fatal(err)
		}
		if _, err := open(t, root).Addresses(); err == nil || errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s, unreadable: error %v", name, err)
		}
	}
}

// procfs stops reading a long table in the middle, where the network that an
// address is really in may not have come up yet.
func TestTooManyRoutes(t *testing.T) {
	root := copyTree(t, "native", "proc")
	row := func(iface, network, mask string) string {
		line := strings.Join([]string{iface, network, "00000000", "0001", "0", "0", "0", mask, "0", "0", "0"}, "\t")
		return line + strings.Repeat(" ", 127-len(line)) + "\n"
	}
	table := row("Iface", "", "") + row("eth0", "0000000A", "000000FF")
	table += strings.Repeat(row("eth0", "0001000A", "00FFFFFF"), 1<<13)
	table += row("dum0", "0000090A", "00FFFFFF")
	write(t, root, "1/net/route", table)
	if got := readAddresses(t, root).Interface(netip.MustParseAddr("10.9.0.1")); got != "" {
		t.Errorf("interface %q by the part of the routes that is read, want none", got)
	}
}
