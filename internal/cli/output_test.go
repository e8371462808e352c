package cli

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/cobra"
	"go.yaml.in/yaml/v3"

	"github.com/device-defender/device-defender/internal/defender/profile"
)

// hostile is what a device may call itself: it colours, hides, turns around,
// breaks lines, and is text of YAML that means something.
var hostile = []string{
	"\x1b[31mred\x1b[0m", "\u202egnp.exe", "a\nb", "a\rb", "zero\u200bwidth", "\u009b2J", "\U000e0001tag", "tab\there", "\x7f", "nul\x00",
	"yes", "on", "1:20", "012", "null", "~", "- a", "# b", "a: b", "'", `"`, `\u0041`, " lead", "é", "日本", "",
}

type thingRow struct {
	Name string            `json:"name"`
	List []string          `json:"list"`
	Map  map[string]string `json:"map,omitempty"`
}

func written(t *testing.T, format string, value any, shown table) string {
	t.Helper()
	var b bytes.Buffer
	cmd := &cobra.Command{}
	cmd.SetOut(&b)
	o := outputFlags(cmd)
	if err := cmd.Flags().Set("output", format); err != nil {
		t.Fatal(err)
	}
	if err := o.write(cmd, value, shown); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// JSON and YAML say the same, exactly, and are safe to look at.
func TestOutputForPrograms(t *testing.T) {
	want := []thingRow{{Name: "a", List: []string{}}, {Name: "b", List: hostile, Map: map[string]string{}}}
	for _, h := range hostile {
		want[1].Map[h] = h
	}
	for format, decode := range map[string]func([]byte, any) error{
		"json": json.Unmarshal,
		"yaml": func(data []byte, v any) error {
			var tree any
			if err := yaml.Unmarshal(data, &tree); err != nil {
				return err
			}
			again, err := json.Marshal(tree)
			if err != nil {
				return err
			}
			return json.Unmarshal(again, v)
		},
	} {
		text := written(t, format, want, table{})
		if strings.ContainsFunc(strings.ReplaceAll(text, "\n", ""), isInvisible) {
			t.Errorf("%s is not harmless: %q", format, text)
		}
		var got []thingRow
		if err := decode([]byte(text), &got); err != nil {
			t.Fatalf("%s: %v\n%s", format, err, text)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: %s", format, diff)
		}
	}
}

func TestOutputYAML(t *testing.T) {
	const want = `name: a
list:
  - "yes"
  - two words
  - "\u202eb"
map:
  k: "10"
`
	if diff := cmp.Diff(want, written(t, "yaml", thingRow{"a", []string{"yes", "two words", "\u202eb"}, map[string]string{"k": "10"}}, table{})); diff != "" {
		t.Error(diff)
	}
}

func TestOutputTable(t *testing.T) {
	shown := table{
		header: []string{"THING", "COUNT", "NOTE"}, right: []int{1}, empty: "none",
		rows: [][]string{{"gateway-1", "5", ""}, {"日本", "1,000", "\x1b[31mred\nline"}},
	}
	const want = `THING      COUNT  NOTE
gateway-1      5
日本       1,000  \u{1b}[31mred\u{a}line
`
	if diff := cmp.Diff(want, written(t, "table", nil, shown)); diff != "" {
		t.Error(diff)
	}
	if got := shown.render(true); !strings.HasPrefix(got, "\x1b[1mTHING      COUNT  NOTE\x1b[0m\n") || strings.Count(got, "\x1b") != 2 {
		t.Errorf("in colour: %q", got)
	}
	shown.rows = nil
	if got := written(t, "table", nil, shown); got != "none\n" {
		t.Errorf("empty: %q", got)
	}
}

// Text that is given as an argument or read from a file is cut to what is
// around the place, and the caret stays under it.
func TestExcerpt(t *testing.T) {
	long := strings.Repeat("a", 200) + "X" + strings.Repeat("b", 200)
	for _, test := range []struct {
		line        string
		column      int
		want, below string
	}{
		{"\tname: x", 8, "    name: x", "          ^"},
		{"日本: x", 5, "日本: x", "      ^"},
		{"a: \x1b[2Jb", 4, `a: \u{1b}[2Jb`, "   ^"},
		{"end", 4, "end", "   ^"},
		{"short", 9, "", "^"},
		{long, 201, "…" + strings.Repeat("a", 40) + "X" + strings.Repeat("b", 59) + "…", strings.Repeat(" ", 41) + "^"},
	} {
		shown, offset := excerpt(test.line, test.column)
		if below := strings.Repeat(" ", offset) + "^"; shown != test.want || below != test.below {
			t.Errorf("%q column %d:\n%q\n%q, want\n%q\n%q", test.line, test.column, shown, below, test.want, test.below)
		}
	}
}

func TestProblemsInColour(t *testing.T) {
	var b strings.Builder
	s := &sources{lines: map[string][]string{"a.yaml": {"x", "name: \x1b]0;title\x07"}}}
	s.problem(&b, profile.Problem{File: "a.yaml", Line: 2, Column: 7, Path: "name", Severity: profile.Error, Rule: "name", Message: "bad \x1b[2J", Want: "a name"}, true)
	const want = "\x1b[1ma.yaml:2:7: \x1b[0m\x1b[31merror:\x1b[0m bad \\u{1b}[2J \x1b[2m[name]\x1b[0m\n" +
		"  \x1b[2m2 | \x1b[0mname: \\u{1b}]0;title\\u{7}\n" +
		"  \x1b[2m  | \x1b[0m      \x1b[31m^\x1b[0m\n" +
		"  \x1b[2mat  \x1b[0m name\n" +
		"  \x1b[2mwant\x1b[0m \x1b[32ma name\x1b[0m\n"
	if diff := cmp.Diff(want, b.String()); diff != "" {
		t.Error(diff)
	}
}

// Exit codes of lint: 0 warnings only, 1 errors, 2 a wrong command line.
func TestLintExitCodes(t *testing.T) {
	for _, test := range []struct {
		stdin string
		args  []string
		want  int
	}{
		{"securityProfileName: P\n", nil, 0},
		{"securityProfileName: P\n", []string{"--strict"}, 1},
		{"securityProfileName: P Q\n", nil, 1},
		{"securityProfileName: P\n", []string{"--ignore", "nonsense"}, 2},
		{"securityProfileName: P\n", []string{"--report", "nosuch"}, 1},
		{"securityProfileName: P\n", []string{"-o", "xml"}, 2},
	} {
		var out bytes.Buffer
		if got := Main(t.Context(), append([]string{"profile", "lint", "-"}, test.args...), strings.NewReader(test.stdin), &out, &out); got != test.want {
			t.Errorf("%q %q: exit code %d, want %d\n%s", test.stdin, test.args, got, test.want, out.String())
		}
	}
}
