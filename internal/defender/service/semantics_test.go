//lint:file-ignore SA1019 the deprecated additionalMetricsToRetain is served, and tested

package service

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iot"
	"github.com/aws/aws-sdk-go-v2/service/iot/types"
	"github.com/google/go-cmp/cmp"
)

// TestUpdateLeavesWhatIsAbsent holds UpdateSecurityProfile to being a patch.
func TestUpdateLeavesWhatIsAbsent(t *testing.T) {
	c, ctx := newClient(t, serve(t, openService(t, Options{Topics: allTopics}))), t.Context()
	role := aws.String("arn:aws:iam::123456789012:role/r")
	_, err := c.CreateSecurityProfile(ctx, &iot.CreateSecurityProfileInput{
		SecurityProfileName: aws.String("P"), SecurityProfileDescription: aws.String("text"), Behaviors: []types.Behavior{packetsOut("A", 1), packetsOut("B", 2)},
		AlertTargets:              map[string]types.AlertTarget{"SNS": {AlertTargetArn: aws.String("arn:aws:sns:us-east-1:123456789012:a"), RoleArn: role}},
		AdditionalMetricsToRetain: []string{"aws:all-bytes-in"}, AdditionalMetricsToRetainV2: []types.MetricToRetain{{Metric: aws.String("aws:all-bytes-out")}},
		MetricsExportConfig: &types.MetricsExportConfig{MqttTopic: aws.String("x"), RoleArn: role},
	})
	if err != nil {
		t.Fatal(err)
	}
	// What is there, in short: the description, then how many of each list.
	update := func(in iot.UpdateSecurityProfileInput) string {
		t.Helper()
		in.SecurityProfileName = aws.String("P")
		out, err := c.UpdateSecurityProfile(ctx, &in)
		if err != nil {
			t.Fatal(err)
		}
		return fmt.Sprintf("v%d %q behaviors %d alerts %d retained %d+%d export %v", out.Version, aws.ToString(out.SecurityProfileDescription), len(out.Behaviors), len(out.AlertTargets),
			len(out.AdditionalMetricsToRetain), len(out.AdditionalMetricsToRetainV2), out.MetricsExportConfig != nil)
	}
	for _, step := range []struct {
		name string
		in   iot.UpdateSecurityProfileInput
		want string
	}{
		{"nothing", iot.UpdateSecurityProfileInput{}, `v2 "text" behaviors 2 alerts 1 retained 1+1 export true`},
		{"empty lists are not enough", iot.UpdateSecurityProfileInput{Behaviors: []types.Behavior{}, AlertTargets: map[string]types.AlertTarget{}, AdditionalMetricsToRetain: []string{}, AdditionalMetricsToRetainV2: []types.MetricToRetain{}},
			`v3 "text" behaviors 2 alerts 1 retained 1+1 export true`},
		{"a list replaces the whole list", iot.UpdateSecurityProfileInput{Behaviors: []types.Behavior{packetsOut("C", 3)}}, `v4 "text" behaviors 1 alerts 1 retained 1+1 export true`},
		{"empty description", iot.UpdateSecurityProfileInput{SecurityProfileDescription: aws.String("")}, `v5 "" behaviors 1 alerts 1 retained 1+1 export true`},
		{"delete behaviors", iot.UpdateSecurityProfileInput{DeleteBehaviors: true, Behaviors: []types.Behavior{}}, `v6 "" behaviors 0 alerts 1 retained 1+1 export true`},
		{"delete alert targets", iot.UpdateSecurityProfileInput{DeleteAlertTargets: true}, `v7 "" behaviors 0 alerts 0 retained 1+1 export true`},
		{"delete retained metrics", iot.UpdateSecurityProfileInput{DeleteAdditionalMetricsToRetain: true}, `v8 "" behaviors 0 alerts 0 retained 0+0 export true`},
		{"delete export", iot.UpdateSecurityProfileInput{DeleteMetricsExportConfig: true}, `v9 "" behaviors 0 alerts 0 retained 0+0 export false`},
	} {
		if got := update(step.in); got != step.want {
			t.Errorf("%s: got %s, want %s", step.name, got, step.want)
		}
	}
}

// TestValidationMessages compares with the message in AWS's documentation (AWS
// CLI, examples/iot/validate-security-profile-behaviors.rst).
func TestValidationMessages(t *testing.T) {
	c, ctx := newClient(t, serve(t, openService(t, Options{}))), t.Context()
	_, err := c.CreateCustomMetric(ctx, &iot.CreateCustomMetricInput{MetricName: aws.String("battery"), MetricType: types.CustomMetricTypeNumber})
	if err != nil {
		t.Fatal(err)
	}
	authorization := types.Behavior{Name: aws.String("Authorization"), Metric: aws.String("aws:num-authorization-failures"), Criteria: &types.BehaviorCriteria{
		ComparisonOperator: "greater-than", Value: &types.MetricValue{Count: aws.Int64(10)}, DurationSeconds: aws.Int32(300), ConsecutiveDatapointsToAlarm: aws.Int32(100000), ConsecutiveDatapointsToClear: aws.Int32(1)}}
	battery := types.Behavior{Name: aws.String("Battery"), Metric: aws.String("battery"), Criteria: &types.BehaviorCriteria{ComparisonOperator: "greater-than", Value: &types.MetricValue{Number: aws.Float64(75)}}}
	heat := packetsOut("Heat", 1)
	heat.Metric = aws.String("heat")
	out, err := c.ValidateSecurityProfileBehaviors(ctx, &iot.ValidateSecurityProfileBehaviorsInput{Behaviors: []types.Behavior{battery, authorization, heat}})
	if err != nil {
		t.Fatal(err)
	}
	var messages []string
	for _, e := range out.ValidationErrors {
		messages = append(messages, *e.ErrorMessage)
	}
	if out.Valid || len(messages) < 2 || messages[0] != "Behavior Authorization is malformed. consecutiveDatapointsToAlarm 100000 should be in range[1,10]" ||
		!strings.HasPrefix(messages[1], `Behavior Heat is malformed. metric: metric "heat" is unknown`) {
		t.Errorf("valid %v: %q", out.Valid, messages)
	}
}

// TestRepeatedCalls makes each call twice that may be repeated.
func TestRepeatedCalls(t *testing.T) {
	c, ctx := newClient(t, serve(t, openService(t, Options{}))), t.Context()
	name, target := aws.String("P"), aws.String(account+"thinggroup/g")
	for _, call := range []struct {
		name string
		call func() (any, error)
	}{
		{"CreateThing", func() (any, error) {
			out, err := c.CreateThing(ctx, &iot.CreateThingInput{ThingName: aws.String("t"), AttributePayload: &types.AttributePayload{Attributes: map[string]string{"a": "b"}}})
			return out.ThingId, err
		}},
		{"CreateThingGroup", func() (any, error) {
			out, err := c.CreateThingGroup(ctx, &iot.CreateThingGroupInput{ThingGroupName: aws.String("g")})
			return out.ThingGroupId, err
		}},
		{"AddThingToThingGroup", func() (any, error) {
			_, err := c.AddThingToThingGroup(ctx, &iot.AddThingToThingGroupInput{ThingGroupName: aws.String("g"), ThingName: aws.String("t")})
			return nil, err
		}},
		{"CreateCustomMetric", func() (any, error) {
			out, err := c.CreateCustomMetric(ctx, &iot.CreateCustomMetricInput{MetricName: aws.String("m"), MetricType: "number", ClientRequestToken: aws.String("1")})
			return out.MetricArn, err
		}},
		{"CreateDimension", func() (any, error) {
			out, err := c.CreateDimension(ctx, &iot.CreateDimensionInput{Name: aws.String("d"), Type: "TOPIC_FILTER", StringValues: []string{"a"}, ClientRequestToken: aws.String("1")})
			return out.Arn, err
		}},
		{"UpdateSecurityProfile", func() (any, error) {
			_, err := c.CreateSecurityProfile(ctx, &iot.CreateSecurityProfileInput{SecurityProfileName: name})
			if isAlreadyExists(err) {
				err = nil
			}
			return nil, err
		}},
		{"AttachSecurityProfile", func() (any, error) {
			_, err := c.AttachSecurityProfile(ctx, &iot.AttachSecurityProfileInput{SecurityProfileName: name, SecurityProfileTargetArn: target})
			return nil, err
		}},
		{"DetachSecurityProfile", func() (any, error) {
			_, err := c.DetachSecurityProfile(ctx, &iot.DetachSecurityProfileInput{SecurityProfileName: name, SecurityProfileTargetArn: target})
			return nil, err
		}},
		{"DeleteSecurityProfile", func() (any, error) {
			_, err := c.DeleteSecurityProfile(ctx, &iot.DeleteSecurityProfileInput{SecurityProfileName: name, ExpectedVersion: aws.Int64(1)})
			return nil, err
		}},
		{"RemoveThingFromThingGroup", func() (any, error) {
			_, err := c.RemoveThingFromThingGroup(ctx, &iot.RemoveThingFromThingGroupInput{ThingGroupName: aws.String("g"), ThingName: aws.String("t")})
			return nil, err
		}},
		{"DeleteCustomMetric", func() (any, error) {
			_, err := c.DeleteCustomMetric(ctx, &iot.DeleteCustomMetricInput{MetricName: aws.String("m")})
			return nil, err
		}},
		{"DeleteDimension", func() (any, error) {
			_, err := c.DeleteDimension(ctx, &iot.DeleteDimensionInput{Name: aws.String("d")})
			return nil, err
		}},
		{"DeleteThingGroup", func() (any, error) {
			_, err := c.DeleteThingGroup(ctx, &iot.DeleteThingGroupInput{ThingGroupName: aws.String("g")})
			return nil, err
		}},
		{"DeleteThing", func() (any, error) {
			_, err := c.DeleteThing(ctx, &iot.DeleteThingInput{ThingName: aws.String("t")})
			return nil, err
		}},
	} {
		first, err := call.call()
		if err != nil {
			t.Fatalf("%s: %v", call.name, err)
		}
		second, err := call.call()
		if diff := cmp.Diff(first, second); err != nil || diff != "" {
			t.Errorf("%s again: %v\n%s", call.name, err, diff)
		}
	}
}

// TestQuotas fills each quota and goes one over it.
func TestQuotas(t *testing.T) {
	c, ctx := newClient(t, serve(t, openService(t, Options{}))), t.Context()
	name := func(i int) *string { return aws.String(fmt.Sprint("n", i)) }
	fill := func(what string, quota int, is func(error) bool, call func(i int) error) {
		t.Helper()
		for i := range quota {
			if err := call(i); err != nil {
				t.Fatalf("%s: number %d of %d: %v", what, i+1, quota, err)
			}
		}
		if err := call(quota); !is(err) {
			t.Errorf("%s: number %d: %v", what, quota+1, err)
		}
		if err := call(0); err != nil && !isAlreadyExists(err) {
			t.Errorf("%s: the first again: %v", what, err)
		}
	}
	fill("custom metrics", 100, isLimit, func(i int) error {
		_, err := c.CreateCustomMetric(ctx, &iot.CreateCustomMetricInput{MetricName: name(i), MetricType: "number"})
		return err
	})
	fill("dimensions", 10, isLimit, func(i int) error {
		_, err := c.CreateDimension(ctx, &iot.CreateDimensionInput{Name: name(i), Type: "TOPIC_FILTER", StringValues: []string{"a"}})
		return err
	})
	fill("profiles of a target", 5, isLimit, func(i int) error {
		if _, err := c.CreateSecurityProfile(ctx, &iot.CreateSecurityProfileInput{SecurityProfileName: name(i)}); err != nil && !isAlreadyExists(err) {
			return err
		}
		_, err := c.AttachSecurityProfile(ctx, &iot.AttachSecurityProfileInput{SecurityProfileName: name(i), SecurityProfileTargetArn: aws.String(account + "all/things")})
		return err
	})
	fill("tags", 50, isLimit, func(i int) error {
		_, err := c.TagResource(ctx, &iot.TagResourceInput{ResourceArn: aws.String(account + "securityprofile/n0"), Tags: []types.Tag{{Key: name(i)}}})
		return err
	})
	if _, err := c.CreateThing(ctx, &iot.CreateThingInput{ThingName: aws.String("t")}); err != nil {
		t.Fatal(err)
	}
	fill("groups of a thing", 10, isInvalid, func(i int) error {
		if _, err := c.CreateThingGroup(ctx, &iot.CreateThingGroupInput{ThingGroupName: name(i)}); err != nil {
			return err
		}
		_, err := c.AddThingToThingGroup(ctx, &iot.AddThingToThingGroupInput{ThingGroupName: name(i), ThingName: aws.String("t")})
		return err
	})
	fill("depth of groups", 7, isInvalid, func(i int) error {
		in := &iot.CreateThingGroupInput{ThingGroupName: aws.String(fmt.Sprint("deep", i))}
		if i > 0 {
			in.ParentGroupName = aws.String(fmt.Sprint("deep", i-1))
		}
		_, err := c.CreateThingGroup(ctx, in)
		return err
	})
	fill("child groups", 100, isInvalid, func(i int) error {
		_, err := c.CreateThingGroup(ctx, &iot.CreateThingGroupInput{ThingGroupName: aws.String(fmt.Sprint("child", i)), ParentGroupName: name(0)})
		return err
	})
}

// TestDeletedWithIt deletes what others refer to.
func TestDeletedWithIt(t *testing.T) {
	c, ctx := newClient(t, serve(t, openService(t, Options{}))), t.Context()
	fixture(t, c)
	arn := aws.String(account + "thinggroup/child")
	ok := func(_ any, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	ok(c.CreateThing(ctx, &iot.CreateThingInput{ThingName: aws.String("u")}))
	ok(c.AddThingToThingGroup(ctx, &iot.AddThingToThingGroupInput{ThingGroupName: aws.String("child"), ThingName: aws.String("u")}))
	ok(c.AttachSecurityProfile(ctx, &iot.AttachSecurityProfileInput{SecurityProfileName: aws.String("P"), SecurityProfileTargetArn: arn}))
	ok(c.TagResource(ctx, &iot.TagResourceInput{ResourceArn: arn, Tags: []types.Tag{{Key: aws.String("k")}}}))

	// A group that is deleted and created again has nothing of the first.
	ok(c.DeleteThingGroup(ctx, &iot.DeleteThingGroupInput{ThingGroupName: aws.String("child")}))
	ok(c.CreateThingGroup(ctx, &iot.CreateThingGroupInput{ThingGroupName: aws.String("child"), ParentGroupName: aws.String("g")}))
	if out, err := c.ListThingsInThingGroup(ctx, &iot.ListThingsInThingGroupInput{ThingGroupName: aws.String("child")}); err != nil || len(out.Things) > 0 {
		t.Errorf("things of the new group: %v, %v", out, err)
	}
	if out, err := c.ListThingGroupsForThing(ctx, &iot.ListThingGroupsForThingInput{ThingName: aws.String("u")}); err != nil || len(out.ThingGroups) > 0 {
		t.Errorf("groups of its thing: %v, %v", out, err)
	}
	if out, err := c.ListTagsForResource(ctx, &iot.ListTagsForResourceInput{ResourceArn: arn}); err != nil || len(out.Tags) > 0 {
		t.Errorf("tags of the new group: %v, %v", out, err)
	}
	out, err := c.ListTargetsForSecurityProfile(ctx, &iot.ListTargetsForSecurityProfileInput{SecurityProfileName: aws.String("P")})
	if err != nil || len(out.SecurityProfileTargets) != 1 || *out.SecurityProfileTargets[0].Arn != account+"thinggroup/g" {
		t.Errorf("targets: %v, %v", out, err)
	}

	// So has a thing, and a profile.
	ok(c.DeleteThing(ctx, &iot.DeleteThingInput{ThingName: aws.String("t")}))
	ok(c.CreateThing(ctx, &iot.CreateThingInput{ThingName: aws.String("t")}))
	if out, err := c.ListThingsInThingGroup(ctx, &iot.ListThingsInThingGroupInput{ThingGroupName: aws.String("g")}); err != nil || len(out.Things) > 0 {
		t.Errorf("things of g: %v, %v", out, err)
	}
	ok(c.DeleteSecurityProfile(ctx, &iot.DeleteSecurityProfileInput{SecurityProfileName: aws.String("P")}))
	ok(c.CreateSecurityProfile(ctx, &iot.CreateSecurityProfileInput{SecurityProfileName: aws.String("P")}))
	if out, err := c.ListTargetsForSecurityProfile(ctx, &iot.ListTargetsForSecurityProfileInput{SecurityProfileName: aws.String("P")}); err != nil || len(out.SecurityProfileTargets) > 0 {
		t.Errorf("targets of the new profile: %v, %v", out, err)
	}
	ok(c.DeleteCustomMetric(ctx, &iot.DeleteCustomMetricInput{MetricName: aws.String("m")}))
	ok(c.DeleteDimension(ctx, &iot.DeleteDimensionInput{Name: aws.String("d")}))
}

func TestThingGroupLists(t *testing.T) {
	c, ctx := newClient(t, serve(t, openService(t, Options{}))), t.Context()
	for _, group := range [][2]string{{"a", ""}, {"ab", "a"}, {"abc", "ab"}, {"b", ""}} {
		in := &iot.CreateThingGroupInput{ThingGroupName: &group[0]}
		if group[1] != "" {
			in.ParentGroupName = &group[1]
		}
		if _, err := c.CreateThingGroup(ctx, in); err != nil {
			t.Fatal(err)
		}
	}
	for _, test := range []struct {
		in   iot.ListThingGroupsInput
		want []string
	}{
		{iot.ListThingGroupsInput{}, []string{"a", "ab", "abc", "b"}},
		{iot.ListThingGroupsInput{Recursive: aws.Bool(false)}, []string{"a", "b"}},
		{iot.ListThingGroupsInput{ParentGroup: aws.String("a")}, []string{"ab"}},
		{iot.ListThingGroupsInput{ParentGroup: aws.String("a"), Recursive: aws.Bool(true)}, []string{"ab", "abc"}},
		{iot.ListThingGroupsInput{NamePrefixFilter: aws.String("ab")}, []string{"ab", "abc"}},
	} {
		out, err := c.ListThingGroups(ctx, &test.in)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, group := range out.ThingGroups {
			got = append(got, *group.GroupName)
		}
		if !slices.Equal(got, test.want) {
			t.Errorf("%s %v: got %v, want %v", aws.ToString(test.in.ParentGroup), aws.ToBool(test.in.Recursive), got, test.want)
		}
	}
}

func TestThingFilter(t *testing.T) {
	c, ctx := newClient(t, serve(t, openService(t, Options{}))), t.Context()
	for name, attributes := range map[string]map[string]string{"a": {"site": "north"}, "b": {"site": "northeast"}, "c": {"rack": "north"}, "d": nil} {
		if _, err := c.CreateThing(ctx, &iot.CreateThingInput{ThingName: &name, AttributePayload: &types.AttributePayload{Attributes: attributes}}); err != nil {
			t.Fatal(err)
		}
	}
	for _, test := range []struct {
		in   iot.ListThingsInput
		want []string
	}{
		{iot.ListThingsInput{}, []string{"a", "b", "c", "d"}},
		{iot.ListThingsInput{AttributeName: aws.String("site"), AttributeValue: aws.String("north")}, []string{"a"}},
		{iot.ListThingsInput{AttributeName: aws.String("site"), AttributeValue: aws.String("north"), UsePrefixAttributeValue: true}, []string{"a", "b"}},
		{iot.ListThingsInput{AttributeName: aws.String("rack")}, []string{"c"}},
		{iot.ListThingsInput{ThingTypeName: aws.String("pump")}, nil},
	} {
		out, err := c.ListThings(ctx, &test.in)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, thing := range out.Things {
			got = append(got, *thing.ThingName)
		}
		if !slices.Equal(got, test.want) {
			t.Errorf("%s=%s: got %v, want %v", aws.ToString(test.in.AttributeName), aws.ToString(test.in.AttributeValue), got, test.want)
		}
	}

	// Merging with an empty value removes an attribute; without merging all go.
	for _, step := range []struct {
		payload types.AttributePayload
		want    map[string]string
	}{
		{types.AttributePayload{Merge: true, Attributes: map[string]string{"rack": "1"}}, map[string]string{"site": "north", "rack": "1"}},
		{types.AttributePayload{Merge: true, Attributes: map[string]string{"site": ""}}, map[string]string{"rack": "1"}},
		{types.AttributePayload{Attributes: map[string]string{"row": "2"}}, map[string]string{"row": "2"}},
	} {
		if _, err := c.UpdateThing(ctx, &iot.UpdateThingInput{ThingName: aws.String("a"), AttributePayload: &step.payload}); err != nil {
			t.Fatal(err)
		}
		out, err := c.DescribeThing(ctx, &iot.DescribeThingInput{ThingName: aws.String("a")})
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(step.want, out.Attributes); diff != "" {
			t.Error(diff)
		}
	}
}
