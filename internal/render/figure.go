package render

import (
	"cmp"
	"encoding/json"
	"fmt"
	"html/template"
	"slices"
	"time"
	"unicode"
	"unicode/utf8"
)

// figureView is a plot with all that surrounds it on a page.
type figureView struct {
	Small   bool   // one of many: its heading is of the third level
	Key     string // the same in the page's next version
	Title   string
	Link    string
	Unit    string
	Summary string
	Charts  []template.HTML
	Data    string // for the script, as JSON
	Names   []string
	Limits  []string
	Alarms  []string
	Count   string
	Rows    []valueRow
}

type valueRow struct {
	Time  time.Time
	Of    string
	Value string
	Alarm bool
}

func figures(plots []Plot, c clock) ([]figureView, error) {
	var views []figureView
	for _, p := range plots {
		f, err := p.figure(c, true)
		if err != nil {
			return nil, err
		}
		views = append(views, f)
	}
	return views, nil
}

func (p Plot) figure(c clock, small bool) (figureView, error) {
	sizes := pageSizes
	if small {
		sizes = smallSizes
	}
	f := figureView{
		Small: small, Key: name(cmp.Or(p.Link, p.Metric, p.Title)), Title: upperFirst(p.heading(), p.Metric), Link: p.Link,
		Unit: cmp.Or(name(p.Unit), "value"), Data: "{}",
	}
	if p.empty() {
		return f, nil
	}
	from, to := p.window()
	peak, count := p.peak()
	low, high, _ := p.bounds()
	f.Summary = fmt.Sprintf("highest %s, %s", long(peak.Value, p.Unit), c.sameDay(peak.Time, from, to))
	label := fmt.Sprintf("%s, %s: %s from %s to %s, %s", f.Title, c.period(from, to), plural(count, "value", "values"),
		long(low, p.Unit), long(high, p.Unit), f.Summary)
	for _, t := range p.Thresholds {
		if finite(t.Value) {
			f.Limits = append(f.Limits, t.words(p.Unit))
		}
	}
	for _, s := range p.Alarms {
		f.Alarms = append(f.Alarms, s.words(c))
	}
	for _, text := range slices.Concat(f.Limits, f.Alarms) {
		label += "; " + text
	}
	for _, size := range sizes {
		chart, err := p.svg(c, size, label)
		if err != nil {
			return figureView{}, fmt.Errorf("drawing %s: %w", f.Title, err)
		}
		f.Charts = append(f.Charts, chart)
	}
	data, err := p.data(c, sizes[0])
	if err != nil {
		return figureView{}, err
	}
	f.Data = string(data)

	for _, s := range p.Series {
		if len(p.Series) > 1 {
			f.Names = append(f.Names, name(s.Name))
		}
		for _, point := range s.Points {
			if finite(point.Value) {
				f.Rows = append(f.Rows, valueRow{point.Time, name(s.Name), grouped(point.Value), p.alarmed(point.Time)})
			}
		}
	}
	slices.SortStableFunc(f.Rows, func(a, b valueRow) int { return b.Time.Compare(a.Time) })
	f.Count = plural(len(f.Rows), "value", "values") + " as a table"
	if len(f.Rows) > mostValues {
		f.Count = fmt.Sprintf("The latest %d of %s values as a table", mostValues, grouped(float64(len(f.Rows))))
		f.Rows = f.Rows[:mostValues]
	}
	return f, nil
}

// peak is the highest point, and how many there are.
func (p Plot) peak() (peak Point, count int) {
	for _, s := range p.Series {
		for _, point := range s.Points {
			if !finite(point.Value) {
				continue
			}
			if count++; count == 1 || point.Value > peak.Value {
				peak = point
			}
		}
	}
	return peak, count
}

// sameDay leaves the day out where the plot's period says it.
func (c clock) sameDay(t, from, to time.Time) string {
	if to.Sub(from) < 24*time.Hour {
		return c.hour(t)
	}
	return c.format(t, "2 Jan, 15:04")
}

// data is what the script needs: seconds since 1970, and the zone's offsets.
func (p Plot) data(c clock, size chartSize) ([]byte, error) {
	type series struct {
		Name   string       `json:"name"`
		Points [][2]float64 `json:"points"`
	}
	from, to := p.window()
	axis := p.axis(size.values)
	data := struct {
		From    float64       `json:"from"`
		To      float64       `json:"to"`
		Min     float64       `json:"min"`
		Max     float64       `json:"max"`
		Unit    string        `json:"unit"`
		Offsets [][2]float64  `json:"offsets"`
		Alarms  [][2]*float64 `json:"alarms"`
		Series  []series      `json:"series"`
	}{From: unix(from), To: unix(to), Min: axis.min, Max: axis.max, Unit: name(p.Unit), Alarms: [][2]*float64{}, Series: []series{}}
	for t := from; ; {
		_, offset := t.In(c.zone).Zone()
		data.Offsets = append(data.Offsets, [2]float64{unix(t), float64(offset)})
		_, end := t.In(c.zone).ZoneBounds()
		if end.IsZero() || end.After(to) {
			break
		}
		t = end
	}
	for _, a := range p.Alarms {
		span := [2]*float64{new(unix(a.From)), nil}
		if !a.To.IsZero() {
			span[1] = new(unix(a.To))
		}
		data.Alarms = append(data.Alarms, span)
	}
	for _, s := range p.Series {
		out := series{Name: name(s.Name), Points: [][2]float64{}}
		if len(p.Series) == 1 {
			out.Name = ""
		}
		for _, point := range s.Points {
			if finite(point.Value) {
				out.Points = append(out.Points, [2]float64{unix(point.Time), point.Value})
			}
		}
		data.Series = append(data.Series, out)
	}
	return json.Marshal(data)
}

// daysLabel says in words what the bars show.
func (t totals) daysLabel() string {
	most := slices.MaxFunc(t.days, func(a, b dayTotal) int { return cmp.Compare(a.count, b.count) })
	return fmt.Sprintf("Violations begun on each of %s, most on %s: %d", plural(len(t.days), "day", "days"), most.day.Format("2 Jan 2006"), most.count)
}

// upperFirst begins a heading in upper case, unless it is a metric's own name.
func upperFirst(title, metric string) string {
	r, size := utf8.DecodeRuneInString(title)
	if title == name(metric) {
		return title
	}
	return string(unicode.ToUpper(r)) + title[size:]
}
