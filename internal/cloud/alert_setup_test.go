package cloud

import (
	"encoding/json"
	"net/http/httptest"
	"net/url"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/iot"
	"github.com/aws/aws-sdk-go-v2/service/sns"
	"github.com/google/go-cmp/cmp"

	"github.com/device-defender/device-defender/internal/defender/servicetest"
)

// planWith plans as PlanAlerts does, with the real SDK talking to the query API.
func planWith(t *testing.T, w *world, q *servicetest.QueryAPI, o AlertOptions) (*Setup, error) {
	t.Helper()
	server := httptest.NewServer(q)
	t.Cleanup(server.Close)
	config := aws.Config{Region: "us-east-1", Credentials: credentials.NewStaticCredentialsProvider("a", "b", "")}
	return w.client.planAlerts(t.Context(), o, alertClients{
		Client: w.client, sns: sns.NewFromConfig(config, func(o *sns.Options) { o.BaseEndpoint = aws.String(server.URL) }),
		iam: iam.NewFromConfig(config, func(o *iam.Options) { o.BaseEndpoint = aws.String(server.URL) }),
	})
}

func whats(s *Setup) (steps []string) {
	for _, step := range s.Steps {
		mark := "+ "
		if step.Done {
			mark = "= "
		}
		steps = append(steps, mark+step.What)
	}
	return steps
}

func TestAlertSetup(t *testing.T) {
	w := newWorld(t)
	w.Profile("DataExfiltrationCheck", servicetest.PacketExfiltration(1))
	q := servicetest.NewQueryAPI()
	options := AlertOptions{Topic: "security", Profiles: []string{"DataExfiltrationCheck"}}
	plan, err := planWith(t, w, q, options)
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		"+ create topic security", "+ create role device-defender-alerts", "+ put policy publish-security of role device-defender-alerts",
		"+ set alert target of security profile DataExfiltrationCheck",
	}
	if diff := cmp.Diff(want, whats(plan)); diff != "" {
		t.Error(diff)
	}
	if len(q.Calls) != 0 {
		t.Errorf("a plan changes things: %v", q.Calls)
	}
	var done []string
	if err := plan.Apply(t.Context(), func(s SetupStep) { done = append(done, s.What) }); err != nil || len(done) != 4 {
		t.Fatalf("%v, %v", done, err)
	}
	out, err := w.IoT.DescribeSecurityProfile(t.Context(), &iot.DescribeSecurityProfileInput{SecurityProfileName: aws.String("DataExfiltrationCheck")})
	if err != nil {
		t.Fatal(err)
	}
	target := out.AlertTargets["SNS"]
	if *target.AlertTargetArn != "arn:aws:sns:us-east-1:123456789012:security" || *target.RoleArn != "arn:aws:iam::123456789012:role/device-defender-alerts" {
		t.Errorf("%v %v", *target.AlertTargetArn, *target.RoleArn)
	}
	if len(out.Behaviors) != 1 || len(out.AdditionalMetricsToRetainV2) != 2 {
		t.Errorf("the rest of the profile is not as it was: %+v", out)
	}

	again, err := planWith(t, w, q, options)
	if err != nil || again.Changes() != 0 {
		t.Errorf("again: %v, %v", whats(again), err)
	}
	// Another topic: the role stays, and gets a second policy.
	options.Topic = "other"
	other, err := planWith(t, w, q, options)
	if err != nil {
		t.Fatal(err)
	}
	want = []string{
		"+ create topic other", "= role device-defender-alerts", "+ put policy publish-other of role device-defender-alerts",
		"+ set alert target of security profile DataExfiltrationCheck",
	}
	if diff := cmp.Diff(want, whats(other)); diff != "" {
		t.Error(diff)
	}
}

func TestAlertSetupRefuses(t *testing.T) {
	w := newWorld(t)
	w.Profile("P", servicetest.PacketExfiltration(1))
	const topic = "arn:aws:sns:us-east-1:123456789012:t"
	foreign := `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Principal":{"Service":"lambda.amazonaws.com"},"Action":"sts:AssumeRole"}}`
	q := servicetest.NewQueryAPI()
	q.Topics = map[string]map[string]string{topic: {"SubscriptionsConfirmed": "1", "KmsMasterKeyId": "alias/alerts"}}
	q.Roles = map[string]string{"foreign": foreign, "ours": alertTrust("us-east-1", "123456789012")}
	tests := []struct {
		o    AlertOptions
		want string
	}{
		{AlertOptions{Topic: "t", Role: "foreign", Profiles: []string{"P"}}, "does not trust iot.amazonaws.com"},
		{AlertOptions{Topic: "t", Role: "ours", Profiles: []string{"Nobody"}}, "Nobody"},
		{AlertOptions{Topic: "arn:aws:sns:us-east-1:999999999999:t", Role: "ours", Profiles: []string{"P"}}, "NotFound"},
		{AlertOptions{Topic: "t", Role: "arn:aws:iam::999999999999:role/ours", Profiles: []string{"P"}}, "not of account 123456789012"},
	}
	for _, test := range tests {
		if plan, err := planWith(t, w, q, test.o); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%+v: %v, %v", test.o, plan, err)
		}
	}
	if len(q.Calls) != 0 {
		t.Errorf("changed: %v", q.Calls)
	}
	plan, err := planWith(t, w, q, AlertOptions{Topic: "t", Role: "ours", Profiles: []string{"P"}})
	if err != nil || len(plan.Hints) != 1 || !strings.Contains(plan.Hints[0], "kms:GenerateDataKey") || !strings.Contains(plan.Hints[0], "alias/alerts") {
		t.Errorf("an encrypted topic: %+v, %v", plan, err)
	}
}

// A service without topics and roles: only the profile is set.
func TestAlertSetupUnchecked(t *testing.T) {
	w := newWorld(t)
	w.Profile("P", servicetest.PacketExfiltration(1))
	plan, err := w.client.PlanAlerts(t.Context(), AlertOptions{
		Topic: "arn:aws:sns:us-east-1:123456789012:t", Role: "arn:aws:iam::123456789012:role/r", Profiles: []string{"P"}, Unchecked: true,
	})
	if err != nil || !slices.Equal(whats(plan), []string{"+ set alert target of security profile P"}) {
		t.Fatalf("%v, %v", whats(plan), err)
	}
	if err := plan.Apply(t.Context(), func(SetupStep) {}); err != nil {
		t.Fatal(err)
	}
	// Somebody changes the profile between plan and Apply: nothing is overwritten.
	plan, err = w.client.PlanAlerts(t.Context(), AlertOptions{
		Topic: "arn:aws:sns:us-east-1:123456789012:u", Role: "arn:aws:iam::123456789012:role/r", Profiles: []string{"P"}, Unchecked: true,
	})
	if err != nil {
		t.Fatal(err)
	}
	_, err = w.IoT.UpdateSecurityProfile(t.Context(), &iot.UpdateSecurityProfileInput{SecurityProfileName: aws.String("P"), SecurityProfileDescription: aws.String("changed")})
	if err != nil {
		t.Fatal(err)
	}
	if err := plan.Apply(t.Context(), func(SetupStep) {}); err == nil || !strings.Contains(err.Error(), "P") {
		t.Errorf("%v", err)
	}
}

// The policies are those that this repository ships as files.
func TestAlertPoliciesAreTheShippedOnes(t *testing.T) {
	for file, got := range map[string]string{
		"iam-alert-role.json":       publishPolicy("arn:aws:sns:eu-west-1:123456789012:device-defender-alerts"),
		"iam-alert-role.trust.json": alertTrust("eu-west-1", "123456789012"),
	} {
		data, err := os.ReadFile("../../artifacts/policies/" + file)
		if err != nil {
			t.Fatal(err)
		}
		var a, b any
		text := strings.NewReplacer("REGION", "eu-west-1", "ACCOUNT", "123456789012").Replace(string(data))
		if err := json.Unmarshal([]byte(text), &a); err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal([]byte(got), &b); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(a, b); diff != "" {
			t.Errorf("%s: %s", file, diff)
		}
	}
}

func TestTrustsIoT(t *testing.T) {
	tests := []struct {
		policy string
		want   bool
	}{
		{`{"Statement":[{"Effect":"Allow","Principal":{"Service":"iot.amazonaws.com"},"Action":"sts:AssumeRole"}]}`, true},
		{`{"Statement":{"Effect":"Allow","Principal":{"Service":["lambda.amazonaws.com","iot.amazonaws.com"]},"Action":["sts:AssumeRole"]}}`, true},
		{`{"Statement":[{"Effect":"Deny","Principal":{"Service":"iot.amazonaws.com"},"Action":"sts:AssumeRole"}]}`, false},
		{`{"Statement":[{"Effect":"Allow","Principal":{"AWS":"iot.amazonaws.com"},"Action":"sts:AssumeRole"}]}`, false},
		{`{"Statement":[{"Effect":"Allow","Principal":"*","Action":"sts:AssumeRole"}]}`, false},
		{`{"Statement":[{"Effect":"Allow","Principal":{"Service":"iot.amazonaws.com"},"Action":"sts:TagSession"}]}`, false},
		{`{}`, false}, {`[]`, false}, {``, false},
	}
	for _, test := range tests {
		if got := trustsIoT(url.QueryEscape(test.policy)); got != test.want {
			t.Errorf("%s: %v", test.policy, got)
		}
	}
}
