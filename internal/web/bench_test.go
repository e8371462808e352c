package web

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iot"

	"github.com/device-defender/device-defender/internal/defender/report"
	"github.com/device-defender/device-defender/internal/defender/servicetest"
	"github.com/device-defender/device-defender/internal/render"
)

// BenchmarkPages makes pages with 40,000 violations in alarm and 30 profiles: with
// nothing else to do, and while things report, whose latencies it says too.
func BenchmarkPages(b *testing.B) {
	w := newWorld(b)
	w.Profile("Ports", onlyPort("Ports", 443))
	for i := range 29 {
		name := fmt.Sprintf("Other%d", i)
		if _, err := w.IoT.CreateSecurityProfile(b.Context(), &iot.CreateSecurityProfileInput{SecurityProfileName: aws.String(name)}); err != nil {
			b.Fatal(err)
		}
	}
	alarms(b, w, 40_000)
	handler := w.Service.Handler()
	pages := map[string]string{
		"overview": render.OverviewPath, "thing": render.ThingLink("thing-00007"), "profile": render.ProfileLink("Ports"),
		"violation": render.ViolationLink(violations(b, w)["thing-00007"]),
	}
	for _, name := range []string{"overview", "thing", "profile", "violation"} {
		read := func(b *testing.B) {
			for b.Loop() {
				r := httptest.NewRequestWithContext(b.Context(), http.MethodGet, pages[name], nil)
				r.Host = "localhost"
				answer := httptest.NewRecorder()
				handler.ServeHTTP(answer, r)
				if answer.Code != http.StatusOK {
					b.Fatal(answer.Code)
				}
			}
		}
		b.Run(name+"/idle", read)
		b.Run(name+"/ingest", func(b *testing.B) {
			stop := ingest(b, w)
			read(b)
			rate, p99 := stop()
			b.ReportMetric(rate, "reports/s")
			b.ReportMetric(float64(p99.Milliseconds()), "p99-ms")
		})
	}
	b.Run("none/ingest", func(b *testing.B) { // to compare with
		stop := ingest(b, w)
		for b.Loop() {
			time.Sleep(100 * time.Millisecond)
		}
		rate, p99 := stop()
		b.ReportMetric(rate, "reports/s")
		b.ReportMetric(float64(p99.Milliseconds()), "p99-ms")
	})
}

// ingest has 8 things report at a time, until stop is called.
func ingest(b *testing.B, w *servicetest.World) (stop func() (rate float64, p99 time.Duration)) {
	b.Helper()
	w.Pass(5 * time.Minute)
	begin, end := time.Now(), make(chan struct{})
	var mu sync.Mutex
	var took []time.Duration
	var parts sync.WaitGroup
	const workers = 8
	for worker := range workers {
		parts.Go(func() {
			for i := worker; ; i += workers {
				select {
				case <-end:
					return
				default:
				}
				if i >= 40_000 {
					i = worker
					w.Pass(5 * time.Minute)
				}
				at := time.Now()
				payload := fmt.Sprintf(`{"header":{"report_id":%d,"version":"1.0"},"metrics":{"listening_tcp_ports":{"ports":[{"port":8080}],"total":1}}}`, at.UnixNano()/1000)
				w.Service.Report(b.Context(), fmt.Sprintf("thing-%05d", i), report.JSON, []byte(payload))
				mu.Lock()
				took = append(took, time.Since(at))
				mu.Unlock()
			}
		})
	}
	return func() (float64, time.Duration) {
		close(end)
		parts.Wait()
		slices.Sort(took)
		return float64(len(took)) / time.Since(begin).Seconds(), took[len(took)*99/100]
	}
}
