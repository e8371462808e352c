// Package command is the command line of device-defender: the component
// itself, and the commands that need no Greengrass.
package command

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"runtime/debug"
	"strings"
	"time"

	"github.com/device-defender/device-defender/internal/agent"
	"github.com/device-defender/device-defender/internal/buildinfo"
	"github.com/device-defender/device-defender/internal/defender/report"
	"github.com/device-defender/device-defender/internal/greengrass"
)

const usage = `device-defender reports what this device does to AWS IoT Device Defender.

Usage:
  device-defender                  run as a Greengrass component: the nucleus starts it
  device-defender print [flags]    write this host's report to stdout, without Greengrass
  device-defender version          print the version, Go version and commit

Run as a component it is configured by its component configuration. From the
environment it takes what the nucleus sets, and as defaults:
  PROCFS_PATH                      where the host's /proc is mounted (ProcPath)
  SAMPLE_INTERVAL_SECONDS          seconds between reports (SampleIntervalSeconds)
  GG_DD_PUB_RETRY_COUNT            retries of a publish (PublishRetryCount)
  DEVICE_DEFENDER_MIN_INTERVAL     least time between reports, for tests against a
                                   stand-in core only: AWS IoT takes one in 5m0s

Flags of print:
`

// Exit codes.
const (
	exitOK     = 0
	exitFailed = 1 // lite restarts the component, three times an hour at most
	exitUsage  = 2
)

// MinIntervalVariable lowers the least time between reports in tests.
const MinIntervalVariable = "DEVICE_DEFENDER_MIN_INTERVAL"

// Main runs the command line and returns the exit code. The component's log
// lines go to stdout, from WARN on to stderr: the Java nucleus logs the former
// as INFO and the latter as WARN, and hides what is below its own level.
func Main(ctx context.Context, args []string, getenv func(string) string, stdout, stderr io.Writer) int {
	// The tables of a busy host are garbage a moment after they were read:
	// collect it sooner than by default, for a third less memory.
	debug.SetGCPercent(40)
	name := "run"
	if len(args) > 0 {
		name, args = args[0], args[1:]
	}
	switch name {
	case "run":
		if len(args) > 0 {
			fmt.Fprintf(stderr, "device-defender run: unexpected argument %q\n", args[0])
			return exitUsage
		}
		return run(ctx, getenv, stdout, stderr)
	case "print":
		return printReports(ctx, args, getenv, stdout, stderr)
	case "version", "-version", "--version":
		fmt.Fprintln(stdout, "device-defender", buildinfo.Line())
		return exitOK
	case "help", "-h", "-help", "--help":
		flags, _ := printFlags(getenv)
		flags.SetOutput(stdout)
		fmt.Fprint(stdout, usage)
		flags.PrintDefaults()
		return exitOK
	}
	fmt.Fprintf(stderr, "device-defender: unknown command %q; see 'device-defender -h'\n", name)
	return exitUsage
}

// run is the component.
func run(ctx context.Context, getenv func(string) string, stdout, stderr io.Writer) int {
	fail := func(code int, err error) int {
		fmt.Fprintln(stderr, "device-defender:", err)
		return code
	}
	environment, err := greengrass.ReadEnvironment(getenv)
	if err != nil {
		return fail(exitUsage, fmt.Errorf("%w: this is a Greengrass component, started by a nucleus; 'device-defender print' works without", err))
	}
	if environment.ThingName != "" {
		if err := report.CheckThingName(environment.ThingName); err != nil {
			return fail(exitUsage, err)
		}
	}
	least := agent.MinSampleInterval
	if v := getenv(MinIntervalVariable); v != "" {
		if least, err = time.ParseDuration(v); err != nil || least < time.Second {
			return fail(exitUsage, fmt.Errorf("%s: %q, want a duration from 1s", MinIntervalVariable, v))
		}
	}
	level := new(slog.LevelVar)
	log := slog.New(newSplitHandler(stdout, stderr, &slog.HandlerOptions{Level: level, ReplaceAttr: withoutTime}))
	log.Info("starting", "version", buildinfo.Version(), "thing", environment.ThingName, "nucleus_version", environment.Version)
	if least != agent.MinSampleInterval {
		log.Warn("reports may come faster than AWS IoT takes them", MinIntervalVariable, least)
	}
	agent.WarnIfRoot(log)

	defaults, problems := DefaultsFrom(getenv, least)
	for _, p := range problems {
		log.Warn("environment value not usable", "key", p.Key, "value", p.Value, "want", p.Want)
	}
	err = agent.Run(ctx, agent.Options{
		ThingName: environment.ThingName, Token: environment.Token, Dial: environment.Dial, Component: greengrass.LiteComponent(),
		WorkDir: ".", Defaults: defaults, MinInterval: least, Log: log, Level: level,
	})
	if err != nil {
		log.Error("ending, to be started again", "error", err)
		return exitFailed
	}
	return exitOK
}

// withoutTime drops the time of a log line: the nucleus writes its own.
func withoutTime(groups []string, a slog.Attr) slog.Attr {
	if a.Key == slog.TimeKey && len(groups) == 0 {
		return slog.Attr{}
	}
	return a
}

// DefaultsFrom returns the default configuration with what the environment
// variables of older generations change in it.
func DefaultsFrom(getenv func(string) string, least time.Duration) (agent.Config, []agent.Problem) {
	raw := make(map[string]any)
	for _, name := range []string{"PROCFS_PATH", "SAMPLE_INTERVAL_SECONDS", "GG_DD_PUB_RETRY_COUNT"} {
		if v := getenv(name); v != "" {
			raw[name] = v
		}
	}
	parser := agent.Parser{Defaults: agent.DefaultConfig(), MinInterval: least}
	return parser.Parse(raw, parser.Defaults)
}

// errFlags marks an error that the flag package has shown already.
var errFlags = errors.New("flags")

func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

// choice is a flag of a few words.
type choice[T fmt.Stringer] struct {
	value T
	parse func(string) (T, error)
}

func (c *choice[T]) String() string {
	if c.parse == nil { // the flag package makes a zero value to compare with
		return ""
	}
	return c.value.String()
}

func (c *choice[T]) Set(s string) (err error) {
	c.value, err = c.parse(strings.ToLower(s))
	return err
}

var _ flag.Value = (*choice[report.Format])(nil)
