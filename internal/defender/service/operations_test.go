package service

import (
	"bytes"
	"encoding/json"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iot"
	"github.com/aws/aws-sdk-go-v2/service/iot/types"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/google/go-cmp/cmp"

	"github.com/device-defender/device-defender/internal/defender/awsrest"
)

// account begins the ARNs of the account and region that are the default.
const account = "arn:aws:iot:us-east-1:123456789012:"

// packetsOut is a behavior that is valid: at most so many packets out.
func packetsOut(name string, count int64) types.Behavior {
	return types.Behavior{Name: &name, Metric: aws.String("aws:all-packets-out"), Criteria: &types.BehaviorCriteria{
		ComparisonOperator: types.ComparisonOperatorLessThanEquals, Value: &types.MetricValue{Count: &count}, DurationSeconds: aws.Int32(300),
	}}
}

// tap serves a service and keeps what went over the wire last.
type tap struct {
	url     string
	pattern string // of the operation
	body    []byte // of the answer
}

func newTap(t *testing.T, s *Service) *tap {
	p := &tap{}
	handler := s.Handler()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		recorder := httptest.NewRecorder()
		handler.ServeHTTP(recorder, r)
		p.pattern, p.body = r.Pattern, bytes.Clone(recorder.Body.Bytes())
		maps.Copy(w.Header(), recorder.Header())
		w.WriteHeader(recorder.Code)
		w.Write(p.body)
	}))
	t.Cleanup(server.Close)
	p.url = server.URL
	return p
}

var uuid = regexp.MustCompile(`[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}`)

// normal returns JSON as it is compared: members sorted, ids not told apart.
func normal(t *testing.T, text string) string {
	t.Helper()
	var value any
	if err := json.Unmarshal(uuid.ReplaceAll([]byte(text), []byte("UUID")), &value); err != nil {
		t.Fatalf("%v in %s", err, text)
	}
	data, err := json.MarshalIndent(value, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// TestEveryOperation calls each operation of resources with AWS's own client,
// and compares the answers' bytes with what the API reference says of them.
func TestEveryOperation(t *testing.T) {
	clock := time.UnixMilli(1795381430690) // 2026-11-22T21:03:50.690Z
	s := openService(t, Options{Topics: allTopics, Now: func() time.Time { return clock }})
	wire := newTap(t, s)
	c, ctx := newClient(t, wire.url), t.Context()
	called := map[string]bool{}
	step := func(err error, want string) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(normal(t, want), normal(t, string(wire.body))); diff != "" {
			t.Errorf("%s (-want +got):\n%s", wire.pattern, diff)
		}
		called[wire.pattern] = true
	}
	name, group, thing, metric, dimension := aws.String("P"), aws.String("g"), aws.String("t"), aws.String("battery"), aws.String("topics")
	target := aws.String(account + "thinggroup/g")
	tags := []types.Tag{{Key: aws.String("team"), Value: aws.String("a b")}}
	var err error

	_, err = c.CreateThing(ctx, &iot.CreateThingInput{ThingName: thing, AttributePayload: &types.AttributePayload{Attributes: map[string]string{"site": "x"}}})
	step(err, `{"thingName":"t","thingArn":"arn:aws:iot:us-east-1:123456789012:thing/t","thingId":"UUID"}`)
	_, err = c.UpdateThing(ctx, &iot.UpdateThingInput{ThingName: thing, ExpectedVersion: aws.Int64(1), AttributePayload: &types.AttributePayload{Merge: true, Attributes: map[string]string{"rack": "7"}}})
	step(err, `{}`)
	_, err = c.DescribeThing(ctx, &iot.DescribeThingInput{ThingName: thing})
	step(err, `{"defaultClientId":"t","thingName":"t","thingId":"UUID","thingArn":"arn:aws:iot:us-east-1:123456789012:thing/t","attributes":{"site":"x","rack":"7"},"version":2}`)
	_, err = c.ListThings(ctx, &iot.ListThingsInput{AttributeName: aws.String("rack"), AttributeValue: aws.String("7")})
	step(err, `{"things":[{"thingName":"t","thingArn":"arn:aws:iot:us-east-1:123456789012:thing/t","attributes":{"site":"x","rack":"7"},"version":2}]}`)

	_, err = c.CreateThingGroup(ctx, &iot.CreateThingGroupInput{ThingGroupName: aws.String("root")})
	step(err, `{"thingGroupName":"root","thingGroupArn":"arn:aws:iot:us-east-1:123456789012:thinggroup/root","thingGroupId":"UUID"}`)
	_, err = c.CreateThingGroup(ctx, &iot.CreateThingGroupInput{ThingGroupName: group, ParentGroupName: aws.String("root"), Tags: tags, ThingGroupProperties: &types.ThingGroupProperties{
		ThingGroupDescription: aws.String("d"), AttributePayload: &types.AttributePayload{Attributes: map[string]string{"k": "v"}}}})
	step(err, `{"thingGroupName":"g","thingGroupArn":"arn:aws:iot:us-east-1:123456789012:thinggroup/g","thingGroupId":"UUID"}`)
	_, err = c.DescribeThingGroup(ctx, &iot.DescribeThingGroupInput{ThingGroupName: group})
	step(err, `{"thingGroupName":"g","thingGroupArn":"arn:aws:iot:us-east-1:123456789012:thinggroup/g","thingGroupId":"UUID","version":1,
		"thingGroupProperties":{"thingGroupDescription":"d","attributePayload":{"attributes":{"k":"v"}}},
		"thingGroupMetadata":{"parentGroupName":"root","rootToParentThingGroups":[{"groupName":"root","groupArn":"arn:aws:iot:us-east-1:123456789012:thinggroup/root"}],"creationDate":1795381430.69}}`)
	_, err = c.ListThingGroups(ctx, &iot.ListThingGroupsInput{ParentGroup: aws.String("root")})
	step(err, `{"thingGroups":[{"groupName":"g","groupArn":"arn:aws:iot:us-east-1:123456789012:thinggroup/g"}]}`)
	_, err = c.UpdateThingGroup(ctx, &iot.UpdateThingGroupInput{ThingGroupName: group, ExpectedVersion: aws.Int64(1), ThingGroupProperties: &types.ThingGroupProperties{
		AttributePayload: &types.AttributePayload{Merge: true, Attributes: map[string]string{"k": "", "line": "3"}}}})
	step(err, `{"version":2}`)
	_, err = c.DescribeThingGroup(ctx, &iot.DescribeThingGroupInput{ThingGroupName: group})
	step(err, `{"thingGroupName":"g","thingGroupArn":"arn:aws:iot:us-east-1:123456789012:thinggroup/g","thingGroupId":"UUID","version":2,
		"thingGroupProperties":{"thingGroupDescription":"d","attributePayload":{"attributes":{"line":"3"}}},
		"thingGroupMetadata":{"parentGroupName":"root","rootToParentThingGroups":[{"groupName":"root","groupArn":"arn:aws:iot:us-east-1:123456789012:thinggroup/root"}],"creationDate":1795381430.69}}`)
	_, err = c.UpdateThingGroupsForThing(ctx, &iot.UpdateThingGroupsForThingInput{ThingName: thing, ThingGroupsToAdd: []string{"root"}, ThingGroupsToRemove: []string{"g"}})
	step(err, `{}`)
	_, err = c.UpdateThingGroupsForThing(ctx, &iot.UpdateThingGroupsForThingInput{ThingName: thing, ThingGroupsToRemove: []string{"root"}})
	step(err, `{}`)
	_, err = c.AddThingToThingGroup(ctx, &iot.AddThingToThingGroupInput{ThingGroupName: group, ThingArn: aws.String(account + "thing/t")})
	step(err, `{}`)
	_, err = c.ListThingsInThingGroup(ctx, &iot.ListThingsInThingGroupInput{ThingGroupName: aws.String("root"), Recursive: true})
	step(err, `{"things":["t"]}`)
	_, err = c.ListThingGroupsForThing(ctx, &iot.ListThingGroupsForThingInput{ThingName: thing})
	step(err, `{"thingGroups":[{"groupName":"g","groupArn":"arn:aws:iot:us-east-1:123456789012:thinggroup/g"}]}`)

	_, err = c.CreateCustomMetric(ctx, &iot.CreateCustomMetricInput{MetricName: metric, MetricType: types.CustomMetricTypeNumber, Tags: tags})
	step(err, `{"metricName":"battery","metricArn":"arn:aws:iot:us-east-1:123456789012:custommetric/battery"}`)
	clock = clock.Add(1310 * time.Millisecond)
	_, err = c.UpdateCustomMetric(ctx, &iot.UpdateCustomMetricInput{MetricName: metric, DisplayName: aws.String("Battery, %")})
	const metricJSON = `{"metricName":"battery","metricArn":"arn:aws:iot:us-east-1:123456789012:custommetric/battery","metricType":"number","displayName":"Battery, %","creationDate":1795381430.69,"lastModifiedDate":1795381432}`
	step(err, metricJSON)
	_, err = c.DescribeCustomMetric(ctx, &iot.DescribeCustomMetricInput{MetricName: metric})
	step(err, metricJSON)
	_, err = c.ListCustomMetrics(ctx, &iot.ListCustomMetricsInput{})
	step(err, `{"metricNames":["battery"]}`)

	_, err = c.CreateDimension(ctx, &iot.CreateDimensionInput{Name: dimension, Type: types.DimensionTypeTopicFilter, StringValues: []string{"a/#"}})
	step(err, `{"name":"topics","arn":"arn:aws:iot:us-east-1:123456789012:dimension/topics"}`)
	_, err = c.UpdateDimension(ctx, &iot.UpdateDimensionInput{Name: dimension, StringValues: []string{"a/+", "b/${iot:ClientId}"}})
	const dimensionJSON = `{"name":"topics","arn":"arn:aws:iot:us-east-1:123456789012:dimension/topics","type":"TOPIC_FILTER","stringValues":["a/+","b/${iot:ClientId}"],"creationDate":1795381432,"lastModifiedDate":1795381432}`
	step(err, dimensionJSON)
	_, err = c.DescribeDimension(ctx, &iot.DescribeDimensionInput{Name: dimension})
	step(err, dimensionJSON)
	_, err = c.ListDimensions(ctx, &iot.ListDimensionsInput{})
	step(err, `{"dimensionNames":["topics"]}`)

	_, err = c.CreateSecurityProfile(ctx, &iot.CreateSecurityProfileInput{
		SecurityProfileName: name, SecurityProfileDescription: aws.String("what is normal"), Tags: tags, Behaviors: []types.Behavior{packetsOut("B", 5)},
		AlertTargets:                map[string]types.AlertTarget{"SNS": {AlertTargetArn: aws.String("arn:aws:sns:us-east-1:123456789012:alerts"), RoleArn: aws.String("arn:aws:iam::123456789012:role/alerts")}},
		AdditionalMetricsToRetainV2: []types.MetricToRetain{{Metric: aws.String("aws:num-messages-sent"), MetricDimension: &types.MetricDimension{DimensionName: dimension, Operator: types.DimensionValueOperatorNotIn}}},
		MetricsExportConfig:         &types.MetricsExportConfig{MqttTopic: aws.String("export"), RoleArn: aws.String("arn:aws:iam::123456789012:role/export")},
	})
	step(err, `{"securityProfileName":"P","securityProfileArn":"arn:aws:iot:us-east-1:123456789012:securityprofile/P"}`)
	clock = clock.Add(time.Second)
	_, err = c.UpdateSecurityProfile(ctx, &iot.UpdateSecurityProfileInput{SecurityProfileName: name, ExpectedVersion: aws.Int64(1), DeleteMetricsExportConfig: true,
		Behaviors: []types.Behavior{{Name: aws.String("Charged"), Metric: metric, Criteria: &types.BehaviorCriteria{ComparisonOperator: types.ComparisonOperatorGreaterThan, Value: &types.MetricValue{Number: aws.Float64(75.5)}}, SuppressAlerts: aws.Bool(true)}}})
	const profileJSON = `{"securityProfileName":"P","securityProfileArn":"arn:aws:iot:us-east-1:123456789012:securityprofile/P","securityProfileDescription":"what is normal",
		"behaviors":[{"name":"Charged","metric":"battery","criteria":{"comparisonOperator":"greater-than","value":{"number":75.5}},"suppressAlerts":true}],
		"alertTargets":{"SNS":{"alertTargetArn":"arn:aws:sns:us-east-1:123456789012:alerts","roleArn":"arn:aws:iam::123456789012:role/alerts"}},
		"additionalMetricsToRetainV2":[{"metric":"aws:num-messages-sent","metricDimension":{"dimensionName":"topics","operator":"NOT_IN"}}],
		"version":2,"creationDate":1795381432,"lastModifiedDate":1795381433}`
	step(err, profileJSON)
	_, err = c.DescribeSecurityProfile(ctx, &iot.DescribeSecurityProfileInput{SecurityProfileName: name})
	step(err, profileJSON)
	for _, in := range []iot.ListSecurityProfilesInput{{}, {MetricName: metric}, {DimensionName: dimension}} {
		_, err = c.ListSecurityProfiles(ctx, &in)
		step(err, `{"securityProfileIdentifiers":[{"name":"P","arn":"arn:aws:iot:us-east-1:123456789012:securityprofile/P"}]}`)
	}
	_, err = c.ListSecurityProfiles(ctx, &iot.ListSecurityProfilesInput{MetricName: aws.String("aws:all-packets-out")})
	step(err, `{"securityProfileIdentifiers":[]}`)
	_, err = c.ValidateSecurityProfileBehaviors(ctx, &iot.ValidateSecurityProfileBehaviorsInput{Behaviors: []types.Behavior{packetsOut("B", 5)}})
	step(err, `{"valid":true,"validationErrors":[]}`)

	_, err = c.AttachSecurityProfile(ctx, &iot.AttachSecurityProfileInput{SecurityProfileName: name, SecurityProfileTargetArn: target})
	step(err, `{}`)
	_, err = c.ListTargetsForSecurityProfile(ctx, &iot.ListTargetsForSecurityProfileInput{SecurityProfileName: name})
	step(err, `{"securityProfileTargets":[{"arn":"arn:aws:iot:us-east-1:123456789012:thinggroup/g"}]}`)
	_, err = c.ListSecurityProfilesForTarget(ctx, &iot.ListSecurityProfilesForTargetInput{SecurityProfileTargetArn: aws.String(account + "thinggroup/root"), Recursive: true})
	step(err, `{"securityProfileTargetMappings":[{"securityProfileIdentifier":{"name":"P","arn":"arn:aws:iot:us-east-1:123456789012:securityprofile/P"},"target":{"arn":"arn:aws:iot:us-east-1:123456789012:thinggroup/g"}}]}`)
	_, err = c.ListSecurityProfilesForTarget(ctx, &iot.ListSecurityProfilesForTargetInput{SecurityProfileTargetArn: aws.String(account + "thinggroup/root")})
	step(err, `{"securityProfileTargetMappings":[]}`)
	_, err = c.DetachSecurityProfile(ctx, &iot.DetachSecurityProfileInput{SecurityProfileName: name, SecurityProfileTargetArn: target})
	step(err, `{}`)

	arn := aws.String(account + "securityprofile/P")
	_, err = c.TagResource(ctx, &iot.TagResourceInput{ResourceArn: arn, Tags: []types.Tag{{Key: aws.String("team"), Value: aws.String("c")}, {Key: aws.String("stage")}}})
	step(err, `{}`)
	_, err = c.ListTagsForResource(ctx, &iot.ListTagsForResourceInput{ResourceArn: arn})
	step(err, `{"tags":[{"Key":"team","Value":"c"},{"Key":"stage"}]}`)
	_, err = c.UntagResource(ctx, &iot.UntagResourceInput{ResourceArn: arn, TagKeys: []string{"team", "absent"}})
	step(err, `{}`)
	_, err = c.ListTagsForResource(ctx, &iot.ListTagsForResourceInput{ResourceArn: arn})
	step(err, `{"tags":[{"Key":"stage"}]}`)

	_, err = c.DescribeEndpoint(ctx, &iot.DescribeEndpointInput{EndpointType: aws.String("iot:Data-ATS")})
	step(err, `{"endpointAddress":"`+strings.TrimPrefix(wire.url, "http://")+`"}`)

	_, err = c.DeleteSecurityProfile(ctx, &iot.DeleteSecurityProfileInput{SecurityProfileName: name, ExpectedVersion: aws.Int64(2)})
	step(err, `{}`)
	_, err = c.DeleteCustomMetric(ctx, &iot.DeleteCustomMetricInput{MetricName: metric})
	step(err, `{}`)
	_, err = c.DeleteDimension(ctx, &iot.DeleteDimensionInput{Name: dimension})
	step(err, `{}`)
	_, err = c.RemoveThingFromThingGroup(ctx, &iot.RemoveThingFromThingGroupInput{ThingGroupArn: target, ThingName: thing})
	step(err, `{}`)
	_, err = c.DeleteThingGroup(ctx, &iot.DeleteThingGroupInput{ThingGroupName: group, ExpectedVersion: aws.Int64(2)})
	step(err, `{}`)
	_, err = c.DeleteThing(ctx, &iot.DeleteThingInput{ThingName: thing, ExpectedVersion: aws.Int64(2)})
	step(err, `{}`)

	identity, err := sts.New(sts.Options{Region: "us-east-1", BaseEndpoint: &wire.url, Credentials: c.Options().Credentials, HTTPClient: c.Options().HTTPClient}).
		GetCallerIdentity(ctx, &sts.GetCallerIdentityInput{})
	if err != nil || *identity.Account != "123456789012" {
		t.Errorf("GetCallerIdentity: %v, %v", identity, err)
	}
	called[wire.pattern] = true

	other := regexp.MustCompile(`Violation|MitigationAction|MetricValues|ModelTraining|AccessKey|AuditEvents|AlertChannel|^Backup$|^Metrics$|ThingCertificate|ThingState|^report$|^Publish$`) // tested where they are
	for _, op := range s.operations() {
		if !called[op.Method+" "+op.Path] && !other.MatchString(op.Name) {
			t.Errorf("%s was not called", op.Name)
		}
	}
}

// TestDocListsOperations holds the package comment's table to the operations
// that there are.
func TestDocListsOperations(t *testing.T) {
	doc, err := os.ReadFile("doc.go")
	if err != nil {
		t.Fatal(err)
	}
	names := map[string]bool{}
	for _, op := range new(Service).operations() {
		if names[op.Name] {
			t.Errorf("%s is there twice", op.Name)
		}
		names[op.Name] = true
		if !regexp.MustCompile(`\b` + op.Name + `\b`).Match(doc) {
			t.Errorf("doc.go does not name %s", op.Name)
		}
	}
	for _, name := range regexp.MustCompile(`\b(Create|Describe|Update|Delete|List|Attach|Detach|Validate|Put|Get|Start|Cancel|Tag|Untag|Add|Remove)[A-Z]\w+`).FindAllString(string(doc), -1) {
		if !names[name] {
			t.Errorf("doc.go names %s, which is no operation", name)
		}
	}
}

// administrators are the operations of ours, apart from those of access keys, that only they may
// call.
var administrators = []string{"ListAuditEvents", "Backup", "TestAlertChannel"}

// Access levels are those of AWS's Service Authorization Reference, where List
// counts as Read and Tagging as Write: what changes something isn't Read.
func TestAccessLevels(t *testing.T) {
	readByPost := map[string]bool{"ValidateSecurityProfileBehaviors": true}
	public := map[string]bool{"DescribeEndpoint": true, "GetCallerIdentity": true}
	for _, op := range new(Service).operations() {
		var want []awsrest.Access
		switch {
		case public[op.Name]:
			want = []awsrest.Access{awsrest.Public}
		case strings.Contains(op.Name, "AccessKey") || slices.Contains(administrators, op.Name):
			want = []awsrest.Access{awsrest.Admin}
		case op.Method == "GET" || readByPost[op.Name]:
			want = []awsrest.Access{awsrest.Read}
		case op.Name == "report" || op.Name == "Publish":
			want = []awsrest.Access{awsrest.Report}
		default:
			want = []awsrest.Access{awsrest.Write, awsrest.Admin}
		}
		if !slices.Contains(want, op.Access) {
			t.Errorf("%s (%s) has access level %d, want one of %d", op.Name, op.Method, op.Access, want)
		}
		acts := strings.Contains(op.Name, "MitigationAction") && op.Method != "GET"
		if people := strings.Contains(op.Name, "AccessKey") || slices.Contains(administrators, op.Name); (op.Access == awsrest.Admin) != (acts || people) {
			t.Errorf("%s (%s) has access level %d, want Admin for what acts on devices, tells access keys or what people did, and tests channels", op.Name, op.Method, op.Access)
		}
	}
}

// A body of an operation that has none would be without effect, unnoticed.
func TestBodiesAreRefused(t *testing.T) {
	handler := openService(t, Options{}).Handler()
	members := regexp.MustCompile(`\{\w+\}`)
	for _, op := range new(Service).operations() {
		if strings.Contains(op.Path, "{$}") || op.HasBody() {
			continue
		}
		w := send(t, handler, op.Method, members.ReplaceAllString(op.Path, "a"), jsonBody, `{}`)
		if w.Code != 400 || !strings.Contains(w.Body.String(), op.Name+" has no body") {
			t.Errorf("%s: %d %s", op.Name, w.Code, w.Body)
		}
	}
	// All others read theirs.
	for _, op := range new(Service).operations() {
		if !op.HasBody() || op.ContentTypes != nil {
			continue
		}
		w := send(t, handler, op.Method, members.ReplaceAllString(op.Path, "a"), jsonBody, `{"unknown":1}`)
		if w.Code != 400 || !strings.Contains(w.Body.String(), `member \"unknown\" is unknown`) {
			t.Errorf("%s: %d %s", op.Name, w.Code, w.Body)
		}
	}
}

func TestEmptyTagValue(t *testing.T) {
	c := newClient(t, serve(t, openService(t, Options{})))
	ctx := t.Context()
	_, err := c.CreateThingGroup(ctx, &iot.CreateThingGroupInput{ThingGroupName: aws.String("g"), Tags: []types.Tag{{Key: aws.String("k"), Value: aws.String("")}}})
	if err != nil {
		t.Fatal(err)
	}
	out, err := c.ListTagsForResource(ctx, &iot.ListTagsForResourceInput{ResourceArn: aws.String(account + "thinggroup/g")})
	if err != nil || len(out.Tags) != 1 || out.Tags[0].Value == nil || *out.Tags[0].Value != "" {
		t.Errorf("tags %+v, %v", out, err)
	}
}
