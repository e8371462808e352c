package hostproc

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/device-defender/device-defender/internal/hostproc/hostproctest"
)

// view is what there is to see of a host's network.
type view struct {
	NetDir, Notice string
	TCP, UDP       []string // sorted rows "state local remote interface"
	Addresses      []string // "address interface", but link-local ones, which are random
	Err            string
}

func viewOf(root string) view {
	h, err := Open(root)
	if err != nil {
		return view{Err: err.Error()}
	}
	tcp, err := sockets(h.TCP)
	if err != nil {
		return view{Err: err.Error()}
	}
	udp, err := sockets(h.UDP)
	if err != nil {
		return view{Err: err.Error()}
	}
	addresses, err := h.Addresses()
	if err != nil {
		return view{Err: err.Error()}
	}
	all, err := addresses.All()
	if err != nil {
		return view{Err: err.Error()}
	}
	var own []string
	for _, addr := range all {
		if !addr.IsLinkLocalUnicast() {
			own = append(own, strings.TrimSpace(fmt.Sprintf("%v %s", addr, addresses.Interface(addr))))
		}
	}
	return view{NetDir: h.NetDir(), Notice: h.Notice(), TCP: rows(tcp, addresses), UDP: rows(udp, addresses), Addresses: own}
}

func rows(sockets []Socket, addresses *Addresses) []string {
	lines := []string{}
	for _, s := range sockets {
		name := addresses.Interface(s.Local.Addr())
		lines = append(lines, strings.TrimSpace(fmt.Sprintf("%02X %v %v %s", uint8(s.State), s.Local, s.Remote, name)))
	}
	slices.Sort(lines)
	return lines
}

// The sockets of the scenario, by its description in package hostproctest.
var (
	scenarioTCP = []string{
		"01 10.9.0.1:1002 10.9.0.1:47750 dum0", // v4-mapped in tcp6
		"01 10.9.0.1:1005 10.9.0.1:48970 dum0",
		"01 10.9.0.1:47750 10.9.0.1:1002 dum0",
		"01 10.9.0.1:48970 10.9.0.1:1005 dum0",
		"01 127.0.0.1:1004 127.0.0.1:43322 lo",
		"01 127.0.0.1:43322 127.0.0.1:1004 lo",
		"01 [::1]:1007 [::1]:45778 lo",
		"01 [::1]:45778 [::1]:1007 lo",
		"01 [fd09::1]:1008 [fd09::1]:41562 dum0",
		"01 [fd09::1]:41562 [fd09::1]:1008 dum0",
		"05 127.0.0.1:55484 127.0.0.1:1001 lo",
		"08 127.0.0.1:1001 127.0.0.1:55484 lo",
		"0A 0.0.0.0:1001 0.0.0.0:0",
		"0A 0.0.0.0:1010 0.0.0.0:0",
		"0A 0.0.0.0:1010 0.0.0.0:0",
		"0A 0.0.0.0:1010 0.0.0.0:0",
		"0A 10.8.0.1:1006 0.0.0.0:0 br-a1",
		"0A 10.9.0.1:1005 0.0.0.0:0 dum0",
		"0A 127.0.0.1:1004 0.0.0.0:0 lo",
		"0A [::1]:1007 [::]:0 lo",
		"0A [::]:1002 [::]:0",
		"0A [::]:1003 [::]:0",
		"0A [fd09::1]:1008 [::]:0 dum0",
		"0A [fe80::d]:1009 [::]:0 dum0",
	}
	scenarioUDP = []string{
		"01 10.9.0.1:2004 10.9.0.2:53 dum0",
		"07 0.0.0.0:2001 0.0.0.0:0",
		"07 0.0.0.0:2006 0.0.0.0:0",
		"07 0.0.0.0:2006 0.0.0.0:0",
		"07 10.9.0.1:2003 0.0.0.0:0 dum0",
		"07 [::]:2002 [::]:0",
		"07 [fd09::1]:2005 [::]:0 dum0",
	}
	scenarioAddresses = []string{"10.8.0.1 br-a1", "10.9.0.1 dum0", "127.0.0.1 lo", "::1 lo", "fd09::1 dum0"}
)

func executable(t *testing.T) string {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return self
}

// viewIn returns the view that the test binary, run by command, has of root.
func viewIn(t *testing.T, command *exec.Cmd, root, user string) view {
	t.Helper()
	command.Env = append(os.Environ(), viewRoot+"="+root, viewUser+"="+user)
	var v view
	decodeOutput(t, command, &v)
	return v
}

// decodeOutput runs the test binary by command and decodes what it prints.
func decodeOutput(t *testing.T, command *exec.Cmd, into any) {
	t.Helper()
	command.Stderr = os.Stderr
	output, err := command.Output()
	if err != nil {
		t.Fatalf("%s: %v", command, err)
	}
	if err := json.Unmarshal(output, into); err != nil {
		t.Fatalf("%s: %v in %q", command, err, output)
	}
}

// The agent in a container, or the agent on the host: both see the host.
func TestScenario(t *testing.T) {
	s := hostproctest.Start(t)
	self := executable(t)

	check := func(name string, got view, netDir string) {
		t.Helper()
		want := view{NetDir: netDir, TCP: scenarioTCP, UDP: scenarioUDP, Addresses: scenarioAddresses}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
	check("foreign", viewOf(s.Root()), s.Root()+"/1/net")
	check("native", viewIn(t, s.Command(t, self), "/proc", ""), "/proc/1/net")
	check("native, unprivileged", viewIn(t, s.Command(t, self), "/proc", "65534"), "/proc/1/net")
	// In a network of its own a reader has no sockets, and its <root>/net says so.
	const mounted = "/proc/1/root/proc"
	check("from another network", viewIn(t, s.Command(t, "unshare", "--net", self), mounted, ""), mounted+"/1/net")
}

// mountHidden is a shell command that runs $2 where $1 is a proc mounted so that
// users see their own processes only.
const mountHidden = `mount -t proc -o hidepid=2 proc "$1" && exec "$2"`

// mountAgain is a shell command that runs $2 for another mount of proc at $1.
const mountAgain = `mount -t proc proc "$1" && ` + viewRoot + `="$1" exec "$2"`

func TestHidepid(t *testing.T) {
	s := hostproctest.Start(t)
	self := executable(t)
	mount := func(folder string) *exec.Cmd {
		return s.Command(t, "unshare", "--mount", "sh", "-c", mountHidden, "sh", folder, self)
	}

	// The reader's own /proc: its network is the one to report.
	got := viewIn(t, mount("/proc"), "/proc", "65534")
	if !strings.Contains(got.Notice, "/proc/net") {
		t.Errorf("notice %q does not name /proc/net", got.Notice)
	}
	got.Notice = ""
	if diff := cmp.Diff(view{NetDir: "/proc/net", TCP: scenarioTCP, UDP: scenarioUDP, Addresses: scenarioAddresses}, got); diff != "" {
		t.Errorf("own proc (-want +got):\n%s", diff)
	}

	// Anyone else's: no sockets rather than the reader's.
	folder := t.TempDir()
	got = viewIn(t, mount(folder), folder, "0")
	if got.Err != "" {
		t.Errorf("root can't read a proc mounted with hidepid: %s", got.Err)
	}
	// The folder that a test gets is closed to other users.
	for dir := folder; dir != filepath.Clean(os.TempDir()); dir = filepath.Dir(dir) {
		if err := os.Chmod(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	got = viewIn(t, mount(folder), folder, "65534")
	if !strings.Contains(got.Err, "gid=") || got.TCP != nil {
		t.Errorf("foreign proc: %+v, want an error with the remedy", got)
	}
}

// oddAddresses are commands of ip for addresses whose interfaces the files of
// /proc do not tell.
const oddAddresses = `
link add wg0 type veth peer name wg0p
link set wg0 up
link set wg0p up
addr add 10.8.0.66/32 dev wg0
route add 10.9.0.0/28 dev wg0
addr add 10.8.0.110/32 dev lo
addr add 10.8.0.2/24 dev br-a1
addr add 10.64.64.64 peer 10.64.64.65 dev wg0
addr add 10.65.0.1/24 dev wg0
addr add 10.65.0.9/24 dev wg0p
addr add 10.66.0.1/24 dev wg0
addr add 10.66.0.1/25 dev wg0p
addr add 10.67.0.1/24 dev wg0
addr add 10.68.0.1/31 dev wg0
route add 10.69.0.0/24 dev br-a1
addr add 10.69.0.1/32 dev wg0
`

// In its own network namespace a reader asks the kernel; from elsewhere it leaves
// out what the files do not tell, and is never wrong.
func TestOddAddresses(t *testing.T) {
	s := hostproctest.Start(t)
	self := executable(t)
	ip := s.Command(t, "ip", "-batch", "-")
	ip.Stdin = strings.NewReader(oddAddresses)
	if output, err := ip.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, output)
	}
	addresses := []struct{ addr, inside, outside, why string }{
		{"10.8.0.1", "br-a1", "", "wg0 and lo have addresses in its network"},
		{"10.8.0.2", "br-a1", "", "secondary address"},
		{"10.8.0.66", "wg0", "", "of 32 bits in br-a1's network, as WireGuard's are"},
		{"10.8.0.110", "lo", "", "of 32 bits in br-a1's network, as LVS's are"},
		{"10.9.0.1", "dum0", "", "wg0 has a route to a smaller network around it"},
		{"10.64.64.64", "wg0", "", "point to point"},
		{"10.65.0.1", "wg0", "", "its network is on two interfaces"},
		{"10.65.0.9", "wg0p", "", "its network is on two interfaces"},
		{"10.66.0.1", "", "", "on two interfaces"},
		{"10.67.0.1", "wg0", "wg0", "the only one in its network"},
		{"10.68.0.1", "wg0", "", "a network of 31 bits has no broadcast address"},
		{"10.69.0.1", "wg0", "", "in a network that br-a1 has a route to, but no address in"},
		{"127.0.0.1", "lo", "lo", ""},
		{"::1", "lo", "lo", ""},
		{"fd09::1", "dum0", "dum0", ""},
	}
	var inside, outside []string
	for _, a := range addresses {
		inside = append(inside, strings.TrimSpace(a.addr+" "+a.inside))
		outside = append(outside, strings.TrimSpace(a.addr+" "+a.outside))
	}
	for _, test := range []struct {
		name string
		got  view
		want []string
	}{
		{"native", viewIn(t, s.Command(t, self), "/proc", ""), inside},
		{"unprivileged", viewIn(t, s.Command(t, self), "/proc", "65534"), inside},
		{"in the host's network, through a mounted proc", viewIn(t, s.Command(t, "unshare", "--mount", "sh", "-c", mountAgain, "sh", t.TempDir(), self), "", ""), inside},
		{"from another network", viewOf(s.Root()), outside},
		{"from another network on the host", viewIn(t, s.Command(t, "unshare", "--net", self), "/proc/1/root/proc", ""), outside},
	} {
		if diff := cmp.Diff(test.want, test.got.Addresses); diff != "" || test.got.Err != "" {
			t.Errorf("%s: error %q, addresses (-want +got):\n%s", test.name, test.got.Err, diff)
		}
	}
}

func TestInterfaceDeleted(t *testing.T) {
	s := hostproctest.Start(t)
	h, err := Open(s.Root())
	if err != nil {
		t.Fatal(err)
	}

	before := counters(t, h)
	s.SendDatagrams(t)
	after := counters(t, h)
	const bytes, packets = 10 * (1000 + 8 + 20), 10
	want := before["lo"]
	want.RxBytes, want.RxPackets = want.RxBytes+bytes, want.RxPackets+packets
	want.TxBytes, want.TxPackets = want.TxBytes+bytes, want.TxPackets+packets
	if diff := cmp.Diff(want, after["lo"]); diff != "" {
		t.Errorf("counters of lo (-want +got):\n%s", diff)
	}
	if _, ok := after["br-a1"]; !ok {
		t.Errorf("no counters of br-a1 in %v", after)
	}

	s.DeleteInterface(t)
	if c, ok := counters(t, h)["br-a1"]; ok {
		t.Errorf("counters %v of br-a1, which is deleted", c)
	}
	got := viewOf(s.Root())
	if !slices.Contains(got.TCP, "0A 10.8.0.1:1006 0.0.0.0:0") {
		t.Errorf("the listener on the deleted interface is not there without a name:\n%s", strings.Join(got.TCP, "\n"))
	}
	if !slices.Contains(got.UDP, "07 0.0.0.0:43098 0.0.0.0:0") {
		t.Errorf("the sender is not there:\n%s", strings.Join(got.UDP, "\n"))
	}
}

// A new interface of an old name has another index.
func TestInterfaceReplaced(t *testing.T) {
	s := hostproctest.Start(t)
	ip := func(commands string) {
		t.Helper()
		command := s.Command(t, "ip", "-batch", "-")
		command.Stdin = strings.NewReader(commands)
		if output, err := command.CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, output)
		}
	}
	const add = "link add ppp0 type veth peer name ppp0p\nlink set ppp0 up\n"
	h := open(t, s.Root())
	ip(add)
	first := counters(t, h)["ppp0"].Index
	same := counters(t, h)["ppp0"].Index
	ip("link del ppp0\n" + add)
	second := counters(t, h)["ppp0"].Index
	if first == 0 || same != first || second == 0 || second == first {
		t.Errorf("indexes %d and %d, after it was replaced %d", first, same, second)
	}
	ip("link set ppp0 down\n")
	if down := counters(t, h)["ppp0"].Index; down != 0 {
		t.Errorf("index %d of an interface that is down, want none", down)
	}
}

func counters(t *testing.T, h *Host) map[string]Counters {
	t.Helper()
	c, err := h.Counters()
	if err != nil {
		t.Fatal(err)
	}
	return c
}
