package cli

import "github.com/spf13/cobra"

func newMetric() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "metric",
		Short: "See what was measured",
		Args:  cobra.NoArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newMetricValues())
	return cmd
}
