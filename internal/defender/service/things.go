package service

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/device-defender/device-defender/internal/defender/awsrest"
	"github.com/device-defender/device-defender/internal/defender/store"
)

// maxThingAttributes is AWS's quota for a thing without a thing type; there
// are no thing types here.
const maxThingAttributes = 3

type storedThing struct {
	ID         string            `json:"id"`
	Attributes map[string]string `json:"attributes,omitempty"`
	Version    int64             `json:"version"`
	Created    time.Time         `json:"created"`
	// Placed are the groups that the thing is in, and those above them: a profile
	// of a group is one of the groups below it, too.
	Placed []string `json:"placed,omitempty"`
}

// attributePayload is an AttributePayload of the API.
type attributePayload struct {
	Attributes map[string]string `json:"attributes"`
	Merge      bool              `json:"merge,omitempty"`
}

// update returns what the payload of an update makes of attributes: it replaces them, or
// with merge adds to them. An empty value removes an attribute.
func (p *attributePayload) update(old map[string]string, most int) (map[string]string, error) {
	if p == nil {
		return old, nil
	}
	attributes := map[string]string{}
	if p.Merge {
		maps.Copy(attributes, old)
	}
	maps.Copy(attributes, p.Attributes)
	maps.DeleteFunc(attributes, func(_, value string) bool { return value == "" })
	return attributes, checkAttributes(attributes, most)
}

func (s *Service) thingARN(name string) string { return s.arn("thing/" + name) }

// getThing reads a thing that has to be in the registry.
func getThing(view *store.Reader, name string) (*storedThing, error) {
	return tableThings.require(view, name, "Thing %s not found")
}

var (
	attributeName  = regexp.MustCompile(`^[a-zA-Z0-9_.,@/:#-]{1,128}$`)
	attributeValue = regexp.MustCompile(`^[a-zA-Z0-9_.,@/:#-]{0,800}$`)
)

func checkAttributes(attributes map[string]string, most int) error {
	for name, value := range attributes {
		if !attributeName.MatchString(name) {
			return awsrest.Constraint("attributePayload.attributes", name, "Map keys must have 1 to 128 characters and satisfy regular expression pattern: [a-zA-Z0-9_.,@/:#-]+")
		}
		if !attributeValue.MatchString(value) {
			return awsrest.Constraint("attributePayload.attributes."+name, value, "Member must have 0 to 800 characters and satisfy regular expression pattern: [a-zA-Z0-9_.,@/:#-]*")
		}
	}
	if len(attributes) > most {
		return awsrest.Invalid(fmt.Sprintf("%d attributes, and there can be %d", len(attributes), most))
	}
	return nil
}

// thingInput is the body of CreateThing and UpdateThing.
type thingInput struct {
	TypeName        *string           `json:"thingTypeName"`
	BillingGroup    *string           `json:"billingGroupName"` // CreateThing
	Payload         *attributePayload `json:"attributePayload"`
	ExpectedVersion *int64            `json:"expectedVersion"` // UpdateThing
	RemoveType      bool              `json:"removeThingType"` // UpdateThing; no thing has a type
}

// check refuses what the registry of this service doesn't have.
func (in *thingInput) check() error {
	if in.TypeName != nil {
		if err := checkName("thingTypeName", *in.TypeName); err != nil {
			return err
		}
		return awsrest.NotFound(fmt.Sprintf("Thing type %s not found: the service has no thing types", *in.TypeName))
	}
	if in.BillingGroup != nil {
		if err := checkName("billingGroupName", *in.BillingGroup); err != nil {
			return err
		}
		return awsrest.NotFound(fmt.Sprintf("Billing group %s not found: the service has no billing groups", *in.BillingGroup))
	}
	return nil
}

// createThing creates a thing. One that is there with the same attributes is
// answered as if it were new.
func (s *Service) createThing(r *awsrest.Request) (any, error) {
	name := r.Name("thingName")
	var in thingInput
	if err := r.Decode(&in); err != nil {
		return nil, err
	}
	if err := in.check(); err != nil {
		return nil, err
	}
	stored := &storedThing{ID: awsrest.NewID(), Version: 1, Created: s.now()}
	if in.Payload != nil {
		if in.Payload.Merge {
			return nil, awsrest.Invalid("merge is valid only in UpdateThing")
		}
		stored.Attributes = in.Payload.Attributes
	}
	if err := checkAttributes(stored.Attributes, maxThingAttributes); err != nil {
		return nil, err
	}
	err := s.write(r.Context(), func(tx *store.Tx) error {
		there, err := tableThings.find(&tx.Reader, name)
		if err != nil {
			return err
		}
		if there != nil {
			if !maps.Equal(there.Attributes, stored.Attributes) {
				return awsrest.AlreadyExists(fmt.Sprintf("Thing %s already exists in account with different attributes", name), there.ID, s.thingARN(name))
			}
			stored = there
			return nil
		}
		if err := tableThings.Put(tx, name, *stored); err != nil {
			return err
		}
		return s.thingCreated(tx, name)
	})
	if err != nil {
		return nil, err
	}
	return struct {
		Name string `json:"thingName"`
		ARN  string `json:"thingArn"`
		ID   string `json:"thingId"`
	}{name, s.thingARN(name), stored.ID}, nil
}

func (s *Service) describeThing(r *awsrest.Request) (any, error) {
	name := r.Name("thingName")
	stored, err := readNamed(s, r, name, getThing)
	if err != nil {
		return nil, err
	}
	return struct {
		ClientID   string            `json:"defaultClientId"`
		Name       string            `json:"thingName"`
		ID         string            `json:"thingId"`
		ARN        string            `json:"thingArn"`
		Attributes map[string]string `json:"attributes"`
		Version    int64             `json:"version"`
	}{name, name, stored.ID, s.thingARN(name), orEmpty(stored.Attributes), stored.Version}, nil
}

// orEmpty returns the attributes as the API answers them when there are none.
func orEmpty(attributes map[string]string) map[string]string {
	if attributes == nil {
		return map[string]string{}
	}
	return attributes
}

// updateThing replaces the attributes of a thing, or merges others into them,
// where an empty value removes one.
func (s *Service) updateThing(r *awsrest.Request) (any, error) {
	name := r.Name("thingName")
	var in thingInput
	if err := r.Decode(&in); err != nil {
		return nil, err
	}
	if err := in.check(); err != nil {
		return nil, err
	}
	return struct{}{}, s.write(r.Context(), func(tx *store.Tx) error {
		stored, err := getThing(&tx.Reader, name)
		if err != nil {
			return err
		}
		if err := checkVersion("thing "+name, in.ExpectedVersion, stored.Version); err != nil {
			return err
		}
		if stored.Attributes, err = in.Payload.update(stored.Attributes, maxThingAttributes); err != nil {
			return err
		}
		stored.Version++
		return tableThings.Put(tx, name, *stored)
	})
}

// deleteThing takes a thing out of the registry and of its groups, forgets its
// certificates and all that it said; what happened to it stays. One that isn't there is deleted
// already.
func (s *Service) deleteThing(r *awsrest.Request) (any, error) {
	name := r.Name("thingName")
	expected, err := r.QueryInt("expectedVersion")
	if err != nil {
		return nil, err
	}
	return struct{}{}, s.write(r.Context(), func(tx *store.Tx) error {
		stored, err := tableThings.find(&tx.Reader, name)
		if err != nil {
			return err
		}
		if stored != nil {
			if err := checkVersion("thing "+name, expected, stored.Version); err != nil {
				return err
			}
		}
		groups, err := groupsOf(&tx.Reader, name)
		if err != nil {
			return err
		}
		for _, group := range groups {
			if err := tableMembers.Delete(tx, pairKey(group, name)); err != nil {
				return err
			}
		}
		if err := tableMemberships.deletePrefix(tx, name+"\x00"); err != nil {
			return err
		}
		if err := dropCertificates(tx, name); err != nil {
			return err
		}
		if err := tableThings.Delete(tx, name); err != nil {
			return err
		}
		return s.forgetThing(tx, name, stored != nil)
	})
}

// thingFilter is what ListThings looks for.
type thingFilter struct {
	name, value string // of an attribute; name "" is any thing
	anyValue    bool
	prefix      bool
}

func (f *thingFilter) matches(t *storedThing) bool {
	if f.name == "" {
		return true
	}
	value, found := t.Attributes[f.name]
	return found && (f.anyValue || value == f.value || f.prefix && strings.HasPrefix(value, f.value))
}

func newThingFilter(r *awsrest.Request) (*thingFilter, error) {
	f := &thingFilter{name: r.Query("attributeName"), value: r.Query("attributeValue"), anyValue: !r.Has("attributeValue")}
	switch {
	case r.Has("attributeName") && !attributeName.MatchString(f.name):
		return nil, awsrest.Constraint("attributeName", f.name, "Member must have 1 to 128 characters and satisfy regular expression pattern: [a-zA-Z0-9_.,@/:#-]+")
	case !attributeValue.MatchString(f.value):
		return nil, awsrest.Constraint("attributeValue", f.value, "Member must have 0 to 800 characters and satisfy regular expression pattern: [a-zA-Z0-9_.,@/:#-]*")
	case f.name == "" && !f.anyValue:
		return nil, awsrest.Invalid("attributeValue is given without attributeName")
	}
	prefix, err := r.QueryBool("usePrefixAttributeValue")
	f.prefix = prefix != nil && *prefix
	return f, err
}

func (s *Service) listThings(r *awsrest.Request) (any, error) {
	filter, err := newThingFilter(r)
	if err != nil {
		return nil, err
	}
	thingType, err := queryName(r, "thingTypeName")
	if err != nil {
		return nil, err
	}
	type thing struct {
		Name       string            `json:"thingName"`
		ARN        string            `json:"thingArn"`
		Attributes map[string]string `json:"attributes"`
		Version    int64             `json:"version"`
	}
	return answerList(s, r, "things", func(view *store.Reader, after string, yield func(string, thing) bool) error {
		if thingType != "" {
			return nil // no thing has a type
		}
		for entry, err := range tableThings.rowsAfter(view, "", after) {
			if err != nil {
				return err
			}
			name, stored := entry.Key, &entry.Value
			if filter.matches(stored) && !yield(name, thing{name, s.thingARN(name), orEmpty(stored.Attributes), stored.Version}) {
				break
			}
		}
		return nil
	})
}

// groupsOf returns the groups that a thing was put into, not their parents.
func groupsOf(view *store.Reader, thing string) (groups []string, err error) {
	for group, err := range tableMemberships.keysAfter(view, thing+"\x00", "") {
		if err != nil {
			return nil, err
		}
		groups = append(groups, group)
	}
	return groups, nil
}

// placesOf returns the groups that a thing is in, and those above them, in the
// order of their names.
func placesOf(view *store.Reader, thing string) ([]string, error) {
	groups, err := groupsOf(view, thing)
	for _, group := range slices.Clip(groups) {
		above, err := parentsOf(view, group)
		if err != nil {
			return nil, err
		}
		groups = append(groups, above...)
	}
	slices.Sort(groups)
	return groups, err
}

func (s *Service) listThingGroupsForThing(r *awsrest.Request) (any, error) {
	name := r.Name("thingName")
	return answerList(s, r, "thingGroups", func(view *store.Reader, after string, yield func(string, groupNameAndARN) bool) error {
		if _, err := getThing(view, name); err != nil {
			return err
		}
		for group, err := range tableMemberships.keysAfter(view, name+"\x00", after) {
			if err != nil {
				return err
			}
			if !yield(group, groupNameAndARN{group, s.groupARN(group)}) {
				break
			}
		}
		return nil
	})
}
