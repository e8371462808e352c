package artifacts

import (
	"bytes"
	"encoding/json"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// files returns the files below a folder whose names match a pattern, and
// fails the test if there are none.
func files(t *testing.T, pattern string) []string {
	t.Helper()
	names, err := filepath.Glob(pattern)
	if err != nil || len(names) == 0 {
		t.Fatalf("no file %s: %v", pattern, err)
	}
	return names
}

func read(t *testing.T, name string) string {
	t.Helper()
	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// decode reads one JSON document; a member that into does not have is an
// error, as it is for the AWS CLI.
func decode(document string, into any) error {
	d := json.NewDecoder(strings.NewReader(document))
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		return err
	}
	if d.More() {
		return &json.SyntaxError{Offset: d.InputOffset()}
	}
	return nil
}

func TestEveryDocumentIsJSON(t *testing.T) {
	for _, name := range files(t, "*/*.json") {
		document := read(t, name)
		if !json.Valid([]byte(document)) {
			t.Errorf("%s is not JSON", name)
		}
		if !strings.HasSuffix(document, "}\n") {
			t.Errorf("%s does not end with a new line", name)
		}
		if repeated := repeatedMember(document); repeated != "" {
			t.Errorf("%s: member %s twice in one object", name, repeated)
		}
	}
}

// repeatedMember returns a name that stands twice in one object, which JSON
// readers let pass.
func repeatedMember(document string) string {
	type level struct {
		object bool
		key    bool // a member's name is next
		names  []string
	}
	d := json.NewDecoder(strings.NewReader(document))
	var levels []level
	for {
		token, err := d.Token()
		if err != nil {
			return ""
		}
		if name, ok := token.(string); ok && len(levels) > 0 && levels[len(levels)-1].key {
			l := &levels[len(levels)-1]
			if slices.Contains(l.names, name) {
				return name
			}
			l.names, l.key = append(l.names, name), false
			continue
		}
		switch token {
		case json.Delim('{'), json.Delim('['):
			levels = append(levels, level{object: token == json.Delim('{'), key: token == json.Delim('{')})
			continue
		case json.Delim('}'), json.Delim(']'):
			levels = levels[:len(levels)-1]
		}
		if len(levels) > 0 {
			levels[len(levels)-1].key = levels[len(levels)-1].object
		}
	}
}

func TestRepeatedMember(t *testing.T) {
	tests := []struct{ document, want string }{
		{`{"a": 1, "b": {"a": "a"}, "c": ["a", "a", {"a": 1}]}`, ""},
		{`{"a": 1, "b": 2, "a": 3}`, "a"},
		{`[{"a": 1}, {"b": {"c": [], "c": {}}}]`, "c"},
	}
	for _, test := range tests {
		if got := repeatedMember(test.document); got != test.want {
			t.Errorf("repeatedMember(%s) = %q, want %q", test.document, got, test.want)
		}
	}
}

// placeholder is a word that the user replaces.
var placeholder = regexp.MustCompile(`\b[A-Z]{4,}\b`)

// notPlaceholders are words in capitals that the services define.
var notPlaceholders = []string{"ROLLBACK", "NOTIFY", "CANCEL", "FAILED", "ICMP"}

func TestReadmeNamesEveryFileAndPlaceholder(t *testing.T) {
	readme := read(t, "README.md")
	err := filepath.WalkDir(".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || strings.HasSuffix(name, ".go") || name == "README.md" {
			return err
		}
		if !strings.Contains(readme, "`"+name+"`") {
			t.Errorf("README.md does not mention `%s`", name)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range regexp.MustCompile("`((?:profiles|policies|deployments)/[^` ]+)`").FindAllStringSubmatch(readme, -1) {
		if _, err := os.Stat(name[1]); err != nil && !strings.Contains(name[1], "*") {
			t.Errorf("README.md: %v", err)
		}
	}
	for _, name := range files(t, "[pd]*/*.json") {
		for _, word := range placeholder.FindAllString(read(t, name), -1) {
			if !slices.Contains(notPlaceholders, word) && !strings.Contains(readme, "| `"+word+"` |") {
				t.Errorf("%s: README.md does not say what %s stands for", name, word)
			}
		}
	}
}

// compact removes the white space of a document, as the services do before
// they measure it.
func compact(t *testing.T, document string) string {
	t.Helper()
	var b bytes.Buffer
	if err := json.Compact(&b, []byte(document)); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// TestFolderReadmes: the other folders beside this one have a table
// of what is in them, too.
func TestFolderReadmes(t *testing.T) {
	for _, folder := range []string{"../recipes", "../scripts"} {
		readme := read(t, folder+"/README.md")
		entries, err := os.ReadDir(folder)
		if err != nil {
			t.Fatal(err)
		}
		for _, entry := range entries {
			name := entry.Name()
			if entry.IsDir() {
				name += "/"
			}
			if name != "README.md" && !strings.Contains(readme, "| `"+name+"` |") {
				t.Errorf("%s/README.md has no row for `%s`", folder, name)
			}
		}
		for _, row := range regexp.MustCompile("(?m)^\\| `([^`]+)` \\|").FindAllStringSubmatch(readme, -1) {
			if _, err := os.Stat(filepath.Join(folder, row[1])); err != nil {
				t.Errorf("%s/README.md: %v", folder, err)
			}
		}
	}
}
