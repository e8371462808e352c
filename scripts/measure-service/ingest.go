//go:build linux

package main

import (
	"errors"
	"fmt"
	"os"
	"sync"
	"syscall"
	"time"
)

// slowRate is the rate at which each report has a transaction of its own.
const slowRate = 4

// ingest measures reports with n connections over HTTP: as many as the service
// takes, and few.
func ingest(n int) func(path, dir string, add func(row, format string, value float64)) error {
	return func(path, dir string, add func(row, format string, value float64)) error {
		return ingestOf(n, path, dir, add)
	}
}

func ingestOf(n int, path, dir string, add func(row, format string, value float64)) (err error) {
	p, err := start(path, dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, p.stop()) }()
	if err := errors.Join(p.attach("Fleet", fleetProfile()), p.register(*things)); err != nil {
		return err
	}
	s, err := newSwarm(p.dial, *clients, 0, *things, newPayloads(n, false))
	if err != nil {
		return err
	}
	defer s.close()
	if err := s.round(1); err != nil { // so that each thing has a state
		return err
	}
	title := func(what string) string {
		return fmt.Sprintf("%s; %d things, %d connections in a report", what, *things, n)
	}
	received := s.received()
	before, after, l, err := p.load(s, title, add)
	if err != nil {
		return err
	}
	addWritten(add, title("batched"), before, after, s.received()-received, l.count())
	memory, err := memory(p.cmd.Process.Pid, "VmHWM:")
	if err != nil {
		return err
	}
	add(title("largest resident memory, MB"), "%.0f", memory)

	var slowly latencies
	received = s.received()
	if err := s.paced(*slow, slowRate, &slowly); err != nil {
		return err
	}
	before = after
	if after, err = p.settled(); err != nil {
		return err
	}
	at := title(fmt.Sprintf("at %d reports/s", slowRate))
	add("latency p50, ms, "+at, "%.1f", slowly.quantile(0.5))
	addWritten(add, at, before, after, s.received()-received, slowly.count())
	return nil
}

// load has all clients post without pause, and adds what that costs.
func (p *process) load(s *swarm, title func(string) string, add func(row, format string, value float64)) (before, after usage, l *latencies, err error) {
	l = new(latencies)
	if before, err = p.settled(); err != nil {
		return before, after, l, err
	}
	own, began := ownCPU(), time.Now()
	busy, err := p.machine()
	if err != nil {
		return before, after, l, err
	}
	if err := s.during(*seconds, l); err != nil {
		return before, after, l, err
	}
	took, ownUsed := time.Since(began), ownCPU()-own
	stillBusy, err := p.machine()
	if err != nil {
		return before, after, l, err
	}
	if after, err = p.settled(); err != nil {
		return before, after, l, err
	}
	reports := float64(l.count())
	micro := func(d time.Duration) float64 { return float64(d) / float64(time.Microsecond) / reports }
	add(title(fmt.Sprintf("reports/s, %d clients", len(s.clients))), "%.0f", reports/took.Seconds())
	add(title("CPU of the service per report, us"), "%.0f", micro(after.cpu-before.cpu))
	add(title("CPU of the client per report, us"), "%.0f", micro(ownUsed))
	add(title("cores that others used meanwhile"), "%.2f", max(0, stillBusy-busy-ownUsed).Seconds()/took.Seconds())
	add(title("latency p50, ms"), "%.1f", l.quantile(0.5))
	add(title("latency p99, ms"), "%.1f", l.quantile(0.99))
	return before, after, l, nil
}

// addWritten adds what was written per report. The kernel counts answers and the
// log as handed over, too.
func addWritten(add func(row, format string, value float64), title string, before, after usage, answers int64, reports int) {
	handed := after.handed - before.handed - (after.log - before.log) - answers
	add("KB dirty per report, "+title, "%.1f", float64(after.dirty-before.dirty)/float64(reports)/1000)
	add("KB handed over per report, "+title, "%.1f", float64(handed)/float64(reports)/1000)
}

// register puts things into the registry: what others may send is limited.
func (p *process) register(n int) error {
	const callers = 4
	var wait sync.WaitGroup
	errs := make([]error, callers)
	for caller := range callers {
		wait.Go(func() {
			for thing := caller; thing < n && errs[caller] == nil; thing += callers {
				errs[caller] = p.call("POST", "/things/"+thingName(thing), object{}, nil)
			}
		})
	}
	wait.Wait()
	return errors.Join(errs...)
}

// machine is the CPU time of all processes but this service. What others use
// is lost to both the service and the client.
func (p *process) machine() (time.Duration, error) {
	text, err := os.ReadFile("/proc/stat")
	if err != nil {
		return 0, err
	}
	// user, nice, system, idle, iowait, irq, softirq, steal
	var n [8]int64
	if _, err := fmt.Sscanf(string(text), "cpu %d %d %d %d %d %d %d %d", &n[0], &n[1], &n[2], &n[3], &n[4], &n[5], &n[6], &n[7]); err != nil {
		return 0, fmt.Errorf("/proc/stat: %w", err)
	}
	u, err := p.usage()
	return time.Duration(n[0]+n[1]+n[2]+n[5]+n[6]+n[7])*time.Second/ticks - u.cpu, err
}

// ownCPU is the CPU time of this process.
func ownCPU() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
