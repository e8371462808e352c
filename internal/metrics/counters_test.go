package metrics

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/device-defender/device-defender/internal/defender/report"
	"github.com/device-defender/device-defender/internal/hostproc"
)

// interval is the time between two samples of these tests.
const interval = 300 * time.Second

// sampleAt samples a tree whose uptime is set to n intervals.
func sampleAt(t *testing.T, root string, n int, o Options, since *Baseline) Sample {
	t.Helper()
	write(t, root, "uptime", fmt.Sprintf("%d.00 1.00\n", 1000+n*300))
	return collect(t, root, o, since)
}

// statsText shows network_stats as "bytes in, packets in; bytes out, packets
// out", "-" for a figure that is absent.
func statsText(n *report.NetworkStats) string {
	if n == nil {
		return "none"
	}
	figure := func(v *uint64) string {
		if v == nil {
			return "-"
		}
		return fmt.Sprint(*v)
	}
	return fmt.Sprintf("%s %s; %s %s", figure(n.BytesIn), figure(n.PacketsIn), figure(n.BytesOut), figure(n.PacketsOut))
}

// dev is a row of net/dev: bytes and packets in, bytes and packets out.
func dev(name string, counters string) string {
	c := strings.Fields(counters)
	return fmt.Sprintf("%s: %s %s 0 0 0 0 0 0 %s %s 0 0 0 0 0 0\n", name, c[0], c[1], c[2], c[3])
}

// Counters that fall, one interface on the way: what each report says.
func TestCountersThatFall(t *testing.T) {
	const header = "Inter-|   Receive  |  Transmit\n face |bytes packets|bytes packets\n"
	tests := []struct {
		name  string
		steps []string // counters at each sample, "" where the interface is gone, "?" where nothing can be read
		want  []string
	}{
		{"all read 0 once",
			[]string{"5000000000 4000000 900000000 3000000", "0 0 0 0", "5000001000 4000010 900002000 3000020", "5000001500 4000015 900002500 3000025"},
			[]string{"none", "none", "1000 10; 2000 20", "500 5; 500 5"}},
		{"all read 0 for long",
			[]string{"5000000000 4000000 900000000 3000000", "0 0 0 0", "0 0 0 0", "0 0 0 0", "5000001000 4000010 900002000 3000020", "5000001500 4000015 900002500 3000025"},
			[]string{"none", "none", "none", "0 0; 0 0", "none", "500 5; 500 5"}},
		{"one reads 0 once",
			[]string{"5000000000 4000000 900000000 3000000", "0 4000005 900001000 3000010", "5000001000 4000010 900002000 3000020"},
			[]string{"none", "- 5; 1000 10", "1000 5; 1000 10"}},
		{"one of 32 bits reads 0 once",
			[]string{"3000000000 4000000 900000000 3000000", "0 4900005 900001000 3000010", "3500001000 4900010 900002000 3000020"},
			[]string{"none", "- 900005; 1000 10", "500001000 5; 1000 10"}},
		{"one was 0 at first",
			[]string{"0 4000000 900000000 3000000", "5000001000 4000010 900002000 3000020", "5000001500 4000015 900002500 3000025"},
			[]string{"none", "- 10; 2000 20", "500 5; 500 5"}},
		{"a driver that does not count one",
			[]string{"0 4000000 900000000 3000000", "0 4000010 900002000 3000020"},
			[]string{"none", "0 10; 2000 20"}},
		{"one wraps at 2^32",
			[]string{"1000 10 4294900000 3000000", "2000 20 5000 3000100", "3000 30 6000 3000101"},
			[]string{"none", "1000 10; 72296 100", "1000 10; 1000 1"}},
		{"both directions wrap at 2^32",
			[]string{"4294967000 100 4294967290 200", "704 101 1494 201"},
			[]string{"none", "1000 1; 1500 1"}},
		{"packets wrap at 2^32",
			[]string{"9000000000 4294967295 100 10", "9000064000 999 100 10"},
			[]string{"none", "64000 1000; 0 0"}},
		{"one falls too far for a wrap",
			[]string{"1000 10 1000 3000000", "2000 20 500 3900000", "3000 30 700 3900002"},
			[]string{"none", "1000 10; - 900000", "1000 10; 200 2"}},
		{"one falls by more than its packets tell",
			[]string{"1000 10 4200000000 3000000", "2000 20 500 3000010"},
			[]string{"none", "1000 10; - 10"}},
		{"one falls from above 2^32",
			[]string{"1000 10 5000000000 3000000", "2000 20 500 3000010", "3000 30 900 3000011"},
			[]string{"none", "1000 10; - 10", "1000 10; 400 1"}},
		{"one direction falls",
			[]string{"1000 10 4294900000 3000000", "2000 20 5000 30", "3000 30 6000 31"},
			[]string{"none", "1000 10; - -", "1000 10; 1000 1"}},
		{"all start again: a dialled link",
			[]string{"5000000000 4000000 900000000 3000000", "2000000 1500 80000000 60000", "2000100 1501 80000200 60002"},
			[]string{"none", "2000000 1500; 80000000 60000", "100 1; 200 2"}},
		{"all start again, and soon count more",
			[]string{"1000 10 1000 10", "500 5 500 5", "100500 105 100500 105", "100600 106 100600 106"},
			[]string{"none", "500 5; 500 5", "99500 95; 99500 95", "100 1; 100 1"}},
		{"a link that only sends starts again",
			[]string{"0 0 1000 10", "0 0 500 5"},
			[]string{"none", "0 0; 500 5"}},
		{"gone for an interval, and made anew",
			[]string{"5000000000 4000000 900000000 3000000", "", "2000000 1500 80000000 60000"},
			[]string{"none", "0 0; 0 0", "2000000 1500; 80000000 60000"}},
		{"gone for an interval, and the same",
			[]string{"5000000000 4000000 900000000 3000000", "", "5000000700 4000007 900000000 3000000"},
			[]string{"none", "0 0; 0 0", "700 7; 0 0"}},
		{"gone for long",
			[]string{"5000000000 4000000 900000000 3000000", "", "", "5000000700 4000007 900000000 3000000", "5000000800 4000008 900000000 3000000"},
			[]string{"none", "0 0; 0 0", "0 0; 0 0", "0 0; 0 0", "100 1; 0 0"}},
		{"not read once",
			[]string{"5000000000 4000000 900000000 3000000", "?", "5000000700 4000007 900000000 3000000"},
			[]string{"none", "none", "700 7; 0 0"}},
		{"not read for more than two intervals",
			[]string{"5000000000 4000000 900000000 3000000", "?", "?", "5105000000 4000007 900000000 3000000", "5105000100 4000008 900000000 3000000"},
			[]string{"none", "none", "none", "none", "100 1; 0 0"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			root := fieldTree(t, "stat-steal-wrapped")
			o := options()
			o.MaxBaselineAge = 2*interval + interval/10
			var baseline *Baseline
			var got []string
			for i, step := range test.steps {
				table := header + dev("eth0", "0 0 0 0")
				switch step {
				case "?":
					table = "garbage"
				case "":
				default:
					table += dev("ppp0", step)
				}
				write(t, root, "1/net/dev", table)
				s := sampleAt(t, root, i, o, baseline)
				// What is saved and loaded in between is as good.
				baseline = saved(t, s.Baseline)
				got = append(got, statsText(s.Metrics.NetworkStats))
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("network_stats (-want +got):\n%s", diff)
			}
		})
	}
}

// A figure that is left out is named with the interface; the others are not.
func TestFigureLeftOutIsAProblem(t *testing.T) {
	root := copyTree(t)
	first := collect(t, root, options(), nil).Baseline
	table, err := os.ReadFile(filepath.Join(root, "1/net/dev"))
	if err != nil {
		t.Fatal(err)
	}
	write(t, root, "1/net/dev", strings.Replace(string(table), "dum0:     516", "dum0:       5", 1))
	got := collect(t, root, options(), first).Problems
	if len(got) != 1 || got[0].Error() != `bytes_in left out: interface "dum0": the counter fell, for no known reason` {
		t.Errorf("problems %v", got)
	}
}

// The interface of the case ppp-redial is dialled again between two samples.
func TestDialledAgain(t *testing.T) {
	root := fieldTree(t, "ppp-redial")
	first := collect(t, root, options(), nil)
	overlay(t, root, "ppp-redial/proc2")
	got := collect(t, root, options(), first.Baseline).Metrics.NetworkStats
	if want := "2000000 1500; 80000000 60000"; statsText(got) != want {
		t.Errorf("network_stats %s, want %s", statsText(got), want)
	}
}

// Interfaces are told apart by their index where it is known.
func TestIndexes(t *testing.T) {
	c := func(index int, bytes uint64) hostproc.Counters {
		return hostproc.Counters{RxBytes: bytes, RxPackets: bytes / 100, TxBytes: bytes, TxPackets: bytes / 100, Index: index}
	}
	before := map[string]hostproc.Counters{"lo": c(1, 100), "eth0": c(2, 5e9), "eth1": c(3, 1e9)}
	tests := []struct {
		name    string
		before  map[string]hostproc.Counters
		last    int
		now     map[string]hostproc.Counters
		bytesIn uint64
	}{
		{"nothing new", before, 3, map[string]hostproc.Counters{"lo": c(1, 200), "eth0": c(2, 5e9), "eth1": c(3, 1e9)}, 100},
		{"names swapped", before, 3, map[string]hostproc.Counters{"eth1": c(2, 5e9+100), "eth0": c(3, 1e9+500)}, 600},
		{"renamed", before, 3, map[string]hostproc.Counters{"lan0": c(2, 5e9+100)}, 100},
		{"new", before, 3, map[string]hostproc.Counters{"wg0": c(4, 7000)}, 7000},
		{"new under a former name, with more traffic", before, 3, map[string]hostproc.Counters{"eth1": c(9, 2e9)}, 2e9},
		{"back from another namespace", before, 7, map[string]hostproc.Counters{"wlan0": c(5, 2e9)}, 0},
		{"another one under a former name, back from another namespace", before, 7, map[string]hostproc.Counters{"eth1": c(5, 2e9)}, 0},
		{"index unknown", before, 3, map[string]hostproc.Counters{"wg0": c(0, 7000)}, 0},
		{"index unknown now, name known", before, 3, map[string]hostproc.Counters{"eth1": c(0, 1e9+300)}, 300},
		{"index unknown before, name known", map[string]hostproc.Counters{"eth1": c(0, 1e9)}, 0, map[string]hostproc.Counters{"eth1": c(3, 1e9+300)}, 300},
		{"new beside one that is down", map[string]hostproc.Counters{"lo": c(1, 100), "eth1": c(0, 1e9)}, 2, map[string]hostproc.Counters{"lo": c(1, 100), "eth1": c(0, 1e9), "wg0": c(3, 7000)}, 7000},
		{"perhaps one that was down, renamed", map[string]hostproc.Counters{"lo": c(1, 100), "eth0": c(0, 5e9)}, 1, map[string]hostproc.Counters{"lan0": c(2, 5e9)}, 0},
	}
	for _, test := range tests {
		since := &Baseline{Interfaces: interfaces(test.before), LastIndex: test.last}
		_, got := count(since, test.now, countOptions{
			elapsed: interval, limit: 2 * interval, selected: func(string) bool { return true },
		})
		if stats := got.stats(); stats == nil || stats.BytesIn == nil || *stats.BytesIn != test.bytesIn {
			t.Errorf("%s: %s, want %d bytes in", test.name, statsText(stats), test.bytesIn)
		}
	}
}

// The age limit holds for everything that is measured over an interval.
func TestBaselineAge(t *testing.T) {
	for _, test := range []struct {
		limit time.Duration
		want  bool
	}{{0, true}, {2 * interval, true}, {2*interval - time.Second, false}} {
		root := fieldTree(t, "stat-steal-wrapped")
		first := sampleAt(t, root, 0, all(), nil)
		overlay(t, root, "stat-steal-wrapped/proc2")
		o := all()
		o.MaxBaselineAge = test.limit
		second := sampleAt(t, root, 2, o, first.Baseline)
		if got := second.Metrics.NetworkStats != nil; got != test.want {
			t.Errorf("limit %v: network_stats %v, want %v", test.limit, got, test.want)
		}
		if hasCPU(second) != test.want {
			t.Errorf("limit %v: cpu_usage %v, want %v", test.limit, hasCPU(second), test.want)
		}
	}
}

// Processor times that can't be read once are measured over both intervals.
func TestCPUFailsOnce(t *testing.T) {
	root := fieldTree(t, "stat-steal-wrapped")
	first := sampleAt(t, root, 0, all(), nil)
	write(t, root, "stat", "garbage\n")
	second := sampleAt(t, root, 1, all(), first.Baseline)
	overlay(t, root, "stat-steal-wrapped/proc2")
	checkNumber(t, sampleAt(t, root, 2, all(), second.Baseline), "cpu_usage", 10)
	o := all()
	o.MaxBaselineAge = interval
	if hasCPU(sampleAt(t, root, 2, o, second.Baseline)) {
		t.Error("cpu_usage over more time than allowed")
	}
}

// A process knows that two of its samples are of one boot.
func TestBootUnknown(t *testing.T) {
	root := copyTree(t)
	if err := os.Remove(filepath.Join(root, "sys/kernel/random/boot_id")); err != nil {
		t.Fatal(err)
	}
	first := collect(t, root, options(), nil)
	if n := collect(t, root, options(), first.Baseline).Metrics.NetworkStats; n == nil {
		t.Error("no network_stats in the second sample")
	}
	restarted := collect(t, root, options(), saved(t, first.Baseline))
	if restarted.Metrics.NetworkStats != nil || len(restarted.Problems) != 1 || restarted.Problems[0].What != "network_stats" {
		t.Errorf("after a restart: %v, problems %v", restarted.Metrics.NetworkStats, restarted.Problems)
	}
}

// The baseline that an earlier version has saved is used.
func TestBaselineOfEarlierVersions(t *testing.T) {
	since := loaded(t, `{"boot_id":"6a7f4e9c-0d0e-4a51-9f0e-6f0f3b0f1d11","net_dir":"testdata/scenario/1/net","uptime_ns":5100000000000,
		"interfaces":{"lo":{"RxBytes":11854,"RxPackets":35,"TxBytes":11864,"TxPackets":36}},"cpu":{"Busy":16.5,"Total":100.25}}`)
	got := collect(t, scenario, all(), since)
	if want := "10 1; 0 0"; statsText(got.Metrics.NetworkStats) != want {
		t.Errorf("network_stats %s, want %s", statsText(got.Metrics.NetworkStats), want)
	}
	if len(got.Problems) > 0 {
		t.Errorf("problems %v", got.Problems)
	}
}

// Whatever counters do, no figure is more than what they can have counted since
// they were last known: what they show now, or half of 2^32 if they wrapped.
func FuzzDifference(f *testing.F) {
	f.Add(uint64(5e9), uint64(0), uint64(5e9+1000), uint64(100), uint64(110), uint64(120))
	f.Add(uint64(4294900000), uint64(5000), uint64(6000), uint64(30), uint64(40), uint64(50))
	f.Add(uint64(1), uint64(0), uint64(0), uint64(0), uint64(0), uint64(0))
	f.Fuzz(func(t *testing.T, bytes1, bytes2, bytes3, packets1, packets2, packets3 uint64) {
		c := func(bytes, packets uint64) hostproc.Counters {
			return hostproc.Counters{RxBytes: bytes, RxPackets: packets, TxBytes: bytes, TxPackets: packets}
		}
		known := Interface{Counters: c(bytes1, packets1)}
		for _, now := range []hostproc.Counters{c(bytes2, packets2), c(bytes3, packets3)} {
			was := figuresOf(known.Counters)
			grown, fault, next := difference(known.aged(interval), now, 2*interval)
			for i, is := range figuresOf(now) {
				switch {
				case fault[i] != nil && grown[i] != 0:
					t.Fatalf("a figure of %d that is left out", grown[i])
				case is < was[i] && grown[i] > max(is, 1<<31):
					t.Fatalf("%d after it fell from %d to %d", grown[i], was[i], is)
				case is >= was[i] && grown[i] > is-was[i]:
					t.Fatalf("%d after it rose from %d to %d", grown[i], was[i], is)
				}
			}
			// A counter that read 0 once has not counted all that it shows.
			if was[bytesIn] == 0 && bytes1 > 0 && now.RxBytes >= bytes1 && grown[bytesIn] > now.RxBytes-bytes1 {
				t.Fatalf("%d bytes after it read 0 between %d and %d", grown[bytesIn], bytes1, now.RxBytes)
			}
			known = next
		}
	})
}
