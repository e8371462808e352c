package hostproc

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// loads are the three results of Load as one value.
type loads struct{ Load1, Load5, Load15 float64 }

// facts are the machine-wide ones, with the file each comes from.
var facts = []struct {
	file string
	read func(*Host) (any, error)
	want any // of testdata/native
}{
	// Ticks of 10 ms; guest and guest_nice (40 and 10) are in user and nice.
	{"stat", func(h *Host) (any, error) { return h.CPU() }, CPUTime{Busy: 17, Total: 101}},
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
		"stat":                      {"", "btime 1\n", "cpu  x 0 0\n", "cpu  0 0 0 0\n", "cpu  nan 0 0 0\n", "cpu  inf 0 0 0\n", "cpux 1 2 3 4\n"},
		"meminfo":                   {"", "MemTotal: 1 kB\n", "MemTotal: 1 MB\nMemAvailable: 1 kB\n", "MemTotal\n"},
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
			if err == nil || !strings.Contains(err.Error(), filepath.Join(root, fact.file)+":") {
				t.Errorf("%s %.40q: %v, error %v, want one that names the file", fact.file, content, got, err)
			}
		}
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
