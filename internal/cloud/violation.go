package cloud

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iot"
	"github.com/aws/aws-sdk-go-v2/service/iot/types"

	"github.com/device-defender/device-defender/internal/defender/finding"
	"github.com/device-defender/device-defender/internal/defender/profile"
)

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
func (c *Client) ActiveViolations(ctx context.Context, f ViolationFilter) ([]finding.Violation, error) {
	pages := iot.NewListActiveViolationsPaginator(c.IoT, &iot.ListActiveViolationsInput{
		ThingName: optional(f.Thing), SecurityProfileName: optional(f.Profile), MaxResults: aws.Int32(maxResults),
	})
	violations, err := listed(ctx, c, "list active violations", pages, func(page *iot.ListActiveViolationsOutput) []finding.Violation {
		return slices.DeleteFunc(mapped(page.ActiveViolations, activeViolation), func(v finding.Violation) bool { return !f.matches(v.Behavior) })
	})
	slices.SortStableFunc(violations, func(a, b finding.Violation) int {
		return cmp.Or(b.Started.Compare(a.Started), cmp.Compare(a.ID, b.ID))
	})
	return violations, err
}

func activeViolation(a types.ActiveViolation) finding.Violation {
	return finding.Violation{
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
func (c *Client) Violations(ctx context.Context, f ViolationFilter, from, to time.Time) ([]finding.Violation, error) {
	pages := iot.NewListViolationEventsPaginator(c.IoT, &iot.ListViolationEventsInput{
		StartTime: aws.Time(from), EndTime: aws.Time(to),
		ThingName: optional(f.Thing), SecurityProfileName: optional(f.Profile), MaxResults: aws.Int32(maxResults),
	})
	byID := map[string]*finding.Violation{}
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, c.failed("list violation events", err)
		}
		for _, e := range page.ViolationEvents {
			addEvent(byID, f, e)
		}
	}
	violations := make([]finding.Violation, 0, len(byID))
	for _, v := range byID {
		v.Settle()
		violations = append(violations, *v)
	}
	slices.SortFunc(violations, func(a, b finding.Violation) int {
		return cmp.Or(b.Last().Compare(a.Last()), cmp.Compare(a.ID, b.ID))
	})
	return violations, nil
}

// History returns the violations with events in the period, as [Client.Violations]
// does but with those that are in alarm as such, and those that began before
// it and are in alarm yet.
func (c *Client) History(ctx context.Context, f ViolationFilter, from, to time.Time) ([]finding.Violation, error) {
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
func addEvent(byID map[string]*finding.Violation, f ViolationFilter, e types.ViolationEvent) {
	behavior := behaviorOf(e.Behavior)
	if !f.matches(behavior) {
		return
	}
	id := aws.ToString(e.ViolationId)
	v := byID[id]
	if v == nil {
		v = &finding.Violation{ID: id, Thing: aws.ToString(e.ThingName), Profile: aws.ToString(e.SecurityProfileName), Behavior: behavior}
		byID[id] = v
	}
	v.Verification = verification(e.VerificationState)
	v.VerificationNote = aws.ToString(e.VerificationStateDescription)
	v.Events = append(v.Events, finding.Event{
		Time: aws.ToTime(e.ViolationEventTime), Type: string(e.ViolationEventType), Value: valueOf(e.MetricValue),
	})
}

// FindViolation returns the violation of that id, or of the one id that begins
// with it, with all its events that are kept. It looks among the active ones
// and then in the events up to now; the error is a [finding.AmbiguousError] when
// there is more than one.
func (c *Client) FindViolation(ctx context.Context, id string, now time.Time) (*finding.Violation, error) {
	if err := finding.CheckID(id); err != nil {
		return nil, err
	}
	active, err := c.ActiveViolations(ctx, ViolationFilter{})
	if err != nil {
		return nil, err
	}
	i := slices.IndexFunc(active, func(v finding.Violation) bool { return v.ID == id })
	if i >= 0 {
		// Written in full it can mean no other, and only its own events are read.
		v := &active[i]
		events, err := c.Violations(ctx, ViolationFilter{Thing: v.Thing, Profile: v.Profile, Behavior: v.Behavior.Name}, now.Add(-finding.ViolationRetention), now)
		if err != nil {
			return nil, err
		}
		return with(v, events), nil
	}
	events, err := c.Violations(ctx, ViolationFilter{}, now.Add(-finding.ViolationRetention), now)
	if err != nil {
		return nil, err
	}
	found := map[string]*finding.Violation{}
	for i := range events {
		if strings.HasPrefix(events[i].ID, id) {
			found[events[i].ID] = &events[i]
		}
	}
	for i := range active {
		if strings.HasPrefix(active[i].ID, id) {
			found[active[i].ID] = with(&active[i], events)
		}
	}
	id, err = finding.Complete(id, slices.Collect(maps.Keys(found)))
	return found[id], err
}

// with gives an active violation its events from a list.
func with(v *finding.Violation, list []finding.Violation) *finding.Violation {
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
