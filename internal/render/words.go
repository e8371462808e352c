package render

import (
	"math"
	"strconv"
	"strings"
	"time"
)

// short writes a value for an axis: "1.2 MB", "5.4k", "0.25".
func short(v float64, unit string) string {
	scaled, prefix := scale(v)
	if unit == "bytes" {
		return trim(scaled) + " " + prefix + "B"
	}
	return trim(scaled) + prefix
}

// long writes a value with its unit: "48,210 packets", "1.23 MB".
func long(v float64, unit string) string {
	if unit == "bytes" && math.Abs(v) >= 1000 {
		scaled, prefix := scale(v)
		return strconv.FormatFloat(scaled, 'f', 2, 64) + " " + prefix + "B"
	}
	return strings.TrimSpace(grouped(v) + " " + name(unit))
}

// scale divides by a power of thousand so that one to three digits are left.
func scale(v float64) (float64, string) {
	prefix := ""
	for _, next := range []string{"k", "M", "G", "T", "P"} {
		if math.Abs(v) < 999.5 {
			break
		}
		v, prefix = v/1000, next
	}
	return v, prefix
}

// trim writes at most three digits, and no zeros behind the point.
func trim(v float64) string {
	if v == 0 || math.Abs(v) >= 1e6 || math.Abs(v) < 1e-3 {
		return strconv.FormatFloat(v, 'g', 3, 64)
	}
	digits := max(0, 2-int(math.Floor(math.Log10(math.Abs(v)))))
	text := strconv.FormatFloat(v, 'f', digits, 64)
	if strings.Contains(text, ".") {
		text = strings.TrimRight(strings.TrimRight(text, "0"), ".")
	}
	return text
}

// grouped writes a number in full, with commas between thousands.
func grouped(v float64) string {
	if math.IsNaN(v) || math.IsInf(v, 0) || math.Abs(v) >= 1e15 {
		return strconv.FormatFloat(v, 'g', -1, 64)
	}
	text := strconv.FormatFloat(math.Round(v*1e6)/1e6, 'f', -1, 64)
	whole, fraction, _ := strings.Cut(text, ".")
	sign := ""
	if strings.HasPrefix(whole, "-") {
		sign, whole = "-", whole[1:]
	}
	for i := len(whole) - 3; i > 0; i -= 3 {
		whole = whole[:i] + "," + whole[i:]
	}
	if fraction != "" {
		whole += "." + fraction
	}
	return sign + whole
}

// plural writes a count with its noun.
func plural(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return grouped(float64(n)) + " " + many
}

// lasting writes a duration in its two largest units: "2 hours 5 minutes".
func lasting(d time.Duration) string {
	if d < time.Second {
		return "less than a second"
	}
	units := []struct {
		size      time.Duration
		one, many string
	}{
		{24 * time.Hour, "day", "days"}, {time.Hour, "hour", "hours"},
		{time.Minute, "minute", "minutes"}, {time.Second, "second", "seconds"},
	}
	var parts []string
	for i, u := range units {
		n := int(d / u.size)
		if n == 0 {
			if len(parts) > 0 {
				break
			}
			continue
		}
		parts = append(parts, plural(n, u.one, u.many))
		d -= time.Duration(n) * u.size
		if len(parts) == 2 || i == len(units)-1 {
			break
		}
	}
	return strings.Join(parts, " ")
}

// clock writes times in one zone.
type clock struct{ zone *time.Location }

func (a About) clock() clock {
	if a.Zone == nil {
		return clock{time.UTC}
	}
	return clock{a.Zone}
}

// full is unambiguous by itself: "2026-11-22 14:05:00 UTC".
func (c clock) full(t time.Time) string { return c.format(t, "2006-01-02 15:04:05 MST") }

// minute is for tables, whose page or heading names the zone.
func (c clock) minute(t time.Time) string { return c.format(t, "2006-01-02 15:04") }

func (c clock) hour(t time.Time) string { return c.format(t, "15:04") }

func (c clock) format(t time.Time, layout string) string {
	if t.IsZero() {
		return ""
	}
	return t.In(c.zone).Format(layout)
}

// period writes a beginning and an end, the day once when it is the same:
// "22 Nov 2026, 14:05 to 14:25 UTC".
func (c clock) period(from, to time.Time) string {
	const day = "2 Jan 2006"
	if c.minute(from) == c.minute(to) {
		return c.format(from, day+", 15:04 MST")
	}
	if c.format(from, day) == c.format(to, day) {
		return c.format(from, day+", 15:04") + " to " + c.format(to, "15:04 MST")
	}
	return c.format(from, day+", 15:04") + " to " + c.format(to, day+", 15:04 MST")
}

// stateWord is the state as a reader says it.
func stateWord(s State) string {
	switch s {
	case InAlarm:
		return "In alarm"
	case Cleared:
		return "Cleared"
	case Invalidated:
		return "Invalidated"
	}
	return name(string(s))
}

// verdict is AWS's verification state as a reader says it.
func verdict(v string) string {
	switch v {
	case "TRUE_POSITIVE":
		return "true positive"
	case "FALSE_POSITIVE":
		return "false positive"
	case "BENIGN_POSITIVE":
		return "benign"
	case "", "UNKNOWN":
		return "not judged yet"
	}
	return name(v)
}

// when says in one sentence how long the alarm lasted.
func (v Violation) when(c clock, now time.Time) string {
	switch {
	case v.Started.IsZero() && v.Ended.IsZero():
		return ""
	case v.Started.IsZero():
		return "until " + c.full(v.Ended)
	case v.Ended.IsZero() && now.After(v.Started):
		return "since " + c.full(v.Started) + ", for " + lasting(now.Sub(v.Started))
	case v.Ended.IsZero():
		return "since " + c.full(v.Started)
	}
	return "for " + lasting(v.Ended.Sub(v.Started)) + ", " + c.period(v.Started, v.Ended)
}
