package hostproc

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// seed adds a file of testdata/native to the corpus, whole and cut short.
func seed(f *testing.F, name string) {
	f.Helper()
	content, err := os.ReadFile(filepath.Join("testdata/native", name))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(content)
	f.Add(content[:len(content)*2/3])
}

func FuzzSockets(f *testing.F) {
	for _, name := range []string{"tcp", "tcp6", "udp", "udp6"} {
		content, err := os.ReadFile(filepath.Join("testdata/native/1/net", name))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(strings.HasSuffix(name, "6"), content)
		f.Add(strings.HasSuffix(name, "6"), content[:len(content)*2/3])
	}
	f.Add(false, []byte("sl\n1: 0100007F:D8C4 0100007F:03E9 06 0:0 03:0 0 0 0 0\n"))
	f.Add(false, []byte("sl\n: 0100007F:D8C4 0100007F:03E9 01\n: 0100007g:D8C4 0100007F:03E9 01\n\x00\x00"))
	f.Fuzz(func(t *testing.T, v6 bool, data []byte) {
		digits := addressDigits4
		if v6 {
			digits = addressDigits6
		}
		visited := 0
		var table RowsError
		err := parseSockets(bufio.NewReaderSize(bytes.NewReader(data), maxRow), digits, statesOf(Established, Listen), func(s Socket) {
			visited++
			if s.State != Established && s.State != Listen || !s.Local.IsValid() || !s.Remote.IsValid() {
				t.Errorf("visited %v", s)
			}
			port := fmt.Sprintf(":%04x", s.Local.Port())
			if !bytes.Contains(bytes.ToLower(data), []byte(port)) {
				t.Errorf("port of %v is not in the table", s)
			}
		}, &table)
		if lines := bytes.Count(data, []byte("\n")); visited+table.Bad > table.Rows || table.Rows > lines || (table.Bad > 0) != (table.First != nil) {
			t.Errorf("%d visited, %+v, in %d lines", visited, table, lines)
		}
		if !bytes.HasPrefix(bytes.TrimSpace(data), []byte("sl")) && err == nil {
			t.Error("no error without a header")
		}
	})
}

func FuzzFibTrie(f *testing.F) {
	seed(f, "1/net/fib_trie")
	f.Add([]byte("Id 7:\n |-- 10.0.0.1\n    /32 host LOCAL\nMain:\n |-- 10.0.0.2\n    /32 host LOCAL tos=0x10\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		trie, _ := parseFibTrie(bytes.NewReader(data))
		for addr := range trie.own {
			if !addr.Is4() || !bytes.Contains(data, []byte("|-- "+addr.String())) {
				t.Errorf("address %v is not in the table", addr)
			}
		}
	})
}

func FuzzIfInet6(f *testing.F) {
	seed(f, "1/net/if_inet6")
	f.Add([]byte(strings.Repeat("fe800000000000000000000000000001 03 40 20 80 dum0\n", 2) +
		"fe800000000000000000000000000001 04 40 20 80 br-a1\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		interfaces, _ := parseIfInet6(bytes.NewReader(data))
		for addr, name := range interfaces {
			if !addr.Is6() || !bytes.Contains(data, []byte(name)) {
				t.Errorf("%v on %q is not in the table", addr, name)
			}
		}
	})
}

func FuzzRoute(f *testing.F) {
	seed(f, "1/net/route")
	f.Add([]byte("Iface\n*\t00000000\t00000000\t0201\t0\t0\t-16769024\t00000000\t0\t0\t0\n"))
	f.Add([]byte("Iface\na 0000000A 00000000 1 0 0 0 000000FF\nb 0000000A 00000000 1 0 0 0 000000FF\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		connected, _ := parseRoute(bytes.NewReader(data))
		for network, name := range connected {
			if !network.IsValid() || network.Bits() == 0 || !network.Addr().Is4() || !bytes.Contains(data, []byte(name)) {
				t.Errorf("network %v on %q", network, name)
			}
			if last := broadcast(network); !network.Contains(last) || network.Contains(last.Next()) && last.Next().IsValid() {
				t.Errorf("broadcast address %v of %v", last, network)
			}
		}
	})
}

func FuzzIgmp(f *testing.F) {
	f.Add([]byte("Idx\tDevice    : Count Querier\tGroup    Users Timer\tReporter\n1\tlo        :     1      V3\n\t\t\t\t010000E0     1 0:00000000\t\t0\n"))
	f.Add([]byte("2147483648\ta:\n-1\tb:\n7\t c :\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		indexes, _ := parseIgmp(bytes.NewReader(data))
		for name, index := range indexes {
			if index <= 0 || !bytes.Contains(data, []byte(name)) {
				t.Errorf("index %d of %q", index, name)
			}
		}
	})
}

func FuzzNetlink(f *testing.F) {
	f.Add(dumpRequest(unix.RTM_GETADDR, make([]byte, unix.SizeofIfAddrmsg)))
	address := []byte{
		28, 0, 0, 0, unix.RTM_NEWADDR, 0, unix.NLM_F_MULTI, 0, dumpSequence, 0, 0, 0, 0, 0, 0, 0, // header
		unix.AF_INET, 32, 0, 0, 2, 0, 0, 0, // 32 bits, interface 2
		7, 0, unix.IFA_LOCAL, 0, 10, 9, 0, // too short, and not padded
	}
	f.Add(address)
	f.Add([]byte{20, 0, 0, 0, unix.NLMSG_ERROR, 0, 0, 0, dumpSequence, 0, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF, 0xFF, 0xFF})
	f.Fuzz(func(t *testing.T, data []byte) {
		names, interfaces := map[uint32]string{2: "eth0"}, map[netip.Addr]string{}
		_, _, _ = parseDump(data, func(kind uint16, body []byte) error {
			return errors.Join(addLink(names, kind, body), addAddress(interfaces, names, kind, body))
		})
	})
}

func FuzzSocketDiag(f *testing.F) {
	f.Add(dumpRequest(unix.SOCK_DIAG_BY_FAMILY, tcp.request(unix.AF_INET)))
	for _, s := range diagSockets {
		row := message(unix.SOCK_DIAG_BY_FAMILY, 0, dumpSequence, diagBody(f, s.body)...)
		f.Add(row)
		f.Add(slices.Concat(row, row[:len(row)*2/3]))
		f.Add(slices.Concat(row, message(unix.NLMSG_DONE, 0, dumpSequence, errorNumber(int32(unix.ENOENT))...), row))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		visited := 0
		_, _, _ = parseDump(data, func(_ uint16, body []byte) error {
			socket, err := parseDiagSocket(body)
			if err != nil {
				return err
			}
			visited++
			ports := binary.BigEndian.AppendUint16(binary.BigEndian.AppendUint16(nil, socket.Local.Port()), socket.Remote.Port())
			if !socket.Local.IsValid() || !socket.Remote.IsValid() || !bytes.Contains(data, ports) {
				t.Errorf("visited %v, which is not in the answer", socket)
			}
			return nil
		})
		if most := len(data) / (unix.SizeofNlMsghdr + sizeofInetDiagMsg); visited > most {
			t.Errorf("%d sockets in %d bytes", visited, len(data))
		}
	})
}

func FuzzUptime(f *testing.F) {
	seed(f, "uptime")
	f.Add([]byte("1e8 0"))
	f.Add([]byte("0x1p-2 NaN"))
	f.Fuzz(func(t *testing.T, data []byte) {
		if uptime, err := parseUptime(bytes.NewReader(data)); uptime < 0 || uptime > 1e9*time.Second {
			t.Errorf("uptime %v, %v", uptime, err)
		}
	})
}

func FuzzFileNr(f *testing.F) {
	seed(f, "sys/fs/file-nr")
	f.Fuzz(func(t *testing.T, data []byte) {
		if n, err := parseFileNr(bytes.NewReader(data)); n < 0 {
			t.Errorf("%d open files, %v", n, err)
		}
	})
}

func FuzzBootID(f *testing.F) {
	seed(f, "sys/kernel/random/boot_id")
	f.Fuzz(func(t *testing.T, data []byte) {
		if id, err := parseBootID(bytes.NewReader(data)); len(id) != 36 && err == nil {
			t.Errorf("boot id %q", id)
		}
	})
}

// FuzzTables feeds each file through a whole tree: whatever it holds, there is a
// result or an error that names it.
func FuzzTables(f *testing.F) {
	readers := []struct {
		file string
		read func(*Host) error
	}{
		{"1/net/dev", func(h *Host) error { _, err := h.Counters(); return err }},
		{"1/net/route", func(h *Host) error { _, err := h.Addresses(); return err }},
		{"stat", func(h *Host) error { _, err := h.CPU(); return err }},
		{"meminfo", func(h *Host) error { _, err := h.Memory(); return err }},
		{"loadavg", func(h *Host) error { _, _, _, err := h.Load(); return err }},
	}
	for i, r := range readers {
		content, err := os.ReadFile(filepath.Join("testdata/native", r.file))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(uint8(i), content)
		f.Add(uint8(i), content[:len(content)*2/3])
	}
	f.Add(uint8(0), []byte(devHeader+"\n\nlo: 1 2\n"))
	f.Add(uint8(1), []byte("Iface\n*\t00000000\t00000000\t0201\t0\t0\t-16769024\t00000000\t0\t0\t0\n"))
	f.Add(uint8(2), []byte("cpu  4000 20 500 35000 400 30 100 18446744073709551010 0 0\nprocesses -2045677862\n"))
	f.Add(uint8(3), []byte("Mem:  260579328 136073216\nMemTotal:03944876 kB\n\nMemAvailable: 1kB\n\x00\x00"))
	root := copyTree(f, "native", "proc")
	h := open(f, root)
	f.Fuzz(func(t *testing.T, which uint8, data []byte) {
		r := readers[int(which)%len(readers)]
		file := filepath.Join(root, r.file)
		good, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		write(t, root, r.file, string(data))
		defer write(t, root, r.file, string(good))
		if err := r.read(h); err != nil && !strings.Contains(err.Error(), file+":") {
			t.Errorf("error %q does not name %s", err, file)
		}
	})
}
