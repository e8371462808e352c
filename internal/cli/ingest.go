package cli

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/device-defender/device-defender/internal/cloud"
	"github.com/device-defender/device-defender/internal/defender/report"
	"github.com/device-defender/device-defender/internal/render"
)

func newIngest() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "ingest",
		Short: "Have the reports of a fleet on AWS reach a service",
		Long: `Have the reports of cores that are connected to AWS IoT reach 'defenderctl
serve', wherever that runs: a rule of AWS IoT puts them into a queue of SQS, and
serve takes them from there.`,
		Args: cobra.NoArgs,
	}
	cmd.AddCommand(newIngestSetup(), newIngestCheck())
	return cmd
}

// ingestFlags are those of all commands of ingest.
func ingestFlags(cmd *cobra.Command) (name *string, a *awsOptions) {
	name = cmd.Flags().String("name", cloud.DefaultIngest, "what the names of queues, role and rules begin with")
	return name, awsFlags(cmd)
}

// connectRules connects to an account that can have rules and queues.
func connectRules(cmd *cobra.Command, a *awsOptions) (*cloud.Client, error) {
	client, err := a.connect(cmd.Context())
	if err != nil {
		return nil, err
	}
	if !client.HasRules() {
		return nil, fmt.Errorf("%s has no rules and queues: work with AWS, without AWS_ENDPOINT_URL_IOT", client.Source())
	}
	return client, nil
}

func newIngestSetup() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "setup",
		Short: "Make what carries reports from AWS IoT to a queue",
		Long: `Make what carries reports from AWS IoT to a service: a queue and one for messages
that can't be taken, two rules, for reports and for lifecycle events, and a role
by which only these rules send to the queue. What is right already is left as it
is; what is missing is shown first, and done once you agree.

Then it prints what else is needed: what a deployment merges into the component's
configuration, the policy of AWS IoT that lets a core publish its own reports and
no other's, and the policy of IAM for the service.`,
		Example: `  defenderctl ingest setup
  defenderctl ingest setup --name plant-7 --core gw-1 --yes`,
		Args: cobra.NoArgs,
	}
	name, a := ingestFlags(cmd)
	core := cmd.Flags().String("core", "", "name of a core, for the policy that is printed (default CORE, to be replaced)")
	yes := cmd.Flags().Bool("yes", false, "do it without asking")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if *core != "" {
			if err := report.CheckThingName(*core); err != nil {
				return usageError{fmt.Errorf("--core: %w", err)}
			}
		}
		client, err := connectRules(cmd, a)
		if err != nil {
			return err
		}
		plan, err := client.PlanIngest(cmd.Context(), *name)
		if err != nil {
			return err
		}
		if err := runSetup(cmd, &plan.Setup, *yes); err != nil {
			return err
		}
		_, err = io.WriteString(cmd.OutOrStdout(), nextSteps(plan, *core))
		return err
	}
	return cmd
}

// nextSteps says what is still to be done, and gives the documents for it.
func nextSteps(plan *cloud.IngestPlan, core string) string {
	if core == "" {
		core = "CORE"
	}
	var b strings.Builder
	part := func(title, text string) { fmt.Fprintf(&b, "\n%s\n\n  %s\n", title, render.Clean(text, 4000)) }
	part("Merge this into the component's configuration by a deployment:", plan.DeploymentMerge())
	part("Give each core's certificate this policy of AWS IoT, with the core's own name in full: by a name with *,\n"+
		"or by a thing policy variable, which AWS does not support for cores, one core could report as another:", plan.CorePolicy(core))
	part("Give the service's credentials this policy of IAM:", plan.ReceivePolicy())
	part("Run the service:", "defenderctl serve --queue "+plan.QueueURL)
	return b.String()
}

func newIngestCheck() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "check",
		Short: "Say where reports get lost on their way",
		Long: `Follow a report on its way from AWS IoT to the service, and say where it gets
lost: rules and their SQL, role and policies, queues, and what waits in them. It
changes nothing. The exit code is 1 if something is wrong.

What a core may publish is not looked at: AWS IoT logs a report that its policy
does not allow, and counts it as PublishIn.AuthError.`,
		Example: `  defenderctl ingest check`,
		Args:    cobra.NoArgs,
	}
	name, a := ingestFlags(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		client, err := connectRules(cmd, a)
		if err != nil {
			return err
		}
		findings, err := client.CheckIngest(cmd.Context(), *name)
		if err != nil {
			return err
		}
		lost := 0
		for _, f := range findings {
			mark := "ok  "
			if !f.OK {
				mark = "LOST"
				lost++
			}
			fmt.Fprintf(cmd.OutOrStdout(), "%s  %s\n", mark, render.Clean(f.Text, 1000))
		}
		if lost > 0 {
			return errors.New("reports get lost; 'defenderctl ingest setup' makes what is missing")
		}
		return nil
	}
	return cmd
}
