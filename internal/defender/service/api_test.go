package service

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iot"
	"github.com/aws/aws-sdk-go-v2/service/iot/types"

	"github.com/device-defender/device-defender/internal/defender/awsrest"
	"github.com/device-defender/device-defender/internal/defender/store"
)

// TestRawRequests sends what AWS's clients don't, and compares the status, the
// error type in the header and a part of the message.
func TestRawRequests(t *testing.T) {
	s := openService(t, Options{})
	handler := s.Handler()
	const profile, validate = "/security-profiles/P", "/security-profile-behaviors/validate"
	deep := strings.Repeat(`{"a":`, 40) + "1" + strings.Repeat("}", 40)
	send(t, handler, "POST", profile, nil, "")
	for _, test := range []struct {
		name, method, path, body string
		status                   int
		says                     string // error type and part of the message
	}{
		{"AWS's own typing error", "POST", profile, `{"behaviors":[{"name":"B","metricDimension":{"dimensionName:":"d"}}]}`, 400, `"behaviors[0].metricDimension.dimensionName:" is unknown`},
		{"a member that is null is absent", "POST", validate, `{"behaviors":null}`, 400, "Value null at 'behaviors'"},
		{"deep where anything may be", "POST", profile, `{"alertTargets":{"SNS":` + deep + `}}`, 400, "InvalidRequestException"},
		{"a flag of another type", "PATCH", profile, `{"deleteBehaviors":"true"}`, 400, "deleteBehaviors is a string, want true or false"},
		{"deprecated list given and deleted", "PATCH", profile, `{"additionalMetricsToRetain":["aws:all-bytes-in"],"deleteAdditionalMetricsToRetain":true}`, 400, "deleteAdditionalMetricsToRetain is true"},
		{"tags in an update", "PATCH", profile, `{"tags":[{"Key":"k"}]}`, 400, "TagResource"},
		{"deleting in a creation", "POST", "/security-profiles/Q", `{"deleteBehaviors":true}`, 400, "nothing to delete"},
		{"no token", "POST", "/custom-metric/m", `{"metricType":"number"}`, 400, "'clientRequestToken'"},
		{"no type", "POST", "/custom-metric/m", `{"clientRequestToken":"1"}`, 400, "'metricType'"},
		{"no display name", "PATCH", "/custom-metric/m", `{}`, 400, "'displayName'"},
		{"no dimension type", "POST", "/dimensions/d", `{"stringValues":["a"],"clientRequestToken":"1"}`, 400, "'type'"},
		{"no string values", "PATCH", "/dimensions/d", `{}`, 400, "'stringValues'"},
		{"no ARN", "POST", "/tags", `{"tags":[]}`, 400, "'resourceArn'"},
		{"no tags", "POST", "/tags", `{"resourceArn":"x"}`, 400, "'tags'"},
		{"no tag keys", "POST", "/untag", `{"resourceArn":"x"}`, 400, "'tagKeys'"},
		{"no target", "PUT", profile + "/targets", "", 400, "'securityProfileTargetArn'"},
		{"no resource", "GET", "/tags", "", 400, "'resourceArn'"},
		{"tags have one page", "GET", "/tags?resourceArn=x&nextToken=y", "", 400, "nextToken"},
		{"a member of the other operation", "PUT", "/thing-groups/removeThingFromThingGroup", `{"thingGroupName":"g","thingName":"t","overrideDynamicGroups":true}`, 400, "overrideDynamicGroups"},
		{"no properties of a group", "PATCH", "/thing-groups/g", `{}`, 400, "'thingGroupProperties'"},
		{"parameter that is no number", "GET", "/things?maxResults=x", "", 400, "'maxResults'"},
		{"parameter that is no name", "GET", "/security-profiles?metricName=", "", 400, "'metricName'"},
		{"a signature in the query", "GET", "/things?X-Amz-Signature=0", "", 200, ""},
		{"slash in a name", "GET", "/security-profiles/a%2Fb", "", 400, "Value 'a/b' at 'securityProfileName'"},
		{"another method", "DELETE", "/things", "", 405, "UnknownOperationException DELETE /things"},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := send(t, handler, test.method, test.path, jsonBody, test.body)
			var answer struct{ Message string }
			if err := json.Unmarshal(w.Body.Bytes(), &answer); err != nil {
				t.Fatalf("%d %s: %v", w.Code, w.Body, err)
			}
			errorType := w.Header().Get("X-Amzn-ErrorType")
			kind, part, _ := strings.Cut(test.says, " ")
			if !strings.HasSuffix(kind, "Exception") {
				part = test.says
				kind = map[bool]string{true: "InvalidRequestException"}[test.status == 400]
			}
			if w.Code != test.status || errorType != kind || !strings.Contains(answer.Message, part) {
				t.Errorf("got %d %s %q, want %d %s", w.Code, errorType, answer.Message, test.status, test.says)
			}
			if got := w.Header().Get("Content-Type"); got != "application/json" {
				t.Errorf("Content-Type %q", got)
			}
		})
	}
}

func TestAlreadyExistsNamesTheResource(t *testing.T) {
	handler := openService(t, Options{}).Handler()
	send(t, handler, "POST", "/security-profiles/P", nil, "")
	w := send(t, handler, "POST", "/security-profiles/P", nil, "")
	const want = `{"message":"Security profile P already exists","resourceId":"P","resourceArn":"arn:aws:iot:us-east-1:123456789012:securityprofile/P"}`
	if w.Code != 409 || w.Body.String() != want {
		t.Errorf("got %d %s, want 409 %s", w.Code, w.Body, want)
	}
}

// TestPanic has an operation panic that has changed something before.
func TestPanic(t *testing.T) {
	s := openService(t, Options{})
	api := s.api()
	api.Operations = []awsrest.Operation{{Name: "Broken", Method: "POST", Path: "/broken", Access: awsrest.Write, Handle: func(*awsrest.Request) (any, error) {
		return nil, s.write(t.Context(), func(tx *store.Tx) error {
			if err := tableThings.Put(tx, "half", storedThing{}); err != nil {
				return err
			}
			panic("out of order")
		})
	}}}
	if w := send(t, api.Handler(), "POST", "/broken", nil, ""); w.Code != 500 {
		t.Errorf("got %d %s", w.Code, w.Body)
	}
	c := newClient(t, serve(t, s))
	if _, err := c.DescribeThing(t.Context(), &iot.DescribeThingInput{ThingName: aws.String("half")}); !isNotFound(err) {
		t.Errorf("half of the transaction is there: %v", err)
	}
	if _, err := c.CreateThing(t.Context(), &iot.CreateThingInput{ThingName: aws.String("t")}); err != nil {
		t.Errorf("the service is stuck: %v", err)
	}
}

// TestInternalFailure answers what AWS's client takes for a failure of ours.
func TestInternalFailure(t *testing.T) {
	s, err := Open(Options{Data: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	c := newClient(t, serve(t, s))
	s.Close() // there is no database any more
	if _, err := c.ListThings(t.Context(), &iot.ListThingsInput{}); !isInternal(err) {
		t.Errorf("got %v", err)
	}
}

// TestThrottling calls faster than AWS's quotas.
func TestThrottling(t *testing.T) {
	clock := time.Unix(1795381430, 0)
	c, ctx := newClient(t, serve(t, openService(t, Options{Throttle: true, Now: func() time.Time { return clock }}))), t.Context()
	list := func() error {
		_, err := c.ListDimensions(ctx, &iot.ListDimensionsInput{})
		return err
	}
	for i := range 10 {
		if err := list(); err != nil {
			t.Fatalf("call %d of 10 in a second: %v", i+1, err)
		}
	}
	if err := list(); !isThrottled(err) {
		t.Errorf("call 11: %v", err)
	}
	if _, err := c.ListCustomMetrics(ctx, &iot.ListCustomMetricsInput{}); err != nil {
		t.Errorf("another operation: %v", err)
	}
	clock = clock.Add(100 * time.Millisecond)
	if err := list(); err != nil {
		t.Errorf("a tenth of a second later: %v", err)
	}
	for i := range 30 { // no quota
		if _, err := c.TagResource(ctx, &iot.TagResourceInput{ResourceArn: aws.String("x"), Tags: []types.Tag{}}); !isInvalid(err) {
			t.Fatalf("call %d of TagResource: %v", i, err)
		}
	}
}

func TestSTSErrors(t *testing.T) {
	handler := openService(t, Options{}).Handler()
	form := http.Header{"Content-Type": {"application/x-www-form-urlencoded; charset=utf-8"}}
	for body, want := range map[string]string{
		"Action=AssumeRole&Version=2011-06-15": "<Code>InvalidAction</Code>",
		"":                                     "<Code>InvalidAction</Code>",
		"Action=%zz":                           "<Code>MalformedQueryString</Code>",
	} {
		w := send(t, handler, "POST", "/", form, body)
		if w.Code != 400 || w.Header().Get("Content-Type") != "text/xml" || !strings.Contains(w.Body.String(), want) {
			t.Errorf("%q: got %d %s", body, w.Code, w.Body)
		}
	}
}
