package cli

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/device-defender/device-defender/internal/cloud"
	"github.com/device-defender/device-defender/internal/render"
)

// thingDetailRow is all that is known of a thing, for programs.
type thingDetailRow struct {
	thingListRow
	Registered   bool                `json:"registered"`
	Groups       []string            `json:"thingGroups"`
	Above        []string            `json:"parentGroups,omitempty"`
	Certificates []string            `json:"certificateIds"`
	Principals   []string            `json:"principals,omitempty"`
	LastReport   time.Time           `json:"lastReport,omitzero"`
	Silent       *bool               `json:"silent,omitempty"` // not told by AWS
	Profiles     []appliedProfileRow `json:"profiles"`
	Violations   []violationRow      `json:"violations"`
	NotKnown     string              `json:"notKnown,omitempty"` // why profiles and violations are not
}

type appliedProfileRow struct {
	Name    string   `json:"securityProfileName"`
	Targets []string `json:"targets"`
}

func thingDetailRowOf(d *cloud.ThingDetail) thingDetailRow {
	row := thingDetailRow{
		thingListRow: thingListRowOf(d.Thing), Registered: d.Registered, Groups: append([]string{}, d.Groups...), Above: d.Above,
		Certificates: append([]string{}, d.Certificates...), Principals: d.Principals,
		Profiles:   mapped(d.Profiles, func(p cloud.AppliedProfile) appliedProfileRow { return appliedProfileRow(p) }),
		Violations: mapped(d.Violations, activeRowOf),
	}
	if d.NoDetect != nil {
		row.NotKnown = d.NoDetect.Error()
	}
	if d.Reports {
		row.Silent = &d.Silent
		if !d.LastReport.IsZero() {
			row.LastReport = d.LastReport.UTC()
		}
	}
	return row
}

func newThingShow() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "show NAME",
		Short: "Show what is known of a thing: groups, certificates, profiles, violations",
		Long: `Show what is known of a thing: its groups, the certificates by which it is known,
when it reported last, the security profiles that apply to it, and what is in
alarm. AWS does not tell when a thing reported.`,
		Example: `  defenderctl thing show gateway-2
  defenderctl thing show gateway-2 --output yaml`,
		Args: cobra.ExactArgs(1),
	}
	a, output := awsFlags(cmd), outputFlags(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		now := a.now(cmd.Context())
		client, err := a.connect(cmd.Context())
		if err != nil {
			return err
		}
		d, err := client.ThingDetail(cmd.Context(), args[0])
		if err != nil {
			return err
		}
		if !output.text() {
			return output.write(cmd, thingDetailRowOf(d), table{})
		}
		writeThing(cmd.OutOrStdout(), d, now)
		return nil
	}
	return cmd
}

func writeThing(out io.Writer, d *cloud.ThingDetail, now time.Time) {
	c := colorsOf(out)
	line := func(label, text string) {
		if text != "" {
			fmt.Fprintf(out, "%s  %s\n", c.paint(faint, fmt.Sprintf("%-12s", label)), render.Clean(text, 4000))
		}
	}
	fmt.Fprintln(out, c.paint(bold, render.Clean(d.Name, 128)))
	if d.Registered {
		line("registered", fmt.Sprintf("yes, version %d", d.Version))
	} else {
		line("registered", "no: it only reports")
	}
	line("attributes", attributesText(d.Attributes))
	groups := strings.Join(d.Groups, ", ")
	if len(d.Above) > 0 {
		groups += ", below " + strings.Join(d.Above, ", ")
	}
	line("groups", groups)
	line("certificates", strings.Join(append(d.Certificates, d.Principals...), ", "))
	if d.Reports {
		line("last report", lastReportText(d, now))
	}
	if d.NoDetect != nil {
		line("in alarm", "not known: "+d.NoDetect.Error())
		return
	}
	if len(d.Profiles) == 0 {
		line("profiles", "none applies: nothing is evaluated")
	}
	for _, p := range d.Profiles {
		line("profile", p.Name+" by "+strings.Join(p.Targets, ", "))
	}
	if len(d.Violations) == 0 {
		line("in alarm", "nothing")
	}
	for _, v := range d.Violations {
		row := activeRowOf(v)
		line("in alarm", fmt.Sprintf("%s of %s since %s: %s (%s)", row.Behavior, row.Profile, shownTime(v.Started, now.Location()), row.Seen, v.ID[:min(8, len(v.ID))]))
	}
}

func lastReportText(d *cloud.ThingDetail, now time.Time) string {
	if d.LastReport.IsZero() {
		return "none"
	}
	text := shownTime(d.LastReport, now.Location())
	if d.Silent {
		text += ", silent for " + shortDuration(now.Sub(d.LastReport).Truncate(time.Second))
	}
	return text
}
