package detect

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/device-defender/device-defender/internal/defender/profile"
)

func TestTopicFilter(t *testing.T) {
	for _, c := range []struct {
		filter, topic string
		want          bool
	}{
		{"a/b", "a/b", true},
		{"a/b", "a", false},
		{"a", "a/b", false},
		{"a/+", "a/b", true},
		{"a/+", "a/", true},
		{"a/+", "a", false},
		{"a/+", "a/b/c", false},
		{"+/+", "a/b", true},
		{"+", "/a", false},
		{"a/#", "a/b/c", true},
		{"a/#", "a", true},
		{"a/#", "ab", false},
		{"#", "a/b", true},
		{"#", "$aws/things/x", false}, // MQTT: wildcards do not stand for $
		{"+/things", "$aws/things", false},
		{"$aws/#", "$aws/things/x", true},
		{"devices/${iot:ClientId}/auth", "devices/me/auth", true},
		{"devices/${iot:ClientId}/auth", "devices/you/auth", false},
		{"devices/x-${iot:ClientId}/+", "devices/x-me/auth", true},
		{"a/#/b", "a/x/b", false}, // # is a wildcard at the end only
	} {
		if got := newTopicFilter(c.filter).match(c.topic, "me"); got != c.want {
			t.Errorf("%s takes %s: %t, want %t", c.filter, c.topic, got, c.want)
		}
	}
	if newTopicFilter("devices/${iot:ClientId}").match("devices/anything", "+") {
		t.Error("a client id was taken for a wildcard")
	}
}

func dimensional(b profile.Behavior, operator string) profile.Behavior {
	b.MetricDimension = &profile.MetricDimension{DimensionName: "auth", Operator: operator}
	return b
}

// happened reports an event at a number of seconds after the epoch.
func happened(e *Engine, seconds int, ev CloudEvent) Outcome {
	ev.Thing, ev.Time = "thing", after(seconds)
	return e.ObserveCloud(ev)
}

// texts writes what was measured: "seconds metric [dimension] value".
func texts(list []Observation) (lines []string) {
	for _, o := range list {
		for _, m := range o.Measurements {
			text := fmt.Sprintf("%d %s", int(o.Time.Sub(epoch)/time.Second), strings.TrimPrefix(m.Metric.Name, "aws:"))
			if m.Metric.Dimension != "" {
				text += " " + m.Metric.Operator()
			}
			if m.Value.Count != nil {
				text += fmt.Sprintf(" %d", *m.Value.Count)
			} else {
				text += fmt.Sprint(" ", m.Value.CIDRs)
			}
			lines = append(lines, text)
		}
	}
	return lines
}

// TestCloudWindow: events are counted over five minutes.
func TestCloudWindow(t *testing.T) {
	e := New()
	e.SetDimension(profile.Dimension{Name: "auth", StringValues: []string{"auth/#", "login/${iot:ClientId}"}})
	low := count(0)
	attach(t, e, "p",
		static("size", messageByteSize, profile.LessThan, count(1<<40)),
		over(static("sent", messagesSent, profile.GreaterThanEquals, low), 300),
		over(dimensional(static("in", messagesSent, profile.GreaterThanEquals, low), "IN"), 300),
		over(dimensional(static("out", messagesSent, profile.GreaterThanEquals, low), "NOT_IN"), 300),
		over(static("received", messagesReceived, profile.GreaterThanEquals, low), 300),
		over(static("failures", authFailures, profile.GreaterThanEquals, low), 300),
		over(static("attempts", connectionAttempts, profile.GreaterThanEquals, low), 300),
		over(static("disconnects", disconnects, profile.GreaterThanEquals, low), 300),
		static("sources", sourceIPAddress, profile.InCIDRSet, cidrs("0.0.0.0/0")),
		static("duration", disconnectDuration, profile.LessThan, count(1<<40)),
	)
	addr := netip.MustParseAddr
	for i, ev := range []CloudEvent{
		{Type: AuthorizationFailure, SourceIP: addr("192.0.2.2")}, // a connection refused
		{Type: Connect, SourceIP: addr("192.0.2.1")},
		{Type: Publish, Topic: "auth/a", Bytes: 10, SourceIP: addr("::ffff:192.0.2.1")},
		{Type: Publish, Topic: "login/thing", Bytes: 30},
		{Type: Publish, Topic: "data", Bytes: 20},
		{Type: Deliver, Topic: "auth/a", Bytes: 5},
		{Type: AuthorizationFailure, Topic: "secret"},
	} {
		if got := happened(e, 10+i, ev); len(got.Measured) != 0 || len(got.Events) != 0 {
			t.Fatalf("within the window: %+v", got)
		}
	}
	got := e.Advance(after(299))
	if len(got.Measured) != 0 {
		t.Fatalf("before the end of the window: %v", texts(got.Measured))
	}
	want := []string{
		"300 disconnect-duration 0", "300 message-byte-size 30", "300 num-authorization-failures 2", "300 num-connection-attempts 2",
		"300 num-disconnects 0", "300 num-messages-received 1", "300 num-messages-sent 3", "300 num-messages-sent IN 2",
		"300 num-messages-sent NOT_IN 1", "300 source-ip-address [192.0.2.1 192.0.2.2]",
	}
	if d := cmp.Diff(want, texts(e.Advance(after(300)).Measured)); d != "" {
		t.Error(d)
	}
	// The next event ends the windows before it; sizes and sources are not
	// measured when there are none.
	want = []string{
		"600 disconnect-duration 0", "600 num-authorization-failures 0", "600 num-connection-attempts 0", "600 num-disconnects 0",
		"600 num-messages-received 0", "600 num-messages-sent 0", "600 num-messages-sent IN 0", "600 num-messages-sent NOT_IN 0",
	}
	if d := cmp.Diff(want, texts(happened(e, 601, CloudEvent{Type: Publish, Topic: "data"}).Measured)); d != "" {
		t.Error(d)
	}
}

// TestRetained: what a profile retains is measured though no behavior uses it.
func TestRetained(t *testing.T) {
	e := New()
	p := &profile.Profile{
		Name:                      "p",
		AdditionalMetricsToRetain: []string{messagesSent, packetsOut},
		AdditionalMetricsToRetainV2: []profile.MetricToRetain{
			{Metric: disconnects},
			{Metric: messagesSent, MetricDimension: &profile.MetricDimension{DimensionName: "unknown"}},
		},
	}
	if err := e.SetProfile(Attached{Profile: p, Targets: []profile.Target{{Kind: profile.AllThings}}}); err != nil {
		t.Fatal(err)
	}
	happened(e, 0, CloudEvent{Type: Publish, Topic: "data"})
	if d := cmp.Diff([]string{"300 num-disconnects 0", "300 num-messages-sent 1"}, texts(e.Advance(after(300)).Measured)); d != "" {
		t.Error(d)
	}
}

// TestCloudChange: counts outlive a change of profiles within the window.
func TestCloudChange(t *testing.T) {
	e := New()
	sent := over(static("sent", messagesSent, profile.LessThan, count(10)), 300)
	attach(t, e, "p", sent)
	happened(e, 0, CloudEvent{Type: Publish})
	attach(t, e, "p", over(static("attempts", connectionAttempts, profile.LessThan, count(10)), 300), sent)
	happened(e, 1, CloudEvent{Type: Publish})
	if d := cmp.Diff([]string{"300 num-connection-attempts 0", "300 num-messages-sent 2"}, texts(e.Advance(after(300)).Measured)); d != "" {
		t.Error(d)
	}
}

// TestCloudViolation: counts raise an alarm and, when nothing more happens,
// clear it.
func TestCloudViolation(t *testing.T) {
	e := New()
	attach(t, e, "p", over(static("b", authFailures, profile.LessThan, count(3)), 300), static("small", messageByteSize, profile.GreaterThan, count(128)))
	for i := range 5 {
		happened(e, i, CloudEvent{Type: AuthorizationFailure})
	}
	happened(e, 6, CloudEvent{Type: Publish, Bytes: 1000})
	happened(e, 7, CloudEvent{Type: Publish, Bytes: 100})
	events := e.Advance(after(310)).Events
	if kinds(events) != "in-alarm in-alarm" || *events[0].Value.Count != 5 || !events[0].Time.Equal(after(300)) {
		t.Fatalf("%+v", events)
	}
	if *events[1].Value.Count != 100 {
		t.Errorf("message size %d, want the smallest, where more is normal", *events[1].Value.Count)
	}
	if got := kinds(e.Advance(after(600)).Events); got != "alarm-cleared" {
		t.Errorf("in the next window: %s", got)
	}
}

// TestDisconnectDuration: the minutes grow while a thing is disconnected, and
// the alarm lives as long.
func TestDisconnectDuration(t *testing.T) {
	e := New()
	e.SetThing(profile.Thing{Name: "thing", Registered: true})
	attach(t, e, "p", static("b", disconnectDuration, profile.LessThanEquals, count(5)))
	happened(e, 0, CloudEvent{Type: Connect})
	happened(e, 60, CloudEvent{Type: Disconnect})
	if got := e.Advance(after(300)).Events; len(got) != 0 {
		t.Errorf("disconnected for 4 minutes: %s", kinds(got))
	}
	if got := e.Advance(after(600)).Events; kinds(got) != "in-alarm" || *got[0].Value.Count != 9 {
		t.Errorf("disconnected for 9 minutes: %+v", got)
	}
	const day = 24 * 3600
	for _, ev := range e.Advance(after(4 * day)).Events {
		if ev.Type != Ongoing {
			t.Errorf("while disconnected: %s at %v", ev.Type, ev.Time)
		}
	}
	happened(e, 4*day+1, CloudEvent{Type: Connect})
	// The window in which it came back has the duration still.
	if got := kinds(e.Advance(after(4*day + 300)).Events); got != "ongoing" {
		t.Errorf("in the window of the connection: %s", got)
	}
	if got := kinds(e.Advance(after(4*day + 600)).Events); got != "alarm-cleared" {
		t.Errorf("after it: %s", got)
	}
	// A disconnect that ends within the window is seen as well.
	happened(e, 5*day, CloudEvent{Type: Disconnect})
	happened(e, 5*day+359, CloudEvent{Type: Connect})
	if got := kinds(e.Advance(after(5*day + 600)).Events); got != "-" {
		t.Errorf("a disconnect of 5 minutes: %s", got)
	}
	happened(e, 5*day+601, CloudEvent{Type: Disconnect})
	happened(e, 5*day+1190, CloudEvent{Type: Connect})
	if got := kinds(e.Advance(after(5*day + 1200)).Events); got != "in-alarm" {
		t.Errorf("a disconnect of 9 minutes: %s", got)
	}
}

// TestDisconnectEnds: an alarm on a disconnect ends once and for all, after
// all that is told of it.
func TestDisconnectEnds(t *testing.T) {
	const day = 24 * 3600
	for _, c := range []struct {
		name    string
		step    int // between two calls of Advance
		removed int // from the registry; 0 is never in it
		want    int // seconds
	}{
		{"never registered", 300, 0, 2*day + 60},
		{"never registered, and time leaps", 5 * day, 0, 2*day + 60},
		{"removed in time", 300, day, 2*day + 60},
		{"removed after two days of silence", 300, 4 * day, 4*day - 300}, // its last window
	} {
		e := New()
		attach(t, e, "p", static("b", disconnectDuration, profile.LessThanEquals, count(5)))
		e.SetThing(profile.Thing{Name: "thing", Registered: c.removed > 0})
		happened(e, 60, CloudEvent{Type: Disconnect})
		events := e.Advance(after(600)).Events
		for seconds := 600; seconds <= 6*day; seconds += c.step {
			if seconds == c.removed {
				e.RemoveThing("thing")
			}
			events = append(events, e.Advance(after(seconds)).Events...)
		}
		last := events[len(events)-1]
		if last.Type != AlarmInvalidated || !last.Time.Equal(after(c.want)) || strings.Count(kinds(events), string(AlarmInvalidated)) != 1 {
			t.Errorf("%s: the last of %d events is %s at %v, want alarm-invalidated at %v", c.name, len(events), last.Type, last.Time, after(c.want))
		}
		if !slices.IsSortedFunc(events, func(a, b Event) int { return a.Time.Compare(b.Time) }) {
			t.Errorf("%s: events are not in order", c.name)
		}
	}
}

// TestCloudEnds: without events for two days nothing is measured, and the
// state goes.
func TestCloudEnds(t *testing.T) {
	e := New()
	attach(t, e, "p", over(static("b", messagesSent, profile.GreaterThanEquals, count(0)), 300))
	happened(e, 0, CloudEvent{Type: Publish})
	measured := 0
	for hour := range 100 {
		measured += len(e.Advance(after(hour * 3600)).Measured)
	}
	if measured != 576 {
		t.Errorf("%d windows were measured, want those of two days, 576", measured)
	}
	if len(e.things) != 0 {
		t.Errorf("%d things are left", len(e.things))
	}
	happened(e, 0, CloudEvent{Type: Publish, Topic: "x"})
	if got := e.Advance(time.Date(2199, 1, 1, 0, 0, 0, 0, time.UTC)); len(got.Measured) > 577 {
		t.Errorf("a leap in time made %d windows", len(got.Measured))
	}
}

// TestCloudRestart: windows under way outlive a restart.
func TestCloudRestart(t *testing.T) {
	engine := func() *Engine {
		e := New()
		e.SetDimension(profile.Dimension{Name: "auth", StringValues: []string{"auth/#"}})
		attach(t, e, "p",
			over(dimensional(static("sent", messagesSent, profile.LessThan, count(10)), "NOT_IN"), 900),
			static("sources", sourceIPAddress, profile.InCIDRSet, cidrs("192.0.2.0/24")),
			static("duration", disconnectDuration, profile.LessThan, count(7)),
			consecutive(static("size", messageByteSize, profile.GreaterThan, count(20)), 2, 2))
		return e
	}
	run := func(restart bool) (lines []string) {
		e := engine()
		note := func(o Outcome) {
			lines = append(lines, texts(o.Measured)...)
			for _, ev := range o.Events {
				lines = append(lines, fmt.Sprint(ev.Time, ev.Type, ev.ViolationID, ev.Behavior.Name))
			}
		}
		for i := range 200 {
			ev := CloudEvent{Type: CloudEventType(1 + i*7%5), Topic: []string{"", "auth/x", "data"}[i%3], Bytes: i, SourceIP: netip.AddrFrom4([4]byte{192, 0, byte(2 + i/100), byte(i)})}
			note(happened(e, 31*i, ev))
			if restart {
				data := save(e, "thing")
				e = engine()
				restore(t, e, "thing", data)
			}
		}
		note(e.Advance(after(20000)))
		return lines
	}
	want := run(false)
	if len(want) < 50 {
		t.Fatalf("only %d lines", len(want))
	}
	if d := cmp.Diff(want, run(true)); d != "" {
		t.Error(d)
	}
}

// TestManySources: a window takes 1000 source addresses. With more, which may
// violate, its list is cut and clears no alarm, also when the process was
// restarted within the window.
func TestManySources(t *testing.T) {
	behavior := static("sources", sourceIPAddress, profile.NotInCIDRSet, cidrs("192.0.2.0/24"))
	e := New()
	attach(t, e, "p", behavior)
	window := func(n int, first netip.Addr, addresses int) (got string, cut *profile.Cut) {
		t.Helper()
		addr := first
		for range addresses {
			happened(e, 300*n+10, CloudEvent{Type: Connect, SourceIP: addr})
			addr = addr.Next()
		}
		data := save(e, "thing")
		e = New()
		attach(t, e, "p", behavior)
		restore(t, e, "thing", data)
		o := e.Advance(after(300 * (n + 1)))
		return kinds(o.Events), o.Measured[0].Measurements[0].Cut
	}
	others := netip.MustParseAddr("10.0.0.0")
	for n, c := range []struct {
		first     netip.Addr
		addresses int
		want      string
		cut       *profile.Cut
	}{
		{netip.MustParseAddr("192.0.2.1"), 1, "in-alarm", nil},
		{others, 1001, "-", &profile.Cut{Listed: 1000}},
		{others, 1000, "alarm-cleared", nil},
	} {
		got, cut := window(n, c.first, c.addresses)
		if d := cmp.Diff(c.cut, cut); got != c.want || d != "" {
			t.Errorf("window %d: %s, want %s; %s", n, got, c.want, d)
		}
	}
}
