package cloud

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iot"
	"github.com/aws/aws-sdk-go-v2/service/iot/types"

	"github.com/device-defender/device-defender/internal/defender/profile"
	"github.com/device-defender/device-defender/internal/spelling"
)

// MetricValues are the values of one metric of one thing.
type MetricValues struct {
	Metric    profile.Metric
	Dimension *profile.MetricDimension // nil is none
	Values    []TimedValue             // in order of time
}

// Ref returns which metric they are of.
func (v *MetricValues) Ref() profile.MetricRef {
	return profile.RefOf(v.Metric.Name, v.Dimension)
}

// TimedValue is one value.
type TimedValue struct {
	Time  time.Time
	Value profile.Value
	Cut   *profile.Cut // of a list that does not have all entries; AWS does not tell
}

// MetricValues reads the values of a period. AWS has values of metrics that a
// profile attached to the thing uses or retains, for 14 days, and none of
// others.
func (c *Client) MetricValues(ctx context.Context, thing string, metric profile.Metric, dimension *profile.MetricDimension, from, to time.Time) (*MetricValues, error) {
	input := &iot.ListMetricValuesInput{
		ThingName: aws.String(thing), MetricName: aws.String(metric.Name),
		StartTime: aws.Time(from), EndTime: aws.Time(to), MaxResults: aws.Int32(maxResults),
	}
	if dimension != nil {
		input.DimensionName = aws.String(dimension.DimensionName)
		input.DimensionValueOperator = types.DimensionValueOperator(cmp.Or(dimension.Operator, "IN"))
	}
	result := &MetricValues{Metric: metric, Dimension: dimension}
	var cuts cutReader
	pages := iot.NewListMetricValuesPaginator(c.IoT, input)
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx, cuts.add)
		if err != nil {
			return nil, c.failed("list values of "+metric.Name+" of thing "+thing, err)
		}
		for i, d := range page.MetricDatumList {
			if v := valueOf(d.Value); v != nil {
				result.Values = append(result.Values, TimedValue{Time: aws.ToTime(d.Timestamp), Value: *v, Cut: cuts.of(i)})
			}
		}
	}
	// AWS does not say in which order they come.
	slices.SortStableFunc(result.Values, func(a, b TimedValue) int { return a.Time.Compare(b.Time) })
	return result, nil
}

// Metric returns what is known of a metric: of a custom one, its type is asked
// for.
func (c *Client) Metric(ctx context.Context, name string) (profile.Metric, error) {
	if profile.IsAWS(name) {
		if m, ok := profile.FindMetric(name); ok {
			return m, nil
		}
		return profile.Metric{}, &UnknownMetricError{Name: name}
	}
	out, err := c.IoT.DescribeCustomMetric(ctx, &iot.DescribeCustomMetricInput{MetricName: aws.String(name)})
	if _, ok := errors.AsType[*types.ResourceNotFoundException](err); ok {
		return profile.Metric{}, &UnknownMetricError{Name: name}
	}
	if err != nil {
		return profile.Metric{}, c.failed("describe custom metric "+name, err)
	}
	m, ok := profile.CustomMetricOf(name, string(out.MetricType))
	if !ok {
		return profile.Metric{}, &UnknownMetricError{Name: name, Type: string(out.MetricType)}
	}
	return m, nil
}

// UnknownMetricError says that there is no such metric, or that it is of a
// type that this program does not know.
type UnknownMetricError struct{ Name, Type string }

func (e *UnknownMetricError) Error() string {
	switch {
	case e.Type != "":
		return "custom metric " + e.Name + " has the unknown type " + e.Type
	case profile.IsAWS(e.Name):
		return "no metric is called " + e.Name + "; want " + spelling.Suggest(e.Name, profile.MetricNames())
	}
	return "no custom metric is called " + e.Name
}
