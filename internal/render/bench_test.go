package render

import (
	"bytes"
	"testing"
	"time"
)

// BenchmarkViolationHTML writes a page with all that AWS keeps: two weeks of
// five-minute values of six metrics.
func BenchmarkViolationHTML(b *testing.B) {
	p := examplePage()
	var points []Point
	for i := range 14 * 288 {
		points = append(points, Point{exampleTo.Add(time.Duration(i-14*288) * 5 * time.Minute), float64(i * i % 977)})
	}
	p.Plot.Series[0].Points, p.Plot.From = points, points[0].Time
	for i := range p.Context {
		p.Context[i].Series[0].Points, p.Context[i].From = points, points[0].Time
	}
	var page bytes.Buffer
	for b.Loop() {
		page.Reset()
		if err := WriteViolationHTML(&page, p); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(page.Len())/1e6, "MB/page")
}
