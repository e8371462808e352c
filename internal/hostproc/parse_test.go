package hostproc

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"
)

func TestParseFibTrie(t *testing.T) {
	tests := []struct {
		name, table     string
		own, broadcasts string
	}{
		{"empty", "", "", ""},
		{"networks", "Main:\n  |-- 10.0.0.0\n     /24 link UNICAST\n     /32 link BROADCAST\n  |-- 10.0.0.255\n     /32 link BROADCAST\n     /32 link BROADCAST\n", "", "10.0.0.0 10.0.0.255"},
		{"two routes of one leaf, with a type of service", "Main:\n  |-- 10.0.0.1\n     /24 link UNICAST\n     /32 host LOCAL tos=0x10\n", "10.0.0.1", ""},
		{"wider local network", "Main:\n  |-- 10.0.0.0\n     /24 host LOCAL\n", "", ""},
		{"other table before and between", "Id 7:\n |-- 10.0.0.1\n    /32 host LOCAL\nMain:\n |-- 10.0.0.2\n    /32 host LOCAL\n" +
			"Id 300:\n |-- 10.0.0.3\n    /32 host LOCAL\nLocal:\n |-- 10.0.0.4\n    /32 host LOCAL\n", "10.0.0.2 10.0.0.4", ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got, err := parseFibTrie(strings.NewReader(test.table))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(addressSet(test.own), got.own, equateAddrs); diff != "" {
				t.Errorf("own addresses (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(addressSet(test.broadcasts), got.broadcasts, equateAddrs); diff != "" {
				t.Errorf("broadcast addresses (-want +got):\n%s", diff)
			}
		})
	}
}

func addressSet(list string) map[netip.Addr]struct{} {
	set := map[netip.Addr]struct{}{}
	for addr := range strings.FieldsSeq(list) {
		set[netip.MustParseAddr(addr)] = struct{}{}
	}
	return set
}

// An endless table of distinct addresses ends in an error, not in all memory.
func TestTooManyAddresses(t *testing.T) {
	endless := func(row func(w io.Writer, i uint32) error) *io.PipeReader {
		r, w := io.Pipe()
		go func() {
			for i := uint32(1); ; i++ {
				if err := row(w, i); err != nil {
					return
				}
			}
		}()
		return r
	}
	fibTrie := endless(func(w io.Writer, i uint32) error {
		_, err := fmt.Fprintf(w, "|-- %v\n/32 host LOCAL\n", netip.AddrFrom4([4]byte(binary.BigEndian.AppendUint32(nil, i))))
		return err
	})
	defer fibTrie.Close()
	if _, err := parseFibTrie(fibTrie); err == nil {
		t.Error("fib_trie: no error")
	}
	route := endless(func(w io.Writer, i uint32) error {
		_, err := fmt.Fprintf(w, "eth0 %08X 00000000 0001 0 0 0 FFFFFFFF\n", i)
		return err
	})
	defer route.Close()
	if _, err := parseRoute(route); err == nil {
		t.Error("route: no error")
	}
	interfaces := endless(func(w io.Writer, i uint32) error {
		line := fmt.Sprintf("eth%d: 1 2 0 0 0 0 0 0 3 4 0 0 0 0 0 0\n", i)
		if i == 1 {
			line = devHeader
		}
		_, err := io.WriteString(w, line)
		return err
	})
	defer interfaces.Close()
	if _, err := parseNetDev(interfaces); err == nil {
		t.Error("dev: no error")
	}
	ifInet6 := endless(func(w io.Writer, i uint32) error {
		_, err := fmt.Fprintf(w, "%032x 02 40 20 80 eth0\n", i)
		return err
	})
	defer ifInet6.Close()
	if _, err := parseIfInet6(ifInet6); err == nil {
		t.Error("if_inet6: no error")
	}
}

func TestParserErrors(t *testing.T) {
	parsers := map[string]func(io.Reader) error{
		"fib_trie": func(r io.Reader) error { _, err := parseFibTrie(r); return err },
		"if_inet6": func(r io.Reader) error { _, err := parseIfInet6(r); return err },
		"route":    func(r io.Reader) error { _, err := parseRoute(r); return err },
		"igmp":     func(r io.Reader) error { _, err := parseIgmp(r); return err },
		"dev":      func(r io.Reader) error { _, err := parseNetDev(r); return err },
		"stat":     func(r io.Reader) error { _, err := parseStat(r); return err },
		"uptime":   func(r io.Reader) error { _, err := parseUptime(r); return err },
		"file-nr":  func(r io.Reader) error { _, err := parseFileNr(r); return err },
		"boot_id":  func(r io.Reader) error { _, err := parseBootID(r); return err },
	}
	for name, parse := range parsers {
		broken := errors.New("broken")
		if err := parse(iotest.ErrReader(broken)); !errors.Is(err, broken) {
			t.Errorf("%s: error %v, want the reader's", name, err)
		}
		if err := parse(strings.NewReader(strings.Repeat("0", maxLine+1))); err == nil {
			t.Errorf("%s: no error for a line of more than %d bytes", name, maxLine)
		}
	}
	for name, tables := range map[string][]string{
		"fib_trie": {"|-- garbage\n", "|-- ::1\n", "|-- 10.0.0.1/32\n", "|-- 10.0.0\n", "Main:\n/32 host LOCAL\n"},
		"if_inet6": {
			"fe80000000000000f005c8fffefc6e4 03 40 20 80 dum0\n",
			"ge80000000000000f005c8fffefc6e41 03 40 20 80 dum0\n",
			"fe80000000000000f005c8fffefc6e4100 03 40 20 80 dum0\n",
			"fe80000000000000f005c8fffefc6e41 03 40 20 80\n",
			"fe80000000000000f005c8fffefc6e41 03 40 20 80 dum0 more\n",
		},
		"route": {
			"Iface\neth0\n",
			"Iface\neth0 0000000A 00000000 0001 0 0 0 FF00FFFF\n",
			"Iface\neth0 000000A 00000000 0001 0 0 0 000000FF\n",
			"Iface\neth0 0000000A 0 0001 0 0 0 000000FF\n",
			"Iface\neth0 0000000A 00000000 0001 0 0 0 000000xx\n",
		},
	} {
		for _, table := range tables {
			if _, ok := errors.AsType[*RowsError](parsers[name](strings.NewReader(table))); !ok {
				t.Errorf("%s %q: no RowsError", name, table)
			}
		}
	}
}
