package render

import (
	"fmt"
	"html/template"
	"io"
	"slices"
	"time"
)

// Rows of a page at most: more is not read, and a page must stay one that a
// telephone can open.
const (
	mostValues     = 600
	mostViolations = 1000
	mostRows       = 100
	mostNews       = 3
)

// WriteViolationHTML writes the page of one violation.
func WriteViolationHTML(w io.Writer, p ViolationPage) error {
	c := p.About.clock()
	view := struct {
		Violation Violation
		When      string
		News      []newsView
		Plot      *figureView
		Sets      []setView
		Context   []figureView
		Timeline  []Event
	}{Violation: p.Violation, When: p.Violation.when(c, p.About.Made), News: newsOf(p.Sets, c), Sets: setViews(p.Sets, c), Timeline: p.Timeline}
	if p.Plot != nil {
		f, err := p.Plot.figure(c, false)
		if err != nil {
			return err
		}
		view.Plot = &f
	}
	var err error
	if view.Context, err = figures(p.Context, c); err != nil {
		return err
	}
	return write(w, "violation", name(p.Violation.Behavior)+" on "+name(p.Violation.Thing), p.About, view)
}

// WriteMetricHTML writes the page of one metric of one thing.
func WriteMetricHTML(w io.Writer, p MetricPage) error {
	c := p.About.clock()
	view := struct {
		Title, Thing string
		Plot         *figureView
		Set          *setView
		Periods      []Choice
	}{Thing: p.Thing, Periods: p.Periods}
	if p.Plot != nil {
		f, err := p.Plot.figure(c, false)
		if err != nil {
			return err
		}
		view.Plot, view.Title = &f, f.Title
	}
	if p.Set != nil {
		s := p.Set.view(c)
		view.Set, view.Title = &s, s.Title
	}
	return write(w, "metric", view.Title+" of "+name(p.Thing), p.About, view)
}

// WriteFleetHTML writes the page of all violations of a period.
func WriteFleetHTML(w io.Writer, r FleetReport) error {
	c := r.About.clock()
	t := r.totals(c)
	type row struct {
		Name           string
		Count          int
		Width, Percent string
		Alarm          string
	}
	type group struct {
		Title, One string
		Rows       []row
		More       int
	}
	view := struct {
		Period, Headline string
		Active           int
		Alarm            string
		Days             []template.HTML
		Groups           []group
		Violations       []Violation
	}{Period: c.period(r.From, r.To), Headline: t.headline(), Active: t.active, Alarm: alarmTime(t.alarm)}
	for _, g := range t.groups {
		out := group{Title: g.title, One: g.one, More: max(0, len(g.rows)-mostRows)}
		for _, total := range g.rows[:len(g.rows)-out.More] {
			percent := fmt.Sprintf("%d", total.count*100/g.most)
			out.Rows = append(out.Rows, row{total.name, total.count, percent, percent + "%", alarmTime(total.alarm)})
		}
		view.Groups = append(view.Groups, out)
	}
	if len(t.days) > 1 && t.violations > 0 {
		for _, size := range pageSizes {
			size.height -= 60
			chart, err := t.daysSVG(size, t.daysLabel())
			if err != nil {
				return err
			}
			view.Days = append(view.Days, chart)
		}
	}
	view.Violations = latest(r.Violations)
	if more := len(r.Violations) - len(view.Violations); more > 0 {
		r.About.Notes = append(slices.Clip(r.About.Notes), fmt.Sprintf("The list has the latest %s of %s violations; the totals count all.",
			grouped(float64(len(view.Violations))), grouped(float64(len(r.Violations)))))
	}
	return write(w, "fleet", "Violations, "+view.Period, r.About, view)
}

func alarmTime(d time.Duration) string {
	if d < time.Second {
		return "none"
	}
	return lasting(d)
}

// latest orders violations: those in alarm first, then the latest.
func latest(violations []Violation) []Violation {
	sorted := slices.Clone(violations)
	slices.SortStableFunc(sorted, func(a, b Violation) int {
		if inA, inB := a.State == InAlarm, b.State == InAlarm; inA != inB {
			if inA {
				return -1
			}
			return 1
		}
		return b.Started.Compare(a.Started)
	})
	return sorted[:min(len(sorted), mostViolations)]
}

// WriteOverviewHTML writes the live service's first page.
func WriteOverviewHTML(w io.Writer, p Overview) error {
	headline := "All quiet"
	if active := p.Violations.Active; active > 0 {
		headline = plural(active, "violation", "violations") + " in alarm"
	}
	return write(w, "overview", headline+" - Device Defender", p.About, struct {
		Overview
		Headline string
	}{p, headline})
}

// WriteThingHTML writes the page of one thing.
func WriteThingHTML(w io.Writer, p ThingPage) error {
	c := p.About.clock()
	plots, err := figures(p.Plots, c)
	if err != nil {
		return err
	}
	return write(w, "thing", name(p.Thing.Name), p.About, struct {
		Thing      ThingRow
		Silent     bool
		Violations ViolationList
		Periods    []Choice
		Plots      []figureView
		Sets       []setView
		Reports    []ReportRow
	}{p.Thing, p.Silent, p.Violations, p.Periods, plots, setViews(p.Sets, c), p.Reports})
}

// WriteNoticeHTML writes a page that says why there is no other.
func WriteNoticeHTML(w io.Writer, about About, title, text string) error {
	return write(w, "notice", note(title), about, struct{ Title, Text string }{title, text})
}

// WriteLoginHTML writes the page of the login.
func WriteLoginHTML(w io.Writer, p Login) error {
	view := struct {
		Login          Login
		Action, OpenID string
	}{Login: p, Action: LoginPath}
	if p.OpenID != "" {
		view.OpenID = OpenIDLink(p.To)
	}
	return write(w, "login", "Log in - Device Defender", p.About, view)
}

// WriteAuditHTML writes the page of the audit log.
func WriteAuditHTML(w io.Writer, p AuditPage) error {
	return write(w, "audit", "Audit log", p.About, p)
}

// WriteProfileHTML writes the page of one security profile.
func WriteProfileHTML(w io.Writer, p ProfilePage) error {
	return write(w, "profile", name(p.Profile.Name), p.About, p)
}

// newsView is what is new in one set.
type newsView struct {
	Title   string
	Members []Member
	Note    string
}

// newsOf says where it went: the members that no report had before.
func newsOf(sets []SetHistory, c clock) []newsView {
	var news []newsView
	for _, s := range sets {
		members := newOnly(s.Members())
		if len(members) == 0 {
			continue
		}
		n := newsView{Title: note(s.title()), Members: members[:min(len(members), mostNews)], Note: "first seen " + c.full(members[0].First)}
		if more := len(members) - len(n.Members); more > 0 {
			n.Note = fmt.Sprintf("and %s more, below", grouped(float64(more)))
		}
		news = append(news, n)
	}
	return news
}

// setView is a set as its table.
type setView struct {
	Title, Summary string
	Link           string
	Rows           []Member
	More           int
}

func (s SetHistory) view(c clock) setView {
	members := s.Members()
	more := max(0, len(members)-mostRows)
	return setView{upperFirst(note(s.title()), s.Metric), s.summary(c), s.Link, members[:len(members)-more], more}
}

func setViews(sets []SetHistory, c clock) []setView {
	var views []setView
	for _, s := range sets {
		views = append(views, s.view(c))
	}
	return views
}
