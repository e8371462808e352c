package cli

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/device-defender/device-defender/internal/render"
)

func newAlertTest() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "test CHANNEL",
		Short: "Have a 'defenderctl serve' send a test to one of its channels",
		Long: `Have a 'defenderctl serve' send a test to a channel of its configuration, now, and
say what the receiver answered. The message says that it is a test. Filters of the
channel do not count, nor is it held back. In PagerDuty it opens an alert and
resolves it.

It takes an access key of the role admin. The exit code is 1 if the test was not
delivered.`,
		Example: `  defenderctl alert test team`,
		Args:    cobra.ExactArgs(1),
	}
	a, output := awsFlags(cmd), outputFlags(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		client, err := a.connect(cmd.Context())
		if err != nil {
			return err
		}
		test, err := client.TestChannel(cmd.Context(), args[0])
		if err != nil {
			return err
		}
		if !output.text() {
			if err := output.write(cmd, test, table{}); err != nil || test.Delivered {
				return err
			}
			return exitCode(1)
		}
		if !test.Delivered {
			return fmt.Errorf("channel %s: the test was not delivered: %s", test.Channel, test.Error)
		}
		fmt.Fprintf(cmd.OutOrStdout(), "channel %s: delivered, it answered %s\n", render.Clean(test.Channel, mostOfError), render.Clean(test.Answer, mostOfError))
		return nil
	}
	return cmd
}
