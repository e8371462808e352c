// Package profile holds AWS IoT Device Defender Detect's documents: security
// profiles and the custom metrics, dimensions and mitigation actions around
// them. It reads, checks, compares and writes them, and puts them in words. It
// does no I/O but [Load]'s.
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
// # Documents and files
//
// A document is exactly what --cli-input-json of the AWS CLI's create command
// takes, in JSON or YAML. A profile may have two keys more: targets, what it's
// attached to, and lint, which rules not to apply. [Parse] and [Load] make a
// [Set] of files; they are strict, as a misspelt key is a behavior that does
// nothing, and find all faults at once. What is read is then held to AWS's
// grammar by [Set.Validate], which says where each fault is; a single document
// from elsewhere by its Check. Both find only what AWS would refuse or what
// would do nothing; what is allowed but probably not meant is for the linter.
package profile
