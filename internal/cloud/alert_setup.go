package cloud

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"reflect"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	iamtypes "github.com/aws/aws-sdk-go-v2/service/iam/types"
	"github.com/aws/aws-sdk-go-v2/service/iot"
	"github.com/aws/aws-sdk-go-v2/service/iot/types"
	"github.com/aws/aws-sdk-go-v2/service/sns"
	snstypes "github.com/aws/aws-sdk-go-v2/service/sns/types"

	"github.com/device-defender/device-defender/internal/defender/profile"
)

// DefaultAlertRole is the role that Detect takes to publish alerts, unless
// another is named.
const DefaultAlertRole = "device-defender-alerts"

// AlertOptions say where the alerts of some profiles go.
type AlertOptions struct {
	Topic    string // name or ARN of an SNS topic
	Role     string // name or ARN of an IAM role; "" is DefaultAlertRole
	Profiles []string
	// Unchecked leaves topic and role as they are and looks at neither; both
	// are then ARNs.
	Unchecked bool
}

// destination is a topic and the role that publishes there, as ARNs.
type destination struct{ topic, role string }

// alertClients are the services that alerts need.
type alertClients struct {
	*Client
	sns *sns.Client
	iam *iam.Client
}

// PlanAlerts finds out what has to be done. It changes nothing.
func (c *Client) PlanAlerts(ctx context.Context, o AlertOptions) (*Setup, error) {
	return c.planAlerts(ctx, o, alertClients{Client: c, sns: c.sns(), iam: c.iam()})
}

func (c *Client) planAlerts(ctx context.Context, o AlertOptions, clients alertClients) (*Setup, error) {
	if o.Role == "" {
		o.Role = DefaultAlertRole
	}
	account, err := c.AccountID(ctx)
	if err != nil {
		return nil, err
	}
	plan, to := &Setup{}, destination{o.Topic, o.Role}
	if !strings.HasPrefix(o.Topic, "arn:") {
		to.topic = fmt.Sprintf("arn:%s:sns:%s:%s:%s", profile.PartitionOf(c.Region), c.Region, account, o.Topic)
	}
	if !strings.HasPrefix(o.Role, "arn:") {
		to.role = fmt.Sprintf("arn:%s:iam::%s:role/%s", profile.PartitionOf(c.Region), account, o.Role)
	}
	if o.Unchecked {
		plan.Hints = append(plan.Hints, "neither the topic nor the role was looked at")
	} else {
		own := strings.Contains(to.topic, ":sns:"+c.Region+":"+account+":")
		if err := clients.planTopic(ctx, plan, to, own); err != nil {
			return nil, err
		}
		if err := clients.planRole(ctx, plan, to, c.Region, account); err != nil {
			return nil, err
		}
	}
	for _, name := range o.Profiles {
		if err := c.planTarget(ctx, plan, to, name); err != nil {
			return nil, err
		}
	}
	return plan, nil
}

// planTopic looks for the topic; one that is not of this account and region
// is not created.
func (a alertClients) planTopic(ctx context.Context, plan *Setup, to destination, own bool) error {
	name := to.topic[strings.LastIndex(to.topic, ":")+1:]
	out, err := a.sns.GetTopicAttributes(ctx, &sns.GetTopicAttributesInput{TopicArn: aws.String(to.topic)})
	var notFound *snstypes.NotFoundException
	switch {
	case errors.As(err, &notFound) && own:
		plan.Steps = append(plan.Steps, SetupStep{What: "create topic " + name, Note: "nobody is subscribed to a new topic", run: func(ctx context.Context) error {
			_, err := a.sns.CreateTopic(ctx, &sns.CreateTopicInput{Name: aws.String(name)})
			return a.failed("create topic "+name, err)
		}})
		return nil
	case err != nil:
		return a.failed("look at topic "+to.topic, err)
	}
	note := "nobody is subscribed to it"
	if n := out.Attributes["SubscriptionsConfirmed"]; n != "" && n != "0" {
		note = ""
	}
	plan.Steps = append(plan.Steps, SetupStep{What: "topic " + name, Done: true, Note: note})
	if key := out.Attributes["KmsMasterKeyId"]; key != "" {
		plan.Hints = append(plan.Hints, fmt.Sprintf("the topic is encrypted with the KMS key %s: the role needs kms:Decrypt and kms:GenerateDataKey on the ARN of that key, and the key's policy must allow it", key))
	}
	return nil
}

// planRole looks for the role, whom it trusts, and what it may do. A role that
// is there and does not trust AWS IoT is not changed: it may be somebody's.
func (a alertClients) planRole(ctx context.Context, plan *Setup, to destination, region, account string) error {
	if !strings.Contains(to.role, ":iam::"+account+":") {
		return fmt.Errorf("role %s is not of account %s: a service can be given roles of its own account only", to.role, account)
	}
	_, path, _ := strings.Cut(to.role, ":role")
	path, name := path[:strings.LastIndex(path, "/")+1], path[strings.LastIndex(path, "/")+1:]
	out, err := a.iam.GetRole(ctx, &iam.GetRoleInput{RoleName: aws.String(name)})
	var missing *iamtypes.NoSuchEntityException
	switch {
	case errors.As(err, &missing):
		plan.Steps = append(plan.Steps, SetupStep{What: "create role " + name, Note: "trusts AWS IoT on behalf of this account's security profiles", run: func(ctx context.Context) error {
			_, err := a.iam.CreateRole(ctx, &iam.CreateRoleInput{
				RoleName: aws.String(name), Path: optional(path), AssumeRolePolicyDocument: aws.String(alertTrust(region, account)),
				Description: aws.String("Device Defender Detect publishes alerts"),
			})
			return a.failed("create role "+name, err)
		}})
	case err != nil:
		return a.failed("look at role "+name, err)
	default:
		if !trustsIoT(aws.ToString(out.Role.AssumeRolePolicyDocument)) {
			return fmt.Errorf("role %s does not trust iot.amazonaws.com to take it: name another role, or add to its trust policy %s", name, alertTrust(region, account))
		}
		plan.Steps = append(plan.Steps, SetupStep{What: "role " + name, Done: true})
	}
	return a.planPermission(ctx, plan, to, name)
}

// planPermission sees to it that the role may publish on the topic: by an
// inline policy of its own for each topic.
func (a alertClients) planPermission(ctx context.Context, plan *Setup, to destination, role string) error {
	topic := to.topic[strings.LastIndex(to.topic, ":")+1:]
	name := "publish-" + topic
	document := publishPolicy(to.topic)
	what := fmt.Sprintf("policy %s of role %s", name, role)
	out, err := a.iam.GetRolePolicy(ctx, &iam.GetRolePolicyInput{RoleName: aws.String(role), PolicyName: aws.String(name)})
	var missing *iamtypes.NoSuchEntityException
	if err != nil && !errors.As(err, &missing) {
		return a.failed("look at "+what, err)
	}
	if err == nil && sameDocument(aws.ToString(out.PolicyDocument), document) {
		plan.Steps = append(plan.Steps, SetupStep{What: what, Done: true})
		return nil
	}
	plan.Steps = append(plan.Steps, SetupStep{What: "put " + what, Note: "sns:Publish on the topic", run: func(ctx context.Context) error {
		_, err := a.iam.PutRolePolicy(ctx, &iam.PutRolePolicyInput{RoleName: aws.String(role), PolicyName: aws.String(name), PolicyDocument: aws.String(document)})
		return a.failed("put "+what, err)
	}})
	return nil
}

// planTarget looks at a profile's alert target.
func (c *Client) planTarget(ctx context.Context, plan *Setup, to destination, name string) error {
	p, err := c.describeProfile(ctx, name)
	if err != nil {
		return err
	}
	const key = string(types.AlertTargetTypeSns)
	old, set := p.AlertTargets[key]
	if set && old.AlertTargetARN == to.topic && old.RoleARN == to.role {
		plan.Steps = append(plan.Steps, SetupStep{What: "alert target of security profile " + name, Done: true})
		return nil
	}
	step := SetupStep{What: "set alert target of security profile " + name, run: func(ctx context.Context) error {
		_, err := c.IoT.UpdateSecurityProfile(ctx, &iot.UpdateSecurityProfileInput{
			SecurityProfileName: aws.String(name), ExpectedVersion: aws.Int64(p.Version),
			AlertTargets: map[string]types.AlertTarget{key: {AlertTargetArn: aws.String(to.topic), RoleArn: aws.String(to.role)}},
		})
		return c.failed("update security profile "+name, err)
	}}
	if set {
		step.Note = "was " + old.AlertTargetARN
	}
	plan.Steps = append(plan.Steps, step)
	return nil
}

// policyDocument is a policy of IAM, as far as it's written here.
type policyDocument struct {
	Version   string
	Statement []policyStatement
}

type policyStatement struct {
	Sid       string                       `json:",omitempty"`
	Effect    string                       `json:",omitempty"`
	Principal map[string]string            `json:",omitempty"`
	Action    string                       `json:",omitempty"`
	Resource  string                       `json:",omitempty"`
	Condition map[string]map[string]string `json:",omitempty"`
}

func (d policyDocument) String() string {
	text, err := json.Marshal(d)
	if err != nil {
		panic(err) // strings only
	}
	return string(text)
}

// alertTrust lets AWS IoT take the role, for security profiles of the account.
func alertTrust(region, account string) string {
	return policyDocument{"2012-10-17", []policyStatement{{
		Effect: "Allow", Principal: map[string]string{"Service": "iot.amazonaws.com"}, Action: "sts:AssumeRole",
		Condition: map[string]map[string]string{
			"StringEquals": {"aws:SourceAccount": account},
			"ArnLike":      {"aws:SourceArn": profile.ProfileARN(region, account, "*")},
		},
	}}}.String()
}

// publishPolicy lets the role publish on the topic.
func publishPolicy(topic string) string {
	return policyDocument{"2012-10-17", []policyStatement{{Sid: "PublishAlerts", Effect: "Allow", Action: "sns:Publish", Resource: topic}}}.String()
}

// trustsIoT reports whether a trust policy, encoded as IAM returns it, has a
// statement that allows AWS IoT to take the role. Conditions are not weighed.
func trustsIoT(encoded string) bool {
	text, err := url.QueryUnescape(encoded)
	if err != nil {
		return false
	}
	var document struct{ Statement anyOrMany[map[string]any] }
	if json.Unmarshal([]byte(text), &document) != nil {
		return false
	}
	for _, s := range document.Statement {
		principal, _ := s["Principal"].(map[string]any)
		if s["Effect"] == "Allow" && has(s["Action"], "sts:AssumeRole") && has(principal["Service"], "iot.amazonaws.com") {
			return true
		}
	}
	return false
}

// anyOrMany is a list of which one may be written without the brackets.
type anyOrMany[T any] []T

func (l *anyOrMany[T]) UnmarshalJSON(data []byte) error {
	if json.Unmarshal(data, (*[]T)(l)) == nil {
		return nil
	}
	*l = make(anyOrMany[T], 1)
	return json.Unmarshal(data, &(*l)[0])
}

// has reports whether a value of a policy is the word or a list with it.
func has(value any, word string) bool {
	switch v := value.(type) {
	case string:
		return v == word
	case []any:
		for _, e := range v {
			if e == word {
				return true
			}
		}
	}
	return false
}

// sameDocument compares a policy as IAM returns it with one of ours.
func sameDocument(encoded, document string) bool {
	text, err := url.QueryUnescape(encoded)
	if err != nil {
		return false
	}
	var a, b any
	return json.Unmarshal([]byte(text), &a) == nil && json.Unmarshal([]byte(document), &b) == nil && reflect.DeepEqual(a, b)
}
