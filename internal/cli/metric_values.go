package cli

import (
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/device-defender/device-defender/internal/defender/finding"
	"github.com/device-defender/device-defender/internal/defender/profile"
	"github.com/device-defender/device-defender/internal/explore"
	"github.com/device-defender/device-defender/internal/render"
)

// metricValuesOptions are the flags of metric values.
type metricValuesOptions struct {
	aws       *awsOptions
	output    *outputOptions
	period    periodFlags
	page      pageFlags
	as        string
	dimension string
	outside   bool
}

func newMetricValues() *cobra.Command {
	var o metricValuesOptions
	cmd := &cobra.Command{
		Use:   "values THING METRIC",
		Short: "Show the values of a metric of a thing, as plot, table, CSV or JSON",
		Long: `Show the values of a metric of a thing. METRIC is one of AWS's,
such as aws:all-packets-out, or a custom metric.

Only metrics that a security profile of the thing uses or retains have values,
and for 14 days.`,
		Example: `  defenderctl metric values gateway-2 aws:all-packets-out --since 24h
  defenderctl metric values gateway-2 aws:destination-ip-addresses --since 7d --as table
  defenderctl metric values gateway-2 cpu_usage --from 2026-11-20 --to 2026-11-21 --as csv`,
		Args: cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error { return o.run(cmd, args[0], args[1]) },
		ValidArgsFunction: func(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
			if len(args) != 1 {
				return nil, cobra.ShellCompDirectiveNoFileComp
			}
			return profile.MetricNames(), cobra.ShellCompDirectiveNoFileComp
		},
	}
	o.aws, o.output = awsFlags(cmd), outputFlags(cmd)
	o.page.add(cmd)
	flags := cmd.Flags()
	o.period.add(flags, "24h", "values")
	flags.StringVar(&o.as, "as", "plot", "plot, table or csv; --output json or yaml is for other programs")
	flags.StringVar(&o.dimension, "dimension", "", "only messages on the topics of this dimension")
	flags.BoolVar(&o.outside, "outside", false, "only messages on other topics than those of --dimension")
	return cmd
}

// valueRow is a line of the values.
type valueRow struct {
	Time  time.Time     `json:"time"`
	Value profile.Value `json:"value"`
	Cut   *profile.Cut  `json:"cut,omitempty"`
}

func valueRows(values []finding.TimedValue) []valueRow {
	return mapped(values, func(v finding.TimedValue) valueRow { return valueRow{v.Time.UTC(), v.Value, v.Cut} })
}

func (o *metricValuesOptions) run(cmd *cobra.Command, thing, name string) error {
	if !slices.Contains([]string{"plot", "table", "csv"}, o.as) {
		return usageError{fmt.Errorf("--as %q, want plot, table or csv", o.as)}
	}
	ref := profile.MetricRef{Name: name, Dimension: o.dimension, NotIn: o.outside}
	if o.outside && o.dimension == "" {
		return usageError{errors.New("--outside needs --dimension")}
	}
	ctx := cmd.Context()
	now := o.aws.now(ctx)
	from, to, err := o.period.period(cmd.Flags(), now)
	if err != nil {
		return err
	}
	if profile.IsAWS(name) {
		if _, ok := profile.FindMetric(name); !ok {
			return usageError{&finding.UnknownMetricError{Name: name}}
		}
	}
	client, err := o.aws.connect(ctx)
	if err != nil {
		return err
	}
	metric, err := client.Metric(ctx, name)
	if err != nil {
		return err
	}
	values, err := client.MetricValues(ctx, thing, metric, ref.MetricDimension(), from, to)
	if err != nil {
		return err
	}
	page := render.MetricPage{About: about(client, now), Thing: thing}
	page.Plot, page.Set = explore.Metric(values, from, to)
	switch {
	case o.page.asked():
		return o.page.write(cmd, func(w io.Writer) error { return render.WriteMetricHTML(w, page) })
	case !o.output.text():
		return o.output.write(cmd, valueRows(values.Values), table{})
	case len(values.Values) == 0:
		fmt.Fprintln(cmd.ErrOrStderr(), "no values in this period: AWS keeps those of metrics that a security profile of the thing uses or retains, for 14 days")
		return nil
	case o.as == "csv":
		return writeCSV(cmd.OutOrStdout(), values.Values)
	case o.as == "table":
		t := table{header: []string{"TIME", "VALUE"}}
		for _, v := range values.Values {
			text := profile.FormatValue(v.Value, metric)
			if v.Cut != nil {
				text += fmt.Sprintf(" (list cut: %v reported)", v.Cut)
			}
			t.rows = append(t.rows, []string{shownTime(v.Time, now.Location()), text})
		}
		return o.output.write(cmd, nil, t)
	}
	return render.WriteMetricText(cmd.OutOrStdout(), page, textOptions(cmd))
}

// writeCSV writes a line for each value; the elements of a list are in one
// field, separated by spaces. Spreadsheets take a field that begins with one
// of a few characters for a formula: none of these values does but an element
// from a device, which gets a ' before it.
func writeCSV(w io.Writer, values []finding.TimedValue) error {
	out := csv.NewWriter(w)
	out.Write([]string{"time", "value"})
	for _, v := range values {
		text := v.Value.String()
		if v.Value.Kind().List() {
			text = strings.Join(mapped(v.Value.Elements(), plainField), " ")
		}
		out.Write([]string{v.Time.UTC().Format(time.RFC3339), text})
	}
	out.Flush()
	return out.Error()
}

// plainField makes an element harmless to terminals and spreadsheets.
func plainField(text string) string {
	text = render.Clean(text, 128)
	if text != "" && strings.ContainsRune("=+-@", rune(text[0])) {
		return "'" + text
	}
	return text
}
