package hostproc

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// open opens a proc tree.
func open(t testing.TB, root string) *Host {
	t.Helper()
	h, err := Open(root)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// copyTree returns a writable copy of a tree of testdata, at a path that ends in
// name.
func copyTree(t testing.TB, tree, name string) string {
	t.Helper()
	root := filepath.Join(t.TempDir(), name)
	if err := os.CopyFS(root, os.DirFS(filepath.Join("testdata", tree))); err != nil {
		t.Fatal(err)
	}
	return root
}

func write(t testing.TB, root, name, content string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(root, name), []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

func remove(t testing.TB, root, name string) {
	t.Helper()
	if err := os.RemoveAll(filepath.Join(root, name)); err != nil {
		t.Fatal(err)
	}
}

func TestNetDir(t *testing.T) {
	for _, tree := range []string{"native", "container", "noipv6", "subset"} {
		root := filepath.Join("testdata", tree)
		h := open(t, root+"/") // as people write it
		if h.Root() != root || h.NetDir() != root+"/1/net" || h.Notice() != "" {
			t.Errorf("%s: root %s, network tables in %s, notice %q", tree, h.Root(), h.NetDir(), h.Notice())
		}
	}
}

// What hidepid hides is replaced by <root>/net for the reader's own proc only.
func TestNetDirHidden(t *testing.T) {
	const root = "testdata/hidepid"
	dir, notice, err := networkDir(root, true)
	if err != nil || dir != root+"/net" || !strings.Contains(notice, root+"/1/net/tcp") {
		t.Errorf("own proc: %s, notice %q, %v", dir, notice, err)
	}
	if _, _, err := networkDir(root, false); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("foreign proc: error %v, want why 1/net can't be read", err)
	}
	if _, _, err := networkDir(t.TempDir(), true); err == nil {
		t.Error("own proc without any tables: no error")
	}
}

func TestOpenErrors(t *testing.T) {
	empty := t.TempDir()
	tests := []struct {
		name, root string
		want       []string // all in the error
	}{
		{"missing", "testdata/absent", []string{"testdata/absent", "no such file"}},
		{"a file", "testdata/native/stat", []string{"testdata/native/stat is not a directory"}},
		{"another folder", empty, []string{empty, "not a proc file system"}},
		{"hidepid", "testdata/hidepid", []string{"testdata/hidepid/1/net/tcp", "testdata/hidepid/net is no substitute", "gid="}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			_, err := Open(test.root)
			if err == nil {
				t.Fatal("no error")
			}
			for _, want := range test.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("%q is not in %q", want, err)
				}
			}
		})
	}
}
