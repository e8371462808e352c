package cloud

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iot"

	"github.com/device-defender/device-defender/internal/defender/profile"
	"github.com/device-defender/device-defender/internal/defender/profile/profilefile"
)

// errMoved says that the account is not as it was when the plan was made.
var errMoved = errors.New("somebody changed it since it was looked at; plan again")

// planned explains the errors of a step that say that somebody was there
// between plan and step.
func (c *Client) planned(err error) error {
	if isConflict(err) || isThere(err) {
		return fmt.Errorf("%w: %w", err, errMoved)
	}
	return err
}

func (p *planner) profiles(ctx context.Context) error {
	if slices.ContainsFunc(p.set.Profiles, func(q profile.Profile) bool { return len(q.Targets) > 0 }) {
		var err error
		if p.account, err = p.c.AccountID(ctx); err != nil {
			return err
		}
	}
	for i := range p.set.Profiles {
		want := &p.set.Profiles[i]
		there, err := p.c.describeProfile(ctx, want.Name)
		if err != nil && !isNotFound(err) {
			return err
		}
		if err != nil {
			there = nil
		}
		if err := p.profile(ctx, i, want, there); err != nil {
			return err
		}
	}
	return nil
}

// profile plans one profile, which is not there when there is nil.
func (p *planner) profile(ctx context.Context, index int, want *profile.Profile, there *AccountProfile) error {
	if there == nil {
		changes := slices.DeleteFunc(profilefile.Diff(nil, withoutTargets(want)), func(c profilefile.Change) bool { return c.Path == "securityProfileName" })
		if len(want.Targets) == 0 {
			p.unattached = append(p.unattached, want.Name)
		}
		p.documents = append(p.documents, Step{Action: Create, Kind: profilefile.ProfileDocument, Name: want.Name, Changes: changes, run: func(ctx context.Context) error {
			return p.c.createProfile(ctx, want)
		}})
		p.move(index, want, nil)
		return p.secondOpinion(ctx, index, want)
	}
	if changes := documentChanges(&there.Profile, want); changes != nil {
		p.documents = append(p.documents, Step{Action: Update, Kind: profilefile.ProfileDocument, Name: want.Name, Changes: changes, run: func(ctx context.Context) error {
			return p.c.updateProfile(ctx, there, want, changes)
		}})
		if changed(changes, "behaviors") {
			if err := p.secondOpinion(ctx, index, want); err != nil {
				return err
			}
		}
	}
	if err := p.tags(ctx, profilefile.ProfileDocument, want.Name, there.ARN, want.Tags); err != nil {
		return err
	}
	if want.Targets == nil {
		return nil
	}
	have, err := p.c.targets(ctx, want.Name)
	if err != nil {
		return err
	}
	p.move(index, want, have)
	return nil
}

// withoutTargets is the part of a document that CreateSecurityProfile takes.
func withoutTargets(p *profile.Profile) *profile.Profile {
	document := *p
	document.Targets = nil
	return &document
}

// documentChanges are those of the part that UpdateSecurityProfile takes.
func documentChanges(have, want *profile.Profile) []profilefile.Change {
	document := withoutTargets(want)
	document.Tags = nil
	return profilefile.Diff(have, document)
}

// secondOpinion asks the service about behaviors, which may know more than the
// grammar here does. It can say nothing yet of behaviors that use what is
// still to be created.
func (p *planner) secondOpinion(ctx context.Context, index int, want *profile.Profile) error {
	metrics, dimensions := references([]profile.Profile{*want})
	if len(want.Behaviors) == 0 || slices.ContainsFunc(append(metrics, dimensions...), func(name string) bool { return p.created[name] }) {
		return nil
	}
	if slices.ContainsFunc(p.problems, func(problem profile.Problem) bool { return problem.Rule != "second-opinion" }) {
		return nil // it would say the same again
	}
	out, err := p.c.IoT.ValidateSecurityProfileBehaviors(ctx, &iot.ValidateSecurityProfileBehaviorsInput{Behaviors: mapped(want.Behaviors, behaviorTo)})
	if err != nil {
		return p.c.failed("validate the behaviors of security profile "+want.Name, err)
	}
	for _, e := range out.ValidationErrors {
		p.problem(profilefile.ProfileDocument, index, profile.Problem{Path: "behaviors", Rule: "second-opinion", Message: "AWS IoT: " + aws.ToString(e.ErrorMessage)})
	}
	return nil
}

// createProfile creates a profile. That it's there is no error when it's there
// as it should be: an earlier try of the same call may have got through
// although its answer was lost.
func (c *Client) createProfile(ctx context.Context, p *profile.Profile) error {
	_, err := c.IoT.CreateSecurityProfile(ctx, &iot.CreateSecurityProfileInput{
		SecurityProfileName: aws.String(p.Name), SecurityProfileDescription: optional(p.Description),
		Behaviors: mapped(p.Behaviors, behaviorTo), AlertTargets: alertTargetsTo(p.AlertTargets),
		//lint:ignore SA1019 a file may say so, as the best-known profile does
		AdditionalMetricsToRetain:   emptyIsNil(p.AdditionalMetricsToRetain),
		AdditionalMetricsToRetainV2: mapped(p.AdditionalMetricsToRetainV2, retainedTo),
		MetricsExportConfig:         exportConfigTo(p.MetricsExportConfig), Tags: tagsTo(p.Tags),
	})
	_, err = c.settled(ctx, p, c.failed("create security profile "+p.Name, err))
	return err
}

// settled forgives a conflict with what was wanted anyway, and returns its
// version then.
func (c *Client) settled(ctx context.Context, want *profile.Profile, err error) (version int64, _ error) {
	if !isConflict(err) && !isThere(err) {
		return 0, err
	}
	there, otherErr := c.describeProfile(ctx, want.Name)
	if otherErr == nil && documentChanges(&there.Profile, want) == nil {
		return there.Version, nil
	}
	return 0, c.planned(err)
}

// updateProfile makes a profile what is wanted, unless it's no longer what it
// was when it was read. Members that don't change are left out, and stay.
func (c *Client) updateProfile(ctx context.Context, have *AccountProfile, want *profile.Profile, changes []profilefile.Change) error {
	version := have.Version
	in := &iot.UpdateSecurityProfileInput{SecurityProfileName: aws.String(want.Name)}
	if changed(changes, "securityProfileDescription") {
		in.SecurityProfileDescription = aws.String(want.Description)
	}
	// A list is either given or deleted: both is an error, and an empty list
	// does not empty what is there. An absent one is nil, or it would be sent.
	if changed(changes, "behaviors") {
		in.Behaviors = mapped(want.Behaviors, behaviorTo)
		in.DeleteBehaviors = in.Behaviors == nil
	}
	if changed(changes, "alertTargets") {
		in.AlertTargets = alertTargetsTo(want.AlertTargets)
		in.DeleteAlertTargets = in.AlertTargets == nil
	}
	if changed(changes, "metricsExportConfig") {
		in.MetricsExportConfig = exportConfigTo(want.MetricsExportConfig)
		in.DeleteMetricsExportConfig = in.MetricsExportConfig == nil
	}
	if changed(changes, "additionalMetricsToRetainV2") {
		names, metrics := emptyIsNil(want.AdditionalMetricsToRetain), mapped(want.AdditionalMetricsToRetainV2, retainedTo)
		//lint:ignore SA1019 as in createProfile
		in.AdditionalMetricsToRetain = names
		in.AdditionalMetricsToRetainV2 = metrics
		in.DeleteAdditionalMetricsToRetain = names == nil && metrics == nil
		// There are two lists and one flag for both, so that one list cannot be
		// emptied while the other is given.
		stays := have.AdditionalMetricsToRetain != nil && names == nil || have.AdditionalMetricsToRetainV2 != nil && metrics == nil
		if stays && !in.DeleteAdditionalMetricsToRetain {
			var err error
			if version, err = c.retainNothing(ctx, have); err != nil {
				return err
			}
		}
	}
	in.ExpectedVersion = aws.Int64(version)
	_, err := c.IoT.UpdateSecurityProfile(ctx, in)
	_, err = c.settled(ctx, want, c.failed("update security profile "+want.Name, err))
	return err
}

// retainNothing empties both retain lists, and returns the version that has
// nothing else changed.
func (c *Client) retainNothing(ctx context.Context, have *AccountProfile) (version int64, err error) {
	out, err := c.IoT.UpdateSecurityProfile(ctx, &iot.UpdateSecurityProfileInput{
		SecurityProfileName: aws.String(have.Name), ExpectedVersion: aws.Int64(have.Version), DeleteAdditionalMetricsToRetain: true,
	})
	if err == nil {
		return out.Version, nil
	}
	err = c.failed("update security profile "+have.Name, err)
	emptied := have.Profile
	emptied.AdditionalMetricsToRetain, emptied.AdditionalMetricsToRetainV2 = nil, nil
	return c.settled(ctx, &emptied, err)
}

// changed reports whether a member of the document is among the changes.
func changed(changes []profilefile.Change, member string) bool {
	return slices.ContainsFunc(changes, func(c profilefile.Change) bool {
		rest, ok := strings.CutPrefix(c.Path, member)
		return ok && (rest == "" || rest[0] == '.' || rest[0] == '[')
	})
}
