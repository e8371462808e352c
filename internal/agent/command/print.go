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
	file     string // of the configuration
	interval time.Duration
	count    int

	given    map[string]bool // flags on the command line
	defaults agent.Config
}

func printFlags(getenv func(string) string) (*flag.FlagSet, *printOptions) {
	o := &printOptions{
		format: choice[report.Format]{parse: report.ParseFormat},
		names:  choice[report.Names]{parse: report.ParseNames},
		given:  make(map[string]bool),
	}
	o.defaults = agent.DefaultConfig()
	if proc := getenv("PROCFS_PATH"); proc != "" {
		o.defaults.ProcPath = proc
	}
	flags := flag.NewFlagSet("device-defender print", flag.ContinueOnError)
	flags.Var(&o.format, "format", "`json or cbor`; CBOR to a terminal is shown in diagnostic notation")
	flags.Var(&o.names, "names", "`long or short` field names")
	flags.StringVar(&o.proc, "proc", o.defaults.ProcPath, "`path` where the host's /proc is mounted")
	flags.StringVar(&o.file, "config", "", "`file` with the configuration, as JSON: what a deployment would merge, or the deployment\ndocument. -proc, -format and -names go before it")
	flags.DurationVar(&o.interval, "interval", 5*time.Second, "`time` between samples")
	flags.IntVar(&o.count, "count", 1, "`number` of samples; the second and later ones have network_stats and cpu_usage")
	return flags, o
}

func (o *printOptions) parse(flags *flag.FlagSet, args []string) error {
	if err := flags.Parse(args); err != nil {
		return fmt.Errorf("%w: %w", errFlags, err)
	}
	flags.Visit(func(f *flag.Flag) { o.given[f.Name] = true })
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
	tick := time.NewTicker(o.interval)
	defer tick.Stop()
	p := printer{printOptions: o, config: o.defaults, files: metrics.NewFiles(), stdout: stdout, stderr: stderr, told: make(map[string]bool)}
	for i := range o.count {
		if i > 0 {
			select {
			case <-tick.C:
			case <-ctx.Done():
				return nil
			}
		}
		if err := p.next(); err != nil {
			return err
		}
	}
	return nil
}

// printer is what lasts from sample to sample.
type printer struct {
	*printOptions
	config         agent.Config
	baseline       *metrics.Baseline
	history        metrics.History
	files          *metrics.Files
	id             int64
	stdout, stderr io.Writer
	told           map[string]bool
}

// tell says something the first time only.
func (p *printer) tell(text string) {
	if text != "" && !p.told[text] {
		p.told[text] = true
		fmt.Fprintln(p.stderr, "device-defender print:", text)
	}
}

// configure reads the configuration file. Flags that were given count more.
func (p *printer) configure() error {
	if p.file != "" {
		raw, err := readConfigFile(p.file)
		if err != nil {
			return err
		}
		var problems []agent.Problem
		parser := agent.Parser{Defaults: p.defaults, MinInterval: agent.MinSampleInterval}
		p.config, problems = parser.Parse(raw, p.config)
		for _, problem := range problems {
			p.tell(problem.String())
		}
	}
	if p.given["proc"] {
		p.config.ProcPath = p.proc
	}
	if p.given["format"] {
		p.config.Encoding.Format = p.format.value
	}
	if p.given["names"] {
		p.config.Encoding.Names = p.names.value
	}
	return nil
}

// next takes a sample and prints it. Like the agent it opens everything afresh.
func (p *printer) next() error {
	if err := p.configure(); err != nil {
		return err
	}
	host, err := hostproc.Open(p.config.ProcPath)
	if err != nil {
		return err
	}
	p.tell(host.Notice())

	options := p.config.Metrics
	options.Files = p.files
	sample := metrics.Collect(host, options, p.baseline, &p.history)
	p.baseline = sample.Baseline
	for _, problem := range sample.Problems {
		p.tell(problem.Error())
	}
	p.id = max(time.Now().Unix(), p.id+1)
	r := &report.Report{ID: p.id, Version: report.DocumentVersion, Metrics: sample.Metrics, CustomMetrics: sample.Custom}
	payload, sent, cut, err := r.Fit(p.config.Encoding, report.MaxSize)
	if err != nil {
		return err
	}
	p.history.Add(sent)
	if cut = cut.Plus(sample.Cut); !cut.IsZero() {
		p.tell("report cut, totals are true: " + cut.String())
	}
	return p.write(payload)
}

// write writes one report as it would be published, or as a person reads it if
// stdout is a terminal.
func (p *printer) write(payload []byte) error {
	format, terminal := p.config.Encoding.Format, isTerminal(p.stdout)
	switch {
	case format == report.CBOR && !terminal:
		_, err := p.stdout.Write(payload) // several make a CBOR sequence (RFC 8742)
		return err
	case format == report.CBOR:
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
	_, err := fmt.Fprintf(p.stdout, "%s\n", payload)
	return err
}
