package profilefile

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/device-defender/device-defender/internal/defender/profile"
)

// tutorial is testdata/data-exfiltration-check.json.
var tutorial = profile.Profile{
	Name:        "DataExfiltrationCheck",
	Description: "Alerts on a possible data exfiltration attempt on devices",
	Behaviors: []profile.Behavior{{
		Name:   "PacketExfiltration",
		Metric: "aws:all-packets-out",
		Criteria: &profile.Criteria{
			ComparisonOperator:           profile.GreaterThan,
			DurationSeconds:              new(int32(300)),
			ConsecutiveDatapointsToAlarm: new(int32(1)),
			ConsecutiveDatapointsToClear: new(int32(1)),
			StatisticalThreshold:         &profile.StatisticalThreshold{Statistic: "p99.99"},
		},
	}},
	AdditionalMetricsToRetain: []string{
		"aws:num-connection-attempts", "aws:destination-ip-addresses", "aws:all-packets-out",
		"aws:all-packets-in", "aws:source-ip-address", "aws:num-messages-sent",
	},
}

func TestTutorialsProfile(t *testing.T) {
	set, problems, err := Load([]string{"testdata/data-exfiltration-check.json"}, nil)
	if err != nil || problems != nil {
		t.Fatal(err, problems)
	}
	if diff := cmp.Diff([]profile.Profile{tutorial}, set.Profiles); diff != "" {
		t.Error(diff)
	}
	if problems := set.Validate(); problems != nil {
		t.Error(problems)
	}
}

func TestYAMLIsTheSame(t *testing.T) {
	for _, document := range []string{
		`securityProfileName: DataExfiltrationCheck
securityProfileDescription: Alerts on a possible data exfiltration attempt on devices
behaviors:
- name: PacketExfiltration
  metric: aws:all-packets-out
  criteria:
    comparisonOperator: greater-than
    durationSeconds: 300
    consecutiveDatapointsToAlarm: &one 1 # an anchor
    consecutiveDatapointsToClear: *one
    statisticalThreshold: {statistic: p99.99}
additionalMetricsToRetain: [aws:num-connection-attempts, aws:destination-ip-addresses,
  aws:all-packets-out, "aws:all-packets-in", 'aws:source-ip-address', aws:num-messages-sent]
`, string(EncodeYAML(tutorial)), string(EncodeYAML([]profile.Profile{tutorial})), string(EncodeJSON([]profile.Profile{tutorial}))} {
		set, problems := Parse("-", []byte(document))
		if problems != nil {
			t.Errorf("%v in\n%s", problems, document)
		}
		if diff := cmp.Diff([]profile.Profile{tutorial}, set.Profiles); diff != "" {
			t.Errorf("%s\nof\n%s", diff, document)
		}
	}
}

func TestYAMLScalars(t *testing.T) {
	set, problems := Parse("test.yaml", []byte(`securityProfileName: No
securityProfileDescription: 2026-11-23
behaviors:
- {name: off, metric: m, suppressAlerts: True, criteria: {comparisonOperator: less-than, value: {number: 0x1F}}}
- {name: "300", metric: m, exportMetric: false, criteria: {comparisonOperator: less-than, value: {number: -1.5e3}}}
- {name: !!str 300, metric: m, criteria: {comparisonOperator: less-than, value: {numbers: [+5, 1_000, .5, 12345678901234567]}}}
- {name: n, metric: m, criteria: {comparisonOperator: less-than, value: {count: 9007199254740993}}}
tags: []
targets: []
`))
	if problems != nil {
		t.Fatal(problems)
	}
	metric := func(name string, v profile.Value) profile.Behavior {
		return profile.Behavior{Name: name, Metric: "m", Criteria: &profile.Criteria{ComparisonOperator: profile.LessThan, Value: &v}}
	}
	want := profile.Profile{
		Name: "No", Description: "2026-11-23",
		Behaviors: []profile.Behavior{
			metric("off", profile.Value{Number: new(31.0)}),
			metric("300", profile.Value{Number: new(-1500.0)}),
			metric("300", profile.Value{Numbers: []float64{5, 1000, 0.5, 12345678901234567}}),
			metric("n", profile.Value{Count: new(int64(9007199254740993))}), // not a float64
		},
		Tags: []profile.Tag{}, Targets: []string{},
	}
	want.Behaviors[0].SuppressAlerts, want.Behaviors[1].ExportMetric = new(true), new(false)
	if diff := cmp.Diff(want, set.Profiles[0]); diff != "" {
		t.Error(diff)
	}
}

func TestYAMLMerge(t *testing.T) {
	set, problems := Parse("test.yaml", []byte(`securityProfileName: P
behaviors:
- name: A
  metric: aws:all-bytes-out
  criteria: &usual {comparisonOperator: less-than, durationSeconds: 300, value: {count: 5}}
- name: B
  metric: aws:all-bytes-in
  criteria: {<<: *usual, durationSeconds: 600}
`))
	if problems != nil {
		t.Fatal(problems)
	}
	want := &profile.Criteria{ComparisonOperator: profile.LessThan, DurationSeconds: new(int32(600)), Value: &profile.Value{Count: new(int64(5))}}
	if diff := cmp.Diff(want, set.Profiles[0].Behaviors[1].Criteria); diff != "" {
		t.Error(diff)
	}
}

// TestPositions checks "line:column path rule" of problems.
func TestPositions(t *testing.T) {
	const broken = `{
  "securityProfileName": "P",
  "behaviors": [
    {"name": "Überraschung", "metric": "aws:cpu",
     "criteria": {"comparisonOperator": "less-than", "value": {"ports": [1]}, "duration": 300}},
    {"name": "B",
     "metric": "aws:listening-tcp-ports",
     "criteria": {"comparisonOperator": "in-port-set", "value": {"ports": [80, 70000, "443"]}}}
  ],
  "securityProfileName": "Q"
}
`
	tests := []struct {
		file, text string
		want       []string
	}{
		{"broken.json", broken, []string{
			`5:79 behaviors[0].criteria.duration unknown-key`,
			`8:87 behaviors[1].criteria.value.ports[2] wrong-type`,
			`10:3  syntax`,
			`4:14 behaviors[0].name name`,
			`4:40 behaviors[0].metric unknown-metric`,
			`5:41 behaviors[0].criteria.comparisonOperator operator`,
			`8:80 behaviors[1].criteria.value.ports[1] value`,
		}},
		// All of it is YAML too.
		{"broken.yaml", broken, []string{
			`5:79 behaviors[0].criteria.duration unknown-key`,
			`8:87 behaviors[1].criteria.value.ports[2] wrong-type`,
			`10:3  syntax`,
			`4:14 behaviors[0].name name`,
			`4:40 behaviors[0].metric unknown-metric`,
			`5:41 behaviors[0].criteria.comparisonOperator operator`,
			`8:80 behaviors[1].criteria.value.ports[1] value`,
		}},
		{"missing.yaml", "---\nmetricName: m\n---\n- {metricName: n, metricType: number}\n- metricName: n\n", []string{
			`2:1 metricType required`, `5:3 metricType required`, `5:15 metricName duplicate-name`,
		}},
		{"anchors.yaml", "securityProfileName: P\nbehaviors:\n- {name: A, metric: m, criteria: &c {value: {}}}\n- {name: B, metric: m, criteria: *c}\n", []string{
			`3:34 behaviors[0].criteria.comparisonOperator required`,
			`3:45 behaviors[0].criteria.value required`,
			`3:45 behaviors[1].criteria.value required`,
			`4:34 behaviors[1].criteria.comparisonOperator required`,
		}},
	}
	for _, test := range tests {
		set, problems := Parse(test.file, []byte(test.text))
		var got []string
		for _, p := range append(problems, set.Validate()...) {
			if p.File != test.file {
				t.Errorf("%s: problem in %q", test.file, p.File)
			}
			got = append(got, fmt.Sprintf("%d:%d %s %s", p.Line, p.Column, p.Path, p.Rule))
		}
		if diff := cmp.Diff(test.want, got); diff != "" {
			t.Errorf("%s (-want +got)\n%s", test.file, diff)
		}
	}
}

func TestLocate(t *testing.T) {
	set, _ := Parse("set.yaml", []byte("metricName: m\nmetricType: number\n---\nmetricName: n\ntags:\n- Key: a\n"))
	tests := []struct {
		kind  DocumentKind
		index int
		path  string
		want  string
	}{
		{CustomMetricDocument, 0, "", "set.yaml:1:1"},
		{CustomMetricDocument, 0, "metricType", "set.yaml:2:13"},
		{CustomMetricDocument, 1, "metricType", "set.yaml:4:1"}, // absent: the document
		{CustomMetricDocument, 1, "tags[0].Key", "set.yaml:6:8"},
		{CustomMetricDocument, 1, "tags[7].Key", "set.yaml:6:1"},
		{CustomMetricDocument, 1, "tags[x", "set.yaml:6:1"},
		{CustomMetricDocument, 2, "metricName", ":0:0"},
		{CustomMetricDocument, -1, "metricName", ":0:0"},
		{ProfileDocument, 0, "", ":0:0"},
	}
	for _, test := range tests {
		file, line, column := set.Locate(test.kind, test.index, test.path)
		if got := fmt.Sprintf("%s:%d:%d", file, line, column); got != test.want {
			t.Errorf("%v %d %q: %s, want %s", test.kind, test.index, test.path, got, test.want)
		}
	}
}

func TestSyntax(t *testing.T) {
	deep := strings.Repeat(`[`, 100) + strings.Repeat(`]`, 100)
	laughs := "a: &a [x,x,x,x,x,x,x,x,x,x]\n"
	for c := 'b'; c < 'i'; c++ {
		laughs += fmt.Sprintf("%c: &%c [*%[3]c,*%[3]c,*%[3]c,*%[3]c,*%[3]c,*%[3]c,*%[3]c,*%[3]c,*%[3]c,*%[3]c]\n", c, c, c-1)
	}
	tests := []struct{ file, text, want string }{
		{"a.json", "{\n  \"securityProfileName\": \"P\",\n}", `a.json:3:1: error: invalid character '}' looking for beginning of object key string; want no comma after the last element (syntax)`},
		{"a.json", `[{"securityProfileName": "P"},]`, `a.json:1:31: error: invalid character ']' looking for beginning of value; want no comma after the last element (syntax)`},
		{"a.json", "{\n// name\n}", `a.json:2:1: error: invalid character '/' looking for beginning of object key string; want no comment, or a YAML file (.yaml): JSON has none (syntax)`},
		{"a.json", `{'securityProfileName': 'P'}`, `a.json:1:2: error: invalid character '\'' looking for beginning of object key string; want text in double quotes (syntax)`},
		{"a.json", `{"securityProfileName": "P" "tags": []}`, `a.json:1:29: error: invalid character '"' after object key:value pair; want a comma between elements (syntax)`},
		{"a.json", `{"securityProfileName": 01}`, `a.json:1:26: error: invalid character '1' after object key:value pair (syntax)`},
		{"a.json", "{\"securityProfileName\": \"a\tb\"}", `a.json:1:27: error: invalid character '\t' in string literal (syntax)`},
		{"a.json", `{"securityProfileName": "P"`, `a.json:1:28: error: the text ends too early (syntax)`},
		{"a.json", `{} {}`, `a.json:1:4: error: invalid character '{' after top-level value (syntax)`},
		{"a.json", `securityProfileName: P`, `a.json:1:1: error: invalid character 's' looking for beginning of value (syntax)`},
		{"a.json", `{"metricName":"m","metricType":"number","metricName":"n"}`, `a.json:1:41: error: key "metricName" is there twice, first in line 1; want one of them (syntax)`},
		{"a.json", "{\"metricName\":\"\xff\"}", `a.json:1:16: error: the text is not UTF-8 (syntax)`},
		{"a.json", deep, `a.json:1:26: error: more than 24 values within each other; want a document, which has 6 at most (syntax)`},
		{"a.json", " \n", `a.json:1:1: error: the file is empty; want a document (syntax)`},
		{"a.json", `[` + strings.Repeat(`1,`, 300000) + `1]`, `a.json:1:524288: error: the file holds more than 262144 values; want several files (syntax)`},
		{"a.json", strings.Repeat(" ", 1<<20) + "{}", `a.json:1:1: error: the file has more than 1048576 bytes; want several files (syntax)`},
		{"-", ` {"metricName": }`, `-:1:17: error: invalid character '}' looking for beginning of value (syntax)`},
		{"a.yaml", "metricName: m\nmetricType: number\nmetricName: n\n", `a.yaml:3:1: error: key "metricName" is there twice, first in line 1; want one of them (syntax)`},
		{"a.yaml", "metricName: m\n\tmetricType: number\n", `a.yaml:2:1: error: found a tab character that violates indentation; want spaces: YAML is not indented by tabs (syntax)`},
		{"a.yaml", "metricName: m\ntags:\n  - {Key: a}\n    Value: b\nmetricType: number\n", `a.yaml:4:5: error: did not find expected '-' indicator (syntax)`},
		{"a.yaml", "metricName: m\nmetricType: *number\ntags: []\n", `a.yaml:2:1: error: unknown anchor 'number' referenced (syntax)`},
		{"a.yaml", "metricName: m\nmetricType: [number\ntags: []\n", `a.yaml:2:1: error: did not find expected ',' or ']' (syntax)`},
		{"a.yaml", "metricName: m\nmetricType: \"number\ntags: []\n", `a.yaml:2:1: error: found unexpected end of stream (syntax)`},
		{"a.yaml", "metricName: m\n---\nmetricName: a: b\n---\nmetricName: n\n", `a.yaml:3:1: error: mapping values are not allowed in this context (syntax)`},
		{"a.yaml", "# nothing\n", `a.yaml:1:1: error: the file holds no document; want a document (syntax)`},
		{"a.yaml", "metricName: m\nmetricType: !Ref Type\n", `a.yaml:2:13: error: tag !Ref is not understood; want plain YAML (syntax)`},
		{"a.yaml", "metricName: m\nmetricType: !!binary bg==\n", `a.yaml:2:13: error: tag !!binary is not understood; want plain YAML (syntax)`},
		{"a.yaml", "metricName: 0755\nmetricType: number\n", `a.yaml:1:13: error: 0755 is octal to some readers of YAML and decimal to others; want a number without leading zeros, or quotes around text (syntax)`},
		{"a.yaml", "metricName: .inf\nmetricType: number\n", `a.yaml:1:13: error: .inf is not a number that JSON has; want a decimal number (syntax)`},
		{"a.yaml", "metricName: &a [*a]\nmetricType: number\n", `a.yaml:1:17: error: alias *a is inside its own anchor (syntax)`},
		{"a.yaml", "[1, 2]: x\n", `a.yaml:1:1: error: a key is not text (syntax)`},
		{"a.yaml", "{<<: 5, metricName: m}\n", `a.yaml:1:6: error: << merges a number; want an object (syntax)`},
		{"a.yaml", laughs, `error: the file holds more than 262144 values; want several files (syntax)`},
		{"a.yaml", deep, `a.yaml:1:26: error: more than 24 values within each other; want a document, which has 6 at most (syntax)`},
	}
	for _, test := range tests {
		_, problems := Parse(test.file, []byte(test.text))
		if len(problems) == 0 || !strings.HasSuffix(problems[0].String(), test.want) {
			t.Errorf("%.100q: problems\n%v\nwant\n%s", test.text, problems, test.want)
		}
	}
	long := strings.Repeat("ü", 10000)
	for _, p := range validate(`{"metricName":"m","metricType":"` + long + `","` + long + `":1}`) {
		if len(p.Message) > 1000 || !strings.HasSuffix(p.Message, "ü...") {
			t.Errorf("message %s", p.Message)
		}
	}
	var keys, merged strings.Builder
	for i := range 101 {
		fmt.Fprintf(&keys, "k%d: 1\n", i)
		fmt.Fprintf(&merged, "- {k%d: 1}\n", i)
	}
	for _, text := range []string{keys.String(), "<<:\n" + merged.String()} {
		_, problems := Parse("a.yaml", []byte(text))
		if len(problems) != 1 || problems[0].Message != "an object of more than 100 keys" {
			t.Errorf("problems %v", problems)
		}
	}
}

// TestManyFaults checks that a file as full of faults as its size allows is
// validated at all: each fault was once compared with each.
func TestManyFaults(t *testing.T) {
	set, problems := Parse("a.json", []byte(`{"securityProfileName":"P","behaviors":[`+strings.Repeat(`{"name":1},`, 80_000)+`{}]}`))
	if len(problems) != 80_000 {
		t.Errorf("Parse found %d problems, want the type of each name", len(problems))
	}
	// The number of behaviors, metric and criteria of each, the last one's name.
	if n := len(set.Validate()); n != 1+2*80_001+1 {
		t.Errorf("Validate found %d problems", n)
	}
}

// TestRestIsRead checks that a fault keeps nothing else from being read.
func TestRestIsRead(t *testing.T) {
	set, problems := Parse("a.yaml", []byte("metricName: m\nmetricType: 5\n---\nmetricName: n\nmetricType: number\n---\nmetricName: {\n"))
	want := []profile.CustomMetric{{Name: "m"}, {Name: "n", Type: "number"}}
	if diff := cmp.Diff(want, set.CustomMetrics); diff != "" || len(problems) != 2 {
		t.Errorf("%s, problems %v", diff, problems)
	}
	if problems := set.Validate(); problems != nil {
		t.Errorf("said again: %v", problems)
	}
}

func TestByteOrderMark(t *testing.T) {
	for _, file := range []string{"a.json", "a.yaml", "-"} {
		if set, problems := Parse(file, []byte("\ufeff{\"metricName\": \"m\"}")); len(set.CustomMetrics) != 1 || problems != nil {
			t.Errorf("%s: %v", file, problems)
		}
	}
}

func TestLoad(t *testing.T) {
	folder := t.TempDir()
	for name, text := range map[string]string{
		"b.yml":            "metricName: b",
		"a.json":           `{"metricName": "a"}`,
		"sub/c.yaml":       "metricName: c",
		"readme.md":        "not a document",
		".hidden.yaml":     "metricName: hidden",
		".git/config.json": "x",
		"d.json":           "{",
	} {
		path := filepath.Join(folder, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	set, problems, err := Load([]string{"-", folder, filepath.Join(folder, "a.json")}, strings.NewReader("metricName: stdin"))
	if err != nil {
		t.Fatal(err)
	}
	want := []profile.CustomMetric{{Name: "stdin"}, {Name: "a"}, {Name: "b"}, {Name: "c"}}
	if diff := cmp.Diff(want, set.CustomMetrics, cmpopts.IgnoreFields(profile.CustomMetric{}, "Type")); diff != "" {
		t.Error(diff)
	}
	if len(problems) != 1 || problems[0].File != filepath.Join(folder, "d.json") {
		t.Errorf("problems %v", problems)
	}
	var files []string
	for _, p := range set.Validate() {
		files = append(files, filepath.Base(p.File))
	}
	if diff := cmp.Diff([]string{"-", "a.json", "b.yml", "c.yaml"}, files); diff != "" {
		t.Error(diff)
	}

	for _, missing := range []string{filepath.Join(folder, "none.yaml"), t.TempDir()} {
		if _, _, err := Load([]string{missing}, nil); err == nil || !strings.Contains(err.Error(), missing) {
			t.Errorf("%s: error %v", missing, err)
		}
	}
}
