package cloud

import (
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iot"
	"github.com/aws/aws-sdk-go-v2/service/iot/types"

	"github.com/device-defender/device-defender/internal/defender/profile"
)

// The SDK's shapes and the documents' are the same but for their types. The
// conversions keep nil and empty lists apart, as the API does: nil is absent.

func valueOf(v *types.MetricValue) *profile.Value {
	if v == nil {
		return nil
	}
	return &profile.Value{Count: v.Count, CIDRs: v.Cidrs, Ports: v.Ports, Number: v.Number, Numbers: v.Numbers, Strings: v.Strings}
}

func valueTo(v *profile.Value) *types.MetricValue {
	if v == nil {
		return nil
	}
	return &types.MetricValue{Count: v.Count, Cidrs: v.CIDRs, Ports: v.Ports, Number: v.Number, Numbers: v.Numbers, Strings: v.Strings}
}

func dimensionOf(d *types.MetricDimension) *profile.MetricDimension {
	if d == nil {
		return nil
	}
	return &profile.MetricDimension{DimensionName: aws.ToString(d.DimensionName), Operator: string(d.Operator)}
}

func dimensionTo(d *profile.MetricDimension) *types.MetricDimension {
	if d == nil {
		return nil
	}
	return &types.MetricDimension{DimensionName: aws.String(d.DimensionName), Operator: types.DimensionValueOperator(d.Operator)}
}

// behaviorOf returns the zero Behavior for nil.
func behaviorOf(b *types.Behavior) profile.Behavior {
	if b == nil {
		return profile.Behavior{}
	}
	return profile.Behavior{
		Name: aws.ToString(b.Name), Metric: aws.ToString(b.Metric), MetricDimension: dimensionOf(b.MetricDimension),
		Criteria: criteriaOf(b.Criteria), SuppressAlerts: b.SuppressAlerts, ExportMetric: b.ExportMetric,
	}
}

func behaviorTo(b profile.Behavior) types.Behavior {
	return types.Behavior{
		Name: aws.String(b.Name), Metric: optional(b.Metric), MetricDimension: dimensionTo(b.MetricDimension),
		Criteria: criteriaTo(b.Criteria), SuppressAlerts: b.SuppressAlerts, ExportMetric: b.ExportMetric,
	}
}

func criteriaOf(c *types.BehaviorCriteria) *profile.Criteria {
	if c == nil {
		return nil
	}
	out := &profile.Criteria{
		ComparisonOperator: profile.Operator(c.ComparisonOperator), Value: valueOf(c.Value), DurationSeconds: c.DurationSeconds,
		ConsecutiveDatapointsToAlarm: c.ConsecutiveDatapointsToAlarm, ConsecutiveDatapointsToClear: c.ConsecutiveDatapointsToClear,
	}
	if c.MlDetectionConfig != nil {
		out.MLDetectionConfig = &profile.MLDetectionConfig{ConfidenceLevel: string(c.MlDetectionConfig.ConfidenceLevel)}
	}
	if c.StatisticalThreshold != nil {
		out.StatisticalThreshold = &profile.StatisticalThreshold{Statistic: aws.ToString(c.StatisticalThreshold.Statistic)}
	}
	return out
}

func criteriaTo(c *profile.Criteria) *types.BehaviorCriteria {
	if c == nil {
		return nil
	}
	out := &types.BehaviorCriteria{
		ComparisonOperator: types.ComparisonOperator(c.ComparisonOperator), Value: valueTo(c.Value), DurationSeconds: c.DurationSeconds,
		ConsecutiveDatapointsToAlarm: c.ConsecutiveDatapointsToAlarm, ConsecutiveDatapointsToClear: c.ConsecutiveDatapointsToClear,
	}
	if c.MLDetectionConfig != nil {
		out.MlDetectionConfig = &types.MachineLearningDetectionConfig{ConfidenceLevel: types.ConfidenceLevel(c.MLDetectionConfig.ConfidenceLevel)}
	}
	if c.StatisticalThreshold != nil {
		out.StatisticalThreshold = &types.StatisticalThreshold{Statistic: optional(c.StatisticalThreshold.Statistic)}
	}
	return out
}

func retainedOf(m types.MetricToRetain) profile.MetricToRetain {
	return profile.MetricToRetain{Metric: aws.ToString(m.Metric), MetricDimension: dimensionOf(m.MetricDimension), ExportMetric: m.ExportMetric}
}

func retainedTo(m profile.MetricToRetain) types.MetricToRetain {
	return types.MetricToRetain{Metric: aws.String(m.Metric), MetricDimension: dimensionTo(m.MetricDimension), ExportMetric: m.ExportMetric}
}

func alertTargetsOf(targets map[string]types.AlertTarget) map[string]profile.AlertTarget {
	var out map[string]profile.AlertTarget
	for kind, t := range targets {
		if out == nil {
			out = map[string]profile.AlertTarget{}
		}
		out[kind] = profile.AlertTarget{AlertTargetARN: aws.ToString(t.AlertTargetArn), RoleARN: aws.ToString(t.RoleArn)}
	}
	return out
}

func alertTargetsTo(targets map[string]profile.AlertTarget) map[string]types.AlertTarget {
	var out map[string]types.AlertTarget
	for kind, t := range targets {
		if out == nil {
			out = map[string]types.AlertTarget{}
		}
		out[kind] = types.AlertTarget{AlertTargetArn: aws.String(t.AlertTargetARN), RoleArn: aws.String(t.RoleARN)}
	}
	return out
}

func exportConfigOf(m *types.MetricsExportConfig) *profile.MetricsExportConfig {
	if m == nil {
		return nil
	}
	return &profile.MetricsExportConfig{MQTTTopic: aws.ToString(m.MqttTopic), RoleARN: aws.ToString(m.RoleArn)}
}

func exportConfigTo(m *profile.MetricsExportConfig) *types.MetricsExportConfig {
	if m == nil {
		return nil
	}
	return &types.MetricsExportConfig{MqttTopic: aws.String(m.MQTTTopic), RoleArn: aws.String(m.RoleARN)}
}

// tagsOf leaves out AWS's own tags, as aws:cloudformation:stack-name: nobody
// else can set them or take them away.
func tagsOf(tags []types.Tag) []profile.Tag {
	var out []profile.Tag
	for _, t := range tags {
		if !strings.HasPrefix(aws.ToString(t.Key), "aws:") {
			out = append(out, profile.Tag{Key: aws.ToString(t.Key), Value: aws.ToString(t.Value)})
		}
	}
	slices.SortFunc(out, func(a, b profile.Tag) int { return strings.Compare(a.Key, b.Key) })
	return out
}

func tagsTo(tags []profile.Tag) []types.Tag {
	return mapped(tags, func(t profile.Tag) types.Tag { return types.Tag{Key: aws.String(t.Key), Value: aws.String(t.Value)} })
}

// profileOf returns the document of a profile: without tags and targets, which
// are asked for by themselves.
func profileOf(d *iot.DescribeSecurityProfileOutput) profile.Profile {
	return profile.Profile{
		Name: aws.ToString(d.SecurityProfileName), Description: aws.ToString(d.SecurityProfileDescription),
		Behaviors:    mapped(d.Behaviors, func(b types.Behavior) profile.Behavior { return behaviorOf(&b) }),
		AlertTargets: alertTargetsOf(d.AlertTargets),
		//lint:ignore SA1019 profiles have it all the same
		AdditionalMetricsToRetain:   emptyIsNil(d.AdditionalMetricsToRetain),
		AdditionalMetricsToRetainV2: mapped(d.AdditionalMetricsToRetainV2, retainedOf),
		MetricsExportConfig:         exportConfigOf(d.MetricsExportConfig),
	}
}

// mapped returns nil for an empty list.
func mapped[T, U any](list []T, of func(T) U) []U {
	var out []U
	for _, e := range list {
		out = append(out, of(e))
	}
	return out
}

func emptyIsNil[T any](list []T) []T {
	if len(list) == 0 {
		return nil
	}
	return list
}
