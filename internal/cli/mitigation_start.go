package cli

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/device-defender/device-defender/internal/cloud"
)

// mitigationStartOptions are the flags of mitigation start.
type mitigationStartOptions struct {
	aws        *awsOptions
	output     *outputOptions
	request    cloud.MitigationRequest
	violations []string
	since      string
	detach     bool
}

func newMitigationStart() *cobra.Command {
	var o mitigationStartOptions
	cmd := &cobra.Command{
		Use:   "start",
		Short: "Take mitigation actions on the things of violations",
		Long: `Start a task that takes actions on the things of violations, and follow it until
it's done. Say which violations by their ids (which may be abbreviated), or by
security profile and perhaps behavior: those are the ones in alarm now, or with
--since all that were since then.

The exit code is 1 when an action failed. Interrupting the command leaves the
task running.`,
		Example: `  defenderctl mitigation start --violation 74de151f --action QuarantineDevice
  defenderctl mitigation start --profile-name OpenPorts --behavior ForbiddenTcpPorts --since 24h --action QuarantineDevice`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return o.run(cmd) },
	}
	o.aws, o.output = awsFlags(cmd), outputFlags(cmd)
	flags := cmd.Flags()
	flags.StringSliceVar(&o.violations, "violation", nil, "ids of violations, at most 25")
	flags.StringVar(&o.request.Profile, "profile-name", "", "violations of this security profile")
	completeFlag(cmd, "violation", o.aws.completeViolations)
	completeFlag(cmd, "profile-name", o.aws.completeProfileNames)
	flags.StringVar(&o.request.Behavior, "behavior", "", "violations of this behavior of it")
	flags.StringVar(&o.since, "since", "", "violations that occurred since then, in alarm or not: as 24h or 7d")
	flags.BoolVar(&o.request.IncludeSuppressed, "suppressed", false, "violations of behaviors whose alerts are suppressed, too")
	flags.StringSliceVar(&o.request.Actions, "action", nil, "names of mitigation actions, 1 to 5 (required)")
	flags.StringVar(&o.request.ID, "task", "", "id of the task (default the first action's name and the time)")
	flags.BoolVar(&o.detach, "detach", false, "end once the task is started, without waiting for it")
	return cmd
}

// nameOrID is what names of actions and ids of tasks look like.
var nameOrID = regexp.MustCompile(`^[a-zA-Z0-9_-]{1,128}$`)

// check returns what is wrong with the flags.
func (o *mitigationStartOptions) check() error {
	r := &o.request
	switch {
	case len(r.Actions) == 0:
		return errors.New("--action is required: 'defenderctl mitigation actions' lists them")
	case len(r.Actions) > cloud.MaxTaskActions:
		return fmt.Errorf("%d actions, a task takes %d", len(r.Actions), cloud.MaxTaskActions)
	case slices.ContainsFunc(r.Actions, func(name string) bool { return !nameOrID.MatchString(name) }):
		return fmt.Errorf("--action %q, want names of 1 to 128 letters, digits, _ and -", r.Actions)
	case len(o.violations) == 0 && r.Profile == "":
		return errors.New("say which violations by --violation or --profile-name")
	case len(o.violations) > 0 && (r.Profile != "" || r.Behavior != "" || o.since != ""):
		return errors.New("--violation goes without --profile-name, --behavior and --since")
	case len(o.violations) > cloud.MaxTaskViolations:
		return fmt.Errorf("%d violations, a task takes %d", len(o.violations), cloud.MaxTaskViolations)
	case r.ID != "" && !nameOrID.MatchString(r.ID):
		return fmt.Errorf("--task %q, want 1 to 128 letters, digits, _ and -", r.ID)
	}
	return nil
}

func (o *mitigationStartOptions) run(cmd *cobra.Command) error {
	if err := o.check(); err != nil {
		return usageError{err}
	}
	ctx := cmd.Context()
	now := o.aws.now(ctx)
	r := &o.request
	if o.since != "" {
		span, err := parseSpan(o.since)
		if err != nil {
			return usageError{fmt.Errorf("--since: %w", err)}
		}
		r.From, r.To = now.Add(-span), now
	}
	if r.ID == "" {
		r.ID = defaultTaskID(r.Actions[0], now)
	}
	client, err := o.aws.connect(ctx)
	if err != nil {
		return err
	}
	if len(o.violations) > 0 {
		// Who names a violation means it, whether it's over or was not alerted.
		r.IncludeSuppressed = true
		for _, id := range o.violations {
			v, err := client.FindViolation(ctx, id, now)
			if err != nil {
				return err
			}
			if !slices.Contains(r.Violations, v.ID) {
				r.Violations = append(r.Violations, v.ID)
			}
		}
	} else {
		r.OnlyActive = o.since == ""
	}
	if err := client.StartMitigation(ctx, *r); err != nil {
		return err
	}
	fmt.Fprintf(cmd.ErrOrStderr(), "started: task %s\n", r.ID)
	if o.detach {
		return nil
	}
	return o.follow(cmd, client)
}

// follow waits for the task's end, and tells of each change.
func (o *mitigationStartOptions) follow(cmd *cobra.Command, client *cloud.Client) error {
	every := 2 * time.Second
	if client.Local {
		every = 100 * time.Millisecond
	}
	var last cloud.MitigationTask
	task, err := client.WaitForMitigation(cmd.Context(), o.request.ID, every, func(t *cloud.MitigationTask) {
		if t.Executed != last.Executed || t.Failed != last.Failed || t.Skipped != last.Skipped {
			fmt.Fprintf(cmd.ErrOrStderr(), "%d done, %d failed, %d skipped\n", t.Executed, t.Failed, t.Skipped)
		}
		last = *t
	})
	if cmd.Context().Err() != nil {
		return fmt.Errorf("task %s goes on; see 'defenderctl mitigation show %s'", o.request.ID, o.request.ID)
	}
	if err != nil {
		return err
	}
	return showTask(cmd, client, task, o.output)
}

// defaultTaskID is the action and the time, to the millisecond: two tasks have
// not the same.
func defaultTaskID(action string, now time.Time) string {
	stamp := now.UTC().Format("20060102T150405.000")
	stamp = stamp[:15] + stamp[16:]
	return action[:min(len(action), 128-1-len(stamp))] + "-" + stamp
}
