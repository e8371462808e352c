package profilefile

import (
	"os"
	"regexp"
	"testing"

	"github.com/device-defender/device-defender/internal/defender/profile"
)

// lineBreak is what YAML takes for one.
var lineBreak = regexp.MustCompile("\r\n|[\r\n\u0085\u2028\u2029]")

// FuzzParse holds what is read to its own limits: problems are inside the
// text, and a document that is read writes and reads as itself.
func FuzzParse(f *testing.F) {
	tutorial, err := os.ReadFile("testdata/data-exfiltration-check.json")
	if err != nil {
		f.Fatal(err)
	}
	f.Add("a.json", tutorial)
	for _, test := range documentTests {
		f.Add("a.json", []byte(test.document))
		f.Add("a.yaml", []byte(test.document))
	}
	for _, seed := range []string{
		"securityProfileName: P\nbehaviors:\n- &a {name: B, criteria: {value: {ports: [1, 0x2, 0o7]}}}\n- <<: *a\n  name: C\n",
		"metricName: m\n--- \n...\n---\n- metricName: !!str 5\n  tags: [{Key: |\n    x\n}]\n",
		`[{"name":"A","metric":"m","criteria":{}},{"criteria":[]}]`, "Resources:\n  P: {Type: AWS::IoT::SecurityProfile}\n", `{"resource":{"awscc_iot_dimension":{"a":1}}}`, "resource \"a\" \"b\" {\n",
		"? [a]\n: b\n", "a: &a [*a]", "\ufeff{}", "%YAML 1.1\n---\nname: 012\nstringValues: [~, .nan, 1_0, 2001-01-01]\n", "name: \"\\ud800\"", "\x00", "[", "- - - -", "{\"name\":1e400}",
	} {
		f.Add("-", []byte(seed))
		f.Add("a.yaml", []byte(seed))
	}
	f.Fuzz(func(t *testing.T, file string, data []byte) {
		set, problems := Parse(file, data)
		lines := len(lineBreak.FindAll(data, -1)) + 1
		for _, p := range append(problems, set.Validate()...) {
			if p.Line < 1 || p.Line > lines+1 || p.Column < 1 || p.Message == "" || p.Rule == "" {
				t.Errorf("problem %+v of %d lines", p, lines)
			}
		}
		for kind, documents := range map[DocumentKind]int{
			ProfileDocument: len(set.Profiles), CustomMetricDocument: len(set.CustomMetrics),
			DimensionDocument: len(set.Dimensions), MitigationActionDocument: len(set.MitigationActions),
		} {
			if len(set.sources[kind]) != documents {
				t.Errorf("%d sources of %d documents of %v", len(set.sources[kind]), documents, kind)
			}
		}
		for i := range set.Profiles {
			p := &set.Profiles[i]
			if len(problems) == 0 {
				for _, encoded := range [][]byte{EncodeJSON(p), EncodeYAML(p)} {
					again, problems := Parse("-", encoded)
					if len(problems) > 0 || len(again.Profiles) != 1 {
						t.Fatalf("%v of\n%s", problems, encoded)
					}
					if changes := Diff(p, &again.Profiles[0]); changes != nil {
						t.Errorf("changes %+v", changes)
					}
				}
			}
			if changes := Diff(p, p); changes != nil {
				t.Errorf("changes %+v", changes)
			}
			for _, b := range p.Behaviors {
				m, _ := profile.MetricOf(b.Metric, set.Registry())
				profile.Expectation(b, m)
			}
		}
	})
}
