package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/device-defender/device-defender/internal/cloud"
	"github.com/device-defender/device-defender/internal/render"
)

func newMitigationRelease() *cobra.Command {
	var groups []string
	cmd := &cobra.Command{
		Use:   "release THING...",
		Short: "Take things out of quarantine",
		Long: `Take things out of the thing groups that mitigation actions move to: Detect
never does, also when the violation is over. Without --group it's every group
that a mitigation action of the account names.

A violation that made a thing move does not make it move again by itself; one
that still is in alarm shows in 'defenderctl violation list'.`,
		Example: `  defenderctl mitigation release gateway-2
  defenderctl mitigation release gateway-2 gateway-3 --group quarantine`,
		Args: cobra.MinimumNArgs(1),
	}
	cmd.Flags().StringSliceVar(&groups, "group", nil, "thing groups to take them out of")
	a := awsFlags(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		ctx, out := cmd.Context(), cmd.OutOrStdout()
		client, err := a.connect(ctx)
		if err != nil {
			return err
		}
		from := groups
		if len(from) == 0 {
			if from, err = client.MitigationGroups(ctx); err != nil {
				return err
			}
			if len(from) == 0 {
				return fmt.Errorf("no mitigation action moves things to a group; name one by --group")
			}
		}
		var failed []error
		for _, thing := range args {
			if err := release(ctx, out, client, thing, from); err != nil {
				failed = append(failed, err) // the others are not to wait for this one
			}
		}
		return errors.Join(failed...)
	}
	return cmd
}

// release takes a thing out of those of the groups that it's in.
func release(ctx context.Context, out io.Writer, client *cloud.Client, thing string, from []string) error {
	in, err := client.GroupsOf(ctx, thing)
	if err != nil {
		return err
	}
	released := false
	for _, group := range from {
		if !slices.Contains(in, group) {
			continue
		}
		if err := client.RemoveFromGroup(ctx, thing, group); err != nil {
			return err
		}
		released = true
		fmt.Fprintf(out, "%s is out of %s\n", render.Clean(thing, 128), render.Clean(group, 128))
	}
	if !released {
		fmt.Fprintf(out, "%s is not in %s: nothing to do\n", render.Clean(thing, 128), render.Clean(strings.Join(from, ", "), 1000))
	}
	return nil
}
