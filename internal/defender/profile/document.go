package profile

// Profile is one security profile: the input of CreateSecurityProfile, and
// the things it is for. Behaviors state what is normal.
type Profile struct {
	Name                      string                 `json:"securityProfileName"`
	Description               string                 `json:"securityProfileDescription,omitempty"`
	Behaviors                 []Behavior             `json:"behaviors,omitempty"`
	AlertTargets              map[string]AlertTarget `json:"alertTargets,omitempty"` // the one key is SNS
	AdditionalMetricsToRetain []string               `json:"additionalMetricsToRetain,omitempty"`
	// AdditionalMetricsToRetainV2 replaces AdditionalMetricsToRetain, which AWS
	// deprecates.
	AdditionalMetricsToRetainV2 []MetricToRetain     `json:"additionalMetricsToRetainV2,omitempty"`
	MetricsExportConfig         *MetricsExportConfig `json:"metricsExportConfig,omitempty"`
	Tags                        []Tag                `json:"tags,omitempty"`
	// Targets is not part of AWS's document: what the profile is attached to,
	// as ARNs or short names (see ParseTarget). Nil says nothing about targets,
	// an empty list says there are none.
	Targets []string `json:"targets,omitzero"`
	// Lint is not part of AWS's document either: which rules not to apply.
	Lint *LintOptions `json:"lint,omitempty"`
}

// Behavior is one statement of what is normal for one metric.
type Behavior struct {
	Name            string           `json:"name"`
	Metric          string           `json:"metric,omitempty"`
	MetricDimension *MetricDimension `json:"metricDimension,omitempty"`
	Criteria        *Criteria        `json:"criteria,omitempty"`
	SuppressAlerts  *bool            `json:"suppressAlerts,omitempty"`
	ExportMetric    *bool            `json:"exportMetric,omitempty"`
}

// Suppressed reports whether alarms of the behavior are sent to nobody.
func (b *Behavior) Suppressed() bool { return b.SuppressAlerts != nil && *b.SuppressAlerts }

// MetricDimension narrows a cloud-side metric to the topics of a dimension.
type MetricDimension struct {
	DimensionName string `json:"dimensionName"`
	Operator      string `json:"operator,omitempty"` // IN (the default) or NOT_IN
}

// Criteria says what value of the metric is normal. Exactly one of Value,
// StatisticalThreshold and MLDetectionConfig is given.
type Criteria struct {
	ComparisonOperator           Operator              `json:"comparisonOperator,omitempty"`
	Value                        *Value                `json:"value,omitempty"`
	DurationSeconds              *int32                `json:"durationSeconds,omitempty"`
	ConsecutiveDatapointsToAlarm *int32                `json:"consecutiveDatapointsToAlarm,omitempty"`
	ConsecutiveDatapointsToClear *int32                `json:"consecutiveDatapointsToClear,omitempty"`
	MLDetectionConfig            *MLDetectionConfig    `json:"mlDetectionConfig,omitempty"`
	StatisticalThreshold         *StatisticalThreshold `json:"statisticalThreshold,omitempty"`
}

// MLDetectionConfig asks AWS for a model instead of a threshold.
type MLDetectionConfig struct {
	ConfidenceLevel string `json:"confidenceLevel"` // LOW, MEDIUM or HIGH
}

// StatisticalThreshold is a percentile of all reporting devices' measurements.
type StatisticalThreshold struct {
	Statistic string `json:"statistic,omitempty"` // p0 ... p99.99, p100
}

// Value is a metric's value: a measurement or the threshold for one. One
// member is set; which one, the metric decides. A nil list is absent, an
// empty one is an empty list.
type Value struct {
	Count   *int64    `json:"count,omitempty"`
	CIDRs   []string  `json:"cidrs,omitzero"`
	Ports   []int32   `json:"ports,omitzero"`
	Number  *float64  `json:"number,omitempty"`
	Numbers []float64 `json:"numbers,omitzero"`
	Strings []string  `json:"strings,omitzero"`
}

// AlertTarget is where alarms are sent.
type AlertTarget struct {
	AlertTargetARN string `json:"alertTargetArn"`
	RoleARN        string `json:"roleArn"`
}

// MetricToRetain is a metric whose values are kept though no behavior uses it.
type MetricToRetain struct {
	Metric          string           `json:"metric"`
	MetricDimension *MetricDimension `json:"metricDimension,omitempty"`
	ExportMetric    *bool            `json:"exportMetric,omitempty"`
}

// MetricsExportConfig is where values of exported metrics are published.
type MetricsExportConfig struct {
	MQTTTopic string `json:"mqttTopic"`
	RoleARN   string `json:"roleArn"`
}

// Tag is one tag of a resource. Its JSON keys are capitalised, as AWS IoT's.
type Tag struct {
	Key   string `json:"Key"`
	Value string `json:"Value,omitempty"`
}

// LintOptions silences lint rules where they are wrong.
type LintOptions struct {
	Ignore []LintIgnore `json:"ignore,omitempty"`
}

// LintIgnore silences one rule, in one behavior or in the whole profile.
type LintIgnore struct {
	Rule     string `json:"rule"`
	Behavior string `json:"behavior,omitempty"`
	Reason   string `json:"reason,omitempty"`
}

// CustomMetric is the input of CreateCustomMetric.
type CustomMetric struct {
	Name        string `json:"metricName"`
	Type        string `json:"metricType"` // string-list, ip-address-list, number-list or number
	DisplayName string `json:"displayName,omitempty"`
	Tags        []Tag  `json:"tags,omitempty"`
}

// Dimension is the input of CreateDimension.
type Dimension struct {
	Name         string   `json:"name"`
	Type         string   `json:"type"` // TOPIC_FILTER
	StringValues []string `json:"stringValues"`
	Tags         []Tag    `json:"tags,omitempty"`
}

// MitigationAction is the input of CreateMitigationAction.
type MitigationAction struct {
	Name    string       `json:"actionName"`
	RoleARN string       `json:"roleArn"`
	Params  ActionParams `json:"actionParams"`
	Tags    []Tag        `json:"tags,omitempty"`
}

// ActionParams says what a mitigation action does; one member is set. Detect
// supports AddThingsToThingGroup alone, the others are for Audit.
type ActionParams struct {
	UpdateDeviceCertificate     *UpdateCertificateParams           `json:"updateDeviceCertificateParams,omitempty"`
	UpdateCACertificate         *UpdateCertificateParams           `json:"updateCACertificateParams,omitempty"`
	AddThingsToThingGroup       *AddThingsToThingGroupParams       `json:"addThingsToThingGroupParams,omitempty"`
	ReplaceDefaultPolicyVersion *ReplaceDefaultPolicyVersionParams `json:"replaceDefaultPolicyVersionParams,omitempty"`
	EnableIoTLogging            *EnableIoTLoggingParams            `json:"enableIoTLoggingParams,omitempty"`
	PublishFindingToSNS         *PublishFindingToSNSParams         `json:"publishFindingToSnsParams,omitempty"`
}

// UpdateCertificateParams deactivates a certificate.
type UpdateCertificateParams struct {
	Action string `json:"action"` // DEACTIVATE
}

// AddThingsToThingGroupParams puts the things of violations into groups.
type AddThingsToThingGroupParams struct {
	ThingGroupNames       []string `json:"thingGroupNames"` // 1 to 10
	OverrideDynamicGroups *bool    `json:"overrideDynamicGroups,omitempty"`
}

// ReplaceDefaultPolicyVersionParams empties a policy.
type ReplaceDefaultPolicyVersionParams struct {
	TemplateName string `json:"templateName"` // BLANK_POLICY
}

// EnableIoTLoggingParams turns logging on.
type EnableIoTLoggingParams struct {
	RoleARNForLogging string `json:"roleArnForLogging"`
	LogLevel          string `json:"logLevel"` // DEBUG, INFO, ERROR, WARN or DISABLED
}

// PublishFindingToSNSParams sends the finding to a topic.
type PublishFindingToSNSParams struct {
	TopicARN string `json:"topicArn"`
}
