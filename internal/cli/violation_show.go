package cli

import (
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/device-defender/device-defender/internal/cloud"
	"github.com/device-defender/device-defender/internal/defender/finding"
	"github.com/device-defender/device-defender/internal/defender/profile"
	"github.com/device-defender/device-defender/internal/explore"
	"github.com/device-defender/device-defender/internal/render"
)

func newViolationShow() *cobra.Command {
	var page pageFlags
	var fleet int
	cmd := &cobra.Command{
		Use:   "show ID",
		Short: "Show what was expected, what was seen, and what was measured around it",
		Long: `Show a violation: what is normal, what was seen, its events, the behavior's
metric before, during and after it, and the other metrics that the profile
keeps. Addresses and ports that no report had before are marked as new.

What a percentile of all things was AWS does not tell: it's estimated from the
values of the profile's registered things, if they are not many.

The id may be abbreviated, as long as it means one violation: one that is in
alarm, or had an event in the last 30 days. Values are kept for 14 days.`,
		Example: `  defenderctl violation show 74de151f
  defenderctl violation show 74de151f21724d91b89bcb87c1fa2c88 --html violation.html`,
		Args: cobra.ExactArgs(1),
	}
	o, output := awsFlags(cmd), outputFlags(cmd)
	cmd.ValidArgsFunction = func(cmd *cobra.Command, args []string, toComplete string) ([]cobra.Completion, cobra.ShellCompDirective) {
		if len(args) > 0 {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		return o.completeViolations(cmd, args, toComplete)
	}
	page.add(cmd)
	cmd.Flags().IntVar(&fleet, "fleet", 25, "most things to read the values of, to estimate what a percentile was")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		ctx := cmd.Context()
		now := o.now(ctx)
		client, err := o.connect(ctx)
		if err != nil {
			return err
		}
		v, err := client.FindViolation(ctx, args[0], now)
		if err != nil {
			return err
		}
		s, err := cloud.Around(ctx, client, v, now)
		if err != nil {
			return err
		}
		percentile, reason, err := cloud.EstimatePercentile(ctx, client, s, fleet)
		if err != nil {
			return err
		}
		if reason != "" {
			s.Notes = append(s.Notes, reason)
		}
		view := explore.ViolationPage(s, percentile, about(client, now))
		if page.asked() {
			return page.write(cmd, func(w io.Writer) error { return render.WriteViolationHTML(w, view) })
		}
		if !output.text() {
			return output.write(cmd, violationDetails(s), table{})
		}
		return render.WriteViolationText(cmd.OutOrStdout(), view, textOptions(cmd))
	}
	return cmd
}

// violationDetail is a violation for other programs.
type violationDetail struct {
	violationRow
	Ended    time.Time        `json:"ended,omitzero"`
	Criteria profile.Behavior `json:"behaviorDocument"`
	Events   []eventDetail    `json:"events"`
	From     time.Time        `json:"from"` // of the values
	To       time.Time        `json:"to"`
	Metrics  []metricDetail   `json:"metrics"`
	Notes    []string         `json:"notes,omitempty"`
}

type eventDetail struct {
	Time  time.Time      `json:"time"`
	Type  string         `json:"type"`
	Value *profile.Value `json:"value,omitempty"`
}

type metricDetail struct {
	Metric    string                   `json:"metric"`
	Dimension *profile.MetricDimension `json:"metricDimension,omitempty"`
	Values    []valueRow               `json:"values"`
	// New are the elements of a set that were not reported before NewSince.
	New      []string  `json:"new,omitempty"`
	NewSince time.Time `json:"newSince,omitzero"`
}

func violationDetails(s *cloud.Surroundings) violationDetail {
	v := s.Violation
	d := violationDetail{
		violationRow: rowOf(*v, v.Started, v.State(), v.Value), Ended: v.Ended, Criteria: v.Behavior,
		Events: []eventDetail{}, From: s.From.UTC(), To: s.To.UTC(), Metrics: []metricDetail{}, Notes: s.Notes,
	}
	d.Seen, d.LastSeen = explore.Seen(v, s.Metric), v.LastSeen
	for _, e := range v.Events {
		d.Events = append(d.Events, eventDetail{e.Time.UTC(), e.Type, e.Value})
	}
	for _, values := range append([]*finding.MetricValues{s.Values}, s.Context...) {
		m := metricDetail{Metric: values.Metric.Name, Dimension: values.Dimension, Values: valueRows(values.Values)}
		if _, set := explore.Metric(values, s.From, s.To); set != nil {
			set.NewSince = s.NewSince
			m.NewSince = s.NewSince.UTC()
			for _, member := range set.Members() {
				if member.New {
					m.New = append(m.New, member.Text)
				}
			}
		}
		d.Metrics = append(d.Metrics, m)
	}
	return d
}
