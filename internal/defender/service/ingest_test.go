package service

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iot"
	"github.com/aws/aws-sdk-go-v2/service/iot/types"
	"github.com/fxamacker/cbor/v2"
	"github.com/google/go-cmp/cmp"

	"github.com/device-defender/device-defender/internal/defender/detect"
	"github.com/device-defender/device-defender/internal/defender/profile"
	"github.com/device-defender/device-defender/internal/defender/report"
	"github.com/device-defender/device-defender/internal/defender/store"
	"github.com/device-defender/device-defender/internal/memdir"
)

// start is when the tests' clocks begin: at the start of a window of any
// duration.
var start = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

// bench is a service with a clock that the test sets, and the real client.
type bench struct {
	*Service
	t       testing.TB
	options Options
	client  *iot.Client
	url     string

	mu    sync.Mutex
	clock time.Time
	ids   map[string]int64 // last report id by thing
}

func newBench(t testing.TB, o Options) *bench {
	t.Helper()
	b := &bench{t: t, clock: start, ids: map[string]int64{}}
	o.Data = memdir.New(t)
	o.Now = func() time.Time {
		b.mu.Lock()
		defer b.mu.Unlock()
		return b.clock
	}
	b.options = o
	b.open()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { b.Handler().ServeHTTP(w, r) }))
	t.Cleanup(func() {
		server.Close()
		b.Close()
	})
	b.url, b.client = server.URL, newClient(t, server.URL)
	return b
}

func (b *bench) open() {
	b.t.Helper()
	s, err := Open(b.options)
	if err != nil {
		b.t.Fatal(err)
	}
	b.Service = s
}

// restart closes the service and opens it again.
func (b *bench) restart() {
	b.t.Helper()
	if err := b.Close(); err != nil {
		b.t.Fatal(err)
	}
	b.open()
}

// after lets time pass.
func (b *bench) after(d time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.clock = b.clock.Add(d)
}

// packets is a report with a number of packets out.
func packets(n int) string { return fmt.Sprintf(`"network_stats":{"packets_out":%d}`, n) }

// ports is a report with listening TCP ports.
func ports(list ...int) string {
	var entries []string
	for _, port := range list {
		entries = append(entries, fmt.Sprintf(`{"port":%d}`, port))
	}
	return fmt.Sprintf(`"listening_tcp_ports":{"ports":[%s],"total":%d}`, strings.Join(entries, ","), len(list))
}

func reportOf(id int64, metrics string) []byte {
	return fmt.Appendf(nil, `{"header":{"report_id":%d,"version":"1.0"},"metrics":{%s}}`, id, metrics)
}

// reports sends a thing's next report, which has to be accepted.
func (b *bench) reports(thing, metrics string) {
	b.t.Helper()
	b.ids[thing]++
	reply := b.Report(b.t.Context(), thing, report.JSON, reportOf(b.ids[thing], metrics))
	if reply.Status != report.Accepted {
		b.t.Fatalf("report of %s: %+v", thing, reply)
	}
}

// ok fails the test on an error.
func ok[T any](b *bench, out T, err error) T {
	b.t.Helper()
	if err != nil {
		b.t.Fatal(err)
	}
	return out
}

// attach creates a profile and attaches it to all things.
func (b *bench) attach(in *iot.CreateSecurityProfileInput) {
	b.t.Helper()
	b.attachTo(in, "all/things")
}

func (b *bench) attachTo(in *iot.CreateSecurityProfileInput, target string) {
	b.t.Helper()
	ctx := b.t.Context()
	_, err := b.client.CreateSecurityProfile(ctx, in)
	ok(b, 0, err)
	_, err = b.client.AttachSecurityProfile(ctx, &iot.AttachSecurityProfileInput{
		SecurityProfileName: in.SecurityProfileName, SecurityProfileTargetArn: aws.String("arn:aws:iot:us-east-1:123456789012:" + target),
	})
	ok(b, 0, err)
}

// atMost says that packets out of 5 minutes are normally at most so many.
func atMost(n int64) types.Behavior {
	return types.Behavior{Name: aws.String("PacketsOut"), Metric: aws.String("aws:all-packets-out"), Criteria: &types.BehaviorCriteria{
		ComparisonOperator: types.ComparisonOperatorLessThanEquals, Value: &types.MetricValue{Count: &n}, DurationSeconds: aws.Int32(300),
	}}
}

// onlyPort says which listening TCP port is normal.
func onlyPort(port int32) types.Behavior {
	return types.Behavior{Name: aws.String("Ports"), Metric: aws.String("aws:listening-tcp-ports"), Criteria: &types.BehaviorCriteria{
		ComparisonOperator: types.ComparisonOperatorInPortSet, Value: &types.MetricValue{Ports: []int32{port}},
	}}
}

func profileOf(name string, behaviors ...types.Behavior) *iot.CreateSecurityProfileInput {
	return &iot.CreateSecurityProfileInput{SecurityProfileName: &name, Behaviors: behaviors}
}

func (b *bench) active() []types.ActiveViolation {
	b.t.Helper()
	out, err := b.client.ListActiveViolations(b.t.Context(), &iot.ListActiveViolationsInput{})
	return ok(b, out, err).ActiveViolations
}

// history lists all events, as type and value, from the latest on.
func (b *bench) history() (all []string) {
	b.t.Helper()
	out, err := b.client.ListViolationEvents(b.t.Context(), &iot.ListViolationEventsInput{
		StartTime: aws.Time(start.Add(-time.Hour)), EndTime: aws.Time(start.AddDate(1, 0, 0)),
	})
	for _, ev := range ok(b, out, err).ViolationEvents {
		text := fmt.Sprintf("%s %s %s %s", ev.ViolationEventTime.Sub(start), *ev.ThingName, *ev.Behavior.Name, ev.ViolationEventType)
		if ev.MetricValue != nil {
			switch {
			case ev.MetricValue.Count != nil:
				text += fmt.Sprint(" ", *ev.MetricValue.Count)
			case ev.MetricValue.Ports != nil:
				text += fmt.Sprint(" ", ev.MetricValue.Ports)
			}
		}
		all = append(all, text)
	}
	return all
}

func (b *bench) wantHistory(want ...string) {
	b.t.Helper()
	if diff := cmp.Diff(want, b.history()); diff != "" {
		b.t.Errorf("events (-want +got):\n%s", diff)
	}
}

func TestStaticViolation(t *testing.T) {
	b := newBench(t, Options{})
	b.attach(profileOf("Traffic", atMost(100)))
	for _, n := range []int{50, 500} {
		b.reports("thing-1", packets(n))
		b.after(300 * time.Second)
	}
	active := b.active()
	if len(active) != 1 {
		t.Fatalf("%d active violations, want 1", len(active))
	}
	v := active[0]
	if *v.ThingName != "thing-1" || *v.SecurityProfileName != "Traffic" || *v.LastViolationValue.Count != 500 ||
		!v.ViolationStartTime.Equal(start.Add(300*time.Second)) || !v.LastViolationTime.Equal(*v.ViolationStartTime) ||
		v.VerificationState != types.VerificationStateUnknown || *v.Behavior.Criteria.Value.Count != 100 {
		t.Errorf("active violation %+v", v)
	}

	// A violation goes on over a restart: the same, with another last value.
	b.restart()
	b.reports("thing-1", packets(700))
	again := b.active()
	if len(again) != 1 || *again[0].ViolationId != *v.ViolationId || *again[0].LastViolationValue.Count != 700 ||
		!again[0].ViolationStartTime.Equal(*v.ViolationStartTime) || !again[0].LastViolationTime.Equal(start.Add(600*time.Second)) {
		t.Errorf("after the restart: %+v", again)
	}
	b.wantHistory("5m0s thing-1 PacketsOut in-alarm 500")

	b.after(300 * time.Second)
	b.reports("thing-1", packets(10))
	if left := b.active(); len(left) != 0 {
		t.Errorf("active after it was cleared: %+v", left)
	}
	b.wantHistory("15m0s thing-1 PacketsOut alarm-cleared 10", "5m0s thing-1 PacketsOut in-alarm 500")
}

func TestStatisticalViolation(t *testing.T) {
	b := newBench(t, Options{})
	behavior := atMost(0)
	behavior.Criteria.Value = nil
	behavior.Criteria.StatisticalThreshold = &types.StatisticalThreshold{Statistic: aws.String("p99")}
	b.attach(profileOf("Traffic", behavior))
	fleet := func(odd int) {
		for i := range 20 {
			n := 1000
			if i == 7 {
				n = odd
			}
			b.reports(fmt.Sprintf("thing-%02d", i), packets(n))
		}
		b.after(300 * time.Second)
	}
	fleet(1000)
	fleet(1000)
	b.restart() // the baseline is made of what all things said before
	fleet(50_000)
	if active := b.active(); len(active) != 1 || *active[0].ThingName != "thing-07" || *active[0].LastViolationValue.Count != 50_000 {
		t.Errorf("active: %+v", active)
	}
	b.wantHistory("10m0s thing-07 PacketsOut in-alarm 50000")
}

func TestSilentThingIsInvalidated(t *testing.T) {
	b := newBench(t, Options{})
	b.attach(profileOf("Ports", onlyPort(443)))
	b.reports("thing-1", ports(443, 8080))
	b.after(48 * time.Hour)
	ok(b, 0, b.advance(b.t.Context()))
	b.wantHistory("0s thing-1 Ports in-alarm [443 8080]")
	b.after(time.Minute)
	b.restart()
	ok(b, 0, b.advance(b.t.Context()))
	got := b.history()
	if len(got) != 2 || !strings.HasSuffix(got[0], "thing-1 Ports alarm-invalidated") || len(b.active()) != 0 {
		t.Errorf("after two days of silence: %q, active %d", got, len(b.active()))
	}
}

// An alarm does not outlive its behavior, nor does it need the process to live
// until the next minute.
func TestDeletedProfileEndsAlarms(t *testing.T) {
	b := newBench(t, Options{})
	b.attach(profileOf("Ports", onlyPort(443)))
	b.reports("thing-1", ports(8080))
	_, err := b.client.DeleteSecurityProfile(t.Context(), &iot.DeleteSecurityProfileInput{SecurityProfileName: aws.String("Ports")})
	ok(b, 0, err)
	b.restart()
	if active := b.active(); len(active) != 0 {
		t.Errorf("active: %+v", active)
	}
	b.wantHistory("0s thing-1 Ports alarm-invalidated", "0s thing-1 Ports in-alarm [8080]")
}

func TestReportIsJudged(t *testing.T) {
	b := newBench(t, Options{})
	long := strings.Repeat("x", 129)
	for _, step := range []struct {
		after   time.Duration
		thing   string
		format  report.Format
		payload string
		code    string // "" is accepted
	}{
		{0, "a", report.JSON, "no report", "InvalidPayload"},
		{0, "a", report.JSON, `{"header":{"report_id":1,"version":"1.0"}}`, "InvalidPayload"},
		{0, "a", report.CBOR, string(reportOf(1, packets(1))), "InvalidPayload"},
		{0, long, report.JSON, string(reportOf(1, packets(1))), "InvalidPayload"},
		{0, "a\x00b", report.JSON, string(reportOf(1, packets(1))), "InvalidPayload"},
		{0, "a", report.JSON, string(reportOf(5, packets(1))), ""},
		{0, "b", report.JSON, string(reportOf(1, packets(1))), ""}, // each thing for itself
		{10 * time.Second, "a", report.JSON, string(reportOf(6, packets(1))), "Throttled"},
		{259 * time.Second, "a", report.JSON, string(reportOf(6, packets(1))), "Throttled"},
		{time.Second, "a", report.JSON, string(reportOf(6, packets(1))), ""}, // 270 s
		{0, "a", report.JSON, string(reportOf(6, packets(1))), ""},           // the same once more
		{time.Second, "a", report.JSON, string(reportOf(4, packets(1))), "Throttled"},
		{time.Hour, "a", report.JSON, string(reportOf(4, packets(1))), ""},       // has restarted
		{-24 * time.Hour, "a", report.JSON, string(reportOf(7, packets(1))), ""}, // the clock was set back
	} {
		b.after(step.after)
		b.restart() // what was said before is on disk
		reply := b.Report(t.Context(), step.thing, step.format, []byte(step.payload))
		want := report.Accepted
		if step.code != "" {
			want = report.Rejected
		}
		if reply.Status != want || reply.ErrorCode != step.code || reply.Timestamp.IsZero() {
			t.Errorf("%q after %v: %+v, want %s %s", step.payload, step.after, reply, want, step.code)
		}
	}
}

// Reports over HTTP are answered as on the topics.
func TestReportOverHTTP(t *testing.T) {
	b := newBench(t, Options{})
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	post := func(format, contentType, body string) (int, []byte) {
		t.Helper()
		response, err := client.Post(b.url+"/things/gateway%3A7/defender/metrics/"+format, contentType, strings.NewReader(body))
		ok(b, 0, err)
		defer response.Body.Close()
		answer, err := io.ReadAll(response.Body)
		return response.StatusCode, ok(b, answer, err)
	}
	want := `{"thingName":"gateway:7","reportId":1,"status":"ACCEPTED","timestamp":1795348800000}`
	if status, body := post("json", "application/json", string(reportOf(1, packets(1)))); status != 200 || string(body) != want {
		t.Errorf("%d %s, want 200 %s", status, body, want)
	}
	want = `{"thingName":"gateway:7","status":"REJECTED","statusDetails":{"ErrorCode":"InvalidPayload","ErrorMessage":"Malformed metrics report"},"timestamp":1795348800000}`
	if status, body := post("json", "application/json", `{}`); status != 400 || string(body) != want {
		t.Errorf("%d %s, want 400 %s", status, body, want)
	}
	b.after(time.Hour)
	document, err := cbor.Marshal(map[string]any{
		"header":  map[string]any{"report_id": 2, "version": "1.0"},
		"metrics": map[string]any{"network_stats": map[string]any{"packets_out": 3}},
	})
	ok(b, 0, err)
	status, body := post("cbor", "application/cbor", string(document))
	var reply map[string]any
	ok(b, 0, cbor.Unmarshal(body, &reply))
	if status != 200 || reply["status"] != "ACCEPTED" {
		t.Errorf("CBOR: %d %v", status, reply)
	}
}

// Many things at once share transactions, and each gets its own answer.
func TestReportsShareTransactions(t *testing.T) {
	b := newBench(t, Options{})
	b.attach(profileOf("Traffic", atMost(100)))
	var things sync.WaitGroup
	replies := make([]report.Reply, 500)
	for i := range replies {
		things.Go(func() {
			replies[i] = b.Report(t.Context(), fmt.Sprintf("thing-%d", i), report.JSON, reportOf(int64(i+1), packets(i)))
		})
	}
	things.Wait()
	for i, reply := range replies {
		if reply.Status != report.Accepted || reply.ReportID != int64(i+1) || reply.ThingName != fmt.Sprintf("thing-%d", i) {
			t.Fatalf("report %d: %+v", i, reply)
		}
	}
	if n := b.rows()["rows"]; n != len(replies) {
		t.Errorf("%d states were written", n)
	}
}

// commitReports has reports share a transaction.
func (b *bench) commitReports(reports []*pendingReport) {
	var tasks []*task
	for _, p := range reports {
		tasks = append(tasks, &task{thing: p.thing, report: p})
	}
	b.commit(b.operator, tasks)
}

// One report that can't be stored doesn't spoil the others of its transaction.
func TestOneReportFails(t *testing.T) {
	b := newBench(t, Options{})
	b.attach(profileOf("Traffic", atMost(100), onlyPort(443)))
	pending := func(thing, metric string, v profile.Value) *pendingReport {
		return &pendingReport{
			thing: thing, id: 1, answer: make(chan report.Reply, 1),
			measurements: []detect.Measurement{{Metric: profile.MetricRef{Name: metric}, Value: v}},
		}
	}
	batch := []*pendingReport{
		pending("good-1", "aws:all-packets-out", profile.Value{Count: new(int64(500))}),
		pending("bad", "aws:listening-tcp-ports", profile.Value{Ports: make([]int32, 1<<17)}), // more than a chunk takes
		pending("good-2", "aws:all-packets-out", profile.Value{Count: new(int64(1))}),
	}
	b.commitReports(batch)
	var got []report.Status
	for _, p := range batch {
		got = append(got, (<-p.answer).Status)
	}
	if diff := cmp.Diff([]report.Status{report.Accepted, report.Rejected, report.Accepted}, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	b.wantHistory("0s good-1 PacketsOut in-alarm 500")
}

// What an earlier version stored of a thing may be unreadable to this one. The
// alarm that it was in has to end, and the thing is evaluated afresh.
func TestLostState(t *testing.T) {
	b := newBench(t, Options{})
	b.attach(profileOf("Traffic", atMost(100)))
	for _, thing := range []string{"lost", "kept"} {
		b.reports(thing, packets(500))
	}
	ok(b, 0, b.write(t.Context(), func(tx *store.Tx) error {
		row, _, err := tableRows.Get(&tx.Reader, "lost")
		row.state = []byte("another version")
		return errors.Join(err, tableRows.Put(tx, "lost", row))
	}))
	b.after(time.Hour)
	for range 2 {
		b.restart()
	}
	b.reports("lost", packets(500))
	b.wantHistory("1h0m0s lost PacketsOut in-alarm 500", "1h0m0s lost PacketsOut alarm-invalidated",
		"0s lost PacketsOut in-alarm 500", "0s kept PacketsOut in-alarm 500")
	if n := len(b.active()); n != 2 {
		t.Errorf("%d active violations, want 2", n)
	}
}

// The log says which things report for the first time, and what is rejected. It
// does not grow with each report.
func TestReportsInLog(t *testing.T) {
	var log strings.Builder
	b := newBench(t, Options{Log: newTextLog(&log)})
	for id := range int64(3) {
		b.takes("gateway", id+1, packets(1))
		b.after(5 * time.Minute)
	}
	b.restart()
	b.takes("gateway", 4, packets(1))
	b.Report(t.Context(), "gateway", report.JSON, reportOf(5, packets(1))) // too soon
	var lines []string
	for line := range strings.Lines(log.String()) {
		if strings.Contains(line, "thing=gateway") {
			_, line, _ = strings.Cut(strings.TrimSpace(line), "msg=")
			lines = append(lines, line)
		}
	}
	want := []string{`"first report of a thing" thing=gateway report_id=1`, `report thing=gateway status=REJECTED report_id=5 code=Throttled`}
	if len(lines) != len(want) || lines[0] != want[0] || !strings.HasPrefix(lines[1], want[1]) {
		t.Errorf("log: %q", lines)
	}
}

// Where the disk fails, it fails for all: the batch isn't taken apart.
func TestDiskFails(t *testing.T) {
	var log strings.Builder
	var disk disk
	b := newBench(t, Options{Log: newTextLog(&log), wrap: disk.wrap})
	b.attach(profileOf("Traffic", atMost(100)))
	disk.full.Store(true)
	var batch []*pendingReport
	for i := range maxBatch {
		batch = append(batch, &pendingReport{
			thing: fmt.Sprintf("thing-%d", i), id: 1, answer: make(chan report.Reply, 1),
			measurements: []detect.Measurement{{Metric: profile.MetricRef{Name: "aws:all-packets-out"}, Value: profile.Value{Count: new(int64(500))}}},
		})
	}
	b.commitReports(batch)
	for _, p := range batch {
		if reply := <-p.answer; reply.ErrorCode != "ServiceUnavailable" {
			t.Fatalf("%s: %+v", p.thing, reply)
		}
	}
	if n := strings.Count(log.String(), "storing"); n != 1 {
		t.Errorf("%d attempts, want 1", n)
	}
	b.wantHistory()
	disk.full.Store(false)
	b.reports("thing-1", packets(500))
	b.wantHistory("0s thing-1 PacketsOut in-alarm 500")
}

// A report that will be stored is accepted, though its caller has gone.
func TestReportOutlivesItsCaller(t *testing.T) {
	taken, goOn := make(chan bool), make(chan bool)
	asked := sync.OnceFunc(func() { taken <- true; <-goOn })
	s := openService(t, Options{Now: func() time.Time { asked(); return start }}) // by the transaction
	ctx, cancel := context.WithCancel(t.Context())
	replies := make(chan report.Reply)
	go func() { replies <- s.Report(ctx, "thing-1", report.JSON, reportOf(1, packets(1))) }()
	<-taken
	cancel()
	goOn <- true
	if reply := <-replies; reply.Status != report.Accepted {
		t.Errorf("%+v", reply)
	}
}

// A clock that was set back doesn't end evaluation until it's where it was.
func TestClockSetBack(t *testing.T) {
	b := newBench(t, Options{})
	b.attach(profileOf("Traffic", atMost(100)))
	b.reports("thing-1", packets(1))
	b.after(-24 * time.Hour)
	for _, n := range []int{500, 500, 1, 1} {
		b.after(5 * time.Minute)
		b.reports("thing-1", packets(n))
		if reply := b.Report(t.Context(), "thing-1", report.JSON, reportOf(100, packets(1))); reply.ErrorCode != "Throttled" {
			t.Errorf("a second report at once: %+v", reply)
		}
	}
	out, err := b.client.ListViolationEvents(t.Context(), &iot.ListViolationEventsInput{
		StartTime: aws.Time(start.AddDate(0, 0, -2)), EndTime: aws.Time(b.now()),
	})
	var got []string
	for _, ev := range ok(b, out, err).ViolationEvents {
		got = append(got, fmt.Sprint(ev.ViolationEventTime.Sub(start), " ", ev.ViolationEventType))
	}
	if diff := cmp.Diff([]string{"-23h45m0s alarm-cleared", "-23h55m0s in-alarm"}, got); diff != "" {
		t.Errorf("events up to now (-want +got):\n%s", diff)
	}
}

func TestReportAfterClose(t *testing.T) {
	b := newBench(t, Options{})
	b.Close()
	if reply := b.Report(t.Context(), "thing-1", report.JSON, reportOf(1, packets(1))); reply.Status != report.Rejected {
		t.Errorf("%+v", reply)
	}
	b.Cloud(detect.CloudEvent{Thing: "thing-1", Type: detect.Publish})
	b.open()
	b.reports("thing-1", packets(1))
}

// FuzzReport: no bytes and no name crash the service or leave a report without
// an answer.
func FuzzReport(f *testing.F) {
	f.Add("thing-1", false, reportOf(1, packets(1)))
	f.Add("thing-1", false, reportOf(2, ports(443, 8080)))
	f.Add("", true, []byte{0xa1, 0x00})
	f.Add("a/b", false, []byte(`{"hed":{"rid":9,"v":"1.0"},"cmet":{"cpu":[{"number":0.5}]}}`))
	b := newBench(f, Options{MinReportInterval: -1})
	b.attach(profileOf("All", atMost(100), onlyPort(443)))
	f.Fuzz(func(t *testing.T, thing string, binary bool, payload []byte) {
		format := report.JSON
		if binary {
			format = report.CBOR
		}
		reply := b.Report(t.Context(), thing, format, payload)
		if reply.Status != report.Accepted && reply.Status != report.Rejected || reply.ErrorCode == codeUnavailable {
			t.Errorf("%+v", reply)
		}
		if _, err := reply.Encode(format); err != nil {
			t.Error(err)
		}
	})
}

func newTextLog(w io.Writer) *slog.Logger { return slog.New(slog.NewTextHandler(w, nil)) }
