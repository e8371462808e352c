package service

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iot"
	"github.com/aws/aws-sdk-go-v2/service/iot/types"
	"github.com/aws/smithy-go"
)

// fixture has one of each resource: profile P version 1 attached to group g,
// custom metric m and dimension d that it uses, thing t in g, group child
// below g.
func fixture(t *testing.T, c *iot.Client) {
	t.Helper()
	ctx := t.Context()
	do := func(_ any, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	do(c.CreateCustomMetric(ctx, &iot.CreateCustomMetricInput{MetricName: aws.String("m"), MetricType: types.CustomMetricTypeNumber, ClientRequestToken: aws.String("m-token")}))
	do(c.CreateDimension(ctx, &iot.CreateDimensionInput{Name: aws.String("d"), Type: types.DimensionTypeTopicFilter, StringValues: []string{"a"}, ClientRequestToken: aws.String("d-token")}))
	do(c.CreateThingGroup(ctx, &iot.CreateThingGroupInput{ThingGroupName: aws.String("g")}))
	do(c.CreateThingGroup(ctx, &iot.CreateThingGroupInput{ThingGroupName: aws.String("child"), ParentGroupName: aws.String("g")}))
	do(c.CreateThing(ctx, &iot.CreateThingInput{ThingName: aws.String("t")}))
	do(c.AddThingToThingGroup(ctx, &iot.AddThingToThingGroupInput{ThingName: aws.String("t"), ThingGroupName: aws.String("g")}))
	do(c.CreateSecurityProfile(ctx, &iot.CreateSecurityProfileInput{SecurityProfileName: aws.String("P"), Behaviors: []types.Behavior{packetsOut("B", 5)},
		AdditionalMetricsToRetainV2: []types.MetricToRetain{
			{Metric: aws.String("m")},
			{Metric: aws.String("aws:num-messages-sent"), MetricDimension: &types.MetricDimension{DimensionName: aws.String("d")}},
		}}))
	do(c.AttachSecurityProfile(ctx, &iot.AttachSecurityProfileInput{SecurityProfileName: aws.String("P"), SecurityProfileTargetArn: aws.String(account + "thinggroup/g")}))
}

// TestErrors provokes the errors that the API documents of each operation, and
// what its reference says of patterns, ranges and combinations.
func TestErrors(t *testing.T) {
	c := newClient(t, serve(t, openService(t, Options{})))
	fixture(t, c)
	str := aws.String
	long := strings.Repeat("x", 129)
	twoOfKey := []types.Tag{{Key: str("k")}, {Key: str("k")}}
	manyTags := make([]types.Tag, 51)
	for i := range manyTags {
		manyTags[i] = types.Tag{Key: str(fmt.Sprint(i))}
	}
	group := func(name string) *string { return str(account + "thinggroup/" + name) }
	create := func(name string, change func(*iot.CreateSecurityProfileInput)) func(context.Context) error {
		return func(ctx context.Context) error {
			in := &iot.CreateSecurityProfileInput{SecurityProfileName: &name}
			if change != nil {
				change(in)
			}
			_, err := c.CreateSecurityProfile(ctx, in)
			return err
		}
	}
	update := func(change func(*iot.UpdateSecurityProfileInput)) func(context.Context) error {
		return func(ctx context.Context) error {
			in := &iot.UpdateSecurityProfileInput{SecurityProfileName: str("P")}
			change(in)
			_, err := c.UpdateSecurityProfile(ctx, in)
			return err
		}
	}
	attach := func(name string, target *string) func(context.Context) error {
		return func(ctx context.Context) error {
			_, err := c.AttachSecurityProfile(ctx, &iot.AttachSecurityProfileInput{SecurityProfileName: &name, SecurityProfileTargetArn: target})
			return err
		}
	}
	detach := func(name string, target *string) func(context.Context) error {
		return func(ctx context.Context) error {
			_, err := c.DetachSecurityProfile(ctx, &iot.DetachSecurityProfileInput{SecurityProfileName: &name, SecurityProfileTargetArn: target})
			return err
		}
	}
	metric := func(name, kind string, change func(*iot.CreateCustomMetricInput)) func(context.Context) error {
		return func(ctx context.Context) error {
			in := &iot.CreateCustomMetricInput{MetricName: &name, MetricType: types.CustomMetricType(kind)}
			if change != nil {
				change(in)
			}
			_, err := c.CreateCustomMetric(ctx, in)
			return err
		}
	}
	dimension := func(name string, values []string, change func(*iot.CreateDimensionInput)) func(context.Context) error {
		return func(ctx context.Context) error {
			in := &iot.CreateDimensionInput{Name: &name, Type: types.DimensionTypeTopicFilter, StringValues: values}
			if change != nil {
				change(in)
			}
			_, err := c.CreateDimension(ctx, in)
			return err
		}
	}
	tag := func(arn string, tags []types.Tag) func(context.Context) error {
		return func(ctx context.Context) error {
			_, err := c.TagResource(ctx, &iot.TagResourceInput{ResourceArn: &arn, Tags: tags})
			return err
		}
	}
	thing := func(name string, attributes map[string]string) func(context.Context) error {
		return func(ctx context.Context) error {
			_, err := c.CreateThing(ctx, &iot.CreateThingInput{ThingName: &name, AttributePayload: &types.AttributePayload{Attributes: attributes}})
			return err
		}
	}
	add := func(group, thing *string) func(context.Context) error {
		return func(ctx context.Context) error {
			_, err := c.AddThingToThingGroup(ctx, &iot.AddThingToThingGroupInput{ThingGroupName: group, ThingName: thing})
			return err
		}
	}
	move := func(thing *string, add, remove []string) func(context.Context) error {
		return func(ctx context.Context) error {
			_, err := c.UpdateThingGroupsForThing(ctx, &iot.UpdateThingGroupsForThingInput{ThingName: thing, ThingGroupsToAdd: add, ThingGroupsToRemove: remove})
			return err
		}
	}
	for _, test := range []struct {
		name string
		call func(context.Context) error
		is   func(error) bool
		says string // part of the message
	}{
		{"profile: name with a space", create("a b", nil), isInvalid, "'securityProfileName'"},
		{"profile: long name", create(long, nil), isInvalid, "1 to 128 characters"},
		{"profile: long description", create("Q", func(in *iot.CreateSecurityProfileInput) {
			in.SecurityProfileDescription = str(strings.Repeat("x", 1001))
		}), isInvalid, "securityProfileDescription"},
		{"profile: description of two lines", create("Q", func(in *iot.CreateSecurityProfileInput) { in.SecurityProfileDescription = str("a\nb") }), isInvalid, "securityProfileDescription"},
		{"profile: 101 behaviors", create("Q", func(in *iot.CreateSecurityProfileInput) {
			for i := range 101 {
				in.Behaviors = append(in.Behaviors, packetsOut(fmt.Sprint("B", i), 1))
			}
		}), isInvalid, "100 at most"},
		{"profile: unknown metric", create("Q", func(in *iot.CreateSecurityProfileInput) {
			in.AdditionalMetricsToRetainV2 = []types.MetricToRetain{{Metric: str("aws:destination-ip-address")}}
		}), isInvalid, "additionalMetricsToRetainV2[0].metric"},
		{"profile: custom metric that is not registered", create("Q", func(in *iot.CreateSecurityProfileInput) {
			in.AdditionalMetricsToRetainV2 = []types.MetricToRetain{{Metric: str("heat")}}
		}), isInvalid, "heat"},
		{"profile: dimension that is not there", create("Q", func(in *iot.CreateSecurityProfileInput) {
			in.AdditionalMetricsToRetainV2 = []types.MetricToRetain{{Metric: str("aws:num-messages-sent"), MetricDimension: &types.MetricDimension{DimensionName: str("nosuch")}}}
		}), isInvalid, "nosuch"},
		{"profile: consecutive datapoints", create("Q", func(in *iot.CreateSecurityProfileInput) {
			in.Behaviors = []types.Behavior{packetsOut("B", 1)}
			in.Behaviors[0].Criteria.ConsecutiveDatapointsToClear = aws.Int32(11)
		}), isInvalid, "behaviors[0].criteria.consecutiveDatapointsToClear"},
		{"profile: short role", create("Q", func(in *iot.CreateSecurityProfileInput) {
			in.AlertTargets = map[string]types.AlertTarget{"SNS": {AlertTargetArn: str("arn:aws:sns:us-east-1:123456789012:a"), RoleArn: str("role")}}
		}), isInvalid, "alertTargets.SNS.roleArn"},
		{"profile: a tag twice", create("Q", func(in *iot.CreateSecurityProfileInput) { in.Tags = twoOfKey }), isInvalid, "tags[1].Key"},
		{"profile: AWS's tag", create("Q", func(in *iot.CreateSecurityProfileInput) { in.Tags = []types.Tag{{Key: str("aws:x")}} }), isInvalid, "tags[0].Key"},
		{"profile: 51 tags", create("Q", func(in *iot.CreateSecurityProfileInput) { in.Tags = manyTags }), isInvalid, "50 at most"},
		{"profile: create again", create("P", nil), isAlreadyExists, "P already exists"},
		{"profile: update of none", func(ctx context.Context) error {
			_, err := c.UpdateSecurityProfile(ctx, &iot.UpdateSecurityProfileInput{SecurityProfileName: str("nosuch")})
			return err
		}, isNotFound, "nosuch"},
		{"profile: update of another version", update(func(in *iot.UpdateSecurityProfileInput) { in.ExpectedVersion = aws.Int64(7) }), isConflict, "is 1, not the expected 7"},
		{"profile: behaviors given and deleted", update(func(in *iot.UpdateSecurityProfileInput) {
			in.Behaviors, in.DeleteBehaviors = []types.Behavior{packetsOut("B", 1)}, true
		}), isInvalid, "deleteBehaviors"},
		{"profile: alert targets given and deleted", update(func(in *iot.UpdateSecurityProfileInput) {
			in.AlertTargets, in.DeleteAlertTargets = map[string]types.AlertTarget{"SNS": {AlertTargetArn: str("arn:aws:sns:us-east-1:123456789012:a"), RoleArn: str("arn:aws:iam::123456789012:role/r")}}, true
		}), isInvalid, "deleteAlertTargets"},
		{"profile: retained metrics given and deleted", update(func(in *iot.UpdateSecurityProfileInput) {
			in.AdditionalMetricsToRetainV2, in.DeleteAdditionalMetricsToRetain = []types.MetricToRetain{{Metric: str("aws:all-bytes-in")}}, true
		}), isInvalid, "deleteAdditionalMetricsToRetain"},
		{"profile: export given and deleted", update(func(in *iot.UpdateSecurityProfileInput) {
			in.MetricsExportConfig, in.DeleteMetricsExportConfig = &types.MetricsExportConfig{MqttTopic: str("x"), RoleArn: str("arn:aws:iam::123456789012:role/r")}, true
		}), isInvalid, "deleteMetricsExportConfig"},
		{"profile: describe none", func(ctx context.Context) error {
			_, err := c.DescribeSecurityProfile(ctx, &iot.DescribeSecurityProfileInput{SecurityProfileName: str("nosuch")})
			return err
		}, isNotFound, "nosuch"},
		{"profile: delete another version", func(ctx context.Context) error {
			_, err := c.DeleteSecurityProfile(ctx, &iot.DeleteSecurityProfileInput{SecurityProfileName: str("P"), ExpectedVersion: aws.Int64(2)})
			return err
		}, isConflict, ""},
		{"profiles: by metric and dimension", func(ctx context.Context) error {
			_, err := c.ListSecurityProfiles(ctx, &iot.ListSecurityProfilesInput{MetricName: str("m"), DimensionName: str("d")})
			return err
		}, isInvalid, "cannot be used in the same request"},
		{"profiles: by no such metric", func(ctx context.Context) error {
			_, err := c.ListSecurityProfiles(ctx, &iot.ListSecurityProfilesInput{MetricName: str("nosuch")})
			return err
		}, isNotFound, "nosuch"},
		{"profiles: by no such dimension", func(ctx context.Context) error {
			_, err := c.ListSecurityProfiles(ctx, &iot.ListSecurityProfilesInput{DimensionName: str("nosuch")})
			return err
		}, isNotFound, "nosuch"},
		{"profiles: a page of 251", func(ctx context.Context) error {
			_, err := c.ListSecurityProfiles(ctx, &iot.ListSecurityProfilesInput{MaxResults: aws.Int32(251)})
			return err
		}, isInvalid, "between 1 and 250"},
		{"profiles: a page of none", func(ctx context.Context) error {
			_, err := c.ListSecurityProfiles(ctx, &iot.ListSecurityProfilesInput{MaxResults: aws.Int32(0)})
			return err
		}, isInvalid, "between 1 and 250"},
		{"profiles: made-up token", func(ctx context.Context) error {
			_, err := c.ListSecurityProfiles(ctx, &iot.ListSecurityProfilesInput{NextToken: str("nonsense")})
			return err
		}, isInvalid, "nextToken"},
		{"validate: 101 behaviors", func(ctx context.Context) error {
			_, err := c.ValidateSecurityProfileBehaviors(ctx, &iot.ValidateSecurityProfileBehaviorsInput{Behaviors: slices.Repeat([]types.Behavior{packetsOut("B", 1)}, 101)})
			return err
		}, isInvalid, "'behaviors'"},

		{"attach: no such profile", attach("nosuch", group("g")), isNotFound, "nosuch"},
		{"attach: no such group", attach("P", group("nosuch")), isNotFound, "nosuch"},
		{"attach: not an ARN", attach("P", str("all/things")), isInvalid, "is not an ARN"},
		{"attach: a thing", attach("P", str(account+"thing/t")), isInvalid, "thing"},
		{"attach: another account", attach("P", str("arn:aws:iot:us-east-1:999999999999:all/things")), isInvalid, "123456789012"},
		{"attach: another region", attach("P", str("arn:aws:iot:eu-west-1:123456789012:all/things")), isInvalid, "us-east-1"},
		{"attach: another partition", attach("P", str("arn:aws-cn:iot:us-east-1:123456789012:all/things")), isInvalid, "partition"},
		{"detach: no such profile", detach("nosuch", group("g")), isNotFound, "nosuch"},
		{"detach: no such group", detach("P", group("nosuch")), isNotFound, "nosuch"},
		{"targets: no such profile", func(ctx context.Context) error {
			_, err := c.ListTargetsForSecurityProfile(ctx, &iot.ListTargetsForSecurityProfileInput{SecurityProfileName: str("nosuch")})
			return err
		}, isNotFound, "nosuch"},
		{"profiles for no such group", func(ctx context.Context) error {
			_, err := c.ListSecurityProfilesForTarget(ctx, &iot.ListSecurityProfilesForTargetInput{SecurityProfileTargetArn: group("nosuch")})
			return err
		}, isNotFound, "nosuch"},

		{"custom metric: AWS's name", metric("aws:x", "number", nil), isInvalid, "metricName"},
		{"custom metric: name", metric("a.b", "number", nil), isInvalid, "'metricName'"},
		{"custom metric: type", metric("x", "text", nil), isInvalid, "metricType"},
		{"custom metric: display name", metric("x", "number", func(in *iot.CreateCustomMetricInput) { in.DisplayName = &long }), isInvalid, "displayName"},
		{"custom metric: token", metric("x", "number", func(in *iot.CreateCustomMetricInput) { in.ClientRequestToken = str("a b") }), isInvalid, "clientRequestToken"},
		{"custom metric: again", metric("m", "number", nil), isAlreadyExists, "m already exists"},
		{"custom metric: token of another", metric("x", "number", func(in *iot.CreateCustomMetricInput) { in.ClientRequestToken = str("m-token") }), isAlreadyExists, "m was created"},
		{"custom metric: same token, another type", metric("m", "string-list", func(in *iot.CreateCustomMetricInput) { in.ClientRequestToken = str("m-token") }), isAlreadyExists, "m already exists"},
		{"custom metric: describe none", func(ctx context.Context) error {
			_, err := c.DescribeCustomMetric(ctx, &iot.DescribeCustomMetricInput{MetricName: str("nosuch")})
			return err
		}, isNotFound, "nosuch"},
		{"custom metric: update none", func(ctx context.Context) error {
			_, err := c.UpdateCustomMetric(ctx, &iot.UpdateCustomMetricInput{MetricName: str("nosuch"), DisplayName: str("x")})
			return err
		}, isNotFound, "nosuch"},
		{"custom metric: delete one in use", func(ctx context.Context) error {
			_, err := c.DeleteCustomMetric(ctx, &iot.DeleteCustomMetricInput{MetricName: str("m")})
			return err
		}, isInvalid, "used by security profiles P"},

		{"dimension: no values", dimension("x", []string{}, nil), isInvalid, "stringValues"},
		{"dimension: 101 values", dimension("x", strings.Split(strings.Repeat("a,", 100)+"a", ","), nil), isInvalid, "100 at most"},
		{"dimension: long value", dimension("x", []string{strings.Repeat("x", 257)}, nil), isInvalid, "stringValues[0]"},
		{"dimension: type", dimension("x", []string{"a"}, func(in *iot.CreateDimensionInput) { in.Type = "CLIENT_ID" }), isInvalid, "type"},
		{"dimension: again", dimension("d", []string{"a"}, nil), isAlreadyExists, "d already exists"},
		{"dimension: token of another", dimension("x", []string{"a"}, func(in *iot.CreateDimensionInput) { in.ClientRequestToken = str("d-token") }), isAlreadyExists, "d was created"},
		{"dimension: describe none", func(ctx context.Context) error {
			_, err := c.DescribeDimension(ctx, &iot.DescribeDimensionInput{Name: str("nosuch")})
			return err
		}, isNotFound, "nosuch"},
		{"dimension: update none", func(ctx context.Context) error {
			_, err := c.UpdateDimension(ctx, &iot.UpdateDimensionInput{Name: str("nosuch"), StringValues: []string{"a"}})
			return err
		}, isNotFound, "nosuch"},
		{"dimension: delete one in use", func(ctx context.Context) error {
			_, err := c.DeleteDimension(ctx, &iot.DeleteDimensionInput{Name: str("d")})
			return err
		}, isInvalid, "used by security profiles P"},

		{"tags: of no such profile", tag(account+"securityprofile/nosuch", twoOfKey[:1]), isNotFound, "nosuch"},
		{"tags: of a thing", tag(account+"thing/t", twoOfKey[:1]), isInvalid, "resourceArn"},
		{"tags: of another account", tag("arn:aws:iot:us-east-1:999999999999:securityprofile/P", twoOfKey[:1]), isInvalid, "resourceArn"},
		{"tags: key", tag(account+"securityprofile/P", []types.Tag{{Key: str("a*b")}}), isInvalid, "tags[0].Key"},
		{"tags: value", tag(account+"securityprofile/P", []types.Tag{{Key: str("a"), Value: str(strings.Repeat("x", 257))}}), isInvalid, "tags[0].Value"},
		{"tags: a list of none", func(ctx context.Context) error {
			_, err := c.ListTagsForResource(ctx, &iot.ListTagsForResourceInput{ResourceArn: str(account + "dimension/nosuch")})
			return err
		}, isNotFound, "nosuch"},

		{"thing: name", thing("a/b", nil), isInvalid, "'thingName'"},
		{"thing: other attributes", thing("t", map[string]string{"a": "b"}), isAlreadyExists, "different"},
		{"thing: four attributes", thing("x", map[string]string{"a": "", "b": "", "c": "", "d": ""}), isInvalid, "4 attributes"},
		{"thing: attribute's name", thing("x", map[string]string{"a b": "c"}), isInvalid, "attributePayload.attributes"},
		{"thing: attribute's value", thing("x", map[string]string{"a": "b c"}), isInvalid, "attributePayload.attributes.a"},
		{"thing: type", func(ctx context.Context) error {
			_, err := c.CreateThing(ctx, &iot.CreateThingInput{ThingName: str("x"), ThingTypeName: str("pump")})
			return err
		}, isNotFound, "pump"},
		{"thing: billing group", func(ctx context.Context) error {
			_, err := c.CreateThing(ctx, &iot.CreateThingInput{ThingName: str("x"), BillingGroupName: str("b")})
			return err
		}, isNotFound, "Billing group b"},
		{"thing: describe none", func(ctx context.Context) error {
			_, err := c.DescribeThing(ctx, &iot.DescribeThingInput{ThingName: str("nosuch")})
			return err
		}, isNotFound, "nosuch"},
		{"thing: update another version", func(ctx context.Context) error {
			_, err := c.UpdateThing(ctx, &iot.UpdateThingInput{ThingName: str("t"), ExpectedVersion: aws.Int64(9)})
			return err
		}, isConflict, ""},
		{"thing: delete another version", func(ctx context.Context) error {
			_, err := c.DeleteThing(ctx, &iot.DeleteThingInput{ThingName: str("t"), ExpectedVersion: aws.Int64(9)})
			return err
		}, isConflict, ""},
		{"things: value without a name", func(ctx context.Context) error {
			_, err := c.ListThings(ctx, &iot.ListThingsInput{AttributeValue: str("x")})
			return err
		}, isInvalid, "attributeName"},
		{"groups of no such thing", func(ctx context.Context) error {
			_, err := c.ListThingGroupsForThing(ctx, &iot.ListThingGroupsForThingInput{ThingName: str("nosuch")})
			return err
		}, isNotFound, "nosuch"},

		{"group: no such parent", func(ctx context.Context) error {
			_, err := c.CreateThingGroup(ctx, &iot.CreateThingGroupInput{ThingGroupName: str("x"), ParentGroupName: str("nosuch")})
			return err
		}, isInvalid, "nosuch"},
		{"group: other properties", func(ctx context.Context) error {
			_, err := c.CreateThingGroup(ctx, &iot.CreateThingGroupInput{ThingGroupName: str("g"), ThingGroupProperties: &types.ThingGroupProperties{ThingGroupDescription: str("x")}})
			return err
		}, isAlreadyExists, "different"},
		{"group: description", func(ctx context.Context) error {
			_, err := c.CreateThingGroup(ctx, &iot.CreateThingGroupInput{ThingGroupName: str("x"), ThingGroupProperties: &types.ThingGroupProperties{ThingGroupDescription: str(strings.Repeat("x", 2029))}})
			return err
		}, isInvalid, "thingGroupDescription"},
		{"group: describe none", func(ctx context.Context) error {
			_, err := c.DescribeThingGroup(ctx, &iot.DescribeThingGroupInput{ThingGroupName: str("nosuch")})
			return err
		}, isNotFound, "nosuch"},
		{"group: delete one with children", func(ctx context.Context) error {
			_, err := c.DeleteThingGroup(ctx, &iot.DeleteThingGroupInput{ThingGroupName: str("g")})
			return err
		}, isInvalid, "child"},
		{"group: delete another version", func(ctx context.Context) error {
			_, err := c.DeleteThingGroup(ctx, &iot.DeleteThingGroupInput{ThingGroupName: str("child"), ExpectedVersion: aws.Int64(9)})
			return err
		}, isConflict, ""},
		{"groups below no such group", func(ctx context.Context) error {
			_, err := c.ListThingGroups(ctx, &iot.ListThingGroupsInput{ParentGroup: str("nosuch")})
			return err
		}, isNotFound, "nosuch"},
		{"things in no such group", func(ctx context.Context) error {
			_, err := c.ListThingsInThingGroup(ctx, &iot.ListThingsInThingGroupInput{ThingGroupName: str("nosuch")})
			return err
		}, isNotFound, "nosuch"},
		{"member: no such thing", add(str("g"), str("nosuch")), isNotFound, "nosuch"},
		{"member: no such group", add(str("nosuch"), str("t")), isNotFound, "nosuch"},
		{"member: no thing", add(str("g"), nil), isInvalid, "'thingName'"},
		{"member: two of one hierarchy", add(str("child"), str("t")), isInvalid, "hierarchy"},
		{"member: name and ARN differ", func(ctx context.Context) error {
			_, err := c.AddThingToThingGroup(ctx, &iot.AddThingToThingGroupInput{ThingGroupName: str("g"), ThingGroupArn: group("child"), ThingName: str("t")})
			return err
		}, isInvalid, "not the same"},
		{"member: remove from no such group", func(ctx context.Context) error {
			_, err := c.RemoveThingFromThingGroup(ctx, &iot.RemoveThingFromThingGroupInput{ThingGroupName: str("nosuch"), ThingName: str("t")})
			return err
		}, isNotFound, "nosuch"},
		{"group: update none", func(ctx context.Context) error {
			_, err := c.UpdateThingGroup(ctx, &iot.UpdateThingGroupInput{ThingGroupName: str("nosuch"), ThingGroupProperties: &types.ThingGroupProperties{}})
			return err
		}, isNotFound, "nosuch"},
		{"group: update another version", func(ctx context.Context) error {
			_, err := c.UpdateThingGroup(ctx, &iot.UpdateThingGroupInput{ThingGroupName: str("g"), ThingGroupProperties: &types.ThingGroupProperties{}, ExpectedVersion: aws.Int64(9)})
			return err
		}, isConflict, "is 1, not the expected 9"},
		{"group: update of the description", func(ctx context.Context) error {
			_, err := c.UpdateThingGroup(ctx, &iot.UpdateThingGroupInput{ThingGroupName: str("g"), ThingGroupProperties: &types.ThingGroupProperties{ThingGroupDescription: str("a\nb")}})
			return err
		}, isInvalid, "thingGroupDescription"},
		{"group: 51 attributes", func(ctx context.Context) error {
			attributes := map[string]string{}
			for i := range 51 {
				attributes[fmt.Sprint(i)] = "x"
			}
			_, err := c.UpdateThingGroup(ctx, &iot.UpdateThingGroupInput{ThingGroupName: str("g"), ThingGroupProperties: &types.ThingGroupProperties{AttributePayload: &types.AttributePayload{Attributes: attributes}}})
			return err
		}, isInvalid, "51 attributes"},
		{"move: no thing", move(nil, []string{"g"}, nil), isInvalid, "'thingName'"},
		{"move: no such thing", move(str("nosuch"), []string{"g"}, nil), isNotFound, "nosuch"},
		{"move: into no such group", move(str("t"), []string{"nosuch"}, nil), isNotFound, "nosuch"},
		{"move: out of no such group", move(str("t"), nil, []string{"nosuch"}), isNotFound, "nosuch"},
		{"move: a group's name", move(str("t"), []string{"a b"}, nil), isInvalid, "'thingGroupsToAdd'"},
		{"move: into and out of one", move(str("t"), []string{"child"}, []string{"child"}), isInvalid, "thingGroupsToRemove"},
		{"move: two of one hierarchy", move(str("t"), []string{"child"}, nil), isInvalid, "hierarchy"},

		{"untag: key", func(ctx context.Context) error {
			_, err := c.UntagResource(ctx, &iot.UntagResourceInput{ResourceArn: str(account + "securityprofile/P"), TagKeys: []string{long}})
			return err
		}, isInvalid, "'tagKeys'"},

		{"endpoint: type", func(ctx context.Context) error {
			_, err := c.DescribeEndpoint(ctx, &iot.DescribeEndpointInput{EndpointType: str("iot:Nonsense")})
			return err
		}, isInvalid, "iot:Data-ATS"},
		{"an operation that AWS IoT has", func(ctx context.Context) error {
			_, err := c.ListPolicies(ctx, &iot.ListPoliciesInput{})
			return err
		}, isCode("UnknownOperationException"), "GET /policies"},
	} {
		t.Run(test.name, func(t *testing.T) {
			err := test.call(t.Context())
			if err == nil || !test.is(err) || !strings.Contains(err.Error(), test.says) {
				t.Errorf("got %v, want an error that says %q", err, test.says)
			}
		})
	}
}

// isCode is for errors that the client has no type for.
func isCode(code string) func(error) bool {
	return func(err error) bool {
		e, ok := errors.AsType[smithy.APIError](err)
		return ok && e.ErrorCode() == code
	}
}
