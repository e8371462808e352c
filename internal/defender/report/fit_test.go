package report

import (
	"bytes"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// lite is the payload limit of nucleus lite, in bytes.
const lite = 7000

func TestFitLeavesAReportThatFits(t *testing.T) {
	r := bigReport(250, 50, 50)
	for _, enc := range encodings {
		whole := mustEncode(t, r, enc)
		payload, _, cut, err := r.Fit(enc, len(whole))
		if err != nil || !cut.IsZero() || !bytes.Equal(payload, whole) {
			t.Errorf("%v: %d bytes of %d, cut %v, error %v", enc, len(payload), len(whole), cut, err)
		}
	}
}

func TestFitCapsAllListsAlike(t *testing.T) {
	for _, enc := range encodings {
		r := bigReport(250, 50, 12)
		before := mustEncode(t, r, enc)
		payload, _, cut, err := r.Fit(enc, lite)
		if err != nil {
			t.Fatal(err)
		}
		if len(payload) > lite {
			t.Errorf("%v: %d bytes", enc, len(payload))
		}
		if !bytes.Equal(before, mustEncode(t, r, enc)) {
			t.Errorf("%v: the report was changed", enc)
		}

		m := mustDecode(t, payload, enc).Metrics
		n := len(m.TCPConnections.Connections)
		if got, want := len(m.ListeningTCPPorts.Ports), min(n, 50); got != want {
			t.Errorf("%v: %d TCP ports beside %d connections, want %d", enc, got, n, want)
		}
		if got := len(m.ListeningUDPPorts.Ports); got != 12 {
			t.Errorf("%v: %d UDP ports beside %d connections, want all 12", enc, got, n)
		}
		if *m.TCPConnections.Total != 250 || *m.ListeningTCPPorts.Total != 50 || *m.ListeningUDPPorts.Total != 12 {
			t.Errorf("%v: totals were changed", enc)
		}
		if want := (Cut{Connections: 250 - n, TCPPorts: 50 - min(n, 50)}); !cmp.Equal(want, cut) {
			t.Errorf("%v: cut %v, want %v", enc, cut, want)
		}

		// One more of each does not fit.
		more := bigReport(n+1, min(n+1, 50), 12)
		more.Metrics.TCPConnections.Total, more.Metrics.ListeningTCPPorts.Total = new(int64(250)), new(int64(50))
		if size := len(mustEncode(t, more, enc)); size <= lite {
			t.Errorf("%v: lists of %d are %d bytes, lists of %d would be %d", enc, n, len(payload), n+1, size)
		}
	}
}

// TestFitCutsFromTheEnd has lists in order of importance: the first entries
// stay, sorted.
func TestFitCutsFromTheEnd(t *testing.T) {
	const frame = len(`{"header":{"report_id":1,"version":"1.0"},"metrics":{"listening_tcp_ports":{"ports":[],"total":4}}}`)
	ports := []Port{{Port: 90}, {Port: 20, Interface: "::"}, {Port: 20, Interface: "lo"}, {Port: 10}}
	r := &Report{ID: 1, Version: "1.0", Metrics: &Metrics{ListeningTCPPorts: &ListeningPorts{Ports: ports, Total: new(int64(4))}}}
	for _, test := range []struct {
		room int
		want []Port
	}{
		{len(`{"port":90}`), []Port{{Port: 90}}},
		{len(`{"port":90},{"port":20,"interface":"::"}`), []Port{{Port: 20, Interface: "::"}, {Port: 90}}},
		{len(`{"port":90},{"port":20,"interface":"::"},{"port":20,"interface":"lo"}`), []Port{{Port: 20, Interface: "::"}, {Port: 20, Interface: "lo"}, {Port: 90}}},
		{lite, []Port{{Port: 10}, {Port: 20, Interface: "::"}, {Port: 20, Interface: "lo"}, {Port: 90}}},
	} {
		payload, sent, cut, err := r.Fit(longJSON, frame+test.room)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(test.want, mustDecode(t, payload, longJSON).Metrics.ListeningTCPPorts.Ports); diff != "" {
			t.Errorf("room for %d (-want +got):\n%s", test.room, diff)
		}
		if diff := cmp.Diff(mustDecode(t, payload, longJSON), sent); diff != "" {
			t.Errorf("room for %d, the payload and the report as sent (-payload +sent):\n%s", test.room, diff)
		}
		if cut.TCPPorts != 4-len(test.want) {
			t.Errorf("room for %d: cut %v", test.room, cut)
		}
	}
	list := []Connection{
		connection("10.0.0.2:443", "eth0", 50004), connection("10.0.0.1:8883", "eth0", 50001),
		connection("10.0.0.1:443", "wlan0", 50003), connection("10.0.0.1:443", "eth0", 50003), connection("10.0.0.1:443", "eth0", 50002),
	}
	r.Metrics = &Metrics{TCPConnections: &EstablishedConnections{Connections: list}}
	_, sent, _, err := r.Fit(longJSON, lite)
	if err != nil {
		t.Fatal(err)
	}
	slices.Reverse(list)
	if diff := cmp.Diff(list, sent.Metrics.TCPConnections.Connections, equal); diff != "" {
		t.Errorf("connections (-want +got):\n%s", diff)
	}
}

func TestFitStatesTotals(t *testing.T) {
	r := bigReport(0, 400, 3)
	r.Metrics.ListeningTCPPorts.Total = nil
	payload, _, cut, err := r.Fit(longJSON, lite)
	if err != nil {
		t.Fatal(err)
	}
	listening := mustDecode(t, payload, longJSON).Metrics.ListeningTCPPorts
	if listening.Total == nil || *listening.Total != 400 || cut.TCPPorts != 400-len(listening.Ports) {
		t.Errorf("total %v, %d ports, cut %v", listening.Total, len(listening.Ports), cut)
	}
	if r.Metrics.ListeningTCPPorts.Total != nil {
		t.Error("the report was changed")
	}
}

func TestFitCutsCustomLists(t *testing.T) {
	r := &Report{ID: 1, Version: "1.0", CustomMetrics: map[string]CustomMetric{
		"numbers": {Type: NumberList, Numbers: make([]float64, 100)},
		"words":   {Type: StringList, Strings: slices.Repeat([]string{"word"}, 30)},
		"cpu":     {Number: 1},
	}}
	const frame = len(`{"header":{"report_id":1,"version":"1.0"},"custom_metrics":{"cpu":[{"number":1}],` +
		`"numbers":[{"number_list":[]}],"words":[{"string_list":[]}]}}`)
	const perItem = len(`0,`) + len(`"word",`)
	const noComma = 2 // after the last item of each list
	payload, _, cut, err := r.Fit(longJSON, frame+10*perItem-noComma)
	if err != nil {
		t.Fatal(err)
	}
	want := &Report{ID: 1, Version: "1.0", CustomMetrics: map[string]CustomMetric{
		"numbers": {Type: NumberList, Numbers: make([]float64, 10)},
		"words":   {Type: StringList, Strings: slices.Repeat([]string{"word"}, 10)},
		"cpu":     {Number: 1},
	}}
	if diff := cmp.Diff(want, mustDecode(t, payload, longJSON)); diff != "" {
		t.Errorf("%s (-want +got):\n%s", payload, diff)
	}
	if want := (Cut{CustomListItems: 90 + 20}); !cmp.Equal(want, cut) {
		t.Errorf("cut %v, want %v", cut, want)
	}
}

// TestFitNeverSaysNone has a limit that leaves room for no entry: an empty list
// would say that the host has none.
func TestFitNeverSaysNone(t *testing.T) {
	r := bigReport(3, 2, 0)
	r.CustomMetrics["words"] = CustomMetric{Type: StringList, Strings: []string{strings.Repeat("x", 9000)}}
	r.CustomMetrics["none"] = CustomMetric{Type: IPList, Strings: []string{}}
	want := `{"header":{"report_id":1795385460,"version":"1.0"},"metrics":{` +
		`"network_stats":{"bytes_in":10280,"bytes_out":10280,"packets_in":10,"packets_out":10},` +
		`"tcp_connections":{"established_connections":{"total":3}},"listening_tcp_ports":{"total":2},"listening_udp_ports":{"ports":[],"total":0}}}`
	payload, _, cut, err := r.Fit(longJSON, len(want))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, string(payload)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if want := (Cut{Connections: 3, TCPPorts: 2, CustomMetrics: []string{"cpu_usage", "none", "words"}}); !cmp.Equal(want, cut) {
		t.Errorf("cut %v, want %v", cut, want)
	}
}

func TestFitLeavesOutCustomMetricsFromTheEnd(t *testing.T) {
	r := bigReport(0, 2, 0)
	for i := range 200 {
		r.CustomMetrics[fmt.Sprintf("metric_%03d_%s", i, strings.Repeat("x", 60))] = CustomMetric{Number: float64(i)}
	}
	payload, _, cut, err := r.Fit(longJSON, lite)
	if err != nil {
		t.Fatal(err)
	}
	got := mustDecode(t, payload, longJSON)
	left := len(got.CustomMetrics)
	if left+len(cut.CustomMetrics) != 201 || !slices.IsSorted(cut.CustomMetrics) {
		t.Errorf("%d left, cut %v", left, cut)
	}
	for name := range got.CustomMetrics {
		if name >= cut.CustomMetrics[0] {
			t.Errorf("%s is left, %s is not", name, cut.CustomMetrics[0])
		}
	}
	if len(payload) < lite-200 {
		t.Errorf("%d bytes: more would have fitted", len(payload))
	}
}

// TestFitKeepsWhatIsWatched has custom metrics that would take all the room.
func TestFitKeepsWhatIsWatched(t *testing.T) {
	r := bigReport(20, 20, 0)
	r.CustomMetrics["words"] = CustomMetric{Type: StringList, Strings: []string{strings.Repeat("x", 8000)}}
	for i := range 64 {
		r.CustomMetrics[fmt.Sprintf("metric_%03d_%s", i, strings.Repeat("x", 110))] = CustomMetric{Number: float64(i)}
	}
	payload, _, _, err := r.Fit(longJSON, lite)
	if err != nil {
		t.Fatal(err)
	}
	got := mustDecode(t, payload, longJSON)
	if n, p := len(got.Metrics.TCPConnections.Connections), len(got.Metrics.ListeningTCPPorts.Ports); n != 20 || p != 20 {
		t.Errorf("%d connections and %d ports are left, want all 20 of each", n, p)
	}
	if len(got.CustomMetrics) == 0 {
		t.Error("no custom metric is left, some fit")
	}
	// One that fits alone is not refused for another that does not.
	r = &Report{ID: 1, Version: "1.0", CustomMetrics: map[string]CustomMetric{
		"a": {Type: StringList, Strings: []string{"x"}}, "b": {Type: StringList, Strings: []string{strings.Repeat("x", 8000)}},
	}}
	if _, _, cut, err := r.Fit(longJSON, lite); err != nil || !cmp.Equal(cut.CustomMetrics, []string{"b"}) {
		t.Errorf("cut %v, error %v; want b cut", cut, err)
	}
}

func TestFitFails(t *testing.T) {
	alone := &Report{ID: 9, Version: "1.0", CustomMetrics: map[string]CustomMetric{
		"words": {Type: StringList, Strings: []string{strings.Repeat("x", 9000)}},
	}}
	for _, r := range []*Report{bigReport(250, 50, 50), alone} {
		payload, sent, cut, err := r.Fit(longJSON, 100)
		want := fmt.Sprintf("report %d does not fit in 100 bytes even without its lists and custom metrics", r.ID)
		if err == nil || err.Error() != want || payload != nil || sent != nil || !cut.IsZero() {
			t.Errorf("payload %q, cut %v, error %v, want %s", payload, cut, err, want)
		}
	}
	invalid := bigReport(1, 1, 1)
	invalid.ID = 0
	if _, _, _, err := invalid.Fit(longJSON, lite); err == nil {
		t.Error("no error for a report without an id")
	}
}

// TestFitRandom checks what holds for any report and limit.
func TestFitRandom(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	for range 500 {
		r := randomReport(rng)
		enc := encodings[rng.IntN(len(encodings))]
		whole := mustEncode(t, r, enc)
		limit := rng.IntN(len(whole) + 10)
		payload, sent, cut, err := r.Fit(enc, limit)
		if !bytes.Equal(whole, mustEncode(t, r, enc)) {
			t.Fatal("the report was changed")
		}
		if err != nil {
			continue
		}
		if len(payload) > limit || cut.IsZero() != (len(whole) <= limit) {
			t.Fatalf("%d bytes for a limit of %d, cut %v", len(payload), limit, cut)
		}
		if !bytes.Equal(payload, mustEncode(t, sent, enc)) {
			t.Fatal("the payload is not that of the report as sent")
		}
		if len(sent.CustomMetrics)+len(cut.CustomMetrics) != len(r.CustomMetrics) {
			t.Fatalf("%d of %d custom metrics, cut %v", len(sent.CustomMetrics), len(r.CustomMetrics), cut)
		}
		if m := r.Metrics; m != nil {
			checkFirst(t, tcpPorts(m), tcpPorts(sent.Metrics))
			checkFirst(t, connectionsOf(m), connectionsOf(sent.Metrics))
		}
		again, _, sameCut, err := r.Fit(enc, limit)
		if err != nil || !bytes.Equal(payload, again) || !cmp.Equal(cut, sameCut) {
			t.Fatal("not the same twice")
		}
	}
}

// checkFirst checks that the entries sent are the first ones of the list.
func checkFirst(t *testing.T, list, sent []string) {
	t.Helper()
	first := slices.Sorted(slices.Values(list[:len(sent)]))
	if diff := cmp.Diff(first, slices.Sorted(slices.Values(sent))); diff != "" {
		t.Fatalf("not the first %d entries (-first +sent):\n%s", len(sent), diff)
	}
}

func tcpPorts(m *Metrics) (entries []string) {
	if l := m.ListeningTCPPorts; l != nil {
		for _, p := range l.Ports {
			entries = append(entries, fmt.Sprint(p))
		}
	}
	return entries
}

func connectionsOf(m *Metrics) (entries []string) {
	if l := m.TCPConnections; l != nil {
		for _, c := range l.Connections {
			port := "none"
			if c.LocalPort != nil {
				port = fmt.Sprint(*c.LocalPort)
			}
			entries = append(entries, fmt.Sprint(c.RemoteAddr, c.LocalInterface, port))
		}
	}
	return entries
}

func TestCutText(t *testing.T) {
	cut := Cut{Connections: 150, CustomMetrics: []string{"a"}}.Plus(Cut{Connections: 50, UDPPorts: 2, CustomListItems: 1, CustomMetrics: []string{"b"}})
	if got, want := cut.String(), "connections=200 udp_ports=2 custom_list_items=1 custom_metrics=a,b"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if got := (Cut{}).String(); got != "" {
		t.Errorf("nothing cut: %q", got)
	}
	var line bytes.Buffer
	slog.New(slog.NewTextHandler(&line, nil)).Info("x", "cut", cut)
	if want := "cut.connections=200 cut.udp_ports=2 cut.custom_list_items=1 cut.custom_metrics=a,b\n"; !strings.HasSuffix(line.String(), want) {
		t.Errorf("logged %s, want %s", line.String(), want)
	}
}

func BenchmarkFit(b *testing.B) {
	r := bigReport(250, 50, 50)
	for _, enc := range encodings {
		b.Run(fmt.Sprintf("%v-%v", enc.Format, enc.Names), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, _, _, err := r.Fit(enc, lite); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
