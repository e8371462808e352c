package artifacts

import (
	"encoding/json"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/device-defender/device-defender/internal/defender/report"
	"github.com/device-defender/device-defender/internal/ingest/iotrule"
)

// policy is a policy document of IAM or AWS IoT.
type policy struct {
	Version   string
	Statement []statement
}

type statement struct {
	Sid       string
	Effect    string
	Action    words
	Resource  words
	Principal map[string]string
	Condition map[string]map[string]string
}

// words is a string or a list of strings.
type words []string

func (w *words) UnmarshalJSON(data []byte) error {
	if data[0] == '"' {
		*w = make(words, 1)
		return json.Unmarshal(data, &(*w)[0])
	}
	return json.Unmarshal(data, (*[]string)(w))
}

// withoutResource are the actions that may stand on the resource "*", because
// they have no resource type in AWS's service authorization reference, or
// because the request need not name one (the lists of profiles, violations and
// events take optional filters, a mitigation task takes violations). The
// greengrass actions are those of AWS's own minimal policy for core devices.
var withoutResource = []string{
	"greengrass:GetComponentVersionArtifact",
	"greengrass:GetDeploymentConfiguration",
	"greengrass:ListThingGroupsForCoreDevice",
	"greengrass:ResolveComponentCandidates",
	"iot:CancelDetectMitigationActionsTask",
	"iot:DescribeDetectMitigationActionsTask",
	"iot:ListActiveViolations",
	"iot:ListCustomMetrics",
	"iot:ListDetectMitigationActionsExecutions",
	"iot:ListDetectMitigationActionsTasks",
	"iot:ListDimensions",
	"iot:ListMitigationActions",
	"iot:ListSecurityProfiles",
	"iot:ListThingGroups",
	"iot:ListThings",
	"iot:ListViolationEvents",
	"iot:PutVerificationStateOnViolation",
	"iot:StartDetectMitigationActionsTask",
	"iot:ValidateSecurityProfileBehaviors",
}

var (
	action   = regexp.MustCompile(`^(greengrass|iam|iot|s3|sns|sqs|sts):[A-Z][A-Za-z]+$`)
	resource = regexp.MustCompile(`^arn:aws:((iot|greengrass|sns|sqs):REGION:ACCOUNT:|iam::ACCOUNT:role/device-defender-|s3:::BUCKET)`)
	sid      = regexp.MustCompile(`^[A-Za-z0-9]*$`)
)

func readPolicy(t *testing.T, name string) policy {
	t.Helper()
	var p policy
	if err := decode(read(t, name), &p); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return p
}

func TestPoliciesGrantTheLeast(t *testing.T) {
	for _, name := range files(t, "policies/*.json") {
		p := readPolicy(t, name)
		trust := strings.HasSuffix(name, ".trust.json")
		if p.Version != "2012-10-17" || len(p.Statement) == 0 {
			t.Errorf("%s: version %q, %d statements", name, p.Version, len(p.Statement))
		}
		for i, s := range p.Statement {
			if s.Effect != "Allow" || !sid.MatchString(s.Sid) || len(s.Action) == 0 {
				t.Errorf("%s: statement %d: %+v", name, i, s)
			}
			for _, a := range s.Action {
				if !action.MatchString(a) {
					t.Errorf("%s: action %q", name, a)
				}
			}
			if !slices.IsSorted(s.Action) {
				t.Errorf("%s: actions not sorted: %q", name, s.Action)
			}
			if trust != (len(s.Resource) == 0) || trust != (len(s.Principal) == 1) {
				t.Errorf("%s: statement %d has %d resources and %d principals", name, i, len(s.Resource), len(s.Principal))
			}
			for _, r := range s.Resource {
				switch {
				case r == "*":
					for _, a := range s.Action {
						if !slices.Contains(withoutResource, a) {
							t.Errorf("%s: %s on every resource", name, a)
						}
					}
				case !resource.MatchString(r) || strings.Contains(r, "${"):
					t.Errorf("%s: resource %q", name, r)
				}
			}
			if slices.Contains(s.Action, "iam:PassRole") && s.Condition["StringEquals"]["iam:PassedToService"] != "iot.amazonaws.com" {
				t.Errorf("%s: the role may be passed to any service", name)
			}
		}
	}
}

func TestRolesTrustOnlyTheirOwner(t *testing.T) {
	tests := []struct{ file, resources string }{
		{"policies/iam-alert-role.trust.json", "arn:aws:iot:REGION:ACCOUNT:securityprofile/*"},
		{"policies/iam-mitigation-role.trust.json", "arn:aws:iot:REGION:ACCOUNT:mitigationaction/*"},
	}
	for _, test := range tests {
		for _, s := range readPolicy(t, test.file).Statement {
			if s.Principal["Service"] != "iot.amazonaws.com" || !slices.Equal(s.Action, words{"sts:AssumeRole"}) ||
				s.Condition["StringEquals"]["aws:SourceAccount"] != "ACCOUNT" || s.Condition["ArnLike"]["aws:SourceArn"] != test.resources {
				t.Errorf("%s: %+v", test.file, s)
			}
		}
	}
	s := readPolicy(t, "policies/iam-publish-component.trust.json").Statement[0]
	claims := s.Condition["StringEquals"]
	if !slices.Equal(s.Action, words{"sts:AssumeRoleWithWebIdentity"}) ||
		claims["token.actions.githubusercontent.com:aud"] != "sts.amazonaws.com" ||
		claims["token.actions.githubusercontent.com:sub"] != "repo:OWNER/REPOSITORY:environment:release" {
		t.Errorf("publishing is open to more than the release environment: %+v", s)
	}
}

// A service that reads the registry moves things to the quarantine group only, and changes
// nothing else.
func TestServeMovesToQuarantineOnly(t *testing.T) {
	p := readPolicy(t, "policies/iam-serve-registry.json")
	const arn = "arn:aws:iot:REGION:ACCOUNT:"
	for _, move := range []string{"iot:AddThingToThingGroup", "iot:RemoveThingFromThingGroup"} {
		if !p.allows(move, arn+"thinggroup/QUARANTINE") || !p.allows(move, arn+"thing/core-1") || p.allows(move, arn+"thinggroup/admins") {
			t.Errorf("%s: %+v", move, p)
		}
	}
	for _, s := range p.Statement {
		for _, a := range s.Action {
			if !regexp.MustCompile(`^iot:(List|Describe|AddThingToThingGroup|RemoveThingFromThingGroup)`).MatchString(a) {
				t.Errorf("%s is granted", a)
			}
		}
	}
}

// wildcard reports whether a pattern of a policy matches: * stands for any
// characters, also for /, and ? for any one. What MQTT knows as wildcards, + and
// #, are characters like others.
func wildcard(pattern, text string) bool {
	expression := strings.NewReplacer(`\*`, `.*`, `\?`, `.`).Replace(regexp.QuoteMeta(pattern))
	return regexp.MustCompile(`^` + expression + `$`).MatchString(text)
}

func (w words) match(text string) bool {
	return slices.ContainsFunc(w, func(pattern string) bool { return wildcard(pattern, text) })
}

// allows reports whether one of a policy's statements grants an action on a
// resource.
func (p policy) allows(action, resource string) bool {
	return slices.ContainsFunc(p.Statement, func(s statement) bool {
		return s.Effect == "Allow" && s.Action.match(action) && s.Resource.match(resource)
	})
}

// corePolicies are those of a core's certificate.
var corePolicies = []string{"policies/iot-core-device.json", "policies/iot-device-defender.json", "policies/iot-device-defender-rule.json"}

// certificate is what the policies that are attached to one core's certificate
// grant together.
type certificate []policy

func certificateOf(t *testing.T, core string) (c certificate) {
	t.Helper()
	for _, name := range corePolicies {
		var p policy
		if err := decode(strings.ReplaceAll(read(t, name), "CORE", core), &p); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		c = append(c, p)
	}
	return c
}

// allows takes a resource without the part that all have in common.
func (c certificate) allows(action, resource string) bool {
	return slices.ContainsFunc(c, func(p policy) bool {
		return p.allows(action, "arn:aws:iot:REGION:ACCOUNT:"+resource)
	})
}

// request is something that a device asks of AWS IoT.
type request struct{ action, resource string }

// requests are what a core with that name does: its connections, of which the
// Java nucleus numbers the further ones and nucleus lite has one more while it
// moves to another endpoint; telemetry, deployments, and our reports.
func requests(core string) []request {
	things := "$aws/things/" + core
	list := []request{
		{"iot:Connect", "client/" + core}, {"iot:Connect", "client/" + core + "#2"}, {"iot:Connect", "client/" + core + "#endpoint-switch"},
		{"iot:Publish", "topic/" + things + "/greengrassv2/health/json"},
		{"iot:Subscribe", "topicfilter/" + things + "/jobs/notify-namespace-aws-gg-deployment"},
		{"iot:Receive", "topic/" + things + "/jobs/notify-namespace-aws-gg-deployment"},
		{"iot:Publish", "topic/" + things + "/jobs/$next/namespace-aws-gg-deployment/get"},
		{"iot:Subscribe", "topicfilter/" + things + "/shadow/name/AWSManagedGreengrassV2Deployment/get/accepted"},
		{"iot:Publish", "topic/" + things + "/shadow/name/AWSManagedGreengrassV2Deployment/update"},
	}
	list = append(list, request{"iot:Publish", "topic/" + iotrule.ReportTopic("device_defender_reports", core)})
	for _, format := range []report.Format{report.JSON, report.CBOR} {
		list = append(list, request{"iot:Publish", "topic/" + report.Topic(core, format)})
		for _, reply := range []string{report.AcceptedTopic(core, format), report.RejectedTopic(core, format)} {
			list = append(list, request{"iot:Subscribe", "topicfilter/" + reply}, request{"iot:Receive", "topic/" + reply})
		}
	}
	return list
}

// TestACoreSpeaksForItselfOnly: a thing's name may be the beginning, the end or
// the middle of another's.
func TestACoreSpeaksForItselfOnly(t *testing.T) {
	names := []string{"gw-1", "gw-12", "gw-1-a", "gw-1:a", "gw-1_a", "gw-", "gw", "gw-2", "GW-1", "a-gw-1", "1", "gw-1gw-1"}
	for _, core := range names {
		c := certificateOf(t, core)
		for _, other := range names {
			for _, r := range requests(other) {
				if got := c.allows(r.action, r.resource); got != (other == core) {
					t.Errorf("certificate of %s: %s on %s: %t", core, r.action, r.resource, got)
				}
			}
		}
	}
}

func TestDefenderTopicsAreExact(t *testing.T) {
	c := certificateOf(t, "gw-1")
	for _, r := range []request{
		// Only the service writes replies, and nobody receives reports.
		{"iot:Publish", "topic/$aws/things/gw-1/defender/metrics/json/accepted"},
		{"iot:Publish", "topic/$aws/things/gw-1/defender/metrics/cbor/rejected"},
		{"iot:Receive", "topic/$aws/things/gw-1/defender/metrics/json"},
		{"iot:Subscribe", "topicfilter/$aws/things/gw-1/defender/metrics/cbor"},
		{"iot:Publish", "topic/$aws/things/gw-1/defender/metrics/xml"},
		{"iot:Publish", "topic/$aws/things/gw-1/defender/metrics/"},
		{"iot:Publish", "topic/$aws/things/gw-1/defender/metrics/json/"},
		{"iot:Publish", "topic/$aws/things/gw-1/defender"},
		{"iot:RetainPublish", "topic/$aws/things/gw-1/defender/metrics/json"},
		// Filters that take in what is another's.
		{"iot:Subscribe", "topicfilter/$aws/things/+/defender/metrics/json/accepted"},
		{"iot:Subscribe", "topicfilter/$aws/things/gw-1/defender/metrics/+/accepted"},
		{"iot:Subscribe", "topicfilter/$aws/things/gw-1/defender/metrics/#"},
		{"iot:Subscribe", "topicfilter/$aws/things/gw-1/#"},
		{"iot:Subscribe", "topicfilter/$aws/things/+/jobs/#"},
		{"iot:Subscribe", "topicfilter/#"},
		// Topics that only end like ours.
		{"iot:Publish", "topic/x/$aws/things/gw-1/defender/metrics/json"},
		{"iot:Publish", "topic/$aws/rules/x/$aws/things/gw-1/defender/metrics/json"},
		{"iot:Publish", "topic/$aws/rules/device_defender_presence/gw-1"},
		{"iot:Publish", "topic/$aws/rules/device_defender_reports/gw-1/x"},
		{"iot:Publish", "topic/$aws/rules/device_defender_reports/"},
		{"iot:Publish", "topic/my/topic"},
		{"iot:Connect", "client/gw-1x#2"},
	} {
		if c.allows(r.action, r.resource) {
			t.Errorf("%s on %s is allowed", r.action, r.resource)
		}
	}
}

// TestCorePoliciesFit: AWS IoT takes policies of up to 2048 characters without
// white space. A thing's name has at most 128; README says what to do beyond 90.
func TestCorePoliciesFit(t *testing.T) {
	for _, name := range corePolicies {
		filled := strings.NewReplacer("REGION", "ap-southeast-2", "ACCOUNT", "123456789012",
			"CORE", strings.Repeat("c", 90), "ROLEALIAS", strings.Repeat("r", 60)).Replace(compact(t, read(t, name)))
		if len(filled) > 2048 {
			t.Errorf("%s: %d characters, AWS IoT takes 2048", name, len(filled))
		}
	}
}

// TestManagedPoliciesFit: IAM takes managed policies of up to 6144 characters
// without white space.
func TestManagedPoliciesFit(t *testing.T) {
	for _, name := range files(t, "policies/iam-*.json") {
		if filled := strings.ReplaceAll(compact(t, read(t, name)), "REGION", "ap-southeast-2"); len(filled) > 5500 {
			t.Errorf("%s: %d characters leave no room for longer names", name, len(filled))
		}
	}
}
