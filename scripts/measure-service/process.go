//go:build linux

package main

import (
	"bytes"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// process is a running "defenderctl serve".
type process struct {
	cmd  *exec.Cmd
	log  *os.File // its output, in memory: a log on the disk would count as written
	addr string   // of the API
	mqtt string   // of MQTT, if it is asked for
	done chan error
	tls  *tls.Config // of a client; nil is a service without TLS
	http http.Client

	transport *http.Transport // of http
}

// start runs a binary with a folder and more flags, and waits until it listens.
func start(binary, dir string, flags ...string) (*process, error) {
	fd, err := unix.MemfdCreate("log", unix.MFD_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("making the log: %w", err)
	}
	p := &process{log: os.NewFile(uintptr(fd), "log"), done: make(chan error, 1), transport: &http.Transport{MaxIdleConnsPerHost: 4}}
	p.http = http.Client{Timeout: 2 * time.Minute, Transport: p.transport}
	// A report of a thing may come a nanosecond after the last.
	p.cmd = exec.Command(binary, append([]string{"serve", "--listen", "127.0.0.1:0", "--data", filepath.Join(dir, "data"), "--interval", "1ns"}, flags...)...)
	p.cmd.Stdout, p.cmd.Stderr = p.log, p.log
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := p.cmd.Start(); err != nil {
		return nil, errors.Join(err, p.log.Close())
	}
	go func() { p.done <- p.cmd.Wait() }()
	for began := time.Now(); time.Since(began) < time.Minute; time.Sleep(10 * time.Millisecond) {
		output := p.output()
		if addr := listening.FindStringSubmatch(output); addr != nil {
			p.addr = addr[1]
			if addr := listeningMQTT.FindStringSubmatch(output); addr != nil {
				p.mqtt = addr[1]
			}
			return p, nil
		}
		select {
		case err := <-p.done:
			return nil, errors.Join(fmt.Errorf("%s ended at once: %w\n%s", binary, err, p.output()), p.log.Close())
		default:
		}
	}
	return nil, errors.Join(fmt.Errorf("%s does not listen", binary), p.stop())
}

var (
	listening     = regexp.MustCompile(`listening on https?://([^,]+),`)
	listeningMQTT = regexp.MustCompile(`listening on mqtts?://(\S+)`)
)

// dial connects a client of HTTP.
func (p *process) dial(i int) (sender, error) { return dial(p.addr, p.tls, uint64(i)) }

// url is the API's, without a path.
func (p *process) url() string {
	if p.tls != nil {
		return "https://" + p.addr
	}
	return "http://" + p.addr
}

// output returns the beginning of what the process has printed.
func (p *process) output() string {
	text := make([]byte, 4096)
	n, _ := p.log.ReadAt(text, 0)
	return string(text[:n])
}

// stop ends the process as a user does.
func (p *process) stop() (err error) {
	defer func() { err = errors.Join(err, p.log.Close()) }()
	p.http.CloseIdleConnections()
	if err := p.cmd.Process.Signal(os.Interrupt); err != nil { // it has ended
		return errors.Join(err, <-p.done)
	}
	select {
	case err := <-p.done:
		return err
	case <-time.After(time.Minute):
		err := p.cmd.Process.Kill()
		return errors.Join(errors.New("the service did not end within a minute"), err, <-p.done)
	}
}

// call calls an operation of the API; the answer goes to out unless it is nil.
func (p *process) call(method, path string, in, out any) error {
	var body io.Reader
	if in != nil {
		text, err := json.Marshal(in)
		if err != nil {
			return err
		}
		body = bytes.NewReader(text)
	}
	request, err := http.NewRequest(method, p.url()+path, body)
	if err != nil {
		return err
	}
	if in != nil {
		request.Header.Set("Content-Type", "application/json")
	}
	text, err := p.do(request)
	if err != nil || out == nil {
		return err
	}
	return json.Unmarshal(text, out)
}

// get returns a page.
func (p *process) get(path string) ([]byte, error) {
	request, err := http.NewRequest("GET", p.url()+path, nil)
	if err != nil {
		return nil, err
	}
	return p.do(request)
}

// do returns the body of the answer, which is an error unless its status is 200.
func (p *process) do(request *http.Request) ([]byte, error) {
	answer, err := p.http.Do(request)
	if err != nil {
		return nil, err
	}
	text, err := io.ReadAll(answer.Body)
	err = errors.Join(err, answer.Body.Close())
	if err != nil {
		return nil, fmt.Errorf("%s %s: %w", request.Method, request.URL.Path, err)
	}
	if answer.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s %s: %s: %.300s", request.Method, request.URL.Path, answer.Status, text)
	}
	return text, nil
}

// attach makes a profile and attaches it to all things.
func (p *process) attach(name string, profile object) error {
	return errors.Join(
		p.call("POST", "/security-profiles/"+name, profile, nil),
		p.call("PUT", "/security-profiles/"+name+"/targets?securityProfileTargetArn="+everyThing, nil, nil),
	)
}

// usage is what a process has used since its start.
type usage struct {
	cpu    time.Duration
	dirty  int64 // bytes of pages that were made dirty: between this and
	handed int64 // what was handed to the kernel is what the disk gets
	log    int64 // of handed, what went to the log
}

func (p *process) usage() (u usage, err error) {
	u, err = usageOf(p.cmd.Process.Pid)
	if err != nil {
		return u, err
	}
	info, err := p.log.Stat()
	if err != nil {
		return u, err
	}
	u.log = info.Size()
	return u, nil
}

// ticks is USER_HZ, which is the same on all of Go's Linux ports.
const ticks = 100

func usageOf(pid int) (u usage, err error) {
	proc := fmt.Sprintf("/proc/%d/", pid)
	text, err := os.ReadFile(proc + "stat")
	if err != nil {
		return u, err
	}
	// The name of the command, in parentheses, may hold anything.
	fields := strings.Fields(string(text[bytes.LastIndexByte(text, ')')+1:]))
	if len(fields) < 13 {
		return u, fmt.Errorf("%sstat has %d fields after the name", proc, len(fields))
	}
	var user, system int64
	if _, err := fmt.Sscan(fields[11]+" "+fields[12], &user, &system); err != nil {
		return u, fmt.Errorf("%sstat: %w", proc, err)
	}
	u.cpu = time.Duration(user+system) * time.Second / ticks
	if u.dirty, err = field(proc+"io", "write_bytes:"); err != nil {
		return u, err
	}
	u.handed, err = field(proc+"io", "wchar:")
	return u, err
}

// settled waits until the process has written nothing for a second, since an
// engine may rewrite what it was given. It gives up after ten.
func (p *process) settled() (u usage, err error) {
	for range 10 {
		before := u
		if u, err = p.usage(); err != nil || u.dirty == before.dirty {
			return u, err
		}
		time.Sleep(time.Second)
	}
	return u, nil
}

// memory returns a field of a process' status, in MB.
func memory(pid int, name string) (float64, error) {
	kb, err := field(fmt.Sprintf("/proc/%d/status", pid), name)
	return float64(kb) / 1024, err
}

func field(file, name string) (n int64, err error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(text)) {
		if rest, ok := strings.CutPrefix(line, name); ok {
			_, err := fmt.Sscan(rest, &n)
			return n, err
		}
	}
	return 0, fmt.Errorf("%s has no %s", file, name)
}

// diskSize returns what the files take on the disk.
func diskSize(dir string) (n int64, err error) {
	err = filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		n += info.Sys().(*syscall.Stat_t).Blocks * 512
		return nil
	})
	return n, err
}
