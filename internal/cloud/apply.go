package cloud

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iot"

	"github.com/device-defender/device-defender/internal/defender/profile/profilefile"
)

// Apply takes the steps in order and tells progress of each that is done. It
// ends at the first that fails, and returns how many are done: the others are
// not, and a new plan has them. A plan with problems is not applied.
func (p *Plan) Apply(ctx context.Context, progress func(Step)) (done int, err error) {
	if len(p.Problems) > 0 {
		return 0, fmt.Errorf("the plan has %s", counted(len(p.Problems), "problem"))
	}
	for i, step := range p.Steps {
		if err := ctx.Err(); err != nil {
			return i, err
		}
		if err := step.run(ctx); err != nil {
			return i, err
		}
		progress(step)
	}
	return len(p.Steps), nil
}

// PlanDelete finds out what has to be done so that security profiles are gone:
// each is detached from its targets, and deleted if it's still the one that was
// looked at. The error names all that are not there.
func (c *Client) PlanDelete(ctx context.Context, names []string) (*Plan, error) {
	plan := &Plan{}
	var missing []error
	for i, name := range names {
		if slices.Contains(names[:i], name) {
			continue
		}
		there, err := c.describeProfile(ctx, name)
		if isNotFound(err) {
			missing = append(missing, fmt.Errorf("there is no security profile %s", name))
			continue
		}
		if err != nil {
			return nil, err
		}
		targets, err := c.targets(ctx, name)
		if err != nil {
			return nil, err
		}
		for _, arn := range targets {
			plan.Steps = append(plan.Steps, move{profile: name, arn: arn, detach: true}.step(c))
		}
		plan.Steps = append(plan.Steps, Step{
			Action: Delete, Kind: profilefile.ProfileDocument, Name: name, Changes: profilefile.Diff(&there.Profile, nil),
			run: func(ctx context.Context) error {
				_, err := c.IoT.DeleteSecurityProfile(ctx, &iot.DeleteSecurityProfileInput{SecurityProfileName: aws.String(name), ExpectedVersion: aws.Int64(there.Version)})
				return c.planned(c.failed("delete security profile "+name, err))
			},
		})
	}
	return plan, errors.Join(missing...)
}
