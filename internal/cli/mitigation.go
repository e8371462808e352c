package cli

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/device-defender/device-defender/internal/cloud"
	"github.com/device-defender/device-defender/internal/render"
)

func newMitigation() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "mitigation",
		Short: "Move suspicious things to a quarantine group, and out of it",
		Args:  cobra.NoArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newMitigationApply(), newMitigationActions(), newMitigationStart(), newMitigationList(),
		newMitigationShow(), newMitigationCancel(), newMitigationRelease())
	return cmd
}

// newMitigationActions lists actions.
func newMitigationActions() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "actions",
		Short:   "List the mitigation actions of the account",
		Example: `  defenderctl mitigation actions`,
		Args:    cobra.NoArgs,
	}
	a, output := awsFlags(cmd), outputFlags(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		client, err := a.connect(cmd.Context())
		if err != nil {
			return err
		}
		actions, err := client.MitigationActions(cmd.Context())
		if err != nil {
			return err
		}
		t := table{header: []string{"ACTION", "DOES", "ROLE", "FOR"}, empty: "no mitigation action"}
		for _, action := range actions {
			users := "Audit only"
			if cloud.ForDetect(action.MitigationAction) {
				users = "Detect, Audit"
			}
			t.rows = append(t.rows, []string{action.Name, action.Does(), action.RoleARN, users})
		}
		return output.write(cmd, mapped(actions, func(a cloud.MitigationAction) any { return a.MitigationAction }), t)
	}
	return cmd
}

// taskRow is a task for other programs.
type taskRow struct {
	Task       string    `json:"taskId"`
	Status     string    `json:"status"`
	Started    time.Time `json:"started"`
	Ended      time.Time `json:"ended,omitzero"`
	Actions    []string  `json:"actions"`
	Violations []string  `json:"violationIds,omitempty"`
	Profile    string    `json:"profile,omitempty"`
	Behavior   string    `json:"behavior,omitempty"`
	Executed   int64     `json:"executed"`
	Failed     int64     `json:"failed"`
	Skipped    int64     `json:"skipped"`

	Executions []executionRow `json:"executions,omitempty"`
}

type executionRow struct {
	Violation string    `json:"violationId"`
	Thing     string    `json:"thing"`
	Action    string    `json:"action"`
	Status    string    `json:"status"`
	ErrorCode string    `json:"errorCode,omitempty"`
	Message   string    `json:"message,omitempty"`
	Started   time.Time `json:"started,omitzero"`
	Ended     time.Time `json:"ended,omitzero"`
}

func taskRowOf(t cloud.MitigationTask) taskRow {
	return taskRow{
		Task: t.ID, Status: t.Status, Started: t.Started.UTC(), Ended: t.Ended, Actions: t.Actions, Violations: t.Violations,
		Profile: t.Profile, Behavior: t.Behavior, Executed: t.Executed, Failed: t.Failed, Skipped: t.Skipped,
	}
}

func newMitigationList() *cobra.Command {
	var period periodFlags
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List mitigation tasks",
		Long:  `List the mitigation tasks of a period. AWS keeps them for 90 days.`,
		Example: `  defenderctl mitigation list
  defenderctl mitigation list --since 90d --output json`,
		Args: cobra.NoArgs,
	}
	a, output := awsFlags(cmd), outputFlags(cmd)
	period.add(cmd.Flags(), "30d", "tasks")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		now := a.now(cmd.Context())
		from, to, err := period.period(cmd.Flags(), now)
		if err != nil {
			return err
		}
		client, err := a.connect(cmd.Context())
		if err != nil {
			return err
		}
		tasks, err := client.MitigationTasks(cmd.Context(), from, to)
		if err != nil {
			return err
		}
		t := table{header: []string{"STARTED", "TASK", "STATUS", "ACTIONS", "TARGET", "DONE", "FAILED", "SKIPPED"}, empty: "no mitigation task in this period"}
		for _, task := range tasks {
			t.rows = append(t.rows, []string{
				shownTime(task.Started, now.Location()), task.ID, task.Status, strings.Join(task.Actions, ", "), targetText(task),
				fmt.Sprint(task.Executed), fmt.Sprint(task.Failed), fmt.Sprint(task.Skipped),
			})
		}
		return output.write(cmd, mapped(tasks, taskRowOf), t)
	}
	return cmd
}

// targetText says which violations a task is about.
func targetText(t cloud.MitigationTask) string {
	switch {
	case len(t.Violations) == 1:
		return "violation " + t.Violations[0][:min(8, len(t.Violations[0]))]
	case len(t.Violations) > 1:
		return countOf(len(t.Violations), "violation", "violations")
	case t.Behavior != "":
		return t.Profile + ", " + t.Behavior
	}
	return t.Profile
}

func newMitigationShow() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "show TASK",
		Short: "Show what a mitigation task did to each thing",
		Long: `Show what a mitigation task did to each thing. The exit code is 1 when an action
failed.`,
		Example: `  defenderctl mitigation show quarantine-20261123T101500`,
		Args:    cobra.ExactArgs(1),
	}
	a, output := awsFlags(cmd), outputFlags(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		client, err := a.connect(cmd.Context())
		if err != nil {
			return err
		}
		task, err := client.MitigationTask(cmd.Context(), args[0])
		if err != nil {
			return err
		}
		return showTask(cmd, client, task, output)
	}
	return cmd
}

func newMitigationCancel() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "cancel TASK",
		Short:   "End a mitigation task; what it did stays",
		Example: `  defenderctl mitigation cancel quarantine-20261123T101500`,
		Args:    cobra.ExactArgs(1),
	}
	a := awsFlags(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		client, err := a.connect(cmd.Context())
		if err != nil {
			return err
		}
		if err := client.CancelMitigation(cmd.Context(), args[0]); err != nil {
			return err
		}
		fmt.Fprintf(cmd.OutOrStdout(), "canceled: %s\n", args[0])
		return nil
	}
	return cmd
}

// errMitigation is the answer no: something could not be done.
var errMitigation = errors.New("not everything was done")

// showTask shows what a task did, and fails when it did not do all.
func showTask(cmd *cobra.Command, client *cloud.Client, task *cloud.MitigationTask, output *outputOptions) error {
	executions, err := client.MitigationExecutions(cmd.Context(), task.ID)
	if err != nil {
		return err
	}
	if output.text() {
		writeTask(cmd.OutOrStdout(), task, executions)
	} else {
		row := taskRowOf(*task)
		for _, e := range executions {
			row.Executions = append(row.Executions, executionRow(e))
		}
		if err := output.write(cmd, row, table{}); err != nil {
			return err
		}
	}
	if task.Failed > 0 || task.Status == "FAILED" {
		return fmt.Errorf("task %s: %w", task.ID, errMitigation)
	}
	return nil
}

// executionWords say what became of an action.
var executionWords = map[string]string{"SUCCESSFUL": "done", "FAILED": "FAILED", "SKIPPED": "skipped", "IN_PROGRESS": "in progress"}

func writeTask(w io.Writer, task *cloud.MitigationTask, executions []cloud.MitigationExecution) {
	for _, e := range executions {
		word := executionWords[e.Status]
		if word == "" {
			word = e.Status
		}
		line := fmt.Sprintf("%-11s %s of %s for violation %s", word, e.Action, e.Thing, e.Violation[:min(8, len(e.Violation))])
		if e.ErrorCode != "" || e.Message != "" {
			line += ": " + strings.TrimSpace(e.ErrorCode+" "+e.Message)
		}
		fmt.Fprintln(w, render.Clean(line, 2500))
	}
	fmt.Fprintf(w, "task %s: %s, %d done, %d failed, %d skipped\n", render.Clean(task.ID, 128), strings.ToLower(render.Clean(task.Status, 40)),
		task.Executed, task.Failed, task.Skipped)
}
