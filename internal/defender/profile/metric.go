package profile

import "strings"

// Side says where a metric is measured.
type Side int

const (
	DeviceSide Side = iota + 1 // reported by the agent
	CloudSide                  // counted by AWS IoT
	Custom                     // reported by the agent, registered by the user
)

// Metric is what AWS documents of one metric.
type Metric struct {
	Name      string
	Side      Side
	Kind      Kind
	Unit      string // of one measurement: bytes, packets, ports, ...; empty for sets
	Operators []Operator
	Duration  bool // durationSeconds may be given
	Momentary bool // a fixed value needs none: AWS's examples have it without
	Delta     bool // measurements of a window add up; otherwise each stands for itself
	ML        bool // ML Detect models it
	Dimension bool // a dimension may narrow it
	Title     string
}

var (
	comparisons = []Operator{LessThan, LessThanEquals, GreaterThan, GreaterThanEquals}
	cidrSet     = []Operator{InCIDRSet, NotInCIDRSet}
	portSet     = []Operator{InPortSet, NotInPortSet}
	set         = []Operator{InSet, NotInSet}
)

// Metrics are the device-side and cloud-side metrics of the developer guide
// (detect-device-side-metrics, detect-cloud-side-metrics), in its order.
//
// The guide gives the number of connections a duration in its statistical
// example only, and the message size likewise; both may have one with a fixed
// value.
var Metrics = []Metric{
	{Name: "aws:all-bytes-out", Side: DeviceSide, Kind: Count, Unit: "bytes", Operators: comparisons, Duration: true, Delta: true, ML: true, Title: "bytes out"},
	{Name: "aws:all-bytes-in", Side: DeviceSide, Kind: Count, Unit: "bytes", Operators: comparisons, Duration: true, Delta: true, ML: true, Title: "bytes in"},
	{Name: "aws:all-packets-out", Side: DeviceSide, Kind: Count, Unit: "packets", Operators: comparisons, Duration: true, Delta: true, ML: true, Title: "packets out"},
	{Name: "aws:all-packets-in", Side: DeviceSide, Kind: Count, Unit: "packets", Operators: comparisons, Duration: true, Delta: true, ML: true, Title: "packets in"},
	{Name: "aws:num-listening-tcp-ports", Side: DeviceSide, Kind: Count, Unit: "ports", Operators: comparisons, Duration: true, ML: true, Title: "listening TCP ports, count"},
	{Name: "aws:num-listening-udp-ports", Side: DeviceSide, Kind: Count, Unit: "ports", Operators: comparisons, Duration: true, ML: true, Title: "listening UDP ports, count"},
	{Name: "aws:num-established-tcp-connections", Side: DeviceSide, Kind: Count, Unit: "connections", Operators: comparisons, Duration: true, Momentary: true, ML: true, Title: "established TCP connections"},
	{Name: "aws:destination-ip-addresses", Side: DeviceSide, Kind: CIDRs, Operators: cidrSet, Title: "destination IP addresses"},
	{Name: "aws:listening-tcp-ports", Side: DeviceSide, Kind: Ports, Operators: portSet, Title: "listening TCP ports"},
	{Name: "aws:listening-udp-ports", Side: DeviceSide, Kind: Ports, Operators: portSet, Title: "listening UDP ports"},

	{Name: "aws:message-byte-size", Side: CloudSide, Kind: Count, Unit: "bytes", Operators: comparisons, Duration: true, Momentary: true, ML: true, Dimension: true, Title: "message size"},
	{Name: "aws:num-messages-sent", Side: CloudSide, Kind: Count, Unit: "messages", Operators: comparisons, Duration: true, Delta: true, ML: true, Dimension: true, Title: "messages sent"},
	{Name: "aws:num-messages-received", Side: CloudSide, Kind: Count, Unit: "messages", Operators: comparisons, Duration: true, Delta: true, ML: true, Dimension: true, Title: "messages received"},
	{Name: "aws:num-authorization-failures", Side: CloudSide, Kind: Count, Unit: "failures", Operators: comparisons, Duration: true, Delta: true, ML: true, Dimension: true, Title: "authorization failures"},
	{Name: "aws:num-connection-attempts", Side: CloudSide, Kind: Count, Unit: "attempts", Operators: comparisons, Duration: true, Delta: true, ML: true, Title: "connection attempts"},
	{Name: "aws:num-disconnects", Side: CloudSide, Kind: Count, Unit: "disconnects", Operators: comparisons, Duration: true, Delta: true, ML: true, Title: "disconnects"},
	{Name: "aws:source-ip-address", Side: CloudSide, Kind: CIDRs, Operators: cidrSet, Dimension: true, Title: "source IP addresses"},
	{Name: "aws:disconnect-duration", Side: CloudSide, Kind: Count, Unit: "minutes", Operators: []Operator{LessThan, LessThanEquals}, Title: "disconnect duration"},
}

// Types of custom metrics.
const (
	StringList    = "string-list"
	IPAddressList = "ip-address-list"
	NumberList    = "number-list"
	NumberType    = "number"
)

// FindMetric returns what is documented of an aws: metric.
func FindMetric(name string) (Metric, bool) {
	for _, m := range Metrics {
		if m.Name == name {
			return m, true
		}
	}
	return Metric{}, false
}

// MetricNames returns the names of AWS's metrics.
func MetricNames() []string {
	return texts(Metrics, func(m Metric) string { return m.Name })
}

// CustomMetricOf returns the model of a registered custom metric. The type is
// one of the four of CreateCustomMetric.
func CustomMetricOf(name, metricType string) (Metric, bool) {
	m := Metric{Name: name, Side: Custom, Title: name}
	switch metricType {
	case StringList:
		m.Kind, m.Operators = Strings, set
	case NumberList:
		m.Kind, m.Operators = Numbers, set
	case IPAddressList:
		m.Kind, m.Operators = CIDRs, cidrSet
	case NumberType:
		m.Kind, m.Operators, m.Duration, m.ML = Number, comparisons, true, true
	default:
		return Metric{}, false
	}
	return m, true
}

// IsAWS reports whether the name is in AWS's own namespace.
func IsAWS(name string) bool { return strings.HasPrefix(name, "aws:") }
