package cloud

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/iot/types"

	"github.com/device-defender/device-defender/internal/defender/finding"
	"github.com/device-defender/device-defender/internal/defender/profile"
)

// Surroundings are a violation and what was measured around it.
type Surroundings struct {
	Violation *finding.Violation
	Metric    profile.Metric        // of the behavior
	From, To  time.Time             // the period that was read
	Values    *finding.MetricValues // of the behavior's metric
	// Context are the other metrics that have values: those that the profile
	// uses or retains, then the counters beside them.
	Context []*finding.MetricValues
	// NewSince is when the violation began to show: what a set metric reports
	// from then on, and no report had before, is new. Zero when the start is
	// not known.
	NewSince time.Time
	Notes    []string // what a reader must know of what is missing
}

// counters are the device-side metrics that explain one another. They are kept
// only if a profile of the thing uses or retains them, and asked for in case
// one does.
var counters = []string{
	"aws:destination-ip-addresses", "aws:all-packets-out", "aws:all-bytes-out", "aws:all-packets-in", "aws:all-bytes-in",
	"aws:num-established-tcp-connections", "aws:listening-tcp-ports", "aws:listening-udp-ports",
}

// Source is what [Around] and [EstimatePercentile] ask: a [Client], or the service
// in the same process.
type Source interface {
	// Metric returns what is known of a metric; the error may be a
	// [finding.UnknownMetricError].
	Metric(ctx context.Context, name string) (profile.Metric, error)
	MetricValues(ctx context.Context, thing string, metric profile.Metric, dimension *profile.MetricDimension, from, to time.Time) (*finding.MetricValues, error)
	// Uses returns the metrics that a security profile uses and retains.
	Uses(ctx context.Context, profile string) ([]profile.Use, error)
	// ThingsOf returns the registered things that a security profile is for. It
	// may end at one more than most.
	ThingsOf(ctx context.Context, profile string, most int) ([]string, error)
}

// Around reads what was measured before, during and after a violation: three
// hours or 36 windows on each side, as far as values are kept at the time now.
func Around(ctx context.Context, from Source, v *finding.Violation, now time.Time) (*Surroundings, error) {
	s := &Surroundings{Violation: v}
	var err error
	if s.Metric, err = from.Metric(ctx, v.Behavior.Metric); err != nil {
		if _, ok := errors.AsType[*finding.UnknownMetricError](err); !ok {
			return nil, err
		}
		s.Metric = profile.Metric{Name: v.Behavior.Metric, Title: v.Behavior.Metric}
		s.Notes = append(s.Notes, err.Error())
	}
	if s.period(now); !s.From.Before(s.To) {
		s.Notes = append(s.Notes, "the violation is older than the 14 days for which values are kept")
		s.Values = &finding.MetricValues{Metric: s.Metric}
		return s, nil
	}
	if s.Values, err = from.MetricValues(ctx, v.Thing, s.Metric, v.Behavior.MetricDimension, s.From, s.To); err != nil {
		if !isNotFound(err) {
			return nil, err
		}
		s.Values = &finding.MetricValues{Metric: s.Metric}
		s.Notes = append(s.Notes, "no values are kept of thing "+v.Thing)
		return s, nil
	}
	s.divide()
	return s, s.readContext(ctx, from)
}

// windowOf is the behavior's duration, or the time between two reports.
func windowOf(b profile.Behavior) time.Duration {
	return cmp.Or(b.Criteria.Duration(), reportInterval)
}

// reportInterval is the least time between two reports of a thing, and what
// the agent does unless told otherwise.
const reportInterval = 5 * time.Minute

// period sets what to read: the margin around the violation's known times.
func (s *Surroundings) period(now time.Time) {
	v := s.Violation
	margin := max(3*time.Hour, 36*windowOf(v.Behavior))
	first, last := v.Started, v.Ended
	if first.IsZero() {
		first = v.LastSeen
	}
	if len(v.Events) > 0 && first.IsZero() {
		first = v.Events[0].Time
	}
	if last.IsZero() { // it goes on
		last = now
	}
	s.From, s.To = first.Add(-margin), last.Add(margin)
	if kept := now.Add(-finding.ValueRetention); s.From.Before(kept) {
		s.From = kept
	}
	if s.To.After(now) {
		s.To = now
	}
}

// divide finds where the time before the violation ends. The datapoints that
// made the alarm measured as many windows before its start as were needed in a
// row; with the report at the beginning of those, in which a connection may
// already show, the violation begins. Reports may be half an interval late.
func (s *Surroundings) divide() {
	v := s.Violation
	if v.Started.IsZero() {
		return
	}
	needed, _ := v.Behavior.Criteria.Datapoints()
	s.NewSince = v.Started.Add(-time.Duration(needed)*windowOf(v.Behavior) - reportInterval/2)
	for _, value := range s.Values.Values {
		if !value.Time.Before(s.NewSince) {
			s.NewSince = value.Time
			break
		}
	}
}

// readContext reads the other metrics of the profile and the counters. Those
// without values are left out.
func (s *Surroundings) readContext(ctx context.Context, from Source) error {
	v := s.Violation
	read := map[profile.MetricRef]bool{v.Behavior.Ref(): true}
	wanted, err := s.contextMetrics(ctx, from)
	if err != nil {
		return err
	}
	for _, w := range wanted {
		if read[w] {
			continue
		}
		read[w] = true
		metric, err := from.Metric(ctx, w.Name)
		if _, ok := errors.AsType[*finding.UnknownMetricError](err); ok {
			continue
		}
		if err != nil {
			return err
		}
		values, err := from.MetricValues(ctx, v.Thing, metric, w.MetricDimension(), s.From, s.To)
		if isNotFound(err) || isInvalid(err) {
			continue // the dimension is gone, or AWS does not keep this metric of this thing
		}
		if err != nil {
			return err
		}
		if len(values.Values) > 0 {
			s.Context = append(s.Context, values)
		}
	}
	return nil
}

// contextMetrics are what the profile retains and uses, and the counters.
func (s *Surroundings) contextMetrics(ctx context.Context, from Source) ([]profile.MetricRef, error) {
	var retained, used []profile.MetricRef
	uses, err := from.Uses(ctx, s.Violation.Profile)
	switch {
	case isNotFound(err):
		s.Notes = append(s.Notes, "security profile "+s.Violation.Profile+" is gone")
	case err != nil:
		return nil, err
	default:
		for _, u := range uses {
			if u.Behavior == nil {
				retained = append(retained, u.MetricRef)
			} else {
				used = append(used, u.MetricRef)
			}
		}
	}
	wanted := slices.Concat(retained, used)
	for _, m := range counters {
		wanted = append(wanted, profile.MetricRef{Name: m})
	}
	return wanted, nil
}

// isNotFound reports whether there is no such thing, profile, metric or dimension.
func isNotFound(err error) bool {
	var notFound *types.ResourceNotFoundException
	return errors.As(err, &notFound) || errors.Is(err, finding.ErrNotFound)
}

// isInvalid reports whether AWS does not take a request.
func isInvalid(err error) bool {
	var invalid *types.InvalidRequestException
	return errors.As(err, &invalid)
}
