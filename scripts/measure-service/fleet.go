//go:build linux

package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/device-defender/device-defender/internal/defender/report"
	"github.com/device-defender/device-defender/internal/defender/service"
)

// workers is how many reports may be on the way at once in process.
const workers = 512

// settling is the time before a fleet is measured: Run has a first look at all.
const settling = 5 * time.Second

// day0 is the day that is dropped, which is when keepValues has passed since its
// end: at midnight 15 days later.
var (
	day0     = time.Date(2026, 1, 5, 0, 0, 0, 0, time.UTC)
	midnight = day0.AddDate(0, 0, 15)
)

// figure is what a turn in a process of its own prints.
type figure struct {
	Row, Format string
	Value       float64
}

// runTurn runs a turn in this process, in -dir.
func runTurn(name string) error {
	encoder := json.NewEncoder(os.Stdout)
	add := func(row, format string, value float64) {
		if err := encoder.Encode(figure{row, format, value}); err != nil {
			slog.Error("printing a figure failed", "error", err)
		}
	}
	switch name {
	case "fleet":
		return fleet(add)
	case "open":
		return reopen(add)
	case "day":
		return day(add)
	}
	return fmt.Errorf("no turn %q", name)
}

func fleetTurns(path, dir string, add func(row, format string, value float64)) error {
	if err := child(path, dir, "fleet", add); err != nil {
		return err
	}
	return child(path, dir, "open", add)
}

func dayTurn(path, dir string, add func(row, format string, value float64)) error {
	return child(path, dir, "day", add)
}

// child runs a turn in a process of its own, since memory and the time to open
// are those of a process.
func child(path, dir, turn string, add func(row, format string, value float64)) error {
	cmd := exec.Command(path, "-turn", turn, "-dir", dir,
		"-things", fmt.Sprint(*things), "-rate", fmt.Sprint(*rate), "-minutes", fmt.Sprint(*minutes),
		"-fill", fmt.Sprint(*fill), "-day-things", fmt.Sprint(*dayThings))
	cmd.Stderr = os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		var f figure
		if err := json.Unmarshal(lines.Bytes(), &f); err != nil {
			return errors.Join(fmt.Errorf("turn %s printed %q: %w", turn, lines.Text(), err), cmd.Wait())
		}
		add(f.Row, f.Format, f.Value)
	}
	return errors.Join(lines.Err(), cmd.Wait())
}

// fleetClock is the service's clock: it stands, or runs like the machine's.
type fleetClock struct {
	mu      sync.Mutex // guards the rest
	at      time.Time
	running time.Time // since when it runs, zero if it stands
}

func (c *fleetClock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.running.IsZero() {
		return c.at
	}
	return c.at.Add(time.Since(c.running))
}

func (c *fleetClock) set(at time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at, c.running = at, time.Time{}
}

func (c *fleetClock) run() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.running = time.Now()
}

// openService opens the service in -dir. A log would be measured with it, and
// the errors of Run are wanted.
func openService(clock *fleetClock) (*service.Service, error) {
	o := service.Options{
		Data: filepath.Join(*folder, "data"), Now: clock.now, MinReportInterval: -1,
		Log: slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelError})),
	}
	// Old versions have no such limits, or cannot change them.
	for _, limit := range []string{"MaxUnregistered", "MaxUnregisteredBytes"} {
		if v := reflect.ValueOf(&o).Elem().FieldByName(limit); v.IsValid() {
			v.SetInt(-1)
		}
	}
	return service.Open(o)
}

// attachTo makes the fleet's profile, over HTTP as others do.
func attachTo(s *service.Service) (err error) {
	ctx, cancel := context.WithCancel(context.Background())
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		cancel()
		return err
	}
	served := make(chan error, 1)
	go func() { served <- s.Serve(ctx, listener) }()
	defer func() {
		cancel()
		err = errors.Join(err, <-served)
	}()
	p := &process{addr: listener.Addr().String(), http: http.Client{Transport: &http.Transport{DisableKeepAlives: true}}}
	return p.attach("Fleet", fleetProfile())
}

// reports sends reports of things in process.
type reports struct {
	service *service.Service
	payload *payloads
	things  int
	next    atomic.Int64 // the number of the next report
}

// send sends the next report, and returns an error unless it is accepted.
func (r *reports) send(n int, random *rand.Rand) error {
	thing, round := n%r.things, n/r.things
	payload := r.payload.append(make([]byte, 0, r.payload.size(thing, round)), thing, round, random)
	reply := r.service.Report(context.Background(), thingName(thing), report.JSON, payload)
	if reply.Status == report.Rejected {
		return fmt.Errorf("the report of %s was refused: %s: %s", thingName(thing), reply.ErrorCode, reply.ErrorMessage)
	}
	return nil
}

// round has each thing report once, as fast as the service takes it.
func (r *reports) round() error {
	end := (r.next.Load()/int64(r.things) + 1) * int64(r.things)
	defer r.next.Store(end)
	return inParallel(func(random *rand.Rand) error {
		for {
			n := r.next.Add(1) - 1
			if n >= end {
				return nil
			}
			if err := r.send(int(n), random); err != nil {
				return err
			}
		}
	})
}

// steady sends reports at a rate, and tells done how long after its time each
// was answered: what waits behind a stall counts with all of its wait.
func (r *reports) steady(perSecond float64, d time.Duration, done func(due, late time.Duration)) error {
	first, began := r.next.Load(), time.Now()
	total := int64(perSecond * d.Seconds())
	defer func() { r.next.Store(first + total) }()
	return inParallel(func(random *rand.Rand) error {
		for {
			n := r.next.Add(1) - 1
			if n-first >= total {
				return nil
			}
			due := time.Duration(float64(n-first) / perSecond * float64(time.Second))
			time.Sleep(due - time.Since(began))
			if err := r.send(int(n), random); err != nil {
				return err
			}
			done(due, time.Since(began)-due)
		}
	})
}

func inParallel(fn func(random *rand.Rand) error) error {
	var wait sync.WaitGroup
	errs := make([]error, workers)
	for i := range workers {
		wait.Go(func() { errs[i] = fn(rand.New(rand.NewPCG(uint64(i), 4))) })
	}
	wait.Wait()
	for _, err := range errs {
		if err != nil { // one says enough
			return err
		}
	}
	return nil
}

// fleet measures a fleet at a steady rate, in three thirds: before a day is
// dropped, the time from when it is due, and the time after.
func fleet(add func(row, format string, value float64)) (err error) {
	title := func(what string) string {
		return fmt.Sprintf("%s; %d things, %.0f reports/s for %.1f min", what, *things, *rate, *minutes)
	}
	clock := &fleetClock{at: day0}
	s, err := openService(clock)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	if err := attachTo(s); err != nil {
		return err
	}
	r := &reports{service: s, payload: newPayloads(5, false), things: *things}
	began := time.Now()
	for hour := range *fill {
		clock.set(day0.Add(time.Duration(hour)*time.Hour + 30*time.Minute))
		if err := r.round(); err != nil {
			return err
		}
	}
	add(title("reports/s in process while filled"), "%.0f", float64(*things**fill)/time.Since(began).Seconds())
	// Of a thing that is silent for longer everything is dropped at once, which
	// is not what is measured.
	clock.set(midnight.Add(-2 * time.Hour))
	if err := r.round(); err != nil {
		return err
	}

	third := time.Duration(*minutes * float64(time.Minute) / 3)
	clock.set(midnight.Add(-settling - third))
	ctx, cancel := context.WithCancel(context.Background())
	ran := make(chan error, 1)
	clock.run()
	go func() { ran <- s.Run(ctx) }()
	var phases [4]latencies // the first is not shown
	began = time.Now()
	err = r.steady(*rate, settling+3*third, func(due, late time.Duration) {
		phase := 0
		if due >= settling {
			phase = min(1+int((due-settling)/third), 3)
		}
		phases[phase].add(late)
	})
	took := time.Since(began)
	cancel()
	if err := errors.Join(err, <-ran); err != nil {
		return err
	}
	sent := 0
	for i := range phases {
		sent += phases[i].count()
	}
	add(title("reports/s taken"), "%.0f", float64(sent)/took.Seconds())
	for i, when := range []string{"before the drop of a day", "from the drop of a day", "after it"} {
		l := &phases[i+1]
		add(title("latency p50 "+when+", ms"), "%.1f", l.quantile(0.5))
		add(title("latency p99 "+when+", ms"), "%.1f", l.quantile(0.99))
		add(title("latency max "+when+", ms"), "%.1f", l.longest())
	}
	peak, err := memory(os.Getpid(), "VmHWM:")
	if err != nil {
		return err
	}
	add(title("largest resident memory, MB"), "%.0f", peak)
	return os.WriteFile(filepath.Join(*folder, "clock"), []byte(clock.now().Format(time.RFC3339Nano)), 0o600)
}

// reopen measures the time to open the fleet's database. The kernel has most of
// its pages in memory.
func reopen(add func(row, format string, value float64)) error {
	text, err := os.ReadFile(filepath.Join(*folder, "clock"))
	if err != nil {
		return err
	}
	at, err := time.Parse(time.RFC3339Nano, strings.TrimSpace(string(text)))
	if err != nil {
		return err
	}
	began := time.Now()
	s, err := openService(&fleetClock{at: at})
	if err != nil {
		return err
	}
	took := time.Since(began)
	peak, err := memory(os.Getpid(), "VmHWM:")
	add(fmt.Sprintf("open, s; %d things", *things), "%.3f", took.Seconds())
	add(fmt.Sprintf("open, largest resident memory, MB; %d things", *things), "%.0f", peak)
	return errors.Join(err, s.Close())
}

// day measures the space that a day of reports takes, each five minutes after
// the one before.
func day(add func(row, format string, value float64)) error {
	clock := &fleetClock{at: day0}
	s, err := openService(clock)
	if err != nil {
		return err
	}
	fill := func() error {
		if err := attachTo(s); err != nil {
			return err
		}
		r := &reports{service: s, payload: newPayloads(5, false), things: *dayThings}
		for n := range reportsPerDay {
			clock.set(day0.Add(time.Duration(n) * 5 * time.Minute))
			if err := r.round(); err != nil {
				return err
			}
		}
		return nil
	}
	if err := errors.Join(fill(), s.Close()); err != nil {
		return err
	}
	// An engine may turn its log into tables when it is opened again.
	if s, err = openService(clock); err != nil {
		return err
	}
	if err := s.Close(); err != nil {
		return err
	}
	size, err := diskSize(*folder)
	add(fmt.Sprintf("KB on the disk per thing and day, %d reports each; %d things", reportsPerDay, *dayThings), "%.0f", float64(size)/float64(*dayThings)/1000)
	return err
}
