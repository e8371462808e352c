package cloud

import (
	"context"
	"fmt"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iot"

	"github.com/device-defender/device-defender/internal/defender/profile"
	"github.com/device-defender/device-defender/internal/defender/profile/profilefile"
)

// move is a profile to be attached to a target, or detached from one.
type move struct {
	index   int    // of the profile in the set
	path    string // of the target in the document
	profile string
	arn     string
	detach  bool
}

func (m move) step(c *Client) Step {
	s := Step{Action: Attach, Kind: profilefile.ProfileDocument, Name: m.profile, Target: shortTarget(m.arn)}
	if m.detach {
		s.Action = Detach
	}
	what := s.String()
	s.run = func(ctx context.Context) error {
		if m.detach {
			_, err := c.IoT.DetachSecurityProfile(ctx, &iot.DetachSecurityProfileInput{SecurityProfileName: aws.String(m.profile), SecurityProfileTargetArn: aws.String(m.arn)})
			if isNotFound(err) {
				return nil // what is gone has no profile
			}
			return c.failed(what, err)
		}
		_, err := c.IoT.AttachSecurityProfile(ctx, &iot.AttachSecurityProfileInput{SecurityProfileName: aws.String(m.profile), SecurityProfileTargetArn: aws.String(m.arn)})
		return c.failed(what, err)
	}
	return s
}

// move takes down how the targets of a profile differ from those that it has.
// Nil says nothing about targets.
func (p *planner) move(index int, want *profile.Profile, have []string) {
	if want.Targets == nil {
		return
	}
	var wanted []string
	for i, text := range want.Targets {
		path := fmt.Sprintf("targets[%d]", i)
		target, err := profile.ParseTarget(text)
		if err != nil {
			continue // Check has said so
		}
		if target.Region != "" && (target.Region != p.c.Region || target.Account != p.account) {
			p.problem(profilefile.ProfileDocument, index, profile.Problem{
				Path: path, Rule: "foreign-target", Message: fmt.Sprintf("target %s is not of account %s in %s", text, p.account, p.c.Region),
				Want: target.Short() + ", which is of the account that is worked on",
			})
			continue
		}
		arn := target.ARN(p.c.Region, p.account)
		if slices.Contains(wanted, arn) {
			continue
		}
		wanted = append(wanted, arn)
		if !slices.Contains(have, arn) {
			p.moves = append(p.moves, move{index: index, path: path, profile: want.Name, arn: arn})
		}
	}
	for _, arn := range have {
		if !slices.Contains(wanted, arn) {
			p.moves = append(p.moves, move{index: index, profile: want.Name, arn: arn, detach: true})
		}
	}
}

// targets puts the moves in order. Attaching comes first, so that no thing is
// without its profile in between; but a target that would have too many
// profiles is left first.
func (p *planner) targets(ctx context.Context) error {
	full := map[string]bool{} // targets that are left first
	seen := map[string]bool{}
	for _, m := range p.moves {
		if m.detach || seen[m.arn] {
			continue
		}
		seen[m.arn] = true
		attached, err := p.c.attachedTo(ctx, m.arn)
		if isNotFound(err) {
			p.problem(profilefile.ProfileDocument, m.index, profile.Problem{
				Path: m.path, Rule: "unknown-group", Message: shortTarget(m.arn) + " is not there", Want: "a thing group of the account: 'aws iot create-thing-group' makes one",
			})
			continue
		}
		if err != nil {
			return err
		}
		most, after := p.occupancy(m.arn, attached)
		full[m.arn] = most > profile.MaxProfilesPerTarget
		if after > profile.MaxProfilesPerTarget {
			slices.Sort(attached)
			p.problem(profilefile.ProfileDocument, m.index, profile.Problem{
				Path: m.path, Rule: "quota",
				Message: fmt.Sprintf("%s would have %s: it has %q", shortTarget(m.arn), counted(after, "security profile"), attached),
				Want:    fmt.Sprintf("%d profiles at most per target", profile.MaxProfilesPerTarget),
			})
		}
	}
	for _, turn := range []func(move) bool{
		func(m move) bool { return m.detach && full[m.arn] },
		func(m move) bool { return !m.detach },
		func(m move) bool { return m.detach && !full[m.arn] },
	} {
		for _, m := range p.moves {
			if turn(m) {
				p.attaching = append(p.attaching, m.step(p.c))
			}
		}
	}
	return nil
}

// occupancy returns how many profiles a target has while none has left it yet,
// and when all is done.
func (p *planner) occupancy(arn string, attached []string) (most, after int) {
	most, after = len(attached), len(attached)
	for _, m := range p.moves {
		there := slices.Contains(attached, m.profile)
		switch {
		case m.arn != arn:
		case m.detach && there:
			after--
		case !m.detach && !there:
			most++
			after++
		}
	}
	return most, after
}
