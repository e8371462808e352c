package scrape

import (
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"

	"github.com/device-defender/device-defender/internal/defender/service"
	"github.com/device-defender/device-defender/internal/defender/store"
)

type measured service.Measurement

func (m measured) Measure() service.Measurement { return service.Measurement(m) }

var now = time.Date(2026, 11, 27, 1, 2, 3, 0, time.UTC)

// full is a measurement that has everything.
func full() measured {
	latency := make([]uint64, len(service.LatencyBounds)+1)
	latency[0], latency[3], latency[len(latency)-1] = 2, 1, 1
	return measured{
		Now: now,
		WaysIn: []service.WayIn{
			{Name: "http", Verdicts: map[string]uint64{"accepted": 3, "Throttled": 1}, Latency: latency, Took: 40 * time.Second, Last: now.Add(-time.Minute)},
			{Name: "queue", Verdicts: map[string]uint64{"accepted": 0}, Latency: make([]uint64, len(latency)), Connects: true},
		},
		Lanes:        []service.LaneState{{Name: "0", Waiting: 5, Room: 512, Busy: time.Second / 2}},
		Transactions: 7, Tasks: 70,
		Events:     map[service.EventName]uint64{{Profile: "Ports", Behavior: "Few", Type: "in-alarm"}: 9},
		Deliveries: map[service.DeliveryName]uint64{{Target: "webhook at example.com", Outcome: "failed"}: 4},
		TurnedAway: map[string]uint64{"too-many-things": 6},
		ClockLeap:  48 * time.Hour,
		LastBackup: now.Add(-time.Hour),
		Store:      store.Measurement{Disk: 1000, WAL: 100, Memory: 10, Debt: 1, DiskFree: 5000, DiskSize: 9000, Reserve: 256 << 20, ReadAmp: 3, Flushes: 2, Merges: 4, Stalls: 1, CacheHits: 90, CacheMiss: 10},
		Census: &service.Census{
			Time: now.Add(-20 * time.Second), Took: time.Second / 4, Reporting: 100, Silent: 2, Never: 3,
			Active:  []service.ActiveCount{{Profile: "Ports", Behavior: "Few", Count: 8}},
			Waiting: []service.WaitingCount{{Target: "arn:aws:sns:us-east-1:123456789012:t", Count: 11, Oldest: now.Add(-90 * time.Second)}},
		},
	}
}

func parse(t *testing.T, text []byte) map[string]*dto.MetricFamily {
	t.Helper()
	var parser expfmt.TextParser
	families, err := parser.TextToMetricFamilies(strings.NewReader(string(text)))
	if err != nil {
		t.Fatal(err)
	}
	return families
}

func text(t *testing.T, s Source, extra ...Extra) []byte {
	t.Helper()
	b, err := Text(s, extra...)()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

var certificate = Extra{Name: "tls_certificate_not_after_timestamp_seconds", Help: "When the TLS certificate that is used ends.", Value: func() float64 { return 2e9 }}

// What a measurement says is in the text.
func TestText(t *testing.T) {
	got := string(text(t, full(), certificate))
	for _, line := range []string{
		`device_defender_reports_total{source="http",status="accepted"} 3`,
		`device_defender_reports_total{source="http",status="Throttled"} 1`,
		`device_defender_report_duration_seconds_bucket{source="http",le="0.001"} 2`,
		`device_defender_report_duration_seconds_bucket{source="http",le="0.01"} 3`,
		`device_defender_report_duration_seconds_bucket{source="http",le="30"} 3`,
		`device_defender_report_duration_seconds_bucket{source="http",le="+Inf"} 4`,
		`device_defender_report_duration_seconds_sum{source="http"} 40`,
		`device_defender_report_duration_seconds_count{source="http"} 4`,
		`device_defender_source_last_report_timestamp_seconds{source="http"} 1.795741263e+09`,
		`device_defender_source_last_report_timestamp_seconds{source="queue"} 0`,
		`device_defender_source_connected{source="queue"} 0`,
		`device_defender_reports_turned_away_total{reason="too-many-things"} 6`,
		`device_defender_lane_waiting_tasks{lane="0"} 5`, `device_defender_lane_busy_seconds{lane="0"} 0.5`,
		`device_defender_transaction_tasks_total 70`,
		`device_defender_violation_events_total{behavior="Few",profile="Ports",type="in-alarm"} 9`,
		`device_defender_violations_active{behavior="Few",profile="Ports"} 8`,
		`device_defender_things{state="reporting"} 100`, `device_defender_things{state="silent"} 2`, `device_defender_things{state="never"} 3`,
		`device_defender_alert_deliveries_total{outcome="failed",target="webhook at example.com"} 4`,
		`device_defender_alerts_waiting{target="arn:aws:sns:us-east-1:123456789012:t"} 11`,
		`device_defender_alerts_oldest_age_seconds{target="arn:aws:sns:us-east-1:123456789012:t"} 90`,
		`device_defender_store_up 1`, `device_defender_store_disk_bytes 1000`, `device_defender_disk_free_bytes 5000`, `device_defender_disk_reserve_bytes 2.68435456e+08`,
		`device_defender_clock_leap_seconds 172800`, `device_defender_backup_last_timestamp_seconds 1.795737723e+09`,
		`device_defender_census_duration_seconds 0.25`, `device_defender_tls_certificate_not_after_timestamp_seconds 2e+09`,
	} {
		if !strings.Contains(got, line+"\n") {
			t.Errorf("no line %s", line)
		}
	}
	if t.Failed() {
		t.Log(got)
	}
}

// The names are those that dashboards and rules are written for: testdata/names.txt.
func TestNames(t *testing.T) {
	var names []string
	for name, family := range parse(t, text(t, full(), certificate)) {
		if strings.HasPrefix(name, "go_") || strings.HasPrefix(name, "process_") {
			continue
		}
		labels := map[string]bool{}
		for _, m := range family.Metric {
			for _, l := range m.Label {
				labels[l.GetName()] = true
			}
		}
		names = append(names, fmt.Sprintf("%s %s {%s}", name, strings.ToLower(family.GetType().String()), strings.Join(slices.Sorted(maps.Keys(labels)), ", ")))
		if family.GetHelp() == "" {
			t.Errorf("%s has no help", name)
		}
	}
	slices.Sort(names)
	want, err := os.ReadFile("testdata/names.txt")
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(names, "\n") + "\n"; got != string(want) {
		t.Errorf("the names are:\n%s", got)
	}
}

// A service that has done nothing, or whose database is away, is measured as well.
func TestLittle(t *testing.T) {
	families := parse(t, text(t, measured{Now: now}))
	if families["device_defender_things"] != nil || families["device_defender_store_up"].Metric[0].Gauge.GetValue() != 1 {
		t.Error(families)
	}
	families = parse(t, text(t, measured{Now: now, StoreErr: store.ErrUnavailable}))
	if families["device_defender_store_disk_bytes"] != nil || families["device_defender_store_up"].Metric[0].Gauge.GetValue() != 0 {
		t.Error(families)
	}
}

// Names that are no UTF-8 do not cost the others.
func TestStrangeNames(t *testing.T) {
	m := full()
	m.Census.Waiting[0].Target = "a\xffb\n\""
	if got := string(text(t, m)); !strings.Contains(got, "device_defender_store_up 1") {
		t.Error(got)
	}
}
