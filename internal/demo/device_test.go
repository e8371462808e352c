package demo

import (
	"context"
	"net/netip"
	"os"
	"slices"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/device-defender/device-defender/internal/hostproc"
)

// asDevice makes a test binary a device.
const asDevice = "serve-device"

func TestMain(m *testing.M) {
	if len(os.Args) == 3 && os.Args[1] == asDevice {
		ServeDevice(context.Background(), os.Args[2], os.Stdin, os.Stdout)
		os.Exit(0)
	}
	goleak.VerifyTestMain(m)
}

// start starts a device of its own network, or skips the test where this user
// may not make one.
func start(t *testing.T) *Device {
	t.Helper()
	d, err := StartDevice("gateway", Command{asDevice})
	if err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal(err)
		}
		t.Skip(err)
	}
	t.Cleanup(d.Close)
	return d
}

// view is what an agent sees of a device.
type view struct {
	listening    []netip.AddrPort
	destinations []netip.Addr
	sent         uint64 // packets
}

func see(t *testing.T, d *Device) view {
	t.Helper()
	host, err := hostproc.Open(d.ProcRoot)
	if err != nil {
		t.Fatal(err)
	}
	counters, err := host.Counters()
	if err != nil {
		t.Fatal(err)
	}
	v := view{sent: counters["lo"].TxPackets}
	err = host.TCP(func(s hostproc.Socket) {
		switch s.State {
		case hostproc.Listen:
			v.listening = append(v.listening, s.Local)
		case hostproc.Established:
			v.destinations = append(v.destinations, s.Remote.Addr())
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// until waits for what takes the kernel and the device a moment.
func until(t *testing.T, what string, done func() bool) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); !done(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("still waiting until %s", what)
		}
	}
}

func TestDeviceHasANetworkOfItsOwn(t *testing.T) {
	d := start(t)
	v := see(t, d)
	want := []netip.AddrPort{netip.MustParseAddrPort("198.51.100.20:8883"), netip.MustParseAddrPort("203.0.113.66:443")}
	slices.SortFunc(v.listening, netip.AddrPort.Compare)
	if !slices.Equal(v.listening, want) {
		t.Errorf("listening %v, want %v", v.listening, want)
	}
	if !slices.Contains(v.destinations, brokerAddress) || slices.Contains(v.destinations, StrangeAddress) {
		t.Errorf("connected to %v, want the broker only", v.destinations)
	}
}

func TestExfiltrationIsRealTraffic(t *testing.T) {
	d := start(t)
	before := see(t, d)
	if err := d.Exfiltrate(); err != nil {
		t.Fatal(err)
	}
	until(t, "2,000 packets more are sent", func() bool { return see(t, d).sent > before.sent+2000 })
	if v := see(t, d); !slices.Contains(v.destinations, StrangeAddress) {
		t.Errorf("connected to %v, want %v among them", v.destinations, StrangeAddress)
	}
	if err := d.Stop(); err != nil {
		t.Fatal(err)
	}
	until(t, "the connection is gone", func() bool { return !slices.Contains(see(t, d).destinations, StrangeAddress) })
	if err := d.Stop(); err != nil {
		t.Errorf("stopping twice: %v", err)
	}
}

func TestSharedDevice(t *testing.T) {
	d, err := StartSharedDevice("laptop", Command{asDevice})
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	if err := d.Exfiltrate(); err != nil {
		t.Fatal(err)
	}
	strange := netip.MustParseAddr("127.0.0.66")
	until(t, "the connection shows", func() bool { return slices.Contains(see(t, d).destinations, strange) })
}

func TestDeviceThatCannotStart(t *testing.T) {
	folder := t.TempDir() // of this test only: others come and go in the machine's
	t.Setenv("TMPDIR", folder)
	_, err := StartSharedDevice("broken", Command{"-test.run=^$", "-nosuchflag"})
	if err == nil {
		t.Fatal("no error")
	}
	if left, err := os.ReadDir(folder); err != nil || len(left) > 0 {
		t.Errorf("left behind %v, %v", left, err)
	}
}

func TestSendTraffic(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	began, ended := make(chan string, 1), make(chan error, 1)
	go func() { ended <- SendTraffic(ctx, func(address string) { began <- address }) }()
	address := netip.MustParseAddrPort(<-began).Addr()
	host := &Device{ProcRoot: "/proc"}
	before := see(t, host)
	if !slices.Contains(before.destinations, address) {
		t.Errorf("connected to %v, want %v among them", before.destinations, address)
	}
	until(t, "2,000 packets more are sent", func() bool { return see(t, host).sent > before.sent+2000 })
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}
