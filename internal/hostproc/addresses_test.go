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

// The tree holds tables captured of interfaces set up for the purpose. It is no
// proc file system, so names are inferred.
func TestInterface(t *testing.T) {
	a := readAddresses(t, "testdata/addresses")
	for _, test := range []struct{ addr, want, why string }{
		{"127.0.0.1", "lo", ""},
		{"127.0.0.10", "lo", ""},
		{"127.1.2.3", "lo", "the whole network is local"},
		{"::1", "lo", ""},
		{"10.8.0.1", "", "primary address: not to be told from 10.8.0.2"},
		{"10.8.0.2", "", "secondary address: not to be told from one of 32 bits elsewhere"},
		{"10.8.1.1", "br-a1", "address with a label, br-a1:x"},
		{"10.8.0.129", "", "on br-a1.100, in a network within that of br-a1"},
		{"::ffff:10.8.1.1", "br-a1", "v4-mapped"},
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
		all, err := readAddresses(t, filepath.Join("testdata", tree)).All()
		if err != nil {
			t.Error(err)
		}
		for _, addr := range all {
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

// A table that can't be read costs what it alone knows, a malformed row less.
func TestBadAddressTables(t *testing.T) {
	const goodInet6 = "fd090000000000000000000000000001 03 40 00 82     dum0\n"
	native, err := os.ReadFile("testdata/native/1/net/fib_trie")
	if err != nil {
		t.Fatal(err)
	}
	goodTrie := string(native)
	const goodRoute = "Iface\nBAD\ndum0\t0000090A\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0\n"
	for _, test := range []struct {
		name, file, content string
		v4, v6              string
		bad, rows           int  // 0 if the whole table is unread
		all                 bool // all addresses are known
	}{
		{"all of if_inet6", "if_inet6", strings.Repeat("x", 5000), "dum0", "", 0, 0, false},
		{"a row of if_inet6", "if_inet6", "x\n" + goodInet6, "dum0", "dum0", 1, 2, false},
		{"a short address", "if_inet6", "fe80 03 40 20 80 dum0\n" + goodInet6, "dum0", "dum0", 1, 2, false},
		{"all of fib_trie", "fib_trie", strings.Repeat("x", 5000), "", "dum0", 0, 0, false},
		{"a leaf of fib_trie", "fib_trie", "Main:\n |-- x\n /32 host LOCAL\n |-- 10.9.0.1\n /32 host LOCAL\n", "", "dum0", 2, 3, false},
		{"all of route", "route", strings.Repeat("x", 5000), "", "dum0", 0, 0, true},
		{"a short row of route", "route", strings.Replace(goodRoute, "BAD", "dum0", 1), "", "dum0", 1, 2, true},
		{"a bad mask", "route", strings.Replace(goodRoute, "BAD", "dum1\t0000090A\t00000000\t0001\t0\t0\t0\t00FFFF0F\t0", 1), "", "dum0", 1, 2, true},
		{"a metric below zero", "route", strings.Replace(goodRoute, "BAD", "*\t00000000\t00000000\t0201\t0\t0\t-16769024\t00000000\t0\t0\t0", 1), "dum0", "dum0", -1, 0, true},
		{"empty lines", "route", strings.Replace(goodRoute, "BAD", "", 1) + "\n", "dum0", "dum0", -1, 0, true},
		{"zeros at the end", "if_inet6", goodInet6 + "\x00\x00", "dum0", "dum0", -1, 0, true},
		{"a line that is none of ours", "fib_trie", goodTrie + "x\n", "dum0", "dum0", -1, 0, true},
	} {
		root := copyTree(t, "native", "proc")
		write(t, root, "1/net/"+test.file, test.content)
		a, err := open(t, root).Addresses()
		v4, v6 := a.Interface(netip.MustParseAddr("10.9.0.1")), a.Interface(netip.MustParseAddr("fd09::1"))
		if v4 != test.v4 || v6 != test.v6 {
			t.Errorf("%s: %q and %q, want %q and %q", test.name, v4, v6, test.v4, test.v6)
		}
		if _, err := a.All(); (err == nil) != test.all {
			t.Errorf("%s: error %v of all addresses", test.name, err)
		}
		rows, ok := errors.AsType[*RowsError](err)
		switch {
		case test.bad < 0:
			if err != nil {
				t.Errorf("%s: %v", test.name, err)
			}
			continue
		case ok != (test.bad > 0), ok && (rows.Bad != test.bad || rows.Rows != test.rows):
			t.Errorf("%s: error %v, want %d bad rows of %d", test.name, err, test.bad, test.rows)
		case err == nil || !strings.Contains(err.Error(), filepath.Join(root, "1/net", test.file)+":") || len(err.Error()) > 300:
			t.Errorf("%s: error %v does not name the file, or too much", test.name, err)
		}
	}
}

func TestUnreadableAddressTables(t *testing.T) {
	for _, name := range []string{"if_inet6", "fib_trie", "route"} {
		root := copyTree(t, "native", "proc")
		remove(t, root, "1/net/"+name)
		if err := os.Mkdir(filepath.Join(root, "1/net", name), 0o700); err != nil {
			t.Fatal(err)
		}
		if _, err := open(t, root).Addresses(); err == nil || errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s, unreadable: error %v", name, err)
		}
	}
}

// While no interface is up, the kernel's tables are empty, without a header.
func TestNoAddresses(t *testing.T) {
	root := copyTree(t, "native", "proc")
	for _, name := range []string{"if_inet6", "fib_trie", "route"} {
		write(t, root, "1/net/"+name, "")
	}
	if all, err := readAddresses(t, root).All(); err != nil || len(all) > 0 {
		t.Errorf("addresses %v, %v", all, err)
	}
}

// All of a long table is read: the network that an address is really in may be
// at its end.
func TestManyRoutes(t *testing.T) {
	root := copyTree(t, "native", "proc")
	row := func(iface, network, mask string) string {
		line := strings.Join([]string{iface, network, "00000000", "0001", "0", "0", "0", mask, "0", "0", "0"}, "\t")
		return line + strings.Repeat(" ", 127-len(line)) + "\n"
	}
	table := row("Iface", "", "") + row("dum0", "0000000A", "000000FF")
	table += strings.Repeat(row("eth0", "0001000A", "00FFFFFF"), 1<<13)
	table += row("dum0", "0000090A", "00FFFFFF")
	write(t, root, "1/net/route", table)
	if got := readAddresses(t, root).Interface(netip.MustParseAddr("10.9.0.1")); got != "dum0" {
		t.Errorf("interface %q, want dum0", got)
	}
}
