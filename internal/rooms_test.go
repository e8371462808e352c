package internal_test

import (
	"bytes"
	"cmp"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const module = "github.com/device-defender/device-defender/internal/"

// room is a row of the house plan's table. Packages below a room's folder that
// have no row of their own belong to it.
type room struct {
	name    string // its folder
	imports string // the last column
}

// The house plan's table has every package, after all that it imports, and says
// what it imports.
func TestRooms(t *testing.T) {
	rooms := readRooms(t)
	imported := imports(t)
	// roomOf is the row of a package, the longest that fits.
	roomOf := func(pkg string) int {
		best := -1
		for i, r := range rooms {
			if (pkg == r.name || strings.HasPrefix(pkg, r.name+"/")) && (best < 0 || len(r.name) > len(rooms[best].name)) {
				best = i
			}
		}
		return best
	}
	uses := make([]map[int]bool, len(rooms))
	for pkg, others := range imported {
		from := roomOf(pkg)
		if from < 0 {
			t.Errorf("internal/%s is in no room", pkg)
			continue
		}
		if uses[from] == nil {
			uses[from] = map[int]bool{}
		}
		for _, other := range others {
			to := roomOf(other)
			switch {
			case to > from:
				t.Errorf("internal/%s imports %s, whose row is below its own", pkg, other)
			case to >= 0 && to != from:
				uses[from][to] = true
			}
		}
	}
	for i, r := range rooms {
		if uses[i] == nil {
			t.Errorf("there is no package %s", r.name)
			continue
		}
		var want []string
		for to := range uses[i] {
			want = append(want, "`"+path.Base(rooms[to].name)+"`")
		}
		slices.Sort(want)
		if want := cmp.Or(strings.Join(want, ", "), "-"); r.imports != want {
			t.Errorf("row of %s: imports %s, want %s", r.name, r.imports, want)
		}
	}
}

// readRooms reads the table.
func readRooms(t *testing.T) (rooms []room) {
	t.Helper()
	plan, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, table, _ := bytes.Cut(plan, []byte("## The rooms"))
	table, _, _ = bytes.Cut(table, []byte("\n## "))
	for line := range strings.Lines(string(table)) {
		row, ok := strings.CutPrefix(line, "| `")
		if !ok {
			continue
		}
		name, rest, _ := strings.Cut(row, "`")
		cells := strings.Split(strings.TrimSuffix(strings.TrimSpace(rest), " |"), " | ")
		rooms = append(rooms, room{name, cells[len(cells)-1]})
	}
	return rooms
}

// imports reads what each package imports of these, apart from its tests.
func imports(t *testing.T) map[string][]string {
	t.Helper()
	imported := map[string][]string{}
	err := filepath.WalkDir(".", func(name string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && d.Name() == "testdata":
			return filepath.SkipDir
		case d.IsDir() || !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go"):
			return nil
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ImportsOnly)
		if err != nil {
			return err
		}
		pkg := path.Dir(filepath.ToSlash(name))
		imported[pkg] = append(imported[pkg], "") // also one that imports nothing
		for _, spec := range file.Imports {
			quoted, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				return err
			}
			if other, ours := strings.CutPrefix(quoted, module); ours {
				imported[pkg] = append(imported[pkg], other)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return imported
}
