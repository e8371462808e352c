package cloud

import (
	"encoding/json"
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"github.com/device-defender/device-defender/internal/defender/profile"
	"github.com/device-defender/device-defender/internal/ingest/iotrule"
)

// DefaultIngest is what the names of what carries reports begin with, unless told otherwise.
const DefaultIngest = "device-defender"

const (
	// receives is how often a message is received before it goes to the dead-letter queue. A service that is
	// killed while it works uses one up.
	receives = 10
	// retention is how long a message is kept: SQS's most.
	retention = 14 * 24 * 60 * 60 // seconds
	// visibility is what the service sets for each message that it receives, too.
	visibility = 60 // seconds
)

// Ingest is what carries reports of a fleet on AWS to a service: a rule puts them into a queue,
// from which the service takes them. The CloudFormation template in artifacts makes the same.
type Ingest struct {
	Region, Account string

	Queue, DeadLetters string // names of queues
	Role, RolePolicy   string // names
	Reports, Presence  string // names of rules
}

var ingestName = regexp.MustCompile(`^[a-zA-Z0-9](?:[a-zA-Z0-9_-]{0,38}[a-zA-Z0-9])?$`)

// NewIngest returns what is made in an account under a name.
func NewIngest(region, account, name string) (Ingest, error) {
	if !ingestName.MatchString(name) {
		return Ingest{}, fmt.Errorf("name %.60q, want 1 to 40 letters, digits, - and _", name)
	}
	rule := strings.ReplaceAll(name, "-", "_") // a rule's name has no -
	return Ingest{
		Region: region, Account: account,
		Queue: name + "-reports", DeadLetters: name + "-dead-letters",
		Role: name + "-ingest", RolePolicy: "send-to-" + name + "-reports",
		Reports: rule + "_reports", Presence: rule + "_presence",
	}, nil
}

func (i Ingest) queueARN(name string) string {
	return fmt.Sprintf("arn:%s:sqs:%s:%s:%s", profile.PartitionOf(i.Region), i.Region, i.Account, name)
}

func (i Ingest) roleARN() string {
	return fmt.Sprintf("arn:%s:iam::%s:role/%s", profile.PartitionOf(i.Region), i.Account, i.Role)
}

func (i Ingest) ruleARN(name string) string {
	return fmt.Sprintf("arn:%s:iot:%s:%s:rule/%s", profile.PartitionOf(i.Region), i.Region, i.Account, name)
}

// trust lets AWS IoT take the role, for the rules of this account with these names.
func (i Ingest) trust() string {
	return policyDocument{"2012-10-17", []policyStatement{{
		Effect: "Allow", Principal: map[string]string{"Service": "iot.amazonaws.com"}, Action: "sts:AssumeRole",
		Condition: map[string]map[string]string{
			"StringEquals": {"aws:SourceAccount": i.Account},
			"ArnLike":      {"aws:SourceArn": i.ruleARN(strings.TrimSuffix(i.Reports, "reports") + "*")},
		},
	}}}.String()
}

// sendPolicy lets the role send to the queue.
func (i Ingest) sendPolicy() string {
	return policyDocument{"2012-10-17", []policyStatement{{Sid: "SendReports", Effect: "Allow", Action: "sqs:SendMessage", Resource: i.queueARN(i.Queue)}}}.String()
}

// queuePolicy lets nobody but the role send to the queue, whatever else allows it: what is in the
// queue is taken for what the rule says of its sender.
func (i Ingest) queuePolicy() string {
	return policyDocument{"2012-10-17", []policyStatement{
		{
			Sid: "OnlyTheRuleSends", Effect: "Deny", Principal: map[string]string{"AWS": "*"}, Action: "sqs:SendMessage", Resource: i.queueARN(i.Queue),
			Condition: map[string]map[string]string{"ArnNotEquals": {"aws:PrincipalArn": i.roleARN()}},
		},
		{
			Sid: "OnlyOverTLS", Effect: "Deny", Principal: map[string]string{"AWS": "*"}, Action: "sqs:*", Resource: i.queueARN(i.Queue),
			Condition: map[string]map[string]string{"Bool": {"aws:SecureTransport": "false"}},
		},
	}}.String()
}

func (i Ingest) redrivePolicy() string {
	return asJSON(struct {
		DeadLetters string `json:"deadLetterTargetArn"`
		Receives    int    `json:"maxReceiveCount"`
	}{i.queueARN(i.DeadLetters), receives})
}

func asJSON(v any) string {
	text, err := json.Marshal(v)
	if err != nil {
		panic(err) // strings and numbers only
	}
	return string(text)
}

// attributes are those of the queue, as SQS has them.
func (i Ingest) attributes() map[string]string {
	return map[string]string{
		"MessageRetentionPeriod": strconv.Itoa(retention), "VisibilityTimeout": strconv.Itoa(visibility),
		"SqsManagedSseEnabled": "true", "RedrivePolicy": i.redrivePolicy(), "Policy": i.queuePolicy(),
	}
}

// deadAttributes are those of the dead-letter queue.
func (i Ingest) deadAttributes() map[string]string {
	return map[string]string{"MessageRetentionPeriod": strconv.Itoa(retention), "SqsManagedSseEnabled": "true"}
}

// ruleSQL returns the statement of one of the rules.
func (i Ingest) ruleSQL(name string) string {
	if name == i.Presence {
		return iotrule.PresenceSQL
	}
	return iotrule.ReportSQL
}

// DeploymentMerge is what a deployment merges into the component's configuration, so that a core
// publishes its reports to the rule.
func (i Ingest) DeploymentMerge() string {
	return asJSON(map[string]any{
		"ReportTopic": iotrule.ReportTopic(i.Reports, "{thing}"),
		"accessControl": map[string]any{"aws.greengrass.ipc.mqttproxy": map[string]any{
			"community.greengrass.DeviceDefender:mqttproxy:3": map[string]any{
				"policyDescription": "Publish reports to the rule",
				"operations":        []string{"aws.greengrass#PublishToIoTCore"},
				"resources":         []string{iotrule.ReportTopic(i.Reports, "*")},
			},
		}},
	})
}

// CorePolicy is the policy of AWS IoT by which a core may publish its own reports to the rule, and
// no other's.
func (i Ingest) CorePolicy(core string) string {
	return policyDocument{"2012-10-17", []policyStatement{{
		Effect: "Allow", Action: "iot:Publish",
		Resource: fmt.Sprintf("arn:%s:iot:%s:%s:topic/%s", profile.PartitionOf(i.Region), i.Region, i.Account, iotrule.ReportTopic(i.Reports, core)),
	}}}.String()
}

// ReceivePolicy is the policy of IAM that 'defenderctl serve --queue' needs.
func (i Ingest) ReceivePolicy() string {
	return asJSON(map[string]any{"Version": "2012-10-17", "Statement": []any{map[string]any{
		"Effect":   "Allow",
		"Action":   []string{"sqs:ChangeMessageVisibility", "sqs:DeleteMessage", "sqs:GetQueueAttributes", "sqs:ReceiveMessage"},
		"Resource": i.queueARN(i.Queue),
	}}})
}
