package cli

import "github.com/spf13/cobra"

func newAlert() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "alert",
		Short: "Have alarms sent somewhere, and read what is sent",
		Args:  cobra.NoArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newAlertSetup(), newAlertDecode(), newAlertTest())
	return cmd
}
