package service

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"iter"
	"regexp"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"go.etcd.io/bbolt"

	"github.com/device-defender/device-defender/internal/defender/detect"
	"github.com/device-defender/device-defender/internal/defender/profile"
	"github.com/device-defender/device-defender/internal/defender/report"
)

var violationIDPattern = regexp.MustCompile(`^[a-zA-Z0-9-]{1,128}$`)

func checkViolationID(member, id string) error {
	if !violationIDPattern.MatchString(id) {
		return constraint(member, id, `Member must have 1 to 128 characters and satisfy regular expression pattern: [a-zA-Z0-9\-]+`)
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

func (r *request) violationFilter() (f violationFilter, err error) {
	f.thing = r.query("thingName")
	if err = r.checkThingName(); err != nil {
		return f, err
	}
	if f.profile, err = r.queryName("securityProfileName"); err != nil {
		return f, err
	}
	if f.criteria, err = r.queryOneOf("behaviorCriteriaType", "STATIC", "STATISTICAL", machineLearning); err != nil {
		return f, err
	}
	if f.verification, err = r.queryOneOf("verificationState", verificationStates...); err != nil {
		return f, err
	}
	f.suppressed, err = r.queryBool("listSuppressedAlerts")
	return f, err
}

// checkThingName checks the thing that the query names, if it does.
func (r *request) checkThingName() error {
	name := r.query("thingName")
	if r.values.Has("thingName") && report.CheckThingName(name) != nil {
		return constraint("thingName", name, "Member must have 1 to 128 characters, and none that is a control character")
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
func (r *request) timeRange() (from, to time.Time, err error) {
	if from, err = r.queryTime("startTime"); err != nil {
		return from, to, err
	}
	if to, err = r.queryTime("endTime"); err != nil {
		return from, to, err
	}
	if from.After(to) {
		err = invalidRequest("startTime is later than endTime")
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
	Last         epoch             `json:"lastViolationTime"`
	Start        epoch             `json:"violationStartTime"`
}

func listActiveViolations(s *Service, r *request) (any, error) {
	filter, err := r.violationFilter()
	if err != nil {
		return nil, err
	}
	return answerList(s, r, "activeViolations", func(tx *bbolt.Tx, after string, yield func(string, activeViolation) bool) error {
		if err := filter.exists(tx); err != nil {
			return err
		}
		for id, record := range keysAfter(tx, bucketActive, "", after) {
			var active storedActive
			if err := json.Unmarshal(record, &active); err != nil {
				return err
			}
			v, err := get[storedViolation](tx, bucketViolations, id)
			if err != nil {
				return err
			}
			if v == nil || !filter.takes(v) {
				continue
			}
			shown := activeViolation{
				ID: id, Thing: v.Thing, Profile: v.Profile, Behavior: v.Behavior, Value: active.Value,
				Verification: v.verification(), Description: v.Description, Last: epoch(active.Time), Start: epoch(v.Start),
			}
			if !yield(id, shown) {
				break
			}
		}
		return nil
	})
}

// exists says when the filter names a profile or a thing that there is not. A
// profile that was deleted leaves its violations behind.
func (f *violationFilter) exists(tx *bbolt.Tx) error {
	if f.thing != "" && !thingKnown(tx, f.thing) {
		return notFound(fmt.Sprintf("Thing %s does not exist and has not reported", f.thing))
	}
	if f.profile == "" || tx.Bucket(bucketProfiles).Get([]byte(f.profile)) != nil {
		return nil
	}
	for _, record := range keysAfter(tx, bucketViolations, "", "") {
		var v storedViolation
		if err := json.Unmarshal(record, &v); err != nil {
			return err
		}
		if v.Profile == f.profile {
			return nil
		}
	}
	return notFound(fmt.Sprintf("Security profile %s does not exist", f.profile))
}

// thingKnown reports whether the thing is registered or has reported.
func thingKnown(tx *bbolt.Tx, name string) bool {
	return tx.Bucket(bucketThings).Get([]byte(name)) != nil || tx.Bucket(bucketReporters).Get([]byte(name)) != nil ||
		tx.Bucket(bucketEngine).Get([]byte(name)) != nil
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
	Time         epoch             `json:"violationEventTime"`
}

// listViolationEvents lists events from the latest to the earliest, as an
// answer of AWS's does that is in the documentation of its CLI.
func listViolationEvents(s *Service, r *request) (any, error) {
	filter, err := r.violationFilter()
	if err != nil {
		return nil, err
	}
	from, to, err := r.timeRange()
	if err != nil {
		return nil, err
	}
	from = later(from, s.now().Add(-keepViolations))
	return answerList(s, r, "violationEvents", func(tx *bbolt.Tx, after string, yield func(string, violationEvent) bool) error {
		for key, record := range daysBackwards(tx.Bucket(bucketEventDays), "", from, to, after) {
			var ev storedEvent
			if err := json.Unmarshal(record, &ev); err != nil {
				return err
			}
			at, id := splitEventKey([]byte(key))
			v, err := get[storedViolation](tx, bucketViolations, id)
			if err != nil {
				return err
			}
			if v == nil || !filter.takes(v) {
				continue
			}
			shown := violationEvent{
				ID: id, Thing: v.Thing, Profile: v.Profile, Behavior: v.Behavior, Value: ev.Value, Type: ev.Type,
				Verification: v.verification(), Description: v.Description, Time: epoch(at),
			}
			if !yield(key, shown) {
				break
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

// daysBackwards yields the records of all days whose keys are the prefix, a
// time in the range, and perhaps more: from the latest on or, when before is
// given, from the one before that key. Keys are without the prefix.
func daysBackwards(days *bbolt.Bucket, prefix string, from, to time.Time, before string) iter.Seq2[string, []byte] {
	return func(yield func(string, []byte) bool) {
		least := append([]byte(prefix), timeKey(from)...)
		end := append([]byte(prefix), timeKey(to.Add(time.Millisecond))...)
		if before != "" {
			end = append([]byte(prefix), before...)
		}
		first := day(from)
		dayCursor := days.Cursor()
		for name, _ := seekBackwards(dayCursor, append(day(to), 0)); name != nil && bytes.Compare(name, first) >= 0; name, _ = dayCursor.Prev() {
			cursor := days.Bucket(name).Cursor()
			for key, record := seekBackwards(cursor, end); key != nil && bytes.Compare(key, least) >= 0; key, record = cursor.Prev() {
				if !yield(string(key[len(prefix):]), record) {
					return
				}
			}
		}
	}
}

// seekBackwards moves to the last key that is less than end.
func seekBackwards(cursor *bbolt.Cursor, end []byte) (key, value []byte) {
	if key, _ := cursor.Seek(end); key == nil {
		return cursor.Last()
	}
	return cursor.Prev()
}

func putVerificationStateOnViolation(s *Service, r *request) (any, error) {
	id := r.name("violationId")
	if err := checkViolationID("violationId", id); err != nil {
		return nil, err
	}
	var in struct {
		State       string `json:"verificationState"`
		Description string `json:"verificationStateDescription"`
	}
	if err := r.decode(&in); err != nil {
		return nil, err
	}
	switch {
	case in.State == "":
		return nil, missing("verificationState")
	case utf8.RuneCountInString(in.Description) > 1000 || strings.ContainsFunc(in.Description, unicode.IsControl):
		return nil, constraint("verificationStateDescription", in.Description, `Member must have length less than or equal to 1000 and satisfy regular expression pattern: [^\p{Cntrl}]*`)
	}
	if err := checkOneOf("verificationState", in.State, verificationStates...); err != nil {
		return nil, err
	}
	return struct{}{}, s.write(func(tx *bbolt.Tx) error {
		v, err := get[storedViolation](tx, bucketViolations, id)
		if err != nil {
			return err
		}
		if v == nil { // the operation has no other error for it
			return invalidRequest(fmt.Sprintf("Violation %s does not exist", id))
		}
		v.Verification, v.Description = in.State, in.Description
		return put(tx, bucketViolations, id, v)
	})
}

var violationQuery = []string{"thingName", "securityProfileName", "behaviorCriteriaType", "listSuppressedAlerts", "verificationState"}

var violationOperations = []operation{
	{name: "ListActiveViolations", method: "GET", path: "/active-violations", handle: listActiveViolations, tps: 10, page: 250, query: violationQuery},
	{name: "ListViolationEvents", method: "GET", path: "/violation-events", handle: listViolationEvents, tps: 10, page: 250, query: append([]string{"startTime", "endTime"}, violationQuery...)},
	{name: "PutVerificationStateOnViolation", method: "POST", path: "/violations/verification-state/{violationId}", handle: putVerificationStateOnViolation, tps: 10},
	{name: "ListMetricValues", method: "GET", path: "/metric-values", handle: listMetricValues, tps: 15, page: 250, query: []string{"thingName", "metricName", "dimensionName", "dimensionValueOperator", "startTime", "endTime"}},
	{name: "GetBehaviorModelTrainingSummaries", method: "GET", path: "/behavior-model-training/summaries", handle: getBehaviorModelTrainingSummaries, tps: 10, page: 10, query: []string{"securityProfileName"}},
	// Ours, not AWS's: reports for tests and from gateways, over HTTP.
	{name: "report", method: "POST", path: "/things/{thingName}/defender/metrics/{format}", handle: postReport, contentTypes: []string{"application/json", "application/cbor"}},
}
