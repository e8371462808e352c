//go:build linux

package main

import (
	"fmt"
	"io"
	"slices"
	"strings"
)

// table collects figures of several subjects.
type table struct {
	subjects named
	rows     []string
	format   map[string]string
	values   map[string]map[string][]float64 // by row and subject
}

func newTable(subjects named) *table {
	return &table{subjects: subjects, format: map[string]string{}, values: map[string]map[string][]float64{}}
}

func (t *table) add(subject, row, format string, value float64) {
	if t.values[row] == nil {
		t.rows = append(t.rows, row)
		t.format[row], t.values[row] = format, map[string][]float64{}
	}
	t.values[row][subject] = append(t.values[row][subject], value)
}

// write prints a Markdown table: medians, with the range of several turns, and
// the ratio of the first subject to the last.
func (t *table) write(w io.Writer) error {
	var b strings.Builder
	first, last := t.subjects[0].name, t.subjects[len(t.subjects)-1].name
	b.WriteString("| what |")
	for _, s := range t.subjects {
		fmt.Fprintf(&b, " %s |", s.name)
	}
	if first != last {
		fmt.Fprintf(&b, " %s / %s |", first, last)
	}
	b.WriteString("\n| --- |" + strings.Repeat(" ---: |", strings.Count(b.String(), "|")-2) + "\n")
	for _, row := range t.rows {
		fmt.Fprintf(&b, "| %s |", row)
		for _, s := range t.subjects {
			fmt.Fprintf(&b, " %s |", spread(t.format[row], t.values[row][s.name]))
		}
		if first != last {
			a, z := middle(t.values[row][first]), middle(t.values[row][last])
			if a > 0 && z > 0 {
				fmt.Fprintf(&b, " %.2f |", a/z)
			} else {
				b.WriteString(" - |")
			}
		}
		b.WriteString("\n")
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func spread(format string, values []float64) string {
	if len(values) == 0 {
		return "-"
	}
	text := fmt.Sprintf(format, middle(values))
	if len(values) > 1 {
		text += fmt.Sprintf(" ("+format+" to "+format+")", slices.Min(values), slices.Max(values))
	}
	return text
}

func middle(values []float64) float64 {
	if len(values) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(values))
	n := len(sorted)
	return (sorted[(n-1)/2] + sorted[n/2]) / 2
}
