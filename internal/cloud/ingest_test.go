package cloud

import (
	"context"
	"encoding/json"
	"maps"
	"net/http/httptest"
	"os"
	"reflect"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/iot"
	"github.com/aws/aws-sdk-go-v2/service/iot/types"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	sqstypes "github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"github.com/google/go-cmp/cmp"

	"github.com/device-defender/device-defender/internal/defender/servicetest"
)

// account is as much of AWS as ingest needs, without what the network does: that the real SDK and a
// stand-in of AWS understand each other is checked by scripts/check-ingest-with-moto.sh.
type account struct {
	queues map[string]map[string]string // name -> attributes
	rules  map[string]*types.TopicRule
	calls  int // that change something
}

const queueBase = "https://sqs.us-east-1.amazonaws.com/123456789012/"

func (a *account) CreateQueue(_ context.Context, in *sqs.CreateQueueInput, _ ...func(*sqs.Options)) (*sqs.CreateQueueOutput, error) {
	a.calls++
	a.queues[*in.QueueName] = maps.Clone(in.Attributes)
	return &sqs.CreateQueueOutput{QueueUrl: aws.String(queueBase + *in.QueueName)}, nil
}

//nolint:revive // the name is the SDK's
func (a *account) GetQueueUrl(_ context.Context, in *sqs.GetQueueUrlInput, _ ...func(*sqs.Options)) (*sqs.GetQueueUrlOutput, error) {
	if a.queues[*in.QueueName] == nil {
		return nil, &sqstypes.QueueDoesNotExist{}
	}
	return &sqs.GetQueueUrlOutput{QueueUrl: aws.String(queueBase + *in.QueueName)}, nil
}

func (a *account) GetQueueAttributes(_ context.Context, in *sqs.GetQueueAttributesInput, _ ...func(*sqs.Options)) (*sqs.GetQueueAttributesOutput, error) {
	return &sqs.GetQueueAttributesOutput{Attributes: maps.Clone(a.queues[strings.TrimPrefix(*in.QueueUrl, queueBase)])}, nil
}

func (a *account) SetQueueAttributes(_ context.Context, in *sqs.SetQueueAttributesInput, _ ...func(*sqs.Options)) (*sqs.SetQueueAttributesOutput, error) {
	a.calls++
	maps.Copy(a.queues[strings.TrimPrefix(*in.QueueUrl, queueBase)], in.Attributes)
	return &sqs.SetQueueAttributesOutput{}, nil
}

func (a *account) put(name string, p *types.TopicRulePayload) {
	a.calls++
	a.rules[name] = &types.TopicRule{Sql: p.Sql, AwsIotSqlVersion: p.AwsIotSqlVersion, RuleDisabled: p.RuleDisabled, Actions: p.Actions, Description: p.Description}
}

func (a *account) CreateTopicRule(_ context.Context, in *iot.CreateTopicRuleInput, _ ...func(*iot.Options)) (*iot.CreateTopicRuleOutput, error) {
	a.put(*in.RuleName, in.TopicRulePayload)
	return &iot.CreateTopicRuleOutput{}, nil
}

func (a *account) ReplaceTopicRule(_ context.Context, in *iot.ReplaceTopicRuleInput, _ ...func(*iot.Options)) (*iot.ReplaceTopicRuleOutput, error) {
	a.put(*in.RuleName, in.TopicRulePayload)
	return &iot.ReplaceTopicRuleOutput{}, nil
}

func (a *account) GetTopicRule(_ context.Context, in *iot.GetTopicRuleInput, _ ...func(*iot.Options)) (*iot.GetTopicRuleOutput, error) {
	if a.rules[*in.RuleName] == nil {
		return nil, &types.UnauthorizedException{Message: aws.String("Access to topic rule was denied")} // as AWS IoT does
	}
	return &iot.GetTopicRuleOutput{Rule: a.rules[*in.RuleName]}, nil
}

// inAccount returns clients of an account that is empty.
func inAccount(t *testing.T) (ingestClients, *account, *servicetest.QueryAPI) {
	t.Helper()
	q := servicetest.NewQueryAPI()
	server := httptest.NewServer(q)
	t.Cleanup(server.Close)
	a := &account{queues: map[string]map[string]string{}, rules: map[string]*types.TopicRule{}}
	config := aws.Config{Region: "us-east-1", Credentials: credentials.NewStaticCredentialsProvider("a", "b", "")}
	client := newClient(config, Options{Account: "123456789012"}, "")
	return ingestClients{Client: client, sqs: a, rules: a, iam: iam.NewFromConfig(config, func(o *iam.Options) { o.BaseEndpoint = aws.String(server.URL) })}, a, q
}

func planIngest(t *testing.T, k ingestClients) *IngestPlan {
	t.Helper()
	plan, err := k.plan(t.Context(), DefaultIngest)
	if err != nil {
		t.Fatal(err)
	}
	return plan
}

func TestIngestSetup(t *testing.T) {
	k, a, q := inAccount(t)
	plan := planIngest(t, k)
	want := []string{
		"+ create queue device-defender-dead-letters", "+ create queue device-defender-reports", "+ create role device-defender-ingest",
		"+ put policy send-to-device-defender-reports of role device-defender-ingest", "+ create rule device_defender_reports", "+ create rule device_defender_presence",
	}
	if diff := cmp.Diff(want, whats(&plan.Setup)); diff != "" {
		t.Error(diff)
	}
	if a.calls+len(q.Calls) != 0 {
		t.Errorf("a plan changes things: %d, %v", a.calls, q.Calls)
	}
	if err := plan.Apply(t.Context(), func(SetupStep) {}); err != nil {
		t.Fatal(err)
	}
	if again := planIngest(t, k); again.Changes() != 0 || again.QueueURL != queueBase+"device-defender-reports" {
		t.Errorf("again: %v, %s", whats(&again.Setup), again.QueueURL)
	}
	if got := *a.rules["device_defender_reports"].Actions[0].Sqs.QueueUrl; got != queueBase+"device-defender-reports" {
		t.Errorf("the rule sends to %s", got)
	}
	// What somebody set about time stays.
	a.queues["device-defender-reports"]["MessageRetentionPeriod"] = "3600"
	if again := planIngest(t, k); again.Changes() != 0 {
		t.Errorf("%v", whats(&again.Setup))
	}
}

// Each thing that can be wrong is found by check and put right by setup.
func TestIngestCheck(t *testing.T) {
	for name, test := range map[string]struct {
		spoil func(*account, *servicetest.QueryAPI)
		want  string
	}{
		"no rule": {func(a *account, _ *servicetest.QueryAPI) { delete(a.rules, "device_defender_reports") }, "there is no rule device_defender_reports"},
		"disabled": {func(a *account, _ *servicetest.QueryAPI) {
			a.rules["device_defender_reports"].RuleDisabled = aws.Bool(true)
		}, "rule device_defender_reports: it is disabled"},
		"other SQL": {func(a *account, _ *servicetest.QueryAPI) {
			a.rules["device_defender_presence"].Sql = aws.String("SELECT * FROM 'a'")
		}, "rule device_defender_presence: its SQL is another"},
		"old SQL": {func(a *account, _ *servicetest.QueryAPI) {
			a.rules["device_defender_reports"].AwsIotSqlVersion = aws.String("2015-10-08")
		}, "its SQL has version 2015-10-08"},
		"no action": {func(a *account, _ *servicetest.QueryAPI) { a.rules["device_defender_reports"].Actions = nil }, "it does not send to queue device-defender-reports"},
		"another role": {func(a *account, _ *servicetest.QueryAPI) {
			a.rules["device_defender_reports"].Actions[0].Sqs.RoleArn = aws.String("arn:aws:iam::123456789012:role/x")
		}, "with another role"},
		"base64": {func(a *account, _ *servicetest.QueryAPI) {
			a.rules["device_defender_reports"].Actions[0].Sqs.UseBase64 = aws.Bool(true)
		}, "in base64"},
		"no role":           {func(_ *account, q *servicetest.QueryAPI) { delete(q.Roles, "device-defender-ingest") }, "there is no role device-defender-ingest"},
		"role may not send": {func(_ *account, q *servicetest.QueryAPI) { clear(q.Policies) }, "role device-defender-ingest may not send to the queue"},
		"anybody sends":     {func(a *account, _ *servicetest.QueryAPI) { delete(a.queues["device-defender-reports"], "Policy") }, "queue device-defender-reports: its policy"},
		"no redrive policy": {func(a *account, _ *servicetest.QueryAPI) {
			delete(a.queues["device-defender-reports"], "RedrivePolicy")
		}, "do not go to device-defender-dead-letters"},
		"no queue":        {func(a *account, _ *servicetest.QueryAPI) { delete(a.queues, "device-defender-reports") }, "there is no queue device-defender-reports"},
		"no dead letters": {func(a *account, _ *servicetest.QueryAPI) { delete(a.queues, "device-defender-dead-letters") }, "there is no queue device-defender-dead-letters"},
		"nothing receives": {func(a *account, _ *servicetest.QueryAPI) {
			a.queues["device-defender-reports"]["ApproximateNumberOfMessages"] = "7"
		}, "about 7 messages wait, and nothing receives them"},
		"messages are dead": {func(a *account, _ *servicetest.QueryAPI) {
			a.queues["device-defender-dead-letters"]["ApproximateNumberOfMessages"] = "3"
		}, "about 3 messages could not be taken"},
		"all is as it should": {func(*account, *servicetest.QueryAPI) {}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			k, a, q := inAccount(t)
			if err := planIngest(t, k).Apply(t.Context(), func(SetupStep) {}); err != nil {
				t.Fatal(err)
			}
			test.spoil(a, q)
			lost := func() (texts []string) {
				t.Helper()
				findings, err := k.check(t.Context(), DefaultIngest)
				if err != nil {
					t.Fatal(err)
				}
				for _, f := range findings {
					if !f.OK {
						texts = append(texts, f.Text)
					}
				}
				return texts
			}
			got := strings.Join(lost(), "\n")
			if !strings.Contains(got, test.want) || (test.want == "") != (got == "") {
				t.Errorf("got %q, want %q", got, test.want)
			}
			if err := planIngest(t, k).Apply(t.Context(), func(SetupStep) {}); err != nil {
				t.Fatal(err)
			}
			for _, text := range lost() {
				if !strings.HasPrefix(text, "about ") {
					t.Errorf("still %q", text)
				}
			}
		})
	}
}

func TestIngestSetupRefuses(t *testing.T) {
	k, _, q := inAccount(t)
	for _, name := range []string{"", "a b", "-a", "a/b", strings.Repeat("a", 41), "a-"} {
		if _, err := k.plan(t.Context(), name); err == nil {
			t.Errorf("name %q is taken", name)
		}
	}
	q.Roles["device-defender-ingest"] = `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Principal":{"Service":"lambda.amazonaws.com"},"Action":"sts:AssumeRole"}}`
	if _, err := k.plan(t.Context(), DefaultIngest); err == nil || !strings.Contains(err.Error(), "does not trust iot.amazonaws.com") {
		t.Errorf("%v", err)
	}
}

// template is a CloudFormation template, with what its functions stand for filled in.
type template map[string]any

func (t template) fill(v any) any {
	const arn = "arn:aws:"
	switch v := v.(type) {
	case map[string]any:
		if name, ok := v["Ref"].(string); ok {
			return map[string]string{"Reports": queueBase + "device-defender-reports", "AWS::AccountId": "123456789012"}[name]
		}
		if text, ok := v["Fn::Sub"].(string); ok {
			return strings.NewReplacer("${Name}", "device-defender", "${RuleName}", "device_defender", "${ReportsRule}", "device_defender_reports",
				"${AWS::Partition}", "aws", "${AWS::Region}", "us-east-1", "${AWS::AccountId}", "123456789012").Replace(text)
		}
		if of, ok := v["Fn::GetAtt"].([]any); ok {
			return map[any]string{
				"Reports": arn + "sqs:us-east-1:123456789012:device-defender-reports", "DeadLetters": arn + "sqs:us-east-1:123456789012:device-defender-dead-letters",
				"Role": arn + "iam::123456789012:role/device-defender-ingest",
			}[of[0]]
		}
		filled := map[string]any{}
		for key, value := range v {
			filled[key] = t.fill(value)
		}
		return filled
	case []any:
		filled := make([]any, len(v))
		for i, value := range v {
			filled[i] = t.fill(value)
		}
		return filled
	}
	return v
}

// properties returns those of a resource.
func (t template) properties(resource string) map[string]any {
	r := t["Resources"].(map[string]any)[resource].(map[string]any)
	return t.fill(r["Properties"]).(map[string]any)
}

// The template makes what setup makes: after it, setup has nothing to do.
func TestIngestTemplateIsWhatSetupMakes(t *testing.T) {
	data, err := os.ReadFile("../../artifacts/ingest/ingest.template.json")
	if err != nil {
		t.Fatal(err)
	}
	var made template
	if err := json.Unmarshal(data, &made); err != nil {
		t.Fatal(err)
	}
	k, a, q := inAccount(t)
	text := func(v any) string {
		if s, ok := v.(string); ok {
			return s
		}
		return asJSON(v)
	}
	for _, resource := range []string{"DeadLetters", "Reports"} {
		attributes := map[string]string{}
		for key, value := range made.properties(resource) {
			if key != "QueueName" {
				attributes[key] = text(value)
			}
		}
		a.queues[made.properties(resource)["QueueName"].(string)] = attributes
	}
	a.queues["device-defender-reports"]["Policy"] = asJSON(made.properties("ReportsPolicy")["PolicyDocument"])
	role := made.properties("Role")
	name := role["RoleName"].(string)
	q.Roles[name] = asJSON(role["AssumeRolePolicyDocument"])
	for _, p := range role["Policies"].([]any) {
		policy := p.(map[string]any)
		q.Policies[name+"/"+policy["PolicyName"].(string)] = asJSON(policy["PolicyDocument"])
	}
	for _, resource := range []string{"ReportsRule", "PresenceRule"} {
		p := made.properties(resource)
		var rule types.TopicRule
		if err := json.Unmarshal([]byte(asJSON(p["TopicRulePayload"])), &rule); err != nil {
			t.Fatal(err)
		}
		a.rules[p["RuleName"].(string)] = &rule
	}
	fromTemplate := map[string]any{"queues": a.queues, "rules": a.rules, "roles": q.Roles, "policies": q.Policies}
	if plan := planIngest(t, k); plan.Changes() != 0 {
		t.Errorf("setup still has to do %v", whats(&plan.Setup))
	}
	k2, a2, q2 := inAccount(t)
	if err := planIngest(t, k2).Apply(t.Context(), func(SetupStep) {}); err != nil {
		t.Fatal(err)
	}
	fromSetup := map[string]any{"queues": a2.queues, "rules": a2.rules, "roles": q2.Roles, "policies": q2.Policies}
	if diff := cmp.Diff(decoded(t, fromSetup), decoded(t, fromTemplate)); diff != "" {
		t.Errorf("setup, template:\n%s", diff)
	}
	if got := made.fill(made["Outputs"]).(map[string]any)["ReportTopic"].(map[string]any)["Value"]; !strings.Contains(planIngest(t, k).DeploymentMerge(), asJSON(got)) {
		t.Errorf("ReportTopic %v", got)
	}
}

// The policies are those that this repository ships as files.
func TestIngestPoliciesAreTheShippedOnes(t *testing.T) {
	i, err := NewIngest("eu-west-1", "123456789012", DefaultIngest)
	if err != nil {
		t.Fatal(err)
	}
	for file, got := range map[string]string{"iam-receive-reports.json": i.ReceivePolicy(), "iot-device-defender-rule.json": i.CorePolicy("gw-1")} {
		data, err := os.ReadFile("../../artifacts/policies/" + file)
		if err != nil {
			t.Fatal(err)
		}
		if want := strings.NewReplacer("REGION", "eu-west-1", "ACCOUNT", "123456789012", "CORE", "gw-1").Replace(string(data)); !sameDocument(got, want) {
			t.Errorf("%s: %s", file, got)
		}
	}
}

// decoded returns what is there as JSON has it, also where a document is in a string.
func decoded(t *testing.T, v any) any {
	t.Helper()
	var tree any
	if err := json.Unmarshal([]byte(asJSON(v)), &tree); err != nil {
		t.Fatal(err)
	}
	var open func(any) any
	open = func(v any) any {
		switch v := v.(type) {
		case map[string]any:
			for key, value := range v {
				v[key] = open(value)
			}
		case string:
			var document any
			if json.Unmarshal([]byte(v), &document) == nil && reflect.TypeOf(document).Kind() == reflect.Map {
				return document
			}
		}
		return v
	}
	return open(tree)
}
