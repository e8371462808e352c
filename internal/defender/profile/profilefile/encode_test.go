package profilefile

import (
	"os"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/device-defender/device-defender/internal/defender/profile"
)

func TestEncodeJSON(t *testing.T) {
	p := profile.Profile{
		Name: "P", Description: "<&>",
		Behaviors: []profile.Behavior{{Name: "B", Metric: "m", Criteria: &profile.Criteria{ComparisonOperator: profile.InSet, Value: &profile.Value{Numbers: []float64{}}}}},
		Tags:      []profile.Tag{{Key: "k"}},
		Targets:   []string{},
	}
	const want = `{
  "securityProfileName": "P",
  "securityProfileDescription": "<&>",
  "behaviors": [
    {
      "name": "B",
      "metric": "m",
      "criteria": {
        "comparisonOperator": "in-set",
        "value": {
          "numbers": []
        }
      }
    }
  ],
  "tags": [
    {
      "Key": "k"
    }
  ],
  "targets": []
}
`
	if diff := cmp.Diff(want, string(EncodeJSON(p))); diff != "" {
		t.Error(diff)
	}
}

func TestEncodeYAML(t *testing.T) {
	p := profile.Profile{
		Name: "no", Description: "a: b #c",
		Behaviors: []profile.Behavior{{Name: "300", Metric: "aws:listening-tcp-ports", Criteria: &profile.Criteria{ComparisonOperator: profile.InPortSet, Value: &profile.Value{Ports: []int32{443, 80}}}}},
		Tags:      []profile.Tag{{Key: "t", Value: "1:30"}, {Key: "true", Value: "2026-11-23"}},
	}
	const want = `securityProfileName: "no"
securityProfileDescription: 'a: b #c'
behaviors:
  - name: "300"
    metric: aws:listening-tcp-ports
    criteria:
      comparisonOperator: in-port-set
      value:
        ports: [443, 80]
tags:
  - Key: t
    Value: "1:30"
  - Key: "true"
    Value: "2026-11-23"
`
	if diff := cmp.Diff(want, string(EncodeYAML(p))); diff != "" {
		t.Error(diff)
	}
}

// TestEncodeRoundTrip encodes the tutorial's file to one of the same content.
func TestEncodeRoundTrip(t *testing.T) {
	data, err := os.ReadFile("testdata/data-exfiltration-check.json")
	if err != nil {
		t.Fatal(err)
	}
	set, _ := Parse("-", data)
	for _, encoded := range [][]byte{EncodeJSON(set.Profiles[0]), EncodeYAML(set.Profiles[0])} {
		again, problems := Parse("-", encoded)
		if diff := cmp.Diff(set.Profiles, again.Profiles); diff != "" || problems != nil {
			t.Errorf("%s, problems %v of\n%s", diff, problems, encoded)
		}
	}
}
