package artifacts

import (
	"encoding/json"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/device-defender/device-defender/internal/defender/report"
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
	action   = regexp.MustCompile(`^(greengrass|iam|iot|s3|sns|sts):[A-Z][A-Za-z]+$`)
	resource = regexp.MustCompile(`^arn:aws:((iot|greengrass|sns):REGION:ACCOUNT:|iam::ACCOUNT:role/device-defender-|s3:::BUCKET)`)
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

// allows reports whether one of a policy's statements grants an action on a
// resource. In a policy's resource * stands for any characters, also /.
func (p policy) allows(action, resource string) bool {
	for _, s := range p.Statement {
		if !slices.Contains(s.Action, action) {
			continue
		}
		for _, r := range s.Resource {
			pattern := strings.ReplaceAll(regexp.QuoteMeta(r), `\*`, `.*`)
			if regexp.MustCompile(`^` + pattern + `$`).MatchString(resource) {
				return true
			}
		}
	}
	return false
}

func TestCoreDevicePolicy(t *testing.T) {
	p := readPolicy(t, "policies/iot-core-device.json")
	const arn = "arn:aws:iot:REGION:ACCOUNT:"
	for _, format := range []report.Format{report.JSON, report.CBOR} {
		for topic, actions := range map[string][]string{
			report.Topic("CORE", format):         {"iot:Publish topic/"},
			report.AcceptedTopic("CORE", format): {"iot:Subscribe topicfilter/", "iot:Receive topic/"},
			report.RejectedTopic("CORE", format): {"iot:Subscribe topicfilter/", "iot:Receive topic/"},
		} {
			for _, a := range actions {
				verb, kind, _ := strings.Cut(a, " ")
				if !p.allows(verb, arn+kind+topic) {
					t.Errorf("%s on %s is not allowed", verb, topic)
				}
			}
		}
	}
	for _, topic := range []string{report.Topic("other", report.JSON), "my/topic", "$aws/things/CORE/defender"} {
		if p.allows("iot:Publish", arn+"topic/"+topic) {
			t.Errorf("publishing on %s is allowed", topic)
		}
	}
	// AWS IoT takes policies of up to 2048 characters without white space.
	filled := strings.NewReplacer("REGION", "ap-southeast-2", "ACCOUNT", "123456789012",
		"CORE", strings.Repeat("c", 60), "ROLEALIAS", strings.Repeat("r", 60)).Replace(compact(t, read(t, "policies/iot-core-device.json")))
	if len(filled) > 2048 {
		t.Errorf("%d characters, AWS IoT takes 2048", len(filled))
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
