package service

import (
	"context"
	"errors"
	"iter"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/device-defender/device-defender/internal/defender/finding"
	"github.com/device-defender/device-defender/internal/defender/profile"
	"github.com/device-defender/device-defender/internal/defender/store"
	"github.com/device-defender/device-defender/internal/defender/store/chunk"
)

// Profiles returns all security profiles with the short names of their targets,
// without tags.
func (s *Service) Profiles(ctx context.Context) (list []profile.Profile, err error) {
	err = s.show(ctx, func(view *store.Reader) error {
		list = nil
		for stored, err := range tableProfiles.Scan(view, store.Range{}) {
			if err != nil {
				return err
			}
			p := stored.Value.Document
			if p.Targets, err = shortTargets(view, p.Name); err != nil {
				return err
			}
			list = append(list, p)
		}
		return nil
	})
	return list, err
}

// Profile returns a security profile with the short names of its targets and its
// tags, and its version.
func (s *Service) Profile(ctx context.Context, name string) (p *profile.Profile, version int64, err error) {
	err = s.show(ctx, func(view *store.Reader) error {
		stored, err := getProfile(view, name)
		if err != nil {
			return err
		}
		p, version = &stored.Document, stored.Version
		if p.Targets, err = shortTargets(view, name); err != nil {
			return err
		}
		tags, _, err := tableTags.Get(view, s.profileARN(name))
		p.Tags = plainTags(tags)
		slices.SortFunc(p.Tags, func(a, b profile.Tag) int { return strings.Compare(a.Key, b.Key) })
		return err
	})
	return p, version, err
}

func targetsOf(view *store.Reader, name string) (targets []profile.Target, err error) {
	for arn, err := range tableTargets.keysAfter(view, name+"\x00", "") {
		if err != nil {
			return nil, err
		}
		target, err := profile.ParseTarget(arn)
		if err != nil {
			return nil, err
		}
		targets = append(targets, target)
	}
	return targets, nil
}

func shortTargets(view *store.Reader, name string) (short []string, err error) {
	targets, err := targetsOf(view, name)
	for _, target := range targets {
		short = append(short, target.Short())
	}
	slices.Sort(short)
	return short, err
}

// Uses returns the metrics that a security profile uses and retains.
func (s *Service) Uses(ctx context.Context, name string) (uses []profile.Use, err error) {
	err = s.show(ctx, func(view *store.Reader) error {
		stored, err := getProfile(view, name)
		if err == nil {
			uses = stored.Document.Uses()
		}
		return err
	})
	return uses, err
}

// ThingsOf returns the registered things that a security profile is for; it ends
// at one more than most.
func (s *Service) ThingsOf(ctx context.Context, name string, most int) (things []string, err error) {
	err = s.show(ctx, func(view *store.Reader) error {
		if _, err := getProfile(view, name); err != nil {
			return err
		}
		found := map[string]bool{}
		add := func(names iter.Seq2[string, error]) error {
			for thing, err := range names {
				if err != nil || len(found) > most {
					return err
				}
				found[thing] = true
			}
			return nil
		}
		targets, err := targetsOf(view, name)
		if err != nil {
			return err
		}
		for _, target := range targets {
			switch target.Kind {
			case profile.ThingGroup:
				groups, err := groupsBelow(view, target.Group)
				if err != nil {
					return err
				}
				groups[target.Group] = ""
				for group := range groups {
					if err := add(tableMembers.keysAfter(view, group+"\x00", "")); err != nil {
						return err
					}
				}
			case profile.AllThings, profile.AllRegistered:
				if err := add(tableThings.keysAfter(view, "", "")); err != nil {
					return err
				}
			}
		}
		things = slices.Sorted(maps.Keys(found))
		return nil
	})
	return things, err
}

// Metric returns what is known of a metric; the error is a
// [finding.UnknownMetricError] when there is none of that name.
func (s *Service) Metric(ctx context.Context, name string) (m profile.Metric, err error) {
	err = s.show(ctx, func(view *store.Reader) error {
		m, _, err = metricOf(view, name)
		return err
	})
	return m, err
}

// metricOf returns a metric, and since when there is this one.
func metricOf(view *store.Reader, name string) (m profile.Metric, since time.Time, err error) {
	unknown := &finding.UnknownMetricError{Name: name}
	known := false
	if profile.IsAWS(name) {
		m, known = profile.FindMetric(name)
	} else {
		stored, err := tableMetrics.find(view, name)
		switch {
		case err != nil:
			return m, since, err
		case stored != nil:
			m, known = profile.CustomMetricOf(name, stored.Type)
			since, unknown.Type = stored.Created, stored.Type
		}
	}
	if !known {
		return m, since, unknown
	}
	return m, since, nil
}

// MetricValues returns what is kept of a metric of a thing in the period.
func (s *Service) MetricValues(ctx context.Context, thing string, metric profile.Metric, dimension *profile.MetricDimension, from, to time.Time) (*finding.MetricValues, error) {
	list, err := s.Values(ctx, thing, []profile.MetricRef{profile.RefOf(metric.Name, dimension)}, from, to)
	if err != nil {
		return nil, err
	}
	if len(list) == 0 { // it was deleted
		return nil, &finding.UnknownMetricError{Name: metric.Name}
	}
	return list[0], nil
}

// Values returns what is kept of several metrics of a thing in the period. Those
// that do not exist are left out.
func (s *Service) Values(ctx context.Context, thing string, metrics []profile.MetricRef, from, to time.Time) (list []*finding.MetricValues, err error) {
	from = later(from, s.now().Add(-keepValues))
	err = s.show(ctx, func(view *store.Reader) error {
		if known, err := thingKnown(view, thing); err != nil {
			return err
		} else if !known {
			return finding.NotFound("Thing " + thing + " does not exist and has not reported")
		}
		list = nil
		since := map[*finding.MetricValues]time.Time{}
		wanted := map[chunk.Series]*finding.MetricValues{}
		for _, ref := range metrics {
			m, created, err := metricOf(view, ref.Name)
			if _, unknown := errors.AsType[*finding.UnknownMetricError](err); unknown {
				continue
			}
			if err != nil {
				return err
			}
			values := &finding.MetricValues{Metric: m, Dimension: ref.MetricDimension()}
			list = append(list, values)
			// One that was deleted took its values with it.
			since[values] = created
			wanted[chunk.Series{Metric: ref.Name, Dimension: ref.Dimension, NotIn: ref.NotIn}] = values
		}
		for sample, err := range samplesBackwards(view, thing, from, to) {
			if err != nil {
				return err
			}
			at := millisecondTime(sample.Time)
			for i, series := range sample.Series {
				values := wanted[series]
				if values == nil || at.Before(since[values]) {
					continue
				}
				// Of those of one millisecond the first replaced the others.
				if n := len(values.Values); n > 0 && values.Values[n-1].Time.Equal(at) {
					continue
				}
				value, cut := unpacked(&sample.Values[i])
				values.Values = append(values.Values, finding.TimedValue{Time: at, Value: value, Cut: cut})
			}
		}
		for _, values := range list {
			slices.Reverse(values.Values)
		}
		return nil
	})
	return list, err
}
