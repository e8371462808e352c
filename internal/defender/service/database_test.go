package service

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/device-defender/device-defender/internal/memdir"
)

// storedFiles is the database of a service that was used.
func storedFiles(t *testing.T) map[string][]byte {
	t.Helper()
	b := newBench(t, Options{MinReportInterval: -1})
	b.attach(profileOf("Ports", onlyPort(443), atMost(100)))
	for i := range 200 {
		b.reports(fmt.Sprint("thing-", i), ports(8080, 443)+","+packets(i))
	}
	// What is in the log only is in a table after the next start.
	b.restart()
	ok(b, 0, b.Close())
	files := map[string][]byte{}
	for _, name := range names(t, b.path) {
		data, err := os.ReadFile(filepath.Join(b.path, name))
		files[name] = ok(b, data, err)
	}
	return files
}

// withFiles returns a folder with the database.
func withFiles(t *testing.T, files map[string][]byte) string {
	t.Helper()
	folder := memdir.New(t)
	if err := os.Mkdir(filepath.Join(folder, storeFolder), 0o700); err != nil {
		t.Fatal(err)
	}
	for name, data := range files {
		if err := os.WriteFile(filepath.Join(folder, storeFolder, name), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return folder
}

func init() { children["look"] = lookAtDatabases }

// lookAtDatabases is a process that prints, for each folder, what a service with
// it says of its database. A damaged one leaves goroutines behind that wait for
// the end of the process.
func lookAtDatabases(folders []string) {
	for _, folder := range folders {
		fmt.Printf("%q\n", fmt.Sprint(lookAtDatabase(folder)))
	}
}

func lookAtDatabase(folder string) error {
	s, err := Open(Options{Data: folder, Now: func() time.Time { return start }})
	if err != nil {
		return err
	}
	// Not all of it is read at the start.
	for _, path := range []string{"/security-profiles", "/active-violations"} {
		s.Handler().ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", "http://localhost"+path, nil))
	}
	_, _, err = s.Things(context.Background(), 1000)
	err = errors.Join(err, s.advance(context.Background()), s.prune(context.Background()))
	s.Close()
	return err
}

// damagedDatabase is a database that may be damaged, in a service's folder.
type damagedDatabase struct {
	what, folder, name string
	must               bool
}

// checkDamaged checks that a service says in one line what is wrong with the
// databases, if anything is.
func checkDamaged(t *testing.T, list []damagedDatabase) {
	t.Helper()
	var folders []string
	for _, d := range list {
		folders = append(folders, d.folder)
	}
	cmd, lines := startChild(t, "look", folders...)
	for _, d := range list {
		if !lines.Scan() {
			t.Fatalf("%s: the process ended: %v", d.what, lines.Err())
		}
		says, err := strconv.Unquote(lines.Text())
		switch want := "database " + filepath.Join(d.folder, d.name) + " is damaged"; {
		case err != nil, strings.Contains(says, "goroutine"), strings.Contains(says, "another defenderctl"):
			t.Errorf("%s: %q", d.what, lines.Text())
		case d.must && (!strings.Contains(says, want) || !strings.Contains(says, "put a copy in its place, or move it away") || strings.Contains(says, "\n")):
			t.Errorf("%s: %s, want what to do", d.what, says)
		}
	}
	if err := cmd.Wait(); err != nil {
		t.Error(err)
	}
}

func TestDamagedDatabase(t *testing.T) {
	good := storedFiles(t)
	var list []string
	for name := range good {
		list = append(list, name)
	}
	slices.Sort(list)
	find := func(part string) string {
		t.Helper()
		for _, name := range slices.Backward(list) {
			if strings.Contains(name, part) && !strings.HasPrefix(name, "marker") {
				return name // the latest
			}
		}
		t.Fatalf("no file %q of %q", part, list)
		return ""
	}
	with := func(name string, data []byte) string {
		files := map[string][]byte{name: data}
		for other, data := range good {
			if other != name {
				files[other] = data
			}
		}
		return withFiles(t, files)
	}
	manifest, rows := find("MANIFEST"), find(".sst")
	text := []byte(strings.Repeat("hello, world\n", 10_000))
	var cases []damagedDatabase
	for _, bad := range []struct {
		what, name string
		data       []byte
	}{
		{"text for a manifest", manifest, text},
		{"zeros for a manifest", manifest, make([]byte, len(good[manifest]))},
		{"text for a table", rows, text},
		{"zeros for a table", rows, make([]byte, len(good[rows]))},
		{"no table", rows, nil},
		{"half a table", rows, good[rows][:len(good[rows])/2]},
	} {
		cases = append(cases, damagedDatabase{bad.what, with(bad.name, bad.data), storeFolder, true})
	}
	rng := rand.New(rand.NewPCG(1, 2))
	for i := range 60 {
		name := list[rng.IntN(len(list))]
		data := slices.Clone(good[name])
		if len(data) == 0 {
			continue
		}
		at := rng.IntN(len(data))
		for range 1 + rng.IntN(64) {
			data[min(at+rng.IntN(4096), len(data)-1)] = byte(rng.Uint32())
		}
		cases = append(cases, damagedDatabase{fmt.Sprintf("%d: %s at %d", i, name, at), with(name, data), storeFolder, false})
	}
	checkDamaged(t, cases)
}

func TestDatabaseInUse(t *testing.T) {
	folder := t.TempDir()
	openService(t, Options{Data: folder})
	if _, err := Open(Options{Data: folder}); err == nil || !strings.Contains(err.Error(), "is another defenderctl using it?") {
		t.Errorf("a second one: %v", err)
	}
	if os.Geteuid() == 0 {
		return
	}
	for _, closed := range []string{filepath.Join(folder, storeFolder), folder} {
		if err := os.Chmod(closed, 0); err != nil {
			t.Fatal(err)
		}
		defer os.Chmod(closed, 0o700)
		if _, err := Open(Options{Data: folder}); err == nil || strings.Contains(err.Error(), "another") {
			t.Errorf("one that may not be read: %v", err)
		}
	}
}
