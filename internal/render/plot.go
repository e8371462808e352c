package render

import (
	"io"
	"math"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/guptarohit/asciigraph"
)

// TextOptions are what the caller knows of the terminal.
type TextOptions struct {
	Width int  // in columns; 0 is 80
	Color bool // whether to write colours
}

const (
	narrowest = 40
	widest    = 160
)

func (o TextOptions) width() int {
	if o.Width <= 0 {
		return 80
	}
	return min(max(o.Width, narrowest), widest)
}

// style is an SGR parameter. None of them is relied on: what a colour says is
// said by a character or a word too.
type style string

const (
	bold   style = "1"
	faint  style = "2"
	red    style = "31"
	green  style = "32"
	yellow style = "33"
)

// paint puts text, which must be clean, in a style.
func (o TextOptions) paint(s style, text string) string {
	if !o.Color || text == "" {
		return text
	}
	return "\x1b[" + string(s) + "m" + text + "\x1b[0m"
}

// The characters of a terminal plot: dashes for a threshold, heavy lines for
// what was measured in alarm, one set for each line.
var (
	linesOf = []asciigraph.CharSet{asciigraph.DefaultCharSet, {
		Horizontal: "═", VerticalLine: "║", ArcDownRight: "╔", ArcDownLeft: "╗",
		ArcUpRight: "╚", ArcUpLeft: "╝", EndCap: "═", StartCap: "═",
	}, asciigraph.CreateCharSet("•"), asciigraph.CreateCharSet("×")}
	dashed = asciigraph.CharSet{Horizontal: "╌", StartCap: "╌", EndCap: "╌"}
	heavy  = asciigraph.CharSet{
		Horizontal: "━", VerticalLine: "┃", ArcDownRight: "┏", ArcDownLeft: "┓",
		ArcUpRight: "┗", ArcUpLeft: "┛", EndCap: "╸", StartCap: "╺",
	}
)

// WritePlotText draws a plot.
func WritePlotText(w io.Writer, about About, p Plot, o TextOptions) error {
	_, err := io.WriteString(w, p.text(about.clock(), o))
	return err
}

func (p Plot) text(c clock, o TextOptions) string {
	from, to := p.window()
	var b strings.Builder
	b.WriteString(o.paint(bold, p.heading()) + "  " + o.paint(faint, c.period(from, to)) + "\n")
	if p.empty() {
		b.WriteString("  no values in this period\n")
		return b.String()
	}
	axis := p.axis(4)
	label := 0
	for _, v := range axis.ticks() {
		label = max(label, utf8.RuneCountInString(short(v, p.Unit)))
	}
	columns := o.width() - label - 4 // asciigraph's axis and half of the last tick's label
	ticks, layout := timeTicks(from, to, c.zone, max(2, columns/12))
	grid := newColumns(from, to, columns)

	graph := p.graph(axis, grid, o)
	b.WriteString(graph + "\n")
	b.WriteString(timeLine(grid, ticks, layout, label+2, o))
	if bar := grid.alarmBar(p); bar != "" {
		b.WriteString(pad("alarm", label+2) + o.paint(red, bar) + "\n")
	}
	for _, line := range p.legend(c, axis, o) {
		b.WriteString(strings.Repeat(" ", label+2) + line + "\n")
	}
	return b.String()
}

func (p Plot) heading() string {
	title := note(p.Title)
	if title == "" {
		title = name(p.Metric)
	}
	return title
}

// graph is the plot's area and value axis.
func (p Plot) graph(axis valueAxis, grid columns, o TextOptions) string {
	const rowsPerTick = 4
	var (
		data   [][]float64
		chars  []asciigraph.CharSet
		colors []asciigraph.AnsiColor
	)
	add := func(values []float64, set asciigraph.CharSet, color asciigraph.AnsiColor) {
		if !o.Color {
			color = asciigraph.Default
		}
		data, chars, colors = append(data, values), append(chars, set), append(colors, color)
	}
	for _, t := range p.Thresholds {
		if axis.includes(t.Value) {
			line := make([]float64, len(grid.times))
			for i := range line {
				line[i] = t.Value
			}
			add(line, dashed, asciigraph.Olive)
		}
	}
	colorOf := []asciigraph.AnsiColor{asciigraph.SteelBlue, asciigraph.SeaGreen, asciigraph.MediumPurple, asciigraph.Chocolate}
	for i, s := range p.Series {
		values := grid.sample(s)
		add(values, linesOf[i%len(linesOf)], colorOf[i%len(colorOf)])
		alarmed := make([]float64, len(values))
		for i, v := range values {
			alarmed[i] = v
			if !p.alarmed(grid.times[i]) {
				alarmed[i] = math.NaN()
			}
		}
		add(alarmed, heavy, asciigraph.Red)
	}
	intervals := int(math.Round((axis.max - axis.min) / axis.step))
	text := asciigraph.PlotMany(data,
		asciigraph.Height(intervals*rowsPerTick), asciigraph.Offset(2),
		asciigraph.LowerBound(axis.min), asciigraph.UpperBound(axis.max),
		asciigraph.SeriesChars(chars...), asciigraph.SeriesColors(colors...),
		asciigraph.YAxisValueFormatter(func(v float64) string {
			if n := (v - axis.min) / axis.step; math.Abs(n-math.Round(n)) > 0.01 {
				return ""
			}
			if math.Abs(v) < axis.step/1e6 {
				v = 0
			}
			return short(v, p.Unit)
		}))
	return text
}

// columns are the columns of a plot's area, each at an instant.
type columns struct{ times []time.Time }

func newColumns(from, to time.Time, n int) columns {
	times := make([]time.Time, n)
	for i := range times {
		times[i] = from.Add(time.Duration(float64(to.Sub(from)) * float64(i) / float64(n-1)))
	}
	return columns{times}
}

// sample gives each column a value: the largest of the points nearest to it,
// else one between its neighbours; NaN in a gap.
func (g columns) sample(s Series) []float64 {
	values := make([]float64, len(g.times))
	for i := range values {
		values[i] = math.NaN()
	}
	first := g.times[0]
	width := float64(g.times[len(g.times)-1].Sub(first)) / float64(len(g.times)-1)
	position := func(t time.Time) float64 { return float64(t.Sub(first)) / width }
	for _, run := range s.runs() {
		for i, p := range run[:len(run)-1] {
			next := run[i+1]
			left, right := position(p.Time), position(next.Time)
			for x := max(0, int(math.Ceil(left))); x < min(len(values), int(math.Ceil(right))); x++ {
				part := (float64(x) - left) / (right - left)
				values[x] = p.Value + (next.Value-p.Value)*part
			}
		}
	}
	largest := map[int]float64{}
	for _, run := range s.runs() {
		for _, p := range run {
			x := int(math.Round(position(p.Time)))
			if x < 0 || x >= len(values) {
				continue
			}
			if old, ok := largest[x]; !ok || p.Value > old {
				largest[x] = p.Value
			}
		}
	}
	for x, v := range largest {
		values[x] = v
	}
	return values
}

// alarmBar marks the columns that are in alarm; empty when none is.
func (g columns) alarmBar(p Plot) string {
	bar := make([]rune, len(g.times))
	half := g.times[1].Sub(g.times[0]) / 2
	marked := false
	for i, t := range g.times {
		bar[i] = ' '
		for _, s := range p.Alarms {
			// An alarm shorter than a column is still marked.
			if s.contains(t) || !s.From.Before(t.Add(-half)) && s.From.Before(t.Add(half)) {
				bar[i], marked = '━', true
			}
		}
	}
	if !marked {
		return ""
	}
	return strings.TrimRight(string(bar), " ")
}

// timeLine is the axis of time under a plot: ticks at round times, and their
// labels. asciigraph's own divides the period evenly.
func timeLine(g columns, ticks []time.Time, layout string, indent int, o TextOptions) string {
	n := len(g.times)
	axis := []rune(strings.Repeat("─", n))
	labels := []rune(strings.Repeat(" ", indent+n+8))
	span := float64(g.times[n-1].Sub(g.times[0]))
	free := 0
	for _, t := range ticks {
		x := int(math.Round(float64(t.Sub(g.times[0])) / span * float64(n-1)))
		axis[x] = '┬'
		text := []rune(t.Format(layout))
		start := max(0, indent+x-len(text)/2)
		if start < free || start+len(text) > o.width() {
			continue
		}
		copy(labels[start:], text)
		free = start + len(text) + 1
	}
	return strings.Repeat(" ", indent-1) + "└" + string(axis) + "\n" + strings.TrimRight(string(labels), " ") + "\n"
}

// legend says what the lines are, with their values.
func (p Plot) legend(c clock, axis valueAxis, o TextOptions) []string {
	var lines []string
	for _, t := range p.Thresholds {
		text := t.words(p.Unit)
		switch {
		case !finite(t.Value):
			continue
		case axis.includes(t.Value):
			lines = append(lines, o.paint(yellow, "╌╌")+" "+text)
		default:
			lines = append(lines, o.paint(yellow, "  ")+text+", beyond this plot")
		}
	}
	for _, s := range p.Alarms {
		text := s.words(c)
		if !s.From.IsZero() && !s.To.IsZero() {
			text += ", " + lasting(s.To.Sub(s.From))
		}
		lines = append(lines, o.paint(red, "━━")+" "+text)
	}
	if len(p.Series) > 1 {
		for i, s := range p.Series {
			lines = append(lines, strings.Repeat(linesOf[i%len(linesOf)].Horizontal, 2)+" "+name(s.Name))
		}
	}
	return lines
}

// sparks are the eighths of a block.
var sparks = []rune("▁▂▃▄▅▆▇█")

// sparkline is a series in one line: the higher the block the larger the
// value, the lowest block is the smallest. Gaps are blank.
func (g columns) sparkline(p Plot, o TextOptions) string {
	var values []float64
	for _, s := range p.Series {
		values = g.sample(s)
		break
	}
	low, high := math.Inf(1), math.Inf(-1)
	for _, v := range values {
		if !math.IsNaN(v) {
			low, high = min(low, v), max(high, v)
		}
	}
	var b strings.Builder
	for i, v := range values {
		block := " "
		if !math.IsNaN(v) {
			level := 0
			if high > low {
				level = int(math.Round((v - low) / (high - low) * float64(len(sparks)-1)))
			}
			block = string(sparks[level])
		}
		if p.alarmed(g.times[i]) {
			block = o.paint(red, block)
		}
		b.WriteString(block)
	}
	return b.String()
}
