package hostproc

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"strings"
	"testing"
)

// manySockets returns a TCP table of a busy server: connections to as many
// ports of several hosts, in a state.
func manySockets(rows int, state State) string {
	var table strings.Builder
	table.WriteString(tcpHeader)
	for i := range rows {
		fmt.Fprintf(&table, "%4d: 0100090A:01BB %02X%02X090A:%04X %02X"+rowEnd, i, i>>16&0xFF|2, i>>8&0xFF, 1024+i%60000, uint8(state))
	}
	return table.String()
}

func BenchmarkTCP(b *testing.B) {
	const timeWait = 0x06
	for _, table := range []struct {
		name  string
		rows  int
		state State
	}{
		{"established=0", 0, Established},
		{"established=20000", 20_000, Established},
		{"established=40000", 40_000, Established},
		{"time_wait=262144", 262_144, timeWait},
	} {
		b.Run(table.name, func(b *testing.B) {
			root := emptyTables(b)
			write(b, root, "1/net/tcp", manySockets(table.rows, table.state))
			h := open(b, root)
			b.ReportAllocs()
			for b.Loop() {
				visited := 0
				err := h.TCP(func(Socket) { visited++ })
				if err != nil || table.state == Established && visited != table.rows {
					b.Fatalf("%d sockets, %v", visited, err)
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
		fmt.Fprintf(&table, "           |-- %v\n              /24 universe UNICAST\n", netip.AddrFrom4([4]byte(binary.BigEndian.AppendUint32(nil, i))))
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
