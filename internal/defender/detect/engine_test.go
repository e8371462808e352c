package detect

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/device-defender/device-defender/internal/defender/profile"
)

// epoch is at the beginning of a window of any duration.
var epoch = time.Date(2026, 11, 22, 0, 0, 0, 0, time.UTC)

var registry = profile.Registry{
	CustomMetrics: map[string]string{
		"battery": profile.NumberType, "roles": profile.StringList,
		"fans": profile.NumberList, "peers": profile.IPAddressList,
	},
	Dimensions: map[string]bool{"auth": true},
}

// static is a behavior that the functions below change.
func static(name, metric string, op profile.Operator, v profile.Value) profile.Behavior {
	return profile.Behavior{Name: name, Metric: metric, Criteria: &profile.Criteria{ComparisonOperator: op, Value: &v}}
}

func statistical(name, metric string, op profile.Operator, statistic string) profile.Behavior {
	b := static(name, metric, op, profile.Value{})
	b.Criteria.Value, b.Criteria.StatisticalThreshold = nil, &profile.StatisticalThreshold{Statistic: statistic}
	return over(b, 300)
}

func over(b profile.Behavior, seconds int32) profile.Behavior {
	b.Criteria.DurationSeconds = &seconds
	return b
}

func consecutive(b profile.Behavior, alarm, clears int32) profile.Behavior {
	b.Criteria.ConsecutiveDatapointsToAlarm, b.Criteria.ConsecutiveDatapointsToClear = &alarm, &clears
	return b
}

func count(n int64) profile.Value          { return profile.Value{Count: &n} }
func number(n float64) profile.Value       { return profile.Value{Number: &n} }
func ports(p ...int32) profile.Value       { return profile.Value{Ports: append([]int32{}, p...)} }
func cidrs(c ...string) profile.Value      { return profile.Value{CIDRs: append([]string{}, c...)} }
func stringsOf(s ...string) profile.Value  { return profile.Value{Strings: append([]string{}, s...)} }
func numbersOf(n ...float64) profile.Value { return profile.Value{Numbers: append([]float64{}, n...)} }
func of(m string, v profile.Value) Measurement {
	return Measurement{Metric: profile.MetricRef{Name: m}, Value: v}
}

// cut is a list of which one entry was left out.
func cut(m Measurement) Measurement {
	n := int64(len(m.Value.Elements()))
	m.Cut = &profile.Cut{Listed: n, Total: n + 1}
	return m
}

// attach sets a profile of the behaviors on all things.
func attach(t testing.TB, e *Engine, name string, behaviors ...profile.Behavior) {
	t.Helper()
	set(t, e, name, []profile.Target{{Kind: profile.AllThings}}, behaviors...)
}

func set(t testing.TB, e *Engine, name string, targets []profile.Target, behaviors ...profile.Behavior) {
	t.Helper()
	if err := e.SetProfile(Attached{Profile: &profile.Profile{Name: name, Behaviors: behaviors}, Targets: targets, Registry: registry}); err != nil {
		t.Fatal(err)
	}
}

// at observes measurements at a number of seconds after the epoch.
func at(e *Engine, thing string, seconds int, list ...Measurement) []Event {
	return e.Observe(Observation{Thing: thing, Time: after(seconds), Measurements: list})
}

func after(seconds int) time.Time { return epoch.Add(time.Duration(seconds) * time.Second) }

// kinds writes the types of events, "-" when there are none.
func kinds(events []Event) string {
	var list []string
	for _, ev := range events {
		list = append(list, string(ev.Type))
	}
	if list == nil {
		return "-"
	}
	return strings.Join(list, " ")
}

const (
	packetsOut = "aws:all-packets-out"
	tcpPorts   = "aws:listening-tcp-ports"
	tcpCount   = "aws:num-listening-tcp-ports"
	destIPs    = "aws:destination-ip-addresses"
)

// TestNormal takes the reference's examples: a behavior states what is normal,
// and the alarm fires when it is not met.
func TestNormal(t *testing.T) {
	const sent, size, failures = messagesSent, messageByteSize, authFailures
	for _, c := range []struct {
		name     string
		behavior profile.Behavior
		measured profile.Value
		want     string
	}{
		{"the CLI's example of authorization failures", static("b", failures, profile.GreaterThan, count(10)), count(0), "in-alarm"},
		{"the CLI's example of message sizes", static("b", size, profile.GreaterThan, count(128)), count(110), "in-alarm"},
		{"the workshop's messages", static("b", sent, profile.LessThan, count(10)), count(54), "in-alarm"},
		{"at the limit of less-than", static("b", sent, profile.LessThan, count(10)), count(10), "in-alarm"},
		{"below it", static("b", sent, profile.LessThan, count(10)), count(9), "-"},
		{"at the limit of less-than-equals", static("b", tcpCount, profile.LessThanEquals, count(5)), count(5), "-"},
		{"above it", static("b", tcpCount, profile.LessThanEquals, count(5)), count(6), "in-alarm"},
		{"at the limit of greater-than", static("b", "battery", profile.GreaterThan, number(75)), number(75), "in-alarm"},
		{"above it, the guide's battery", static("b", "battery", profile.GreaterThan, number(75)), number(75.5), "-"},
		{"at the limit of greater-than-equals", static("b", "battery", profile.GreaterThanEquals, number(-1.5)), number(-1.5), "-"},
		{"below it", static("b", "battery", profile.GreaterThanEquals, number(-1.5)), number(-2), "in-alarm"},
		{"counts that no float holds", static("b", packetsOut, profile.LessThanEquals, count(1<<53)), count(1<<53 + 1), "in-alarm"},

		{"in-port-set: every port must be in it", static("b", tcpPorts, profile.InPortSet, ports(8888)), ports(443, 8888), "in-alarm"},
		{"all are", static("b", tcpPorts, profile.InPortSet, ports(443, 8888)), ports(8888), "-"},
		{"not-in-port-set: none may be", static("b", tcpPorts, profile.NotInPortSet, ports(23)), ports(22, 23), "in-alarm"},
		{"none is", static("b", tcpPorts, profile.NotInPortSet, ports(23)), ports(22, 80), "-"},
		{"in-cidr-set", static("b", destIPs, profile.InCIDRSet, cidrs("10.0.0.0/8")), cidrs("10.1.2.3", "8.8.8.8"), "in-alarm"},
		{"all are in one of them", static("b", destIPs, profile.InCIDRSet, cidrs("10.0.0.0/8", "::1/128")), cidrs("10.1.2.3", "::1", "::ffff:10.0.0.1"), "-"},
		{"the guide's denied destinations", static("b", destIPs, profile.NotInCIDRSet, cidrs("12.8.0.0/16", "15.102.16.0/24")), cidrs("15.102.16.7"), "in-alarm"},
		{"others", static("b", destIPs, profile.NotInCIDRSet, cidrs("12.8.0.0/16", "15.102.16.0/24")), cidrs("15.102.17.7", "12.9.0.0"), "-"},
		{"in-set of strings", static("b", "roles", profile.InSet, stringsOf("a", "b")), stringsOf("b", "c"), "in-alarm"},
		{"all in it", static("b", "roles", profile.InSet, stringsOf("a", "b")), stringsOf("b"), "-"},
		{"not-in-set of numbers", static("b", "fans", profile.NotInSet, numbersOf(0)), numbersOf(1, 0), "in-alarm"},
		{"none in it", static("b", "fans", profile.NotInSet, numbersOf(0)), numbersOf(1, 2), "-"},
		{"addresses of a custom metric", static("b", "peers", profile.InCIDRSet, cidrs("10.0.0.0/8")), cidrs("192.0.2.1"), "in-alarm"},
		{"an empty list conforms", static("b", tcpPorts, profile.InPortSet, ports(1)), ports(), "-"},

		{"a value of another kind is none", static("b", sent, profile.LessThan, count(10)), number(54), "-"},
		{"an address with its length", static("b", "peers", profile.InCIDRSet, cidrs("10.0.0.0/8")), cidrs("192.0.2.1/32"), "in-alarm"},
		{"a range is no address", static("b", "peers", profile.NotInCIDRSet, cidrs("2001:db8::")), cidrs("2001:db8::/32"), "-"},
		{"nor is what is no address", static("b", destIPs, profile.InCIDRSet, cidrs("10.0.0.0/8")), cidrs("example.org"), "-"},
	} {
		t.Run(c.name, func(t *testing.T) {
			e := New()
			attach(t, e, "p", c.behavior)
			if got := kinds(at(e, "thing", 0, of(c.behavior.Metric, c.measured))); got != c.want {
				t.Errorf("%s %s measured %+v: %s, want %s", c.behavior.Metric, c.behavior.Criteria.ComparisonOperator, c.measured, got, c.want)
			}
		})
	}
}

// TestEvent holds an event to its contents.
func TestEvent(t *testing.T) {
	e := New()
	attach(t, e, "p", over(static("PacketsOut", packetsOut, profile.LessThan, count(10)), 300), static("Ports", tcpPorts, profile.InPortSet, ports(443)))
	events := at(e, "thing", 7, of(packetsOut, count(54)), of(tcpPorts, ports(80, 443)))
	if len(events) != 2 {
		t.Fatalf("%d events, want 2", len(events))
	}
	want := []Event{
		{Type: InAlarm, Thing: "thing", Profile: "p", Value: new(count(54)), Threshold: new(10.0), Time: after(7)},
		{Type: InAlarm, Thing: "thing", Profile: "p", Value: new(ports(80, 443)), Time: after(7)},
	}
	if d := cmp.Diff(want, events, cmpopts.IgnoreFields(Event{}, "ViolationID", "Behavior", "Mark")); d != "" {
		t.Error(d)
	}
	for i, name := range []string{"PacketsOut", "Ports"} {
		if events[i].Behavior.Name != name {
			t.Errorf("behavior %q, want %q", events[i].Behavior.Name, name)
		}
		if id := events[i].ViolationID; len(id) != 32 || strings.Trim(id, "0123456789abcdef") != "" {
			t.Errorf("violation id %q, want 32 hexadecimal digits", id)
		}
	}
	id := events[0].ViolationID
	if id == events[1].ViolationID {
		t.Error("two violations have the same id")
	}
	again := at(e, "thing", 307, of(packetsOut, count(60)))
	cleared := at(e, "thing", 607, of(packetsOut, count(9)))
	if kinds(again) != "ongoing" || kinds(cleared) != "alarm-cleared" {
		t.Fatalf("then %s and %s, want ongoing and alarm-cleared", kinds(again), kinds(cleared))
	}
	if again[0].ViolationID != id || cleared[0].ViolationID != id {
		t.Error("the events of one violation have several ids")
	}
	if *again[0].Value.Count != 60 || *cleared[0].Value.Count != 9 {
		t.Errorf("values %d and %d, want 60 and 9", *again[0].Value.Count, *cleared[0].Value.Count)
	}
	if next := at(e, "thing", 907, of(packetsOut, count(54))); next[0].ViolationID == id {
		t.Error("the next violation has the same id")
	}
}

// TestConsecutive: N datapoints in violation raise the alarm, M in conformity
// clear it. In the script, v is a violating report, c a conforming one, e an
// empty list, and . one without the block. V, C and E are lists that are cut.
func TestConsecutive(t *testing.T) {
	for _, c := range []struct {
		alarm, clears int32
		script, want  string
	}{
		{1, 1, "cvvcv", "- in-alarm ongoing alarm-cleared in-alarm"},
		{3, 1, "vvcvvv", "- - - - - in-alarm"},
		{3, 1, "vv.v", "- - - in-alarm"}, // an absent block neither breaks nor advances a run
		{1, 3, "vccvccc", "in-alarm - - ongoing - - alarm-cleared"},
		{1, 3, "vcc..c", "in-alarm - - - - alarm-cleared"},
		{1, 3, "ve", "in-alarm alarm-cleared"}, // an empty list clears at once
		{2, 2, "vev", "- - -"},
		{2, 2, "vvevv", "- in-alarm alarm-cleared - in-alarm"},
		// A cut list may raise an alarm and never clears one.
		{1, 1, "VVCCEc", "in-alarm ongoing - - - alarm-cleared"},
		{1, 1, "CE", "- -"},
		{2, 1, "VV", "- in-alarm"},
		{2, 1, "vCEv", "- - - in-alarm"},                                  // it does not break a run of violating datapoints
		{2, 1, "vCcv", "- - - -"},                                         // a whole list does
		{1, 2, "vcCEc", "in-alarm - - - alarm-cleared"},                   // nor one of conforming datapoints, nor does it advance it
		{1, 2, "vcVcc", "in-alarm - ongoing - alarm-cleared"},             // but when it violates it does
		{3, 3, "vVvCcVccc", "- - in-alarm - - ongoing - - alarm-cleared"}, // as any other datapoint
	} {
		e := New()
		attach(t, e, "p", consecutive(static("b", tcpPorts, profile.InPortSet, ports(443)), c.alarm, c.clears))
		var got []string
		for i, step := range c.script {
			list := map[rune][]Measurement{
				'v': {of(tcpPorts, ports(80))}, 'c': {of(tcpPorts, ports(443))}, 'e': {of(tcpPorts, ports())}, '.': {of(packetsOut, count(1))},
				'V': {cut(of(tcpPorts, ports(80)))}, 'C': {cut(of(tcpPorts, ports(443)))}, 'E': {cut(of(tcpPorts, ports()))},
			}
			got = append(got, kinds(at(e, "thing", 300*i, list[step]...)))
		}
		if text := strings.Join(got, " "); text != c.want {
			t.Errorf("%d to alarm, %d to clear, %s: %s, want %s", c.alarm, c.clears, c.script, text, c.want)
		}
	}
}

// TestWindows says which reports make a datapoint, and of what value. Each
// report is its time and what it measured.
func TestWindows(t *testing.T) {
	type points map[int]int64 // seconds -> value
	every := func(interval, until int, v int64) (reports [][2]int64) {
		for s := interval; s <= until; s += interval {
			reports = append(reports, [2]int64{int64(s), v})
		}
		return reports
	}
	for _, c := range []struct {
		name    string
		metric  string
		op      profile.Operator
		seconds int32 // of durationSeconds; 0 is none
		reports [][2]int64
		want    points
	}{
		{"one datapoint per report", packetsOut, profile.LessThan, 300, every(300, 900, 5), points{300: 5, 600: 5, 900: 5}},
		{"reports late and early", packetsOut, profile.LessThan, 300, [][2]int64{{300, 1}, {612, 2}, {890, 3}}, points{300: 1, 612: 2, 890: 3}},
		{"three reports add up", packetsOut, profile.LessThan, 900, every(300, 2100, 5), points{900: 15, 1800: 15}},
		{"twelve reports of five minutes in an hour", packetsOut, profile.LessThan, 3600, every(300, 3600, 1), points{3600: 12}},
		{"slower than the duration", packetsOut, profile.LessThan, 300, every(3600, 7200, 5), points{3600: 5, 7200: 5}},
		{"every five seconds", packetsOut, profile.LessThan, 300, every(5, 605, 1), points{5: 1, 305: 60, 605: 60}},
		{"no duration", tcpCount, profile.LessThan, 0, every(5, 15, 1), points{5: 1, 10: 1, 15: 1}},
		{"the largest, where less is normal", tcpCount, profile.LessThan, 900, [][2]int64{{300, 2}, {600, 7}, {900, 3}}, points{900: 7}},
		{"the least, where more is", tcpCount, profile.GreaterThan, 900, [][2]int64{{300, 4}, {600, 2}, {900, 3}}, points{900: 2}},
		{"silence drops what was accumulated", packetsOut, profile.LessThan, 900, [][2]int64{{300, 100}, {1500, 1}, {1800, 1}, {2100, 1}, {2400, 1}}, points{1500: 1, 2400: 3}},
		{"a report twice, and an older one", packetsOut, profile.LessThan, 300, [][2]int64{{300, 1}, {300, 9}, {100, 9}, {600, 1}}, points{300: 1, 600: 1}},
	} {
		t.Run(c.name, func(t *testing.T) {
			e := New()
			b := static("b", c.metric, c.op, count(1000))
			if c.seconds > 0 {
				b = over(b, c.seconds)
			}
			attach(t, e, "p", b)
			got := points{}
			e.Trace(func(d Datapoint) { got[int(d.Time.Sub(epoch)/time.Second)] = int64(d.Value) })
			for _, r := range c.reports {
				at(e, "thing", int(r[0]), of(c.metric, count(r[1])))
			}
			if d := cmp.Diff(c.want, got); d != "" {
				t.Error(d)
			}
		})
	}
}

// TestPercentile: the threshold comes from what all things measured in the
// window before.
func TestPercentile(t *testing.T) {
	names := func(n int) (list []string) {
		for i := range n {
			list = append(list, "thing-"+string(rune('a'+i/26))+string(rune('a'+i%26)))
		}
		return list
	}
	// 200 things measure 1, 2, ... 200; then one measures v.
	for _, c := range []struct {
		statistic string
		op        profile.Operator
		v         int64
		threshold float64
		want      string
	}{
		{"p0", profile.GreaterThanEquals, 0, 1, "in-alarm"},
		{"p0", profile.GreaterThanEquals, 1, 1, "-"},
		{"p1", profile.GreaterThan, 2, 2, "in-alarm"},
		{"p50", profile.LessThanEquals, 100, 100, "-"},
		{"p50", profile.LessThanEquals, 101, 100, "in-alarm"},
		{"p90", profile.LessThan, 180, 180, "in-alarm"},
		{"p99", profile.LessThanEquals, 199, 198, "in-alarm"},
		{"p99.9", profile.LessThanEquals, 201, 200, "in-alarm"},
		{"p99.99", profile.LessThanEquals, 200, 200, "-"},
		{"p100", profile.LessThanEquals, 201, 200, "in-alarm"},
		{"p99.99", profile.GreaterThan, 200, 200, "in-alarm"}, // the blog's profile
	} {
		e := New()
		attach(t, e, "p", statistical("b", packetsOut, c.op, c.statistic))
		for i, name := range names(200) {
			if got := kinds(at(e, name, i, of(packetsOut, count(int64(i+1))))); got != "-" {
				t.Fatalf("%s: %s before there is a baseline", c.statistic, got)
			}
		}
		threshold := -1.0
		e.Trace(func(d Datapoint) { threshold = d.Threshold })
		if got := kinds(at(e, "thing-aa", 300, of(packetsOut, count(c.v)))); got != c.want || threshold != c.threshold {
			t.Errorf("%s %s, measured %d: %s with threshold %v, want %s with %v", c.op, c.statistic, c.v, got, threshold, c.want, c.threshold)
		}
	}

	t.Run("too few datapoints are no baseline", func(t *testing.T) {
		e := New()
		attach(t, e, "p", statistical("b", packetsOut, profile.LessThanEquals, "p50"))
		for i := range 10 {
			if got := kinds(at(e, "thing", 300*i, of(packetsOut, count(int64(i))))); got != "-" {
				t.Fatalf("report %d: %s", i, got)
			}
		}
		if got := kinds(at(e, "thing", 3000, of(packetsOut, count(1000)))); got != "in-alarm" {
			t.Errorf("with ten datapoints %s, want in-alarm", got)
		}
	})
	t.Run("a violation does not make itself normal", func(t *testing.T) {
		e := New()
		attach(t, e, "p", statistical("b", packetsOut, profile.LessThanEquals, "p99.99"))
		window := 0
		for ; window < 4; window++ {
			for i, name := range names(4) {
				at(e, name, 300*window+i, of(packetsOut, count(int64(100+i))))
			}
		}
		var got []string
		for _, v := range []int64{5000, 4000, 3000, 100} {
			got = append(got, kinds(at(e, "thing-aa", 300*window, of(packetsOut, count(v)))))
			window++
		}
		if text := strings.Join(got, " "); text != "in-alarm ongoing ongoing alarm-cleared" {
			t.Error(text)
		}
	})
	t.Run("days old datapoints are no baseline", func(t *testing.T) {
		e := New()
		attach(t, e, "p", statistical("b", packetsOut, profile.LessThanEquals, "p50"))
		for i, name := range names(20) {
			at(e, name, i, of(packetsOut, count(1)))
		}
		const day = 24 * 3600
		if got := kinds(at(e, "new", 2*day-300, of(packetsOut, count(9)))); got != "in-alarm" {
			t.Errorf("just before two days: %s, want in-alarm", got)
		}
		if got := kinds(at(e, "newer", 2*day, of(packetsOut, count(9)))); got != "-" {
			t.Errorf("after two days: %s, want none", got)
		}
	})
}

// TestBaselineStays: what things gave to a baseline stays in it, wherever they
// go.
func TestBaselineStays(t *testing.T) {
	group := func(name string) profile.Target { return profile.Target{Kind: profile.ThingGroup, Group: name} }
	b := statistical("b", packetsOut, profile.LessThanEquals, "p100")
	for name, leave := range map[string]func(*testing.T, *Engine){
		"nobody leaves":           func(*testing.T, *Engine) {},
		"their group is detached": func(t *testing.T, e *Engine) { set(t, e, "p", []profile.Target{group("low")}, b) },
		"they leave the group": func(_ *testing.T, e *Engine) {
			eachOf("high", func(name string) { e.SetThing(profile.Thing{Name: name}) })
		},
		"they leave the registry":  func(_ *testing.T, e *Engine) { eachOf("high", e.RemoveThing) },
		"they are deleted":         func(_ *testing.T, e *Engine) { eachOf("high", func(name string) { e.ForgetThing(name, after(1)) }) },
		"another profile comes by": func(t *testing.T, e *Engine) { attach(t, e, "q", static("q", tcpCount, profile.LessThan, count(1))) },
	} {
		e := New()
		set(t, e, "p", []profile.Target{group("high"), group("low")}, b)
		for kind, v := range map[string]int64{"high": 100, "low": 1} {
			eachOf(kind, func(name string) {
				e.SetThing(profile.Thing{Name: name, Registered: true, Groups: []string{kind}})
				at(e, name, 0, of(packetsOut, count(v)))
			})
		}
		leave(t, e)
		if got := kinds(at(e, "low-1", 300, of(packetsOut, count(50)))) + kinds(at(e, "low-2", 300, of(packetsOut, count(101)))); got != "-in-alarm" {
			t.Errorf("%s: %s, want an alarm above what was measured", name, got)
		}
	}
}

// eachOf calls f with the names of 15 things.
func eachOf(kind string, f func(name string)) {
	for i := range 15 {
		f(fmt.Sprintf("%s-%d", kind, i))
	}
}

// TestSilence: without metrics for more than two days an alarm is invalidated,
// without a value.
func TestSilence(t *testing.T) {
	const day = 24 * 3600
	alarmed := func(t *testing.T) *Engine {
		e := New()
		attach(t, e, "p", static("b", tcpCount, profile.LessThan, count(3)))
		if got := kinds(at(e, "thing", 0, of(tcpCount, count(5)))); got != "in-alarm" {
			t.Fatal(got)
		}
		return e
	}
	t.Run("seen by Advance", func(t *testing.T) {
		e := alarmed(t)
		if got := e.Advance(after(2 * day)).Events; len(got) != 0 {
			t.Errorf("after two days: %s, want none", kinds(got))
		}
		got := e.Advance(after(2*day + 60)).Events
		if kinds(got) != "alarm-invalidated" || got[0].Value != nil || !got[0].Time.Equal(after(2*day)) {
			t.Errorf("after more than two days: %+v", got)
		}
		if got := e.Advance(after(9 * day)).Events; len(got) != 0 {
			t.Errorf("and again: %s", kinds(got))
		}
	})
	t.Run("seen by the next report", func(t *testing.T) {
		e := alarmed(t)
		if got := kinds(at(e, "thing", 3*day, of(tcpCount, count(5)))); got != "alarm-invalidated in-alarm" {
			t.Error(got)
		}
	})
	t.Run("any metric is a sign of life", func(t *testing.T) {
		e := alarmed(t)
		for hour := range 100 {
			at(e, "thing", hour*3600, of("uptime", number(1)))
			if got := e.Advance(after(hour * 3600)).Events; len(got) != 0 {
				t.Fatalf("hour %d: %s", hour, kinds(got))
			}
		}
	})
	t.Run("things are forgotten", func(t *testing.T) {
		e := alarmed(t)
		e.Advance(after(3 * day))
		if len(e.things) != 0 || len(e.queue) != 0 {
			t.Errorf("%d things, %d in the queue, want none", len(e.things), len(e.queue))
		}
	})
}

// TestClassesAreBounded: rules do not remember every set of profiles that a
// thing ever had, and things go on under those that are forgotten.
func TestClassesAreBounded(t *testing.T) {
	var profiles []Attached
	for i := range 13 {
		p := &profile.Profile{Name: fmt.Sprint("p", i), Behaviors: []profile.Behavior{static("b", tcpCount, profile.LessThan, count(3))}}
		profiles = append(profiles, Attached{Profile: p, Targets: []profile.Target{{Kind: profile.ThingGroup, Group: fmt.Sprint("g", i)}}})
	}
	r := Compile(profiles, nil)
	for set := range 1 << len(profiles) {
		var groups []string
		for i := range profiles {
			if set&(1<<i) != 0 {
				groups = append(groups, fmt.Sprint("g", i))
			}
		}
		thing := r.Thing(profile.Thing{Name: "thing", Groups: groups})
		e := &Evaluation{}
		thing.Observe(e, Observation{Time: epoch, Measurements: []Measurement{of(tcpCount, count(5))}})
		if len(e.Events) != len(groups) {
			t.Fatalf("in groups %v: %s", groups, kinds(e.Events))
		}
	}
	if len(r.classes) > maxClasses {
		t.Errorf("%d classes, want no more than %d", len(r.classes), maxClasses)
	}
}

// TestTargets: a profile applies to the things of its targets.
func TestTargets(t *testing.T) {
	e := New()
	for name, target := range map[string]profile.Target{
		"all": {Kind: profile.AllThings}, "registered": {Kind: profile.AllRegistered},
		"unregistered": {Kind: profile.AllUnregistered}, "group": {Kind: profile.ThingGroup, Group: "pumps"},
	} {
		set(t, e, name, []profile.Target{target}, static("b", tcpCount, profile.LessThan, count(3)))
	}
	e.SetThing(profile.Thing{Name: "plain", Registered: true})
	e.SetThing(profile.Thing{Name: "pump", Registered: true, Groups: []string{"pumps"}})
	for thing, want := range map[string][]string{
		"plain": {"all", "registered"}, "pump": {"all", "group", "registered"}, "stranger": {"all", "unregistered"},
	} {
		var got []string
		for _, ev := range at(e, thing, 0, of(tcpCount, count(5))) {
			got = append(got, ev.Profile)
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("%s: %s", thing, d)
		}
	}
	// A thing that changes sides keeps the alarms of what goes on to apply;
	// the others end after two days.
	e.RemoveThing("pump")
	if got := kinds(at(e, "pump", 300, of(tcpCount, count(5)))); got != "ongoing in-alarm" {
		t.Errorf("pump after it left the registry: %s", got)
	}
	const day = 24 * 3600
	at(e, "pump", 2*day, of(tcpCount, count(5)))
	var ended []string
	for _, ev := range e.Advance(after(2*day + 60)).Events {
		if ev.Thing == "pump" {
			ended = append(ended, ev.Profile+" "+string(ev.Type))
		}
	}
	if d := cmp.Diff([]string{"group alarm-invalidated", "registered alarm-invalidated"}, ended); d != "" {
		t.Error(d)
	}
}

// TestBack: an alarm goes on when its profile applies again within two days.
func TestBack(t *testing.T) {
	e := New()
	pumps := []profile.Target{{Kind: profile.ThingGroup, Group: "pumps"}}
	b := static("b", tcpCount, profile.LessThan, count(3))
	set(t, e, "p", pumps, b)
	e.SetThing(profile.Thing{Name: "pump", Registered: true, Groups: []string{"pumps"}})
	id := at(e, "pump", 0, of(tcpCount, count(5)))[0].ViolationID
	set(t, e, "p", nil, b)
	if got := at(e, "pump", 300, of(tcpCount, count(5))); len(got) != 0 {
		t.Errorf("detached: %s", kinds(got))
	}
	set(t, e, "p", pumps, b)
	if got := at(e, "pump", 600, of(tcpCount, count(1))); kinds(got) != "alarm-cleared" || got[0].ViolationID != id {
		t.Errorf("attached again: %s", kinds(got))
	}
}

// TestChange: an unchanged behavior keeps its state, a changed or removed one
// does not, and its alarms are invalidated.
func TestChange(t *testing.T) {
	same, other := static("same", tcpCount, profile.LessThan, count(3)), static("other", tcpCount, profile.LessThan, count(3))
	e := New()
	attach(t, e, "p", same, other)
	at(e, "thing", 0, of(tcpCount, count(5)))
	suppressed := same
	suppressed.SuppressAlerts = new(true)
	attach(t, e, "p", static("other", tcpCount, profile.LessThan, count(4)), suppressed)
	got := e.Advance(after(60)).Events
	if kinds(got) != "alarm-invalidated" || got[0].Behavior.Name != "other" || *got[0].Behavior.Criteria.Value.Count != 3 {
		t.Errorf("after the change: %+v", got)
	}
	events := at(e, "thing", 300, of(tcpCount, count(5)))
	if kinds(events) != "in-alarm ongoing" || events[1].Behavior.SuppressAlerts == nil {
		t.Errorf("the report after it: %s", kinds(events))
	}
	e.RemoveProfile("p")
	if got := kinds(e.Advance(after(360)).Events); got != "alarm-invalidated alarm-invalidated" {
		t.Errorf("after the profile was removed: %s", got)
	}
	if got := kinds(at(e, "thing", 600, of(tcpCount, count(5)))); got != "-" {
		t.Errorf("the report after that: %s", got)
	}
}

// TestUnevaluated: what is not evaluated is said, and makes no events.
func TestUnevaluated(t *testing.T) {
	e := New()
	attach(t, e, "ml", profile.Behavior{Name: "model", Metric: packetsOut, Criteria: &profile.Criteria{MLDetectionConfig: &profile.MLDetectionConfig{ConfidenceLevel: "HIGH"}}})
	filtered := static("filtered", messagesSent, profile.LessThan, count(3))
	filtered.MetricDimension = &profile.MetricDimension{DimensionName: "auth"}
	attach(t, e, "rules", filtered)
	want := []Unevaluated{{"ml", "model", "ML Detect needs AWS's models"}, {"rules", "filtered", `dimension "auth" is not known`}}
	if d := cmp.Diff(want, e.Unevaluated()); d != "" {
		t.Error(d)
	}
	at(e, "thing", 0, of(packetsOut, count(1<<60)))
	e.SetDimension(profile.Dimension{Name: "auth", StringValues: []string{"a/#"}})
	if got := e.Unevaluated(); len(got) != 1 {
		t.Errorf("with the dimension: %v", got)
	}
	e.RemoveDimension("auth")
	if got := e.Unevaluated(); len(got) != 2 {
		t.Errorf("without it: %v", got)
	}
}

// TestRefused: a profile that AWS would refuse is refused, and the one before
// it stays.
func TestRefused(t *testing.T) {
	e := New()
	attach(t, e, "p", static("b", tcpCount, profile.LessThan, count(3)))
	bad := static("b", tcpCount, profile.InPortSet, count(3))
	for _, p := range []*profile.Profile{nil, {Name: "p", Behaviors: []profile.Behavior{bad}}} {
		if err := e.SetProfile(Attached{Profile: p, Registry: registry}); err == nil {
			t.Errorf("%+v was taken", p)
		}
	}
	if got := kinds(at(e, "thing", 0, of(tcpCount, count(5)))); got != "in-alarm" {
		t.Errorf("the profile before: %s", got)
	}
}

// TestRecompile: a profile of the same name and revision is taken over with what it
// is attached to now; any other is compiled.
func TestRecompile(t *testing.T) {
	limit := func(name, revision string, n int, group string) Attached {
		return Attached{
			Profile: &profile.Profile{Name: name, Behaviors: []profile.Behavior{static("b", tcpCount, profile.LessThan, count(int64(n)))}},
			Targets: []profile.Target{{Kind: profile.ThingGroup, Group: group}}, Revision: revision,
		}
	}
	alarms := func(r *Rules, group string) (profiles []string) {
		e := &Evaluation{}
		r.Thing(profile.Thing{Name: "thing", Registered: true, Groups: []string{group}}).Observe(e, Observation{Time: epoch, Measurements: []Measurement{of(tcpCount, count(5))}})
		for _, ev := range e.Events {
			profiles = append(profiles, ev.Profile)
		}
		return profiles
	}
	before := Compile([]Attached{limit("a", "1", 3, "g"), limit("b", "1", 3, "g"), limit("c", "", 3, "g"), limit("d", "1", 3, "g")}, nil)
	after := before.Recompile([]Attached{limit("a", "1", 9, "h"), limit("b", "2", 9, "h"), limit("c", "", 9, "h")}, nil)
	for _, test := range []struct {
		rules *Rules
		group string
		want  []string
	}{
		{before, "g", []string{"a", "b", "c", "d"}},
		{before, "h", nil},
		{after, "g", nil},
		{after, "h", []string{"a"}}, // the limit of before: it was not compiled again
	} {
		if d := cmp.Diff(test.want, alarms(test.rules, test.group)); d != "" {
			t.Errorf("group %s: %s", test.group, d)
		}
	}
}

// TestCompile: a profile that is refused does not cost the others.
func TestCompile(t *testing.T) {
	good := &profile.Profile{Name: "good", Behaviors: []profile.Behavior{static("b", tcpCount, profile.LessThan, count(3))}}
	bad := &profile.Profile{Name: "bad", Behaviors: []profile.Behavior{static("b", tcpCount, profile.InPortSet, count(3))}}
	all := []profile.Target{{Kind: profile.AllThings}}
	r := Compile([]Attached{{}, {Profile: bad, Targets: all}, {Profile: good, Targets: all}, {Profile: good}}, nil)
	var refused []string
	for _, f := range r.Refused() {
		refused = append(refused, f.Profile)
		if f.Err == nil {
			t.Errorf("%q is refused without a reason", f.Profile)
		}
	}
	if d := cmp.Diff([]string{"", "bad", "good"}, refused); d != "" {
		t.Error(d)
	}
	e := &Evaluation{}
	r.Thing(profile.Thing{Name: "thing"}).Observe(e, Observation{Time: epoch, Measurements: []Measurement{of(tcpCount, count(5))}})
	if kinds(e.Events) != "in-alarm" || !r.Has(e.Events[0].Mark) || r.Has(e.Events[0].Mark+1) {
		t.Errorf("%+v", e.Events)
	}
}

// TestDue: a thing says when something ends by itself.
func TestDue(t *testing.T) {
	const day = 24 * 3600
	rules := func(b ...profile.Behavior) *Rules {
		return Compile([]Attached{{Profile: &profile.Profile{Name: "p", Behaviors: b}, Targets: []profile.Target{{Kind: profile.AllThings}}}}, nil)
	}
	silent := func(seconds int) time.Time { return after(seconds + 2*day).Add(1) }
	e := &Evaluation{}
	registry := profile.Thing{Name: "thing", Registered: true}
	both := rules(static("ports", tcpCount, profile.LessThan, count(3)), static("off", disconnectDuration, profile.LessThan, count(5)))
	thing := both.Thing(registry)
	due := func(what string, want time.Time) {
		t.Helper()
		if got := thing.Due(); !got.Equal(want) {
			t.Errorf("%s: due at %v, want %v", what, got, want)
		}
	}
	due("nothing known", time.Time{})
	thing.Observe(e, Observation{Time: after(10), Measurements: []Measurement{of(tcpCount, count(5))}})
	due("in alarm", silent(10))
	thing.ObserveCloud(e, CloudEvent{Time: after(20), Type: Connect})
	due("connected", after(300))
	thing.Advance(e, after(300))
	due("after the first window", after(600))
	thing.ObserveCloud(e, CloudEvent{Time: after(310), Type: Disconnect})
	thing.Advance(e, after(2*day))
	due("disconnected", after(2*day+300))
	thing.Advance(e, thing.Due())
	due("disconnected, before silence ends the other alarm", silent(310))
	thing.Advance(e, thing.Due())
	due("disconnected for two days", after(2*day+600))
	if got := kinds(e.Events); !strings.HasSuffix(got, "ongoing alarm-invalidated") {
		t.Errorf("until then: %s", got)
	}
	// Nobody asks any more how long it is, but the alarm has to end.
	thing.Place(rules(), registry)
	if got := thing.Due(); got.After(epoch) || got.IsZero() {
		t.Errorf("with a behavior that is gone: due at %v, want at once", got)
	}
	e.Events = nil
	thing.Advance(e, after(3*day))
	if got := e.Events; kinds(got) != "alarm-invalidated" || !got[0].Time.Equal(after(3*day)) {
		t.Errorf("then: %+v", got)
	}
	due("disconnected, and it does not matter", time.Time{})
	thing.Place(rules(), profile.Thing{Name: "thing"})
	thing.Advance(e, thing.Due())
	due("neither registered", time.Time{})
	if data := thing.AppendSaved(nil); data != nil {
		t.Errorf("%d bytes of a thing that is forgotten", len(data))
	}
}

// TestIgnored: what is passed over is counted.
func TestIgnored(t *testing.T) {
	e := New()
	attach(t, e, "p", static("b", tcpCount, profile.LessThan, count(3)))
	at(e, "thing", 300, of(tcpCount, count(1)))
	at(e, "thing", 300, of(tcpCount, count(5)))
	at(e, "thing", 200, of(tcpCount, count(5)))
	at(e, "thing", 600, of(tcpCount, ports(5)))
	at(e, "thing", 600, of(tcpCount, count(-5)))
	e.Observe(Observation{Thing: "thing", Measurements: []Measurement{of(tcpCount, count(5))}})
	if got := e.Ignored(); got != 5 {
		t.Errorf("%d ignored, want 5", got)
	}
}

// TestLongList: a long list is cut in the event, and what is wrong stays.
func TestLongList(t *testing.T) {
	e := New()
	attach(t, e, "p", static("b", destIPs, profile.InCIDRSet, cidrs("10.0.0.0/8")))
	var list []string
	for a := netip.MustParseAddr("10.0.0.0"); len(list) < 3000; a = a.Next() {
		list = append(list, a.String())
	}
	list = append(list, "192.0.2.1")
	got := at(e, "thing", 0, of(destIPs, profile.Value{CIDRs: list}))
	if kinds(got) != "in-alarm" || len(got[0].Value.CIDRs) != 1000 || !slices.Contains(got[0].Value.CIDRs, "192.0.2.1") {
		t.Errorf("%s with %d addresses", kinds(got), len(got[0].Value.CIDRs))
	}
}

// TestWrittenOtherwise: a behavior that says the same in other words is the
// same, and its alarm goes on; so it is for a thing that was saved.
func TestWrittenOtherwise(t *testing.T) {
	before := []profile.Behavior{
		static("ports", tcpPorts, profile.InPortSet, ports(22, 443, 8883)),
		static("destinations", destIPs, profile.InCIDRSet, cidrs("10.0.0.0/8", "127.0.0.0/8")),
	}
	after := []profile.Behavior{
		consecutive(static("destinations", destIPs, profile.InCIDRSet, cidrs("127.0.0.0/8", "10.0.0.0/9", "10.128.0.0/9")), 1, 1),
		consecutive(static("ports", tcpPorts, profile.InPortSet, ports(443, 8883, 22)), 1, 1),
	}
	e := New()
	attach(t, e, "p", before...)
	raised := at(e, "thing", 0, of(tcpPorts, ports(23)), of(destIPs, cidrs("192.0.2.1")))
	if kinds(raised) != "in-alarm in-alarm" {
		t.Fatal(kinds(raised))
	}
	restored := New()
	attach(t, restored, "p", after...)
	restore(t, restored, "thing", save(e, "thing"))
	attach(t, e, "p", after...)
	for name, e := range map[string]*Engine{"changed": e, "restored": restored} {
		if got := e.Advance(epoch.Add(time.Minute)).Events; len(got) != 0 {
			t.Errorf("%s: %s", name, kinds(got))
		}
		got := at(e, "thing", 300, of(tcpPorts, ports(23)), of(destIPs, cidrs("192.0.2.1")))
		if kinds(got) != "ongoing ongoing" || got[0].ViolationID != raised[0].ViolationID || len(got[1].Behavior.Criteria.Value.CIDRs) != 3 {
			t.Errorf("%s: %+v", name, got)
		}
	}
}
