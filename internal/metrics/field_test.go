package metrics

import (
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/device-defender/device-defender/internal/defender/report"
)

// Proc trees after bug reports of other programs. testdata/field/base is a
// healthy host; the other folders hold only the files that differ from it, proc
// those of a first sample and proc2 those of a second one.

// fieldTree returns a tree of testdata/field at its first sample.
func fieldTree(t *testing.T, name string) string {
	t.Helper()
	root := filepath.Join(t.TempDir(), "proc")
	if err := os.CopyFS(root, os.DirFS("testdata/field/base")); err != nil {
		t.Fatal(err)
	}
	overlay(t, root, filepath.Join(name, "proc"))
	return root
}

// overlay replaces files of a tree by those of a folder of testdata/field.
func overlay(t *testing.T, root, folder string) {
	t.Helper()
	files := os.DirFS(filepath.Join("testdata/field", folder))
	err := fs.WalkDir(files, ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		content, err := fs.ReadFile(files, name)
		write(t, root, name, string(content))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

func checkNumber(t *testing.T, s Sample, name string, want float64) {
	t.Helper()
	if m, ok := s.Custom[name]; !ok || m.Number != want {
		t.Errorf("%s %v, want %v; problems: %v", name, m, want, s.Problems)
	}
}

func TestOddMeminfo(t *testing.T) {
	for name, want := range map[string]struct{ usage, available float64 }{
		// (254472 - 200000) / 254472
		"meminfo-ddwrt": {21.4, 200000 << 10},
		// (3944876 - 3674800) / 3944876: decimal
		"meminfo-zeropadded": {6.8, 3674800 << 10},
		"meminfo-emptyline":  {40, 600000 << 10},
		"meminfo-nuls":       {40, 600000 << 10},
	} {
		s := collect(t, fieldTree(t, name), all(), nil)
		checkNumber(t, s, "memory_usage", want.usage)
		checkNumber(t, s, "memory_available", want.available)
		if len(s.Problems) > 0 {
			t.Errorf("%s: problems %v", name, s.Problems)
		}
	}
}

// Steal time below zero, as a number near 2^64, went on by 10 ticks.
func TestWrappedStealTime(t *testing.T) {
	root := fieldTree(t, "stat-steal-wrapped")
	first := collect(t, root, all(), nil)
	overlay(t, root, "stat-steal-wrapped/proc2")
	checkNumber(t, collect(t, root, all(), first.Baseline), "cpu_usage", 10)
}

// More than 2^31 forks (procfs issue 831).
func TestForksBelowZero(t *testing.T) {
	root := fieldTree(t, "stat-forks-below-zero")
	first := collect(t, root, all(), nil)
	overlay(t, root, "stat-forks-below-zero/proc2")
	checkNumber(t, collect(t, root, all(), first.Baseline), "cpu_usage", 25)
}

// The uptime of lxcfs costs itself only.
func TestUptimeBelowZero(t *testing.T) {
	root := fieldTree(t, "lxcfs-negative-uptime")
	first := collect(t, root, all(), nil)
	overlay(t, root, "lxcfs-negative-uptime/proc2")
	second := collect(t, root, all(), first.Baseline)
	n := second.Metrics.NetworkStats
	if n == nil || *n.BytesIn != 1500 || *n.PacketsIn != 15 || *n.BytesOut != 0 || *n.PacketsOut != 0 {
		t.Errorf("network_stats %+v, want 1500 bytes and 15 packets in", n)
	}
	checkNumber(t, second, "cpu_usage", 25)
	if len(second.Problems) != 1 || second.Problems[0].What != "custom metric uptime" {
		t.Errorf("problems %v, want one about uptime", second.Problems)
	}
}

// checkFieldNames checks the interfaces of the sockets in testdata/field/base.
func checkFieldNames(t *testing.T, s Sample) {
	t.Helper()
	want := []report.Connection{connection("0.203.0.32:8883", "eth0", 54321)}
	if diff := cmp.Diff(want, s.Metrics.TCPConnections.Connections, equal); diff != "" {
		t.Errorf("connections (-want +got):\n%s", diff)
	}
	if len(s.Problems) > 0 {
		t.Errorf("problems: %v", s.Problems)
	}
}

// Kernels before 6.14 print metrics from 2^31 on below zero.
func TestRouteMetricBelowZero(t *testing.T) {
	root := fieldTree(t, "route-negative-metric")
	write(t, root, "1/net/tcp6", "  sl  local_address                         remote_address                        st\n"+
		"   0: 000080FE000000000000000010000000:0016 00000000000000000000000000000000:0000 0A 0\n")
	s := collect(t, root, all(), nil)
	checkFieldNames(t, s)
	want := []report.Port{port(22, "0.0.0.0"), port(22, "eth0")}
	if diff := cmp.Diff(want, s.Metrics.ListeningTCPPorts.Ports); diff != "" {
		t.Errorf("listening TCP ports (-want +got):\n%s", diff)
	}
}

// The address of a load balancer on lo is in eth0's network, and so is eth0's
// own: the tables do not tell which is which.
func TestVirtualAddressOnLoopback(t *testing.T) {
	s := collect(t, fieldTree(t, "fib-lvs-vip-on-lo"), all(), nil)
	want := []report.Port{port(22, "0.0.0.0"), port(22, "::"), port(80, "")}
	if diff := cmp.Diff(want, s.Metrics.ListeningTCPPorts.Ports); diff != "" {
		t.Errorf("listening TCP ports (-want +got):\n%s", diff)
	}
	for _, c := range s.Metrics.TCPConnections.Connections {
		if c.LocalInterface != "" {
			t.Errorf("interface %q", c.LocalInterface)
		}
	}
}
