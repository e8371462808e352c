package metrics

import (
	"fmt"
	"strings"
	"testing"

	"github.com/device-defender/device-defender/internal/hostproc"
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
			root := busyTree(b, rows)
			b.ReportAllocs()
			for b.Loop() {
				collect(b, root, options(), nil)
			}
		})
	}
}

// Eight times the sockets cost eight times as much. In AWS's component they cost
// 64 times as much.
func TestCostIsLinear(t *testing.T) {
	allocations := func(rows int) float64 {
		host, err := hostproc.Open(busyTree(t, rows))
		if err != nil {
			t.Fatal(err)
		}
		return testing.AllocsPerRun(1, func() { Collect(host, options(), nil, nil) })
	}
	few, many := allocations(2_000), allocations(16_000)
	if many > 10*few {
		t.Errorf("%.0f allocations for 2,000 rows, %.0f for 16,000", few, many)
	}
}

// busyTree returns a copy of the scenario with that many TCP connections.
func busyTree(t testing.TB, rows int) string {
	t.Helper()
	root := copyTree(t)
	var table strings.Builder
	table.WriteString("  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n")
	for i := range rows {
		fmt.Fprintf(&table, "%4d: 0100090A:%04X %04X090A:%04X 01 00000000:00000000 00:00000000 00000000     0        0 %d 1 0000000000000000 20 4 30 10 -1\n",
			i, 1024+i%60000, i%65536, 443+i%7, 100000+i)
	}
	write(t, root, "1/net/tcp", table.String())
	return root
}
