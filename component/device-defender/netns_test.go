package main

import (
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/device-defender/device-defender/internal/defender/report"
	"github.com/device-defender/device-defender/internal/hostproc/hostproctest"
)

// The real binary on a host with one socket of each kind: as root, as an
// unprivileged user, and through a /proc that is mounted elsewhere.
func TestPrintOnAScenario(t *testing.T) {
	host := hostproctest.Start(t)
	// The binary lies in a folder of root's own: a copy that all can run.
	shared, err := os.CreateTemp("", "device-defender-")
	if err != nil {
		t.Fatal(err)
	}
	defer os.Remove(shared.Name())
	content, err := os.ReadFile(binary)
	if err == nil {
		_, err = shared.Write(content)
	}
	if err == nil {
		err = shared.Chmod(0o755)
	}
	if err == nil {
		err = shared.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	run := shared.Name()
	for name, args := range map[string][]string{
		"root":         {run, "print"},
		"unprivileged": {"setpriv", "--reuid=60931", "--regid=60931", "--clear-groups", "--bounding-set=-all", run, "print"},
		"container":    {"unshare", "--net", run, "print", "-proc", "/proc/1/root/proc"},
	} {
		t.Run(name, func(t *testing.T) {
			command := host.Command(t, args[0], args[1:]...)
			command.Stderr = os.Stderr
			out, err := command.Output()
			if err != nil {
				t.Fatal(err)
			}
			r, _, err := report.Decode([]byte(strings.TrimSpace(string(out))))
			if err != nil {
				t.Fatal(err)
			}
			got := map[string]int64{
				"tcp": *r.Metrics.ListeningTCPPorts.Total, "udp": *r.Metrics.ListeningUDPPorts.Total,
				"connections": *r.Metrics.TCPConnections.Total,
			}
			if diff := cmp.Diff(map[string]int64{"tcp": 10, "udp": 5, "connections": 10}, got); diff != "" {
				t.Errorf("totals (-want +got):\n%s\nreport: %s", diff, out)
			}
		})
	}
}
