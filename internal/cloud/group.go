package cloud

import (
	"context"
	"slices"

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
