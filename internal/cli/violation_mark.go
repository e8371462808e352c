package cli

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/device-defender/device-defender/internal/cloud"
	"github.com/device-defender/device-defender/internal/defender/finding"
	"github.com/device-defender/device-defender/internal/render"
)

func newViolationMark() *cobra.Command {
	var as, note string
	cmd := &cobra.Command{
		Use:   "mark ID...",
		Short: "Say what a violation was: an attack, a false alarm, or harmless",
		Long: `Set the verification state of violations: true-positive (it was what the behavior
is for), benign (rightly noticed, and harmless), false-positive, or unknown,
which every violation is at first. A note that was there is replaced.`,
		Example: `  defenderctl violation mark 74de151f --as true-positive --note "unknown destination"
  defenderctl violation mark 74de151f 0a66c2d4 --as unknown`,
		Args: cobra.MinimumNArgs(1),
	}
	o := awsFlags(cmd)
	cmd.ValidArgsFunction = o.completeViolations
	cmd.Flags().StringVar(&as, "as", "", "false-positive, benign, true-positive or unknown (required)")
	completeFlag(cmd, "as", cobra.FixedCompletions([]string{"false-positive", "benign", "true-positive", "unknown"}, cobra.ShellCompDirectiveNoFileComp))
	cmd.Flags().StringVar(&note, "note", "", "why, in one line")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		state, ok := cloud.Verifications[as]
		if !ok {
			return usageError{fmt.Errorf("--as %q, want false-positive, benign, true-positive or unknown", as)}
		}
		if err := cloud.CheckVerificationNote(note); err != nil {
			return usageError{fmt.Errorf("--note: %w", err)}
		}
		ctx := cmd.Context()
		now := o.now(ctx)
		client, err := o.connect(ctx)
		if err != nil {
			return err
		}
		var found []*finding.Violation
		for _, id := range args { // all are there, or none is marked
			v, err := client.FindViolation(ctx, id, now)
			if err != nil {
				return err
			}
			found = append(found, v)
		}
		for _, v := range found {
			if err := client.Mark(ctx, v.ID, state, note); err != nil {
				return err
			}
			fmt.Fprintf(cmd.OutOrStdout(), "%s is %s: %s of %s\n", v.ID, verificationWord(string(state)),
				render.Clean(v.Behavior.Name, 128), render.Clean(v.Thing, 128))
		}
		return nil
	}
	return cmd
}
