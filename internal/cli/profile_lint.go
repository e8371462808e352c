package cli

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/jedib0t/go-pretty/v6/text"
	"github.com/spf13/cobra"

	"github.com/device-defender/device-defender/internal/defender/detect"
	"github.com/device-defender/device-defender/internal/defender/profile"
	"github.com/device-defender/device-defender/internal/defender/profile/profilefile"
)

// lintOptions are the flags of profile lint.
type lintOptions struct {
	output   *outputOptions
	things   int
	interval time.Duration
	reports  []string
	ignore   []string
	strict   bool
	rules    bool
	explain  string
}

func newProfileLint() *cobra.Command {
	var o lintOptions
	cmd := &cobra.Command{
		Use:   "lint FILES...",
		Short: "Find what is wrong with profiles, and what is probably not meant",
		Long: `Check security profiles, custom metrics, dimensions and mitigation actions in
files: what AWS would refuse or what would do nothing is an error, what is
allowed but probably not meant is a warning. FILES may be folders; "-" is
standard input. Nothing is asked of AWS.

What is known of the things tells more: how many there are, how often they
report, and what some of them report:

  device-defender print > report.json
  defenderctl profile lint profiles/ --things 40 --report report.json

A warning that is wrong is silenced for good in the profile itself,

  "lint": {"ignore": [{"rule": "suppressed", "behavior": "Ports", "reason": "read daily"}]}

which 'profile apply' knows and the AWS CLI does not, or by --ignore.

Exit codes: 0 nothing or warnings only, 1 errors (with --strict warnings too),
2 a wrong command line.`,
		Example: `  defenderctl profile lint profiles/
  defenderctl profile lint rule.json --things 1 --ignore no-alert-target
  defenderctl profile lint --rules
  defenderctl profile lint --explain inverted-operator`,
		Args: func(_ *cobra.Command, args []string) error {
			if asked := o.rules || o.explain != ""; asked == (len(args) > 0) {
				return errors.New("give FILES, or --rules, or --explain RULE")
			}
			return nil
		},
		RunE: o.run,
	}
	o.output = outputFlags(cmd)
	flags := cmd.Flags()
	flags.IntVar(&o.things, "things", 0, "how many things the profiles are for")
	flags.DurationVar(&o.interval, "interval", 5*time.Minute, "time between two reports of a thing")
	flags.StringArrayVar(&o.reports, "report", nil, "a report that a thing sends, as a file; may be repeated")
	flags.StringSliceVar(&o.ignore, "ignore", nil, "rules not to apply")
	flags.BoolVar(&o.strict, "strict", false, "fail on warnings too")
	flags.BoolVar(&o.rules, "rules", false, "list all rules")
	flags.StringVar(&o.explain, "explain", "", "explain a rule")
	for _, name := range []string{"ignore", "explain"} {
		_ = cmd.RegisterFlagCompletionFunc(name, completeRules)
	}
	return cmd
}

func completeRules(_ *cobra.Command, _ []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
	var names []cobra.Completion
	for _, r := range profilefile.Rules() {
		names = append(names, cobra.CompletionWithDesc(r.Name, r.Summary))
	}
	return names, cobra.ShellCompDirectiveNoFileComp
}

func (o *lintOptions) run(cmd *cobra.Command, args []string) error {
	switch {
	case o.things < 0:
		return usageError{fmt.Errorf("--things %d, want a positive number", o.things)}
	case o.interval < time.Second:
		return usageError{fmt.Errorf("--interval %v, want a second or more", o.interval)}
	case o.explain != "":
		return o.explainRule(cmd)
	case o.rules:
		return o.listRules(cmd)
	}
	for _, name := range o.ignore {
		rule, err := profilefile.FindRule(name)
		if err != nil {
			return usageError{fmt.Errorf("--ignore: %w", err)}
		}
		if rule.Severity == profile.Error {
			return usageError{fmt.Errorf("--ignore: rule %s is of errors, which cannot be ignored", name)}
		}
	}
	samples, err := o.samples(cmd.InOrStdin(), args)
	if err != nil {
		return err
	}
	var stdin bytes.Buffer
	set, problems, err := profilefile.Load(args, io.TeeReader(cmd.InOrStdin(), &stdin))
	if err != nil {
		return err
	}
	problems = set.Merge(problems, set.Validate(), profilefile.Lint(set, profilefile.LintContext{
		Things: o.things, Interval: o.interval, Samples: samples, Ignore: o.ignore,
	}))
	return o.tell(cmd, set, problems, stdin.Bytes())
}

// samples reads the reports.
func (o *lintOptions) samples(stdin io.Reader, args []string) ([]profilefile.Sample, error) {
	var samples []profilefile.Sample
	for _, name := range o.reports {
		if name == "-" && slices.Contains(args, "-") {
			return nil, usageError{errors.New("only one of FILES and --report can be standard input")}
		}
		r, _, err := readReport(stdin, name)
		if err != nil {
			return nil, fmt.Errorf("--report: %w", err)
		}
		values := map[string]profile.Value{}
		for _, m := range detect.FromReport(r) {
			values[m.Metric.Name] = m.Value
		}
		samples = append(samples, profilefile.Sample{Name: name, Values: values})
	}
	return samples, nil
}

// tell writes what was found.
func (o *lintOptions) tell(cmd *cobra.Command, set *profilefile.Set, problems []profile.Problem, stdin []byte) error {
	out := cmd.OutOrStdout()
	errs, warnings := countSeverity(problems, profile.Error), countSeverity(problems, profile.Warning)
	failed := errs > 0 || o.strict && warnings > 0
	if !o.output.text() {
		result := struct {
			Problems []problemRow `json:"problems"`
			Errors   int          `json:"errors"`
			Warnings int          `json:"warnings"`
		}{problemRows(problems), errs, warnings}
		if err := o.output.write(cmd, result, table{}); err != nil {
			return err
		}
	} else {
		if err := newSources(stdin).write(out, problems); err != nil {
			return err
		}
		c := colorsOf(out)
		if len(problems) > 0 {
			fmt.Fprintln(out)
		}
		switch {
		case len(problems) == 0:
			fmt.Fprintf(out, "%s: %s\n", contents(set), c.paint(green, "nothing to complain of"))
		case !failed:
			fmt.Fprintf(out, "%s: %s\n", contents(set), c.paint(yellow, summary(problems)))
		}
		for _, hint := range o.hints(set) {
			fmt.Fprintln(out, c.paint(faint, hint))
		}
	}
	if failed {
		return fmt.Errorf("%s in %s", summary(problems), countOf(filesOf(problems), "file", "files"))
	}
	return nil
}

// contents says what a set holds.
func contents(set *profilefile.Set) string {
	var parts []string
	for _, part := range []struct {
		n         int
		one, many string
	}{
		{len(set.Profiles), "profile", "profiles"},
		{len(set.CustomMetrics), "custom metric", "custom metrics"},
		{len(set.Dimensions), "dimension", "dimensions"},
		{len(set.MitigationActions), "mitigation action", "mitigation actions"},
	} {
		if part.n > 0 {
			parts = append(parts, countOf(part.n, part.one, part.many))
		}
	}
	if len(parts) == 0 {
		return "no documents"
	}
	return strings.Join(parts, ", ")
}

// hints say which rules were not applied because a flag is missing, where they might
// find something.
func (o *lintOptions) hints(set *profilefile.Set) []string {
	var device, fleet bool
	for _, p := range set.Profiles {
		for _, b := range p.Behaviors {
			m, known := profile.FindMetric(b.Metric)
			device = device || !known && !profile.IsAWS(b.Metric) || m.Side == profile.DeviceSide
			fleet = fleet || b.Criteria != nil && (b.Criteria.StatisticalThreshold != nil || b.Criteria.MLDetectionConfig != nil)
		}
	}
	var hints []string
	hint := func(flag string, fact profilefile.Fact) {
		var names []string
		for _, r := range profilefile.Rules() {
			if r.Needs == fact && !slices.Contains(o.ignore, r.Name) {
				names = append(names, r.Name)
			}
		}
		if len(names) > 0 {
			hints = append(hints, fmt.Sprintf("not checked without %s: %s", flag, strings.Join(names, ", ")))
		}
	}
	if fleet && o.things == 0 {
		hint("--things N", profilefile.ThingsFact)
	}
	if device && len(o.reports) == 0 {
		hint("--report FILE", profilefile.SampleFact)
	}
	return hints
}

// ruleRow is a rule for programs.
type ruleRow struct {
	Rule        string           `json:"rule"`
	Severity    string           `json:"severity"`
	Needs       profilefile.Fact `json:"needs,omitempty"`
	Summary     string           `json:"summary"`
	Explanation string           `json:"explanation"`
}

func rowOfRule(r profilefile.Rule) ruleRow {
	return ruleRow{r.Name, r.Severity.String(), r.Needs, r.Summary, strings.Join(strings.Fields(r.Explanation), " ")}
}

func (o *lintOptions) listRules(cmd *cobra.Command) error {
	t := table{header: []string{"RULE", "SEVERITY", "SUMMARY"}}
	var rows []ruleRow
	for _, r := range profilefile.Rules() {
		row := rowOfRule(r)
		rows = append(rows, row)
		summary := row.Summary
		if row.Needs != profilefile.NoFact {
			summary += " (--" + string(row.Needs) + ")"
		}
		t.rows = append(t.rows, []string{row.Rule, row.Severity, summary})
	}
	return o.output.write(cmd, rows, t)
}

func (o *lintOptions) explainRule(cmd *cobra.Command) error {
	rule, err := profilefile.FindRule(o.explain)
	if err != nil {
		return usageError{fmt.Errorf("--explain: %w", err)}
	}
	row := rowOfRule(rule)
	if !o.output.text() {
		return o.output.write(cmd, row, table{})
	}
	out := cmd.OutOrStdout()
	options := textOptions(cmd)
	width := options.Width
	if width <= 0 || width > 100 {
		width = 80
	}
	how := "An error: it cannot be silenced."
	if rule.Severity == profile.Warning {
		how = fmt.Sprintf("To silence it: --ignore %[1]s, or in the profile\n\n  \"lint\": {\"ignore\": [{\"rule\": %[1]q, \"reason\": \"...\"}]}", rule.Name)
	}
	needs := ""
	if rule.Needs != profilefile.NoFact {
		needs = fmt.Sprintf("\nIt is applied with --%s.\n", rule.Needs)
	}
	c := colors(options.Color)
	_, err = fmt.Fprintf(out, "%s  %s\n%s\n\n%s\n%s\n%s\n", c.paint(bold, row.Rule), c.paint(faint, row.Severity), row.Summary, wrapped(row.Explanation, width), needs, how)
	return err
}

// wrapped breaks text into lines, without blanks at their ends.
func wrapped(s string, width int) string {
	lines := strings.Split(text.WrapSoft(s, width), "\n")
	for i := range lines {
		lines[i] = strings.TrimRight(lines[i], " ")
	}
	return strings.Join(lines, "\n")
}
