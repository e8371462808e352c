package hostproc

import (
	"errors"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const devHeader = "Inter-|   Receive                                                |  Transmit\n" +
	" face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier compressed\n"

func TestCounters(t *testing.T) {
	tests := []struct {
		name, dev string
		want      map[string]Counters
	}{
		{"names with punctuation and no space before the numbers", devHeader +
			"br-a1:1 2 0 0 0 0 0 0 3 4 0 0 0 0 0 0\n" +
			"eth0.100: 5 6 0 0 0 0 0 0 7 8 0 0 0 0 0 0\n" +
			"wan:1: 9 10 0 0 0 0 0 0 11 12 0 0 0 0 0 0\n",
			map[string]Counters{"br-a1": {1, 2, 3, 4, 0}, "eth0.100": {5, 6, 7, 8, 0}, "wan:1": {9, 10, 11, 12, 0}}},
		{"beyond 32 bits", devHeader + "  eth0: 18446744073709551615 4294967296 0 0 0 0 0 0 4294967297 1 0 0 0 0 0 0\n",
			map[string]Counters{"eth0": {18446744073709551615, 4294967296, 4294967297, 1, 0}}},
		{"no interfaces", devHeader, map[string]Counters{}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			root := copyTree(t, "native", "proc")
			write(t, root, "1/net/dev", test.dev)
			got, err := open(t, root).Counters()
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("counters (-want +got):\n%s", diff)
			}
		})
	}
}

func TestInterfaceIndexes(t *testing.T) {
	const igmpHeader = "Idx\tDevice    : Count Querier\tGroup    Users Timer\tReporter\n"
	const group = "\t\t\t\t010000E0     1 0:00000000\t\t0\n"
	const dev = devHeader + "lo: 1 2 0 0 0 0 0 0 3 4 0 0 0 0 0 0\naverylongname12: 1 2 0 0 0 0 0 0 3 4 0 0 0 0 0 0\n"
	for _, test := range []struct {
		name, igmp string
		lo, other  int
	}{
		{"both up", igmpHeader + "1\tlo        :     1      V3\n" + group + "12\taverylongname12:     2      V3\n" + group + group, 1, 12},
		{"one down", igmpHeader + "1\tlo        :     1      V3\n" + group, 1, 0},
		{"none", igmpHeader, 0, 0},
		{"malformed rows", igmpHeader + "x\tlo: 1 V3\n-1\tlo:\n\t:\n99999999999\tlo: 1\n5 lo: 1\n3\taverylongname12: 1\n", 0, 3},
	} {
		root := copyTree(t, "native", "proc")
		write(t, root, "1/net/dev", dev)
		write(t, root, "1/net/igmp", test.igmp)
		got, err := open(t, root).Counters()
		want := map[string]Counters{"lo": {1, 2, 3, 4, test.lo}, "averylongname12": {1, 2, 3, 4, test.other}}
		if diff := cmp.Diff(want, got); err != nil || diff != "" {
			t.Errorf("%s: error %v, counters (-want +got):\n%s", test.name, err, diff)
		}
	}
}

// The container's own dev has 3 interfaces fewer.
func TestCountersOfContainerAreTheHosts(t *testing.T) {
	got, err := open(t, "testdata/container").Counters()
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]Counters{
		"lo":    {RxBytes: 11864, RxPackets: 36, TxBytes: 11864, TxPackets: 36},
		"dum0p": {RxBytes: 638, RxPackets: 7, TxBytes: 516, TxPackets: 6},
		"dum0":  {RxBytes: 516, RxPackets: 6, TxBytes: 638, TxPackets: 7},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("counters (-want +got):\n%s", diff)
	}
}

// A malformed row costs no other interface.
func TestBadCounterRows(t *testing.T) {
	const eth0, eth1 = "  eth0: 1 2 0 0 0 0 0 0 3 4 0 0 0 0 0 0\n", "  eth1: 5 6 0 0 0 0 0 0 7 8 0 0 0 0 0 0\n"
	for _, row := range []string{
		"lo: 1 2\n", // procfs panics
		"lo:\n",
		"lo 1 2 0 0 0 0 0 0 3 4 0 0 0 0 0 0\n",
		": 1 2 0 0 0 0 0 0 3 4 0 0 0 0 0 0\n",
		"lo: -1 2 0 0 0 0 0 0 3 4 0 0 0 0 0 0\n",
		"lo: 18446744073709551616 2 0 0 0 0 0 0 3 4 0 0 0 0 0 0\n",
		"lo: 1 2 0 0 0 0 0 0 3 0x4 0 0 0 0 0 0\n",
	} {
		root := copyTree(t, "native", "proc")
		write(t, root, "1/net/dev", devHeader+eth0+row+eth1)
		got, err := open(t, root).Counters()
		if diff := cmp.Diff(map[string]Counters{"eth0": {1, 2, 3, 4, 0}, "eth1": {5, 6, 7, 8, 0}}, got); diff != "" {
			t.Errorf("%q: counters (-want +got):\n%s", row, diff)
		}
		rows, ok := errors.AsType[*RowsError](err)
		if want := filepath.Join(root, "1/net/dev") + ": "; !ok || rows.Bad != 1 || rows.Rows != 3 || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: error %v, want a RowsError of 1 row of 3 in the file", row, err)
		}
	}
}

// A counter that is not reported costs nothing.
func TestOddCounterRows(t *testing.T) {
	root := copyTree(t, "native", "proc")
	write(t, root, "1/net/dev", devHeader+"\n  eth0: 1 2 x -1 0 0 0 0 3 4\n\x00\x00")
	got, err := open(t, root).Counters()
	if diff := cmp.Diff(map[string]Counters{"eth0": {1, 2, 3, 4, 0}}, got); err != nil || diff != "" {
		t.Errorf("error %v, counters (-want +got):\n%s", err, diff)
	}
}

// What is no table is an error, not a host without interfaces.
func TestNoCounterTable(t *testing.T) {
	for _, content := range []string{"", "garbage\n", "Inter-|\n", devHeader + strings.Repeat("x", 5000)} {
		root := copyTree(t, "native", "proc")
		write(t, root, "1/net/dev", content)
		got, err := open(t, root).Counters()
		if _, ok := errors.AsType[*RowsError](err); err == nil || ok || got != nil || !strings.Contains(err.Error(), filepath.Join(root, "1/net/dev")+": ") {
			t.Errorf("%.20q: counters %v, error %v, want one that names the file and is no RowsError", content, got, err)
		}
	}
}
