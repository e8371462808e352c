package cli

import (
	"io"

	"github.com/spf13/cobra"

	"github.com/device-defender/device-defender/internal/cloud"
	"github.com/device-defender/device-defender/internal/defender/finding"
	"github.com/device-defender/device-defender/internal/defender/profile"
	"github.com/device-defender/device-defender/internal/explore"
	"github.com/device-defender/device-defender/internal/render"
)

func newViolationReport() *cobra.Command {
	var period periodFlags
	var page pageFlags
	var filter cloud.ViolationFilter
	cmd := &cobra.Command{
		Use:   "report",
		Short: "Count the violations of all things by profile, behavior, thing and day",
		Long: `Sum up the violations of a period over all things: how many there were for each
profile, behavior, thing and day, and which. AWS keeps events for 30 days.`,
		Example: `  defenderctl violation report --since 30d
  defenderctl violation report --since 30d --html report.html`,
		Args: cobra.NoArgs,
	}
	o, output := awsFlags(cmd), outputFlags(cmd)
	page.add(cmd)
	period.add(cmd.Flags(), "30d", "violations")
	cmd.Flags().StringVar(&filter.Thing, "thing", "", "only of this thing")
	cmd.Flags().StringVar(&filter.Profile, "profile-name", "", "only of this security profile")
	cmd.Flags().StringVar(&filter.Behavior, "behavior", "", "only of this behavior")
	completeFlag(cmd, "profile-name", o.completeProfileNames)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		ctx := cmd.Context()
		now := o.now(ctx)
		from, to, err := period.period(cmd.Flags(), now)
		if err != nil {
			return err
		}
		client, err := o.connect(ctx)
		if err != nil {
			return err
		}
		violations, err := client.History(ctx, filter, from, to)
		if err != nil {
			return err
		}
		report := render.FleetReport{About: about(client, now), From: from, To: to, Violations: explore.Violations(violations)}
		if page.asked() {
			return page.write(cmd, func(w io.Writer) error { return render.WriteFleetHTML(w, report) })
		}
		if !output.text() {
			return output.write(cmd, fleetDetails(violations), table{})
		}
		return render.WriteFleetText(cmd.OutOrStdout(), report, textOptions(cmd))
	}
	return cmd
}

// fleetDetails are the violations for other programs.
func fleetDetails(violations []finding.Violation) []violationRow {
	rows := make([]violationRow, len(violations))
	for i := range violations {
		v := &violations[i]
		rows[i] = rowOf(*v, v.Started, v.State(), v.Value)
		rows[i].Seen, rows[i].LastSeen = explore.Seen(v, profile.KnownMetric(v.Behavior.Metric)), v.LastSeen
	}
	return rows
}
