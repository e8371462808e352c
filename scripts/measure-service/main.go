//go:build linux

// Command measure-service measures what the Detect-compatible service costs:
// reports per second, CPU time and bytes written per report, space per thing and
// day, the overview page, reports over TLS by HTTP and MQTT. It runs binaries of defenderctl as black boxes, through
// their HTTP API only, so that it measures old versions as well:
//
//	measure-service -binary now=PATH -binary before=PATH [-parts ingest,storage,overview,network]
//
// Several binaries take turns, and the order of the turns is reversed from round
// to round: on a shared machine the ratios hold, the absolute figures do not. A
// turn is a process and a folder of its own. The client runs on the same cores;
// its own CPU time is printed too.
//
// With -in-process it measures package service instead, in a clock that it sets:
// a fleet at a steady rate while a day of values is dropped, the time to open its
// database, and the space of a day of reports. Each turn is a process. -program
// names builds of this command from other trees:
//
//	measure-service -in-process -things 1000000 -rate 3333 -minutes 5
//
// scripts/measure-service.sh builds and runs all of it. Linux only: the kernel
// counts CPU time, bytes and memory.
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

var (
	folder = flag.String("dir", os.TempDir(), "folder for the databases; it should be on a disk")
	rounds = flag.Int("rounds", 1, "turns of each binary")
	parts  = flag.String("parts", "", "what to measure: ingest,storage,overview,network, or in process fleet,day (default all of them)")
	things = flag.Int("things", 1000, "things of ingest and fleet")

	seconds         = flag.Duration("seconds", 3*time.Second, "length of a measurement")
	clients         = flag.Int("clients", 250, "keep-alive connections of the client")
	connections     = flag.String("connections", "5,250", "established connections in each report, one measurement for each number")
	slow            = flag.Duration("slow", 3*time.Second, "ingest: time at 4 reports/s")
	dayThings       = flag.Int("day-things", 30, "storage and day: things that report 288 times each")
	mqttConnections = flag.Int("mqtt-connections", 2000, "network: connections by MQTT that are open at one time")
	violations      = flag.Int("violations", 4000, "overview: violations in alarm, 10 of each thing")

	inProcess = flag.Bool("in-process", false, "measure package service instead of binaries")
	rate      = flag.Float64("rate", 500, "fleet: reports per second")
	minutes   = flag.Float64("minutes", 0.2, "fleet: how long, a third of it before a day is dropped")
	fill      = flag.Int("fill", 2, "fleet: reports of each thing on the day that is dropped, one an hour, at most 23")

	turn = flag.String("turn", "", "internal: one turn of this part, in the folder -dir")

	binaries, programs named
)

// named are paths with the names that the table has for them.
type named []struct{ name, path string }

func (n *named) String() string { return "" }

func (n *named) Set(text string) error {
	name, path, ok := strings.Cut(text, "=")
	if !ok || name == "" || path == "" {
		return errors.New("want NAME=PATH")
	}
	*n = append(*n, struct{ name, path string }{name, path})
	return nil
}

func main() {
	flag.Var(&binaries, "binary", "`NAME=PATH` of a defenderctl, several times")
	flag.Var(&programs, "program", "`NAME=PATH` of a build of this command for -in-process, several times (default this one)")
	flag.Parse()
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "measure-service:", err)
		os.Exit(1)
	}
}

// part measures one subject of the binary or program at path.
type part struct {
	name string
	run  func(path, dir string, add func(row, format string, value float64)) error
}

func run() error {
	if *turn != "" {
		return runTurn(*turn)
	}
	if flag.NArg() > 0 {
		return fmt.Errorf("unexpected argument %q", flag.Arg(0))
	}
	if *things < 1 || *clients < 1 || *dayThings < 1 || *violations < 10 || *rounds < 1 || *fill < 1 || *fill > 23 || *rate <= 0 || *minutes <= 0 || *seconds <= 0 || *slow < time.Second {
		return errors.New("a number is out of range")
	}
	var all []part
	subjects := binaries
	for text := range strings.SplitSeq(*connections, ",") {
		n, err := strconv.Atoi(text)
		if err != nil || n < 0 {
			return fmt.Errorf("-connections %q, want numbers", *connections)
		}
		all = append(all, part{"ingest", ingest(n)})
	}
	all = append(all, part{"storage", storage}, part{"overview", overview}, part{"network", network})
	if *inProcess {
		all, subjects = []part{{"fleet", fleetTurns}, {"day", dayTurn}}, programs
		if len(subjects) == 0 {
			subjects = named{{"now", "/proc/self/exe"}}
		}
	}
	if len(subjects) == 0 {
		return errors.New("want -binary NAME=PATH at least once, or -in-process")
	}
	chosen, err := choose(all, *parts)
	if err != nil {
		return err
	}
	interrupted := make(chan os.Signal, 1)
	signal.Notify(interrupted, os.Interrupt, syscall.SIGTERM)
	t := newTable(subjects)
	failed := 0
	for _, p := range chosen {
		for round := range *rounds {
			order := slices.Clone(subjects)
			if round%2 == 1 {
				slices.Reverse(order)
			}
			for _, s := range order {
				select {
				case <-interrupted:
					return errors.New("interrupted")
				default:
				}
				if err := oneTurn(p, s.path, func(row, format string, value float64) { t.add(s.name, row, format, value) }); err != nil {
					// Others have their figures: an old version may have limits.
					fmt.Fprintf(os.Stderr, "measure-service: %s of %s: %v\n", p.name, s.name, err)
					failed++
				}
			}
		}
	}
	if err := t.write(os.Stdout); err != nil {
		return err
	}
	if failed > 0 {
		return fmt.Errorf("%d turns failed", failed)
	}
	return nil
}

// oneTurn runs a part in a new folder.
func oneTurn(p part, path string, add func(row, format string, value float64)) (err error) {
	dir, err := os.MkdirTemp(*folder, "measure-service")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	return p.run(path, dir, add)
}

// choose picks parts by their names.
func choose(all []part, names string) (chosen []part, err error) {
	if names == "" {
		return all, nil
	}
	for name := range strings.SplitSeq(names, ",") {
		before := len(chosen)
		var known []string
		for _, p := range all {
			if p.name == name {
				chosen = append(chosen, p)
			}
			if !slices.Contains(known, p.name) {
				known = append(known, p.name)
			}
		}
		if len(chosen) == before {
			return nil, fmt.Errorf("-parts: no part %q, want some of %s", name, strings.Join(known, ","))
		}
	}
	return chosen, nil
}
