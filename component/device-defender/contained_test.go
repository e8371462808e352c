package main

import (
	"archive/tar"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/device-defender/device-defender/internal/defender/report"
	"github.com/device-defender/device-defender/internal/hostproc/hostproctest"
	"github.com/device-defender/device-defender/scripts/ociimage"
)

// The image in a container as the container recipe runs it, by runc: without
// the host's network, without root, capabilities and a way to them, and with
// nothing to write to. The host is one scenario. The container's network is new
// and empty, or a second scenario's that has become different.
func TestContained(t *testing.T) {
	requireRunc(t)
	c := container{image: unpackImage(t), host: hostproctest.Start(t)}
	hostFigures := figures{TCP: 10, UDP: 5, Connections: 10, Interfaces: []string{"0.0.0.0", "::", "br-a1", "dum0", "lo"}}

	other := c
	other.network = hostproctest.Start(t)
	other.network.SendDatagrams(t)
	other.network.DeleteInterface(t)
	otherFigures := figures{TCP: 10, UDP: 6, Connections: 10, Interfaces: []string{"", "0.0.0.0", "::", "dum0", "lo"}}

	hidden := "the host's network tables can't be read: open /host-proc/1/net/tcp: %s; " +
		"/host-proc/net is no substitute, it is the network of this process: " +
		"mount the host's /proc there without hidepid, or with gid= of a group of this user"
	for _, test := range []struct {
		name      string
		container container
		args      []string
		mount     string // what the container gets as the host's /proc
		want      figures
		wantError string
	}{
		{name: "host", container: c, want: hostFigures},
		{name: "host, from another network", container: other, want: hostFigures},
		{name: "host, two samples", container: c, args: []string{"-count", "2", "-interval", "100ms"}, want: hostFigures},
		// Which networks the containers have: not the host's.
		{name: "itself", container: c, args: []string{"-proc", "/proc"}, want: figures{}},
		{name: "itself, in another network", container: other, args: []string{"-proc", "/proc"}, want: otherFigures},

		{name: "hidepid=1", container: other, mount: "-t proc -o hidepid=1 proc",
			wantError: fmt.Sprintf(hidden, "operation not permitted")},
		{name: "hidepid=2", container: other, mount: "-t proc -o hidepid=2 proc",
			wantError: fmt.Sprintf(hidden, "no such file or directory")},
		{name: "hidepid=2 for others", container: other, mount: "-t proc -o hidepid=2,gid=60931 proc", want: hostFigures},
		{name: "no 1/net", container: other, mount: "--bind /proc/1", // has net and stat
			wantError: fmt.Sprintf(hidden, "no such file or directory")},
		{name: "no proc", container: other, mount: "-t tmpfs tmpfs",
			wantError: "/host-proc is not a proc file system: 1, net and stat are missing"},
	} {
		t.Run(test.name, func(t *testing.T) {
			stdout, stderr, code := test.container.run(t, test.mount, append([]string{"print"}, test.args...)...)
			if test.wantError != "" {
				if want := "device-defender print: " + test.wantError + "\n"; code != 1 || stdout != "" || stderr != want {
					t.Errorf("exit code %d, stdout %q, stderr\n%swant 1, nothing and\n%s", code, stdout, stderr, want)
				}
				return
			}
			if code != 0 || stderr != "" || stdout == "" {
				t.Fatalf("exit code %d, stdout %q, stderr\n%s", code, stdout, stderr)
			}
			for text := range strings.Lines(stdout) {
				if diff := cmp.Diff(test.want, figuresOf(t, text)); diff != "" {
					t.Errorf("report (-want +got):\n%s\n%s", diff, text)
				}
			}
		})
	}
}

// figures are what a report says of a network.
type figures struct {
	TCP, UDP, Connections int64
	Interfaces            []string // of all sockets, sorted
}

func figuresOf(t *testing.T, text string) figures {
	t.Helper()
	r, _, err := report.Decode([]byte(strings.TrimSpace(text)))
	if err != nil {
		t.Fatalf("%v: %s", err, text)
	}
	m := r.Metrics
	interfaces := make(map[string]bool)
	for _, p := range slices.Concat(m.ListeningTCPPorts.Ports, m.ListeningUDPPorts.Ports) {
		interfaces[p.Interface] = true
	}
	for _, c := range m.TCPConnections.Connections {
		interfaces[c.LocalInterface] = true
	}
	return figures{
		TCP: *m.ListeningTCPPorts.Total, UDP: *m.ListeningUDPPorts.Total, Connections: *m.TCPConnections.Total,
		Interfaces: slices.Sorted(maps.Keys(interfaces)),
	}
}

// image is an unpacked image.
type image struct {
	root   string
	config struct {
		User, WorkingDir string
		Env, Entrypoint  []string
	}
}

// unpackImage makes the image of a static binary and unpacks it by its own
// documents.
func unpackImage(t *testing.T) image {
	t.Helper()
	static := filepath.Join(t.TempDir(), "device-defender")
	build := exec.CommandContext(t.Context(), "go", "build", "-trimpath", "-o", static, ".")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	content, err := os.ReadFile(static)
	if err != nil {
		t.Fatal(err)
	}
	var archive bytes.Buffer
	err = ociimage.Write(&archive, ociimage.Image{
		Program: ociimage.DeviceDefender,
		Binary:  content, Architecture: runtime.GOARCH, Name: "device-defender", Tag: "test",
	})
	if err != nil {
		t.Fatal(err)
	}
	layout := t.TempDir()
	unpack(t, &archive, layout)
	var manifests []struct {
		Config string
		Layers []string
	}
	decodeFile(t, filepath.Join(layout, "manifest.json"), &manifests)
	img := image{root: t.TempDir()}
	decodeFile(t, filepath.Join(layout, manifests[0].Config), &struct{ Config any }{&img.config})
	for _, path := range manifests[0].Layers {
		layer, err := os.Open(filepath.Join(layout, path))
		if err != nil {
			t.Fatal(err)
		}
		defer layer.Close()
		unpack(t, layer, img.root)
	}
	return img
}

func decodeFile(t *testing.T, path string, document any) {
	t.Helper()
	text, err := os.ReadFile(path)
	if err == nil {
		err = json.Unmarshal(text, document)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// unpack unpacks a tar with the owners and modes in it.
func unpack(t *testing.T, archive io.Reader, folder string) {
	t.Helper()
	for r := tar.NewReader(archive); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(folder, h.Name)
		if h.Typeflag == tar.TypeDir {
			err = os.Mkdir(path, 0o700)
		} else {
			var content []byte
			if content, err = io.ReadAll(r); err == nil {
				err = os.WriteFile(path, content, 0o600)
			}
		}
		if err == nil {
			err = os.Chmod(path, fs.FileMode(h.Mode))
		}
		if err == nil {
			err = os.Chown(path, h.Uid, h.Gid)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

// container is where the image runs.
type container struct {
	image   image
	host    *hostproctest.Scenario
	network *hostproctest.Scenario // whose network the container has; nil is one of its own
}

// run runs the image and ends with it. mount is the arguments of the command
// that mounts what the container gets as the host's /proc, "" for the true one.
func (c container) run(t *testing.T, mount string, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	bundle, proc := t.TempDir(), "/proc"
	// What runs on the host, with the bundle's folder as $1 and the mount's as $2.
	script := "exec runc --root $1/state run --bundle $1 device-defender-$$"
	if c.network != nil {
		script = "exec nsenter --net=/proc/self/fd/3 runc --root $1/state run --bundle $1 device-defender-$$"
	}
	if mount != "" {
		proc = t.TempDir()
		script = "mount " + mount + " $2 && " + script
	}
	config, err := json.Marshal(c.config(proc, args))
	if err == nil {
		err = os.WriteFile(filepath.Join(bundle, "config.json"), config, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	command := c.host.Command(t, "sh", "-c", script, "sh", bundle, proc)
	if c.network != nil {
		// The network's file, which the host's /proc does not have.
		network, err := os.Open(strings.TrimSuffix(c.network.Root(), "root/proc") + "ns/net")
		if err != nil {
			t.Fatal(err)
		}
		defer network.Close()
		command.ExtraFiles = []*os.File{network}
	}
	var out, diagnostics bytes.Buffer
	command.Stdout, command.Stderr = &out, &diagnostics
	if err := command.Run(); command.ProcessState == nil {
		t.Fatal(err)
	}
	return out.String(), diagnostics.String(), command.ProcessState.ExitCode()
}

// config is the container's, as the OCI runtime specification has it. The
// resources that docker would add, control groups and limits, are left out.
func (c container) config(proc string, args []string) any {
	type object = map[string]any
	namespaces := []object{{"type": "pid"}, {"type": "mount"}, {"type": "ipc"}, {"type": "uts"}}
	if c.network == nil {
		namespaces = append(namespaces, object{"type": "network"})
	}
	user, group, _ := strings.Cut(c.image.config.User, ":")
	none := []string{}
	return object{
		"ociVersion": "1.0.2",
		"process": object{
			"user": object{"uid": json.Number(user), "gid": json.Number(group)},
			"args": slices.Concat(c.image.config.Entrypoint, args),
			"env":  c.image.config.Env,
			"cwd":  c.image.config.WorkingDir,
			"capabilities": object{
				"bounding": none, "effective": none, "inheritable": none, "permitted": none, "ambient": none,
			},
			"noNewPrivileges": true,
		},
		"root": object{"path": c.image.root, "readonly": true},
		"mounts": []object{
			{"destination": "/proc", "type": "proc", "source": "proc"},
			{"destination": "/host-proc", "type": "bind", "source": proc, "options": []string{"rbind", "ro"}},
		},
		"linux": object{"namespaces": namespaces},
	}
}

// requireRunc skips the test without runc, which needs root too.
func requireRunc(t *testing.T) {
	t.Helper()
	if _, err := exec.LookPath("runc"); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal(err)
		}
		t.Skip(err)
	}
}
