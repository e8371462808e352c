package service

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/google/go-cmp/cmp"

	"github.com/device-defender/device-defender/internal/defender/alert"
	"github.com/device-defender/device-defender/internal/defender/detect"
	"github.com/device-defender/device-defender/internal/defender/outbox"
	"github.com/device-defender/device-defender/internal/defender/report"
	"github.com/device-defender/device-defender/internal/defender/store"
)

// Run counts what is kept when somebody measures.
func TestCensus(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := openService(t, Options{Channels: []alert.Channel{alert.PlainWebhook("http://user:secret@192.0.2.1/hook")}})
		handler := s.Handler()
		for _, call := range [][3]string{
			{"POST", "/security-profiles/Ports", `{"behaviors":[{"name":"Few","metric":"aws:num-listening-tcp-ports","criteria":{"comparisonOperator":"less-than","value":{"count":1}}}]}`},
			{"PUT", "/security-profiles/Ports/targets?securityProfileTargetArn=arn:aws:iot:us-east-1:123456789012:all/things", ""},
			{"POST", "/things/a", "{}"}, {"POST", "/things/d", "{}"}, {"POST", "/things/z", "{}"},
		} {
			if w := send(t, handler, call[0], call[1], jsonBody, call[2]); w.Code != http.StatusOK {
				t.Fatal(call, w.Code, w.Body)
			}
		}
		for _, thing := range []string{"b", "d"} { // d is registered, b is not
			if reply := s.Report(t.Context(), thing, report.JSON, reportOf(1, ports(443))); reply.Status != report.Accepted {
				t.Fatal(reply)
			}
		}
		time.Sleep(40 * time.Minute)
		if reply := s.Report(t.Context(), "c", report.JSON, reportOf(1, ports(443))); reply.Status != report.Accepted {
			t.Fatal(reply)
		}
		c, err := s.takeCensus(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		want := Census{
			Time: s.now(), Reporting: 1, Silent: 2, Never: 2,
			Active:  []ActiveCount{{"Ports", "Few", 3}},
			Waiting: []WaitingCount{{"webhook (webhook at http://192.0.2.1/...)", 3, c.Time.Add(-40 * time.Minute)}},
		}
		if diff := cmp.Diff(want, c); diff != "" {
			t.Error(diff)
		}

		if s.Measure().Census != nil {
			t.Error("a census before Run")
		}
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan struct{})
		go func() { s.takeCensuses(ctx); close(ended) }()
		synctest.Wait()
		first := s.Measure().Census
		if first == nil || first.Never != 2 {
			t.Fatal(first)
		}
		time.Sleep(censusEvery / 2)
		synctest.Wait()
		if s.Measure().Census != first {
			t.Error("counted again too soon")
		}
		time.Sleep(censusEvery)
		synctest.Wait()
		if s.Measure().Census == first {
			t.Error("not counted again")
		}
		cancel()
		<-ended
	})
}

// What comes in is counted by the way that it came and what was answered.
func TestTallies(t *testing.T) {
	s := openService(t, Options{CloudEvents: true})
	handler := s.Handler()
	for path, body := range map[string]string{
		"/things/a/defender/metrics/json":                                         string(reportOf(1, ports(443))),
		"/things/b/defender/metrics/json":                                         "{",
		"/topics/" + "%24aws%2Fthings%2Fc%2Fdefender%2Fmetrics%2Fjson" + "?qos=1": string(reportOf(1, ports(443))),
	} {
		send(t, handler, "POST", path, jsonBody, body)
	}
	send(t, handler, "POST", "/things/a/defender/metrics/json", jsonBody, string(reportOf(2, ports(443))))
	s.Tally("queue").Connected(false)
	s.Tally("queue").Took(report.Reply{Status: report.Rejected, ErrorCode: "Unheard"}, time.UnixMilli(5), time.Hour)
	s.Cloud(detect.CloudEvent{Thing: "a", Type: detect.Connect})
	m := s.Measure()
	if len(m.WaysIn) != 2 {
		t.Fatal(m.WaysIn)
	}
	if diff := cmp.Diff(map[string]uint64{"accepted": 2, "InvalidPayload": 1, "Throttled": 1, "ServiceUnavailable": 0, "other": 0}, m.WaysIn[0].Verdicts); diff != "" {
		t.Error(diff)
	}
	total := uint64(0)
	for _, n := range m.WaysIn[0].Latency {
		total += n
	}
	if total != 4 || m.WaysIn[0].Took <= 0 || time.Since(m.WaysIn[0].Last) > time.Hour || m.WaysIn[0].Connects {
		t.Errorf("%+v", m.WaysIn[0])
	}
	queue := m.WaysIn[1]
	if queue.Verdicts["other"] != 1 || queue.Latency[len(LatencyBounds)] != 1 || !queue.Connects || queue.Connected || queue.Last.UnixMilli() != 5 {
		t.Errorf("%+v", queue)
	}
	if m.Transactions == 0 || m.Tasks < 3 || len(m.Lanes) < 2 || m.Lanes[0].Room != maxBatch || m.Store.Disk == 0 || m.Store.DiskSize == 0 || m.StoreErr != nil {
		t.Errorf("%+v", m)
	}
}

// Names are counted apart within bounds.
func TestCountsAreBounded(t *testing.T) {
	var c tallies
	for i := range 3 * mostCounted {
		c.events.add(EventName{fmt.Sprint(i), "b", "in-alarm"}, EventName{Other, Other, "in-alarm"}, 1)
	}
	all := c.events.all()
	if n := all[EventName{Other, Other, "in-alarm"}]; len(all) != mostCounted+1 || n != 2*mostCounted {
		t.Error(len(all), n)
	}
	for _, err := range []error{nil, fmt.Errorf("x: %w", outbox.ErrRefused), errors.New("x")} {
		c.delivered("t", 1, err)
	}
	if diff := cmp.Diff(map[DeliveryName]uint64{{"t", "delivered"}: 1, {"t", "refused"}: 1, {"t", "failed"}: 1}, c.deliveries.all()); diff != "" {
		t.Error(diff)
	}

	s := openService(t, Options{})
	err := s.write(t.Context(), func(tx *store.Tx) error {
		for i := range mostTargets + 5 {
			for n := range 2 {
				if err := tableOutbox.Put(tx, outboxKey(fmt.Sprintf("t-%03d", i), uint64(n+1)), storedAlert{Time: time.UnixMilli(int64(1000 - i))}); err != nil {
					return err
				}
			}
		}
		for i := range mostActive + 3 {
			v := storedViolation{Thing: "t", Profile: fmt.Sprintf("p-%03d", i)}
			if err := tableActiveByStart.Put(tx, activeByStart("id", &v), struct{}{}); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	census, err := s.takeCensus(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	last := WaitingCount{Other, 10, time.UnixMilli(1000 - mostTargets - 4)}
	if got := census.Waiting[len(census.Waiting)-1]; len(census.Waiting) != mostTargets+1 || got.Target != last.Target || got.Count != last.Count || !got.Oldest.Equal(last.Oldest) {
		t.Error(len(census.Waiting), got)
	}
	if got := census.Active[len(census.Active)-1]; len(census.Active) != mostActive+1 || got != (ActiveCount{Other, Other, 3}) {
		t.Error(len(census.Active), got)
	}
}

// The token is for /metrics only; access keys of those who read everything are too.
func TestWhoReadsMetrics(t *testing.T) {
	token := filepath.Join(t.TempDir(), "token")
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(token, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	const secret = "0123456789abcdef0123456789abcdef"
	write(secret + "\n")
	g := openGuarded(t, Options{MetricsToken: token, Metrics: func(*Service) Scrape {
		return Scrape{"text/plain", func() ([]byte, error) { return []byte("figures"), nil }}
	}})
	bearer := func(token string) http.Header { return http.Header{"Authorization": {token}} }
	for name, test := range map[string]struct {
		path   string
		by     aws.Credentials
		header http.Header
		want   int
	}{
		"viewer":              {"/metrics", g.create(t, "v", "viewer"), nil, 200},
		"ingest":              {"/metrics", g.create(t, "i", "ingest"), nil, 403},
		"nobody":              {"/metrics", aws.Credentials{}, nil, 403},
		"token":               {"/metrics", aws.Credentials{}, bearer("Bearer " + secret), 200},
		"token, other case":   {"/metrics", aws.Credentials{}, bearer("bearer " + secret), 200},
		"wrong token":         {"/metrics", aws.Credentials{}, bearer("Bearer " + secret[1:]), 403},
		"no token":            {"/metrics", aws.Credentials{}, bearer("Bearer "), 403},
		"half a token":        {"/metrics", aws.Credentials{}, bearer("Bearer " + secret[:16]), 403},
		"token for things":    {"/things", aws.Credentials{}, bearer("Bearer " + secret), 403},
		"token for a backup":  {"/backup", aws.Credentials{}, bearer("Bearer " + secret), 403},
		"token in the scheme": {"/metrics", aws.Credentials{}, bearer(secret), 403},
	} {
		if w := g.call(t, test.by, "GET", test.path, test.header, ""); w.Code != test.want || w.Code == 200 && w.Body.String() != "figures" {
			t.Errorf("%s: %d %s", name, w.Code, w.Body)
		}
	}
	write("another-token-of-some-length")
	if w := g.call(t, aws.Credentials{}, "GET", "/metrics", bearer("Bearer "+secret), ""); w.Code != 403 {
		t.Error("the old token is taken")
	}
	for _, text := range []string{"", "short", "two words, of more than twenty bytes"} {
		write(text)
		if _, err := ReadMetricsToken(token); err == nil {
			t.Errorf("%q is taken", text)
		}
		if w := g.call(t, aws.Credentials{}, "GET", "/metrics", bearer("Bearer "+text), ""); w.Code == 200 {
			t.Errorf("%q lets in", text)
		}
	}
	// Without figures there is no such page.
	if w := send(t, openService(t, Options{}).Handler(), "GET", "/metrics", nil, ""); w.Code != 404 {
		t.Error(w.Code)
	}
}

// A report pays little for being counted.
func BenchmarkTally(b *testing.B) {
	var t Tally
	reply := report.Reply{Status: report.Accepted}
	at := time.Now()
	b.ReportAllocs()
	for b.Loop() {
		t.Took(reply, at, 3*time.Millisecond)
	}
}
