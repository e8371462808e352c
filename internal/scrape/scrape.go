// Package scrape is what Prometheus is told of a service: its figures in the text
// format of /metrics. It is the only package that knows Prometheus' library.
//
// Cardinality is bounded: names of profiles, behaviors and targets come from the
// service, which counts those beyond some hundred as "other". No label has the name
// of a thing.
package scrape

import (
	"bytes"
	"runtime"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/common/expfmt"

	"github.com/device-defender/device-defender/internal/buildinfo"
	"github.com/device-defender/device-defender/internal/defender/service"
)

// Source is a service that is measured.
type Source interface {
	Measure() service.Measurement
}

// Extra is a figure of what is around the service.
type Extra struct {
	Name, Help string
	Value      func() float64
}

// ContentType is that of what Text returns.
const ContentType = string(expfmt.FmtText)

// Text returns a function that writes what /metrics answers.
func Text(s Source, extra ...Extra) func() ([]byte, error) {
	registry := prometheus.NewRegistry()
	registry.MustRegister(
		collector{s}, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
	)
	for _, e := range extra {
		registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Namespace: namespace, Name: e.Name, Help: e.Help}, e.Value))
	}
	return func() ([]byte, error) {
		families, err := registry.Gather()
		if err != nil {
			return nil, err
		}
		var b bytes.Buffer
		encoder := expfmt.NewEncoder(&b, expfmt.FmtText)
		for _, family := range families {
			if err := encoder.Encode(family); err != nil {
				return nil, err
			}
		}
		return b.Bytes(), nil
	}
}

const namespace = "device_defender"

func desc(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc(namespace+"_"+name, help, labels, nil)
}

// Metrics of the service. Those of things, active violations and waiting alerts are
// of the last census, which is counted apart.
var (
	build = desc("build_info", "Version of defenderctl; always 1.", "version", "goversion")

	reports    = desc("reports_total", "Reports by the way they came and by what was answered: accepted, or the code of the rejection.", "source", "status")
	duration   = desc("report_duration_seconds", "Time from a report to its answer, which comes when it is on disk.", "source")
	lastReport = desc("source_last_report_timestamp_seconds", "When the last report came in this way.", "source")
	connected  = desc("source_connected", "Whether a source that the service connects to is connected.", "source")
	turnedAway = desc("reports_turned_away_total", "Reports of things that are not registered, beyond the bounds for these.", "reason")

	laneWaiting  = desc("lane_waiting_tasks", "Reports, events and jobs that wait in a lane.", "lane")
	laneRoom     = desc("lane_room_tasks", "How many can wait in a lane; senders wait for room then.", "lane")
	laneBusy     = desc("lane_busy_seconds", "Since when the lane's transaction is under way; 0 if there is none.", "lane")
	transactions = desc("transactions_total", "Transactions that evaluated reports, events and jobs.")
	tasks        = desc("transaction_tasks_total", "Reports, events and jobs in these transactions.")

	events = desc("violation_events_total", "Events of violations: in-alarm, alarm-cleared, alarm-invalidated.", "profile", "behavior", "type")
	active = desc("violations_active", "Violations in alarm.", "profile", "behavior")
	things = desc("things", "Things: reporting, silent (three reports are missing), or never (registered and never reported).", "state")

	deliveries = desc("alert_deliveries_total", "Attempts to deliver an alert: delivered, failed (it is tried again), refused (it is given up).", "target", "outcome")
	waiting    = desc("alerts_waiting", "Alerts that wait for delivery.", "target")
	oldest     = desc("alerts_oldest_age_seconds", "How long the oldest alert has waited.", "target")

	storeUp      = desc("store_up", "Whether the database can be used.")
	storeDisk    = desc("store_disk_bytes", "Size of the database's files.")
	storeWAL     = desc("store_wal_bytes", "Size of the database's log among them.")
	storeMemory  = desc("store_memtable_bytes", "Memory with writes that are in the log only.")
	storeDebt    = desc("store_compaction_debt_bytes", "Bytes that compactions have yet to rewrite, about.")
	storeReadAmp = desc("store_read_amplification", "Files that a read looks at, at most.")
	storeFlushes = desc("store_flushes_total", "Tables that were written from memory.")
	storeMerges  = desc("store_compactions_total", "Compactions of the database.")
	storeStalls  = desc("store_write_stalls_total", "Times that writes waited for compactions.")
	cacheHits    = desc("store_cache_hits_total", "Blocks that were in the cache.")
	cacheMisses  = desc("store_cache_misses_total", "Blocks that were read from the disk.")
	diskFree     = desc("disk_free_bytes", "Bytes of the database's file system that are free.")
	diskSize     = desc("disk_size_bytes", "Size of the database's file system.")
	diskReserve  = desc("disk_reserve_bytes", "Bytes that the service leaves free: with less, reports are answered with ServiceUnavailable.")

	clockLeap  = desc("clock_leap_seconds", "How far the clock is ahead of what can be; 0 if it is right. Nothing is deleted meanwhile.")
	lastBackup = desc("backup_last_timestamp_seconds", "The moment of the last backup since the service was started; 0 if there was none.")
	censusTime = desc("census_timestamp_seconds", "When things, active violations and waiting alerts were counted, by the service's clock.")
	censusTook = desc("census_duration_seconds", "How long it took to count them.")
)

var descs = []*prometheus.Desc{
	build, reports, duration, lastReport, connected, turnedAway, laneWaiting, laneRoom, laneBusy, transactions, tasks, events, active, things,
	deliveries, waiting, oldest, storeUp, storeDisk, storeWAL, storeMemory, storeDebt, storeReadAmp, storeFlushes, storeMerges, storeStalls,
	cacheHits, cacheMisses, diskFree, diskSize, diskReserve, clockLeap, lastBackup, censusTime, censusTook,
}

// collector makes metrics of a measurement.
type collector struct{ source Source }

func (collector) Describe(to chan<- *prometheus.Desc) {
	for _, d := range descs {
		to <- d
	}
}

func (c collector) Collect(to chan<- prometheus.Metric) {
	m := c.source.Measure()
	send := func(d *prometheus.Desc, kind prometheus.ValueType, value float64, labels []string) {
		for i := range labels {
			labels[i] = strings.ToValidUTF8(labels[i], "\uFFFD") // the library panics at others
		}
		to <- prometheus.MustNewConstMetric(d, kind, value, labels...)
	}
	gauge := func(d *prometheus.Desc, value float64, labels ...string) {
		send(d, prometheus.GaugeValue, value, labels)
	}
	counter := func(d *prometheus.Desc, value uint64, labels ...string) {
		send(d, prometheus.CounterValue, float64(value), labels)
	}
	gauge(build, 1, buildinfo.Version(), runtime.Version())
	for _, w := range m.WaysIn {
		for status, n := range w.Verdicts {
			counter(reports, n, w.Name, status)
		}
		to <- latency(w)
		gauge(lastReport, seconds(w.Last), w.Name)
		if w.Connects {
			gauge(connected, number(w.Connected), w.Name)
		}
	}
	for reason, n := range m.TurnedAway {
		counter(turnedAway, n, reason)
	}
	for _, l := range m.Lanes {
		gauge(laneWaiting, float64(l.Waiting), l.Name)
		gauge(laneRoom, float64(l.Room), l.Name)
		gauge(laneBusy, l.Busy.Seconds(), l.Name)
	}
	counter(transactions, m.Transactions)
	counter(tasks, m.Tasks)
	for e, n := range m.Events {
		counter(events, n, e.Profile, e.Behavior, e.Type)
	}
	for d, n := range m.Deliveries {
		counter(deliveries, n, d.Target, d.Outcome)
	}
	gauge(clockLeap, m.ClockLeap.Seconds())
	gauge(lastBackup, seconds(m.LastBackup))
	collectStore(m, gauge, counter)
	if m.Census != nil {
		collectCensus(m.Now, m.Census, gauge)
	}
}

func collectStore(m service.Measurement, gauge func(*prometheus.Desc, float64, ...string), counter func(*prometheus.Desc, uint64, ...string)) {
	gauge(storeUp, number(m.StoreErr == nil))
	if m.StoreErr != nil {
		return
	}
	s := m.Store
	gauge(storeDisk, float64(s.Disk))
	gauge(storeWAL, float64(s.WAL))
	gauge(storeMemory, float64(s.Memory))
	gauge(storeDebt, float64(s.Debt))
	gauge(storeReadAmp, float64(s.ReadAmp))
	counter(storeFlushes, s.Flushes)
	counter(storeMerges, s.Merges)
	counter(storeStalls, s.Stalls)
	counter(cacheHits, s.CacheHits)
	counter(cacheMisses, s.CacheMiss)
	gauge(diskFree, float64(s.DiskFree))
	gauge(diskSize, float64(s.DiskSize))
	gauge(diskReserve, float64(s.Reserve))
}

func collectCensus(now time.Time, c *service.Census, gauge func(*prometheus.Desc, float64, ...string)) {
	gauge(censusTime, seconds(c.Time))
	gauge(censusTook, c.Took.Seconds())
	gauge(things, float64(c.Reporting), "reporting")
	gauge(things, float64(c.Silent), "silent")
	gauge(things, float64(c.Never), "never")
	for _, a := range c.Active {
		gauge(active, float64(a.Count), a.Profile, a.Behavior)
	}
	for _, w := range c.Waiting {
		gauge(waiting, float64(w.Count), w.Target)
		gauge(oldest, max(0, now.Sub(w.Oldest).Seconds()), w.Target)
	}
}

// latency is the histogram of a way in.
func latency(w service.WayIn) prometheus.Metric {
	buckets := map[float64]uint64{}
	sum := uint64(0)
	for i, n := range w.Latency {
		if sum += n; i < len(service.LatencyBounds) {
			buckets[service.LatencyBounds[i]] = sum
		}
	}
	return prometheus.MustNewConstHistogram(duration, sum, w.Took.Seconds(), buckets, w.Name)
}

// seconds is a time as Prometheus has them; 0 is none.
func seconds(t time.Time) float64 {
	if t.IsZero() {
		return 0
	}
	return float64(t.UnixMilli()) / 1000
}

func number(is bool) float64 {
	if is {
		return 1
	}
	return 0
}
