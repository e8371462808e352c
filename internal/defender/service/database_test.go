package service

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/iot"
)

// storedFile is the database of a service that was used.
func storedFile(t *testing.T) []byte {
	t.Helper()
	b := newBench(t, Options{MinReportInterval: -1})
	b.attach(profileOf("Ports", onlyPort(443), atMost(100)))
	for i := range 200 {
		b.reports(fmt.Sprint("thing-", i), ports(8080, 443)+","+packets(i))
	}
	ok(b, 0, b.Close())
	data, err := os.ReadFile(filepath.Join(b.options.Data, "defender.db"))
	return ok(b, data, err)
}

// checkDamaged says whether a service with the database says in one line what is
// wrong, if anything is.
func checkDamaged(t *testing.T, what string, data []byte, must bool) {
	t.Helper()
	folder := t.TempDir()
	path := filepath.Join(folder, "defender.db")
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	s, err := Open(Options{Data: folder, Now: func() time.Time { return start }})
	if err == nil {
		defer s.Close()
		// Not all of the file is read at the start.
		client := newClient(t, serve(t, s))
		client.ListSecurityProfiles(t.Context(), &iot.ListSecurityProfilesInput{})
		client.ListActiveViolations(t.Context(), &iot.ListActiveViolationsInput{})
		_, _, err = s.Things(1000)
		err = errors.Join(err, s.advance(), s.prune())
	}
	if err == nil {
		if must {
			t.Errorf("%s: no error", what)
		}
		return
	}
	if strings.Contains(err.Error(), "goroutine") || strings.Contains(err.Error(), "another defenderctl") {
		t.Errorf("%s: %v", what, err)
	}
	if damaged, ok := errors.AsType[*DamagedError](err); must && (!ok || !strings.Contains(damaged.Error(), path) || !strings.Contains(damaged.Error(), "put a copy in its place, or move it away")) {
		t.Errorf("%s: %v, want what to do", what, err)
	}
}

func TestDamagedDatabase(t *testing.T) {
	good := storedFile(t)
	checkDamaged(t, "no database", []byte(strings.Repeat("hello, world\n", 10_000)), true)
	checkDamaged(t, "a short text", []byte("hello"), true)
	checkDamaged(t, "zeros", make([]byte, len(good)), true)
	for _, size := range []int{1, 4096, 3 * 4096, len(good) / 2} {
		checkDamaged(t, fmt.Sprint("cut at ", size), good[:size], true)
	}
	rng := rand.New(rand.NewPCG(1, 2))
	for i := range 60 {
		bad := append([]byte(nil), good...)
		page := 2 + rng.IntN(len(bad)/4096-2)
		for range 1 + rng.IntN(64) {
			bad[page*4096+rng.IntN(4096)] = byte(rng.Uint32())
		}
		checkDamaged(t, fmt.Sprintf("%d: page %d", i, page), bad, false)
	}
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
	if err := os.Chmod(folder, 0); err != nil {
		t.Fatal(err)
	}
	defer os.Chmod(folder, 0o700)
	if _, err := Open(Options{Data: folder}); err == nil || strings.Contains(err.Error(), "another") {
		t.Errorf("one that may not be read: %v", err)
	}
}
