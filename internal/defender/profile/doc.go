// Package profile says what AWS IoT Device Defender Detect's documents mean:
// security profiles and the custom metrics, dimensions and mitigation actions
// around them. It checks them and puts them in words, and has the one answer to
// each question that others ask of them. It is pure, and small: package
// profilefile reads and writes files.
//
// # The model
//
// A security [Profile] is a list of behaviors for the things of its targets. A
// [Behavior] states what is normal of one metric; an alarm is raised when it
// is not met. So "less-than-equals 5412" alarms above 5412, and the common
// mistake is the other way around: "greater-than", meant as what to alarm on.
//
// What is normal, a behavior's [Criteria] say in one of three ways:
//
//   - value, a fixed one: a number that measurements are compared with, or a
//     set (of ports, address ranges, texts, numbers) that they are inside or
//     outside of;
//   - statisticalThreshold, a percentile of what all reporting things measure
//     over the same duration;
//   - mlDetectionConfig, a model that AWS trains.
//
// A [Metric] decides which operators, which member of [Value], and whether a
// duration, a dimension and a model fit. There are ten that devices report and
// eight that AWS IoT counts, whose names begin with aws:; any other name is
// that of a [CustomMetric], whose registered type decides. A [Dimension]
// narrows a cloud-side metric to topics. A [MitigationAction] is what can be
// done about a violation.
//
// # The questions
//
// Which metric is it? A [MetricRef]: the name, and the dimension that narrows
// it. What does a profile use or retain? [Profile.Uses]. Is it for a thing?
// [Target.Matches]. Of what type is a [Value], and what is in it? Its Kind and
// its Elements. Is it normal, and which elements are not? A [Norm], compiled
// from criteria. Are two behaviors the same? When what [Behavior.Compile]
// returns is written alike.
//
// # Documents
//
// A document is exactly what --cli-input-json of the AWS CLI's create command
// takes. A profile may have two keys more: targets, what it's attached to, and
// lint, which rules not to apply. A document's Check holds it to AWS's grammar:
// it finds only what AWS would refuse or what would do nothing.
package profile
