package store

import (
	"testing"
	"time"
)

func TestDay(t *testing.T) {
	for text, want := range map[string]string{
		"2026-11-23T00:00:00Z":      "2026-11-23",
		"2026-11-23T23:59:59Z":      "2026-11-23",
		"2026-11-23T23:30:00-01:00": "2026-11-24",
		"1970-01-02T00:00:00Z":      "1970-01-02",
	} {
		at, err := time.Parse(time.RFC3339, text)
		if err != nil {
			t.Fatal(err)
		}
		day := DayOf(at)
		if day.String() != want || DayOf(day.Time()) != day || day.Time().After(at) {
			t.Errorf("%s is on %s, which begins at %s; want %s", text, day, day.Time(), want)
		}
	}
}

func TestTimeKey(t *testing.T) {
	early := time.Date(2026, 11, 23, 12, 0, 0, 1_000_000, time.UTC)
	late := early.Add(time.Millisecond)
	if TimeKey(early) >= TimeKey(late) {
		t.Error("keys are not in the order of time")
	}
	if got, ok := KeyTime(TimeKey(early) + "and more"); !ok || !got.Equal(early) {
		t.Errorf("time of a key: %s, %v, want %s", got, ok, early)
	}
	if _, ok := KeyTime("short"); ok {
		t.Error("a short key has a time")
	}
}

func TestTableNames(t *testing.T) {
	for name, good := range map[string]bool{
		"things": true, "day_values2": true,
		"": false, "_x": false, "2x": false, "Things": false, "a-b": false, "a\x00": false, "drop table x": false,
		"a23456789a23456789a23456789a23456789a23456789": false,
	} {
		func() {
			defer func() {
				if r := recover(); (r == nil) != good {
					t.Errorf("table name %q: %v", name, r)
				}
			}()
			NewTable(name, Empty())
		}()
	}
}
