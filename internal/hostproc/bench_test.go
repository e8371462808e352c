package hostproc

import (
	"fmt"
	"strings"
	"testing"
)

// manySockets returns a TCP table of a busy server: connections to as many
// ports of several hosts.
func manySockets(rows int) string {
	var table strings.Builder
	table.WriteString(tcpHeader)
	for i := range rows {
		fmt.Fprintf(&table, "%4d: 0100090A:01BB %02X%02X090A:%04X 01"+rowEnd, i, i>>16&0xFF|2, i>>8&0xFF, 1024+i%60000)
	}
	return table.String()
}

func BenchmarkTCP(b *testing.B) {
	for _, rows := range []int{0, 5000, 20000, 40000} {
		b.Run(fmt.Sprint(rows), func(b *testing.B) {
			root := copyTree(b, "noipv6", "proc")
			write(b, root, "1/net/tcp", manySockets(rows))
			h := open(b, root)
			b.ReportAllocs()
			for b.Loop() {
				if sockets, err := h.TCP(); err != nil || len(sockets) != rows {
					b.Fatalf("%d sockets, %v", len(sockets), err)
				}
			}
		})
	}
}

// BenchmarkFibTrie reads the table of a router with 100,000 routes.
func BenchmarkFibTrie(b *testing.B) {
	var table strings.Builder
	table.WriteString("Main:\n")
	for i := range uint32(100_000) {
		fmt.Fprintf(&table, "           |-- %v\n              /24 universe UNICAST\n", addr4(i))
	}
	b.SetBytes(int64(table.Len()))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := parseFibTrie(strings.NewReader(table.String())); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkAddresses(b *testing.B) {
	h := open(b, "testdata/addresses")
	b.ReportAllocs()
	for b.Loop() {
		if _, err := h.Addresses(); err != nil {
			b.Fatal(err)
		}
	}
}
