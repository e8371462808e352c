package metrics

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
)

// BenchmarkCollectHost samples this machine as it is. Most of the time is the
// kernel's: it walks its whole table of TCP sockets, whose size goes with the
// machine's memory, once for IPv4 and once for IPv6.
func BenchmarkCollectHost(b *testing.B) {
	since := collect(b, "/proc", all(), nil).Baseline
	b.ReportAllocs()
	for b.Loop() {
		collect(b, "/proc", all(), since)
	}
}

// BenchmarkCollect samples a tree with a large table of TCP connections. The
// time with real sockets is measured by scripts/measure-sample.sh.
func BenchmarkCollect(b *testing.B) {
	for _, rows := range []int{0, 5_000, 20_000, 40_000} {
		b.Run(fmt.Sprintf("rows=%d", rows), func(b *testing.B) {
			root := copyTree(b)
			table, err := os.Create(filepath.Join(root, "1/net/tcp"))
			if err != nil {
				b.Fatal(err)
			}
			fmt.Fprintln(table, "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode")
			for i := range rows {
				fmt.Fprintf(table, "%4d: 0100090A:%04X %04X090A:%04X 01 00000000:00000000 00:00000000 00000000     0        0 %d 1 0000000000000000 20 4 30 10 -1\n",
					i, 1024+i%60000, i%65536, 443+i%7, 100000+i)
			}
			if err := table.Close(); err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			for b.Loop() {
				collect(b, root, options(), nil)
			}
		})
	}
}
