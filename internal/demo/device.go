package demo

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
)

// Device is a process that lives on the network as a device would: it
// listens, keeps a connection to its broker open and talks over it. Unless
// namespaces are forbidden here it has a network of its own.
type Device struct {
	Name string
	// ProcRoot is where the device's proc file system is seen.
	ProcRoot string

	process *exec.Cmd
	folder  string // that ProcRoot lies in; empty if it is the host's own
	mu      sync.Mutex
	request io.WriteCloser
	answers *bufio.Scanner
}

// Command is how this program is started again as a device: its arguments.
// The process then calls [ServeDevice].
type Command []string

// StartDevice starts a device with a network of its own. It fails where the
// system does not let this user make one. The device lives until Close, or as
// long as this process.
func StartDevice(name string, command Command) (*Device, error) {
	attributes := &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET}
	if os.Geteuid() != 0 {
		attributes.Cloneflags |= syscall.CLONE_NEWUSER
		attributes.UidMappings = []syscall.SysProcIDMap{{HostID: os.Getuid(), Size: 1}}
		attributes.GidMappings = []syscall.SysProcIDMap{{HostID: os.Getgid(), Size: 1}}
	}
	d := &Device{Name: name}
	if err := d.start(command, isolated, attributes); err != nil {
		return nil, fmt.Errorf("device %s: %w", name, err)
	}
	if err := d.mountProc(); err != nil {
		d.Close()
		return nil, fmt.Errorf("device %s: %w", name, err)
	}
	return d, nil
}

// StartSharedDevice starts a device on the host's own network, over loopback.
func StartSharedDevice(name string, command Command) (*Device, error) {
	d := &Device{Name: name, ProcRoot: "/proc"}
	if err := d.start(command, shared, nil); err != nil {
		return nil, fmt.Errorf("device %s: %w", name, err)
	}
	return d, nil
}

// start starts the process and waits until it is on the network.
func (d *Device) start(command Command, network string, attributes *syscall.SysProcAttr) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	d.process = exec.Command(self, append(slices.Clip(command), network)...)
	d.process.SysProcAttr = attributes
	if d.request, err = d.process.StdinPipe(); err != nil {
		return err
	}
	answers, err := d.process.StdoutPipe()
	if err != nil {
		return err
	}
	if err := d.process.Start(); err != nil {
		return err
	}
	d.answers = bufio.NewScanner(answers)
	if err := d.answer(); err != nil {
		d.Close()
		return err
	}
	return nil
}

// mountProc makes a folder that looks like the device's proc file system: its
// network tables, and for the rest the host's.
func (d *Device) mountProc() (err error) {
	if d.folder, err = os.MkdirTemp("", "defenderctl-device-"); err != nil {
		return err
	}
	d.ProcRoot = d.folder
	if err := os.Mkdir(filepath.Join(d.folder, "1"), 0o700); err != nil {
		return err
	}
	links := map[string]string{"1/net": "/proc/" + strconv.Itoa(d.process.Process.Pid) + "/net"}
	for _, name := range []string{"stat", "meminfo", "loadavg", "uptime", "sys"} {
		links[name] = "/proc/" + name
	}
	for name, target := range links {
		if err := os.Symlink(target, filepath.Join(d.folder, name)); err != nil {
			return err
		}
	}
	return nil
}

// Exfiltrate lets the device send data to an address it has never spoken to,
// until Stop.
func (d *Device) Exfiltrate() error { return d.do(requestExfiltrate) }

// Stop ends the exfiltration.
func (d *Device) Stop() error { return d.do(requestStop) }

func (d *Device) do(request string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if _, err := fmt.Fprintln(d.request, request); err != nil {
		return fmt.Errorf("device %s: %s: %w", d.Name, request, err)
	}
	if err := d.answer(); err != nil {
		return fmt.Errorf("device %s: %s: %w", d.Name, request, err)
	}
	return nil
}

// answer waits for the process to say that it did as requested.
func (d *Device) answer() error {
	if !d.answers.Scan() {
		return errors.Join(io.ErrUnexpectedEOF, d.answers.Err())
	}
	if text := d.answers.Text(); text != answerOK {
		return errors.New(strings.TrimSpace(text))
	}
	return nil
}

// Close ends the process and removes what was made for it.
func (d *Device) Close() {
	d.request.Close()
	d.process.Process.Kill()
	d.process.Wait()
	if d.folder != "" {
		os.RemoveAll(d.folder)
	}
}
