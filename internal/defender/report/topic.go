package report

import (
	"errors"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

const (
	topicPrefix = "$aws/things/"
	topicSuffix = "/defender/metrics/"

	maxThingName = 128
)

// Topic is where a thing's reports are published. Nothing is ever delivered to
// a subscriber of it.
func Topic(thing string, f Format) string { return topicPrefix + thing + topicSuffix + f.String() }

// AcceptedTopic is where the service answers reports that it took.
func AcceptedTopic(thing string, f Format) string { return Topic(thing, f) + "/accepted" }

// RejectedTopic is where the service answers reports that it refused.
func RejectedTopic(thing string, f Format) string { return Topic(thing, f) + "/rejected" }

// ParseTopic is the inverse of [Topic]. It knows no reply topics.
func ParseTopic(topic string) (thing string, f Format, ok bool) {
	rest, ok := strings.CutPrefix(topic, topicPrefix)
	if !ok {
		return "", 0, false
	}
	thing, format, ok := strings.Cut(rest, topicSuffix)
	if !ok || CheckThingName(thing) != nil {
		return "", 0, false
	}
	f, err := ParseFormat(format)
	if err != nil {
		return "", 0, false
	}
	return thing, f, true
}

// CheckThingName says whether a thing of that name can report: the service
// takes at most 128 bytes of UTF-8 without control characters, and the name
// must be one level of a topic.
func CheckThingName(name string) error {
	if name == "" {
		return errors.New("thing name is empty")
	}
	switch {
	case len(name) > maxThingName:
		return fmt.Errorf("thing name %.64q has %d bytes, want at most %d", name, len(name), maxThingName)
	case !utf8.ValidString(name):
		return fmt.Errorf("thing name %q is not valid UTF-8", name)
	case strings.ContainsFunc(name, unicode.IsControl):
		return fmt.Errorf("thing name %q has a control character", name)
	case strings.ContainsAny(name, "/+#"):
		return fmt.Errorf("thing name %q has a character of topics: / + #", name)
	}
	return nil
}
