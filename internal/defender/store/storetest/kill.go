package storetest

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"sync"
	"testing"

	"github.com/device-defender/device-defender/internal/defender/store"
)

// childVariable names the database that a child process writes to.
const childVariable = "STORETEST_CHILD"

const killWriters = 4

// Main is the TestMain of a package that calls Killed.
func Main(m *testing.M, open Open) {
	if name := os.Getenv(childVariable); name != "" {
		b, err := open(name)
		if err != nil {
			panic(err)
		}
		writeUntilKilled(store.New(b), func(line string) { fmt.Println(line) })
		select {}
	}
	os.Exit(m.Run())
}

// step is the nth transaction of a writer: it counts itself, and writes what has
// to be there with the count in tables of both kinds. All writers count in one
// row too, so that they conflict.
func step(s *store.Store, writer, n int) error {
	return s.Update(context.Background(), func(tx *store.Tx) error {
		total, _, err := plain.Get(&tx.Reader, "total")
		if err != nil {
			return err
		}
		return errors.Join(
			putAll(tx, fmt.Sprintf("total=%d", number(total)+1), fmt.Sprintf("count-%d=%d", writer, n)),
			other.Put(tx, fmt.Sprintf("%d/%06d", writer, n), map[string]int{"n": n}),
			daily.Put(tx, monday+store.Day(n/20), fmt.Sprintf("%d/%06d", writer, n), make([]byte, 300)),
		)
	})
}

// writeUntilKilled has several writers go on from where they were, and says
// "writer n" of each transaction and "drop day" of each drop when it is
// acknowledged.
func writeUntilKilled(s *store.Store, say func(string)) {
	var out sync.Mutex
	for writer := range killWriters {
		n := 0
		err := s.View(context.Background(), func(r *store.Reader) error {
			v, _, err := plain.Get(r, fmt.Sprint("count-", writer))
			n = number(v)
			return err
		})
		if err != nil {
			panic(err)
		}
		go func() {
			for {
				n++
				if err := step(s, writer, n); err != nil {
					panic(err)
				}
				out.Lock()
				say(fmt.Sprint(writer, " ", n))
				out.Unlock()
				if writer == 0 && n%100 == 0 {
					day := monday + store.Day(n/20) - 4
					if err := daily.Drop(context.Background(), s, day); err != nil {
						panic(err)
					}
					out.Lock()
					say(fmt.Sprint("drop ", int(day)))
					out.Unlock()
				}
			}
		}()
	}
}

// acknowledged is what a child has said.
type acknowledged struct {
	counts  map[int]int
	dropped []store.Day
}

func (a *acknowledged) line(text string) {
	var writer, n int
	if got, _ := fmt.Sscanf(text, "drop %d\n", &n); got == 1 {
		a.dropped = append(a.dropped, store.Day(n))
	} else if got, _ := fmt.Sscanf(text, "%d %d\n", &writer, &n); got == 2 {
		a.counts[writer] = max(a.counts[writer], n)
	}
}

// Killed kills a process at random while it writes, and looks at what is left:
// everything that was acknowledged, and nothing in part. The package's TestMain
// has to call Main.
func Killed(t *testing.T, open Open) {
	binary, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	name := t.TempDir()
	said := acknowledged{counts: map[int]int{}}
	for range 6 {
		cmd := exec.CommandContext(t.Context(), binary)
		cmd.Env = append(os.Environ(), childVariable+"="+name)
		cmd.Stderr = os.Stderr
		stdout, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewReader(stdout)
		kill := 1 + rand.IntN(400)
		for n := 0; ; n++ {
			// A line that was cut off acknowledges nothing.
			line, err := lines.ReadString('\n')
			if err != nil {
				break
			}
			said.line(line)
			if n+1 == kill {
				if err := cmd.Process.Kill(); err != nil {
					t.Fatal(err)
				}
			}
		}
		if err := cmd.Wait(); !errors.As(err, new(*exec.ExitError)) {
			t.Fatalf("the child was not killed: %v", err)
		}
		b, err := open(name)
		if err != nil {
			t.Fatal(err)
		}
		s := store.New(b)
		checkSteps(t, s, said)
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("acknowledged: %v, days dropped: %v", said.counts, said.dropped)
}

// checkSteps looks for what was acknowledged, and for anything in part.
func checkSteps(t *testing.T, s *store.Store, said acknowledged) {
	t.Helper()
	view(t, s, func(r *store.Reader) error {
		days, err := daily.Days(r)
		if err != nil {
			return err
		}
		left := map[string]bool{}
		for _, day := range days {
			for entry, err := range daily.Scan(r, day, store.Range{}) {
				if err != nil {
					return err
				}
				left[entry.Key] = true
			}
		}
		sum := 0
		for writer := range killWriters {
			v, _, err := plain.Get(r, fmt.Sprint("count-", writer))
			if err != nil {
				return err
			}
			count := number(v)
			sum += count
			if count < said.counts[writer] {
				t.Errorf("writer %d: %d was acknowledged, and %d is the last", writer, said.counts[writer], count)
			}
			n := 0
			for entry, err := range other.Scan(r, store.Prefix(fmt.Sprint(writer, "/"))) {
				if err != nil {
					return err
				}
				if n++; entry.Value["n"] != n {
					t.Fatalf("writer %d: row %s in place of %d", writer, entry.Key, n)
				}
			}
			if n != count {
				t.Errorf("writer %d: %d rows, want %d", writer, n, count)
			}
			checkDays(t, left, said.dropped, writer, count)
		}
		total, _, err := plain.Get(r, "total")
		if number(total) != sum {
			t.Errorf("%d transactions in total, %d of the writers", number(total), sum)
		}
		return err
	})
}

// checkDays: what was written to a day is there, unless the day was dropped. A
// writer that is behind may have written to it again afterwards.
func checkDays(t *testing.T, left map[string]bool, dropped []store.Day, writer, count int) {
	t.Helper()
	gone := map[store.Day]bool{}
	for _, day := range dropped {
		gone[day] = true
	}
	// A drop that was not acknowledged may have happened: the one behind the
	// last one of the writer that drops.
	last := monday
	for _, day := range dropped {
		last = max(last, day)
	}
	unknown := last + 5
	for n := 1; n <= count; n++ {
		key, day := fmt.Sprintf("%d/%06d", writer, n), monday+store.Day(n/20)
		switch {
		case left[key] && writer == 0 && gone[day]:
			t.Errorf("row %s of %s is there, and the day was dropped", key, day)
		case !left[key] && !gone[day] && day < unknown-4:
			t.Errorf("row %s of %s is not there", key, day)
		}
	}
}
