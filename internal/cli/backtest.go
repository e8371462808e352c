package cli

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/device-defender/device-defender/internal/defender/backtest"
	"github.com/device-defender/device-defender/internal/defender/profile"
	"github.com/device-defender/device-defender/internal/defender/profile/profilefile"
	"github.com/device-defender/device-defender/internal/render"
)

// backtestOptions are the flags of backtest.
type backtestOptions struct {
	output      *outputOptions
	recordings  []string
	options     backtest.Options
	groups      []string
	events      int
	failOnAlarm bool
}

func newBacktest() *cobra.Command {
	var o backtestOptions
	cmd := &cobra.Command{
		Use:   "backtest PROFILES... --reports FILE",
		Short: "Evaluate security profiles over recorded reports, before applying them",
		Long: `Evaluate security profiles over what 'defenderctl record' has recorded, in virtual
time: which alarms there would have been, how long they would have lasted, which
datapoints came near, and, where there would have been too many alarms, which
threshold, percentile or set there would not have been too many with.

PROFILES are files and folders as for 'profile lint', "-" is standard input.
Arguments that end in .ndjson or .jsonl, also with .gz, are recordings, as are
the files of folders given by --reports. Several recordings are merged by time.

A profile is evaluated for its targets, without any for all things. A recording
does not tell which things are in a thing group: --group does. Recorded things
are taken for registered ones.

Too many alarms are more than --max-alarms-per-week for each thing, or more than
one in ten datapoints in alarm. Whether they are false ones is for you to know. What the recording tells nothing of is listed as not evaluated.

Exit codes: 0, or 1 for a failure or, with --fail-on-alarm, for alarms; 2 for a
wrong command line.`,
		Example: `  defenderctl backtest profiles/ --reports fleet.ndjson
  defenderctl backtest rule.json monday.ndjson tuesday.ndjson.gz --max-alarms-per-week 0.5 --output json
  defenderctl backtest profiles/ --reports recordings/ --group gateways=gateway-1,gateway-2 --fail-on-alarm`,
		Args: cobra.MinimumNArgs(1),
		RunE: o.run,
	}
	o.output = outputFlags(cmd)
	flags := cmd.Flags()
	flags.StringArrayVar(&o.recordings, "reports", nil, "recording, or folder of recordings; \"-\" is standard input; may be repeated")
	flags.Float64Var(&o.options.MaxAlarmsPerWeek, "max-alarms-per-week", 1, "alarms of a behavior that a thing may have in a week")
	flags.StringArrayVar(&o.groups, "group", nil, "things of a thing group, as NAME=THING,THING; may be repeated")
	flags.BoolVar(&o.options.AllThings, "all-things", false, "evaluate all profiles for all things, whatever their targets")
	flags.IntVar(&o.events, "events", 20, "how many events to list in a table; json and yaml have more")
	flags.BoolVar(&o.failOnAlarm, "fail-on-alarm", false, "fail when there is an alarm")
	return cmd
}

// check puts the arguments in their places, and returns the profiles.
func (o *backtestOptions) check(args []string) (profiles []string, err error) {
	for _, name := range args {
		if backtest.IsRecording(name) {
			o.recordings = append(o.recordings, name)
		} else {
			profiles = append(profiles, name)
		}
	}
	most := o.options.MaxAlarmsPerWeek
	switch {
	case len(profiles) == 0:
		return nil, errors.New("give PROFILES")
	case len(o.recordings) == 0:
		return nil, errors.New("give recordings by --reports; 'defenderctl record' makes them")
	case slices.Contains(profiles, "-") && slices.Contains(o.recordings, "-"):
		return nil, errors.New("only one of PROFILES and --reports can be standard input")
	case math.IsNaN(most) || most < 0:
		return nil, fmt.Errorf("--max-alarms-per-week %v, want 0 or more", most)
	case o.events < 0:
		return nil, fmt.Errorf("--events %d, want 0 or more", o.events)
	}
	o.options.Groups = map[string][]string{}
	for _, text := range o.groups {
		name, things, ok := strings.Cut(text, "=")
		if !ok || name == "" || things == "" {
			return nil, fmt.Errorf("--group %q, want NAME=THING,THING", text)
		}
		o.options.Groups[name] = append(o.options.Groups[name], strings.Split(things, ",")...)
	}
	return profiles, nil
}

func (o *backtestOptions) run(cmd *cobra.Command, args []string) error {
	profiles, err := o.check(args)
	if err != nil {
		return usageError{err}
	}
	set, problems, err := profilefile.Load(profiles, cmd.InOrStdin())
	if err != nil {
		return err
	}
	if err := showProblems(cmd, set.Merge(problems, set.Validate())); err != nil {
		return err
	}
	if len(set.Profiles) == 0 {
		return errors.New("there is no security profile in the files")
	}
	ctx := cmd.Context()
	recording, err := backtest.Open(ctx, o.recordings, cmd.InOrStdin())
	if err != nil {
		return err
	}
	progress := newBar(cmd)
	defer progress.end()
	o.options.Progress = func(trial bool, done, lines int64) {
		what := "evaluating"
		if trial {
			what = "trying changes"
		}
		progress.update(what, done, lines)
	}
	result, err := backtest.Run(ctx, set.Profiles, set.Registry(), recording, o.options)
	if err != nil {
		return err
	}
	progress.end()
	if err := o.tell(cmd, result); err != nil {
		return err
	}
	if n := result.Alarms(); n > 0 && o.failOnAlarm {
		return errors.New(countOf(n, "alarm", "alarms"))
	}
	return nil
}

// tell writes the result.
func (o *backtestOptions) tell(cmd *cobra.Command, r *backtest.Result) error {
	if !o.output.text() {
		return o.output.write(cmd, r, table{})
	}
	out := cmd.OutOrStdout()
	c := colorsOf(out)
	var b strings.Builder
	s := r.Recording
	fmt.Fprintf(&b, "%s, %s from %s to %s (%s)\n", countOf(s.Things, "thing", "things"), countOf(int(s.Values), "value", "values"),
		shownTime(s.From, time.Local), shownTime(s.To, time.Local), span(s.To.Sub(s.From)))
	if s.To.Sub(s.From) < 7*24*time.Hour && r.Alarms() > 0 {
		fmt.Fprintln(&b, "less than a week: what there is in a week is projected from it")
	}
	if s.Ignored > 0 {
		fmt.Fprintf(&b, "%s passed over: recorded twice, or not of the metric's type\n", countOf(int(s.Ignored), "value", "values"))
	}
	part := func(title string, t table) {
		if len(t.rows) > 0 {
			b.WriteString("\n")
			if title != "" {
				b.WriteString(c.paint(cyan, title) + "\n")
			}
			b.WriteString(t.render(c))
		}
	}
	part("", verdictTable(r))
	for _, behavior := range r.Behaviors {
		for _, note := range behavior.Notes {
			fmt.Fprintf(&b, "%s %s: %s\n", behavior.Profile, behavior.Name, render.Clean(note, mostInCell))
		}
	}
	part("In alarm", alarmTable(r))
	part("Near misses: conforming, within a tenth of the threshold", nearTable(r))
	part("Should not be there", offenderTable(r))
	part("Too many alarms: what there would not be too many with", suggestionTable(r))
	part("Not evaluated", unevaluatedTable(r))
	part("Events", o.eventTable(r))
	if more := len(r.Events) + r.EventsOmitted - o.events; more > 0 {
		fmt.Fprintf(&b, "%s\n", c.paint(faint, fmt.Sprintf("and %s more: --events", countOf(more, "event", "events"))))
	}
	_, err := fmt.Fprint(out, b.String())
	return err
}

func verdictTable(r *backtest.Result) table {
	t := table{header: []string{"PROFILE", "BEHAVIOR", "THINGS", "DATAPOINTS", "ALARMS", "PER WEEK", "IN ALARM", "VERDICT", "NORMAL"}, right: []int{2, 3, 4, 5, 6}}
	for _, b := range r.Behaviors {
		verdict := "quiet"
		if b.Excessive {
			verdict = "too many"
		} else if b.Alarms > 0 {
			verdict = "alarms"
		}
		t.rows = append(t.rows, []string{
			b.Profile, b.Name, strconv.Itoa(b.Things), strconv.FormatInt(b.Datapoints, 10), strconv.Itoa(b.Alarms), shortNumber(b.AlarmsPerThingWeek),
			minutes(b.AlarmMinutes), verdict, render.Clean(b.Expected, mostOfNormal),
		})
	}
	return t
}

// mostOfNormal is how many characters are shown of what is normal: sets are
// long.
const mostOfNormal = 60

// mostAlarmed is how many things a table of alarms has of a behavior.
const mostAlarmed = 10

func alarmTable(r *backtest.Result) table {
	t := table{header: []string{"THING", "PROFILE", "BEHAVIOR", "ALARMS", "IN ALARM", "AT THE END"}, right: []int{3, 4}}
	for _, b := range r.Behaviors {
		for i, thing := range b.ByThing {
			if i == mostAlarmed {
				t.rows = append(t.rows, []string{fmt.Sprintf("and %d more", len(b.ByThing)-i), b.Profile, b.Name})
				break
			}
			end := "clear"
			if thing.Active {
				end = "in alarm"
			}
			t.rows = append(t.rows, []string{thing.Thing, b.Profile, b.Name, strconv.Itoa(thing.Alarms), minutes(thing.Minutes), end})
		}
	}
	return t
}

func nearTable(r *backtest.Result) table {
	t := table{header: []string{"PROFILE", "BEHAVIOR", "DATAPOINTS", "CLOSEST", "THRESHOLD", "THING", "TIME"}, right: []int{2, 3, 4}}
	for _, b := range r.Behaviors {
		if near := b.Closest; near != nil {
			t.rows = append(t.rows, []string{
				b.Profile, b.Name, strconv.FormatInt(b.NearMisses, 10), measurement(near.Value, b.Model), measurement(near.Threshold, b.Model),
				near.Thing, shownTime(near.Time, time.Local),
			})
		}
	}
	return t
}

func offenderTable(r *backtest.Result) table {
	t := table{header: []string{"PROFILE", "BEHAVIOR", "ELEMENT", "DATAPOINTS"}, right: []int{3}}
	for _, b := range r.Behaviors {
		for _, o := range b.Offending {
			t.rows = append(t.rows, []string{b.Profile, b.Name, o.Element, strconv.FormatInt(o.Datapoints, 10)})
		}
		if more := b.OffendingDistinct - len(b.Offending); more > 0 {
			t.rows = append(t.rows, []string{b.Profile, b.Name, fmt.Sprintf("and %d more", more)})
		}
	}
	return t
}

func suggestionTable(r *backtest.Result) table {
	t := table{header: []string{"PROFILE", "BEHAVIOR", "CHANGE", "TO", "ALARMS", "IN ALARM"}, right: []int{4, 5}}
	for _, b := range r.Behaviors {
		if b.Excessive && len(b.Suggestions) == 0 {
			t.rows = append(t.rows, []string{b.Profile, b.Name, "nothing that was tried"})
		}
		for _, s := range b.Suggestions {
			what, to := s.What, s.Expected
			switch what {
			case "threshold":
				what = "value"
			case "statistic":
				what = "statisticalThreshold"
			case "consecutive":
				what, to = "consecutiveDatapointsToAlarm", strconv.Itoa(int(*s.Criteria.ConsecutiveDatapointsToAlarm))
			case "operator":
				what, to = "comparisonOperator", fmt.Sprintf("%s: %s", s.Criteria.ComparisonOperator, to)
			case "elements":
				what, to = "value, by adding", strings.Join(s.Elements, ", ")
				if s.Criteria.ComparisonOperator.Excludes() {
					what = "value, without"
				}
			}
			t.rows = append(t.rows, []string{b.Profile, b.Name, what, to, strconv.Itoa(s.Alarms), strings.Replace(shortNumber(100*s.InAlarm)+" %", "- %", "-", 1)})
		}
	}
	return t
}

func unevaluatedTable(r *backtest.Result) table {
	t := table{header: []string{"PROFILE", "BEHAVIOR", "REASON"}}
	for _, n := range r.NotEvaluated {
		t.rows = append(t.rows, []string{n.Profile, n.Behavior, n.Reason})
	}
	return t
}

func (o *backtestOptions) eventTable(r *backtest.Result) table {
	t := table{header: []string{"TIME", "EVENT", "THING", "PROFILE", "BEHAVIOR", "VALUE"}}
	models := map[[2]string]profile.Metric{}
	for _, b := range r.Behaviors {
		models[[2]string{b.Profile, b.Name}] = b.Model
	}
	for _, e := range r.Events[:min(len(r.Events), o.events)] {
		value := ""
		if e.Value != nil {
			value = profile.FormatValue(*e.Value, models[[2]string{e.Profile, e.Behavior}])
		}
		t.rows = append(t.rows, []string{shownTime(e.Time, time.Local), string(e.Type), e.Thing, e.Profile, e.Behavior, value})
	}
	return t
}

// measurement is a number with its unit.
func measurement(n float64, m profile.Metric) string {
	return profile.FormatValue(profile.NumberValue(m.Kind, n), m)
}

// shortNumber has two digits, or no fraction. Nothing is a dash.
func shortNumber(n float64) string {
	switch {
	case n == 0:
		return "-"
	case n >= 10:
		return strconv.FormatFloat(n, 'f', 0, 64)
	}
	return strconv.FormatFloat(n, 'g', 2, 64)
}

func minutes(n float64) string {
	if n == 0 {
		return "-"
	}
	return span(time.Duration(n * float64(time.Minute)))
}

// span is a duration in its two largest units.
func span(d time.Duration) string {
	const day = 24 * time.Hour
	two := func(large, small time.Duration, names string) string {
		d := d.Round(small)
		if n := d % large / small; n > 0 {
			return fmt.Sprintf("%d%c %d%c", d/large, names[0], n, names[1])
		}
		return fmt.Sprintf("%d%c", d/large, names[0])
	}
	switch {
	case d >= day:
		return two(day, time.Hour, "dh")
	case d >= time.Hour:
		return two(time.Hour, time.Minute, "hm")
	case d >= time.Minute:
		return two(time.Minute, time.Second, "ms")
	}
	return fmt.Sprintf("%ds", d.Round(time.Second)/time.Second)
}
