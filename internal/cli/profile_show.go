package cli

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/device-defender/device-defender/internal/cloud"
	"github.com/device-defender/device-defender/internal/defender/finding"
	"github.com/device-defender/device-defender/internal/defender/profile"
	"github.com/device-defender/device-defender/internal/render"
)

func newProfileShow() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "show NAME",
		Short: "Show a security profile of the account: what is normal, of which things",
		Long: `Show a security profile of the account in words. As json or yaml it's the
document that 'profile apply' takes.`,
		Example: `  defenderctl profile show DataExfiltrationCheck
  defenderctl profile show DataExfiltrationCheck --output yaml`,
		Args: cobra.ExactArgs(1),
	}
	a, output := awsFlags(cmd), outputFlags(cmd)
	cmd.ValidArgsFunction = func(cmd *cobra.Command, args []string, toComplete string) ([]cobra.Completion, cobra.ShellCompDirective) {
		if len(args) > 0 {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		return a.completeProfileNames(cmd, args, toComplete)
	}
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		client, err := a.connect(cmd.Context())
		if err != nil {
			return err
		}
		p, err := client.Profile(cmd.Context(), args[0])
		if err != nil {
			return err
		}
		if !output.text() {
			return output.write(cmd, p.Profile, table{})
		}
		return showProfile(cmd, client, p)
	}
	return cmd
}

func showProfile(cmd *cobra.Command, client *cloud.Client, p *cloud.AccountProfile) error {
	out := cmd.OutOrStdout()
	c := colorsOf(out)
	behaviors, err := behaviorTable(cmd.Context(), client, p.Behaviors)
	if err != nil {
		return err
	}
	fmt.Fprintln(out, c.paint(bold, render.Clean(p.Name, 128)))
	if p.Description != "" {
		fmt.Fprintln(out, render.Clean(p.Description, 1000))
	}
	fmt.Fprintln(out)
	line := func(label, text string) {
		if text != "" {
			fmt.Fprintf(out, "%s  %s\n", c.paint(faint, fmt.Sprintf("%-9s", label)), render.Clean(text, 4000))
		}
	}
	targets := strings.Join(p.Targets, ", ")
	if targets == "" {
		targets = "none: it's evaluated for no thing"
	}
	line("targets", targets)
	for _, kind := range []string{"SNS"} {
		if t, ok := p.AlertTargets[kind]; ok {
			line("alerts", t.AlertTargetARN+" as "+t.RoleARN)
		}
	}
	line("retained", strings.Join(mapped(profile.RetainedMetrics(&p.Profile), func(m profile.MetricToRetain) string { return m.Ref().String() }), ", "))
	if e := p.MetricsExportConfig; e != nil {
		line("exported", "to "+e.MQTTTopic+" as "+e.RoleARN)
	}
	line("tags", strings.Join(mapped(p.Tags, func(t profile.Tag) string { return t.Key + "=" + t.Value }), ", "))
	line("version", fmt.Sprintf("%d of %s, created %s", p.Version, shownTime(p.Modified, time.Local), shownTime(p.Created, time.Local)))
	_, err = fmt.Fprint(out, "\n"+behaviors.render(c))
	return err
}

// behaviorTable says what the behaviors hold for normal.
func behaviorTable(ctx context.Context, client *cloud.Client, behaviors []profile.Behavior) (table, error) {
	t := table{header: []string{"BEHAVIOR", "NORMAL", "ALARM AFTER", "CLEAR AFTER", "ALERTS"}, right: []int{2, 3}, empty: "no behavior: metrics are only retained"}
	for _, b := range behaviors {
		metric, err := client.Metric(ctx, b.Metric)
		if _, ok := errors.AsType[*finding.UnknownMetricError](err); ok {
			metric, err = profile.KnownMetric(b.Metric), nil
		}
		if err != nil {
			return t, err
		}
		toAlarm, toClear := b.Criteria.Datapoints()
		alerts := "sent"
		if b.Suppressed() {
			alerts = "suppressed"
		}
		t.rows = append(t.rows, []string{
			b.Name, profile.Expectation(b, metric), fmt.Sprint(toAlarm), fmt.Sprint(toClear), alerts,
		})
	}
	return t, nil
}
