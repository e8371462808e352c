package render

import (
	"cmp"
	"slices"
	"time"
)

// totals are a fleet report's sums.
type totals struct {
	violations int
	active     int
	things     int
	alarm      time.Duration
	groups     []totalGroup
	days       []dayTotal
}

type totalGroup struct {
	title string
	one   string // what a row is
	most  int    // the largest count of a row
	rows  []totalRow
}

type totalRow struct {
	name  string
	count int
	alarm time.Duration // in alarm within the period
}

type dayTotal struct {
	day   time.Time // midnight in the page's zone
	count int       // violations that began
}

// minutesText is the time in alarm, to be put behind a count.
func (r totalRow) minutesText() string {
	if r.alarm < time.Second {
		return ""
	}
	return ", " + lasting(r.alarm) + " in alarm"
}

func (t totals) headline() string {
	if t.violations == 0 {
		return "No violations"
	}
	return plural(t.violations, "violation", "violations") + " on " + plural(t.things, "thing", "things")
}

// totals sums up. A violation counts on the day on which it began; its time in
// alarm counts as far as it lies within the period.
func (r FleetReport) totals(c clock) totals {
	t := totals{violations: len(r.Violations)}
	byProfile, byBehavior, byThing := map[string]*totalRow{}, map[string]*totalRow{}, map[string]*totalRow{}
	days := map[string]int{}
	for _, v := range r.Violations {
		alarm := r.alarm(v)
		t.alarm += alarm
		if v.State == InAlarm {
			t.active++
		}
		for _, g := range []struct {
			rows map[string]*totalRow
			key  string
		}{{byProfile, v.Profile}, {byBehavior, v.Behavior + " (" + v.Profile + ")"}, {byThing, v.Thing}} {
			row := g.rows[g.key]
			if row == nil {
				row = &totalRow{name: g.key}
				g.rows[g.key] = row
			}
			row.count++
			row.alarm += alarm
		}
		days[c.format(v.Started, time.DateOnly)]++
	}
	t.things = len(byThing)
	for _, g := range []struct {
		title, one string
		rows       map[string]*totalRow
	}{{"By profile", "Profile", byProfile}, {"By behavior", "Behavior", byBehavior}, {"By thing", "Thing", byThing}} {
		group := totalGroup{title: g.title, one: g.one}
		for _, row := range g.rows {
			group.rows = append(group.rows, *row)
			group.most = max(group.most, row.count)
		}
		slices.SortFunc(group.rows, func(a, b totalRow) int {
			return cmp.Or(cmp.Compare(b.count, a.count), cmp.Compare(b.alarm, a.alarm), cmp.Compare(a.name, b.name))
		})
		t.groups = append(t.groups, group)
	}
	const mostDays = 400
	y, m, d := r.From.In(c.zone).Date()
	for i := range mostDays {
		day := time.Date(y, m, d+i, 0, 0, 0, 0, c.zone)
		if !day.Before(r.To) {
			break
		}
		t.days = append(t.days, dayTotal{day, days[day.Format(time.DateOnly)]})
	}
	return t
}

// alarm is how long a violation was in alarm within the report's period, or
// until now when that is an instant.
func (r FleetReport) alarm(v Violation) time.Duration {
	from, to := v.Started, v.Ended
	if from.Before(r.From) && r.To.After(r.From) {
		from = r.From
	}
	if to.IsZero() || to.After(r.To) {
		to = r.To
	}
	return max(0, to.Sub(from))
}
