package cli

import (
	"fmt"
	"slices"

	"github.com/spf13/cobra"

	"github.com/device-defender/device-defender/internal/cloud"
	"github.com/device-defender/device-defender/internal/defender/profile"
	"github.com/device-defender/device-defender/internal/defender/profile/profilefile"
)

func newMitigationApply() *cobra.Command {
	var yes bool
	cmd := &cobra.Command{
		Use:   "apply FILES...",
		Short: "Create or update mitigation actions from files",
		Long: `Make the account have the mitigation actions of files: the input of AWS's
create-mitigation-action, as JSON or YAML. Thing groups that the actions add to
are created when they are not there. What has to be done is shown first; what is
right already is left as it is.

ACCOUNT in a role's ARN stands for the account that is worked on. Detect takes
one type of action, adding things to thing groups; others are for Audit, and are
warned of. FILES may be folders; "-" is standard input.`,
		Example: `  defenderctl mitigation apply artifacts/mitigation/quarantine-action.json
  defenderctl mitigation apply actions/ --yes`,
		Args: cobra.MinimumNArgs(1),
	}
	cmd.Flags().BoolVar(&yes, "yes", false, "do it without asking")
	a := awsFlags(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		set, problems, err := profilefile.Load(args, cmd.InOrStdin())
		if err != nil {
			return err
		}
		// What cannot be read is said whether or not there is an account.
		if slices.ContainsFunc(problems, func(p profile.Problem) bool { return p.Severity == profile.Error }) {
			return showProblems(cmd, problems)
		}
		client, err := a.connect(cmd.Context())
		if err != nil {
			return err
		}
		if err := client.FillAccount(cmd.Context(), set.MitigationActions); err != nil {
			return err
		}
		if err := showProblems(cmd, set.Merge(problems, append(set.Validate(), lintActions(set)...))); err != nil {
			return err
		}
		if len(set.MitigationActions) == 0 {
			return fmt.Errorf("no mitigation action in %v", args)
		}
		if n := len(set.Profiles) + len(set.CustomMetrics) + len(set.Dimensions); n > 0 {
			fmt.Fprintf(cmd.ErrOrStderr(), "ignored: %s that %s no mitigation action\n", countOf(n, "document", "documents"), isOrAre(n))
		}
		plan, err := client.PlanMitigation(cmd.Context(), set.MitigationActions)
		if err != nil {
			return err
		}
		return runSetup(cmd, plan, yes)
	}
	return cmd
}

func isOrAre(n int) string {
	if n == 1 {
		return "is"
	}
	return "are"
}

// lintActions warns of actions that Detect does not take.
func lintActions(set *profilefile.Set) []profile.Problem {
	var problems []profile.Problem
	for i, action := range set.MitigationActions {
		if cloud.ForDetect(action) {
			continue
		}
		p := profile.Problem{
			Path: "actionParams", Severity: profile.Warning, Rule: "not-for-detect",
			Message: fmt.Sprintf("mitigation action %s is for Audit only", action.Name),
			Want:    "addThingsToThingGroupParams, the one type that Detect takes",
		}
		p.File, p.Line, p.Column = set.Locate(profilefile.MitigationActionDocument, i, p.Path)
		problems = append(problems, p)
	}
	return problems
}
