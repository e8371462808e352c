package cloud

import (
	"context"
	"errors"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iot"
)

// Registry is the things and thing groups of an account, and which things are in which
// groups themselves.
type Registry struct {
	Things  []Thing
	Groups  map[string]ThingGroup
	Members map[string][]string // thing -> groups
}

// ReadRegistry reads the registry: all pages of the things, of the groups, and of the things
// in each group, at the pace of the other lists. Groups that the old registry has are not
// described again, as a group stays below its parent; nil is none. What is changed meanwhile
// may be read or not.
func (c *Client) ReadRegistry(ctx context.Context, old *Registry) (*Registry, error) {
	r := &Registry{Groups: map[string]ThingGroup{}, Members: map[string][]string{}}
	names, err := c.Groups(ctx, "")
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		if old != nil {
			if g, ok := old.Groups[name]; ok {
				r.Groups[name] = g
				continue
			}
		}
		g, err := c.Group(ctx, name)
		if isNotFound(err) {
			continue // deleted since
		}
		if err != nil {
			return nil, err
		}
		r.Groups[name] = *g
	}
	for _, name := range names {
		things, err := c.ThingsInGroup(ctx, name, false)
		if isNotFound(err) {
			delete(r.Groups, name)
			continue
		}
		if err != nil {
			return nil, err
		}
		for _, thing := range things {
			r.Members[thing] = append(r.Members[thing], name)
		}
	}
	r.Things, err = c.ThingList(ctx)
	return r, err
}

// RegistryThing reads one thing of the registry with its groups. ok is false when there is
// none of the name.
func (c *Client) RegistryThing(ctx context.Context, name string) (t Thing, groups []string, ok bool, err error) {
	out, err := c.IoT.DescribeThing(ctx, &iot.DescribeThingInput{ThingName: aws.String(name)})
	if isNotFound(err) {
		return t, nil, false, nil
	}
	if err != nil {
		return t, nil, false, c.failed("describe thing "+name, err)
	}
	groups, err = c.GroupsOf(ctx, name)
	if isNotFound(err) {
		return t, nil, false, nil
	}
	return Thing{name, out.Attributes, out.Version}, groups, err == nil, err
}

// Parent returns the group directly above a group; "" when there is none.
func (g *ThingGroup) Parent() string {
	if len(g.Above) == 0 {
		return ""
	}
	return g.Above[len(g.Above)-1]
}

// AddOverriding puts a thing into a group, and takes it out of a dynamic group for that
// when it is in as many as it can be.
func (c *Client) AddOverriding(ctx context.Context, thing, group string) error {
	_, err := c.IoT.AddThingToThingGroup(ctx, &iot.AddThingToThingGroupInput{
		ThingName: aws.String(thing), ThingGroupName: aws.String(group), OverrideDynamicGroups: true,
	})
	return c.failed("add thing "+thing+" to group "+group, err)
}

// Answer returns the code and message of an error that AWS, or a service of ours, has
// answered; ok is false when it is none.
func Answer(err error) (code, message string, ok bool) {
	f, ok := errors.AsType[*failure](err)
	if !ok {
		return "", "", false
	}
	message = f.message
	if f.missing != "" {
		message = strings.TrimSpace(message + " (needs the permission " + f.missing + ")")
	}
	return f.code, message, true
}
