package container_test

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/device-defender/device-defender/internal/agent/command"
	"github.com/device-defender/device-defender/internal/defender/report"
	"github.com/device-defender/device-defender/internal/greengrass"
	"github.com/device-defender/device-defender/internal/greengrass/localcore"
	"github.com/device-defender/device-defender/scripts/ociimage"
)

// The recipe in Docker, as the component of a stand-in core: installed, run,
// stopped as a nucleus does, killed, and each time started again.
func TestInDocker(t *testing.T) {
	docker(t)
	artifacts := t.TempDir()
	writeImage(t, filepath.Join(artifacts, "device-defender-image-linux-"+runtime.GOARCH+".tar.gz"))
	install, run := scripts(t, artifacts)
	command := exec.CommandContext(t.Context(), "sh", "-c", install)
	if out, err := command.CombinedOutput(); err != nil {
		t.Fatalf("install: %v\n%s", err, out)
	}
	t.Cleanup(func() { _ = exec.Command("docker", "rmi", "device-defender:"+version).Run() })
	listener, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	port := report.Port{Port: uint16(listener.Addr().(*net.TCPAddr).Port), Interface: "lo"}

	for _, nucleus := range []greengrass.Nucleus{greengrass.Java, greengrass.Lite} {
		t.Run(nucleus.String(), func(t *testing.T) {
			t.Cleanup(func() {
				_ = exec.Command("docker", "rm", "-f", name).Run()
				_ = exec.Command("docker", "volume", "rm", name+"-60931").Run()
			})
			d := newDevice(t, nucleus)
			d.start(run)
			if r := d.report(); !slices.Contains(r.Metrics.ListeningTCPPorts.Ports, port) {
				t.Errorf("the host's listener %v is not in %v", port, r.Metrics.ListeningTCPPorts.Ports)
			}
			d.report()
			d.checkContained()
			d.checkCommandLines()
			last := d.stop()

			// A restart within two intervals continues, and starting takes its time.
			d.interval(60)
			d.start(run)
			if r := d.report(); r.ID <= last.ID || r.Metrics.NetworkStats == nil {
				t.Errorf("after a restart: report id %d after %d, network_stats %v", r.ID, last.ID, r.Metrics.NetworkStats)
			}
			d.interval(1)
			// The docker command is gone, its container is not.
			if err := d.process.Signal(syscall.SIGKILL); err != nil {
				t.Fatal(err)
			}
			for d.process.Starts() < 2 {
				d.report()
			}
			d.report()
			d.stop()
		})
	}
}

// writeImage builds the image as the build of the project does.
func writeImage(t *testing.T, path string) {
	t.Helper()
	binary := filepath.Join(t.TempDir(), "device-defender")
	build := exec.CommandContext(t.Context(), "go", "build", "-trimpath", "-ldflags=-s -w", "-o", binary, "../../component/device-defender")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	content, err := os.ReadFile(binary)
	if err != nil {
		t.Fatal(err)
	}
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	err = ociimage.Write(z, ociimage.Image{
		Program: ociimage.DeviceDefender,
		Binary:  content, Architecture: runtime.GOARCH, Name: "device-defender", Tag: version, Version: version,
	})
	if err == nil {
		err = z.Close()
	}
	if err == nil {
		err = os.WriteFile(path, packed.Bytes(), 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// device is a stand-in core with the component.
type device struct {
	t         *testing.T
	core      *localcore.Core
	component *localcore.Component
	process   *localcore.Process
	reports   chan *report.Report
	log       bytes.Buffer // of the process; complete when it has ended
}

func newDevice(t *testing.T, nucleus greengrass.Nucleus) *device {
	t.Helper()
	root, err := os.MkdirTemp("", "core-") // a socket's path is short
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(root) })
	d := &device{t: t, reports: make(chan *report.Report, 1000)}
	d.core, err = localcore.New(localcore.Options{
		Nucleus: nucleus, ThingName: "thing", Region: "local", Root: root, MinReportInterval: -1,
		Stdout: &d.log, Stderr: &d.log,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		d.core.Close()
		if t.Failed() {
			t.Logf("log:\n%s", &d.log)
		}
	})
	d.core.Tap(func(m localcore.Message) {
		if r, _, err := report.Decode(m.Payload); err == nil {
			d.reports <- r
		}
	})
	recipe, err := localcore.ParseRecipe(strings.NewReader(text(t)))
	if err != nil {
		t.Fatal(err)
	}
	if d.component, err = d.core.Install(recipe); err != nil {
		t.Fatal(err)
	}
	d.component.Setenv(command.MinIntervalVariable, "1s")
	d.interval(1)
	if err := d.core.Listen(); err != nil {
		t.Fatal(err)
	}
	// A real nucleus' socket is open to all users.
	sockets, err := filepath.Glob(filepath.Join(root, "*.socket"))
	if err != nil || len(sockets) != 1 {
		t.Fatalf("sockets %q, %v", sockets, err)
	}
	if err := os.Chmod(sockets[0], 0o666); err != nil {
		t.Fatal(err)
	}
	return d
}

// interval deploys the seconds between two reports.
func (d *device) interval(seconds int) {
	d.t.Helper()
	if err := d.core.Deploy(d.t.Context(), componentName, map[string]any{"SampleIntervalSeconds": seconds}); err != nil {
		d.t.Fatal(err)
	}
}

// start runs the run script. Reports in quick succession are for tests only:
// the recipe does not hand their variable on.
func (d *device) start(script string) {
	d.t.Helper()
	script = strings.Replace(script, "-e SVCUID ", "-e SVCUID -e "+command.MinIntervalVariable+" ", 1)
	var err error
	if d.process, err = d.core.Start(d.t.Context(), d.component, "sh", "-c", script); err != nil {
		d.t.Fatal(err)
	}
}

// report waits for the next one to reach the cloud.
func (d *device) report() *report.Report {
	d.t.Helper()
	select {
	case r := <-d.reports:
		return r
	case <-d.process.Done():
		d.t.Fatalf("the process has ended: %v", d.process.Err())
	case <-time.After(2 * time.Minute): // far beyond what it takes
		d.t.Fatal("still waiting for a report")
	}
	return nil
}

// stop stops the process as a nucleus does and returns its last report.
func (d *device) stop() *report.Report {
	d.t.Helper()
	last := d.report()
	// A nucleus would kill it after 5 seconds, in which a busy machine may not
	// have removed the container.
	if err := d.process.Signal(syscall.SIGTERM); err != nil {
		d.t.Fatal(err)
	}
	<-d.process.Done()
	if code := d.process.ExitCode(); code != 0 {
		d.t.Errorf("exit code %d, want 0", code)
	}
	for len(d.reports) > 0 {
		last = <-d.reports
	}
	if !strings.Contains(d.log.String(), "report accepted") {
		d.t.Error("no report was accepted")
	}
	if strings.Contains(d.log.String(), "state not saved") {
		d.t.Error("the state could not be saved")
	}
	if got := inspect(d.t, "{{.State.Running}}"); got != "" {
		d.t.Errorf("the container is still there, running: %s", got)
	}
	return last
}

// inspect returns a detail of the component's container, "" without one.
func inspect(t *testing.T, format string) string {
	t.Helper()
	out, _ := exec.CommandContext(t.Context(), "docker", "inspect", "--format", format, name).Output()
	return strings.TrimSpace(string(out))
}

// checkContained asks the kernel what the process in the container may do.
func (d *device) checkContained() {
	d.t.Helper()
	status, err := os.ReadFile("/proc/" + inspect(d.t, "{{.State.Pid}}") + "/status")
	if err != nil {
		d.t.Fatal(err)
	}
	got := map[string]string{}
	for line := range strings.Lines(string(status)) {
		key, value, _ := strings.Cut(line, ":")
		got[key] = strings.Join(strings.Fields(value), " ")
	}
	for key, want := range map[string]string{
		"Uid": "60931 60931 60931 60931", "Gid": "60931 60931 60931 60931", "Groups": "",
		"CapEff": "0000000000000000", "CapBnd": "0000000000000000", "NoNewPrivs": "1",
	} {
		// Kernels differ in how many of the groups are listed: the own one may be.
		if key == "Groups" && got[key] == "60931" {
			continue
		}
		if got[key] != want {
			d.t.Errorf("process in the container: %s is %q, want %q", key, got[key], want)
		}
	}
	want := "none true false"
	if diff := cmp.Diff(want, inspect(d.t, "{{.HostConfig.NetworkMode}} {{.HostConfig.ReadonlyRootfs}} {{.HostConfig.Privileged}}")); diff != "" {
		d.t.Errorf("network, read-only, privileged (-want +got):\n%s", diff)
	}
}

// checkCommandLines looks for the token where every user of the host can read.
func (d *device) checkCommandLines() {
	d.t.Helper()
	lines, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		d.t.Fatal(err)
	}
	seen := false
	for _, path := range lines {
		line, err := os.ReadFile(path)
		if err != nil {
			continue // it has ended
		}
		seen = seen || bytes.Contains(line, []byte(name))
		if bytes.Contains(line, []byte(d.component.Token())) {
			d.t.Errorf("the token is on a command line: %s", bytes.ReplaceAll(line, []byte{0}, []byte{' '}))
		}
	}
	if !seen {
		d.t.Error("no command line of docker run seen")
	}
}

// docker skips the test where there is no Docker. If its daemon is not running,
// one is started for the test.
func docker(t *testing.T) {
	t.Helper()
	if exec.CommandContext(t.Context(), "docker", "info").Run() == nil {
		return
	}
	if os.Geteuid() != 0 {
		missing(t, "docker info fails, and only root can start a daemon")
	}
	for _, command := range []string{"docker", "dockerd"} {
		if _, err := exec.LookPath(command); err != nil {
			missing(t, err.Error())
		}
	}
	folder, err := os.MkdirTemp("", "docker-") // a socket's path is short
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(folder) })
	t.Setenv("DOCKER_HOST", "unix://"+folder+"/socket")
	// Without network and with plain folders it starts everywhere that root may mount.
	daemon := exec.Command("dockerd", "--host", os.Getenv("DOCKER_HOST"), "--pidfile", folder+"/pid",
		"--data-root", folder+"/data", "--exec-root", folder+"/exec",
		"--bridge=none", "--iptables=false", "--ip6tables=false", "--storage-driver=vfs")
	var log bytes.Buffer
	daemon.Stdout, daemon.Stderr = &log, &log
	if err := daemon.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- daemon.Wait() }()
	t.Cleanup(func() {
		_ = daemon.Process.Signal(syscall.SIGTERM)
		<-ended
	})
	for range time.Tick(100 * time.Millisecond) {
		if exec.Command("docker", "info").Run() == nil {
			return
		}
		select {
		case err := <-ended:
			ended <- err
			missing(t, fmt.Sprintf("dockerd: %v\n%s", err, &log))
		default:
		}
	}
}

// missing ends a test that lacks something here: CI must not pass without it.
func missing(t *testing.T, what string) {
	t.Helper()
	if os.Getenv("CI") == "true" {
		t.Fatal("docker: " + what)
	}
	t.Skip("docker: " + what)
}
