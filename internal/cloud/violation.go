package cloud

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iot"
	"github.com/aws/aws-sdk-go-v2/service/iot/types"

	"github.com/device-defender/device-defender/internal/defender/profile"
)

// How long AWS keeps what Detect found, and our service like it.
const (
	ViolationRetention = 30 * 24 * time.Hour
	ValueRetention     = 14 * 24 * time.Hour
)

// Event types of a violation, as AWS spells them.
const (
	InAlarm          = "in-alarm"
	AlarmCleared     = "alarm-cleared"
	AlarmInvalidated = "alarm-invalidated"
)

// Violation is one violation, put together from the list of active ones and
// from events: AWS has no operation that describes one.
type Violation struct {
	ID       string
	Thing    string
	Profile  string
	Behavior profile.Behavior
	// Active says that the thing is in alarm.
	Active bool
	// Value is the last value known that was not normal; nil when no event or
	// list carries one.
	Value *profile.Value
	// Started is zero when the start is older than what was read. LastSeen is
	// the time of Value. Ended is zero while in alarm.
	Started, LastSeen, Ended time.Time
	// Verification is FALSE_POSITIVE, BENIGN_POSITIVE, TRUE_POSITIVE or UNKNOWN.
	Verification     string
	VerificationNote string
	Events           []ViolationEvent // in order of time; empty when none were read
}

// State is the type of the violation's last event.
func (v *Violation) State() string {
	if v.Active || len(v.Events) == 0 {
		return InAlarm
	}
	return v.Events[len(v.Events)-1].Type
}

// ViolationEvent is one step in a violation.
type ViolationEvent struct {
	Time  time.Time
	Type  string         // InAlarm, AlarmCleared or AlarmInvalidated
	Value *profile.Value // nil in AlarmInvalidated
}

// ViolationFilter narrows a list. Empty members match everything.
type ViolationFilter struct {
	Thing    string
	Profile  string
	Behavior string // AWS filters the others; this one is filtered here
}

// matches reports whether the behavior is asked for.
func (f ViolationFilter) matches(b profile.Behavior) bool {
	return f.Behavior == "" || f.Behavior == b.Name
}

// ActiveViolations returns the violations that are in alarm now, the latest
// to start first.
func (c *Client) ActiveViolations(ctx context.Context, f ViolationFilter) ([]Violation, error) {
	pages := iot.NewListActiveViolationsPaginator(c.IoT, &iot.ListActiveViolationsInput{
		ThingName: optional(f.Thing), SecurityProfileName: optional(f.Profile), MaxResults: aws.Int32(maxResults),
	})
	violations, err := listed(ctx, c, "list active violations", pages, func(page *iot.ListActiveViolationsOutput) []Violation {
		return slices.DeleteFunc(mapped(page.ActiveViolations, activeViolation), func(v Violation) bool { return !f.matches(v.Behavior) })
	})
	slices.SortStableFunc(violations, func(a, b Violation) int {
		return cmp.Or(b.Started.Compare(a.Started), cmp.Compare(a.ID, b.ID))
	})
	return violations, err
}

func activeViolation(a types.ActiveViolation) Violation {
	return Violation{
		ID: aws.ToString(a.ViolationId), Thing: aws.ToString(a.ThingName), Profile: aws.ToString(a.SecurityProfileName),
		Behavior: behaviorOf(a.Behavior), Active: true, Value: valueOf(a.LastViolationValue),
		Started: aws.ToTime(a.ViolationStartTime), LastSeen: aws.ToTime(a.LastViolationTime),
		Verification: verification(a.VerificationState), VerificationNote: aws.ToString(a.VerificationStateDescription),
	}
}

// verification is the state as it's said: all alarms begin as UNKNOWN.
func verification(s types.VerificationState) string {
	return string(cmp.Or(s, types.VerificationStateUnknown))
}

// Violations returns the violations that have events in the period, each with
// those events, by the time of the last one, latest first. It does not say
// which are active.
func (c *Client) Violations(ctx context.Context, f ViolationFilter, from, to time.Time) ([]Violation, error) {
	pages := iot.NewListViolationEventsPaginator(c.IoT, &iot.ListViolationEventsInput{
		StartTime: aws.Time(from), EndTime: aws.Time(to),
		ThingName: optional(f.Thing), SecurityProfileName: optional(f.Profile), MaxResults: aws.Int32(maxResults),
	})
	byID := map[string]*Violation{}
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, c.failed("list violation events", err)
		}
		for _, e := range page.ViolationEvents {
			addEvent(byID, f, e)
		}
	}
	violations := make([]Violation, 0, len(byID))
	for _, v := range byID {
		v.settle()
		violations = append(violations, *v)
	}
	slices.SortFunc(violations, func(a, b Violation) int {
		return cmp.Or(b.last().Compare(a.last()), cmp.Compare(a.ID, b.ID))
	})
	return violations, nil
}

// History returns the violations with events in the period, as [Client.Violations]
// does but with those that are in alarm as such, and those that began before
// it and are in alarm yet.
func (c *Client) History(ctx context.Context, f ViolationFilter, from, to time.Time) ([]Violation, error) {
	violations, err := c.Violations(ctx, f, from, to)
	if err != nil {
		return nil, err
	}
	active, err := c.ActiveViolations(ctx, f)
	if err != nil {
		return nil, err
	}
	index := make(map[string]int, len(violations))
	for i := range violations {
		index[violations[i].ID] = i
	}
	for _, a := range active {
		switch i, there := index[a.ID]; {
		case there:
			a.Events = violations[i].Events
			violations[i] = a
		case a.Started.Before(to):
			violations = append(violations, a)
		}
	}
	return violations, nil
}

// addEvent adds an event to its violation.
func addEvent(byID map[string]*Violation, f ViolationFilter, e types.ViolationEvent) {
	behavior := behaviorOf(e.Behavior)
	if !f.matches(behavior) {
		return
	}
	id := aws.ToString(e.ViolationId)
	v := byID[id]
	if v == nil {
		v = &Violation{ID: id, Thing: aws.ToString(e.ThingName), Profile: aws.ToString(e.SecurityProfileName), Behavior: behavior}
		byID[id] = v
	}
	v.Verification = verification(e.VerificationState)
	v.VerificationNote = aws.ToString(e.VerificationStateDescription)
	v.Events = append(v.Events, ViolationEvent{
		Time: aws.ToTime(e.ViolationEventTime), Type: string(e.ViolationEventType), Value: valueOf(e.MetricValue),
	})
}

// settle orders the events and takes from them when the violation began, what
// was last seen and when it ended.
func (v *Violation) settle() {
	slices.SortStableFunc(v.Events, func(a, b ViolationEvent) int { return a.Time.Compare(b.Time) })
	for _, e := range v.Events {
		switch e.Type {
		case InAlarm:
			if v.Started.IsZero() {
				v.Started = e.Time
			}
			if e.Time.After(v.LastSeen) && e.Value != nil {
				v.LastSeen, v.Value = e.Time, e.Value
			}
		case AlarmCleared, AlarmInvalidated:
			v.Ended = e.Time
		}
	}
	if v.State() == InAlarm {
		v.Ended = time.Time{}
	}
}

// last is the time of the last event.
func (v *Violation) last() time.Time { return v.Events[len(v.Events)-1].Time }

// violationID is what an id, or the beginning of one, may look like.
var violationID = regexp.MustCompile(`^[a-zA-Z0-9-]{1,128}$`)

// AmbiguousError says that an abbreviated violation id means several.
type AmbiguousError struct {
	ID      string
	Matches []string // sorted
}

func (e *AmbiguousError) Error() string {
	shown := e.Matches[:min(len(e.Matches), 5)]
	text := fmt.Sprintf("violation id %s is the beginning of %d: %s", e.ID, len(e.Matches), strings.Join(shown, ", "))
	if len(shown) < len(e.Matches) {
		text += ", ..."
	}
	return text
}

// FindViolation returns the violation of that id, or of the one id that begins
// with it, with all its events that are kept. It looks among the active ones
// and then in the events up to now; the error is an [AmbiguousError] when
// there is more than one.
func (c *Client) FindViolation(ctx context.Context, id string, now time.Time) (*Violation, error) {
	if !violationID.MatchString(id) {
		return nil, fmt.Errorf("%q is not a violation id", id)
	}
	active, err := c.ActiveViolations(ctx, ViolationFilter{})
	if err != nil {
		return nil, err
	}
	i := slices.IndexFunc(active, func(v Violation) bool { return v.ID == id })
	if i >= 0 {
		// Written in full it can mean no other, and only its own events are read.
		v := &active[i]
		events, err := c.Violations(ctx, ViolationFilter{Thing: v.Thing, Profile: v.Profile, Behavior: v.Behavior.Name}, now.Add(-ViolationRetention), now)
		if err != nil {
			return nil, err
		}
		return v.with(events), nil
	}
	events, err := c.Violations(ctx, ViolationFilter{}, now.Add(-ViolationRetention), now)
	if err != nil {
		return nil, err
	}
	found := map[string]*Violation{}
	for i := range events {
		if strings.HasPrefix(events[i].ID, id) {
			found[events[i].ID] = &events[i]
		}
	}
	for i := range active {
		if strings.HasPrefix(active[i].ID, id) {
			found[active[i].ID] = active[i].with(events)
		}
	}
	if v := found[id]; v != nil {
		return v, nil
	}
	switch len(found) {
	case 0:
		return nil, fmt.Errorf("no violation %s is active or had an event in the last 30 days", id)
	case 1:
		for _, v := range found {
			return v, nil
		}
	}
	matches := make([]string, 0, len(found))
	for id := range found {
		matches = append(matches, id)
	}
	slices.Sort(matches)
	return nil, &AmbiguousError{ID: id, Matches: matches}
}

// with gives an active violation its events from a list.
func (v *Violation) with(list []Violation) *Violation {
	for _, other := range list {
		if other.ID == v.ID {
			v.Events = other.Events
		}
	}
	return v
}

// Verifications are AWS's states by the words of a command line.
var Verifications = map[string]types.VerificationState{
	"false-positive":  types.VerificationStateFalsePositive,
	"benign-positive": types.VerificationStateBenignPositive,
	"benign":          types.VerificationStateBenignPositive,
	"true-positive":   types.VerificationStateTruePositive,
	"unknown":         types.VerificationStateUnknown,
}

// maxVerificationNote is how many characters a note may have.
const maxVerificationNote = 1000

// CheckVerificationNote returns what AWS would not take of a note.
func CheckVerificationNote(note string) error {
	if n := utf8.RuneCountInString(note); n > maxVerificationNote {
		return fmt.Errorf("%d characters, want at most %d", n, maxVerificationNote)
	}
	if !utf8.ValidString(note) || strings.ContainsFunc(note, unicode.IsControl) {
		return errors.New("it has control characters, want one line of text")
	}
	return nil
}

// Mark says what a violation was. An empty note takes an older one away.
func (c *Client) Mark(ctx context.Context, id string, state types.VerificationState, note string) error {
	_, err := c.IoT.PutVerificationStateOnViolation(ctx, &iot.PutVerificationStateOnViolationInput{
		ViolationId: aws.String(id), VerificationState: state, VerificationStateDescription: optional(note),
	})
	return c.failed("mark violation "+id, err)
}

// optional is nil for an empty text.
func optional(text string) *string {
	if text == "" {
		return nil
	}
	return aws.String(text)
}

// maxResults is the longest page that the API takes.
const maxResults = 250
