package storetest

import (
	"bytes"
	"errors"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/device-defender/device-defender/internal/defender/store"
)

// copyOf reads all rows of all tables at one moment, and puts them where they are
// read as those they were.
func copyOf(t *testing.T, s *store.Store) {
	update(t, s, func(tx *store.Tx) error {
		return errors.Join(
			plain.Put(tx, "a", []byte("1")), plain.Put(tx, "\x00\x01", nil), other.Put(tx, "a", map[string]int{"x": 1}), marks.Put(tx, "\xff", struct{}{}),
			daily.Put(tx, monday, "a", []byte("m")), daily.Put(tx, tuesday, "a", []byte("t")), daily.Put(tx, tuesday, "b", []byte("t")),
			jobs.Put(tx, store.Job[string]{Due: monday.Time(), ID: "job", Value: "v"}),
		)
	})
	read := func(r *store.Reader) (rows []store.Row) {
		for row, err := range r.Rows() {
			if err != nil {
				t.Fatal(err)
			}
			row.Value = bytes.Clone(row.Value)
			rows = append(rows, row)
		}
		return rows
	}
	sort := func(rows []store.Row) {
		slices.SortFunc(rows, func(a, b store.Row) int { return a.Compare(b.Address) })
	}
	var rows []store.Row
	view(t, s, func(r *store.Reader) error {
		update(t, s, func(tx *store.Tx) error { return plain.Put(tx, "later", nil) })
		rows = read(r)
		return nil
	})
	pieces := map[store.Part]int{}
	for i, row := range rows {
		if i == 0 || rows[i-1].Part != row.Part {
			pieces[row.Part]++
		}
	}
	for part, n := range pieces {
		if n != 1 {
			t.Errorf("%v came in %d pieces", part, n)
		}
	}
	sort(rows)
	var names []string
	for _, row := range rows {
		if row.Table != "jobs" {
			names = append(names, row.Table+" "+row.Day.String()+" "+row.Key+"="+string(row.Value))
		}
	}
	none := store.Day(0).String()
	if diff := cmp.Diff([]string{
		"daily " + monday.String() + " a=m", "daily " + tuesday.String() + " a=t", "daily " + tuesday.String() + " b=t",
		"other " + none + ` a={"x":1}`, "plain " + none + " \x00\x01=", "plain " + none + " a=1", "plain_marks " + none + " \xff=",
	}, names); diff != "" {
		t.Errorf("rows (-want +got):\n%s", diff)
	}
	if len(rows) != len(names)+1 {
		t.Errorf("%d rows of jobs, want 1", len(rows)-len(names))
	}

	for _, row := range rows {
		update(t, s, func(tx *store.Tx) error {
			if row.Day != 0 {
				return daily.Delete(tx, row.Day, row.Key)
			}
			return store.NewTable(row.Table, store.Bytes()).Delete(tx, row.Key)
		})
	}
	update(t, s, func(tx *store.Tx) error {
		for _, row := range rows {
			if err := tx.PutRow(row); err != nil {
				return err
			}
		}
		return plain.Delete(tx, "later")
	})
	view(t, s, func(r *store.Reader) error {
		again := read(r)
		sort(again)
		if diff := cmp.Diff(rows, again); diff != "" {
			t.Errorf("the copy (-want +got):\n%s", diff)
		}
		return nil
	})
}
