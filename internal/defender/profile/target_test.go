package profile

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestParseTarget(t *testing.T) {
	tests := []struct {
		text, short, arn string // the ARN in eu-west-1, account 210987654321
	}{
		{"all/things", "all/things", "arn:aws:iot:eu-west-1:210987654321:all/things"},
		{"all/registered-things", "all/registered-things", "arn:aws:iot:eu-west-1:210987654321:all/registered-things"},
		{"all/unregistered-things", "all/unregistered-things", "arn:aws:iot:eu-west-1:210987654321:all/unregistered-things"},
		{"thinggroup/edge:cores_1", "thinggroup/edge:cores_1", "arn:aws:iot:eu-west-1:210987654321:thinggroup/edge:cores_1"},
		{"cores", "thinggroup/cores", "arn:aws:iot:eu-west-1:210987654321:thinggroup/cores"},
		{"all", "thinggroup/all", "arn:aws:iot:eu-west-1:210987654321:thinggroup/all"},
		{"arn:aws:iot:us-east-1:123456789012:all/things", "all/things", "arn:aws:iot:us-east-1:123456789012:all/things"},
		{"arn:aws:iot:us-east-1:123456789012:thinggroup/a:b", "thinggroup/a:b", "arn:aws:iot:us-east-1:123456789012:thinggroup/a:b"},
		{"arn:aws-cn:iot:cn-north-1:123456789012:thinggroup/g", "thinggroup/g", "arn:aws-cn:iot:cn-north-1:123456789012:thinggroup/g"},
		{"arn:aws-us-gov:iot:us-gov-west-1:123456789012:all/things", "all/things", "arn:aws-us-gov:iot:us-gov-west-1:123456789012:all/things"},
	}
	for _, test := range tests {
		target, err := ParseTarget(test.text)
		if err != nil {
			t.Errorf("%s: %v", test.text, err)
			continue
		}
		if got := target.Short(); got != test.short {
			t.Errorf("%s: short %s, want %s", test.text, got, test.short)
		}
		if got := target.ARN("eu-west-1", "210987654321"); got != test.arn {
			t.Errorf("%s: ARN %s, want %s", test.text, got, test.arn)
		}
	}
	for _, text := range []string{
		"", "all/", "all/thing", "ALL/things", "thinggroup/", "thinggroup/a/b", "a b", "group/g", "thing/t",
		"arn:", "arn:aws:iot:us-east-1:123456789012", "arn:aws:iot:us-east-1:123456789012:cores",
		"arn:aws:iot:us-east-1:12345678901:all/things", "arn:aws:iot::123456789012:all/things",
		"arn:aws:iot:cn-north-1:123456789012:all/things", "arn:aws:sns:us-east-1:123456789012:all/things",
		"arn:aws:iot:us-east-1:123456789012:thing/t",
	} {
		if target, err := ParseTarget(text); err == nil {
			t.Errorf("%q is %+v", text, target)
		}
	}
}

func TestARNs(t *testing.T) {
	for got, want := range map[string]string{
		ProfileARN("us-east-1", "123456789012", "DataExfiltrationCheck"):  "arn:aws:iot:us-east-1:123456789012:securityprofile/DataExfiltrationCheck",
		CustomMetricARN("cn-north-1", "123456789012", "m"):                "arn:aws-cn:iot:cn-north-1:123456789012:custommetric/m",
		DimensionARN("us-gov-east-1", "123456789012", "d"):                "arn:aws-us-gov:iot:us-gov-east-1:123456789012:dimension/d",
		MitigationActionARN("eu-central-1", "123456789012", "Quarantine"): "arn:aws:iot:eu-central-1:123456789012:mitigationaction/Quarantine",
	} {
		if got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
}

// FuzzParseTarget holds targets to what they are written as.
func FuzzParseTarget(f *testing.F) {
	for _, seed := range []string{"all/things", "g", "thinggroup/g", "arn:aws:iot:us-east-1:123456789012:thinggroup/a:b", "arn:aws-cn:iot:cn-north-1:123456789012:all/things", "arn:::::", "/"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		target, err := ParseTarget(text)
		if err != nil {
			return
		}
		for _, spelling := range []string{target.ARN("eu-west-1", "123456789012"), target.Short()} {
			again, err := ParseTarget(spelling)
			if err != nil || again.Short() != target.Short() {
				t.Errorf("%q: %+v, then %q: %+v, %v", text, target, spelling, again, err)
			}
		}
		if target.Region != "" {
			if diff := cmp.Diff(text, target.ARN("", "")); diff != "" {
				t.Error(diff)
			}
		}
	})
}
