package metrics

import (
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"golang.org/x/sys/unix"

	"github.com/device-defender/device-defender/internal/defender/report"
)

// deadMount opens files, of which those named "dead..." do not answer until it
// is repaired.
type deadMount struct {
	mu       sync.Mutex
	opened   map[string]int
	repaired chan struct{}
}

func newDeadMount() (*deadMount, *Files) {
	m := &deadMount{opened: make(map[string]int), repaired: make(chan struct{})}
	files := NewFiles()
	files.open = m.open
	return m, files
}

func (m *deadMount) open(name string) (io.ReadCloser, error) {
	m.mu.Lock()
	m.opened[name]++
	n := m.opened[name]
	m.mu.Unlock()
	if strings.HasPrefix(name, "dead") {
		<-m.repaired
	}
	return io.NopCloser(strings.NewReader(fmt.Sprint(n))), nil
}

func (m *deadMount) count(name string) int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.opened[name]
}

func problemTexts(s Sample) (texts []string) {
	for _, p := range s.Problems {
		texts = append(texts, p.Error())
	}
	return texts
}

// A file on a mount that does not answer costs its metric only, and one
// goroutine however many samples are taken.
func TestDeadMount(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		mount, files := newDeadMount()
		o := options()
		o.Files = files
		o.Custom = map[string]Source{
			"dead": {File: "dead", Type: report.Number}, "same": {File: "dead", Type: report.NumberList},
			"good": {File: "good", Type: report.Number},
		}
		o.Custom["load"], _ = Builtin("load")
		check := func(sample int, want string, goodValue float64) {
			t.Helper()
			s := collect(t, scenario, o, nil)
			checkNumber(t, s, "good", goodValue)
			if _, ok := s.Custom["load"]; !ok || s.Metrics.ListeningTCPPorts == nil {
				t.Errorf("sample %d: other metrics are missing", sample)
			}
			got := strings.Join(problemTexts(s), "; ")
			if got != fmt.Sprintf("custom metric dead left out: %s; custom metric same left out: %s", want, want) {
				t.Errorf("sample %d: problems %s", sample, got)
			}
			if n := mount.count("dead"); n != 1 {
				t.Errorf("sample %d: opened %d times", sample, n)
			}
		}
		check(1, "dead: no answer within 1s: does its file system answer?", 1)
		check(2, "dead: an earlier read has not ended yet: does its file system answer?", 2)
		check(3, "dead: an earlier read has not ended yet: does its file system answer?", 3)

		close(mount.repaired)
		synctest.Wait()
		s := collect(t, scenario, o, nil)
		checkNumber(t, s, "dead", 2) // read afresh
		if len(s.Problems) > 0 {
			t.Errorf("problems after the repair: %v", s.Problems)
		}
	})
}

// Files that never answer, always others, take a bounded number of goroutines.
func TestDeadMountIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		mount, files := newDeadMount()
		o := options()
		o.Files = files
		before := runtime.NumGoroutine()
		for round := range 5 {
			o.Custom = make(map[string]Source)
			for i := range 50 {
				name := fmt.Sprintf("dead%d-%d", round, i)
				o.Custom[name] = Source{File: name, Type: report.Number}
			}
			s := collect(t, scenario, o, nil)
			if len(s.Problems) != 50 {
				t.Fatalf("%d problems", len(s.Problems))
			}
			if last := s.Problems[0].Error(); round == 4 && !strings.Contains(last, "not read, as 64 reads of files have not ended yet") {
				t.Errorf("problem %s", last)
			}
		}
		if n := runtime.NumGoroutine() - before; n > maxPending {
			t.Errorf("%d goroutines", n)
		}
		close(mount.repaired)
		synctest.Wait()
	})
}

// No error has anything of what is in a file, and each is short.
func TestErrorsHaveNoContent(t *testing.T) {
	const secret = "SECRETTOKEN"
	folder := t.TempDir()
	contents := map[string]string{
		"one":    secret,
		"pair":   secret + "=1 2",
		"nuls":   strings.Repeat("\x00", 60<<10),
		"long":   strings.Repeat(secret, 5000),
		"digits": "1234567890123456789012345678 " + secret,
		"mixed":  "10.0.0.1," + secret + "!,1",
		"binary": "\xff\xfe" + secret + "\n%s%d",
	}
	for name, content := range contents {
		write(t, folder, name, content)
		for _, kind := range []report.MetricType{report.Number, report.NumberList, report.StringList, report.IPList} {
			o := options()
			o.Custom = map[string]Source{"m": {File: filepath.Join(folder, name), Type: kind}}
			for _, text := range problemTexts(collect(t, scenario, o, nil)) {
				if strings.Contains(text, secret) || len(text) > 500 || strings.ContainsRune(text, 0) {
					t.Errorf("%s as %v: %d bytes: %.300q", name, kind, len(text), text)
				}
			}
		}
	}
}

// Files of processes are refused, whatever leads to them: this process'
// environment has the nucleus' token. Others of /proc are read.
func TestFilesOfProcessesAreRefused(t *testing.T) {
	folder := t.TempDir()
	link := func(name, target string) string {
		path := filepath.Join(folder, name)
		if err := os.Symlink(target, path); err != nil {
			t.Fatal(err)
		}
		return path
	}
	refused := []string{
		"/proc/self/environ", "/proc/thread-self/environ", fmt.Sprintf("/proc/%d/environ", os.Getpid()), "/proc/1/comm",
		fmt.Sprintf("/proc/self/task/%d/environ", os.Getpid()), "/proc/self/net/dev", "/proc/net/dev", "/proc/mounts",
		"/proc/self/root/proc/self/environ", "/proc/./1/../self/environ",
		link("file", "/proc/self/environ"), filepath.Join(link("folder", "/proc/self"), "environ"),
		link("twice", filepath.Join(folder, "file")),
	}
	for _, name := range refused {
		c := <-NewFiles().start(name)
		if c.err == nil || !strings.Contains(c.err.Error(), "files of processes are not read") {
			t.Errorf("%s: %d bytes, error %v", name, len(c.text), c.err)
		}
	}
	for _, name := range []string{"/proc/loadavg", "/proc/sys/kernel/pid_max", link("load", "/proc/loadavg")} {
		if c := <-NewFiles().start(name); c.err != nil || len(c.text) == 0 {
			t.Errorf("%s: %d bytes, error %v", name, len(c.text), c.err)
		}
	}
}

// A mount of a part of /proc, or of all of it elsewhere, is no way around.
func TestFilesOfProcessesBehindMounts(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("needs root")
	}
	folder := t.TempDir()
	write(t, folder, "file", "")
	for _, name := range []string{"process", "whole"} {
		if err := os.Mkdir(filepath.Join(folder, name), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	type verdict struct {
		name string
		err  error
	}
	verdicts := make(chan verdict, 8)
	go func() {
		defer close(verdicts)
		runtime.LockOSThread() // which ends with the goroutine, and its mounts with it
		mounts := [][2]string{{"/proc/self/environ", "file"}, {"/proc/self", "process"}, {"/proc", "whole"}}
		err := unix.Unshare(unix.CLONE_NEWNS | unix.CLONE_FS)
		if err == nil {
			err = unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, "")
		}
		for _, m := range mounts {
			if err == nil {
				err = unix.Mount(m[0], filepath.Join(folder, m[1]), "", unix.MS_BIND, "")
			}
		}
		if err != nil {
			verdicts <- verdict{"mounts", err}
			return
		}
		for _, name := range []string{"file", "process/environ", "whole/self/environ", "whole/loadavg"} {
			f, err := openFile(filepath.Join(folder, name)) // on this thread
			if err == nil {
				f.Close()
			}
			verdicts <- verdict{name, err}
		}
	}()
	for v := range verdicts {
		switch {
		case v.name == "mounts":
			t.Skip("no mounts here:", v.err)
		case v.name == "whole/loadavg" && v.err != nil:
			t.Errorf("%s: %v", v.name, v.err)
		case v.name != "whole/loadavg" && (v.err == nil || !strings.Contains(v.err.Error(), "files of processes are not read")):
			t.Errorf("%s: error %v, want it refused", v.name, v.err)
		}
	}
}

// A missing file is told as such.
func TestFileMissing(t *testing.T) {
	if c := <-NewFiles().start(filepath.Join(t.TempDir(), "none")); !os.IsNotExist(c.err) {
		t.Errorf("error %v, want %v", c.err, fs.ErrNotExist)
	}
}
