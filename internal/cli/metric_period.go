package cli

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/pflag"
)

// periodFlags are the flags that say from when to when.
type periodFlags struct{ since, from, to string }

func (p *periodFlags) add(flags *pflag.FlagSet, since, what string) {
	flags.StringVar(&p.since, "since", since, what+" of the time since then: as 90m, 24h, 7d or 2w")
	flags.StringVar(&p.from, "from", "", what+" from this time on: as 2026-11-22, \"2026-11-22 14:30\" or 2026-11-22T14:30:00Z")
	flags.StringVar(&p.to, "to", "", what+" until this time (default now)")
}

// given reports whether the user asked for a period.
func (p *periodFlags) given() bool { return p.since != "" || p.from != "" || p.to != "" }

// period returns the times that the flags mean. --from takes the place of
// --since, whose default may be set.
func (p *periodFlags) period(flags *pflag.FlagSet, now time.Time) (from, to time.Time, err error) {
	fail := func(format string, args ...any) (time.Time, time.Time, error) {
		return time.Time{}, time.Time{}, usageError{fmt.Errorf(format, args...)}
	}
	if flags.Changed("since") && p.from != "" {
		return fail("--since and --from: give one of them")
	}
	to = now
	if p.to != "" {
		if to, err = parseTime(p.to, now.Location()); err != nil {
			return fail("--to: %w", err)
		}
	}
	switch {
	case p.from != "":
		if from, err = parseTime(p.from, now.Location()); err != nil {
			return fail("--from: %w", err)
		}
	case p.since != "":
		d, err := parseSpan(p.since)
		if err != nil {
			return fail("--since: %w", err)
		}
		from = now.Add(-d)
	default:
		return fail("--to needs --from or --since")
	}
	if !from.Before(to) {
		return fail("the period ends at %s, before it begins at %s", to.Format(time.DateTime), from.Format(time.DateTime))
	}
	return from, to, nil
}

// longestSpan is more than anything is kept.
const longestSpan = 366 * 24 * time.Hour

// parseSpan reads a duration: as time.ParseDuration does, and whole days and
// weeks.
func parseSpan(text string) (time.Duration, error) {
	const want = "want as 90m, 24h, 7d or 2w"
	d, err := time.ParseDuration(text)
	for unit, length := range map[string]time.Duration{"d": 24 * time.Hour, "w": 7 * 24 * time.Hour} {
		if number, ok := strings.CutSuffix(text, unit); ok {
			n, bad := strconv.ParseUint(number, 10, 16)
			d, err = time.Duration(n)*length, bad
		}
	}
	switch {
	case err != nil || d <= 0:
		return 0, fmt.Errorf("%q is not a duration, %s", text, want)
	case d > longestSpan:
		return 0, fmt.Errorf("%q is more than a year, nothing is kept so long", text)
	}
	return d, nil
}

// timeLayouts are how a time may be written; without a zone it's in the
// caller's.
var timeLayouts = []string{time.RFC3339, "2006-01-02T15:04:05", time.DateTime, "2006-01-02 15:04", time.DateOnly}

func parseTime(text string, zone *time.Location) (time.Time, error) {
	for _, layout := range timeLayouts {
		if t, err := time.ParseInLocation(layout, text, zone); err == nil {
			return t, nil
		}
	}
	return time.Time{}, fmt.Errorf("%q is not a time, want as 2026-11-22, \"2026-11-22 14:30\" or 2026-11-22T14:30:00Z", text)
}
