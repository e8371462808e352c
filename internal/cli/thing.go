package cli

import (
	"github.com/spf13/cobra"
)

func newThing() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "thing",
		Short: "Work with the registry of things, at AWS IoT or a 'defenderctl serve'",
		Args:  cobra.NoArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newThingList(), newThingShow(), newThingRegister(), newThingDelete())
	return cmd
}
