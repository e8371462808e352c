package iotrule

import (
	"fmt"
	"regexp"
	"strings"
)

// SQLVersion is the version of AWS IoT's SQL that the statements are in. It has encode.
const SQLVersion = "2016-03-23"

const (
	// ReportSQL is the statement of the rule for reports. A device publishes by basic ingest, so
	// it names no topic. The payload goes in base64: so it may be CBOR, and no member of
	// it can pass for what the rule says. topic(1) is the first level behind
	// $aws/rules/RULE.
	ReportSQL = "SELECT encode(*, 'base64') AS payload, topic(1) AS thing, topic() AS topic, principal() AS principal, timestamp() AS timestamp"
	// PresenceSQL is the statement of the rule for lifecycle events. What they hold is
	// AWS's own. Clients whose id has a # have no such events, so a nucleus has those of
	// its first connection only.
	PresenceSQL = "SELECT *, topic() AS topic FROM '$aws/events/presence/#'"
)

// PresenceTopic is what the topics of lifecycle events begin with, before type and client.
const PresenceTopic = "$aws/events/presence/"

var rulePattern = regexp.MustCompile(`^[a-zA-Z0-9_]{1,128}$`)

// CheckRuleName says whether a rule can have the name.
func CheckRuleName(name string) error {
	if !rulePattern.MatchString(name) {
		return fmt.Errorf("rule %.140q, want 1 to 128 letters, digits or _", name)
	}
	return nil
}

// ReportTopic is the topic that a thing publishes its reports on to the rule, by basic
// ingest. The component's configuration has {thing} in the place of the name.
func ReportTopic(rule, thing string) string { return "$aws/rules/" + rule + "/" + thing }

// SameSQL reports whether two statements are the same but for white space between words.
func SameSQL(a, b string) bool {
	return strings.Join(strings.Fields(a), " ") == strings.Join(strings.Fields(b), " ")
}
