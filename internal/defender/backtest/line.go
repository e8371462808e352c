package backtest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"time"
	"unicode/utf8"

	"github.com/device-defender/device-defender/internal/defender/detect"
	"github.com/device-defender/device-defender/internal/defender/profile"
	"github.com/device-defender/device-defender/internal/defender/report"
)

// MaxLine is the longest line of a recording in bytes. A report has at most
// 128 KB.
const MaxLine = 1 << 20

// line is a line of a recording.
type line struct {
	Thing     string                   `json:"thing"`
	Time      string                   `json:"time"`
	Report    json.RawMessage          `json:"report,omitempty"`
	Metric    string                   `json:"metric,omitempty"`
	Dimension *profile.MetricDimension `json:"dimension,omitempty"`
	Value     *profile.Value           `json:"value,omitempty"`
	Cut       *profile.Cut             `json:"cut,omitempty"`
}

// ReportLine returns the line of a report.
func ReportLine(thing string, at time.Time, r *report.Report) ([]byte, error) {
	text, err := r.Encode(report.Encoding{Format: report.JSON, Names: report.Long})
	if err != nil {
		return nil, err
	}
	return encode(line{Thing: thing, Time: timeText(at), Report: text})
}

// ValueLine returns the line of a value.
func ValueLine(thing string, at time.Time, m detect.Measurement) ([]byte, error) {
	return encode(line{Thing: thing, Time: timeText(at), Metric: m.Metric.Name, Dimension: m.Metric.MetricDimension(), Value: &m.Value, Cut: m.Cut})
}

// timeText writes a time to the millisecond, as AWS keeps it.
func timeText(at time.Time) string {
	return at.UTC().Truncate(time.Millisecond).Format(time.RFC3339Nano)
}

func encode(l line) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(l); err != nil {
		return nil, fmt.Errorf("encoding a line of thing %.128q: %w", l.Thing, err)
	}
	return b.Bytes(), nil
}

// timeOf returns the time of a line and, beyond that it is JSON where it does
// not look like a line of our own, does not check it.
func timeOf(data []byte) (time.Time, error) {
	if text := quickTime(data); text != nil {
		return parseTime(string(text))
	}
	var l struct {
		Time *string `json:"time"`
	}
	if err := json.Unmarshal(data, &l); err != nil {
		return time.Time{}, plain(err)
	}
	if l.Time == nil {
		return time.Time{}, errors.New("no time")
	}
	return parseTime(*l.Time)
}

var (
	beforeThing = []byte(`{"thing":"`)
	beforeTime  = []byte(`","time":"`)
)

// quickTime returns the time's text of a line that begins with thing and time
// as ours do, else nil.
func quickTime(data []byte) []byte {
	rest, ours := bytes.CutPrefix(data, beforeThing)
	if !ours {
		return nil
	}
	quote := bytes.IndexAny(rest, `"\`)
	if quote < 0 || !bytes.HasPrefix(rest[quote:], beforeTime) {
		return nil
	}
	rest = rest[quote+len(beforeTime):]
	if quote = bytes.IndexAny(rest, `"\`); quote < 0 || rest[quote] == '\\' {
		return nil
	}
	return rest[:quote]
}

// The times that the engine takes.
var (
	earliest = time.Unix(1, 0)
	latest   = time.Date(2200, 1, 1, 0, 0, 0, 0, time.UTC)
)

func parseTime(text string) (time.Time, error) {
	at, err := time.Parse(time.RFC3339, text)
	switch {
	case err != nil:
		return at, fmt.Errorf("time %.64q, want as 2026-11-22T14:30:00Z", text)
	case at.Before(earliest) || !at.Before(latest):
		return at, fmt.Errorf("time %s, want one from 1970 to 2199", text)
	}
	return at, nil
}

// parseLine reads a line.
func parseLine(data []byte) (detect.Observation, error) {
	var o detect.Observation
	if !utf8.Valid(data) {
		return o, errors.New("not valid UTF-8")
	}
	var l line
	if err := json.Unmarshal(data, &l); err != nil {
		return o, plain(err)
	}
	if err := report.CheckThingName(l.Thing); err != nil {
		return o, err
	}
	at, err := parseTime(l.Time)
	if err != nil {
		return o, err
	}
	o.Thing, o.Time = l.Thing, at
	isReport := len(l.Report) > 0 && string(l.Report) != "null"
	switch isValue := l.Metric != "" || l.Value != nil || l.Dimension != nil || l.Cut != nil; {
	case isReport && isValue:
		return o, errors.New("both a report and a value")
	case isReport:
		r, _, err := report.Decode(l.Report)
		if err != nil {
			return o, fmt.Errorf("report: %w", err)
		}
		o.Measurements = detect.FromReport(r)
		return o, nil
	case !isValue:
		return o, errors.New("neither a report nor a value of a metric")
	}
	m, err := l.measurement()
	o.Measurements = []detect.Measurement{m}
	return o, err
}

// measurement returns the value of a line that has one.
func (l *line) measurement() (detect.Measurement, error) {
	m := detect.Measurement{Metric: profile.RefOf(l.Metric, l.Dimension)}
	if err := profile.CheckName(l.Metric); err != nil {
		return m, fmt.Errorf("metric: %w", err)
	}
	if d := l.Dimension; d != nil {
		if err := profile.CheckName(d.DimensionName); err != nil {
			return m, fmt.Errorf("dimension: %w", err)
		}
		if d.Operator != "" && d.Operator != "IN" && d.Operator != "NOT_IN" {
			return m, fmt.Errorf("operator %.64q of the dimension, want IN or NOT_IN", d.Operator)
		}
	}
	if l.Value == nil {
		return m, errors.New("a metric without a value")
	}
	m.Value = *l.Value
	kinds := m.Value.Kinds()
	if len(kinds) != 1 {
		return m, fmt.Errorf("a value with %d members, want one of count, cidrs, ports, number, numbers and strings", len(kinds))
	}
	if known, ok := profile.FindMetric(l.Metric); ok && known.Kind != kinds[0] {
		return m, fmt.Errorf("metric %s with %s, want %s", l.Metric, kinds[0], known.Kind)
	}
	if c := l.Cut; c != nil {
		if !kinds[0].List() {
			return m, fmt.Errorf("cut with %s, want it with a list only", kinds[0])
		}
		if c.Listed < 0 || c.Total != 0 && c.Total <= c.Listed {
			return m, fmt.Errorf("cut with %d of %d entries listed, want a total above what is listed", c.Listed, c.Total)
		}
		m.Cut = c
	}
	return m, nil
}

// plain says what is wrong with JSON without the names of Go's types.
func plain(err error) error {
	if mistyped, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		if mistyped.Field == "" {
			return fmt.Errorf("%s, want an object", mistyped.Value)
		}
		return fmt.Errorf("%s: %s does not fit", mistyped.Field, mistyped.Value)
	}
	return fmt.Errorf("malformed JSON: %w", err)
}
