package cli

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/device-defender/device-defender/internal/cloud"
	"github.com/device-defender/device-defender/internal/render"
)

func newAlertSetup() *cobra.Command {
	var o cloud.AlertOptions
	var yes bool
	cmd := &cobra.Command{
		Use:   "setup PROFILE...",
		Short: "Have the alarms of security profiles published on an SNS topic",
		Long: `See to it that the alarms of security profiles are published on an SNS topic: a
topic, a role that AWS IoT may take and that may publish there, and the alert
target of each profile. What is right already is left as it is; what is missing
is shown first, and done once you agree.

A topic or role given by name is of this account, and created when it's not
there. A role that is there and does not trust AWS IoT is not changed.

'defenderctl serve' has neither topics nor roles: it sends alerts to the channels
of its configuration file. A profile on it can still name a topic of AWS that its
operator allows, with --sns of 'serve' or 'sns' in the file. It publishes there with
its own credentials: give --sns and --role as ARNs; they are not checked.`,
		Example: `  defenderctl alert setup DataExfiltrationCheck --sns device-defender-alerts
  defenderctl alert setup OpenPorts --sns arn:aws:sns:us-east-1:123456789012:security --role arn:aws:iam::123456789012:role/alerts --yes`,
		Args: cobra.MinimumNArgs(1),
	}
	flags := cmd.Flags()
	flags.StringVar(&o.Topic, "sns", "", "name or ARN of the SNS topic (required)")
	flags.StringVar(&o.Role, "role", cloud.DefaultAlertRole, "name or ARN of the role that AWS IoT takes")
	flags.BoolVar(&yes, "yes", false, "do it without asking")
	a := awsFlags(cmd)
	cmd.ValidArgsFunction = a.completeProfileNames
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if err := checkAlertOptions(o); err != nil {
			return usageError{err}
		}
		ctx := cmd.Context()
		client, err := a.connect(ctx)
		if err != nil {
			return err
		}
		o.Profiles = args
		if !client.HasSNS() {
			if !isARN(o.Topic, "sns") || !isARN(o.Role, "iam") {
				return fmt.Errorf("%s has no topics and roles: its alerts go to the channels in its configuration file; for a topic of AWS that it allows give --sns and --role as ARNs", client.Source())
			}
			o.Unchecked = true
		}
		plan, err := client.PlanAlerts(ctx, o)
		if err != nil {
			return err
		}
		return runSetup(cmd, plan, yes)
	}
	return cmd
}

func isARN(text, service string) bool {
	parts := strings.SplitN(text, ":", 6)
	return len(parts) == 6 && parts[0] == "arn" && parts[2] == service && parts[5] != ""
}

func checkAlertOptions(o cloud.AlertOptions) error {
	switch {
	case o.Topic == "":
		return errors.New("--sns is required: name or ARN of the topic")
	case strings.HasPrefix(o.Topic, "arn:") && !isARN(o.Topic, "sns"):
		return fmt.Errorf("--sns %q is not the ARN of an SNS topic", o.Topic)
	case strings.HasSuffix(o.Topic, ".fifo"):
		return fmt.Errorf("--sns %q: Detect publishes on standard topics, not on FIFO topics", o.Topic)
	case strings.HasPrefix(o.Role, "arn:") && !isARN(o.Role, "iam"):
		return fmt.Errorf("--role %q is not the ARN of an IAM role", o.Role)
	}
	return nil
}

// runSetup shows what has to be done, asks, and does it.
func runSetup(cmd *cobra.Command, plan *cloud.Setup, yes bool) error {
	out := cmd.OutOrStdout()
	var shown strings.Builder
	for _, s := range plan.Steps {
		mark := "+"
		switch {
		case s.Done:
			mark = "="
		case s.Deletes:
			mark = "-"
		}
		fmt.Fprintf(&shown, "%s %s\n", mark, stepText(s))
	}
	for _, h := range plan.Hints {
		fmt.Fprintf(&shown, "note: %s\n", render.Clean(h, 1000))
	}
	if plan.Changes() == 0 {
		shown.WriteString("nothing to do\n")
	}
	// Nothing is done that could not be shown.
	if _, err := io.WriteString(out, shown.String()); err != nil || plan.Changes() == 0 {
		return err
	}
	if err := confirm(cmd, yes, fmt.Sprintf("Do this (%s)?", countOf(plan.Changes(), "change", "changes"))); err != nil {
		return err
	}
	done := 0
	err := plan.Apply(cmd.Context(), func(s cloud.SetupStep) {
		done++
		fmt.Fprintf(out, "done: %s\n", render.Clean(s.What, 300))
	})
	if err != nil {
		return fmt.Errorf("%w (%d of %d changes are made; run it again for the rest)", err, done, done+plan.Changes())
	}
	return nil
}

func stepText(s cloud.SetupStep) string {
	text := render.Clean(s.What, 300)
	if s.Note != "" {
		text += " (" + render.Clean(s.Note, 500) + ")"
	}
	return text
}
