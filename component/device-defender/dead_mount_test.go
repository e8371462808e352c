package main

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/device-defender/device-defender/internal/greengrass"
)

// deadMount mounts a FUSE file system whose server never answers, and returns a
// file on it.
func deadMount(t *testing.T) string {
	t.Helper()
	server, err := os.OpenFile("/dev/fuse", os.O_RDWR, 0)
	if err != nil {
		t.Skip("no FUSE here:", err)
	}
	folder := t.TempDir()
	options := fmt.Sprintf("fd=%d,rootmode=40000,user_id=%d,group_id=%d", server.Fd(), os.Getuid(), os.Getgid())
	if err := unix.Mount("dead", folder, "fuse", unix.MS_NOSUID|unix.MS_NODEV, options); err != nil {
		server.Close()
		t.Skip("no FUSE mount here:", err)
	}
	t.Cleanup(func() {
		server.Close() // which fails all that wait
		if err := unix.Unmount(folder, unix.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	return filepath.Join(folder, "value")
}

// A custom metric on a mount that does not answer costs itself only, and does
// not hold the process up when it is told to end.
func TestDeadMount(t *testing.T) {
	d := newDevice(t, greengrass.Java)
	d.deploy(map[string]any{"CustomMetrics": map[string]any{"dead": map[string]any{"File": deadMount(t)}, "uptime": true}})
	d.start()
	d.accepted()
	d.until("the first read to be told", func() bool { return d.lines("custom metric dead", "no answer within 1s") == 1 })
	d.until("the later ones to be told", func() bool { return d.lines("custom metric dead", "an earlier read has not ended yet") == 1 })
	d.accepted()
	d.process.Stop()
	<-d.process.Done()
	if code := d.process.ExitCode(); code != 0 {
		t.Errorf("exit code %d", code)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, r := range d.reports {
		_, dead := r.CustomMetrics["dead"]
		if _, up := r.CustomMetrics["uptime"]; !up || dead || r.Metrics.ListeningTCPPorts == nil {
			t.Errorf("report %d has the custom metrics %v", r.ID, r.CustomMetrics)
		}
	}
}
