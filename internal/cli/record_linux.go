package cli

import (
	"fmt"
	"io"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/device-defender/device-defender/internal/agent"
	"github.com/device-defender/device-defender/internal/defender/backtest"
	"github.com/device-defender/device-defender/internal/defender/report"
	"github.com/device-defender/device-defender/internal/hostproc"
	"github.com/device-defender/device-defender/internal/metrics"
)

// recordHost writes reports of this host until it's enough.
func (o *recordOptions) recordHost(cmd *cobra.Command, out io.Writer) error {
	ctx := cmd.Context()
	host, err := hostproc.Open(o.proc)
	if err != nil {
		return err
	}
	remarks := cmd.ErrOrStderr()
	if n := host.Notice(); n != "" {
		fmt.Fprintln(remarks, n)
	}
	thing := ""
	if len(o.things) > 0 {
		thing = o.things[0]
	} else if thing, err = os.Hostname(); err != nil {
		return fmt.Errorf("%w; --thing names this host", err)
	} else if err := report.CheckThingName(thing); err != nil {
		return fmt.Errorf("the host's name: %w; --thing names this host", err)
	}
	if isTerminal(remarks) {
		fmt.Fprintf(remarks, "recording %s every %v; Ctrl-C ends it\n", thing, o.interval)
	}
	began := time.Now()
	tick := time.NewTicker(o.interval)
	defer tick.Stop()
	var baseline *metrics.Baseline
	history, options := new(metrics.History), agent.DefaultConfig().Metrics
	told := map[string]bool{}
	n := 0
	for {
		now := time.Now()
		sample := metrics.Collect(host, options, baseline, history)
		baseline = sample.Baseline
		for _, p := range sample.Problems {
			if text := p.Error(); !told[text] {
				told[text] = true
				fmt.Fprintln(remarks, text)
			}
		}
		if sample.Metrics != nil || sample.Custom != nil {
			r := &report.Report{ID: now.Unix(), Version: report.DocumentVersion, Metrics: sample.Metrics, CustomMetrics: sample.Custom}
			_, sent, _, err := r.Fit(report.Encoding{}, report.MaxSize)
			if err != nil {
				return err
			}
			history.Add(sent)
			line, err := backtest.ReportLine(thing, now, sent)
			if err != nil {
				return err
			}
			if _, err := out.Write(line); err != nil {
				return err
			}
			n++
		}
		if o.count > 0 && n >= o.count || o.length > 0 && time.Since(began)+o.interval > o.length {
			return nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			fmt.Fprintf(remarks, "%s recorded\n", countOf(n, "report", "reports"))
			return nil
		}
	}
}
