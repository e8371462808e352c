package service

import (
	"fmt"
	"iter"
	"strings"

	"github.com/device-defender/device-defender/internal/defender/awsrest"
	"github.com/device-defender/device-defender/internal/defender/profile"
	"github.com/device-defender/device-defender/internal/defender/store"
)

// target reads the ARN of what a profile is attached to. It has to be of this
// account and region.
func (s *Service) target(arn string) (profile.Target, error) {
	if !strings.HasPrefix(arn, "arn:") {
		return profile.Target{}, awsrest.Invalid(fmt.Sprintf("securityProfileTargetArn %q is not an ARN", awsrest.Clip(arn)))
	}
	t, err := profile.ParseTarget(arn)
	if err != nil {
		return t, awsrest.Invalid(awsrest.Clip(err.Error()))
	}
	if t.Region != s.options.Region || t.Account != s.options.Account {
		return t, awsrest.Invalid(fmt.Sprintf("securityProfileTargetArn %s is not of account %s in %s", awsrest.Clip(arn), s.options.Account, s.options.Region))
	}
	return t, nil
}

// getTarget reads the query's target, which has to exist.
func (s *Service) getTarget(view *store.Reader, t profile.Target) error {
	if t.Kind != profile.ThingGroup {
		return nil
	}
	_, err := getGroup(view, t.Group)
	return err
}

// profileAndTarget returns the operands of attaching and detaching.
func (s *Service) profileAndTarget(r *awsrest.Request) (name string, t profile.Target, err error) {
	arn, err := r.QueryRequired("securityProfileTargetArn")
	if err != nil {
		return "", t, err
	}
	t, err = s.target(arn)
	return r.Name("securityProfileName"), t, err
}

// attachSecurityProfile attaches a profile. One that is attached stays so.
func (s *Service) attachSecurityProfile(r *awsrest.Request) (any, error) {
	name, t, err := s.profileAndTarget(r)
	if err != nil {
		return nil, err
	}
	arn := t.ARN(s.options.Region, s.options.Account)
	return struct{}{}, s.write(r.Context(), func(tx *store.Tx) error {
		if _, err := getProfile(&tx.Reader, name); err != nil {
			return err
		}
		if t.Kind == profile.ThingGroup {
			if _, err := getGroupForUpdate(tx, t.Group); err != nil {
				return err
			}
		}
		key := pairKey(name, arn)
		if there, err := tableTargets.has(&tx.Reader, key); err != nil || there {
			return err
		}
		attached := 0
		for a, err := range attachments(&tx.Reader, "") {
			if err != nil {
				return err
			}
			if a.target == arn {
				attached++
			}
		}
		if attached >= profile.MaxProfilesPerTarget {
			return awsrest.LimitExceeded(fmt.Sprintf("%s has %d security profiles, and can have no more", arn, attached))
		}
		if err := tableTargets.Put(tx, key, struct{}{}); err != nil {
			return err
		}
		return s.profileChanged(tx, name)
	})
}

// detachSecurityProfile detaches a profile from a target that it may not be
// attached to.
func (s *Service) detachSecurityProfile(r *awsrest.Request) (any, error) {
	name, t, err := s.profileAndTarget(r)
	if err != nil {
		return nil, err
	}
	arn := t.ARN(s.options.Region, s.options.Account)
	return struct{}{}, s.write(r.Context(), func(tx *store.Tx) error {
		if _, err := getProfile(&tx.Reader, name); err != nil {
			return err
		}
		key := pairKey(name, arn)
		there, err := tableTargets.has(&tx.Reader, key)
		if err != nil {
			return err
		}
		if !there { // a group that another registry has no more can be detached from
			return s.getTarget(&tx.Reader, t)
		}
		if err := tableTargets.Delete(tx, key); err != nil {
			return err
		}
		return s.profileChanged(tx, name)
	})
}

// attachment is a profile and a target that it is attached to.
type attachment struct{ profile, target string }

// attachments yields which profile is attached to which target, in the order
// of the keys, from the key after the given one.
func attachments(view *store.Reader, after string) iter.Seq2[attachment, error] {
	return func(yield func(attachment, error) bool) {
		for key, err := range tableTargets.keysAfter(view, "", after) {
			name, arn, _ := strings.Cut(key, "\x00")
			if !yield(attachment{name, arn}, err) {
				return
			}
		}
	}
}

// arnOnly is a SecurityProfileTarget.
type arnOnly struct {
	ARN string `json:"arn"`
}

func (s *Service) listTargetsForSecurityProfile(r *awsrest.Request) (any, error) {
	name := r.Name("securityProfileName")
	return answerList(s, r, "securityProfileTargets", func(view *store.Reader, after string, yield func(string, arnOnly) bool) error {
		if _, err := getProfile(view, name); err != nil {
			return err
		}
		return giveKeys(tableTargets.keysAfter(view, name+"\x00", after), yield, func(arn string) arnOnly { return arnOnly{arn} })
	})
}

// listSecurityProfilesForTarget lists what is attached to the target itself
// and, when recursive is true, to the thing groups below it.
func (s *Service) listSecurityProfilesForTarget(r *awsrest.Request) (any, error) {
	arn, err := r.QueryRequired("securityProfileTargetArn")
	if err != nil {
		return nil, err
	}
	t, err := s.target(arn)
	if err != nil {
		return nil, err
	}
	recursive, err := r.QueryBool("recursive")
	if err != nil {
		return nil, err
	}
	type mapping struct {
		Identifier nameAndARN `json:"securityProfileIdentifier"`
		Target     arnOnly    `json:"target"`
	}
	return answerList(s, r, "securityProfileTargetMappings", func(view *store.Reader, after string, yield func(string, mapping) bool) error {
		if err := s.getTarget(view, t); err != nil {
			return err
		}
		wanted := map[string]bool{t.ARN(s.options.Region, s.options.Account): true}
		if recursive != nil && *recursive && t.Kind == profile.ThingGroup {
			groups, err := groupsBelow(view, t.Group)
			if err != nil {
				return err
			}
			for group := range groups {
				wanted[s.groupARN(group)] = true
			}
		}
		for a, err := range attachments(view, after) {
			if err != nil {
				return err
			}
			if wanted[a.target] && !yield(pairKey(a.profile, a.target), mapping{nameAndARN{a.profile, s.profileARN(a.profile)}, arnOnly{a.target}}) {
				break
			}
		}
		return nil
	})
}
