package hostproc

import (
	"encoding/json"
	"errors"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"golang.org/x/sys/unix"
)

// loads are the three results of Load as one value.
type loads struct{ Load1, Load5, Load15 float64 }

// facts are the machine-wide ones, with the file each comes from.
var facts = []struct {
	file string
	read func(*Host) (any, error)
	want any // of testdata/native
}{
	{"stat", func(h *Host) (any, error) { return h.CPU() }, CPUTime{
		User: 1000, Nice: 20, System: 500, Idle: 8000, IOWait: 400, IRQ: 30, SoftIRQ: 100, Steal: 50}},
	{"meminfo", func(h *Host) (any, error) { return h.Memory() }, Memory{Total: 1017560 << 10, Available: 655360 << 10}},
	{"loadavg", func(h *Host) (any, error) {
		load1, load5, load15, err := h.Load()
		return loads{load1, load5, load15}, err
	}, loads{0.25, 1.5, 12.75}},
	{"uptime", func(h *Host) (any, error) { return h.Uptime() }, 90*time.Minute + 250*time.Millisecond},
	{"sys/fs/file-nr", func(h *Host) (any, error) { return h.OpenFiles() }, int64(1184)},
	{"sys/kernel/random/boot_id", func(h *Host) (any, error) { return h.BootID() }, "6a7f4e9c-0d0e-4a51-9f0e-6f0f3b0f1d11"},
}

func TestMachine(t *testing.T) {
	h := open(t, "testdata/native")
	for _, fact := range facts {
		got, err := fact.read(h)
		if err != nil {
			t.Error(err)
		}
		if diff := cmp.Diff(fact.want, got, cmpopts.EquateApprox(0, 1e-9)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", fact.file, diff)
		}
	}
	// 1, 842 and 9913: not stat, sys, ...
	if n, err := h.Processes(); n != 3 || err != nil {
		t.Errorf("%d processes, %v, want 3", n, err)
	}
}

// A proc mounted with subset=pid has none of these files.
func TestMachineMissing(t *testing.T) {
	h := open(t, "testdata/subset")
	for _, fact := range facts {
		if got, err := fact.read(h); !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), "testdata/subset/"+fact.file) {
			t.Errorf("%s: %v, error %v, want one that it is missing", fact.file, got, err)
		}
	}
	if n, err := h.Processes(); n != 1 || err != nil {
		t.Errorf("%d processes, %v, want 1", n, err)
	}
}

func TestMachineMalformed(t *testing.T) {
	bad := map[string][]string{
		"stat":                      {"", "btime 1\n", "cpu  1 2 3\n", "cpu  1 2 3 x\n", "cpu  0 0 0 0\n", "cpu  nan 0 0 1\n", "cpu  1 -1 1 1\n", "cpu  1 1 1 18446744073709551616\n", "cpux 1 2 3 4\n", "cpu0 1 2 3 4\n"},
		"meminfo":                   {"", "MemTotal: 1 kB\n", "MemTotal: 1 MB\nMemAvailable: 1 kB\n", "MemTotal: 1 kB\nMemAvailable: -1 kB\n", "MemTotal: 0x10 kB\nMemAvailable: 1 kB\n", "MemTotal: 1 2 kB\nMemAvailable: 1 kB\n", "MemTotal: 1125899906842624 kB\nMemAvailable: 1 kB\n", "MemTotal\n", strings.Repeat("\x00", 1<<20)},
		"loadavg":                   {"", "0.1 0.2\n", "a b c 1/2 3\n"},
		"uptime":                    {"", "1.0\n", "-1.0 2.0\n", "nan 1.0\n", "1e300 1.0\n", "x 1.0\n", strings.Repeat("1", 1<<20)},
		"sys/fs/file-nr":            {"", "1\t0\n", "-1\t0\t5\n", "x\t0\t5\n", "9223372036854775808\t0\t5\n"},
		"sys/kernel/random/boot_id": {"", "6a7f4e9c\n", "6A7F4E9C-0D0E-4A51-9F0E-6F0F3B0F1D11\n", strings.Repeat("a", 1<<20)},
	}
	root := copyTree(t, "native", "proc")
	h := open(t, root)
	for _, fact := range facts {
		for _, content := range bad[fact.file] {
			write(t, root, fact.file, content)
			got, err := fact.read(h)
			if err == nil || !strings.Contains(err.Error(), filepath.Join(root, fact.file)+":") || len(err.Error()) > 300 {
				t.Errorf("%s %.40q: %v, error %v, want one that names the file", fact.file, content, got, err)
			}
		}
	}
}

func TestOddStat(t *testing.T) {
	for _, test := range []struct {
		name, stat string
		want       CPUTime
	}{
		{"forks below zero", "cpu  1 2 3 4 5 6 7 8 9 10\nprocesses -2045677862\n", CPUTime{1, 2, 3, 4, 5, 6, 7, 8}},
		{"not a number elsewhere", "cpu  1 2 3 4 5 6 7 8 9 10\ncpu0 x\nbtime x\n", CPUTime{1, 2, 3, 4, 5, 6, 7, 8}},
		{"Linux 2.4", "cpu  1 2 3 4\n", CPUTime{User: 1, Nice: 2, System: 3, Idle: 4}},
		{"Linux 2.6.32 of a container", "cpu  1 2 3 4 5 6 7 8\n", CPUTime{1, 2, 3, 4, 5, 6, 7, 8}},
		{"steal time below zero", "cpu  1 2 3 4 5 6 7 18446744073709551000 0 0\n", CPUTime{1, 2, 3, 4, 5, 6, 7, 18446744073709551000}},
		{"not the first line", "swap 0 0\ncpu0 9 9 9 9\ncpu  1 2 3 4\n", CPUTime{User: 1, Nice: 2, System: 3, Idle: 4}},
		{"a long line after it", "cpu  1 2 3 4\nintr " + strings.Repeat("0 ", 1<<20), CPUTime{User: 1, Nice: 2, System: 3, Idle: 4}},
	} {
		root := copyTree(t, "native", "proc")
		write(t, root, "stat", test.stat)
		if got, err := open(t, root).CPU(); err != nil || got != test.want {
			t.Errorf("%s: %+v, %v, want %+v", test.name, got, err, test.want)
		}
	}
}

func TestBusySince(t *testing.T) {
	before := CPUTime{User: 1000, Nice: 20, System: 500, Idle: 8000, IOWait: 400, IRQ: 30, SoftIRQ: 100, Steal: 50}
	after := func(change func(*CPUTime)) CPUTime {
		now := before
		change(&now)
		return now
	}
	const huge = 18446744073709551000 // 616 below zero
	for _, test := range []struct {
		name        string
		before, now CPUTime
		want        float64
		ok          bool
	}{
		{"no earlier reading", CPUTime{}, before, 0, false},
		{"no time has passed", before, before, 0, false},
		{"every mode", before, CPUTime{1010, 30, 510, 8010, 410, 40, 110, 60}, 0.75, true},
		{"idle", before, after(func(c *CPUTime) { c.Idle += 100; c.IOWait += 50 }), 0, true},
		{"busy", before, after(func(c *CPUTime) { c.SoftIRQ += 10 }), 1, true},
		{"iowait falls", before, after(func(c *CPUTime) { c.IOWait -= 300; c.User += 10; c.Idle += 90 }), 0.1, true},
		{"idle falls", before, after(func(c *CPUTime) { c.Idle -= 5; c.User += 10; c.IOWait += 90 }), 0.1, true},
		{"steal falls", before, after(func(c *CPUTime) { c.Steal = 0; c.User += 10; c.Idle += 90 }), 0.1, true},
		{"steal falls below zero", before, after(func(c *CPUTime) { c.Steal = huge; c.User += 10; c.Idle += 90 }), 0.1, true},
		{"steal rises below zero", after(func(c *CPUTime) { c.Steal = huge }),
			after(func(c *CPUTime) { c.Steal = huge + 10; c.Idle += 90 }), 0.1, true},
		{"steal rises above zero", after(func(c *CPUTime) { c.Steal = 1<<64 - 4 }),
			after(func(c *CPUTime) { c.Steal = 6; c.Idle += 90 }), 0.1, true},
		{"all fall", before, CPUTime{User: 1}, 0, false},
	} {
		if got, ok := test.now.BusySince(test.before); ok != test.ok || math.Abs(got-test.want) > 1e-9 {
			t.Errorf("%s: %v, %v, want %v, %v", test.name, got, ok, test.want, test.ok)
		}
	}
}

// A baseline of version 0.1.0 has no counters to compare with.
func TestCPUTimeOfEarlierVersion(t *testing.T) {
	var old CPUTime
	if err := json.Unmarshal([]byte(`{"Busy":10.5,"Total":70}`), &old); err != nil {
		t.Fatal(err)
	}
	if share, ok := (CPUTime{User: 1, Idle: 1}).BusySince(old); ok {
		t.Errorf("busy %v since a reading of an earlier version", share)
	}
}

func TestOddMeminfo(t *testing.T) {
	const rest = "MemAvailable:   500 kB\n"
	for name, meminfo := range map[string]string{
		"several values on a line": "        total:    used:    free:\nMem:  260579328 136073216 124506112\nMemTotal:  1000 kB\n" + rest,
		"no blank":                 "ShadowCallStack:10373888 kB\nMemTotal:1000 kB\n" + rest,
		"no blank before the unit": "MemTotal: 1000kB\n" + rest,
		"zero-padded":              "MemTotal: 00001000 kB\n" + rest,
		"zero-padded elsewhere":    "MemTotal: 1000 kB\nBuffers: 00008888 kB\n" + rest,
		"empty lines":              "\nMemTotal: 1000 kB\n\n" + rest + "\n",
		"zeros at the end":         "MemTotal: 1000 kB\n" + rest + strings.Repeat("\x00", 1<<20),
		"not a number elsewhere":   "MemTotal: 1000 kB\nMemFree: x kB\nCached: -5 kB\n" + rest,
		"named twice":              "MemTotal: 1000 kB\nMemTotal: 2000 kB\n" + rest,
	} {
		root := copyTree(t, "native", "proc")
		write(t, root, "meminfo", meminfo)
		if got, err := open(t, root).Memory(); err != nil || got != (Memory{Total: 1000 << 10, Available: 500 << 10}) {
			t.Errorf("%s: %+v, %v, want 1000 and 500 kB", name, got, err)
		}
	}
}

// Kernels before 3.14 leave the estimate of the available memory to others.
func TestMemoryWithoutMemAvailable(t *testing.T) {
	// In MiB: 100 free, 400 of page cache and 40 of slabs; the low watermark is 10.
	const meminfo = "MemTotal: 1048576 kB\nMemFree: 102400 kB\nBuffers: 1024 kB\nCached: 512000 kB\n" +
		"Active(file): 204800 kB\nInactive(file): 204800 kB\nSReclaimable: 40960 kB\nSUnreclaim: 9999 kB\n"
	for _, test := range []struct {
		name, meminfo, minFree string
		wantMiB                uint64 // 0: an error
	}{
		{"capped at the watermark", meminfo, "8192\n", 100 - 10 + 400 - 10 + 40 - 10},
		{"half of little cache", strings.ReplaceAll(meminfo, "204800", "2048"), "8192\n", 100 - 10 + 4 - 2 + 40 - 10},
		{"half of few slabs", strings.ReplaceAll(meminfo, "40960", "4096"), "8192\n", 100 - 10 + 400 - 10 + 4 - 2},
		{"MemAvailable is no number", meminfo + "MemAvailable: x kB\n", "8192\n", 100 - 10 + 400 - 10 + 40 - 10},
		{"without the watermark", meminfo, "", 0},
		{"the watermark is no number", meminfo, "x\n", 0},
		{"without a part", strings.Replace(meminfo, "SReclaimable", "Other", 1), "8192\n", 0},
	} {
		root := copyTree(t, "native", "proc")
		write(t, root, "meminfo", test.meminfo)
		if err := os.Mkdir(filepath.Join(root, "sys/vm"), 0o700); err != nil {
			t.Fatal(err)
		}
		if test.minFree != "" {
			write(t, root, "sys/vm/min_free_kbytes", test.minFree)
		}
		got, err := open(t, root).Memory()
		if (err == nil) != (test.wantMiB > 0) || got.Available != test.wantMiB<<20 {
			t.Errorf("%s: %d KiB available, %v, want %d MiB", test.name, got.Available>>10, err, test.wantMiB)
		}
	}
	// Less free memory than the watermark, and nothing that can be reclaimed.
	none := map[string]uint64{"MemFree": 1 << 20}
	if got := estimateAvailable(none, 8<<20); got != 0 {
		t.Errorf("%d bytes available, want 0", got)
	}
}

// The clock is the uptime, or the kernel's if that is of no use.
func TestClock(t *testing.T) {
	root := copyTree(t, "native", "proc")
	h := open(t, root)
	if clock, err := h.Clock(); err != nil || clock != 90*time.Minute+250*time.Millisecond {
		t.Errorf("clock %v, %v, want the uptime", clock, err)
	}
	write(t, root, "uptime", "18446744073709551594.00 0.00\n")
	var before, after unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &before); err != nil {
		t.Fatal(err)
	}
	clock, err := h.Clock()
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &after); err != nil {
		t.Fatal(err)
	}
	if int64(clock) < before.Nano() || int64(clock) > after.Nano() {
		t.Errorf("clock %v, want one from %d to %d ns", clock, before.Nano(), after.Nano())
	}
	if uptime, err := h.Uptime(); err == nil {
		t.Errorf("uptime %v, want an error", uptime)
	}
}

func TestProcessesOfVanishedRoot(t *testing.T) {
	root := copyTree(t, "native", "proc")
	h := open(t, root)
	if err := os.RemoveAll(root); err != nil {
		t.Fatal(err)
	}
	if n, err := h.Processes(); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("%d processes, error %v", n, err)
	}
}

// More processes than names are read at a time.
func TestManyProcesses(t *testing.T) {
	root := copyTree(t, "subset", "proc")
	for i := range 1000 {
		name := strings.Repeat("1", 1+i%10) + strings.Repeat("2", 1+i/10)
		if i%2 == 1 {
			name = "thread" + name
		}
		if err := os.Mkdir(filepath.Join(root, name), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	if n, err := open(t, root).Processes(); n != 501 || err != nil {
		t.Errorf("%d processes, %v, want 501", n, err)
	}
}
