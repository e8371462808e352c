package detect

import (
	"encoding/json"
	"fmt"
	"os"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/device-defender/device-defender/internal/defender/profile"
)

// version01 has the profile under which testdata/saved-0.1 was saved, by
// version 0.1: its documents are not in the form that is compared.
func version01(t *testing.T) *Engine {
	e := New()
	e.SetDimension(profile.Dimension{Name: "Telemetry", StringValues: []string{"dt/#"}})
	sent := over(static("sent", messagesSent, profile.LessThan, count(1)), 300)
	sent.MetricDimension = &profile.MetricDimension{DimensionName: "Telemetry", Operator: "IN"}
	p := &profile.Profile{Name: "p", Behaviors: []profile.Behavior{
		consecutive(static("ports", tcpPorts, profile.InPortSet, ports(8883, 22, 443, 22)), 1, 1),
		static("destinations", destIPs, profile.NotInCIDRSet, cidrs("203.0.113.7", "198.51.100.9/24")),
		over(static("packets", packetsOut, profile.LessThanEquals, count(10)), 300),
		statistical("most", packetsOut, profile.LessThanEquals, "p99"),
		sent,
	}}
	err := e.SetProfile(Attached{
		Profile: p, Targets: []profile.Target{{Kind: profile.AllThings}}, Registry: profile.Registry{Dimensions: map[string]bool{"Telemetry": true}},
	})
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// version01Alarms has the thing violate all but the statistical behavior.
func version01Alarms(e *Engine, from int) []Event {
	happened(e, from+1, CloudEvent{Type: Publish, Topic: "dt/a"})
	events := at(e, "thing", from+200, of(tcpPorts, ports(23)), of(destIPs, cidrs("203.0.113.7")), of(packetsOut, count(11)))
	return append(events, e.Advance(after(from+300)).Events...)
}

// TestRestoreVersion01: the alarms of a thing that version 0.1 saved go on.
func TestRestoreVersion01(t *testing.T) {
	data, err := os.ReadFile("testdata/saved-0.1")
	if err != nil {
		t.Fatal(err)
	}
	e := version01(t)
	restore(t, e, "thing", data)
	if got := e.Advance(after(310)).Events; len(got) != 0 {
		t.Errorf("restored: %s", kinds(got))
	}
	ids := map[string]string{}
	for _, ev := range version01Alarms(e, 300) {
		if ev.Type != Ongoing {
			t.Errorf("%s of %s", ev.Type, ev.Behavior.Name)
		}
		ids[ev.Behavior.Name] = ev.ViolationID
	}
	want := map[string]string{
		"destinations": "b32735a3bc8f777e4c7797cf10f8affe",
		"packets":      "7694b4bcfa0cd494a5d9d9fa35b56690",
		"ports":        "968bb2e42ca4433d2d53aef6a0397abc",
		"sent":         "7bddd61289058db845a24e5f53080515",
	}
	if diff := cmp.Diff(want, ids); diff != "" {
		t.Errorf("violations (-want +got)\n%s", diff)
	}
}

// TestRestoreBaselines: version 0.1 kept baselines in the states of things, and
// what it had measured is compared with. What is wanted is what it would have
// said itself.
func TestRestoreBaselines(t *testing.T) {
	text, err := os.ReadFile("testdata/saved-1.json")
	if err != nil {
		t.Fatal(err)
	}
	var things map[string][]byte
	if err := json.Unmarshal(text, &things); err != nil {
		t.Fatal(err)
	}
	e := New()
	e.evaluation.Baselines = newChecked(t)
	attach(t, e, "p", consecutive(statistical("most", packetsOut, profile.LessThanEquals, "p90"), 1, 2), over(static("hour", packetsOut, profile.LessThan, count(1000)), 3600))
	for name, data := range things {
		restore(t, e, name, data)
	}
	if got := e.Advance(after(4 * 300)).Events; len(got) != 0 {
		t.Errorf("restored: %s", kinds(got))
	}
	var got []string
	for i := range 12 {
		v := map[int]int64{3: 4000, 5: 120}[i]
		if v == 0 {
			v = 110
		}
		for _, ev := range at(e, fmt.Sprintf("thing-%d", i), 4*300+i, of(packetsOut, count(v))) {
			got = append(got, fmt.Sprint(i, " ", ev.Type, " ", *ev.Threshold, " ", ev.ViolationID))
		}
	}
	want := []string{"3 ongoing 112 bf208e101d32e1bfe07a41ac37c93bd9", "5 in-alarm 113 4e3b2b170afd4ecf526250f70d287c6f"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("events (-want +got)\n%s", diff)
	}
}
