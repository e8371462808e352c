package cli

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/device-defender/device-defender/internal/cloud"
)

func newProfileApply() *cobra.Command {
	var yes bool
	cmd := &cobra.Command{
		Use:   "apply FILES...",
		Short: "Make the account have the security profiles of files",
		Long: `Make the account have the security profiles, custom metrics and dimensions of
files: show what would change, as 'profile plan' does, ask, and do it. What is
right already is left as it is, and so is what the files don't name.

A profile is attached to its "targets", which may be short names: all/things,
all/registered-things, all/unregistered-things, or thinggroup/NAME. Without
"targets" it stays attached to what it is, and without "tags" keeps its tags.

When a step fails, the rest is not done; apply again does what is left. What
somebody else changed since the plan was made is not overwritten.

Exit codes: 0 done, or nothing to do; 1 an error, or you said no; 2 a wrong
command line, or nobody to ask and no --yes.`,
		Example: `  defenderctl profile apply profiles/
  defenderctl profile apply rule.json --local --yes`,
		Args: cobra.MinimumNArgs(1),
	}
	a := awsFlags(cmd)
	cmd.Flags().BoolVar(&yes, "yes", false, "do it without asking")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		client, plan, err := planFiles(cmd, a, args)
		if err != nil {
			return err
		}
		return runPlan(cmd, client, plan, yes)
	}
	return cmd
}

// runPlan shows a plan, asks, and applies it.
func runPlan(cmd *cobra.Command, client *cloud.Client, plan *cloud.Plan, yes bool) error {
	if err := showPlan(cmd, plan); err != nil || len(plan.Steps) == 0 {
		return err
	}
	if err := confirm(cmd, yes, "Do this on "+client.Source()+"?"); err != nil {
		return err
	}
	out := cmd.OutOrStdout()
	c := colorsOf(out)
	fmt.Fprintln(out)
	done, err := plan.Apply(cmd.Context(), func(s cloud.Step) {
		fmt.Fprintf(out, "%s %s\n", c.paint(green, "done:"), planStepText(s))
	})
	if err != nil {
		for _, s := range plan.Steps[done:] {
			fmt.Fprintf(out, "%s %s\n", c.paint(red, "not done:"), planStepText(s))
		}
		return fmt.Errorf("%w (%d of %d steps are done; the same command again does the rest)", err, done, len(plan.Steps))
	}
	return nil
}
