// Command measure-sample prints what one report costs on a host with many
// sockets: time, CPU time and peak memory of "device-defender print".
//
//	measure-sample [-against BINARY] BINARY ROWS ...
//
// ROWS is a number of rows of /proc/net/tcp, 20000, or of those of closed
// connections, time-wait:262144. For each it makes a network and process
// namespace of its own with as many real sockets, and runs the binary there
// several times. With -against it runs another binary in turn with the first, so
// that both see the same sockets and the same noise of the machine.
//
// Established connections go over the namespace's loopback, so that each is two
// rows. Those in TIME_WAIT are one row, of the end that closed first, and the
// kernel drops them after 60 seconds: rows that were there before and after the
// runs are printed. It needs root.
package main

import (
	"bufio"
	"bytes"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// How often the binary is run for each number of rows. Those in TIME_WAIT must
// not expire meanwhile.
const (
	runs         = 7
	timeWaitRuns = 3
)

// timeWaitRows is the prefix of a number of rows in TIME_WAIT.
const timeWaitRows = "time-wait:"

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "measure-sample:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	switch {
	case len(args) >= 3 && args[0] == "-inside":
		return inside(args[1], args[2:])
	case len(args) == 2 && args[0] == "-hold":
		return hold(args[1])
	}
	flags := flag.NewFlagSet("measure-sample", flag.ContinueOnError)
	against := flags.String("against", "", "compare with this `binary`")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if flags.NArg() < 2 {
		return errors.New("want BINARY and ROWS, at least once")
	}
	binaries := []string{flags.Arg(0)}
	if *against != "" {
		binaries = append(binaries, *against)
	}
	for i, binary := range binaries {
		var err error
		if binaries[i], err = filepath.Abs(binary); err != nil {
			return err
		}
	}
	fmt.Printf("%17s  %16s  %22s  %22s  %12s  %s\n", "rows", "seen", "wall ms (min median)", "cpu ms (min median)", "peak RSS kB", "binary")
	for _, rows := range flags.Args()[1:] {
		cmd := exec.Command("/proc/self/exe", append([]string{"-inside", rows}, binaries...)...)
		cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
		cmd.SysProcAttr = &syscall.SysProcAttr{
			Cloneflags: syscall.CLONE_NEWNET | syscall.CLONE_NEWPID | syscall.CLONE_NEWNS,
			Pdeathsig:  syscall.SIGKILL,
		}
		if err := cmd.Run(); err != nil {
			return fmt.Errorf("%s rows: %w", rows, err)
		}
	}
	return nil
}

// inside is PID 1 of the new namespaces.
func inside(rows string, binaries []string) error {
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("make mounts private: %w", err)
	}
	if err := unix.Mount("proc", "/proc", "proc", 0, ""); err != nil {
		return fmt.Errorf("mount proc: %w", err)
	}
	if err := loopbackUp(); err != nil {
		return err
	}
	if err := openSockets(rows); err != nil {
		return err
	}
	before, err := countRows()
	if err != nil {
		return err
	}
	costs := make([]costs, len(binaries))
	times := runs
	if strings.HasPrefix(rows, timeWaitRows) {
		times = timeWaitRuns
	}
	for range times {
		for i, binary := range binaries {
			if err := costs[i].add(binary); err != nil {
				return err
			}
		}
	}
	after, err := countRows()
	if err != nil {
		return err
	}
	for i, binary := range binaries {
		c := costs[i]
		fmt.Printf("%17s  %16s  %22s  %22s  %12d  %s\n", rows, fmt.Sprintf("%d..%d", after, before), spread(c.wall), spread(c.cpu), c.peakKB, filepath.Base(binary))
	}
	return nil
}

// costs are those of the runs of a binary.
type costs struct {
	wall, cpu []time.Duration
	peakKB    int
}

func (c *costs) add(binary string) error {
	wall, cpu, peak, err := measure(binary)
	c.wall, c.cpu, c.peakKB = append(c.wall, wall), append(c.cpu, cpu), max(c.peakKB, peak)
	return err
}

// openSockets makes sockets for as many rows as told.
func openSockets(rows string) error {
	count, timeWait := strings.CutPrefix(rows, timeWaitRows)
	n, err := strconv.Atoi(count)
	if err != nil {
		return err
	}
	if timeWait {
		return openTimeWait(n)
	}
	for left := n / 2; left > 0; left -= perHolder {
		if err := startHolder(min(left, perHolder)); err != nil {
			return err
		}
	}
	return nil
}

// countRows counts the rows of the table, without its header.
func countRows() (int, error) {
	table, err := os.ReadFile("/proc/net/tcp")
	return bytes.Count(table, []byte("\n")) - 1, err
}

func spread(d []time.Duration) string {
	slices.Sort(d)
	ms := func(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
	return fmt.Sprintf("%.1f %.1f", ms(d[0]), ms(d[len(d)/2]))
}

func loopbackUp() error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	request, err := unix.NewIfreq("lo")
	if err != nil {
		return err
	}
	request.SetUint16(unix.IFF_UP | unix.IFF_RUNNING)
	if err := unix.IoctlIfreq(fd, unix.SIOCSIFFLAGS, request); err != nil {
		return fmt.Errorf("set lo up: %w", err)
	}
	return nil
}

// perHolder is how many connections one process holds: each takes two file
// descriptors, and few machines allow more than 20,000 of those.
const perHolder = 4000

// startHolder starts a process that opens n connections and keeps them until
// this one, as PID 1 of its namespace, ends.
func startHolder(n int) error {
	cmd := exec.Command("/proc/self/exe", "-hold", strconv.Itoa(n))
	cmd.Stderr = os.Stderr
	ready, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	if _, err := io.ReadFull(ready, make([]byte, 1)); err != nil {
		return fmt.Errorf("holder of %d connections: %w", n, err)
	}
	return nil
}

// hold opens n connections over loopback, says so, and keeps both ends.
func hold(text string) error {
	n, err := strconv.Atoi(text)
	if err != nil {
		return err
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	var ends []net.Conn
	for range n {
		client, err := net.Dial("tcp", listener.Addr().String())
		if err != nil {
			return fmt.Errorf("after %d connections: %w", len(ends)/2, err)
		}
		server, err := listener.Accept()
		if err != nil {
			return err
		}
		ends = append(ends, client, server)
	}
	os.Stdout.Write([]byte{'.'})
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGTERM)
	<-signals
	runtime.KeepAlive(ends)
	return nil
}

// measure runs the binary up to its first report.
func measure(binary string) (wall, cpu time.Duration, peakKB int, err error) {
	cmd := exec.Command(binary, "print", "-count", "2", "-interval", "1h")
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return 0, 0, 0, err
	}
	var said bytes.Buffer // a report of many sockets is cut, and each run says so
	cmd.Stderr = &said
	start := time.Now()
	if err := cmd.Start(); err != nil {
		return 0, 0, 0, err
	}
	defer func() {
		cmd.Process.Kill()
		cmd.Wait()
		if err != nil {
			err = fmt.Errorf("%w\n%s", err, said.Bytes())
		}
	}()
	if _, err := bufio.NewReaderSize(stdout, 1<<20).ReadString('\n'); err != nil {
		return 0, 0, 0, fmt.Errorf("read the report: %w", err)
	}
	wall = time.Since(start)
	proc := fmt.Sprintf("/proc/%d", cmd.Process.Pid)
	if peakKB, err = peakRSS(proc + "/status"); err != nil {
		return 0, 0, 0, err
	}
	cpu, err = cpuTime(proc)
	return wall, cpu, peakKB, err
}

func peakRSS(name string) (int, error) {
	f, err := os.Open(name)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	text, err := io.ReadAll(f)
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(text)) {
		if value, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			return strconv.Atoi(strings.Fields(value)[0])
		}
	}
	return 0, fmt.Errorf("%s: no VmHWM", name)
}

// cpuTime adds up what the process' threads have run.
func cpuTime(proc string) (time.Duration, error) {
	files, err := filepath.Glob(proc + "/task/*/schedstat")
	if err != nil {
		return 0, err
	}
	var sum time.Duration
	for _, name := range files {
		text, err := os.ReadFile(name)
		if err != nil {
			return 0, err
		}
		ns, err := strconv.ParseInt(strings.Fields(string(text))[0], 10, 64)
		if err != nil {
			return 0, fmt.Errorf("%s: %w", name, err)
		}
		sum += time.Duration(ns)
	}
	return sum, nil
}
