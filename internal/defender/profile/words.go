package profile

import (
	"cmp"
	"fmt"
	"strings"
)

// comparisonWords say what a comparison demands of a count or number.
var comparisonWords = map[Operator]string{
	LessThan:          "less than",
	LessThanEquals:    "at most",
	GreaterThan:       "more than",
	GreaterThanEquals: "at least",
}

// setWords say what a set operator demands of a measured list.
var setWords = map[Operator]string{
	InCIDRSet: "only", NotInCIDRSet: "none of",
	InPortSet: "only", NotInPortSet: "none of",
	InSet: "only", NotInSet: "none of",
}

// Expectation says in words what the behavior holds for normal, as in "at most
// p99.99 of all things' packets out in 5 minutes". The metric is that of the
// behavior.
func Expectation(b Behavior, m Metric) string {
	var text string
	c := b.Criteria
	if c == nil {
		c = &Criteria{}
	}
	switch {
	case c.MLDetectionConfig != nil:
		text = fmt.Sprintf("%s as AWS's model of the last 14 days expects (%s confidence)", Noun(m), strings.ToLower(c.MLDetectionConfig.ConfidenceLevel))
	case c.StatisticalThreshold != nil:
		text = fmt.Sprintf("%s %s of all things' %s", comparison(c.ComparisonOperator, m), c.StatisticalThreshold.Statistic, Noun(m))
	case c.Value == nil:
		text = "anything of " + m.Title
	case setWords[c.ComparisonOperator] != "":
		text = m.Title + ": " + setExpectation(c.ComparisonOperator, *c.Value, m)
	default:
		text = comparison(c.ComparisonOperator, m) + " " + Quantity(*c.Value, m)
	}
	if c.DurationSeconds != nil {
		text += " in " + DurationWords(*c.DurationSeconds)
	}
	return text + b.Ref().Topics()
}

func comparison(op Operator, m Metric) string {
	if op == LessThan && m.Unit != "" && m.Unit != "bytes" && m.Unit != "minutes" {
		return "fewer than"
	}
	if words := comparisonWords[op]; words != "" {
		return words
	}
	return string(op)
}

// Noun returns what the metric measures, in the plural where it's counted.
func Noun(m Metric) string {
	if words, ok := unitWords[m.Name]; ok {
		return words[1]
	}
	return m.Title
}

func setExpectation(op Operator, v Value, m Metric) string {
	words := setWords[op]
	values := FormatValue(v, m)
	if values == "none" {
		if words == "only" {
			return "none at all"
		}
		return "any"
	}
	return words + " " + values
}

// Quantity returns a number with its unit and what it is of.
func Quantity(v Value, m Metric) string {
	return strings.TrimSpace(FormatValue(v, m) + " " + measuredOf(m))
}

// measuredOf says what a number with its unit is of, unless the unit says it.
func measuredOf(m Metric) string {
	switch {
	case m.Side == Custom:
		return "of " + m.Title
	case m.Unit == "bytes" && strings.HasPrefix(m.Title, "bytes "), m.Unit == "packets":
		return strings.TrimPrefix(m.Title, m.Unit+" ") // out, in
	case m.Name == "aws:message-byte-size":
		return "per message"
	case m.Name == "aws:num-messages-sent":
		return "sent"
	case m.Name == "aws:num-messages-received":
		return "received"
	case m.Name == "aws:disconnect-duration":
		return "disconnected"
	}
	return ""
}

// unitWords are the units whose number alone doesn't say what is counted.
var unitWords = map[string][2]string{
	"aws:num-listening-tcp-ports":         {"listening TCP port", "listening TCP ports"},
	"aws:num-listening-udp-ports":         {"listening UDP port", "listening UDP ports"},
	"aws:num-established-tcp-connections": {"established TCP connection", "established TCP connections"},
	"aws:num-authorization-failures":      {"authorization failure", "authorization failures"},
	"aws:num-connection-attempts":         {"connection attempt", "connection attempts"},
}

// FormatValue returns a measurement or threshold of the metric for people, as
// "5,412 packets" or "443, 8883". An empty list is "none", no value at all
// is "".
func FormatValue(v Value, m Metric) string {
	if n, ok := v.Scalar(); ok {
		return withUnit(GroupDigits(v.String()), n == 1, m)
	}
	if v.Elements() != nil {
		return cmp.Or(v.String(), "none")
	}
	return ""
}

func withUnit(number string, one bool, m Metric) string {
	unit := m.Unit
	if words, ok := unitWords[m.Name]; ok {
		unit = words[1]
		if one {
			unit = words[0]
		}
	} else if one {
		unit = strings.TrimSuffix(unit, "s")
	}
	return strings.TrimSpace(number + " " + unit)
}

// GroupDigits puts a comma between every three digits before the decimal point.
func GroupDigits(number string) string {
	if strings.Contains(number, "e") {
		return number
	}
	whole, fraction, point := strings.Cut(number, ".")
	digits := strings.TrimPrefix(whole, "-")
	var b strings.Builder
	b.WriteString(whole[:len(whole)-len(digits)])
	for i, digit := range digits {
		if i > 0 && (len(digits)-i)%3 == 0 {
			b.WriteByte(',')
		}
		b.WriteRune(digit)
	}
	if point {
		b.WriteString("." + fraction)
	}
	return b.String()
}

// DurationWords returns a duration of a behavior in its largest unit.
func DurationWords(seconds int32) string {
	switch {
	case seconds == 3600:
		return "an hour"
	case seconds%60 == 0:
		return fmt.Sprintf("%d minutes", seconds/60)
	}
	return fmt.Sprintf("%d seconds", seconds)
}
