package localcore

import (
	"regexp"
	"strings"
	"unicode/utf16"
)

// matchTopic reports whether an MQTT topic filter takes a topic. Wildcards at
// the beginning do not take topics that begin with $.
func matchTopic(filter, topic string) bool {
	if strings.HasPrefix(topic, "$") && (strings.HasPrefix(filter, "+") || strings.HasPrefix(filter, "#")) {
		return false
	}
	return covers(filter, topic)
}

// covers reports whether filter takes all that the other filter, or topic,
// takes.
func covers(filter, other string) bool {
	for {
		f, moreF, hasF := strings.Cut(filter, "/")
		o, moreO, hasO := strings.Cut(other, "/")
		switch {
		case f == "#" && !hasF:
			return true
		case o == "#" && !hasO, f != "+" && f != o:
			return false
		case !hasO:
			// "a/#" takes "a" too.
			return !hasF || moreF == "#"
		case !hasF:
			return false
		}
		filter, other = moreF, moreO
	}
}

// validFilter reports whether a broker takes the topic filter: wildcards stand
// for whole levels, # for the last one.
func validFilter(filter string) bool {
	if filter == "" || strings.Contains(filter, "\x00") {
		return false
	}
	for level, rest, more := "", filter, true; more; {
		level, rest, more = strings.Cut(rest, "/")
		if strings.ContainsAny(level, "+#") && (len(level) > 1 || level == "#" && more) {
			return false
		}
	}
	return true
}

// hasWildcard reports whether a topic is a filter.
func hasWildcard(topic string) bool { return strings.ContainsAny(topic, "+#") }

// The Java nucleus' own topics: shared subscriptions and basic ingest, whose
// prefix does not count (IotCoreTopicValidator.java).
var (
	sharedSubscription = regexp.MustCompile(`^\$share/\S+?/(\S+)`)
	basicIngest        = regexp.MustCompile(`^\$aws/rules/\S+?/(\S+)`)
)

// checkTopicJava returns what the Java nucleus, on MQTT 5, has against a topic
// or filter, or "" (IotCoreTopicValidator.java).
func checkTopicJava(topic string, publish bool) string {
	const maxSlashes, maxLength, maxReserved = 7, 256, 512
	effective := topic
	shared, ingest := sharedSubscription.FindStringSubmatch(topic), basicIngest.FindStringSubmatch(topic)
	switch {
	case topic == "":
		return "Topic must not be empty"
	case publish && hasWildcard(topic):
		return "Publish topics must not contain wildcard characters of '#' or '+'"
	case shared != nil && publish:
	case shared != nil:
		effective = shared[1]
	case ingest != nil:
		effective = ingest[1]
	case topic[0] == '$':
		if characters(topic) > maxReserved {
			return "Reserved topic total length is greater than 512 bytes of UTF-8 encoded characters " +
				"and is most likely over the IoT Core limit of 256 bytes (excluding prefixes)."
		}
		return "" // left to AWS IoT Core
	}
	const tooLong = "The topic size of request must be no larger than 256 bytes of UTF-8 encoded characters. This excludes the first " +
		"3 mandatory segments for Basic Ingest topics ($AWS/rules/rule-name/)"
	switch long := characters(effective) > maxLength; {
	case strings.Count(effective, "/") > maxSlashes:
		return "The request topic must have no more than 7 forward slashes (/)"
	case long && publish:
		return tooLong
	case long:
		return tooLong + " or first 2 mandatory segments for MQTT Shared Subscriptions ($share/share-name/)"
	}
	return ""
}

// characters is the length of a text as Java counts it.
func characters(s string) int { return len(utf16.Encode([]rune(s))) }
