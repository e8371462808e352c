package service

import (
	"fmt"
	"slices"
	"strings"

	"github.com/device-defender/device-defender/internal/defender/awsrest"
	"github.com/device-defender/device-defender/internal/defender/profile"
	"github.com/device-defender/device-defender/internal/defender/store"
)

// tag is a tag of a resource, as the API has it. A value may be absent, which
// isn't the same as empty.
type tag struct {
	Key   string  `json:"Key"`
	Value *string `json:"Value,omitempty"`
}

// plainTags are the tags as a document has them.
func plainTags(tags []tag) []profile.Tag {
	var plain []profile.Tag
	for _, t := range tags {
		plain = append(plain, profile.Tag{Key: t.Key})
		if t.Value != nil {
			plain[len(plain)-1].Value = *t.Value
		}
	}
	return plain
}

// taggable are the types of resources that can have tags, as ARNs spell them,
// and the tables that they are in. AWS has no tags for things.
var taggable = map[string]store.Table[struct{}]{
	"securityprofile":  tableProfiles.keys,
	"custommetric":     tableMetrics.keys,
	"dimension":        tableDimensions.keys,
	"mitigationaction": tableActions.keys,
	"thinggroup":       tableGroups.keys,
}

// resource returns the type and name of a resource of this account that can
// have tags.
func (s *Service) resource(arn string) (kind, name string, err error) {
	prefix := s.arn("")
	rest, ours := strings.CutPrefix(arn, prefix)
	kind, name, found := strings.Cut(rest, "/")
	if _, known := taggable[kind]; !ours || !found || !known || profile.CheckName(name) != nil {
		return "", "", awsrest.Invalid(fmt.Sprintf("resourceArn %q is not the ARN of a security profile, custom metric, dimension, mitigation action or thing group, as %ssecurityprofile/NAME", awsrest.Clip(arn), prefix))
	}
	return kind, name, nil
}

// resourceTags returns the tags of a resource that has to be there.
func (s *Service) resourceTags(view *store.Reader, arn string) ([]tag, error) {
	kind, name, err := s.resource(arn)
	if err != nil {
		return nil, err
	}
	if _, there, err := taggable[kind].Get(view, name); err != nil {
		return nil, err
	} else if !there {
		return nil, awsrest.NotFound(fmt.Sprintf("Resource %s does not exist", arn))
	}
	tags, _, err := tableTags.Get(view, arn)
	return tags, err
}

func checkTags(tags []tag) error { return checkProblems(profile.CheckTags(plainTags(tags))) }

// deleteTags forgets the tags of a resource that is deleted.
func deleteTags(tx *store.Tx, arn string) error { return putTags(tx, arn, nil) }

// putTags stores all tags of a resource, which have been checked.
func putTags(tx *store.Tx, arn string, tags []tag) error {
	if len(tags) == 0 {
		return tableTags.Delete(tx, arn)
	}
	return tableTags.Put(tx, arn, tags)
}

// listTagsForResource answers all tags: there are 50 at most, so that there is
// no second page and no token is good.
func (s *Service) listTagsForResource(r *awsrest.Request) (any, error) {
	arn, err := r.QueryRequired("resourceArn")
	if err != nil {
		return nil, err
	}
	if r.Has("nextToken") {
		return nil, awsrest.Invalid("nextToken is not one that this operation answered")
	}
	var out struct {
		Tags []tag `json:"tags"`
	}
	err = s.read(r.Context(), func(view *store.Reader) (err error) {
		out.Tags, err = s.resourceTags(view, arn)
		return err
	})
	if out.Tags == nil {
		out.Tags = []tag{}
	}
	return out, err
}

func (s *Service) tagResource(r *awsrest.Request) (any, error) {
	var in struct {
		ARN  *string `json:"resourceArn"`
		Tags []tag   `json:"tags"`
	}
	if err := r.Decode(&in); err != nil {
		return nil, err
	}
	switch {
	case in.ARN == nil:
		return nil, awsrest.Missing("resourceArn")
	case in.Tags == nil:
		return nil, awsrest.Missing("tags")
	}
	return struct{}{}, s.write(r.Context(), func(tx *store.Tx) error {
		tags, err := s.resourceTags(&tx.Reader, *in.ARN)
		if err != nil {
			return err
		}
		if err := checkTags(in.Tags); err != nil {
			return err
		}
		for _, given := range in.Tags {
			if i := slices.IndexFunc(tags, func(t tag) bool { return t.Key == given.Key }); i >= 0 {
				tags[i] = given
			} else {
				tags = append(tags, given)
			}
		}
		if len(tags) > profile.MaxTags {
			return awsrest.LimitExceeded(fmt.Sprintf("%s would have %d tags, and can have %d", *in.ARN, len(tags), profile.MaxTags))
		}
		return putTags(tx, *in.ARN, tags)
	})
}

// untagResource removes tags, of which some may not be there.
func (s *Service) untagResource(r *awsrest.Request) (any, error) {
	var in struct {
		ARN  *string  `json:"resourceArn"`
		Keys []string `json:"tagKeys"`
	}
	if err := r.Decode(&in); err != nil {
		return nil, err
	}
	switch {
	case in.ARN == nil:
		return nil, awsrest.Missing("resourceArn")
	case in.Keys == nil:
		return nil, awsrest.Missing("tagKeys")
	}
	for _, key := range in.Keys {
		if len(profile.CheckTags([]profile.Tag{{Key: key}})) > 0 {
			return nil, awsrest.Constraint("tagKeys", key, `Member must have 1 to 128 characters, satisfy regular expression pattern ^([\p{L}\p{Z}\p{N}_.:/=+\-@]*)$ and not begin with aws:`)
		}
	}
	return struct{}{}, s.write(r.Context(), func(tx *store.Tx) error {
		tags, err := s.resourceTags(&tx.Reader, *in.ARN)
		if err != nil {
			return err
		}
		return putTags(tx, *in.ARN, slices.DeleteFunc(tags, func(t tag) bool { return slices.Contains(in.Keys, t.Key) }))
	})
}
