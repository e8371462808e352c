package cloud

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/device-defender/device-defender/internal/defender/profile"
	"github.com/device-defender/device-defender/internal/defender/profile/profilefile"
)

var update = flag.Bool("update", false, "write the golden files anew")

// golden compares with a file that was read over by a person: property names
// are those of the resource schemas in
// aws-cloudformation/aws-cloudformation-resource-providers-iot and of
// hashicorp/terraform-provider-awscc's docs/resources/iot_*.md. The Terraform
// file was parsed, evaluated and formatted by hashicorp/hcl: it stays as it is.
func golden(t *testing.T, file string, got []byte) {
	t.Helper()
	file = "testdata/" + file
	if *update {
		if err := os.WriteFile(file, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("%s: %s", file, diff)
	}
}

// exported is the set of everything as an account would export it.
func exported(t *testing.T) *profilefile.Set {
	t.Helper()
	w := newWorld(t)
	w.groups("gateways")
	w.apply(parsed(t, everything))
	set, err := w.client.Export(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	arns, err := w.client.TargetARNs(t.Context(), set)
	if err != nil {
		t.Fatal(err)
	}
	if set.Profiles[2].Targets[0] != "all/unregistered-things" {
		t.Errorf("the set itself has changed: %v", set.Profiles[2].Targets)
	}
	return arns
}

func TestTerraform(t *testing.T) { golden(t, "everything.tf", Terraform(exported(t))) }

func TestCloudFormation(t *testing.T) {
	got := CloudFormation(exported(t))
	golden(t, "everything.template.json", got)
	var template struct {
		Resources map[string]struct {
			Type       string
			DependsOn  []string
			Properties map[string]any
		}
	}
	if err := json.Unmarshal(got, &template); err != nil {
		t.Fatal(err)
	}
	for id, r := range template.Resources {
		for _, need := range r.DependsOn {
			if _, ok := template.Resources[need]; !ok {
				t.Errorf("%s depends on %s, which is not there", id, need)
			}
		}
	}
	if d := template.Resources["SecurityProfileRulesall"].DependsOn; !slices.Equal(d, []string{
		"CustomMetricbatteryPercentage", "CustomMetricchannels", "CustomMetricmodems", "CustomMetricpeers", "DimensionAuthTopics",
	}) {
		t.Errorf("%v", d)
	}
}

// The same documents from JSON and YAML files.
func TestFiles(t *testing.T) {
	set := parsed(t, everything)
	for format, encode := range map[string]func(any) []byte{"json": profilefile.EncodeJSON, "yaml": profilefile.EncodeYAML} {
		folder := t.TempDir()
		for _, f := range Files(set) {
			if err := os.WriteFile(folder+"/"+f.Name+"."+format, encode(f.Document), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		got, problems, err := profilefile.Load([]string{folder}, nil)
		if err != nil || len(problems) > 0 || len(got.Validate()) > 0 {
			t.Fatal(problems, err)
		}
		for _, list := range []*profilefile.Set{set, got} {
			slices.SortFunc(list.Profiles, func(a, b profile.Profile) int { return strings.Compare(a.Name, b.Name) })
			slices.SortFunc(list.CustomMetrics, func(a, b profile.CustomMetric) int { return strings.Compare(a.Name, b.Name) })
		}
		if diff := cmp.Diff(set, got, ignoreSources); diff != "" {
			t.Errorf("%s: %s", format, diff)
		}
	}
}

// Names that a form does not take are changed, and told apart all the same.
func TestIdentifiers(t *testing.T) {
	set := &profilefile.Set{}
	for _, name := range []string{"a:b", "a_b", "A_b", "a-b", "1st", "../x", "con\x00"} {
		set.Profiles = append(set.Profiles, profile.Profile{Name: name})
	}
	want := []string{
		"security-profile-a_b", "security-profile-a_b_2", "security-profile-A_b_3", "security-profile-a-b", "security-profile-1st",
		"security-profile-___x", "security-profile-con_",
	}
	if diff := cmp.Diff(want, mapped(Files(set), func(f File) string { return f.Name })); diff != "" {
		t.Error(diff)
	}
	terraform := string(Terraform(set))
	for _, id := range []string{"a_b", "a_b_2", "A_b_3", "a-b", "_1st", "____x", "con_"} {
		if strings.Count(terraform, `resource "awscc_iot_security_profile" "`+id+`" {`) != 1 {
			t.Errorf("%s is not there once:\n%s", id, terraform)
		}
	}
	var template struct{ Resources map[string]any }
	if err := json.Unmarshal(CloudFormation(set), &template); err != nil || len(template.Resources) != len(set.Profiles) {
		t.Errorf("%v, %v", template, err)
	}
	for id := range template.Resources {
		if strings.ContainsFunc(id, func(r rune) bool { return !isAlphanumeric(r) }) {
			t.Errorf("logical id %q", id)
		}
	}
}

// Text from an account stays text: the right sides were evaluated by
// hashicorp/hcl.
func TestHCLString(t *testing.T) {
	for text, want := range map[string]string{
		`${iot:ClientId}`: `"$${iot:ClientId}"`, `%{if}`: `"%%{if}"`, `$${a}`: `"$$${a}"`, `100% $ {`: `"100% $ {"`, `a$`: `"a$"`,
		`"\`: `"\"\\"`, "a\nb\x1b[2J\u202e": `"a\u000ab\u001b[2J\u202e"`, "\U000e0001": `"\U000e0001"`, "é😀": `"é😀"`,
	} {
		if got := hclString(text); got != want {
			t.Errorf("%q: %s, want %s", text, got, want)
		}
	}
}

func TestNothingToExport(t *testing.T) {
	if got := CloudFormation(&profilefile.Set{}); !bytes.Contains(got, []byte(`"Resources": {}`)) {
		t.Errorf("%s", got)
	}
	if files := Files(&profilefile.Set{}); len(files) != 0 {
		t.Errorf("%v", files)
	}
}

// TestExportIsNoDocument: what is written for other tools is called that when
// it is read for a document.
func TestExportIsNoDocument(t *testing.T) {
	for file, want := range map[string]string{
		"everything.template.json": "the file is a CloudFormation template: CustomMetricbatteryPercentage is AWS::IoT::CustomMetric",
		"everything.tf":            "the file is a Terraform configuration",
	} {
		text, err := os.ReadFile("testdata/" + file)
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range []string{file, "-"} {
			set, problems := profilefile.Parse(name, text)
			if len(problems) != 1 || problems[0].Message != want || len(set.Profiles) > 0 {
				t.Errorf("%s as %s: %v, want %q", file, name, problems, want)
			}
		}
	}
}
