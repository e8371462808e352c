package service

import (
	"bufio"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/device-defender/device-defender/internal/defender/store"
	"github.com/device-defender/device-defender/internal/memdir"
)

func init() { children["write"] = writeUntilKilled }

// writeUntilKilled is a process that makes things, groups and profiles which
// belong together, several at once, and prints the number of each that the
// service has acknowledged.
func writeUntilKilled(args []string) {
	s, err := Open(Options{Data: args[0]})
	if err != nil {
		panic(err)
	}
	handler := s.Handler()
	call := func(method, path, body string) {
		r := httptest.NewRequest(method, "http://localhost"+path, strings.NewReader(body))
		r.Header.Set("Content-Type", "application/json")
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, r)
		if w.Code != http.StatusOK {
			panic(fmt.Sprint(path, w.Code, w.Body))
		}
	}
	var out sync.Mutex
	for writer := range 3 {
		go func() {
			for i := 0; ; i++ {
				n := fmt.Sprintf("%s-%d-%d", args[1], writer, i)
				call("POST", "/things/"+n, "")
				call("POST", "/thing-groups/"+n, "")
				call("PUT", "/thing-groups/addThingToThingGroup", fmt.Sprintf(`{"thingGroupName":%q,"thingName":%q}`, n, n))
				call("POST", "/security-profiles/"+n, `{"tags":[{"Key":"k","Value":"v"}]}`)
				call("PUT", "/security-profiles/"+n+"/targets?securityProfileTargetArn="+account+"thinggroup/"+n, "")
				if i%2 == 1 {
					call("DELETE", "/thing-groups/"+n, "")
				}
				out.Lock()
				fmt.Println(n, i%2)
				out.Unlock()
			}
		}()
	}
	select {}
}

// startChild starts the test binary again as one of the children.
func startChild(t *testing.T, child string, args ...string) (*exec.Cmd, *bufio.Scanner) {
	t.Helper()
	binary, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), binary, args...)
	cmd.Env = append(os.Environ(), childVariable+"="+child)
	cmd.Stderr = os.Stderr
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return cmd, bufio.NewScanner(stdout)
}

// TestKilled kills a process while it writes, several times, and looks at what
// is left: everything that was acknowledged, and nothing by halves.
func TestKilled(t *testing.T) {
	data := memdir.New(t)
	deleted := map[string]bool{} // by what was acknowledged: whether its group was deleted
	for round := range 6 {
		cmd, lines := startChild(t, "write", data, fmt.Sprint(round))
		for range 1 + rand.IntN(30) {
			if !lines.Scan() {
				t.Fatalf("the child ended: %v", lines.Err())
			}
			name, odd, _ := strings.Cut(lines.Text(), " ")
			deleted[name] = odd == "1"
		}
		if err := cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		for lines.Scan() { // what it said before it died
			if name, odd, whole := strings.Cut(lines.Text(), " "); whole && odd != "" {
				deleted[name] = odd == "1"
			}
		}
		if err := cmd.Wait(); !errors.As(err, new(*exec.ExitError)) {
			t.Fatalf("the child was not killed: %v", err)
		}
		checkKilled(t, data, deleted)
	}
	t.Logf("%d acknowledged", len(deleted))
}

func checkKilled(t *testing.T, data string, deleted map[string]bool) {
	t.Helper()
	s, err := Open(Options{Data: data})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	err = s.read(t.Context(), func(view *store.Reader) error {
		has := func(there bool, err error) bool {
			if err != nil {
				t.Error(err)
			}
			return there
		}
		for n, gone := range deleted {
			if !has(tableThings.has(view, n)) || !has(tableProfiles.has(view, n)) || !has(tableTags.has(view, s.profileARN(n))) {
				t.Errorf("%s was acknowledged, and is not there", n)
			}
			for _, there := range []bool{
				has(tableGroups.has(view, n)), has(tableChildren.has(view, pairKey("", n))), has(tableMembers.has(view, pairKey(n, n))),
				has(tableMemberships.has(view, pairKey(n, n))), has(tableTargets.has(view, pairKey(n, s.groupARN(n)))),
			} {
				if there == gone {
					t.Errorf("%s: its group was deleted %v, and what belongs to it is there %v", n, gone, there)
				}
			}
		}
		for key, err := range tableMembers.keysAfter(view, "", "") {
			group, thing, _ := strings.Cut(key, "\x00")
			if err != nil || !has(tableMemberships.has(view, pairKey(thing, group))) || !has(tableThings.has(view, thing)) || !has(tableGroups.has(view, group)) {
				t.Errorf("member %s of %s by halves, %v", thing, group, err)
			}
		}
		for thing, err := range tableThings.Scan(view, store.Range{}) {
			if err != nil {
				return err
			}
			if placed, err := placesOf(view, thing.Key); err != nil || !slices.Equal(placed, thing.Value.Placed) {
				t.Errorf("%s is placed in %q and is in %q, %v", thing.Key, thing.Value.Placed, placed, err)
			}
		}
		for a, err := range attachments(view, "") {
			if err != nil || !has(tableProfiles.has(view, a.profile)) || !has(tableGroups.has(view, strings.TrimPrefix(a.target, s.groupARN("")))) {
				t.Errorf("%s is attached to %s by halves, %v", a.profile, a.target, err)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
