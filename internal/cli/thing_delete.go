package cli

import "github.com/spf13/cobra"

func newThingDelete() *cobra.Command {
	var yes bool
	cmd := &cobra.Command{
		Use:   "delete NAME...",
		Short: "Delete things from the registry",
		Long: `Delete things from the registry, after it is shown what goes with them. At
'defenderctl serve' that is what they reported and the certificates by which they
are known: a connection by MQTT takes no report any more. AWS deletes no thing
that a certificate is attached to. When one of them is not there, nothing is
deleted.`,
		Example: `  defenderctl thing delete gateway-2
  defenderctl thing delete gateway-2 gateway-3 --local --yes`,
		Args: cobra.MinimumNArgs(1),
	}
	a := awsFlags(cmd)
	cmd.Flags().BoolVar(&yes, "yes", false, "do it without asking")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		client, err := a.connect(cmd.Context())
		if err != nil {
			return err
		}
		plan, err := client.PlanDeleteThings(cmd.Context(), unique(args))
		if err != nil {
			return err
		}
		return runSetup(cmd, plan, yes)
	}
	return cmd
}

// unique leaves out what is named again.
func unique(names []string) (list []string) {
	seen := map[string]bool{}
	for _, name := range names {
		if !seen[name] {
			seen[name] = true
			list = append(list, name)
		}
	}
	return list
}
