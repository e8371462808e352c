package render

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"html/template"
	"image/color"
	"io"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/font"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgsvg"
)

// chartSize is one of the drawings of a plot. A drawing scales with the page,
// its letters too: so there is one for wide pages and one for narrow ones, and
// the style shows the one that fits.
type chartSize struct {
	class         string
	width, height vg.Length
	times, values int // ticks at most, about
}

var (
	pageSizes = []chartSize{
		{"wide", 720, 250, 9, 4},
		{"narrow", 340, 210, 4, 4},
	}
	smallSizes = []chartSize{{"small", 340, 120, 4, 3}}
)

// canvas is an empty drawing. The margin is for letters that are wider on the
// page than in gonum's own font.
func (s chartSize) canvas() (*vgsvg.Canvas, draw.Canvas) {
	frame := vgsvg.New(s.width, s.height)
	return frame, draw.Crop(draw.New(frame), 1, -6, 1, -4)
}

// inks are classes of the style sheet. gonum knows colours only: each class is
// drawn in a colour of its own, and the colour replaced by the class after.
// Black is no ink, as vgsvg leaves it out.
var inks = []string{"", "grid", "axis", "x-mark", "x-label", "y-label", "band", "area", "limit", "alarm", "bar", "line line-1", "line line-2", "line line-3", "line line-4"}

func inkOf(class string) color.Color {
	for i, c := range inks {
		if c == class {
			return color.NRGBA{R: uint8(i), A: 255}
		}
	}
	panic("no ink " + class) // a slip in this file
}

// drawing is a plot without content: axes, round ticks, horizontal grid lines.
func drawing(axis valueAxis, unit string) *plot.Plot {
	p := plot.New()
	p.BackgroundColor = nil
	label := font.Font{Typeface: "Liberation", Variant: "Sans", Size: 11}
	for _, a := range []*plot.Axis{&p.X, &p.Y} {
		a.Padding = 0
		a.Tick.Label.Font = label
	}
	p.X.LineStyle = draw.LineStyle{Color: inkOf("axis"), Width: 1}
	p.X.Tick.LineStyle = draw.LineStyle{Color: inkOf("x-mark"), Width: 1}
	p.X.Tick.Length = 4
	p.X.Tick.Label.Color = inkOf("x-label")
	p.Y.LineStyle.Width = 0
	p.Y.Tick.LineStyle.Width = 0
	p.Y.Tick.Length = 4
	p.Y.Tick.Label.Color = inkOf("y-label")
	p.Y.Min, p.Y.Max = axis.min, axis.max
	var ticks plot.ConstantTicks
	for _, v := range axis.ticks() {
		ticks = append(ticks, plot.Tick{Value: v, Label: short(v, unit)})
	}
	p.Y.Tick.Marker = ticks
	grid := plotter.NewGrid()
	grid.Vertical.Color = nil
	grid.Horizontal = draw.LineStyle{Color: inkOf("grid"), Width: 1}
	p.Add(grid)
	return p
}

// svg draws a plot in one size.
func (p Plot) svg(c clock, size chartSize, label string) (template.HTML, error) {
	from, to := p.window()
	axis := p.axis(size.values)
	d := drawing(axis, p.Unit)
	d.X.Min, d.X.Max = unix(from), unix(to)
	times, layout := timeTicks(from, to, c.zone, size.times)
	var ticks plot.ConstantTicks
	for _, t := range times {
		ticks = append(ticks, plot.Tick{Value: unix(t), Label: t.Format(layout)})
	}
	d.X.Tick.Marker = ticks

	frame, canvas := size.canvas()
	d.Draw(canvas)
	area := d.DataCanvas(canvas)

	// The data has a canvas of its own, which the page can stretch: a zoom
	// needs no new drawing.
	inside := vgsvg.New(area.Size().X, area.Size().Y)
	content, err := p.plotters(axis)
	if err != nil {
		return "", err
	}
	for _, part := range content {
		part.Plot(draw.New(inside), d)
	}

	var b strings.Builder
	fmt.Fprintf(&b, `<svg class="chart %s" viewBox="0 0 %g %g" role="img" aria-label="%s">`, size.class, size.width, size.height, attribute(label))
	if err := reink(&b, frame); err != nil {
		return "", err
	}
	left, top := area.Min.X, size.height-area.Max.Y
	fmt.Fprintf(&b, `<svg class="data" x="%.5g" y="%.5g" width="%.5g" height="%.5g" viewBox="0 0 %.5g %.5g" preserveAspectRatio="none">`,
		left, top, area.Size().X, area.Size().Y, area.Size().X, area.Size().Y)
	if err := reink(&b, inside); err != nil {
		return "", err
	}
	b.WriteString(`</svg>`)
	for _, t := range p.Thresholds {
		if !finite(t.Value) || !axis.includes(t.Value) {
			continue
		}
		y := top + area.Size().Y*vg.Length((axis.max-t.Value)/(axis.max-axis.min))
		if y < 14 {
			y += 16
		}
		text := t.words(p.Unit)
		if perLetter := vg.Length(6); vg.Length(utf8.RuneCountInString(text))*perLetter > area.Size().X*0.6 {
			text = short(t.Value, p.Unit)
		}
		fmt.Fprintf(&b, `<text class="limit-label" text-anchor="end" x="%.5g" y="%.5g">%s</text>`, area.Max.X-2, y-5, attribute(text))
	}
	b.WriteString(`</svg>`)
	return template.HTML(b.String()), nil
}

func (t Threshold) words(unit string) string {
	if t.Label == "" {
		return long(t.Value, unit)
	}
	return note(t.Label) + ": " + long(t.Value, unit)
}

func unix(t time.Time) float64 { return float64(t.UnixMilli()) / 1000 }

// plotters are the plot's content, from back to front.
func (p Plot) plotters(axis valueAxis) ([]plot.Plotter, error) {
	from, to := p.window()
	var content []plot.Plotter
	var problems error
	line := func(points plotter.XYs, class string, fill color.Color) {
		l, err := plotter.NewLine(points)
		if err != nil {
			problems = errors.Join(problems, err)
			return
		}
		l.LineStyle = draw.LineStyle{Width: 1}
		if class != "" {
			l.Color = inkOf(class)
		} else {
			l.Width = 0
		}
		l.FillColor = fill
		content = append(content, l)
	}
	for _, s := range p.Alarms {
		begin, end := max(unix(s.From), unix(from)), unix(to)
		if !s.To.IsZero() {
			end = min(end, unix(s.To))
		}
		if end < begin {
			continue
		}
		band, err := plotter.NewPolygon(plotter.XYs{{X: begin, Y: axis.min}, {X: begin, Y: axis.max}, {X: end, Y: axis.max}, {X: end, Y: axis.min}})
		if err != nil {
			return nil, err
		}
		band.Color, band.Width = inkOf("band"), 0
		content = append(content, band)
	}
	if len(p.Series) == 1 {
		for _, run := range p.Series[0].runs() {
			line(p.xys(run), "", inkOf("area"))
		}
	}
	for _, t := range p.Thresholds {
		if finite(t.Value) && axis.includes(t.Value) {
			line(plotter.XYs{{X: unix(from), Y: t.Value}, {X: unix(to), Y: t.Value}}, "limit", nil)
		}
	}
	for i, s := range p.Series {
		for _, run := range s.runs() {
			line(p.xys(run), "line line-"+strconv.Itoa(i%4+1), nil)
		}
		for _, run := range s.runs() {
			var alarmed []Point
			for j, point := range run {
				in := p.alarmed(point.Time)
				if in {
					alarmed = append(alarmed, point)
				}
				if len(alarmed) == 1 && j > 0 && in && j == len(run)-1 {
					// The latest point alone has no line of its own.
					alarmed = append([]Point{run[j-1]}, alarmed...)
				}
				if len(alarmed) > 0 && (!in || j == len(run)-1) {
					line(p.xys(alarmed), "alarm", nil)
					alarmed = nil
				}
			}
		}
	}
	return content, problems
}

// xys converts points. A point alone becomes a line just long enough to be
// drawn.
func (p Plot) xys(points []Point) plotter.XYs {
	var xys plotter.XYs
	for _, point := range points {
		xys = append(xys, plotter.XY{X: unix(point.Time), Y: point.Value})
	}
	if len(xys) == 1 {
		from, to := p.window()
		xys = append(xys, plotter.XY{X: xys[0].X + to.Sub(from).Seconds()/1000, Y: xys[0].Y})
	}
	return xys
}

// daysSVG draws the violations of each day as bars.
func (t totals) daysSVG(size chartSize, label string) (template.HTML, error) {
	high := 1
	values := make(plotter.Values, len(t.days))
	for i, d := range t.days {
		values[i] = float64(d.count)
		high = max(high, d.count)
	}
	d := drawing(Plot{Unit: "violations", Series: []Series{{Points: []Point{{Value: float64(high)}, {}}}}}.axis(size.values), "")
	bars, err := plotter.NewBarChart(values, (size.width-40)/vg.Length(len(values))*0.7)
	if err != nil {
		return "", err
	}
	bars.Color, bars.LineStyle.Width = inkOf("bar"), 0
	d.Add(bars)
	d.X.Min, d.X.Max = -0.6, float64(len(values))-0.4
	every := (len(values) + size.times - 1) / size.times
	var ticks plot.ConstantTicks
	for i := 0; i < len(values); i += every {
		ticks = append(ticks, plot.Tick{Value: float64(i), Label: t.days[i].day.Format("2 Jan")})
	}
	d.X.Tick.Marker = ticks
	frame, canvas := size.canvas()
	d.Draw(canvas)
	var b strings.Builder
	fmt.Fprintf(&b, `<svg class="chart %s" viewBox="0 0 %g %g" role="img" aria-label="%s">`, size.class, size.width, size.height, attribute(label))
	if err := reink(&b, frame); err != nil {
		return "", err
	}
	b.WriteString(`</svg>`)
	return template.HTML(b.String()), nil
}

// reink copies what was drawn, without the outer element, and with classes in
// the place of styles: a strict policy takes no style attributes, and colours
// are the page's.
func reink(w *strings.Builder, drawn *vgsvg.Canvas) error {
	var b bytes.Buffer
	if _, err := drawn.WriteTo(&b); err != nil {
		return err
	}
	decoder := xml.NewDecoder(&b)
	for depth := 0; ; {
		token, err := decoder.Token()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("reading the drawn plot: %w", err)
		}
		switch t := token.(type) {
		case xml.StartElement:
			if depth++; depth == 1 {
				continue
			}
			w.WriteString("<" + t.Name.Local)
			for _, a := range t.Attr {
				key, value := a.Name.Local, a.Value
				if key == "style" {
					key, value = "class", classOf(a.Value)
				}
				w.WriteString(" " + key + `="` + attribute(value) + `"`)
			}
			w.WriteString(">")
		case xml.EndElement:
			if depth--; depth > 0 {
				w.WriteString("</" + t.Name.Local + ">")
			}
		case xml.CharData:
			w.WriteString(attribute(strings.TrimSpace(string(t))))
		}
	}
}

// classOf finds the class whose colour a style has.
func classOf(style string) string {
	for part := range strings.SplitSeq(style, ";") {
		key, value, _ := strings.Cut(part, ":")
		if (key == "fill" || key == "stroke") && len(value) == 7 {
			if n, err := strconv.ParseUint(value[1:3], 16, 8); err == nil && int(n) < len(inks) {
				return inks[n]
			}
		}
	}
	return ""
}

// attribute escapes clean text for markup.
func attribute(s string) string { return template.HTMLEscapeString(s) }
