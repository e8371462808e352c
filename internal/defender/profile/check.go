package profile

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/device-defender/device-defender/internal/spelling"
)

// Quotas of AWS IoT Device Defender.
const (
	MaxBehaviors         = 100  // per profile
	MaxValueElements     = 1000 // counts, addresses, ports and so on in a profile's behaviors
	MaxProfilesPerTarget = 5
	MaxCustomMetrics     = 100 // per account; can be raised
	MaxDimensions        = 10  // per account
	MaxMitigationActions = 100 // per account
	MaxTags              = 50  // per resource
)

// Checks are the rules that documents are held to, in a sentence each. Every
// problem of Check is of one of them, and an error. Those of the syntax are for
// who reads documents.
var Checks = []struct{ Name, Summary string }{
	{"syntax", "The file is JSON or YAML, without a key twice."},
	{"unknown-document", "A document is a security profile, a custom metric, a dimension or a mitigation action."},
	{"unknown-key", "Keys are spelt as AWS spells them."},
	{"wrong-type", "A value is of the type that its key takes."},
	{"required", "What a document cannot do without is there."},
	{"name", "Names have 1 to 128 letters, digits, '_', '-' and ':'."},
	{"duplicate-name", "Names, tags and targets are given once."},
	{"text", "Descriptions and display names are printable ASCII of limited length."},
	{"quota", "AWS's quotas are kept."},
	{"unknown-metric", "A metric is one of AWS's or a registered custom metric."},
	{"unknown-dimension", "A dimension is registered."},
	{"operator", "The comparison operator fits the metric."},
	{"threshold", "A behavior has one of value, statisticalThreshold and mlDetectionConfig."},
	{"value", "The value has the one member that fits the metric, within its range."},
	{"cidr", "An address range is one."},
	{"duration", "Durations are 300, 600, 900, 1800 or 3600 seconds, and not on lists."},
	{"consecutive-datapoints", "Consecutive datapoints to alarm and to clear are 1 to 10."},
	{"statistic", "A percentile is on AWS's list, of a metric that is a number, over a duration."},
	{"ml", "ML Detect models the metric, and is not mixed with rules in one profile."},
	{"dimension", "A dimension narrows a cloud-side metric that allows it."},
	{"export", "Exported metrics have somewhere to go."},
	{"arn", "ARNs are of the service and form that is needed."},
	{"alert-target", "Alerts are sent to SNS."},
	{"target", "A profile is attached to all things or to thing groups."},
	{"tags", "Tags are as AWS takes them."},
	{"topic-filter", "A dimension's values are MQTT topic filters."},
	{"action", "A mitigation action has the parameters of one type of action."},
}

// checker collects what is wrong with one document.
type checker struct {
	registry Registry
	problems []Problem
}

func (c *checker) fail(path, rule, message, want string) {
	c.problems = append(c.problems, NewProblem(Error, path, rule, message, want))
}

// required reports that the key at the path is missing.
func (c *checker) required(path, want string) {
	c.fail(path, "required", LastKey(path)+" is missing", want)
}

const wantName = "1 to 128 letters, digits, '_', '-' or ':'"

var namePattern = regexp.MustCompile(`^[a-zA-Z0-9:_-]{1,128}$`)

// CheckName returns what is wrong with a name: of a profile, behavior, custom
// metric, dimension, thing or thing group.
func CheckName(name string) error {
	switch {
	case namePattern.MatchString(name):
		return nil
	case name == "":
		return fmt.Errorf("the name is empty; want %s", wantName)
	case len(name) > 128:
		return fmt.Errorf("the name has %d characters; want %s", utf8.RuneCountInString(name), wantName)
	}
	return fmt.Errorf("the name %q has characters that no name may have; want %s", name, wantName)
}

var notInName = regexp.MustCompile(`[^a-zA-Z0-9:_-]+`)

// name checks the name at the path.
func (c *checker) name(path, name string) {
	key := LastKey(path)
	switch {
	case name == "":
		c.required(path, wantName)
	case namePattern.MatchString(name):
	case len(name) > 128:
		c.fail(path, "name", fmt.Sprintf("%s has %d characters", key, utf8.RuneCountInString(name)), wantName)
	default:
		want := wantName
		if fixed := strings.Trim(notInName.ReplaceAllString(name, "-"), "-"); fixed != "" {
			want += fmt.Sprintf(", as %q", fixed)
		}
		c.fail(path, "name", fmt.Sprintf("%s %q has characters that no name may have", key, name), want)
	}
}

// description checks text for people. AWS's pattern is [\p{Graph}\x20]*, which
// is Java's and of ASCII.
func (c *checker) description(path, text string, most int) {
	key := LastKey(path)
	if n := utf8.RuneCountInString(text); n > most {
		c.fail(path, "text", fmt.Sprintf("%s has %d characters", key, n), fmt.Sprintf("%d at most", most))
	}
	if i := strings.IndexFunc(text, func(r rune) bool { return r < ' ' || r > '~' }); i >= 0 {
		r, _ := utf8.DecodeRuneInString(text[i:])
		c.fail(path, "text", fmt.Sprintf("%s has %q in it", key, r), "printable ASCII in one line")
	}
}

// oneOf checks an enumeration.
func (c *checker) oneOf(path, rule, value string, allowed ...string) {
	switch {
	case value == "":
		c.required(path, spelling.Alternatives(allowed))
	case !slices.Contains(allowed, value):
		c.fail(path, rule, fmt.Sprintf("%s %q is unknown", LastKey(path), value), spelling.Suggest(value, allowed))
	}
}

var (
	rolePattern  = regexp.MustCompile(`^arn:aws(-[a-z]+)*:iam::[0-9]{12}:role/[\x21-\x7e]+$`)
	topicPattern = regexp.MustCompile(`^arn:aws(-[a-z]+)*:sns:[a-z0-9-]+:[0-9]{12}:[a-zA-Z0-9_-]{1,256}(\.fifo)?$`)
)

// role checks the ARN of an IAM role.
func (c *checker) role(path, value string) {
	if c.arn(path, value, rolePattern, "an IAM role", "arn:aws:iam::ACCOUNT:role/NAME") && (len(value) < 20 || len(value) > 2048) {
		c.fail(path, "arn", fmt.Sprintf("%s has %d characters", LastKey(path), len(value)), "20 to 2048")
	}
}

// topic checks the ARN of an SNS topic.
func (c *checker) topic(path, value string) {
	c.arn(path, value, topicPattern, "an SNS topic", "arn:aws:sns:REGION:ACCOUNT:TOPIC")
}

func (c *checker) arn(path, value string, pattern *regexp.Regexp, of, want string) bool {
	switch {
	case value == "":
		c.required(path, want)
	case !pattern.MatchString(value):
		c.fail(path, "arn", fmt.Sprintf("%s %q is not the ARN of %s", LastKey(path), value, of), want)
	default:
		return true
	}
	return false
}

// tagKey is AWS's ^([\p{L}\p{Z}\p{N}_.:/=+\-@]*)$.
var tagKey = regexp.MustCompile(`^[\p{L}\p{Z}\p{N}_.:/=+\-@]*$`)

// CheckTags returns what is wrong with the tags of a resource; paths begin
// with tags.
func CheckTags(tags []Tag) []Problem {
	var c checker
	c.tags(tags)
	return c.problems
}

func (c *checker) tags(tags []Tag) {
	if len(tags) > MaxTags {
		c.fail("tags", "quota", fmt.Sprintf("%d tags", len(tags)), fmt.Sprintf("%d at most", MaxTags))
	}
	seen := map[string]bool{}
	for i, tag := range tags {
		path := IndexPath("tags", i)
		key := JoinPath(path, "Key")
		switch n := utf8.RuneCountInString(tag.Key); {
		case n == 0:
			c.required(key, "1 to 128 characters")
		case n > 128:
			c.fail(key, "tags", fmt.Sprintf("Key has %d characters", n), "128 at most")
		case !tagKey.MatchString(tag.Key):
			c.fail(key, "tags", fmt.Sprintf("Key %q has characters that no key may have", tag.Key), "letters, digits, spaces and _ . : / = + - @")
		case strings.HasPrefix(strings.ToLower(tag.Key), "aws:"):
			c.fail(key, "tags", fmt.Sprintf("Key %q is in AWS's own namespace", tag.Key), "a key that does not begin with aws:")
		case seen[tag.Key]:
			c.fail(key, "duplicate-name", fmt.Sprintf("Key %q is there twice", tag.Key), "each key once")
		}
		seen[tag.Key] = true
		if n := utf8.RuneCountInString(tag.Value); n > 256 {
			c.fail(JoinPath(path, "Value"), "tags", fmt.Sprintf("Value has %d characters", n), "256 at most")
		}
	}
}
