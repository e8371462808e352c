package cli

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/device-defender/device-defender/internal/defender/report"
)

// recordOptions are the flags of record.
type recordOptions struct {
	file   string
	things []string

	proc     string
	interval time.Duration
	count    int
	length   time.Duration

	fromAPI     bool
	aws         *awsOptions
	period      periodFlags
	allThings   bool
	metrics     []string
	allRetained bool
}

func newRecord() *cobra.Command {
	var o recordOptions
	cmd := &cobra.Command{
		Use:   "record",
		Short: "Record reports, to try security profiles on with backtest",
		Long: `Record what things report, one JSON object a line: as long as the command runs,
the reports that the agent would send of this host, on Linux; or with --from-api what AWS
or 'defenderctl serve' has kept of any things, as values of metrics.

Of this host, the first report has no network_stats: it takes two to have a
difference. Lines are written at once, and added to a file that is there;
Ctrl-C ends the recording.

AWS keeps the values of metrics that a security profile uses or retains for 14
days, and gives 15 pages of them a second: a metric of a thing in 20 hours is
one page at 5 minutes. --all-things are the registered ones; --all-retained is
every metric that a profile of the account uses or retains.

'defenderctl backtest' reads what is written, also compressed by gzip.`,
		Example: `  defenderctl record --interval 5m --for 24h --output-file gateway.ndjson
  defenderctl record --from-api --all-things --all-retained --since 7d --output-file fleet.ndjson
  defenderctl record --from-api --thing gateway-2 --metric aws:all-packets-out --metric aws:all-packets-in`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return o.run(cmd) },
	}
	flags := cmd.Flags()
	flags.StringVar(&o.file, "output-file", "-", "file to write to; \"-\" is the standard output")
	flags.StringArrayVar(&o.things, "thing", nil, "of this host: its name in the recording (default the host's name); with --from-api a thing, may be repeated")
	flags.StringVar(&o.proc, "proc", "/proc", "where the host's /proc is mounted")
	flags.DurationVar(&o.interval, "interval", 5*time.Minute, "time between two reports of this host")
	flags.IntVar(&o.count, "count", 0, "end after this number of reports of this host")
	flags.DurationVar(&o.length, "for", 0, "end after this time, such as 24h")
	flags.BoolVar(&o.fromAPI, "from-api", false, "record what AWS or 'defenderctl serve' has kept")
	flags.BoolVar(&o.allThings, "all-things", false, "of every thing in the registry")
	flags.StringArrayVar(&o.metrics, "metric", nil, "values of this metric; may be repeated")
	flags.BoolVar(&o.allRetained, "all-retained", false, "values of every metric that profiles use or retain")
	o.period.add(flags, "24h", "values")
	o.aws = awsFlags(cmd)
	return cmd
}

// Flags that belong to one of the two ways to record.
var (
	recordHostFlags = []string{"proc", "interval", "count", "for"}
	recordAPIFlags  = []string{
		"all-things", "metric", "all-retained", "since", "from", "to", "profile", "region", "endpoint-url", "local", "account",
	}
)

// check returns what is wrong with the flags.
func (o *recordOptions) check(cmd *cobra.Command) error {
	others, why := recordAPIFlags, "needs --from-api"
	if o.fromAPI {
		others, why = recordHostFlags, "is of this host, and goes without --from-api"
	}
	for _, name := range others {
		if cmd.Flags().Changed(name) {
			return fmt.Errorf("--%s %s", name, why)
		}
	}
	for _, thing := range o.things {
		if err := report.CheckThingName(thing); err != nil {
			return fmt.Errorf("--thing: %w", err)
		}
	}
	switch {
	case strings.HasSuffix(o.file, ".gz"):
		return fmt.Errorf("--output-file %s: it is not compressed; name it without .gz, and gzip it when it is done", o.file)
	case o.fromAPI && o.allThings == (len(o.things) > 0):
		return errors.New("say which things: --thing or --all-things")
	case o.fromAPI && o.allRetained == (len(o.metrics) > 0):
		return errors.New("say which metrics: --metric or --all-retained")
	case o.fromAPI:
		return nil
	case len(o.things) > 1:
		return errors.New("this host is one --thing")
	case o.interval < time.Second:
		return fmt.Errorf("--interval %v, want a second or more", o.interval)
	case o.count < 0 || o.length < 0:
		return errors.New("--count and --for want more than 0")
	}
	return nil
}

func (o *recordOptions) run(cmd *cobra.Command) (err error) {
	if err := o.check(cmd); err != nil {
		return usageError{err}
	}
	out := cmd.OutOrStdout()
	if o.file != "-" {
		f, err := openRecording(o.file)
		if err != nil {
			return err
		}
		defer func() { err = cmp.Or(err, f.Close()) }()
		out = f
	}
	if o.fromAPI {
		return o.recordValues(cmd, out)
	}
	return o.recordHost(cmd, out)
}

// openRecording opens a file to add lines to.
func openRecording(name string) (*os.File, error) {
	if err := checkLinks(name); err != nil {
		return nil, err
	}
	f, err := os.OpenFile(name, os.O_RDWR|os.O_APPEND|os.O_CREATE, 0o644)
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err == nil && info.Mode().IsRegular() && info.Size() > 0 {
		last := make([]byte, 1)
		if _, err = f.ReadAt(last, info.Size()-1); err == nil && last[0] != '\n' {
			err = errors.New("its last line is cut off; complete or remove it")
		}
	}
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return f, nil
}
