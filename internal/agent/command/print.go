package command

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"time"

	"github.com/device-defender/device-defender/internal/agent"
	"github.com/device-defender/device-defender/internal/defender/report"
	"github.com/device-defender/device-defender/internal/hostproc"
	"github.com/device-defender/device-defender/internal/metrics"
)

// printOptions are the flags of print.
type printOptions struct {
	format   choice[report.Format]
	names    choice[report.Names]
	proc     string
	interval time.Duration
	count    int
}

func printFlags(getenv func(string) string) (*flag.FlagSet, *printOptions) {
	o := &printOptions{
		format: choice[report.Format]{parse: report.ParseFormat},
		names:  choice[report.Names]{parse: report.ParseNames},
	}
	proc := getenv("PROCFS_PATH")
	if proc == "" {
		proc = "/proc"
	}
	flags := flag.NewFlagSet("device-defender print", flag.ContinueOnError)
	flags.Var(&o.format, "format", "`json or cbor`; CBOR to a terminal is shown in diagnostic notation")
	flags.Var(&o.names, "names", "`long or short` field names")
	flags.StringVar(&o.proc, "proc", proc, "`path` where the host's /proc is mounted")
	flags.DurationVar(&o.interval, "interval", 5*time.Second, "`time` between samples")
	flags.IntVar(&o.count, "count", 1, "`number` of samples; the second and later ones have network_stats and cpu_usage")
	return flags, o
}

func (o *printOptions) parse(flags *flag.FlagSet, args []string) error {
	if err := flags.Parse(args); err != nil {
		return fmt.Errorf("%w: %w", errFlags, err)
	}
	switch {
	case flags.NArg() > 0:
		return fmt.Errorf("unexpected argument %q", flags.Arg(0))
	case o.count < 1:
		return fmt.Errorf("-count %d, want 1 or more", o.count)
	case o.interval <= 0:
		return fmt.Errorf("-interval %v, want more than 0", o.interval)
	}
	return nil
}

// printReports writes reports of this host to stdout.
func printReports(ctx context.Context, args []string, getenv func(string) string, stdout, stderr io.Writer) int {
	flags, o := printFlags(getenv)
	flags.SetOutput(stderr)
	switch err := o.parse(flags, args); {
	case errors.Is(err, flag.ErrHelp):
		return exitOK
	case errors.Is(err, errFlags):
		return exitUsage
	case err != nil:
		fmt.Fprintln(stderr, "device-defender print:", err)
		return exitUsage
	}
	if err := o.print(ctx, stdout, stderr); err != nil {
		fmt.Fprintln(stderr, "device-defender print:", err)
		return exitFailed
	}
	return exitOK
}

func (o *printOptions) print(ctx context.Context, stdout, stderr io.Writer) error {
	host, err := hostproc.Open(o.proc)
	if err != nil {
		return err
	}
	defer host.Close()
	if n := host.Notice(); n != "" {
		fmt.Fprintln(stderr, "device-defender print:", n)
	}
	tick := time.NewTicker(o.interval)
	defer tick.Stop()

	var baseline *metrics.Baseline
	var id int64
	for i := range o.count {
		if i > 0 {
			select {
			case <-tick.C:
			case <-ctx.Done():
				return nil
			}
		}
		sample := metrics.Collect(host, agent.DefaultConfig().Metrics, baseline)
		baseline = sample.Baseline
		for _, p := range sample.Problems {
			fmt.Fprintln(stderr, "device-defender print:", p)
		}
		id = max(time.Now().Unix(), id+1)
		r := &report.Report{ID: id, Version: report.DocumentVersion, Metrics: sample.Metrics, CustomMetrics: sample.Custom}
		if err := o.write(stdout, r); err != nil {
			return err
		}
	}
	return nil
}

// write writes one report as it would be published, or as a person reads it if
// stdout is a terminal.
func (o *printOptions) write(stdout io.Writer, r *report.Report) error {
	encoding := report.Encoding{Format: o.format.value, Names: o.names.value}
	payload, err := r.Encode(encoding)
	if err != nil {
		return err
	}
	terminal := isTerminal(stdout)
	switch {
	case encoding.Format == report.CBOR && !terminal:
		_, err = stdout.Write(payload) // several make a CBOR sequence (RFC 8742)
		return err
	case encoding.Format == report.CBOR:
		text, err := report.Diagnose(payload)
		if err != nil {
			return err
		}
		payload = []byte(text)
	case terminal:
		var indented bytes.Buffer
		if err := json.Indent(&indented, payload, "", "  "); err != nil {
			return err
		}
		payload = indented.Bytes()
	}
	_, err = fmt.Fprintf(stdout, "%s\n", payload)
	return err
}
