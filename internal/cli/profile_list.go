package cli

import (
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/device-defender/device-defender/internal/cloud"
	"github.com/device-defender/device-defender/internal/render"
)

func newProfileList() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List the security profiles of the account",
		Example: `  defenderctl profile list
  defenderctl profile list --local --output json`,
		Args: cobra.NoArgs,
	}
	a, output := awsFlags(cmd), outputFlags(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		client, err := a.connect(cmd.Context())
		if err != nil {
			return err
		}
		profiles, err := client.Profiles(cmd.Context(), nil)
		if err != nil {
			return err
		}
		t := table{
			header: []string{"NAME", "BEHAVIORS", "TARGETS", "ALERTS", "VERSION", "MODIFIED"}, right: []int{1, 4},
			empty: "no security profile",
		}
		rows := []profileRow{}
		for _, p := range profiles {
			row := profileRowOf(p)
			rows = append(rows, row)
			alerts := "-"
			if row.AlertTarget != "" {
				alerts = row.AlertTarget[strings.LastIndex(row.AlertTarget, ":")+1:]
			}
			targets := strings.Join(row.Targets, ", ")
			if targets == "" {
				targets = "-"
			}
			t.rows = append(t.rows, []string{p.Name, strconv.Itoa(row.Behaviors), render.Clean(targets, mostInList), alerts, strconv.FormatInt(p.Version, 10), shownTime(p.Modified, time.Local)})
		}
		return output.write(cmd, rows, t)
	}
	return cmd
}

// profileRow is a line of the list.
type profileRow struct {
	Name        string    `json:"securityProfileName"`
	ARN         string    `json:"securityProfileArn"`
	Behaviors   int       `json:"behaviors"`
	Targets     []string  `json:"targets"`
	AlertTarget string    `json:"alertTargetArn,omitempty"`
	Version     int64     `json:"version"`
	Created     time.Time `json:"created"`
	Modified    time.Time `json:"modified"`
}

func profileRowOf(p cloud.AccountProfile) profileRow {
	return profileRow{
		Name: p.Name, ARN: p.ARN, Behaviors: len(p.Behaviors), Targets: append([]string{}, p.Targets...),
		AlertTarget: p.AlertTargets["SNS"].AlertTargetARN, Version: p.Version, Created: p.Created.UTC(), Modified: p.Modified.UTC(),
	}
}
