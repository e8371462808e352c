package profilefile

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/device-defender/device-defender/internal/defender/profile"
)

// TestForeignFiles: profiles that other tools take are called what they are,
// once and at the profile, and nothing else is said of them.
func TestForeignFiles(t *testing.T) {
	at := func(file string, line, column int, what string) profile.Problem {
		return profile.Problem{
			File: file, Line: line, Column: column, Severity: profile.Error, Rule: "unknown-document", Message: "the file is " + what,
			Want: `the documents of AWS's API: "defenderctl profile export" writes them, once it is deployed`,
		}
	}
	for _, want := range []profile.Problem{
		at("testdata/cloudformation.yaml", 9, 5, "a CloudFormation template: Profile is AWS::IoT::SecurityProfile"),
		at("testdata/cloudformation.json", 1, 19, "a CloudFormation template: P is AWS::IoT::SecurityProfile"),
		at("testdata/main.tf.json", 1, 50, "a Terraform configuration: lab is awscc_iot_security_profile"),
	} {
		set, problems, err := Load([]string{want.File}, nil)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff([]profile.Problem{want}, set.Merge(problems, set.Validate(), Lint(set, LintContext{}))); diff != "" {
			t.Errorf("%s (-want +got)\n%s", want.File, diff)
		}
	}
	for _, test := range []struct{ file, text, want string }{
		{"-", "AWSTemplateFormatVersion: '2010-09-09'\nResources:\n  Topic: {Type: AWS::SNS::Topic}\n", "the file is a CloudFormation template"},
		{"-", "Resources: !Include more.yaml\nAWSTemplateFormatVersion: '2010-09-09'\n", "the file is a CloudFormation template"},
		{"a.json", `{"Type":"AWS::IoT::SecurityProfile","Properties":{"SecurityProfileName":"P"}}`, "the file is a resource of CloudFormation, AWS::IoT::SecurityProfile"},
		{"a.tf.json", `{"terraform":{"required_providers":{}}}`, "the file is a Terraform configuration"},
		{"main.tf", "resource \"awscc_iot_security_profile\" \"lab\" {\n}\n", "the file is a Terraform configuration"},
		{"-", "# the fleet\nterraform {\n  required_providers {\n", "the file is a Terraform configuration"},
	} {
		set, problems := Parse(test.file, []byte(test.text))
		if len(problems) != 1 || problems[0].Message != test.want || len(set.Profiles) > 0 {
			t.Errorf("%s: %v, want %q", test.text, problems, test.want)
		}
	}
}

// TestBareBehaviors: behaviors without a profile are called what they are, and
// what is wrong with them is found in their places.
func TestBareBehaviors(t *testing.T) {
	const good = `{"name":"A","metric":"aws:all-bytes-out","criteria":{"comparisonOperator":"less-than","value":{"count":5},"durationSeconds":300}}`
	const bad = `{"name":"B","metric":"aws:all-bytes-out","criteria":{"comparisonOperator":"less-then","value":{"count":5},"durationSeconds":300}}`
	bare := `1:1  unknown-document {"securityProfileName": NAME, "behaviors": [...]}`
	for _, test := range []struct {
		name, file, text string
		want             []string
	}{
		{"a list", "a.json", "[" + good + ",\n" + bad + "]", []string{bare, `2:75 behaviors[1].criteria.comparisonOperator operator "less-than"`}},
		{"one", "a.json", bad, []string{bare, `1:75 behaviors[0].criteria.comparisonOperator operator "less-than"`}},
		{"YAML", "a.yaml", "- name: A\n  metric: aws:all-bytes-uot\n  criteria: {comparisonOperator: less-than, value: {count: 5}, durationSeconds: 300}\n",
			[]string{bare, `2:11 behaviors[0].metric unknown-metric "aws:all-bytes-out"`}},
		{"without criteria", "a.json", `[{"name":"A","metric":"aws:all-bytes-out"}]`, []string{bare, `1:2 behaviors[0].criteria required what is normal of the metric`}},
		{"among documents", "a.json", `[{"securityProfileName":"P"},` + good + "]", []string{`1:30  unknown-document {"securityProfileName": NAME, "behaviors": [...]}`}},
	} {
		set, problems := Parse(test.file, []byte(test.text))
		var got []string
		for _, p := range set.Merge(problems, set.Validate()) {
			got = append(got, fmt.Sprintf("%d:%d %s %s %s", p.Line, p.Column, p.Path, p.Rule, p.Want))
		}
		if diff := cmp.Diff(test.want, got); diff != "" {
			t.Errorf("%s (-want +got)\n%s", test.name, diff)
		}
	}
	// Lint says nothing of the profile that is not there.
	set, _ := Parse("a.json", []byte("["+good+"]"))
	if got := Lint(set, LintContext{Ignore: []string{"missing-context"}}); got != nil {
		t.Errorf("lint: %v", got)
	}
}
