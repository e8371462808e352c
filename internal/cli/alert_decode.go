package cli

import (
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/device-defender/device-defender/internal/cloud"
	"github.com/device-defender/device-defender/internal/defender/alert"
	"github.com/device-defender/device-defender/internal/defender/profile"
	"github.com/device-defender/device-defender/internal/render"
)

func newAlertDecode() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "decode",
		Short: "Say in words what an alert on standard input says",
		Long: `Read alerts of Detect from standard input and say in words what they say: as
Detect writes them, or as they come through SNS (HTTP, an e-mail's text with its
footer), a Lambda function's event, or an SQS queue. There may be several, one after another.

The time is in milliseconds in an alert, though in seconds in the API.`,
		Example: `  defenderctl alert decode < alert.json
  aws sqs receive-message --queue-url "$QUEUE" | defenderctl alert decode`,
		Args: cobra.NoArgs,
	}
	output := outputFlags(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		data, err := io.ReadAll(io.LimitReader(cmd.InOrStdin(), cloud.MaxAlerts+1))
		if err != nil {
			return err
		}
		if len(data) > cloud.MaxAlerts {
			return fmt.Errorf("more than %d MB of alerts", cloud.MaxAlerts>>20)
		}
		alerts, err := cloud.DecodeAlerts(data)
		if err != nil {
			return err
		}
		if !output.text() {
			return output.write(cmd, mapped(alerts, alertDetails), table{})
		}
		for i, a := range alerts {
			if i > 0 {
				fmt.Fprintln(cmd.OutOrStdout())
			}
			if err := writeAlert(cmd.OutOrStdout(), a, time.Local); err != nil {
				return err
			}
		}
		return nil
	}
	return cmd
}

// alertDetail is an alert for other programs.
type alertDetail struct {
	Time         time.Time        `json:"time,omitzero"`
	State        string           `json:"state"`
	Thing        string           `json:"thing"`
	Profile      string           `json:"profile"`
	Behavior     profile.Behavior `json:"behavior"`
	Expected     string           `json:"expected"`
	Value        *profile.Value   `json:"value,omitempty"`
	Seen         string           `json:"seen,omitempty"`
	Verification string           `json:"verificationState,omitempty"`
	ViolationID  string           `json:"violationId"`
}

func alertDetails(a cloud.Alert) alertDetail {
	metric := profile.KnownMetric(a.Behavior.Metric)
	d := alertDetail{
		Time: a.Time, State: a.Type, Thing: a.Thing, Profile: a.Profile, Behavior: a.Behavior,
		Expected: profile.Expectation(a.Behavior, metric), Value: a.Value, Verification: a.Verification, ViolationID: a.ViolationID,
	}
	if a.Value != nil {
		d.Seen = profile.ValueText(a.Behavior, *a.Value, metric)
	}
	return d
}

func writeAlert(w io.Writer, a cloud.Alert, zone *time.Location) error {
	d := alertDetails(a)
	lines := [][2]string{
		{"Time", ""}, {"Normal", d.Expected}, {"Seen", d.Seen}, {"Metric", a.Behavior.Metric}, {"Profile", a.Profile},
		{"Verdict", verificationWord(a.Verification)}, {"ID", a.ViolationID},
	}
	if !a.Time.IsZero() {
		lines[0][1] = a.Time.In(zone).Format("2006-01-02 15:04:05 MST")
	}
	if _, err := fmt.Fprintf(w, "%s %s: %s\n", render.Clean(a.Thing, 128), render.Clean(alert.Words(a.Type), 200), render.Clean(a.Behavior.Name, 128)); err != nil {
		return err
	}
	for _, l := range lines {
		if l[1] != "" {
			if _, err := fmt.Fprintf(w, "  %-8s %s\n", l[0], render.Clean(l[1], 1000)); err != nil {
				return err
			}
		}
	}
	return nil
}
