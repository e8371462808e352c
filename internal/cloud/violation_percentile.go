package cloud

import (
	"context"
	"fmt"
	"maps"
	"math"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iot"

	"github.com/device-defender/device-defender/internal/defender/finding"
	"github.com/device-defender/device-defender/internal/defender/profile"
)

// Percentile is an estimate of what a statistical threshold was when the alarm
// began. AWS does not tell.
type Percentile struct {
	Statistic  string
	Value      float64
	Datapoints int // that it's the percentile of
}

// How much of the past an estimate takes: the latest windows before the alarm
// until there are enough datapoints, and no estimate of fewer than the least.
const (
	enoughDatapoints = 100
	leastDatapoints  = 10
)

// EstimatePercentile reads the metric of the profile's things, of at most so
// many, and takes the percentile of what they measured before the alarm, in
// windows of the behavior's duration. The violation's own thing counts only if
// the others have not enough. It is nil, with a reason, when there are more
// things or too few values. Other things that are not registered are not known.
func EstimatePercentile(ctx context.Context, from Source, s *Surroundings, most int) (*Percentile, string, error) {
	v := s.Violation
	if v.Behavior.Criteria == nil || v.Behavior.Criteria.StatisticalThreshold == nil || v.Started.IsZero() {
		return nil, "", nil
	}
	statistic := v.Behavior.Criteria.StatisticalThreshold.Statistic
	percent, ok := profile.StatisticPercent(statistic)
	if !ok {
		return nil, "", nil
	}
	things, err := from.ThingsOf(ctx, v.Profile, most)
	if isNotFound(err) {
		return nil, "what " + statistic + " was cannot be estimated: security profile " + v.Profile + " is gone", nil
	}
	if err != nil {
		return nil, "", err
	}
	if !slices.Contains(things, v.Thing) {
		things = append(things, v.Thing)
		slices.Sort(things)
	}
	if len(things) > most {
		return nil, fmt.Sprintf("what %s was is not estimated: the profile is for more than %d things", statistic, most), nil
	}
	window := windowOf(v.Behavior)
	end := v.Started.Truncate(window)
	var others, all []datapoint
	for _, thing := range things {
		values, err := from.MetricValues(ctx, thing, s.Metric, v.Behavior.MetricDimension, s.From, end)
		if isNotFound(err) {
			continue
		}
		if err != nil {
			return nil, "", err
		}
		points := accumulated(values, window, end)
		all = append(all, points...)
		if thing != v.Thing {
			others = append(others, points...)
		}
	}
	if len(others) >= leastDatapoints {
		all = others
	}
	if len(all) < leastDatapoints {
		return nil, fmt.Sprintf("what %s was cannot be estimated: %d values of the time before", statistic, len(all)), nil
	}
	latest := latestWindows(all)
	rank := int(math.Ceil(percent / 100 * float64(len(latest))))
	return &Percentile{Statistic: statistic, Value: latest[max(rank, 1)-1], Datapoints: len(latest)}, "", nil
}

// datapoint is what a thing measured in a window.
type datapoint struct {
	window time.Time // its beginning
	value  float64
}

// latestWindows are the values of the latest windows that together have enough
// datapoints, sorted.
func latestWindows(points []datapoint) []float64 {
	slices.SortFunc(points, func(a, b datapoint) int { return b.window.Compare(a.window) })
	var values []float64
	for i, p := range points {
		if i >= enoughDatapoints && !p.window.Equal(points[i-1].window) {
			break
		}
		values = append(values, p.value)
	}
	slices.Sort(values)
	return values
}

// accumulated are a thing's datapoints: in each window before the end the sum
// of what adds up, or the largest of what doesn't.
func accumulated(values *finding.MetricValues, window time.Duration, end time.Time) (points []datapoint) {
	for _, v := range values.Values {
		n, ok := v.Value.Scalar()
		if !ok || !v.Time.Before(end) {
			continue
		}
		at := v.Time.Truncate(window)
		last := len(points) - 1
		switch {
		case last < 0 || !points[last].window.Equal(at):
			points = append(points, datapoint{at, n})
		case values.Metric.Delta:
			points[last].value += n
		default:
			points[last].value = max(points[last].value, n)
		}
	}
	return points
}

// Uses returns the metrics that a security profile uses and retains.
func (c *Client) Uses(ctx context.Context, name string) ([]profile.Use, error) {
	p, err := c.describeProfile(ctx, name)
	if err != nil {
		return nil, err
	}
	return p.Uses(), nil
}

// ThingsOf returns the registered things that a security profile is for; it ends
// at one more than most.
func (c *Client) ThingsOf(ctx context.Context, name string, most int) ([]string, error) {
	found := map[string]bool{}
	targets, err := c.targets(ctx, name)
	if err != nil {
		return nil, err
	}
	for _, arn := range targets {
		target, err := profile.ParseTarget(arn)
		if err != nil {
			continue // of a kind that is not known
		}
		if err := c.addThings(ctx, found, target, most); err != nil {
			return nil, err
		}
	}
	return slices.Sorted(maps.Keys(found)), nil
}

// addThings adds the registered things of a target.
func (c *Client) addThings(ctx context.Context, found map[string]bool, target profile.Target, most int) error {
	switch target.Kind {
	case profile.ThingGroup:
		pages := iot.NewListThingsInThingGroupPaginator(c.IoT, &iot.ListThingsInThingGroupInput{ThingGroupName: aws.String(target.Group), Recursive: true, MaxResults: aws.Int32(maxResults)})
		for pages.HasMorePages() && len(found) <= most {
			page, err := pages.NextPage(ctx)
			if err != nil {
				return c.failed("list the things of group "+target.Group, err)
			}
			for _, name := range page.Things {
				found[name] = true
			}
		}
	case profile.AllThings, profile.AllRegistered:
		for name, err := range c.Things(ctx) {
			if err != nil {
				return err
			}
			found[name] = true
			if len(found) > most {
				break
			}
		}
	}
	return nil
}
