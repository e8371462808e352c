package hostproc

import (
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
			map[string]Counters{"br-a1": {1, 2, 3, 4}, "eth0.100": {5, 6, 7, 8}, "wan:1": {9, 10, 11, 12}}},
		{"beyond 32 bits", devHeader + "  eth0: 18446744073709551615 4294967296 0 0 0 0 0 0 4294967297 1 0 0 0 0 0 0\n",
			map[string]Counters{"eth0": {18446744073709551615, 4294967296, 4294967297, 1}}},
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

func TestBadCounters(t *testing.T) {
	for _, row := range []string{
		"lo: 1 2\n", // procfs panics
		"lo 1 2 0 0 0 0 0 0 3 4 0 0 0 0 0 0\n",
		"lo: -1 2 0 0 0 0 0 0 3 4 0 0 0 0 0 0\n",
		"lo: 18446744073709551616 2 0 0 0 0 0 0 3 4 0 0 0 0 0 0\n",
	} {
		root := copyTree(t, "native", "proc")
		write(t, root, "1/net/dev", devHeader+row)
		got, err := open(t, root).Counters()
		if err == nil || !strings.Contains(err.Error(), filepath.Join(root, "1/net/dev")) {
			t.Errorf("%q: counters %v, error %v, want one that names the file", row, got, err)
		}
	}
}
