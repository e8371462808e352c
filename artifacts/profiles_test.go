package artifacts

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/device-defender/device-defender/internal/defender/profile"
	"github.com/device-defender/device-defender/internal/defender/profile/profilefile"
)

func readProfile(t *testing.T, name string) *profile.Profile {
	t.Helper()
	set, problems := profilefile.Parse(name, []byte(read(t, name)))
	if len(problems) > 0 || len(set.Profiles) != 1 {
		t.Fatalf("%s: %d profiles, problems %v", name, len(set.Profiles), problems)
	}
	return &set.Profiles[0]
}

// TestProfiles: the profiles are what AWS takes, and clean but for what cannot
// be said for every account and for the tutorial's own one datapoint.
func TestProfiles(t *testing.T) {
	set, problems, err := profilefile.Load([]string{"profiles"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	lint := profilefile.Lint(set, profilefile.LintContext{Things: 10_000, Interval: 5 * time.Minute, Ignore: []string{"no-alert-target"}})
	for _, p := range set.Merge(problems, set.Validate(), lint) {
		if p.Rule != "single-datapoint" || filepath.Base(p.File) != "data-exfiltration-check.json" {
			t.Error(p)
		}
	}
	for _, name := range files(t, "profiles/*.json") {
		p := readProfile(t, name)
		if kebab := strings.ReplaceAll(strings.TrimSuffix(filepath.Base(name), ".json"), "-", ""); !strings.EqualFold(kebab, p.Name) {
			t.Errorf("%s holds the profile %s", name, p.Name)
		}
		for _, b := range p.Behaviors {
			if m, _ := profile.FindMetric(b.Metric); m.Side != profile.DeviceSide && p.Name != "SilentDevice" {
				t.Errorf("%s: %s is not reported by the agent", name, b.Metric)
			}
		}
	}
}

// TestDataExfiltrationCheck holds the tutorial's profile to the original in
// all but its operator and the deprecated list of retained metrics.
func TestDataExfiltrationCheck(t *testing.T) {
	p := readProfile(t, "profiles/data-exfiltration-check.json")
	want := []profile.Behavior{{
		Name: "PacketExfiltration", Metric: "aws:all-packets-out",
		Criteria: &profile.Criteria{
			// Normal is not to be above the percentile.
			ComparisonOperator: profile.LessThanEquals, StatisticalThreshold: &profile.StatisticalThreshold{Statistic: "p99.99"},
			DurationSeconds: new(int32(300)), ConsecutiveDatapointsToAlarm: new(int32(1)), ConsecutiveDatapointsToClear: new(int32(1)),
		},
	}}
	if diff := cmp.Diff(want, p.Behaviors); diff != "" || p.Name != "DataExfiltrationCheck" {
		t.Errorf("profile %s, behaviors (-want +got)\n%s", p.Name, diff)
	}
	var retained []string
	for _, m := range p.AdditionalMetricsToRetainV2 {
		retained = append(retained, m.Metric)
	}
	metrics := []string{
		"aws:num-connection-attempts", "aws:destination-ip-addresses", "aws:all-packets-out",
		"aws:all-packets-in", "aws:source-ip-address", "aws:num-messages-sent",
	}
	if !slices.Equal(retained, metrics) {
		t.Errorf("retained %v, want %v", retained, metrics)
	}
}

func TestUnexpectedDestinationsAllowsTheAgentsOwnView(t *testing.T) {
	p := readProfile(t, "profiles/unexpected-destinations.json")
	norm, err := profile.NewNorm(p.Behaviors[0].Criteria, profile.CIDRs)
	if err != nil {
		t.Fatal(err)
	}
	// Loopback connections are reported, with both ends.
	local := profile.Value{CIDRs: []string{"127.0.0.1", "127.0.0.53", "::1", "10.1.2.3", "192.168.1.1", "172.31.255.254", "fe80::1", "fd00::1"}}
	if conforms, known := norm.Conforms(local); !conforms || !known {
		t.Errorf("not allowed: %v", norm.Offending(local))
	}
}

// TestFaultsAreFound breaks the profiles in the ways that are seen in the
// field, to show that the checks above would notice.
func TestFaultsAreFound(t *testing.T) {
	tests := []struct{ file, old, new, want string }{
		{"data-exfiltration-check", `"less-than-equals"`, `"greater-than"`, "inverted-operator"},
		{"data-exfiltration-check", `"p99.99"`, `"Average"`, "statistic"},
		{"data-exfiltration-check", `"additionalMetricsToRetainV2"`, `"additionalMetricsToRetain"`, "wrong-type"},
		{"data-exfiltration-check", `"aws:source-ip-address"`, `"aws:source-ip-addresses"`, "unknown-metric"},
		{"data-exfiltration-check", `"PacketExfiltration"`, `"Packet exfiltration"`, "name"},
		{"data-exfiltration-check", `"durationSeconds": 300`, `"durationSeconds": 60`, "duration"},
		{"data-exfiltration-check", `"consecutiveDatapointsToAlarm": 1`, `"consecutiveDatapointsToAlarm": 11`, "consecutive-datapoints"},
		{"unexpected-destinations", `"aws:destination-ip-addresses"`, `"aws:destination-ip-address"`, "unknown-metric"},
		{"unexpected-destinations", `"10.0.0.0/8"`, `"10.0.0.1/8"`, "host-bits"},
		{"unexpected-destinations", `"in-cidr-set"`, `"in-port-set"`, "operator"},
		{"unexpected-destinations", `"criteria": {`, `"criteria": {"durationSeconds": 300,`, "duration"},
		{"open-ports", `"ports": [21,`, `"ports": [70000,`, "value"},
		{"open-ports", `"ports": [21,`, `"count": 3, "ports": [21,`, "value"},
		{"open-ports", `"UdpPortCount"`, `"TcpPortCount"`, "duplicate-name"},
		{"silent-device", `"less-than-equals"`, `"greater-than"`, "operator"},
		{"traffic-volume", `"count": 100000000`, `"count": -1`, "value"},
	}
	for _, test := range tests {
		name := "profiles/" + test.file + ".json"
		document := read(t, name)
		broken := strings.Replace(document, test.old, test.new, 1)
		if broken == document {
			t.Errorf("%s holds no %s", test.file, test.old)
		}
		set, problems := profilefile.Parse(name, []byte(broken))
		problems = set.Merge(problems, set.Validate(), profilefile.Lint(set, profilefile.LintContext{}))
		if !slices.ContainsFunc(problems, func(p profile.Problem) bool { return p.Rule == test.want }) {
			t.Errorf("%s with %s: %s, want %s", test.file, test.new, fmt.Sprint(problems), test.want)
		}
	}
}
