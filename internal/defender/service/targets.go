package service

import (
	"fmt"
	"iter"
	"strings"

	"go.etcd.io/bbolt"

	"github.com/device-defender/device-defender/internal/defender/profile"
)

// target reads the ARN of what a profile is attached to. It has to be of this
// account and region.
func (s *Service) target(arn string) (profile.Target, error) {
	if !strings.HasPrefix(arn, "arn:") {
		return profile.Target{}, invalidRequest(fmt.Sprintf("securityProfileTargetArn %q is not an ARN", clip(arn)))
	}
	t, err := profile.ParseTarget(arn)
	if err != nil {
		return t, invalidRequest(clip(err.Error()))
	}
	if t.Region != s.options.Region || t.Account != s.options.Account {
		return t, invalidRequest(fmt.Sprintf("securityProfileTargetArn %s is not of account %s in %s", clip(arn), s.options.Account, s.options.Region))
	}
	return t, nil
}

// getTarget reads the query's target, which has to exist.
func (s *Service) getTarget(tx *bbolt.Tx, t profile.Target) error {
	if t.Kind != profile.ThingGroup {
		return nil
	}
	_, err := getGroup(tx, t.Group)
	return err
}

// profileAndTarget returns the operands of attaching and detaching.
func (s *Service) profileAndTarget(r *request) (name string, t profile.Target, err error) {
	if name, err = r.checkedName("securityProfileName"); err != nil {
		return name, t, err
	}
	arn, err := r.queryRequired("securityProfileTargetArn")
	if err != nil {
		return name, t, err
	}
	t, err = s.target(arn)
	return name, t, err
}

func targetKey(name, arn string) []byte { return []byte(name + "\x00" + arn) }

// attachSecurityProfile attaches a profile. One that is attached stays so.
func attachSecurityProfile(s *Service, r *request) (any, error) {
	name, t, err := s.profileAndTarget(r)
	if err != nil {
		return nil, err
	}
	arn := t.ARN(s.options.Region, s.options.Account)
	return struct{}{}, s.write(func(tx *bbolt.Tx) error {
		if _, err := getProfile(tx, name); err != nil {
			return err
		}
		if err := s.getTarget(tx, t); err != nil {
			return err
		}
		if tx.Bucket(bucketTargets).Get(targetKey(name, arn)) != nil {
			return nil
		}
		attached := 0
		for other, target := range attachments(tx, "") {
			if target == arn && other != name {
				attached++
			}
		}
		if attached >= profile.MaxProfilesPerTarget {
			return limitExceeded(fmt.Sprintf("%s has %d security profiles, and can have no more", arn, attached))
		}
		if err := tx.Bucket(bucketTargets).Put(targetKey(name, arn), []byte{}); err != nil {
			return err
		}
		return s.profileChanged(tx, name)
	})
}

// detachSecurityProfile detaches a profile from a target that it may not be
// attached to.
func detachSecurityProfile(s *Service, r *request) (any, error) {
	name, t, err := s.profileAndTarget(r)
	if err != nil {
		return nil, err
	}
	arn := t.ARN(s.options.Region, s.options.Account)
	return struct{}{}, s.write(func(tx *bbolt.Tx) error {
		if _, err := getProfile(tx, name); err != nil {
			return err
		}
		if err := s.getTarget(tx, t); err != nil {
			return err
		}
		if tx.Bucket(bucketTargets).Get(targetKey(name, arn)) == nil {
			return nil
		}
		if err := tx.Bucket(bucketTargets).Delete(targetKey(name, arn)); err != nil {
			return err
		}
		return s.profileChanged(tx, name)
	})
}

// attachments yields which profile is attached to which target, in the order
// of the keys, from the key after the given one.
func attachments(tx *bbolt.Tx, after string) iter.Seq2[string, string] {
	return func(yield func(string, string) bool) {
		for key := range keysAfter(tx, bucketTargets, "", after) {
			name, arn, _ := strings.Cut(key, "\x00")
			if !yield(name, arn) {
				return
			}
		}
	}
}

// arnOnly is a SecurityProfileTarget.
type arnOnly struct {
	ARN string `json:"arn"`
}

func listTargetsForSecurityProfile(s *Service, r *request) (any, error) {
	name, err := r.checkedName("securityProfileName")
	if err != nil {
		return nil, err
	}
	return answerList(s, r, "securityProfileTargets", func(tx *bbolt.Tx, after string, yield func(string, arnOnly) bool) error {
		if _, err := getProfile(tx, name); err != nil {
			return err
		}
		for arn := range keysAfter(tx, bucketTargets, name+"\x00", after) {
			if !yield(arn, arnOnly{arn}) {
				break
			}
		}
		return nil
	})
}

// listSecurityProfilesForTarget lists what is attached to the target itself
// and, when recursive is true, to the thing groups below it.
func listSecurityProfilesForTarget(s *Service, r *request) (any, error) {
	arn, err := r.queryRequired("securityProfileTargetArn")
	if err != nil {
		return nil, err
	}
	t, err := s.target(arn)
	if err != nil {
		return nil, err
	}
	recursive, err := r.queryBool("recursive")
	if err != nil {
		return nil, err
	}
	type mapping struct {
		Identifier nameAndARN `json:"securityProfileIdentifier"`
		Target     arnOnly    `json:"target"`
	}
	return answerList(s, r, "securityProfileTargetMappings", func(tx *bbolt.Tx, after string, yield func(string, mapping) bool) error {
		if err := s.getTarget(tx, t); err != nil {
			return err
		}
		wanted := map[string]bool{t.ARN(s.options.Region, s.options.Account): true}
		if recursive != nil && *recursive && t.Kind == profile.ThingGroup {
			groups, err := groupsBelow(tx, t.Group)
			if err != nil {
				return err
			}
			for group := range groups {
				wanted[s.groupARN(group)] = true
			}
		}
		for name, target := range attachments(tx, after) {
			if wanted[target] && !yield(name+"\x00"+target, mapping{nameAndARN{name, s.profileARN(name)}, arnOnly{target}}) {
				break
			}
		}
		return nil
	})
}
