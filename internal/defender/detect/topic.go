package detect

import "strings"

const clientIDVariable = "${iot:ClientId}"

// topicFilter is one value of a dimension, cut into levels.
type topicFilter []string

func newTopicFilter(text string) topicFilter { return strings.Split(text, "/") }

// match follows MQTT: + is any one level, # at the end any number of levels,
// and neither stands for a first level that begins with $. The variable
// ${iot:ClientId} is the client id letter by letter, so that a client id with
// a wildcard in it is no wildcard.
func (f topicFilter) match(topic, clientID string) bool {
	for i, level := range f {
		reserved := i == 0 && strings.HasPrefix(topic, "$")
		if level == "#" && i == len(f)-1 {
			return !reserved
		}
		name, rest, more := strings.Cut(topic, "/")
		switch {
		case level == "+":
			if reserved {
				return false
			}
		case strings.Contains(level, clientIDVariable):
			if strings.ReplaceAll(level, clientIDVariable, clientID) != name {
				return false
			}
		case level != name:
			return false
		}
		if i == len(f)-1 {
			return !more
		}
		if !more {
			// The filter a/# takes topic a as well.
			return i == len(f)-2 && f[i+1] == "#"
		}
		topic = rest
	}
	return false
}

// dimension is a named list of topic filters.
type dimension []topicFilter

func newDimension(values []string) dimension {
	var d dimension
	for _, text := range values {
		d = append(d, newTopicFilter(text))
	}
	return d
}

func (d dimension) match(topic, clientID string) bool {
	for _, f := range d {
		if f.match(topic, clientID) {
			return true
		}
	}
	return false
}
