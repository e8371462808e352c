package render

import (
	"fmt"
	"io"
	"strings"

	"github.com/jedib0t/go-pretty/v6/text"
)

// mostMembers is how many members of a set are listed.
const mostMembers = 40

// WriteViolationText writes everything about one violation: what happened and
// when, what is normal and what was seen, where it went, and the evidence.
func WriteViolationText(w io.Writer, p ViolationPage, o TextOptions) error {
	var (
		b strings.Builder
		v = p.Violation
		c = p.About.clock()
	)
	state := map[State]style{InAlarm: red, Cleared: green}[v.State]
	fmt.Fprintf(&b, "%s on %s\n", o.paint(bold, name(v.Behavior)), o.paint(bold, name(v.Thing)))
	fmt.Fprintf(&b, "%s %s\n\n", o.paint(state, stateWord(v.State)), v.when(c, p.About.Made))

	facts := [][2]string{
		{"Normal", note(v.Expected)},
		{"Seen", note(v.Seen)},
	}
	for _, s := range p.Sets {
		for i, m := range newOnly(s.Members()) {
			if i == 5 {
				facts = append(facts, [2]string{"", "and more, below"})
				break
			}
			facts = append(facts, [2]string{"New", o.paint(red, name(m.Text)) + "  " + o.paint(faint, "in "+note(s.title())+", since "+c.full(m.First))})
		}
	}
	verification := verdict(v.Verification)
	if v.VerificationNote != "" {
		verification += ": " + note(v.VerificationNote)
	}
	if v.Suppressed {
		facts = append(facts, [2]string{"Alerts", "suppressed for this behavior"})
	}
	facts = append(facts, [2]string{"Verdict", verification},
		[2]string{"Profile", name(v.Profile)}, [2]string{"Metric", name(v.Metric)}, [2]string{"ID", name(v.ID)})
	for _, f := range facts {
		if f[1] != "" {
			b.WriteString(hanging(o.paint(faint, pad(f[0], 9)), f[1], 9, o.width()))
		}
	}
	for _, n := range p.About.Notes {
		b.WriteString(hanging(o.paint(yellow, pad("Note", 9)), note(n), 9, o.width()))
	}

	if p.Plot != nil {
		b.WriteString("\n" + p.Plot.text(c, o))
	}
	for _, s := range p.Sets {
		b.WriteString("\n" + s.text(c, o))
	}
	if len(p.Context) > 0 {
		b.WriteString("\n" + contextText(p.Context, c, o))
	}
	if len(p.Timeline) > 0 {
		b.WriteString("\n" + o.paint(bold, "Timeline") + "\n")
		for _, e := range p.Timeline {
			line := pad(stateWord(e.Type), 12) + pad(note(e.Value), 18)
			if e.Type == InAlarm {
				line = o.paint(red, pad(stateWord(e.Type), 12)) + pad(note(e.Value), 18)
			}
			b.WriteString("  " + c.full(e.Time) + "  " + strings.TrimRight(line+"  "+note(e.Note), " ") + "\n")
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// WriteMetricText writes a metric of a thing: as a plot, or as a set's members.
func WriteMetricText(w io.Writer, p MetricPage, o TextOptions) error {
	var b strings.Builder
	b.WriteString(o.paint(bold, name(p.Thing)) + "\n")
	if p.Plot != nil {
		b.WriteString(p.Plot.text(p.About.clock(), o))
	}
	if p.Set != nil {
		b.WriteString(p.Set.text(p.About.clock(), o))
	}
	for _, n := range p.About.Notes {
		b.WriteString(hanging(o.paint(yellow, pad("Note", 9)), note(n), 9, o.width()))
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func (s SetHistory) title() string {
	if s.Title != "" {
		return s.Title
	}
	return s.Metric
}

func newOnly(members []Member) []Member {
	n := 0
	for n < len(members) && members[n].New {
		n++
	}
	return members[:n]
}

func (s SetHistory) text(c clock, o TextOptions) string {
	var b strings.Builder
	b.WriteString(o.paint(bold, note(s.title())) + "  " + o.paint(faint, s.summary(c)) + "\n")
	members := s.Members()
	width := 0
	for _, m := range members[:min(len(members), mostMembers)] {
		width = max(width, cells(name(m.Text)))
	}
	width = min(width, o.width()/2)
	for i, m := range members {
		if i == mostMembers {
			fmt.Fprintf(&b, "       and %s more\n", grouped(float64(len(members)-i)))
			break
		}
		mark, paint := "      ", style("")
		if m.New {
			mark, paint = "  NEW ", red
		}
		fmt.Fprintf(&b, "%s %s  %s\n", styled(o, paint, mark), styled(o, paint, pad(name(m.Text), width)),
			o.paint(faint, fmt.Sprintf("%s, %d of %s", c.period(m.First, m.Last), m.Count, plural(len(s.Points), "report", "reports"))))
	}
	return b.String()
}

func styled(o TextOptions, s style, text string) string {
	if s == "" {
		return text
	}
	return o.paint(s, text)
}

// summary says in words what the set's history shows.
func (s SetHistory) summary(c clock) string {
	members := s.Members()
	count := fmt.Sprintf("%s in %s%s", plural(len(members), "member", "members"), plural(len(s.Points), "report", "reports"), s.cuts())
	switch {
	case len(s.Points) == 0:
		return "no reports in this period"
	case s.NewSince.IsZero():
		return count
	case !s.Comparable():
		return count + "; no report from before the alarm to compare with"
	}
	return fmt.Sprintf("%s, %d new since %s", count, len(newOnly(members)), c.full(s.NewSince))
}

// cuts says how many of the sets do not have all of their entries: what is not
// in them may have been there.
func (s SetHistory) cuts() string {
	n, last := 0, ""
	for _, p := range s.Points {
		if p.Cut != "" {
			n, last = n+1, p.Cut
		}
	}
	switch {
	case n == 0:
		return ""
	case len(s.Points) == 1:
		return fmt.Sprintf(" (list cut: %s reported)", note(last))
	}
	return fmt.Sprintf(" (%s cut, the last to %s)", plural(n, "list", "lists"), note(last))
}

// contextText puts one sparkline per metric under each other, over the same
// period, so that what moved together is seen.
func contextText(plots []Plot, c clock, o TextOptions) string {
	var b strings.Builder
	b.WriteString(o.paint(bold, "At the same time") + "\n")
	label, span := 0, 0
	for _, p := range plots {
		label = max(label, cells(p.heading()))
		span = max(span, cells(p.extent()))
	}
	label, span = min(label, 28), min(span, 24)
	grid := func(p Plot) columns {
		from, to := p.window()
		return newColumns(from, to, max(10, o.width()-label-span-6))
	}
	bar := ""
	for _, p := range plots {
		line := o.paint(faint, "no values")
		if !p.empty() {
			g := grid(p)
			line = g.sparkline(p, o) + "  " + o.paint(faint, p.extent())
			bar = g.alarmBar(p)
		}
		heading := p.heading()
		if cells(heading) > label {
			heading = text.Snip(heading, label, "…")
		}
		b.WriteString("  " + pad(heading, label) + "  " + line + "\n")
	}
	if bar != "" {
		b.WriteString("  " + pad("alarm", label) + "  " + o.paint(red, bar) + "\n")
	}
	return b.String()
}

// extent is the smallest and the largest value.
func (p Plot) extent() string {
	low, high, found := p.bounds()
	if !found {
		return ""
	}
	return short(low, p.Unit) + " to " + short(high, p.Unit)
}

// WriteFleetText writes what happened to all things in a period.
func WriteFleetText(w io.Writer, r FleetReport, o TextOptions) error {
	var b strings.Builder
	c := r.About.clock()
	t := r.totals(c)
	b.WriteString(o.paint(bold, t.headline()) + "  " + o.paint(faint, c.period(r.From, r.To)) + "\n")
	for _, group := range t.groups {
		if len(group.rows) == 0 {
			continue
		}
		fmt.Fprintf(&b, "\n%s\n", o.paint(bold, group.title))
		width := 0
		for _, row := range group.rows {
			width = max(width, cells(name(row.name)))
		}
		const barWidth, rest = 10, 36 // the rest is the count and the time
		width = min(width, o.width()-barWidth-rest)
		for i, row := range group.rows {
			if i == mostMembers {
				fmt.Fprintf(&b, "  and %s more\n", grouped(float64(len(group.rows)-i)))
				break
			}
			bar := strings.Repeat("█", max(1, row.count*barWidth/group.most))
			fmt.Fprintf(&b, "  %s  %s %s%s\n", pad(text.Snip(name(row.name), width, "…"), width), o.paint(red, pad(bar, barWidth)), grouped(float64(row.count)), row.minutesText())
		}
	}
	for _, n := range r.About.Notes {
		b.WriteString(hanging("\n"+o.paint(yellow, pad("Note", 9)), note(n), 9, o.width()))
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// hanging writes a text after its label, its further lines indented.
func hanging(label, s string, indent, width int) string {
	lines := strings.Split(text.WrapSoft(s, max(20, width-indent)), "\n")
	for i := range lines {
		lines[i] = strings.TrimRight(lines[i], " ")
	}
	return label + strings.Join(lines, "\n"+strings.Repeat(" ", indent)) + "\n"
}

// cells is the width of a clean text on a terminal.
func cells(s string) int { return text.StringWidthWithoutEscSequences(s) }

// pad fills a text with blanks up to a width.
func pad(s string, width int) string { return s + strings.Repeat(" ", max(0, width-cells(s))) }
