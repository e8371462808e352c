package storetest

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/device-defender/device-defender/internal/defender/store"
)

func queue(t *testing.T, s *store.Store) {
	now := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	claim := func(now time.Time, want ...string) []store.Job[string] {
		t.Helper()
		list, err := jobs.Claim(t.Context(), s, time.Time{}, now, time.Minute, 10)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, job := range list {
			got = append(got, job.ID+"="+job.Value)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("claimed at %s (-want +got):\n%s", now, diff)
		}
		return list
	}
	claim(now)
	update(t, s, func(tx *store.Tx) error {
		return errors.Join(
			jobs.Put(tx, store.Job[string]{Due: now.Add(time.Second), ID: "later", Value: "3"}),
			jobs.Put(tx, store.Job[string]{Due: now, ID: "now", Value: "2"}),
			jobs.Put(tx, store.Job[string]{Due: now.Add(-time.Hour), ID: "before", Value: "1"}),
		)
	})
	view(t, s, func(r *store.Reader) error {
		var later []string
		for job, err := range jobs.Later(r, now.Add(-time.Hour)) {
			if err != nil {
				t.Error(err)
			}
			later = append(later, job.ID)
		}
		if diff := cmp.Diff([]string{"now", "later"}, later); diff != "" {
			t.Errorf("after the first (-want +got):\n%s", diff)
		}
		if due, ok, err := jobs.NextDue(r, time.Time{}); !ok || err != nil || !due.Equal(now.Add(-time.Hour)) {
			t.Errorf("next due %s, %v, %v", due, ok, err)
		}
		return nil
	})
	first := claim(now, "before=1", "now=2")
	claim(now)
	claim(now.Add(time.Second), "later=3")
	done := func(job store.Job[string]) (mine bool) {
		update(t, s, func(tx *store.Tx) (err error) {
			mine, err = jobs.Done(tx, job)
			return err
		})
		return mine
	}
	if !done(first[0]) || done(first[0]) {
		t.Error("a job is done once")
	}
	// The worker of the second has died.
	again := claim(now.Add(time.Minute), "now=2")
	if done(first[1]) || !done(again[0]) {
		t.Error("the job belongs to who claimed it last")
	}
}

// queueWorkers has many workers do jobs, some of which die with theirs.
func queueWorkers(t *testing.T, s *store.Store) {
	const n = 60
	start := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	update(t, s, func(tx *store.Tx) error {
		for i := range n {
			if err := jobs.Put(tx, store.Job[string]{Due: start, ID: fmt.Sprintf("%03d", i)}); err != nil {
				return err
			}
		}
		return nil
	})
	for round := 0; ; round++ {
		now := start.Add(time.Duration(round) * time.Hour)
		workers(t, 4, func(worker int) error {
			random := rand.New(rand.NewPCG(uint64(worker), uint64(round)))
			for {
				claimed, err := jobs.Claim(t.Context(), s, time.Time{}, now, time.Minute, 7)
				if err != nil || len(claimed) == 0 {
					return err
				}
				for _, job := range claimed {
					if random.IntN(4) == 0 {
						continue
					}
					err := s.Update(t.Context(), func(tx *store.Tx) error {
						mine, err := jobs.Done(tx, job)
						if err != nil || !mine {
							return errors.Join(err, errors.New("a claimed job was taken away"))
						}
						v, _, err := plain.Get(&tx.Reader, job.ID)
						return errors.Join(err, plain.Put(tx, job.ID, append(v, 'x')))
					})
					if err != nil {
						return err
					}
				}
			}
		})
		left := false
		view(t, s, func(r *store.Reader) (err error) {
			_, left, err = jobs.NextDue(r, time.Time{})
			return err
		})
		if !left {
			break
		}
	}
	view(t, s, func(r *store.Reader) error {
		got, err := list(r, store.Range{})
		if len(got) != n {
			t.Errorf("%d jobs done, want %d", len(got), n)
		}
		for _, row := range got {
			if !strings.HasSuffix(row, "=x") {
				t.Errorf("%s: its effect is there more than once", row)
			}
		}
		return err
	})
}
