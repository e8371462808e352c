package cli

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// What another user has put in the way is not followed, wherever it stands in
// the path.
func TestLinksOfOthersAreNotFollowed(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can make files of others")
	}
	root := t.TempDir()
	link := func(name, target string, owner int) string {
		t.Helper()
		path := filepath.Join(root, name)
		if err := os.Symlink(target, path); err != nil {
			t.Fatal(err)
		}
		if err := os.Lchown(path, owner, owner); err != nil {
			t.Fatal(err)
		}
		return path
	}
	folder := filepath.Join(root, "real")
	if err := os.Mkdir(folder, 0o700); err != nil {
		t.Fatal(err)
	}
	const other = 65534
	theirs := link("theirs", folder, other)
	ours := link("ours", "real", 0)
	link("real/inner", "/nowhere", other)
	toTheirs := link("chain", "theirs", 0)
	link("loop", "loop", 0)
	profile := filepath.Join(root, "p.json")
	for path, refused := range map[string]bool{
		theirs: true, filepath.Join(theirs, "new"): true, toTheirs: true, filepath.Join(ours, "inner"): true, filepath.Join(root, "loop"): true,
		ours: false, filepath.Join(ours, "new", "file"): false, folder: false, profile: false, "/dev/stdout": false,
	} {
		if err := checkLinks(path); (err != nil) != refused {
			t.Errorf("%s: %v", path, err)
		}
	}
	// The commands ask before they write.
	for _, args := range [][]string{
		{"serve", "--listen", "127.0.0.1:0", "--data", filepath.Join(theirs, "state")},
		{"local", "--listen", "127.0.0.1:0", "--data", theirs},
		{"record", "--output-file", filepath.Join(theirs, "recording"), "--count", "1"},
	} {
		cmd := newRoot()
		cmd.SetArgs(args)
		cmd.SetOut(os.Stderr)
		if err := cmd.ExecuteContext(t.Context()); err == nil || !strings.Contains(err.Error(), "a link of another user") {
			t.Errorf("%q: %v", args, err)
		}
	}
	if entries, _ := os.ReadDir(folder); len(entries) != 1 {
		t.Errorf("something was written through the link: %v", entries)
	}
}
