package cli

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/device-defender/device-defender/internal/cloud"
	"github.com/device-defender/device-defender/internal/defender/profile"
	"github.com/device-defender/device-defender/internal/defender/profile/profilefile"
	"github.com/device-defender/device-defender/internal/render"
)

// exitChanges is the exit code of 'profile plan --exit-code' when something
// would change: neither failure nor a wrong command line.
const exitChanges exitCode = 3

func newProfilePlan() *cobra.Command {
	var exit bool
	cmd := &cobra.Command{
		Use:   "plan FILES...",
		Short: "Show what 'profile apply' would change in the account, field by field",
		Long: `Compare security profiles, custom metrics and dimensions in files with what the
account has, and show what 'profile apply' would change, field by field. Nothing
is changed. AWS is asked for its opinion of behaviors that are new.

What the files don't name is left alone; so are targets and tags of a profile
whose file doesn't mention them. "targets": [] detaches it from everything.
FILES may be folders; "-" is standard input.

Exit codes: 0 done, whether or not something would change (with --exit-code
3 if something would), 1 an error, 2 a wrong command line.`,
		Example: `  defenderctl profile plan profiles/
  defenderctl profile plan rule.json --local --exit-code
  defenderctl profile plan profiles/ --region eu-west-1 --output json`,
		Args: cobra.MinimumNArgs(1),
	}
	a, output := awsFlags(cmd), outputFlags(cmd)
	cmd.Flags().BoolVar(&exit, "exit-code", false, "exit with 3 when something would change")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		client, plan, err := planFiles(cmd, a, args)
		if err != nil {
			return err
		}
		if output.text() {
			if err := showPlan(cmd, plan); err != nil {
				return err
			}
		} else if err := output.write(cmd, planRowOf(client, plan), table{}); err != nil {
			return err
		}
		if exit && len(plan.Steps) > 0 {
			return exitChanges
		}
		return nil
	}
	return cmd
}

// planFiles plans what the files say.
func planFiles(cmd *cobra.Command, a *awsOptions, files []string) (*cloud.Client, *cloud.Plan, error) {
	set, problems, err := profilefile.Load(files, cmd.InOrStdin())
	if err != nil {
		return nil, nil, err
	}
	if err := showProblems(cmd, set.Merge(problems, set.Validate())); err != nil {
		return nil, nil, err
	}
	if n := len(set.MitigationActions); n > 0 {
		fmt.Fprintf(cmd.ErrOrStderr(), "left out: %s, which 'defenderctl mitigation apply' is for\n", countOf(n, "mitigation action", "mitigation actions"))
	}
	client, err := a.connect(cmd.Context())
	if err != nil {
		return nil, nil, err
	}
	plan, err := client.Plan(cmd.Context(), set)
	if err != nil {
		return nil, nil, err
	}
	for _, note := range plan.Ineffective {
		fmt.Fprintf(cmd.ErrOrStderr(), "note: %s\n", render.Clean(note, 500))
	}
	return client, plan, showProblems(cmd, plan.Problems)
}

// planRow is a plan for programs.
type planRow struct {
	Source string    `json:"source"`
	Steps  []stepRow `json:"steps"`
}

type stepRow struct {
	Action  string      `json:"action"` // create, update, delete, tag, untag, attach or detach
	Kind    string      `json:"kind"`   // security profile, custom metric or dimension
	Name    string      `json:"name"`
	Target  string      `json:"target,omitempty"` // of attach and detach
	Changes []changeRow `json:"changes,omitempty"`
}

type changeRow struct {
	Path string          `json:"path"`
	Kind string          `json:"kind"` // added, removed or changed
	Old  json.RawMessage `json:"old,omitempty"`
	New  json.RawMessage `json:"new,omitempty"`
}

func planRowOf(client *cloud.Client, plan *cloud.Plan) planRow {
	row := planRow{Source: client.Source(), Steps: []stepRow{}}
	for _, s := range plan.Steps {
		step := stepRow{Action: string(s.Action), Kind: s.Kind.String(), Name: s.Name, Target: s.Target}
		for _, c := range s.Changes {
			step.Changes = append(step.Changes, changeRow{c.Path, c.Kind.String(), json.RawMessage(c.Old), json.RawMessage(c.New)})
		}
		row.Steps = append(row.Steps, step)
	}
	return row
}

// mark is a sign with its colour.
type mark struct {
	sign  string
	color style
}

var (
	markAdd    = mark{"+", green}
	markChange = mark{"~", yellow}
	markRemove = mark{"-", red}
)

var actionMarks = map[cloud.Action]mark{
	cloud.Create: markAdd, cloud.Attach: markAdd, cloud.Update: markChange, cloud.Tag: markChange, cloud.Untag: markChange,
	cloud.Detach: markRemove, cloud.Delete: markRemove,
}

var changeMarks = map[profilefile.ChangeKind]mark{profilefile.Added: markAdd, profilefile.Changed: markChange, profilefile.Removed: markRemove}

// showPlan writes a plan for people to standard output.
func showPlan(cmd *cobra.Command, plan *cloud.Plan) error {
	out := cmd.OutOrStdout()
	var b bytes.Buffer
	writePlan(&b, plan, colorsOf(out))
	_, err := out.Write(b.Bytes())
	return err
}

func writePlan(w io.Writer, plan *cloud.Plan, c colors) {
	if len(plan.Steps) == 0 {
		fmt.Fprintln(w, "nothing to change")
		return
	}
	for _, s := range plan.Steps {
		m := actionMarks[s.Action]
		fmt.Fprintln(w, c.paint(m.color, m.sign+" "+planStepText(s)))
		if s.Action == cloud.Delete {
			continue // what is in it does not help to decide
		}
		for _, change := range s.Changes {
			writeChange(w, change, c)
		}
	}
	fmt.Fprintf(w, "\n%s\n", planSummary(plan))
	for _, name := range plan.Unattached {
		fmt.Fprintf(w, "note: %s has no \"targets\" and is evaluated for no thing until it's attached\n", render.Clean(name, 128))
	}
}

func planStepText(s cloud.Step) string { return render.Clean(s.String(), 500) }

// mostOfValue is how much of a value is shown: the longest description of a
// profile, and a list of ports that somebody may yet read.
const mostOfValue = 1500

func writeChange(w io.Writer, change profilefile.Change, c colors) {
	m := changeMarks[change.Kind]
	line := fmt.Sprintf("%s %s", c.paint(m.color, m.sign), render.Clean(change.Path, 500))
	value := func(text string) string { return render.Clean(text, mostOfValue) }
	switch {
	case change.Kind == profilefile.Changed:
		fmt.Fprintf(w, "    %s: %s -> %s\n", line, c.paint(red, value(change.Old)), c.paint(green, value(change.New)))
		return
	case isBehavior(change.Path):
		// In words first, as the document doesn't fit into a line.
		document := change.New + change.Old
		var b profile.Behavior
		if err := json.Unmarshal([]byte(document), &b); err == nil {
			fmt.Fprintf(w, "    %s: %s\n", line, render.Clean(profile.Expectation(b, profile.KnownMetric(b.Metric)), 500))
			fmt.Fprintf(w, "        %s\n", c.paint(faint, value(document)))
			return
		}
	}
	text := change.New + change.Old
	if strings.HasPrefix(text, `{"metric":`) && !strings.Contains(text, `,`) {
		fmt.Fprintf(w, "    %s\n", line) // the path says it all
		return
	}
	fmt.Fprintf(w, "    %s: %s\n", line, value(text))
}

// isBehavior reports whether the path is that of a whole behavior.
func isBehavior(path string) bool {
	return strings.HasPrefix(path, "behaviors[") && strings.HasSuffix(path, "]") && !strings.Contains(path, "].")
}

// planSummary counts the steps, as "1 to create, 2 to attach".
func planSummary(plan *cloud.Plan) string {
	var parts []string
	for _, action := range []cloud.Action{cloud.Create, cloud.Update, cloud.Untag, cloud.Tag, cloud.Attach, cloud.Detach, cloud.Delete} {
		n := len(slices.DeleteFunc(slices.Clone(plan.Steps), func(s cloud.Step) bool { return s.Action != action }))
		if n > 0 {
			parts = append(parts, fmt.Sprintf("%d to %s", n, action))
		}
	}
	return strings.Join(parts, ", ")
}
