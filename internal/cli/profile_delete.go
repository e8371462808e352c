package cli

import "github.com/spf13/cobra"

func newProfileDelete() *cobra.Command {
	var yes bool
	cmd := &cobra.Command{
		Use:   "delete NAME...",
		Short: "Detach security profiles from their targets and delete them",
		Long: `Delete security profiles: each is detached from its targets first. When one of
them is not there, nothing is deleted. Custom metrics and dimensions stay.
Violations that it found stay in the history for 30 days.`,
		Example: `  defenderctl profile delete DataExfiltrationCheck
  defenderctl profile delete OpenPorts SilentDevice --local --yes`,
		Args: cobra.MinimumNArgs(1),
	}
	a := awsFlags(cmd)
	cmd.ValidArgsFunction = a.completeProfileNames
	cmd.Flags().BoolVar(&yes, "yes", false, "do it without asking")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		client, err := a.connect(cmd.Context())
		if err != nil {
			return err
		}
		plan, err := client.PlanDelete(cmd.Context(), args)
		if err != nil {
			return err
		}
		return runPlan(cmd, client, plan, yes)
	}
	return cmd
}
