package cloud

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	iamtypes "github.com/aws/aws-sdk-go-v2/service/iam/types"
	"github.com/aws/aws-sdk-go-v2/service/iot"
	"github.com/aws/aws-sdk-go-v2/service/iot/types"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	sqstypes "github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"github.com/aws/smithy-go"

	"github.com/device-defender/device-defender/internal/ingest/iotrule"
)

// IngestPlan is what has to be done so that reports reach a queue.
type IngestPlan struct {
	Setup
	Ingest
	QueueURL string // "" until the queue is there
}

// queues is what is asked of SQS.
type queues interface {
	CreateQueue(context.Context, *sqs.CreateQueueInput, ...func(*sqs.Options)) (*sqs.CreateQueueOutput, error)
	GetQueueUrl(context.Context, *sqs.GetQueueUrlInput, ...func(*sqs.Options)) (*sqs.GetQueueUrlOutput, error)
	GetQueueAttributes(context.Context, *sqs.GetQueueAttributesInput, ...func(*sqs.Options)) (*sqs.GetQueueAttributesOutput, error)
	SetQueueAttributes(context.Context, *sqs.SetQueueAttributesInput, ...func(*sqs.Options)) (*sqs.SetQueueAttributesOutput, error)
}

// topicRules is what is asked of AWS IoT.
type topicRules interface {
	CreateTopicRule(context.Context, *iot.CreateTopicRuleInput, ...func(*iot.Options)) (*iot.CreateTopicRuleOutput, error)
	GetTopicRule(context.Context, *iot.GetTopicRuleInput, ...func(*iot.Options)) (*iot.GetTopicRuleOutput, error)
	ReplaceTopicRule(context.Context, *iot.ReplaceTopicRuleInput, ...func(*iot.Options)) (*iot.ReplaceTopicRuleOutput, error)
}

// ingestClients are the services that carry reports.
type ingestClients struct {
	*Client
	sqs   queues
	iam   *iam.Client
	rules topicRules
}

func (c *Client) ingestClients() ingestClients {
	return ingestClients{Client: c, sqs: c.sqs(), iam: c.iam(), rules: c.IoT}
}

func (c *Client) sqs() *sqs.Client { return sqs.NewFromConfig(c.config) }

// HasRules reports whether there are rules and queues: on AWS always, elsewhere if the environment
// says where SQS and IAM are.
func (c *Client) HasRules() bool {
	return !c.ours || c.sqs().Options().BaseEndpoint != nil && c.iam().Options().BaseEndpoint != nil
}

// PlanIngest finds out what has to be done. It changes nothing.
func (c *Client) PlanIngest(ctx context.Context, name string) (*IngestPlan, error) {
	return c.ingestClients().plan(ctx, name)
}

func (k ingestClients) plan(ctx context.Context, name string) (*IngestPlan, error) {
	account, err := k.AccountID(ctx)
	if err != nil {
		return nil, err
	}
	design, err := NewIngest(k.Region, account, name)
	if err != nil {
		return nil, err
	}
	plan := &IngestPlan{Ingest: design}
	for _, part := range []func(context.Context, *IngestPlan) error{k.planDeadLetters, k.planQueue, k.planIngestRole, k.planSending, k.planReports, k.planPresence} {
		if err := part(ctx, plan); err != nil {
			return nil, err
		}
	}
	return plan, nil
}

// queue finds a queue of this account; url is "" if there is none.
func (k ingestClients) queue(ctx context.Context, name string) (url string, attributes map[string]string, err error) {
	found, err := k.sqs.GetQueueUrl(ctx, &sqs.GetQueueUrlInput{QueueName: &name})
	if _, missing := errors.AsType[*sqstypes.QueueDoesNotExist](err); missing {
		return "", nil, nil
	}
	if err != nil {
		return "", nil, k.failed("look for queue "+name, err)
	}
	out, err := k.sqs.GetQueueAttributes(ctx, &sqs.GetQueueAttributesInput{QueueUrl: found.QueueUrl, AttributeNames: []sqstypes.QueueAttributeName{sqstypes.QueueAttributeNameAll}})
	if err != nil {
		return "", nil, k.failed("look at queue "+name, err)
	}
	return aws.ToString(found.QueueUrl), out.Attributes, nil
}

func (k ingestClients) create(name string, attributes map[string]string, made *string) func(context.Context) error {
	return func(ctx context.Context) error {
		out, err := k.sqs.CreateQueue(ctx, &sqs.CreateQueueInput{QueueName: &name, Attributes: attributes})
		if err == nil && made != nil {
			*made = aws.ToString(out.QueueUrl)
		}
		return k.failed("create queue "+name, err)
	}
}

func (k ingestClients) planDeadLetters(ctx context.Context, plan *IngestPlan) error {
	url, _, err := k.queue(ctx, plan.DeadLetters)
	switch {
	case err != nil:
		return err
	case url == "":
		plan.Steps = append(plan.Steps, SetupStep{
			What: "create queue " + plan.DeadLetters, Note: "what can't be taken is kept there for 14 days",
			Lost: "there is no queue " + plan.DeadLetters + " for messages that can't be taken", run: k.create(plan.DeadLetters, plan.deadAttributes(), nil),
		})
	default:
		plan.Steps = append(plan.Steps, SetupStep{What: "queue " + plan.DeadLetters, Done: true})
	}
	return nil
}

// planQueue looks at the queue that reports wait in. Times that somebody has set stay as they are.
func (k ingestClients) planQueue(ctx context.Context, plan *IngestPlan) error {
	url, attributes, err := k.queue(ctx, plan.Queue)
	if err != nil {
		return err
	}
	plan.QueueURL = url
	if url == "" {
		plan.Steps = append(plan.Steps, SetupStep{
			What: "create queue " + plan.Queue, Note: "only the rules may send to it; messages are kept for 14 days",
			Lost: "there is no queue " + plan.Queue, run: k.create(plan.Queue, plan.attributes(), &plan.QueueURL),
		})
		return nil
	}
	change, why := map[string]string{}, ""
	if !sameDocument(attributes["Policy"], plan.queuePolicy()) {
		change["Policy"], why = plan.queuePolicy(), "its policy is not the one by which only the rules may send, or they may not"
	}
	if !leadsTo(attributes["RedrivePolicy"], plan.queueARN(plan.DeadLetters)) {
		change["RedrivePolicy"], why = plan.redrivePolicy(), "messages that can't be taken do not go to "+plan.DeadLetters
	}
	if key := attributes["KmsMasterKeyId"]; key != "" {
		plan.Hints = append(plan.Hints, fmt.Sprintf("the queue is encrypted with the KMS key %s: role %s needs kms:GenerateDataKey and kms:Decrypt on it, the service kms:Decrypt", key, plan.Role))
	}
	if len(change) == 0 {
		plan.Steps = append(plan.Steps, SetupStep{What: "queue " + plan.Queue, Done: true})
		return nil
	}
	plan.Steps = append(plan.Steps, SetupStep{What: "change queue " + plan.Queue, Note: why, Lost: "queue " + plan.Queue + ": " + why, run: func(ctx context.Context) error {
		_, err := k.sqs.SetQueueAttributes(ctx, &sqs.SetQueueAttributesInput{QueueUrl: &url, Attributes: change})
		return k.failed("change queue "+plan.Queue, err)
	}})
	return nil
}

// leadsTo reports whether a redrive policy names the queue. How often a message is received before is
// the operator's to say.
func leadsTo(policy, arn string) bool {
	var p struct {
		Target string `json:"deadLetterTargetArn"`
	}
	return json.Unmarshal([]byte(policy), &p) == nil && p.Target == arn
}

// planIngestRole looks for the role. One that is there and does not trust AWS IoT is not changed.
func (k ingestClients) planIngestRole(ctx context.Context, plan *IngestPlan) error {
	out, err := k.iam.GetRole(ctx, &iam.GetRoleInput{RoleName: &plan.Role})
	if _, missing := errors.AsType[*iamtypes.NoSuchEntityException](err); missing {
		plan.Steps = append(plan.Steps, SetupStep{
			What: "create role " + plan.Role, Note: "trusts AWS IoT on behalf of these rules",
			Lost: "there is no role " + plan.Role + ", so the rules can't send", run: func(ctx context.Context) error {
				_, err := k.iam.CreateRole(ctx, &iam.CreateRoleInput{
					RoleName: &plan.Role, AssumeRolePolicyDocument: aws.String(plan.trust()), Description: aws.String("Rules of AWS IoT send device reports to a queue"),
				})
				return k.failed("create role "+plan.Role, err)
			},
		})
		return nil
	}
	if err != nil {
		return k.failed("look at role "+plan.Role, err)
	}
	if !trustsIoT(aws.ToString(out.Role.AssumeRolePolicyDocument)) {
		return fmt.Errorf("role %s does not trust iot.amazonaws.com to take it: take another --name, or add to its trust policy %s", plan.Role, plan.trust())
	}
	plan.Steps = append(plan.Steps, SetupStep{What: "role " + plan.Role, Done: true})
	return nil
}

// planSending sees to it that the role may send to the queue.
func (k ingestClients) planSending(ctx context.Context, plan *IngestPlan) error {
	what := fmt.Sprintf("policy %s of role %s", plan.RolePolicy, plan.Role)
	out, err := k.iam.GetRolePolicy(ctx, &iam.GetRolePolicyInput{RoleName: &plan.Role, PolicyName: &plan.RolePolicy})
	if _, missing := errors.AsType[*iamtypes.NoSuchEntityException](err); err != nil && !missing {
		return k.failed("look at "+what, err)
	}
	if err == nil && sameDocument(aws.ToString(out.PolicyDocument), plan.sendPolicy()) {
		plan.Steps = append(plan.Steps, SetupStep{What: what, Done: true})
		return nil
	}
	plan.Steps = append(plan.Steps, SetupStep{
		What: "put " + what, Note: "sqs:SendMessage on the queue", Lost: "role " + plan.Role + " may not send to the queue, as far as its policy " + plan.RolePolicy + " says",
		run: func(ctx context.Context) error {
			_, err := k.iam.PutRolePolicy(ctx, &iam.PutRolePolicyInput{RoleName: &plan.Role, PolicyName: &plan.RolePolicy, PolicyDocument: aws.String(plan.sendPolicy())})
			return k.failed("put "+what, err)
		},
	})
	return nil
}

func (k ingestClients) planReports(ctx context.Context, plan *IngestPlan) error {
	return k.planRule(ctx, plan, plan.Reports, "carries reports to the queue", "Device Defender reports to a queue")
}

func (k ingestClients) planPresence(ctx context.Context, plan *IngestPlan) error {
	return k.planRule(ctx, plan, plan.Presence, "carries connections and disconnections to the queue", "Lifecycle events to a queue")
}

// planRule looks at a rule, and at whether it does what its messages are read for.
func (k ingestClients) planRule(ctx context.Context, plan *IngestPlan, name, purpose, description string) error {
	payload := func() *types.TopicRulePayload {
		return &types.TopicRulePayload{
			Sql: aws.String(plan.ruleSQL(name)), AwsIotSqlVersion: aws.String(iotrule.SQLVersion), Description: aws.String(description), RuleDisabled: aws.Bool(false),
			Actions: []types.Action{{Sqs: &types.SqsAction{QueueUrl: aws.String(plan.QueueURL), RoleArn: aws.String(plan.roleARN()), UseBase64: aws.Bool(false)}}},
		}
	}
	out, err := k.rules.GetTopicRule(ctx, &iot.GetTopicRuleInput{RuleName: &name})
	if isMissingRule(err) {
		plan.Steps = append(plan.Steps, SetupStep{What: "create rule " + name, Note: purpose, Lost: "there is no rule " + name + ", or you may not see it", run: func(ctx context.Context) error {
			_, err := k.rules.CreateTopicRule(ctx, &iot.CreateTopicRuleInput{RuleName: &name, TopicRulePayload: payload()})
			return k.failed("create rule "+name, err)
		}})
		return nil
	}
	if err != nil {
		return k.failed("look at rule "+name, err)
	}
	why := differs(out.Rule, plan, name)
	if why == "" {
		plan.Steps = append(plan.Steps, SetupStep{What: "rule " + name, Done: true})
		return nil
	}
	plan.Steps = append(plan.Steps, SetupStep{What: "replace rule " + name, Note: why, Lost: "rule " + name + ": " + why, run: func(ctx context.Context) error {
		_, err := k.rules.ReplaceTopicRule(ctx, &iot.ReplaceTopicRuleInput{RuleName: &name, TopicRulePayload: payload()})
		return k.failed("replace rule "+name, err)
	}})
	return nil
}

// isMissingRule reports whether there is no such rule. AWS IoT answers UnauthorizedException then, as it
// does to callers that may not see it.
func isMissingRule(err error) bool {
	refused, ok := errors.AsType[smithy.APIError](err)
	return ok && slices.Contains([]string{"UnauthorizedException", "ResourceNotFoundException"}, refused.ErrorCode())
}

// differs says what a rule does that is not as it should; "" if nothing.
func differs(rule *types.TopicRule, plan *IngestPlan, name string) string {
	switch {
	case rule == nil:
		return "nothing is known of it"
	case aws.ToBool(rule.RuleDisabled):
		return "it is disabled"
	case !iotrule.SameSQL(aws.ToString(rule.Sql), plan.ruleSQL(name)):
		return "its SQL is another, so what it sends may not be read"
	case aws.ToString(rule.AwsIotSqlVersion) != iotrule.SQLVersion:
		return "its SQL has version " + aws.ToString(rule.AwsIotSqlVersion)
	}
	for _, a := range rule.Actions {
		if a.Sqs != nil && plan.QueueURL != "" && aws.ToString(a.Sqs.QueueUrl) == plan.QueueURL {
			switch {
			case aws.ToString(a.Sqs.RoleArn) != plan.roleARN():
				return "it sends to the queue with another role, " + aws.ToString(a.Sqs.RoleArn)
			case aws.ToBool(a.Sqs.UseBase64):
				return "it sends all in base64"
			}
			return ""
		}
	}
	return "it does not send to queue " + plan.Queue
}
