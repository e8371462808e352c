package profile

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// TargetKind says which things a target stands for.
type TargetKind int

const (
	AllThings       TargetKind = iota + 1 // registered or not
	AllRegistered                         // in the registry of things
	AllUnregistered                       // report without being in the registry
	ThingGroup                            // members of a static thing group
)

// allTargets are the targets that are not groups, as ARNs spell them.
var allTargets = map[TargetKind]string{
	AllThings:       "all/things",
	AllRegistered:   "all/registered-things",
	AllUnregistered: "all/unregistered-things",
}

// Target is what a profile is attached to.
type Target struct {
	Kind  TargetKind
	Group string // name of the thing group
	// Region and Account are those of an ARN, and empty for a short name.
	Region, Account string
}

const wantTarget = "all/things, all/registered-things, all/unregistered-things, thinggroup/NAME or the ARN of one"

var (
	regionPattern  = regexp.MustCompile(`^[a-z]{2,4}(-[a-z]+)+-[0-9]{1,2}$`)
	accountPattern = regexp.MustCompile(`^[0-9]{12}$`)
)

// ParseTarget reads a target: all/things, all/registered-things,
// all/unregistered-things, thinggroup/NAME, the bare NAME of a thing group, or
// the ARN of one of these.
func ParseTarget(text string) (Target, error) {
	if !strings.HasPrefix(text, "arn:") {
		return parseResource(text)
	}
	parts := strings.SplitN(text, ":", 6)
	if len(parts) < 6 || parts[2] != "iot" {
		return Target{}, fmt.Errorf("target %q is not an ARN of AWS IoT", text)
	}
	partition, region, account, resource := parts[1], parts[3], parts[4], parts[5]
	switch {
	case !regionPattern.MatchString(region):
		return Target{}, fmt.Errorf("target %q: %q is not a region", text, region)
	case partition != PartitionOf(region):
		return Target{}, fmt.Errorf("target %q: region %s is in partition %s, not in %q", text, region, PartitionOf(region), partition)
	case !accountPattern.MatchString(account):
		return Target{}, fmt.Errorf("target %q: account %q is not 12 digits", text, account)
	case !strings.Contains(resource, "/"):
		return Target{}, fmt.Errorf("target %q names no thing group", text)
	}
	t, err := parseResource(resource)
	t.Region, t.Account = region, account
	return t, err
}

// parseResource reads a target without region and account.
func parseResource(text string) (Target, error) {
	kind, name, found := strings.Cut(text, "/")
	switch {
	case !found && CheckName(text) == nil:
		return Target{Kind: ThingGroup, Group: text}, nil
	case found && kind == "thinggroup" && CheckName(name) == nil:
		return Target{Kind: ThingGroup, Group: name}, nil
	case found && kind == "all":
		for _, all := range []TargetKind{AllThings, AllRegistered, AllUnregistered} {
			if text == allTargets[all] {
				return Target{Kind: all}, nil
			}
		}
	case found && kind == "thing":
		return Target{}, fmt.Errorf("target %q is a thing: a profile is attached to thing groups", text)
	}
	return Target{}, fmt.Errorf("target %q is unknown", text)
}

// Thing is a device, as far as targets tell devices apart. One that reports
// and is not in the registry is an unregistered thing.
type Thing struct {
	Name       string
	Registered bool
	// Groups are the thing groups that it is in, with the parents of these
	// where a profile of a parent is to apply.
	Groups []string
}

// Matches reports whether the target stands for the thing, among others.
func (t Target) Matches(thing *Thing) bool {
	switch t.Kind {
	case AllThings:
		return true
	case AllRegistered:
		return thing.Registered
	case AllUnregistered:
		return !thing.Registered
	case ThingGroup:
		return slices.Contains(thing.Groups, t.Group)
	}
	return false
}

// Short returns the target without region and account, as all/things or
// thinggroup/NAME.
func (t Target) Short() string {
	if t.Kind == ThingGroup {
		return "thinggroup/" + t.Group
	}
	return allTargets[t.Kind]
}

// ARN returns the target's ARN: in its own region and account when it was
// parsed from an ARN, else in the given ones.
func (t Target) ARN(region, account string) string {
	if t.Region != "" {
		region, account = t.Region, t.Account
	}
	return arn(region, account, t.Short())
}

// PartitionOf returns the partition of ARNs of a region: aws, aws-cn or
// aws-us-gov.
func PartitionOf(region string) string {
	switch {
	case strings.HasPrefix(region, "cn-"):
		return "aws-cn"
	case strings.HasPrefix(region, "us-gov-"):
		return "aws-us-gov"
	}
	return "aws"
}

// ProfileARN returns the ARN of a security profile.
func ProfileARN(region, account, name string) string {
	return arn(region, account, "securityprofile/"+name)
}

// CustomMetricARN returns the ARN of a custom metric.
func CustomMetricARN(region, account, name string) string {
	return arn(region, account, "custommetric/"+name)
}

// DimensionARN returns the ARN of a dimension.
func DimensionARN(region, account, name string) string {
	return arn(region, account, "dimension/"+name)
}

// MitigationActionARN returns the ARN of a mitigation action.
func MitigationActionARN(region, account, name string) string {
	return arn(region, account, "mitigationaction/"+name)
}

func arn(region, account, resource string) string {
	return "arn:" + PartitionOf(region) + ":iot:" + region + ":" + account + ":" + resource
}
