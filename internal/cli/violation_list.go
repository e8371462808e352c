package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/device-defender/device-defender/internal/cloud"
	"github.com/device-defender/device-defender/internal/defender/alert"
	"github.com/device-defender/device-defender/internal/defender/finding"
	"github.com/device-defender/device-defender/internal/defender/profile"
	"github.com/device-defender/device-defender/internal/explore"
	"github.com/device-defender/device-defender/internal/render"
)

// violationListOptions are the flags of violation list.
type violationListOptions struct {
	aws    *awsOptions
	output *outputOptions
	period periodFlags
	page   pageFlags
	filter cloud.ViolationFilter
	states []string
}

func newViolationList() *cobra.Command {
	var o violationListOptions
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List violations: the active ones, or what happened in a period",
		Long: `List violations. Without a period: those in alarm now, with the value seen last.
With one: each event of it, as in the history of AWS's console. AWS keeps events
for 30 days.

--output ocsf writes an OCSF Detection Finding a line, for a SIEM.`,
		Example: `  defenderctl violation list
  defenderctl violation list --since 7d --thing gateway-2
  defenderctl violation list --since 24h --state in-alarm --output json
  defenderctl violation list --since 1h --output ocsf`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return o.run(cmd) },
	}
	o.aws, o.output = awsFlags(cmd), outputFlags(cmd, "ocsf")
	o.page.add(cmd)
	flags := cmd.Flags()
	o.period.add(flags, "", "events")
	flags.StringVar(&o.filter.Thing, "thing", "", "only of this thing")
	flags.StringVar(&o.filter.Profile, "profile-name", "", "only of this security profile")
	flags.StringVar(&o.filter.Behavior, "behavior", "", "only of this behavior")
	completeFlag(cmd, "profile-name", o.aws.completeProfileNames)
	flags.StringSliceVar(&o.states, "state", nil, "only events of these types: in-alarm, alarm-cleared, alarm-invalidated")
	completeFlag(cmd, "state", cobra.FixedCompletions(alert.EventTypes, cobra.ShellCompDirectiveNoFileComp))
	return cmd
}

// violationRow is a line of the list.
type violationRow struct {
	Time         time.Time      `json:"time"`              // of the event; of an active violation, its start
	LastSeen     time.Time      `json:"lastSeen,omitzero"` // of an active violation
	State        string         `json:"state"`             // as the event's type
	Thing        string         `json:"thing"`             //
	Profile      string         `json:"profile"`           //
	Behavior     string         `json:"behavior"`          //
	Metric       string         `json:"metric"`            //
	Value        *profile.Value `json:"value,omitempty"`   // that was measured
	Seen         string         `json:"seen,omitempty"`    // the value in words
	Expected     string         `json:"expected"`          // what is normal, in words
	Verification string         `json:"verificationState"` //
	Note         string         `json:"verificationNote,omitempty"`
	ViolationID  string         `json:"violationId"`

	behavior *profile.Behavior
}

func (o *violationListOptions) run(cmd *cobra.Command) error {
	ctx := cmd.Context()
	for _, s := range o.states {
		if !slices.Contains(alert.EventTypes, s) {
			return usageError{fmt.Errorf("--state %q, want in-alarm, alarm-cleared or alarm-invalidated", s)}
		}
	}
	if len(o.states) > 0 && !o.period.given() {
		return usageError{errors.New("--state needs a period: events are listed by --since or --from, and without them what is in alarm now")}
	}
	now := o.aws.now(ctx)
	var from, to time.Time
	if o.period.given() {
		var err error
		if from, to, err = o.period.period(cmd.Flags(), now); err != nil {
			return err
		}
	}
	client, err := o.aws.connect(ctx)
	if err != nil {
		return err
	}
	if !o.period.given() {
		return o.active(ctx, cmd, client, now)
	}
	violations, err := client.Violations(ctx, o.filter, from, to)
	if err != nil {
		return err
	}
	if o.page.asked() {
		report := render.FleetReport{About: about(client, now), From: from, To: to, Violations: explore.Violations(violations)}
		return o.page.write(cmd, func(w io.Writer) error { return render.WriteFleetHTML(w, report) })
	}
	rows := eventRows(violations, o.states)
	return o.write(cmd, rows, now.Location(), "no violation event in this period")
}

// active lists what is in alarm.
func (o *violationListOptions) active(ctx context.Context, cmd *cobra.Command, client *cloud.Client, now time.Time) error {
	violations, err := client.ActiveViolations(ctx, o.filter)
	if err != nil {
		return err
	}
	if o.page.asked() {
		report := render.FleetReport{About: about(client, now), From: now, To: now, Violations: explore.Violations(violations)}
		for _, v := range violations {
			if v.Started.Before(report.From) {
				report.From = v.Started
			}
		}
		return o.page.write(cmd, func(w io.Writer) error { return render.WriteFleetHTML(w, report) })
	}
	return o.write(cmd, mapped(violations, activeRowOf), now.Location(), "nothing is in alarm")
}

// eventRows are the events of violations, the latest first.
func eventRows(violations []finding.Violation, states []string) []violationRow {
	rows := []violationRow{}
	for _, v := range violations {
		for _, e := range v.Events {
			if len(states) == 0 || slices.Contains(states, e.Type) {
				rows = append(rows, rowOf(v, e.Time, e.Type, e.Value))
			}
		}
	}
	slices.SortStableFunc(rows, func(a, b violationRow) int { return b.Time.Compare(a.Time) })
	return rows
}

func rowOf(v finding.Violation, at time.Time, state string, value *profile.Value) violationRow {
	metric := profile.KnownMetric(v.Behavior.Metric)
	row := violationRow{
		Time: at.UTC(), State: state, Thing: v.Thing, Profile: v.Profile, Behavior: v.Behavior.Name, Metric: v.Behavior.Metric,
		Value: value, Expected: profile.Expectation(v.Behavior, metric),
		Verification: v.Verification, Note: v.VerificationNote, ViolationID: v.ID, behavior: &v.Behavior,
	}
	if value != nil {
		row.Seen = profile.FormatValue(*value, metric)
		if state == finding.InAlarm {
			row.Seen = profile.ValueText(v.Behavior, *value, metric)
		}
	}
	return row
}

// activeRowOf is a violation in alarm.
func activeRowOf(v finding.Violation) violationRow {
	row := rowOf(v, v.Started, finding.InAlarm, v.Value)
	row.LastSeen = v.LastSeen
	return row
}

// write writes the list, for a SIEM as an OCSF Detection Finding a line.
func (o *violationListOptions) write(cmd *cobra.Command, rows []violationRow, zone *time.Location, empty string) error {
	if o.output.format != "ocsf" {
		return o.output.write(cmd, rows, o.table(rows, zone, empty))
	}
	var b bytes.Buffer
	for _, r := range rows {
		a := alert.Alert{
			Time: r.Time.UnixMilli(), Thing: r.Thing, Behavior: r.behavior, Type: r.State, Value: r.Value, ID: r.ViolationID, Profile: r.Profile,
		}
		line, err := json.Marshal(a.OCSF(""))
		if err != nil {
			return fmt.Errorf("encoding violation %s: %w", r.ViolationID, err)
		}
		escapeInvisible(&b, string(line), jsonEscape)
		b.WriteByte('\n')
	}
	_, err := cmd.OutOrStdout().Write(b.Bytes())
	return err
}

// table is the list for people.
func (o *violationListOptions) table(rows []violationRow, zone *time.Location, empty string) table {
	t := table{header: []string{"TIME", "STATE", "THING", "PROFILE", "BEHAVIOR", "SEEN", "VERDICT", "ID"}, empty: empty}
	short := abbreviate(mapped(rows, func(r violationRow) string { return r.ViolationID }))
	for _, r := range rows {
		t.rows = append(t.rows, []string{
			shownTime(r.Time, zone), r.State, r.Thing, r.Profile, r.Behavior, render.Clean(r.Seen, mostInList), verificationWord(r.Verification), short[r.ViolationID],
		})
	}
	return t
}
