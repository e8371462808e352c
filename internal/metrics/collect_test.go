package metrics

import (
	"encoding/json"
	"errors"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/device-defender/device-defender/internal/defender/report"
	"github.com/device-defender/device-defender/internal/hostproc"
)

// scenario is a capture of a host with one socket of each kind, taken after
// its interface br-a1 was deleted.
const (
	scenario = "testdata/scenario"
	netDir   = scenario + "/1/net"
)

func options() Options {
	return Options{IncludeLoopback: true, MaxListItems: DefaultMaxListItems}
}

// collect samples a proc tree.
func collect(t testing.TB, root string, o Options, since *Baseline) Sample {
	t.Helper()
	host, err := hostproc.Open(root)
	if err != nil {
		t.Fatal(err)
	}
	return sorted(t, Collect(host, o, since, nil))
}

// sorted returns the sample as it would be sent.
func sorted(t testing.TB, s Sample) Sample {
	t.Helper()
	if s.Metrics != nil {
		r := report.Report{ID: 1, Version: report.DocumentVersion, Metrics: s.Metrics}
		_, sent, _, err := r.Fit(report.Encoding{}, report.MaxSize)
		if err != nil {
			t.Fatal(err)
		}
		s.Metrics = sent.Metrics
	}
	return s
}

// saved returns a baseline as a restart finds it.
func saved(t testing.TB, b *Baseline) *Baseline {
	t.Helper()
	text, err := json.Marshal(b)
	if err != nil {
		t.Fatal(err)
	}
	return loaded(t, string(text))
}

func loaded(t testing.TB, text string) *Baseline {
	t.Helper()
	b := new(Baseline)
	if err := json.Unmarshal([]byte(text), b); err != nil {
		t.Fatal(err)
	}
	return b
}

// interfaces are those of a baseline.
func interfaces(counters map[string]hostproc.Counters) map[string]Interface {
	m := make(map[string]Interface, len(counters))
	for name, c := range counters {
		m[name] = Interface{Counters: c}
	}
	return m
}

// copyTree returns a writable copy of the scenario.
func copyTree(t testing.TB) string {
	t.Helper()
	root := filepath.Join(t.TempDir(), "proc")
	if err := os.CopyFS(root, os.DirFS(scenario)); err != nil {
		t.Fatal(err)
	}
	return root
}

func write(t testing.TB, root, name, content string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(root, name), []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

func port(n uint16, name string) report.Port { return report.Port{Port: n, Interface: name} }

func connection(remote, name string, local uint16) report.Connection {
	return report.Connection{RemoteAddr: netip.MustParseAddrPort(remote), LocalInterface: name, LocalPort: &local}
}

var equal = cmp.Options{cmpopts.EquateComparable(netip.AddrPort{}, netip.Addr{})}

var (
	wantTCP = []report.Port{
		port(1001, "0.0.0.0"), port(1002, "::"), port(1003, "::"), port(1004, "lo"), port(1005, "dum0"),
		port(1006, ""), port(1007, "lo"), port(1008, "dum0"), port(1009, "dum0"), port(1010, "0.0.0.0"),
	}
	wantUDP = []report.Port{
		port(2001, "0.0.0.0"), port(2002, "::"), port(2003, "dum0"), port(2005, "dum0"), port(2006, "0.0.0.0"),
		port(43098, "0.0.0.0"),
	}
	wantConnections = []report.Connection{
		connection("10.9.0.1:1002", "dum0", 47750),
		connection("10.9.0.1:1005", "dum0", 48970),
		connection("10.9.0.1:47750", "dum0", 1002), // v4-mapped in tcp6
		connection("10.9.0.1:48970", "dum0", 1005),
		connection("127.0.0.1:1004", "lo", 43322),
		connection("127.0.0.1:43322", "lo", 1004),
		connection("[::1]:1007", "lo", 45778),
		connection("[::1]:45778", "lo", 1007),
		connection("[fd09::1]:1008", "dum0", 41562),
		connection("[fd09::1]:41562", "dum0", 1008),
	}
)

func TestScenario(t *testing.T) {
	got := collect(t, scenario, options(), nil)
	want := &report.Metrics{
		TCPConnections:    &report.EstablishedConnections{Connections: wantConnections, Total: new(int64(10))},
		ListeningTCPPorts: &report.ListeningPorts{Ports: wantTCP, Total: new(int64(10))},
		ListeningUDPPorts: &report.ListeningPorts{Ports: wantUDP, Total: new(int64(6))},
	}
	if diff := cmp.Diff(want, got.Metrics, equal); diff != "" {
		t.Errorf("metrics (-want +got):\n%s", diff)
	}
	if len(got.Problems) > 0 {
		t.Errorf("problems: %v", got.Problems)
	}
	wantBaseline := &Baseline{Live: true,
		BootID: "6a7f4e9c-0d0e-4a51-9f0e-6f0f3b0f1d11", NetDir: netDir, Uptime: 5400*time.Second + 250*time.Millisecond,
		Interfaces: interfaces(map[string]hostproc.Counters{
			"lo":    {RxBytes: 11864, RxPackets: 36, TxBytes: 11864, TxPackets: 36},
			"dum0p": {RxBytes: 638, RxPackets: 7, TxBytes: 516, TxPackets: 6},
			"dum0":  {RxBytes: 516, RxPackets: 6, TxBytes: 638, TxPackets: 7},
		}),
		CPU: hostproc.CPUTime{User: 1000, System: 500, Idle: 8000, IOWait: 400, SoftIRQ: 100},
	}
	if diff := cmp.Diff(wantBaseline, got.Baseline, cmpopts.EquateApprox(0, 1e-6)); diff != "" {
		t.Errorf("baseline (-want +got):\n%s", diff)
	}
}

func TestWithoutLoopback(t *testing.T) {
	o := options()
	o.IncludeLoopback = false
	before := &Baseline{BootID: "6a7f4e9c-0d0e-4a51-9f0e-6f0f3b0f1d11", NetDir: netDir, Uptime: 5100 * time.Second, Interfaces: interfaces(map[string]hostproc.Counters{
		"lo": {}, "dum0": {RxBytes: 16, TxPackets: 7, TxBytes: 638, RxPackets: 6},
	})}
	got := collect(t, scenario, o, before).Metrics
	if total := *got.TCPConnections.Total; total != 6 || len(got.TCPConnections.Connections) != 6 {
		t.Errorf("%d connections, want the 6 that are not loopback", total)
	}
	if total := *got.ListeningTCPPorts.Total; total != 8 {
		t.Errorf("%d listening TCP ports, want the 8 that are not on lo", total)
	}
	if n := got.NetworkStats; *n.BytesIn != 500 || *n.BytesOut != 0 {
		t.Errorf("network_stats in %d out %d, want 500 and 0: those of dum0", *n.BytesIn, *n.BytesOut)
	}
}

func TestInterfaceFilter(t *testing.T) {
	o := options()
	o.Interfaces = Filter{Include: []string{"dum*", "lo"}, Exclude: []string{"l?"}}
	got := collect(t, scenario, o, nil).Metrics
	want := []report.Port{
		port(1001, "0.0.0.0"), port(1002, "::"), port(1003, "::"), port(1005, "dum0"),
		port(1006, ""), port(1008, "dum0"), port(1009, "dum0"), port(1010, "0.0.0.0"),
	}
	if diff := cmp.Diff(want, got.ListeningTCPPorts.Ports); diff != "" {
		t.Errorf("listening TCP ports (-want +got):\n%s", diff)
	}
	if total := *got.TCPConnections.Total; total != 6 {
		t.Errorf("%d connections, want the 6 on dum0", total)
	}
}

// Totals count what there is; a capped list keeps every port and address.
func TestCap(t *testing.T) {
	o := options()
	o.MaxListItems = 4
	got := collect(t, scenario, o, nil).Metrics
	if n, total := len(got.ListeningTCPPorts.Ports), *got.ListeningTCPPorts.Total; n != 4 || total != 10 {
		t.Errorf("%d ports, total %d, want 4 and 10", n, total)
	}
	want := []report.Connection{ // one for each remote address
		connection("10.9.0.1:1002", "dum0", 47750), connection("127.0.0.1:1004", "lo", 43322),
		connection("[::1]:1007", "lo", 45778), connection("[fd09::1]:1008", "dum0", 41562),
	}
	if diff := cmp.Diff(want, got.TCPConnections.Connections, equal); diff != "" {
		t.Errorf("connections (-want +got):\n%s", diff)
	}
}

func TestNetworkStats(t *testing.T) {
	const boot = "6a7f4e9c-0d0e-4a51-9f0e-6f0f3b0f1d11"
	c := func(rb, rp, tb, tp uint64) hostproc.Counters {
		return hostproc.Counters{RxBytes: rb, RxPackets: rp, TxBytes: tb, TxPackets: tp}
	}
	// The scenario's counters: lo 11864 36 11864 36, dum0 516 6 638 7, dum0p 638 7 516 6.
	tests := []struct {
		name  string
		since *Baseline
		want  []uint64 // bytes in, bytes out, packets in, packets out; nil: no block
	}{
		{"no baseline", nil, nil},
		{"baseline of another boot", &Baseline{BootID: "other", NetDir: netDir, Interfaces: interfaces(map[string]hostproc.Counters{"lo": {}})}, nil},
		{"baseline of another proc", &Baseline{BootID: boot, NetDir: "/host-proc/1/net", Interfaces: interfaces(map[string]hostproc.Counters{"lo": {}})}, nil},
		{"baseline of a later time", &Baseline{BootID: boot, NetDir: netDir, Uptime: 6000 * time.Second, Interfaces: interfaces(map[string]hostproc.Counters{"lo": {}})}, nil},
		{"baseline without counters", &Baseline{BootID: boot, NetDir: netDir}, nil},
		{"nothing happened", &Baseline{BootID: boot, NetDir: netDir, Interfaces: interfaces(map[string]hostproc.Counters{
			"lo": c(11864, 36, 11864, 36), "dum0": c(516, 6, 638, 7), "dum0p": c(638, 7, 516, 6)})}, []uint64{0, 0, 0, 0}},
		{"traffic on two interfaces", &Baseline{BootID: boot, NetDir: netDir, Interfaces: interfaces(map[string]hostproc.Counters{
			"lo": c(1584, 26, 1584, 26), "dum0": c(500, 5, 600, 4), "dum0p": c(638, 7, 516, 6)})}, []uint64{10296, 10318, 11, 13}},
		{"an interface appears", &Baseline{BootID: boot, NetDir: netDir, Interfaces: interfaces(map[string]hostproc.Counters{
			"dum0": c(516, 6, 638, 7), "dum0p": c(638, 7, 516, 6)})}, []uint64{0, 0, 0, 0}},
		{"an interface vanishes", &Baseline{BootID: boot, NetDir: netDir, Interfaces: interfaces(map[string]hostproc.Counters{
			"lo": c(11860, 35, 11864, 36), "dum0": c(516, 6, 638, 7), "dum0p": c(638, 7, 516, 6), "br-a1": c(1074, 13, 9, 9)})}, []uint64{4, 0, 1, 0}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if test.since != nil && test.since.Uptime == 0 {
				test.since.Uptime = 5100 * time.Second
			}
			n := collect(t, scenario, options(), test.since).Metrics.NetworkStats
			if n == nil || test.want == nil {
				if (n == nil) != (test.want == nil) {
					t.Errorf("network_stats %v, want %v", n, test.want)
				}
				return
			}
			got := []uint64{*n.BytesIn, *n.BytesOut, *n.PacketsIn, *n.PacketsOut}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("network_stats (-want +got):\n%s", diff)
			}
		})
	}
}

// A block whose source fails is left out; a truly empty list is sent as such.
func TestFailureIsNotEmptiness(t *testing.T) {
	root := copyTree(t)
	const header = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n"
	for _, name := range []string{"tcp", "tcp6", "udp6"} {
		write(t, root, "1/net/"+name, header)
	}
	write(t, root, "1/net/udp", header+"garbage\n")
	write(t, root, "1/net/dev", "a\nb\nlo: 1 2\n")
	got := collect(t, root, options(), nil)
	want := &report.Metrics{
		TCPConnections:    &report.EstablishedConnections{Connections: []report.Connection{}, Total: new(int64(0))},
		ListeningTCPPorts: &report.ListeningPorts{Ports: []report.Port{}, Total: new(int64(0))},
	}
	if diff := cmp.Diff(want, got.Metrics, equal); diff != "" {
		t.Errorf("metrics (-want +got):\n%s", diff)
	}
	var missing []string
	for _, p := range got.Problems {
		missing = append(missing, p.What)
	}
	if diff := cmp.Diff([]string{"network_stats", "listening_udp_ports"}, missing); diff != "" {
		t.Errorf("left out (-want +got):\n%s", diff)
	}
}

// When the counters can't be read once, the next report covers both intervals.
func TestCountersFailOnce(t *testing.T) {
	root := copyTree(t)
	first := collect(t, root, options(), nil).Baseline
	dev, err := os.ReadFile(filepath.Join(root, "1/net/dev"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(filepath.Join(root, "1/net/dev")); err != nil {
		t.Fatal(err)
	}
	second := collect(t, root, options(), first)
	if second.Metrics.NetworkStats != nil {
		t.Error("network_stats without counters")
	}
	write(t, root, "1/net/dev", strings.Replace(string(dev), "11864      36", "11964      37", 1))
	third := collect(t, root, options(), second.Baseline)
	if n := third.Metrics.NetworkStats; n == nil || *n.BytesIn != 100 || *n.PacketsIn != 1 {
		t.Errorf("network_stats %+v, want 100 bytes and 1 packet in", n)
	}
}

// The tables of one protocol cost the names of the other nothing, and a
// malformed row of a table no other row.
func TestBadAddressTables(t *testing.T) {
	const good = "fd090000000000000000000000000001 03 40 00 82     dum0\n"
	for _, test := range []struct{ file, content, v4, v6 string }{
		{"if_inet6", "garbage\n", "dum0", ""},
		{"if_inet6", "garbage\n" + good + "garbage\n", "dum0", "dum0"},
		{"fib_trie", "Main:\n |-- garbage\n", "", "dum0"},
		{"route", "Iface\ngarbage\n", "", "dum0"},
	} {
		root := copyTree(t)
		write(t, root, "1/net/"+test.file, test.content)
		got := collect(t, root, options(), nil)
		want := map[uint16]string{1005: test.v4, 1008: test.v6} // 10.9.0.1 and fd09::1
		for _, p := range got.Metrics.ListeningTCPPorts.Ports {
			if name, ok := want[p.Port]; ok && p.Interface != name {
				t.Errorf("%s %q: port %d has interface %q, want %q", test.file, test.content, p.Port, p.Interface, name)
			}
		}
		if len(got.Problems) != 1 || got.Problems[0].What != "interface names" {
			t.Errorf("%s: problems %v, want one about interface names", test.file, got.Problems)
		}
	}
}

// An interface whose row can't be read costs the others nothing, and is measured
// over both intervals when it can be read again.
func TestBadCounterRow(t *testing.T) {
	root := copyTree(t)
	first := collect(t, root, options(), nil).Baseline
	dev, err := os.ReadFile(filepath.Join(root, "1/net/dev"))
	if err != nil {
		t.Fatal(err)
	}
	more := strings.NewReplacer("11864      36", "11964      37", "dum0:     516       6", "dum0:     523       7").Replace(string(dev))
	write(t, root, "1/net/dev", strings.Replace(more, "dum0:     523", "dum0:     -23", 1))
	second := collect(t, root, options(), first)
	if n := second.Metrics.NetworkStats; n == nil || *n.BytesIn != 100 || *n.PacketsIn != 1 {
		t.Errorf("network_stats %+v, want the 100 bytes and 1 packet of lo", n)
	}
	if len(second.Problems) != 1 || second.Problems[0].What != "rows of the interface counters" {
		t.Errorf("problems %v, want one about rows of the interface counters", second.Problems)
	}
	write(t, root, "1/net/dev", more)
	third := collect(t, root, options(), second.Baseline)
	if n := third.Metrics.NetworkStats; n == nil || *n.BytesIn != 7 || *n.PacketsIn != 1 {
		t.Errorf("network_stats %+v, want the 7 bytes and 1 packet of dum0", n)
	}
}

func TestProblemNamesTheFile(t *testing.T) {
	root := copyTree(t)
	if err := os.Remove(filepath.Join(root, "1/net/udp")); err != nil {
		t.Fatal(err)
	}
	got := collect(t, root, options(), nil)
	if len(got.Problems) != 1 || !errors.Is(got.Problems[0], fs.ErrNotExist) ||
		!strings.Contains(got.Problems[0].Error(), filepath.Join(root, "1/net/udp")) {
		t.Errorf("problems %v, want one that names the file", got.Problems)
	}
}

// Linux takes any bytes as an interface's name; a report does not.
func TestInterfaceNameThatIsNotText(t *testing.T) {
	root := copyTree(t)
	table, err := os.ReadFile(filepath.Join(root, "1/net/if_inet6"))
	if err != nil {
		t.Fatal(err)
	}
	write(t, root, "1/net/if_inet6", strings.ReplaceAll(string(table), "dum0\n", "\xffum0\n"))
	sample := collect(t, root, options(), nil)
	for _, p := range sample.Metrics.ListeningTCPPorts.Ports {
		if p.Port == 1008 && p.Interface != "" {
			t.Errorf("interface %q", p.Interface)
		}
	}
	r := report.Report{ID: 1, Version: report.DocumentVersion, Metrics: sample.Metrics}
	if _, err := r.Encode(report.Encoding{}); err != nil {
		t.Error(err)
	}
}

// Half-closed connections are reported on demand: the scenario has both ends of
// one.
func TestIncludeHalfClosed(t *testing.T) {
	o := options()
	o.IncludeHalfClosed = true
	got := collect(t, scenario, o, nil).Metrics.TCPConnections
	if *got.Total != 12 {
		t.Errorf("total %d, want 12", *got.Total)
	}
	for _, want := range []report.Connection{connection("127.0.0.1:1001", "lo", 55484), connection("127.0.0.1:55484", "lo", 1001)} {
		if !slices.ContainsFunc(got.Connections, func(c report.Connection) bool { return cmp.Equal(want, c, equal) }) {
			t.Errorf("%v is missing", want.RemoteAddr)
		}
	}
}

// A malformed row costs itself only. The total says that the list may not be
// whole, and no row at all is no statement.
func TestMalformedRows(t *testing.T) {
	root := copyTree(t)
	const header = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n"
	write(t, root, "1/net/tcp6", header)
	write(t, root, "1/net/tcp", header+"   0: 00000000:0016 00000000:0000 0A 00000000:00000000\n   1: garbage\n   2: garbage\n")
	got := collect(t, root, options(), nil)
	want := &report.ListeningPorts{Ports: []report.Port{port(22, "0.0.0.0")}, Total: new(int64(3))}
	if diff := cmp.Diff(want, got.Metrics.ListeningTCPPorts); diff != "" {
		t.Errorf("listening TCP ports (-want +got):\n%s", diff)
	}
	if got.Metrics.TCPConnections != nil {
		t.Errorf("connections %v, want no block", got.Metrics.TCPConnections)
	}
	var missing []string
	for _, p := range got.Problems {
		missing = append(missing, p.What)
	}
	if diff := cmp.Diff([]string{"tcp_connections", "rows of the TCP tables"}, missing); diff != "" {
		t.Errorf("problems about (-want +got):\n%s", diff)
	}
}
