package service

import (
	"cmp"
	"fmt"
	"iter"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/device-defender/device-defender/internal/defender/awsrest"
	"github.com/device-defender/device-defender/internal/defender/detect"
	"github.com/device-defender/device-defender/internal/defender/profile"
	"github.com/device-defender/device-defender/internal/defender/report"
	"github.com/device-defender/device-defender/internal/defender/store"
)

var violationIDPattern = regexp.MustCompile(`^[a-zA-Z0-9-]{1,128}$`)

func checkViolationID(member, id string) error {
	if !violationIDPattern.MatchString(id) {
		return awsrest.Constraint(member, id, `Member must have 1 to 128 characters and satisfy regular expression pattern: [a-zA-Z0-9\-]+`)
	}
	return nil
}

// verificationStates are what can be said of a violation.
var verificationStates = []string{"FALSE_POSITIVE", "BENIGN_POSITIVE", "TRUE_POSITIVE", "UNKNOWN"}

// verification is the default of all alarms where nothing was said.
func (v *storedViolation) verification() string { return cmp.Or(v.Verification, "UNKNOWN") }

// violationFilter is what both lists can ask for. An absent flag for
// suppressed alerts asks for all; true for those alone, and false for the
// others.
type violationFilter struct {
	thing, profile, criteria, verification string
	suppressed                             *bool
}

func readViolationFilter(r *awsrest.Request) (f violationFilter, err error) {
	f.thing = r.Query("thingName")
	if err = checkThingName(r); err != nil {
		return f, err
	}
	if f.profile, err = queryName(r, "securityProfileName"); err != nil {
		return f, err
	}
	if f.criteria, err = r.QueryOneOf("behaviorCriteriaType", "STATIC", "STATISTICAL", machineLearning); err != nil {
		return f, err
	}
	if f.verification, err = r.QueryOneOf("verificationState", verificationStates...); err != nil {
		return f, err
	}
	f.suppressed, err = r.QueryBool("listSuppressedAlerts")
	return f, err
}

// checkThingName checks the thing that the query names, if it does.
func checkThingName(r *awsrest.Request) error {
	name := r.Query("thingName")
	if r.Has("thingName") && report.CheckThingName(name) != nil {
		return awsrest.Constraint("thingName", name, "Member must have 1 to 128 characters, and none that is a control character")
	}
	return nil
}

func (f *violationFilter) takes(v *storedViolation) bool {
	return (f.thing == "" || f.thing == v.Thing) &&
		(f.profile == "" || f.profile == v.Profile) &&
		(f.criteria == "" || f.criteria == criteriaType(v.Behavior)) &&
		(f.verification == "" || f.verification == v.verification()) &&
		(f.suppressed == nil || *f.suppressed == v.suppressed())
}

// farFuture is late, and its day still sorts as text.
var farFuture = time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC)

// timeRange reads startTime and endTime, which the operation needs.
func timeRange(r *awsrest.Request) (from, to time.Time, err error) {
	if from, err = r.QueryTime("startTime"); err != nil {
		return from, to, err
	}
	if to, err = r.QueryTime("endTime"); err != nil {
		return from, to, err
	}
	if from.After(to) {
		err = awsrest.Invalid("startTime is later than endTime")
	}
	if to.After(farFuture) {
		to = farFuture
	}
	return from, to, err
}

// within reports whether the time is in the range, both ends of which belong
// to it.
func within(t, from, to time.Time) bool { return !t.Before(from) && !t.After(to) }

// activeViolation is a violation as ListActiveViolations shows it.
type activeViolation struct {
	ID           string            `json:"violationId"`
	Thing        string            `json:"thingName"`
	Profile      string            `json:"securityProfileName"`
	Behavior     *profile.Behavior `json:"behavior"`
	Value        *profile.Value    `json:"lastViolationValue,omitempty"`
	Verification string            `json:"verificationState"`
	Description  string            `json:"verificationStateDescription,omitempty"`
	Last         awsrest.Epoch     `json:"lastViolationTime"`
	Start        awsrest.Epoch     `json:"violationStartTime"`
}

func (s *Service) listActiveViolations(r *awsrest.Request) (any, error) {
	filter, err := readViolationFilter(r)
	if err != nil {
		return nil, err
	}
	return answerList(s, r, "activeViolations", func(view *store.Reader, after string, yield func(string, activeViolation) bool) error {
		if err := filter.exists(view); err != nil {
			return err
		}
		for batch, err := range batches(filter.active(view, after)) {
			if err != nil {
				return err
			}
			found, err := tableViolations.GetMany(view, batch)
			if err != nil {
				return err
			}
			ids := slices.DeleteFunc(batch, func(id string) bool {
				v, ok := found[id]
				return !ok || !filter.takes(&v)
			})
			active, err := tableActive.GetMany(view, ids)
			if err != nil {
				return err
			}
			for _, id := range ids {
				v, last := found[id], active[id]
				shown := activeViolation{
					ID: id, Thing: v.Thing, Profile: v.Profile, Behavior: v.Behavior, Value: last.Value,
					Verification: v.verification(), Description: v.Description, Last: awsrest.Epoch(last.Time), Start: awsrest.Epoch(v.Start),
				}
				if !yield(id, shown) {
					return nil
				}
			}
		}
		return nil
	})
}

// active yields the ids of active violations that the filter may take.
func (f *violationFilter) active(view *store.Reader, after string) iter.Seq2[string, error] {
	switch {
	case f.thing != "":
		return tableActiveByThing.keysAfter(view, f.thing+"\x00", after)
	case f.profile != "":
		return tableActiveByProfile.keysAfter(view, f.profile+"\x00", after)
	default:
		return tableActive.keysAfter(view, "", after)
	}
}

// batches collects what is then read in one round trip: few at first, as a page
// may need no more.
func batches[T any](list iter.Seq2[T, error]) iter.Seq2[[]T, error] {
	const first, largest = 32, 512
	return func(yield func([]T, error) bool) {
		var batch []T
		size := first
		for item, err := range list {
			if err != nil {
				yield(nil, err)
				return
			}
			if batch = append(batch, item); len(batch) == size {
				if !yield(batch, nil) {
					return
				}
				batch, size = nil, min(2*size, largest)
			}
		}
		if len(batch) > 0 {
			yield(batch, nil)
		}
	}
}

// exists says when the filter names a profile or a thing that there is not. A
// profile that was deleted leaves its violations behind.
func (f *violationFilter) exists(view *store.Reader) error {
	if f.thing != "" {
		if known, err := thingKnown(view, f.thing); err != nil {
			return err
		} else if !known {
			return awsrest.NotFound(fmt.Sprintf("Thing %s does not exist and has not reported", f.thing))
		}
	}
	if f.profile == "" {
		return nil
	}
	if there, err := tableProfiles.has(view, f.profile); err != nil || there {
		return err
	}
	for _, err := range tableByProfile.keysAfter(view, f.profile+"\x00", "") {
		return err // or nil: there is one
	}
	return awsrest.NotFound(fmt.Sprintf("Security profile %s does not exist", f.profile))
}

// thingKnown reports whether the thing is registered or has reported.
func thingKnown(view *store.Reader, name string) (bool, error) {
	for _, t := range []store.Table[struct{}]{tableThings.keys, tableRows.keys} {
		if _, there, err := t.Get(view, name); err != nil || there {
			return there, err
		}
	}
	return false, nil
}

// violationEvent is an event as ListViolationEvents shows it.
type violationEvent struct {
	ID           string            `json:"violationId"`
	Thing        string            `json:"thingName"`
	Profile      string            `json:"securityProfileName"`
	Behavior     *profile.Behavior `json:"behavior"`
	Value        *profile.Value    `json:"metricValue,omitempty"`
	Type         detect.EventType  `json:"violationEventType"`
	Verification string            `json:"verificationState"`
	Description  string            `json:"verificationStateDescription,omitempty"`
	Time         awsrest.Epoch     `json:"violationEventTime"`
}

// listViolationEvents lists events from the latest to the earliest, as an
// answer of AWS's does that is in the documentation of its CLI.
func (s *Service) listViolationEvents(r *awsrest.Request) (any, error) {
	filter, err := readViolationFilter(r)
	if err != nil {
		return nil, err
	}
	from, to, err := timeRange(r)
	if err != nil {
		return nil, err
	}
	from = later(from, s.now().Add(-keepViolations))
	return answerList(s, r, "violationEvents", func(view *store.Reader, after string, yield func(string, violationEvent) bool) error {
		for batch, err := range batches(daysBackwards(view, tableEvents, "", from, to, after)) {
			if err != nil {
				return err
			}
			ids := make([]string, len(batch))
			for i := range batch {
				_, ids[i], _ = splitEventKey(batch[i].Key)
			}
			found, err := tableViolations.GetMany(view, ids)
			if err != nil {
				return err
			}
			for i, ev := range batch {
				v, ok := found[ids[i]]
				if !ok || !filter.takes(&v) {
					continue
				}
				at, _, _ := splitEventKey(ev.Key)
				shown := violationEvent{
					ID: ids[i], Thing: v.Thing, Profile: v.Profile, Behavior: v.Behavior, Value: ev.Value.Value, Type: ev.Value.Type,
					Verification: v.verification(), Description: v.Description, Time: awsrest.Epoch(at),
				}
				if !yield(ev.Key, shown) {
					return nil
				}
			}
		}
		return nil
	})
}

// later returns the later of two times.
func later(a, b time.Time) time.Time {
	if a.Before(b) {
		return b
	}
	return a
}

// daysBackwards yields the rows of all days whose keys are the prefix, a time in
// the range, and perhaps more: from the latest on or, when before is given, from
// the one before that key. Keys are without the prefix.
func daysBackwards[V any](view *store.Reader, t store.DayTable[V], prefix string, from, to time.Time, before string) iter.Seq2[store.Entry[V], error] {
	return func(yield func(store.Entry[V], error) bool) {
		days, err := t.Days(view)
		if err != nil {
			yield(store.Entry[V]{}, err)
			return
		}
		span := store.Range{From: prefix + store.TimeKey(from), To: prefix + store.TimeKey(to.Add(time.Millisecond)), Reverse: true}
		if before != "" {
			span.To = prefix + before
		}
		for _, d := range slices.Backward(days) {
			if d > day(to) || d < day(from) {
				continue
			}
			for entry, err := range t.Scan(view, d, span) {
				if err != nil {
					yield(entry, err)
					return
				}
				entry.Key = entry.Key[len(prefix):]
				if !yield(entry, nil) {
					return
				}
			}
		}
	}
}

func (s *Service) putVerificationStateOnViolation(r *awsrest.Request) (any, error) {
	id := r.Name("violationId")
	var in struct {
		State       string `json:"verificationState"`
		Description string `json:"verificationStateDescription"`
	}
	if err := r.Decode(&in); err != nil {
		return nil, err
	}
	switch {
	case in.State == "":
		return nil, awsrest.Missing("verificationState")
	case utf8.RuneCountInString(in.Description) > 1000 || strings.ContainsFunc(in.Description, unicode.IsControl):
		return nil, awsrest.Constraint("verificationStateDescription", in.Description, `Member must have length less than or equal to 1000 and satisfy regular expression pattern: [^\p{Cntrl}]*`)
	}
	if err := awsrest.CheckOneOf("verificationState", in.State, verificationStates...); err != nil {
		return nil, err
	}
	return struct{}{}, s.write(r.Context(), func(tx *store.Tx) error {
		v, err := tableViolations.find(&tx.Reader, id)
		if err != nil {
			return err
		}
		if v == nil { // the operation has no other error for it
			return awsrest.Invalid(fmt.Sprintf("Violation %s does not exist", id))
		}
		v.Verification, v.Description = in.State, in.Description
		return tableViolations.Put(tx, id, *v)
	})
}

// violationQuery is what both lists of violations can ask for.
var violationQuery = []string{"thingName", "securityProfileName", "behaviorCriteriaType", "listSuppressedAlerts", "verificationState"}
