package profile

// Registry is what is registered in an account beside its profiles. A nil map
// says that it's not known, and references are not checked.
type Registry struct {
	CustomMetrics map[string]string // name -> type
	Dimensions    map[string]bool

	// Open says that there may be more than is listed.
	Open bool
}

// MetricOf returns the model of an aws: metric or of a registered custom
// metric.
func MetricOf(name string, r Registry) (Metric, bool) {
	if metricType, ok := r.CustomMetrics[name]; ok && !IsAWS(name) {
		return CustomMetricOf(name, metricType)
	}
	return FindMetric(name)
}
