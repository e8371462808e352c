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

	"github.com/device-defender/device-defender/internal/defender/finding"
	"github.com/device-defender/device-defender/internal/defender/profile"
)

// MetricValues reads the values of a period. AWS has values of metrics that a
// profile attached to the thing uses or retains, for 14 days, and none of
// others.
func (c *Client) MetricValues(ctx context.Context, thing string, metric profile.Metric, dimension *profile.MetricDimension, from, to time.Time) (*finding.MetricValues, error) {
	input := &iot.ListMetricValuesInput{
		ThingName: aws.String(thing), MetricName: aws.String(metric.Name),
		StartTime: aws.Time(from), EndTime: aws.Time(to), MaxResults: aws.Int32(maxResults),
	}
	if dimension != nil {
		input.DimensionName = aws.String(dimension.DimensionName)
		input.DimensionValueOperator = types.DimensionValueOperator(cmp.Or(dimension.Operator, "IN"))
	}
	result := &finding.MetricValues{Metric: metric, Dimension: dimension}
	var cuts cutReader
	pages := iot.NewListMetricValuesPaginator(c.IoT, input)
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx, cuts.add)
		if err != nil {
			return nil, c.failed("list values of "+metric.Name+" of thing "+thing, err)
		}
		for i, d := range page.MetricDatumList {
			if v := valueOf(d.Value); v != nil {
				result.Values = append(result.Values, finding.TimedValue{Time: aws.ToTime(d.Timestamp), Value: *v, Cut: cuts.of(i)})
			}
		}
	}
	// AWS does not say in which order they come.
	slices.SortStableFunc(result.Values, func(a, b finding.TimedValue) int { return a.Time.Compare(b.Time) })
	return result, nil
}

// Metric returns what is known of a metric: of a custom one, its type is asked
// for.
func (c *Client) Metric(ctx context.Context, name string) (profile.Metric, error) {
	if profile.IsAWS(name) {
		if m, ok := profile.FindMetric(name); ok {
			return m, nil
		}
		return profile.Metric{}, &finding.UnknownMetricError{Name: name}
	}
	out, err := c.IoT.DescribeCustomMetric(ctx, &iot.DescribeCustomMetricInput{MetricName: aws.String(name)})
	if _, ok := errors.AsType[*types.ResourceNotFoundException](err); ok {
		return profile.Metric{}, &finding.UnknownMetricError{Name: name}
	}
	if err != nil {
		return profile.Metric{}, c.failed("describe custom metric "+name, err)
	}
	m, ok := profile.CustomMetricOf(name, string(out.MetricType))
	if !ok {
		return profile.Metric{}, &finding.UnknownMetricError{Name: name, Type: string(out.MetricType)}
	}
	return m, nil
}
