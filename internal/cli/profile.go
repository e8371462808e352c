package cli

import "github.com/spf13/cobra"

func newProfile() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "profile",
		Short: "Work with security profiles as files",
		Long: `Work with security profiles as files: the JSON that 'aws iot
create-security-profile --cli-input-json' takes, or the same in YAML, with
targets beside it. Custom metrics, dimensions and mitigation actions likewise.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newProfileLint(), newProfileCost(), newProfilePlan(), newProfileApply(), newProfileList(), newProfileShow(),
		newProfileDelete(), newProfileExport())
	return cmd
}
