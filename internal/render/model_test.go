package render

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestMembers(t *testing.T) {
	at := func(minute int) time.Time { return exampleFrom.Add(time.Duration(minute) * time.Minute) }
	s := SetHistory{NewSince: at(10), Points: []SetPoint{
		{Time: at(0), Members: []string{"10.0.0.10", "10.0.0.9", "10.0.0.9"}},
		{Time: at(5), Members: []string{}},
		{Time: at(10), Members: []string{"10.0.0.9", "203.0.113.77", "printer"}},
		{Time: at(15), Members: []string{"203.0.113.77", "2001:db8::1"}},
	}}
	want := []Member{
		{"203.0.113.77", at(10), at(15), 2, true},
		{"2001:db8::1", at(15), at(15), 1, true},
		{"printer", at(10), at(10), 1, true},
		{"10.0.0.9", at(0), at(10), 2, false},
		{"10.0.0.10", at(0), at(0), 1, false},
	}
	if diff := cmp.Diff(want, s.Members()); diff != "" {
		t.Error(diff)
	}
	if got, want := s.summary(clock{time.UTC}), "5 members in 4 reports, 3 new since 2026-11-22 09:10:00 UTC"; got != want {
		t.Errorf("summary %q, want %q", got, want)
	}
	s.Points[0].Cut, s.Points[2].Cut = "3 of 9", "250 of 1,240"
	if got, want := s.summary(clock{time.UTC}), "5 members in 4 reports (2 lists cut, the last to 250 of 1,240), 3 new since 2026-11-22 09:10:00 UTC"; got != want {
		t.Errorf("summary %q, want %q", got, want)
	}
	one := SetHistory{Points: []SetPoint{{Time: at(0), Members: []string{"22"}, Cut: "1 of 3"}}}
	if got, want := one.summary(clock{time.UTC}), "1 member in 1 report (list cut: 1 of 3 reported)"; got != want {
		t.Errorf("summary %q, want %q", got, want)
	}

	s.NewSince = at(0)
	if news := newOnly(s.Members()); len(news) != 0 {
		t.Errorf("%v is called new with nothing to compare with", news)
	}
	s.NewSince = time.Time{}
	if news := newOnly(s.Members()); len(news) != 0 {
		t.Errorf("%v is called new though nobody asked", news)
	}
}

func TestMembersInOrder(t *testing.T) {
	s := SetHistory{Points: []SetPoint{{Time: exampleFrom, Members: []string{"443", "b", "22", "10.0.0.1", "8883", "a", "22.0", "::1"}}}}
	var got []string
	for _, m := range s.Members() {
		got = append(got, m.Text)
	}
	if diff := cmp.Diff([]string{"10.0.0.1", "::1", "22", "22.0", "443", "8883", "a", "b"}, got); diff != "" {
		t.Error(diff)
	}
}

func TestTotals(t *testing.T) {
	day := func(d, hour int) time.Time { return time.Date(2026, 11, d, hour, 0, 0, 0, time.UTC) }
	r := FleetReport{From: day(20, 0), To: day(23, 0), Violations: []Violation{
		{Thing: "a", Profile: "P", Behavior: "X", State: Cleared, Started: day(20, 1), Ended: day(20, 3)},
		{Thing: "a", Profile: "P", Behavior: "Y", State: Invalidated, Started: day(21, 1), Ended: day(21, 2)},
		{Thing: "b", Profile: "Q", Behavior: "X", State: InAlarm, Started: day(22, 20)},
		// From before the period: it counts, but not on a day, and its time only in part.
		{Thing: "c", Profile: "P", Behavior: "X", State: Cleared, Started: day(18, 0), Ended: day(20, 1)},
	}}
	got := r.totals(clock{time.UTC})
	want := totals{
		violations: 4, active: 1, things: 3, alarm: 8 * time.Hour,
		groups: []totalGroup{
			{"By profile", "Profile", 3, []totalRow{{"P", 3, 4 * time.Hour}, {"Q", 1, 4 * time.Hour}}},
			{"By behavior", "Behavior", 2, []totalRow{{"X (P)", 2, 3 * time.Hour}, {"X (Q)", 1, 4 * time.Hour}, {"Y (P)", 1, time.Hour}}},
			{"By thing", "Thing", 2, []totalRow{{"a", 2, 3 * time.Hour}, {"b", 1, 4 * time.Hour}, {"c", 1, time.Hour}}},
		},
		days: []dayTotal{{day(20, 0), 1}, {day(21, 0), 1}, {day(22, 0), 1}},
	}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(totals{}, totalGroup{}, totalRow{}, dayTotal{})); diff != "" {
		t.Error(diff)
	}
	if got, want := got.headline(), "4 violations on 3 things"; got != want {
		t.Errorf("headline %q, want %q", got, want)
	}

	r.From = r.To
	if got, want := r.alarm(r.Violations[2]), 4*time.Hour; got != want {
		t.Errorf("at %v the violation has lasted %v, want %v", r.To, got, want)
	}
}
