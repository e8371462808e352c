package artifacts

import (
	"fmt"
	"net/netip"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// profile is the input of CreateSecurityProfile, as far as the files use it.
type profile struct {
	Name        string           `json:"securityProfileName"`
	Description string           `json:"securityProfileDescription"`
	Behaviors   []behavior       `json:"behaviors"`
	Retain      []retainedMetric `json:"additionalMetricsToRetainV2"`
}

type retainedMetric struct {
	Metric string `json:"metric"`
}

type behavior struct {
	Name     string   `json:"name"`
	Metric   string   `json:"metric"`
	Criteria criteria `json:"criteria"`
}

type criteria struct {
	Operator  string     `json:"comparisonOperator"`
	Value     *value     `json:"value"`
	Seconds   *int       `json:"durationSeconds"`
	ToAlarm   *int       `json:"consecutiveDatapointsToAlarm"`
	ToClear   *int       `json:"consecutiveDatapointsToClear"`
	Threshold *threshold `json:"statisticalThreshold"`
}

type value struct {
	Count *int64   `json:"count"`
	CIDRs []string `json:"cidrs"`
	Ports []int    `json:"ports"`
}

type threshold struct {
	Statistic string `json:"statistic"`
}

// metricKind says what a behavior on a metric may hold.
type metricKind struct {
	member    string // of value
	operators []string
	duration  bool // durationSeconds with a fixed value
	cloud     bool // measured by AWS IoT, not reported by the device
}

var (
	comparisons = []string{"less-than", "less-than-equals", "greater-than", "greater-than-equals"}
	atMost      = comparisons[:2]
	inCIDRs     = []string{"in-cidr-set", "not-in-cidr-set"}
	inPorts     = []string{"in-port-set", "not-in-port-set"}
)

// metricKinds are Detect's metrics, from the developer guide's pages on
// device-side and cloud-side metrics. A fixed number of connections and a
// message's size are compared without a duration there.
var metricKinds = map[string]metricKind{
	"aws:all-bytes-out":                   {"count", comparisons, true, false},
	"aws:all-bytes-in":                    {"count", comparisons, true, false},
	"aws:all-packets-out":                 {"count", comparisons, true, false},
	"aws:all-packets-in":                  {"count", comparisons, true, false},
	"aws:num-listening-tcp-ports":         {"count", comparisons, true, false},
	"aws:num-listening-udp-ports":         {"count", comparisons, true, false},
	"aws:num-established-tcp-connections": {"count", comparisons, false, false},
	"aws:destination-ip-addresses":        {"cidrs", inCIDRs, false, false},
	"aws:listening-tcp-ports":             {"ports", inPorts, false, false},
	"aws:listening-udp-ports":             {"ports", inPorts, false, false},
	"aws:message-byte-size":               {"count", comparisons, false, true},
	"aws:num-messages-sent":               {"count", comparisons, true, true},
	"aws:num-messages-received":           {"count", comparisons, true, true},
	"aws:num-authorization-failures":      {"count", comparisons, true, true},
	"aws:num-connection-attempts":         {"count", comparisons, true, true},
	"aws:num-disconnects":                 {"count", comparisons, true, true},
	"aws:source-ip-address":               {"cidrs", inCIDRs, false, true},
	"aws:disconnect-duration":             {"count", atMost, false, true},
}

// Patterns and ranges of the AWS IoT API model and of the developer guide.
var (
	profileName = regexp.MustCompile(`^[a-zA-Z0-9:_-]{1,128}$`)
	description = regexp.MustCompile(`^[\x20-\x7e]{0,1000}$`)
	cidr        = regexp.MustCompile(`^[a-fA-F0-9:./]{2,43}$`)
	durations   = []int{300, 600, 900, 1800, 3600}
	statistics  = []string{"p0", "p0.1", "p0.01", "p1", "p10", "p50", "p90", "p99", "p99.9", "p99.99", "p100"}
)

// check returns what is wrong with a profile.
func (p profile) check() (faults []string) {
	fault := func(format string, args ...any) { faults = append(faults, fmt.Sprintf(format, args...)) }
	if !profileName.MatchString(p.Name) {
		fault("profile name %q", p.Name)
	}
	if !description.MatchString(p.Description) {
		fault("description of %d characters", len(p.Description))
	}
	if len(p.Behaviors) == 0 || len(p.Behaviors) > 100 {
		fault("%d behaviors", len(p.Behaviors))
	}
	var names []string
	elements := 0
	for _, b := range p.Behaviors {
		if !profileName.MatchString(b.Name) || slices.Contains(names, b.Name) {
			fault("behavior name %q", b.Name)
		}
		names = append(names, b.Name)
		for _, problem := range b.check() {
			fault("%s: %s", b.Name, problem)
		}
		if v := b.Criteria.Value; v != nil {
			elements += max(1, len(v.CIDRs)+len(v.Ports))
		}
	}
	if elements > 1000 {
		fault("%d value elements", elements)
	}
	for _, r := range p.Retain {
		if _, ok := metricKinds[r.Metric]; !ok {
			fault("retains unknown metric %q", r.Metric)
		}
	}
	return faults
}

func (b behavior) check() (faults []string) {
	fault := func(format string, args ...any) { faults = append(faults, fmt.Sprintf(format, args...)) }
	c := b.Criteria
	kind, ok := metricKinds[b.Metric]
	if !ok {
		fault("unknown metric %q", b.Metric)
		return faults
	}
	if !slices.Contains(kind.operators, c.Operator) {
		fault("operator %q on %s", c.Operator, b.Metric)
	}
	// A behavior states what is normal. Of a count of traffic, ports or
	// connections no more than so much is, never no less.
	if strings.HasPrefix(c.Operator, "greater-than") {
		fault("operator %q states the abnormal", c.Operator)
	}
	for _, n := range []*int{c.ToAlarm, c.ToClear} {
		if n != nil && (*n < 1 || *n > 10) {
			fault("%d consecutive datapoints", *n)
		}
	}
	switch {
	case (c.Value == nil) == (c.Threshold == nil):
		fault("not one of value and statisticalThreshold")
	case c.Threshold != nil:
		if kind.member != "count" || !slices.Contains(statistics, c.Threshold.Statistic) {
			fault("statistic %q on %s", c.Threshold.Statistic, b.Metric)
		}
		if c.Seconds == nil || !slices.Contains(durations, *c.Seconds) {
			fault("duration of a statistic")
		}
	default:
		if kind.duration != (c.Seconds != nil) || c.Seconds != nil && !slices.Contains(durations, *c.Seconds) {
			fault("duration on %s", b.Metric)
		}
		faults = append(faults, c.Value.check(kind.member)...)
	}
	return faults
}

func (v value) check(member string) (faults []string) {
	given := map[string]bool{"count": v.Count != nil, "cidrs": v.CIDRs != nil, "ports": v.Ports != nil}
	for name, present := range given {
		if present != (name == member) {
			faults = append(faults, fmt.Sprintf("value member %s where %s belongs", name, member))
		}
	}
	if v.Count != nil && *v.Count < 1 {
		faults = append(faults, fmt.Sprintf("count %d", *v.Count))
	}
	for i, port := range v.Ports {
		if port < 1 || port > 65535 || slices.Contains(v.Ports[:i], port) {
			faults = append(faults, fmt.Sprintf("port %d", port))
		}
	}
	for _, s := range v.CIDRs {
		prefix, err := netip.ParsePrefix(s)
		if err != nil || !cidr.MatchString(s) || prefix != prefix.Masked() {
			faults = append(faults, fmt.Sprintf("CIDR %q", s))
		}
	}
	return faults
}

func readProfile(t *testing.T, name string) profile {
	t.Helper()
	var p profile
	if err := decode(read(t, name), &p); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return p
}

func TestProfilesObeyDetect(t *testing.T) {
	var names []string
	for _, name := range files(t, "profiles/*.json") {
		p := readProfile(t, name)
		for _, fault := range p.check() {
			t.Errorf("%s: %s", name, fault)
		}
		if slices.Contains(names, p.Name) {
			t.Errorf("%s: second profile %s", name, p.Name)
		}
		names = append(names, p.Name)
		for _, b := range p.Behaviors {
			if metricKinds[b.Metric].cloud && p.Name != "SilentDevice" {
				t.Errorf("%s: %s is not reported by the agent", name, b.Metric)
			}
		}
		if kebab := strings.ReplaceAll(strings.TrimSuffix(filepath.Base(name), ".json"), "-", ""); !strings.EqualFold(kebab, p.Name) {
			t.Errorf("%s holds the profile %s", name, p.Name)
		}
	}
}

// TestDataExfiltrationCheck holds the tutorial's profile to the original in
// all but its operator and the deprecated list of retained metrics.
func TestDataExfiltrationCheck(t *testing.T) {
	p := readProfile(t, "profiles/data-exfiltration-check.json")
	if p.Name != "DataExfiltrationCheck" || len(p.Behaviors) != 1 {
		t.Fatalf("profile %s with %d behaviors", p.Name, len(p.Behaviors))
	}
	b := p.Behaviors[0]
	c := b.Criteria
	if b.Name != "PacketExfiltration" || b.Metric != "aws:all-packets-out" || *c.Seconds != 300 ||
		*c.ToAlarm != 1 || *c.ToClear != 1 || c.Threshold.Statistic != "p99.99" {
		t.Errorf("behavior %+v", b)
	}
	if c.Operator != "less-than-equals" {
		t.Errorf("operator %s: normal is not to be above the percentile", c.Operator)
	}
	want := []retainedMetric{
		{"aws:num-connection-attempts"}, {"aws:destination-ip-addresses"}, {"aws:all-packets-out"},
		{"aws:all-packets-in"}, {"aws:source-ip-address"}, {"aws:num-messages-sent"},
	}
	if !slices.Equal(p.Retain, want) {
		t.Errorf("retained %v, want %v", p.Retain, want)
	}
}

func TestUnexpectedDestinationsAllowsTheAgentsOwnView(t *testing.T) {
	p := readProfile(t, "profiles/unexpected-destinations.json")
	// Loopback connections are reported, with both ends.
	for _, address := range []string{"127.0.0.1", "127.0.0.53", "::1", "10.1.2.3", "192.168.1.1", "172.31.255.254", "fe80::1", "fd00::1"} {
		if !slices.ContainsFunc(p.Behaviors[0].Criteria.Value.CIDRs, func(s string) bool {
			return netip.MustParsePrefix(s).Contains(netip.MustParseAddr(address))
		}) {
			t.Errorf("%s is not allowed", address)
		}
	}
}

// TestFaultsAreFound breaks the profiles in the ways that are seen in the
// field, to show that the checks above would notice.
func TestFaultsAreFound(t *testing.T) {
	tests := []struct{ file, old, new, want string }{
		{"data-exfiltration-check", `"less-than-equals"`, `"greater-than"`, "states the abnormal"},
		{"data-exfiltration-check", `"p99.99"`, `"Average"`, `statistic "Average"`},
		{"data-exfiltration-check", `"additionalMetricsToRetainV2"`, `"additionalMetricsToRetain"`, "unknown field"},
		{"data-exfiltration-check", `"aws:source-ip-address"`, `"aws:source-ip-addresses"`, "retains unknown metric"},
		{"data-exfiltration-check", `"PacketExfiltration"`, `"Packet exfiltration"`, "behavior name"},
		{"data-exfiltration-check", `"durationSeconds": 300`, `"durationSeconds": 60`, "duration of a statistic"},
		{"data-exfiltration-check", `"consecutiveDatapointsToAlarm": 1`, `"consecutiveDatapointsToAlarm": 11`, "11 consecutive datapoints"},
		{"unexpected-destinations", `"aws:destination-ip-addresses"`, `"aws:destination-ip-address"`, "unknown metric"},
		{"unexpected-destinations", `"10.0.0.0/8"`, `"10.0.0.1/8"`, `CIDR "10.0.0.1/8"`},
		{"unexpected-destinations", `"in-cidr-set"`, `"in-port-set"`, `operator "in-port-set"`},
		{"unexpected-destinations", `"criteria": {`, `"criteria": {"durationSeconds": 300,`, "duration on"},
		{"open-ports", `"ports": [21,`, `"ports": [70000,`, "port 70000"},
		{"open-ports", `"ports": [21,`, `"count": 3, "ports": [21,`, "value member count"},
		{"open-ports", `"UdpPortCount"`, `"TcpPortCount"`, "behavior name"},
		{"silent-device", `"less-than-equals"`, `"greater-than"`, `operator "greater-than" on aws:disconnect-duration`},
		{"traffic-volume", `"count": 100000000`, `"count": 0`, "count 0"},
	}
	for _, test := range tests {
		document := read(t, "profiles/"+test.file+".json")
		broken := strings.Replace(document, test.old, test.new, 1)
		if broken == document {
			t.Errorf("%s holds no %s", test.file, test.old)
		}
		var p profile
		var faults []string
		if err := decode(broken, &p); err != nil {
			faults = []string{err.Error()}
		} else {
			faults = p.check()
		}
		if !strings.Contains(strings.Join(faults, "\n"), test.want) {
			t.Errorf("%s with %s: faults %q, want one with %q", test.file, test.new, faults, test.want)
		}
	}
}
