package cloud

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iot"
	"github.com/aws/aws-sdk-go-v2/service/iot/types"
)

// GroupsOf returns the thing groups that a thing is in itself, sorted.
func (c *Client) GroupsOf(ctx context.Context, thing string) ([]string, error) {
	pages := iot.NewListThingGroupsForThingPaginator(c.IoT, &iot.ListThingGroupsForThingInput{
		ThingName: aws.String(thing), MaxResults: aws.Int32(maxResults),
	})
	groups, err := listed(ctx, c, "list the groups of thing "+thing, pages, func(page *iot.ListThingGroupsForThingOutput) []string {
		return mapped(page.ThingGroups, func(g types.GroupNameAndArn) string { return aws.ToString(g.GroupName) })
	})
	slices.Sort(groups)
	return groups, err
}

// Groups returns the names of the thing groups below a parent, or of all when it is "", by
// name.
func (c *Client) Groups(ctx context.Context, parent string) ([]string, error) {
	in := &iot.ListThingGroupsInput{ParentGroup: optional(parent), MaxResults: aws.Int32(maxResults)}
	what := "list thing groups"
	if parent != "" {
		what += " below " + parent
	}
	groups, err := listed(ctx, c, what, iot.NewListThingGroupsPaginator(c.IoT, in), func(page *iot.ListThingGroupsOutput) []string {
		return mapped(page.ThingGroups, func(g types.GroupNameAndArn) string { return aws.ToString(g.GroupName) })
	})
	slices.Sort(groups)
	return groups, err
}

// ThingGroup is a thing group of the account.
type ThingGroup struct {
	Name        string
	ARN         string
	Description string
	Attributes  map[string]string
	Version     int64
	Created     time.Time
	Above       []string // groups above it, the topmost first
	Query       string   // of a dynamic group
}

// Group returns a thing group. The error is a ResourceNotFoundException when there is none
// of that name.
func (c *Client) Group(ctx context.Context, name string) (*ThingGroup, error) {
	out, err := c.IoT.DescribeThingGroup(ctx, &iot.DescribeThingGroupInput{ThingGroupName: aws.String(name)})
	if err != nil {
		return nil, c.failed("describe thing group "+name, err)
	}
	g := &ThingGroup{Name: name, ARN: aws.ToString(out.ThingGroupArn), Version: out.Version, Query: aws.ToString(out.QueryString)}
	if p := out.ThingGroupProperties; p != nil {
		g.Description = aws.ToString(p.ThingGroupDescription)
		if p.AttributePayload != nil {
			g.Attributes = p.AttributePayload.Attributes
		}
	}
	if m := out.ThingGroupMetadata; m != nil {
		g.Created = aws.ToTime(m.CreationDate)
		g.Above = mapped(m.RootToParentThingGroups, func(g types.GroupNameAndArn) string { return aws.ToString(g.GroupName) })
	}
	return g, nil
}

// ThingsInGroup returns the things of a group by name, with those of the groups below it
// if recursive.
func (c *Client) ThingsInGroup(ctx context.Context, group string, recursive bool) ([]string, error) {
	pages := iot.NewListThingsInThingGroupPaginator(c.IoT, &iot.ListThingsInThingGroupInput{
		ThingGroupName: aws.String(group), Recursive: recursive, MaxResults: aws.Int32(maxResults),
	})
	things, err := listed(ctx, c, "list the things in group "+group, pages, func(page *iot.ListThingsInThingGroupOutput) []string { return page.Things })
	slices.Sort(things)
	return things, err
}

// ProfilesOfGroup returns the security profiles attached to a group itself, by name.
func (c *Client) ProfilesOfGroup(ctx context.Context, g *ThingGroup) ([]string, error) {
	names, err := c.attachedTo(ctx, g.ARN)
	slices.Sort(names)
	return names, err
}

// CreateGroup creates a thing group. One that exists and is the same stays as it is.
func (c *Client) CreateGroup(ctx context.Context, name, parent, description string, attributes map[string]string) error {
	in := &iot.CreateThingGroupInput{ThingGroupName: aws.String(name), ParentGroupName: optional(parent)}
	if description != "" || len(attributes) > 0 {
		in.ThingGroupProperties = &types.ThingGroupProperties{ThingGroupDescription: optional(description)}
		if len(attributes) > 0 {
			in.ThingGroupProperties.AttributePayload = &types.AttributePayload{Attributes: attributes}
		}
	}
	_, err := c.IoT.CreateThingGroup(ctx, in)
	return c.failed("create thing group "+name, err)
}

// PlanDeleteGroups finds out what deleting groups does. All of them have to exist.
func (c *Client) PlanDeleteGroups(ctx context.Context, names []string) (*Setup, error) {
	moving, unknown := c.MitigationActions(ctx)
	var groups []*ThingGroup
	for _, name := range names {
		g, err := c.Group(ctx, name)
		if err != nil {
			return nil, err
		}
		below, err := c.Groups(ctx, name)
		if err != nil {
			return nil, err
		}
		for _, child := range below {
			if !slices.Contains(names, child) {
				return nil, fmt.Errorf("thing group %s has child groups, such as %s: delete them first", name, child)
			}
		}
		groups = append(groups, g)
	}
	// A group is deleted after those below it.
	slices.SortStableFunc(groups, func(a, b *ThingGroup) int { return len(b.Above) - len(a.Above) })
	plan := &Setup{}
	for _, g := range groups {
		name := g.Name
		things, err := c.ThingsInGroup(ctx, name, false)
		if err != nil {
			return nil, err
		}
		profiles, err := c.ProfilesOfGroup(ctx, g)
		unknown = cmp.Or(unknown, err)
		note := g.deletionNote(things, profiles, moving)
		plan.Steps = append(plan.Steps, SetupStep{What: "delete thing group " + name, Note: note, Deletes: true, run: func(ctx context.Context) error {
			var err error
			if g.Query == "" {
				_, err = c.IoT.DeleteThingGroup(ctx, &iot.DeleteThingGroupInput{ThingGroupName: aws.String(name)})
			} else {
				_, err = c.IoT.DeleteDynamicThingGroup(ctx, &iot.DeleteDynamicThingGroupInput{ThingGroupName: aws.String(name)})
			}
			return c.failed("delete thing group "+name, err)
		}})
	}
	if unknown != nil {
		plan.Hints = append(plan.Hints, notKnown(unknown))
	}
	return plan, nil
}

// deletionNote says what goes with a group.
func (g *ThingGroup) deletionNote(things, profiles []string, moving []MitigationAction) string {
	var actions []string
	for _, a := range moving {
		if p := a.Params.AddThingsToThingGroup; p != nil && slices.Contains(p.ThingGroupNames, g.Name) {
			actions = append(actions, a.Name)
		}
	}
	var parts []string
	if len(things) > 0 {
		parts = append(parts, fmt.Sprintf("things that leave it: %d", len(things)))
	}
	if len(profiles) > 0 {
		parts = append(parts, "security profiles that no longer apply by it: "+strings.Join(profiles, ", "))
	}
	if len(actions) > 0 {
		parts = append(parts, "mitigation actions that fail without it: "+strings.Join(actions, ", "))
	}
	return strings.Join(parts, "; ")
}

// AddToGroup puts a thing into a group.
func (c *Client) AddToGroup(ctx context.Context, thing, group string) error {
	_, err := c.IoT.AddThingToThingGroup(ctx, &iot.AddThingToThingGroupInput{
		ThingName: aws.String(thing), ThingGroupName: aws.String(group),
	})
	return c.failed("add thing "+thing+" to group "+group, err)
}

// RemoveFromGroup takes a thing out of a group.
func (c *Client) RemoveFromGroup(ctx context.Context, thing, group string) error {
	_, err := c.IoT.RemoveThingFromThingGroup(ctx, &iot.RemoveThingFromThingGroupInput{
		ThingName: aws.String(thing), ThingGroupName: aws.String(group),
	})
	return c.failed("remove thing "+thing+" from group "+group, err)
}

// MitigationGroups returns the groups that the account's mitigation actions
// add things to, sorted.
func (c *Client) MitigationGroups(ctx context.Context) ([]string, error) {
	actions, err := c.MitigationActions(ctx)
	if err != nil {
		return nil, err
	}
	var groups []string
	for _, a := range actions {
		if a.Params.AddThingsToThingGroup != nil {
			groups = append(groups, a.Params.AddThingsToThingGroup.ThingGroupNames...)
		}
	}
	slices.Sort(groups)
	return slices.Compact(groups), nil
}

// planGroup looks for a thing group that an action needs.
func (c *Client) planGroup(ctx context.Context, name string) (SetupStep, error) {
	_, err := c.IoT.DescribeThingGroup(ctx, &iot.DescribeThingGroupInput{ThingGroupName: aws.String(name)})
	switch {
	case isNotFound(err):
		return SetupStep{What: "create thing group " + name, Note: "without a policy it changes nothing for its things", run: func(ctx context.Context) error {
			_, err := c.IoT.CreateThingGroup(ctx, &iot.CreateThingGroupInput{ThingGroupName: aws.String(name)})
			return c.failed("create thing group "+name, err)
		}}, nil
	case err != nil:
		return SetupStep{}, c.failed("describe thing group "+name, err)
	}
	return SetupStep{What: "thing group " + name, Done: true}, nil
}
