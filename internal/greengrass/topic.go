package greengrass

import (
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"
)

// Limits of AWS IoT Core on topics, which the Java nucleus checks before it
// publishes (IotCoreTopicValidator.java).
const (
	maxTopic         = 256 // bytes
	maxTopicSlashes  = 7
	maxReservedTopic = 512 // bytes
	basicIngest      = "$aws/rules/"
)

// CheckTopic returns what forbids publishing to the topic. Nucleus lite does
// not check: there, a wildcard costs the whole device its MQTT connection.
func CheckTopic(topic string) error {
	switch {
	case topic == "":
		return errors.New("empty topic")
	case strings.ContainsAny(topic, "+#"):
		return fmt.Errorf("topic %.64q: wildcards are for subscriptions", topic)
	case strings.ContainsRune(topic, 0) || !utf8.ValidString(topic):
		return fmt.Errorf("topic %.64q: not UTF-8 as MQTT wants it", topic)
	case len(topic) > maxReservedTopic:
		return fmt.Errorf("topic %.64q...: %d bytes, at most %d are allowed", topic, len(topic), maxReservedTopic)
	}
	effective := topic
	if rest, ok := strings.CutPrefix(topic, basicIngest); ok {
		rule, after, _ := strings.Cut(rest, "/")
		if rule == "" || after == "" {
			return fmt.Errorf("topic %q: want %sRULE/TOPIC", topic, basicIngest)
		}
		effective = after
	} else if topic[0] == '$' {
		return nil // AWS IoT Core knows its reserved topics best
	}
	if n := len(effective); n > maxTopic {
		return fmt.Errorf("topic %.64q...: %d bytes, at most %d are allowed", topic, n, maxTopic)
	}
	if n := strings.Count(effective, "/"); n > maxTopicSlashes {
		return fmt.Errorf("topic %q: %d slashes, at most %d are allowed", topic, n, maxTopicSlashes)
	}
	return nil
}
