package cli

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/device-defender/device-defender/internal/cloud"
	"github.com/device-defender/device-defender/internal/render"
)

func newViolation() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "violation",
		Short: "See what was not normal, and say what it was",
		Args:  cobra.NoArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newViolationList(), newViolationShow(), newViolationMark(), newViolationReport())
	return cmd
}

// completeViolations completes arguments with the ids of violations in alarm.
func (o *awsOptions) completeViolations(cmd *cobra.Command, args []string, toComplete string) ([]cobra.Completion, cobra.ShellCompDirective) {
	ctx, cancel := context.WithTimeout(cmd.Context(), completionPatience)
	defer cancel()
	client, err := o.connect(ctx)
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	active, err := client.ActiveViolations(ctx, cloud.ViolationFilter{})
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	var completions []cobra.Completion
	for _, v := range active {
		if strings.HasPrefix(v.ID, toComplete) && !slices.Contains(args, v.ID) {
			what := render.Clean(v.Behavior.Name, 128) + " of " + render.Clean(v.Thing, 128)
			completions = append(completions, cobra.CompletionWithDesc(v.ID, what))
		}
	}
	return completions, cobra.ShellCompDirectiveNoFileComp
}

// completeFlag completes a flag's value. The flag is there.
func completeFlag(cmd *cobra.Command, flag string, complete cobra.CompletionFunc) {
	if err := cmd.RegisterFlagCompletionFunc(flag, complete); err != nil {
		panic(err)
	}
}

// about says where a page's data are from.
func about(client *cloud.Client, now time.Time) render.About {
	return render.About{Source: client.Source(), Made: now, Zone: now.Location()}
}

// abbreviate returns the beginnings of ids by which they can be told apart,
// at least eight characters of each.
func abbreviate(ids []string) map[string]string {
	short := map[string]string{}
	const shortest = 8
	for length := shortest; ; length++ {
		count := map[string]int{}
		distinct := map[string]bool{}
		for _, id := range ids {
			if !distinct[id] {
				distinct[id] = true
				count[id[:min(length, len(id))]]++
			}
		}
		done := true
		for id := range distinct {
			beginning := id[:min(length, len(id))]
			if count[beginning] > 1 && length < len(id) {
				done = false
			}
			short[id] = beginning
		}
		if done {
			return short
		}
	}
}

// shownTime is a time in a table.
func shownTime(t time.Time, zone *time.Location) string {
	if t.IsZero() {
		return ""
	}
	return t.In(zone).Format(time.DateTime)
}

// verificationWords are AWS's states as a command line has them.
var verificationWords = map[string]string{
	"FALSE_POSITIVE": "false-positive", "BENIGN_POSITIVE": "benign", "TRUE_POSITIVE": "true-positive", "UNKNOWN": "unknown",
}

// verificationWord is a state in a table.
func verificationWord(state string) string {
	if word, ok := verificationWords[state]; ok {
		return word
	}
	return state
}

func countOf(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}

func mapped[T, U any](list []T, of func(T) U) []U {
	out := make([]U, len(list))
	for i, e := range list {
		out[i] = of(e)
	}
	return out
}
