package cloud

import (
	"context"
	"fmt"
	"strconv"
)

// IngestFinding is one thing on a report's way.
type IngestFinding struct {
	OK   bool
	Text string
}

// CheckIngest follows a report on its way from AWS IoT to the service, and says where it gets lost. It
// changes nothing.
func (c *Client) CheckIngest(ctx context.Context, name string) ([]IngestFinding, error) {
	return c.ingestClients().check(ctx, name)
}

func (k ingestClients) check(ctx context.Context, name string) ([]IngestFinding, error) {
	plan, err := k.plan(ctx, name)
	if err != nil {
		return nil, err
	}
	// In the order of the way: what sends, what it may, where to.
	steps := plan.Steps
	ordered := append(append([]SetupStep{}, steps[4:]...), steps[2], steps[3], steps[1], steps[0])
	var findings []IngestFinding
	for _, s := range ordered {
		f := IngestFinding{s.Done, s.What}
		if !s.Done {
			f.Text = s.Lost
		}
		findings = append(findings, f)
	}
	for _, h := range plan.Hints {
		findings = append(findings, IngestFinding{true, h})
	}
	waiting, err := k.checkWaiting(ctx, plan)
	return append(findings, waiting...), err
}

// checkWaiting looks at what is in the queues.
func (k ingestClients) checkWaiting(ctx context.Context, plan *IngestPlan) (findings []IngestFinding, err error) {
	if plan.QueueURL != "" {
		_, attributes, err := k.queue(ctx, plan.Queue)
		if err != nil {
			return nil, err
		}
		waiting, flying := number(attributes, "ApproximateNumberOfMessages"), number(attributes, "ApproximateNumberOfMessagesNotVisible")
		f := IngestFinding{true, fmt.Sprintf("about %d messages wait, and %d are being worked on", waiting, flying)}
		if waiting > 0 && flying == 0 {
			f = IngestFinding{false, fmt.Sprintf("about %d messages wait, and nothing receives them: does 'defenderctl serve --queue %s' run, and may it receive?", waiting, plan.QueueURL)}
		}
		findings = append(findings, f)
	}
	url, attributes, err := k.queue(ctx, plan.DeadLetters)
	if err != nil || url == "" {
		return findings, err
	}
	f := IngestFinding{true, "no message is in queue " + plan.DeadLetters}
	if dead := number(attributes, "ApproximateNumberOfMessages"); dead > 0 {
		f = IngestFinding{false, fmt.Sprintf("about %d messages could not be taken and are in queue %s: the log of the service says why; 'defenderctl serve --queue %s' tries them again", dead, plan.DeadLetters, url)}
	}
	return append(findings, f), nil
}

func number(attributes map[string]string, name string) int {
	n, _ := strconv.Atoi(attributes[name]) // SQS writes numbers
	return n
}
