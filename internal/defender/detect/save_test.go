package detect

import (
	"bytes"
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/device-defender/device-defender/internal/defender/profile"
)

// save returns what an engine would save of a thing.
func save(e *Engine, name string) []byte {
	e.settle()
	if m := e.things[name]; m != nil {
		return m.AppendSaved(nil)
	}
	return nil
}

// restore gives a thing of an engine a state that was saved.
func restore(t testing.TB, e *Engine, name string, data []byte) {
	t.Helper()
	if err := e.restore(name, data); err != nil {
		t.Fatal(err)
	}
}

// restarted returns an engine that has nothing but the baselines of another.
func restarted(e *Engine) *Engine {
	next := New()
	next.evaluation.Baselines = e.evaluation.Baselines
	return next
}

// TestSaveNothing: what is not known is not saved.
func TestSaveNothing(t *testing.T) {
	e := New()
	e.SetThing(profile.Thing{Name: "registered", Registered: true})
	for _, name := range []string{"registered", "unknown"} {
		if data := save(e, name); data != nil {
			t.Errorf("%s: %d bytes", name, len(data))
		}
	}
	thing, err := Compile(nil, nil).Restore(profile.Thing{Name: "thing"}, nil)
	if err != nil || !thing.empty() || !thing.Due().IsZero() {
		t.Errorf("restored from nothing: %+v, %v", thing, err)
	}
}

// TestSaved: an ordinary thing takes few bytes, and is saved behind what is
// there already.
func TestSaved(t *testing.T) {
	e := New()
	attach(t, e, "p", fleetBehaviors()...)
	for i := range 5 {
		at(e, "thing", 300*i, FromReport(fleetReport())...)
	}
	data := save(e, "thing")
	if len(data) > 150 {
		t.Errorf("%d bytes for 10 behaviors", len(data))
	}
	if d := cmp.Diff("row"+string(data), string(e.things["thing"].AppendSaved([]byte("row")))); d != "" {
		t.Error(d)
	}
}

// TestRestoreChanged: an alarm of a behavior that changed in between is
// invalidated, with the behavior as it was.
func TestRestoreChanged(t *testing.T) {
	e := New()
	attach(t, e, "p", static("b", tcpCount, profile.LessThan, count(3)))
	raised := at(e, "thing", 0, of(tcpCount, count(5)))[0]
	data := save(e, "thing")
	for _, limit := range []int64{3, 4} {
		e = New()
		attach(t, e, "p", static("b", tcpCount, profile.LessThan, count(limit)))
		restore(t, e, "thing", data)
		if has := e.rules.Has(raised.Mark); has != (limit == 3) {
			t.Errorf("the behavior is there: %t", has)
		}
		got := e.Advance(after(60)).Events
		if limit == 3 {
			if len(got) != 0 {
				t.Errorf("unchanged: %s", kinds(got))
			}
			continue
		}
		if kinds(got) != "alarm-invalidated" || got[0].ViolationID != raised.ViolationID || got[0].Profile != "p" || *got[0].Behavior.Criteria.Value.Count != 3 {
			t.Errorf("changed: %+v", got)
		}
	}
}

func TestRestoreRefuses(t *testing.T) {
	e := New()
	attach(t, e, "p", static("b", tcpCount, profile.LessThan, count(3)), statistical("s", tcpCount, profile.LessThan, "p90"))
	at(e, "thing", 0, of(tcpCount, count(5)))
	happened(e, 5, CloudEvent{Type: Connect})
	data := save(e, "thing")
	thing := profile.Thing{Name: "thing"}
	for n := 1; n < len(data); n++ {
		// What is left when the end is cut off may be a thing without cloud
		// state; nothing else is a thing.
		if _, err := e.rules.Restore(thing, data[:n]); err == nil && data[n-1] != savedEnd {
			t.Errorf("the first %d of %d bytes were taken", n, len(data))
		}
	}
	if _, err := e.rules.Restore(thing, append([]byte{3}, data[1:]...)); err == nil {
		t.Error("another version was taken")
	}
	data, err := os.ReadFile("testdata/saved-0.1")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := e.rules.Restore(profile.Thing{Name: "other"}, data); err == nil {
		t.Error("another thing was taken")
	}
}

// FuzzRestore: whatever the bytes are, of this version or of version 0.1,
// evaluation goes on; and what is taken is saved such that it is taken again.
func FuzzRestore(f *testing.F) {
	rules := Compile([]Attached{{Targets: []profile.Target{{Kind: profile.AllThings}}, Profile: &profile.Profile{Name: "p", Behaviors: []profile.Behavior{
		consecutive(static("ports", tcpPorts, profile.InPortSet, ports(443)), 2, 2),
		over(static("hour", packetsOut, profile.LessThan, count(10)), 3600),
		statistical("most", packetsOut, profile.LessThanEquals, "p99"),
		static("duration", disconnectDuration, profile.LessThan, count(10)),
		static("sources", sourceIPAddress, profile.InCIDRSet, cidrs("192.0.2.0/24")),
	}}}}, nil)
	f.Fuzz(func(t *testing.T, data []byte) {
		for _, registered := range []bool{false, true} {
			registry := profile.Thing{Name: "thing", Registered: registered}
			thing, err := rules.Restore(registry, data)
			if err != nil {
				return
			}
			saved := thing.AppendSaved(nil)
			again, err := rules.Restore(registry, saved)
			if err != nil {
				t.Fatalf("saved again: %v", err)
			}
			if !bytes.Equal(saved, again.AppendSaved(nil)) {
				t.Fatal("saved a third time it is another")
			}
			e := &Evaluation{Baselines: memory{}}
			for i := range 20 {
				thing.Observe(e, Observation{Time: after(300 * i), Measurements: []Measurement{of(tcpPorts, ports(int32(i))), of(packetsOut, count(int64(i)))}})
				thing.ObserveCloud(e, CloudEvent{Time: after(300*i + 1), Type: CloudEventType(1 + i%5)})
			}
			thing.Restamp(epoch)
			for due := thing.due(); due < epoch.UnixNano()+1<<50; due = thing.due() {
				thing.Advance(e, timeOf(max(due, epoch.UnixNano())))
				if next := thing.due(); next <= max(due, epoch.UnixNano()) {
					t.Fatalf("after it was advanced to %d it is due at %d", due, next)
				}
			}
		}
	})
}

// FuzzEngine drives a whole engine by bytes, with restarts, and holds it to
// what every sequence of events has in common.
func FuzzEngine(f *testing.F) {
	f.Add([]byte("\x00\x01\x02\x03\x04\x05\x06\x07\x08\x09"))
	f.Add([]byte("aAbBcCdDeEfFgGhHiIjJ0123456789zzzzZZZZ"))
	f.Add([]byte{7, 7, 7, 0, 0, 0, 200, 200, 1, 255, 255, 3, 3, 90, 41, 12})
	catalog := []profile.Behavior{
		consecutive(static("b", tcpPorts, profile.InPortSet, ports(1, 2)), 2, 3),
		over(static("b", packetsOut, profile.LessThan, count(10)), 900),
		over(consecutive(statistical("b", packetsOut, profile.LessThanEquals, "p90"), 2, 1), 600),
		static("b", destIPs, profile.NotInCIDRSet, cidrs("10.0.0.0/8", "::/0")),
		static("b", "battery", profile.GreaterThan, number(3)),
		static("b", disconnectDuration, profile.LessThan, count(10)),
		over(dimensional(static("b", messagesSent, profile.LessThan, count(2)), "IN"), 300),
		static("b", messageByteSize, profile.GreaterThan, count(5)),
	}
	targets := []profile.Target{{Kind: profile.AllThings}, {Kind: profile.AllRegistered}, {Kind: profile.AllUnregistered}, {Kind: profile.ThingGroup, Group: "g"}}
	f.Fuzz(func(t *testing.T, script []byte) {
		if len(script) > 4096 {
			return
		}
		e := New()
		now := 0
		active := map[string]string{} // violation -> thing
		ended := map[string]bool{}
		check := func(events []Event) {
			for _, ev := range events {
				key := ev.ViolationID
				if ended[key] {
					t.Fatalf("%s of a violation that has ended", ev.Type)
				}
				if _, known := active[key]; known == (ev.Type == InAlarm) {
					t.Fatalf("%s of a violation, known %t", ev.Type, known)
				}
				if (ev.Value == nil) != (ev.Type == AlarmInvalidated) {
					t.Fatalf("%s with value %v", ev.Type, ev.Value)
				}
				switch ev.Type {
				case InAlarm:
					active[key] = ev.Thing
				case AlarmCleared, AlarmInvalidated:
					delete(active, key)
					ended[key] = true
				}
			}
		}
		next := func() int {
			if len(script) == 0 {
				return 0
			}
			b := script[0]
			script = script[1:]
			return int(b)
		}
		for len(script) > 0 {
			name := string(rune('a' + next()%4))
			switch op := next(); op % 12 {
			case 0:
				b := catalog[next()%len(catalog)]
				b.Name = fmt.Sprint("b", next()%3)
				set(t, e, fmt.Sprint("p", next()%3), targets[next()%4:][:1], b)
			case 1:
				e.RemoveProfile(fmt.Sprint("p", next()%3))
			case 2:
				e.SetThing(profile.Thing{Name: name, Registered: true, Groups: []string{"g", "h"}[:next()%3]})
			case 3:
				e.RemoveThing(name)
			case 4:
				e.SetDimension(profile.Dimension{Name: "auth", StringValues: []string{"a/+", "b"}[:1+next()%2]})
			case 5:
				now += next() * next()
				o := e.Advance(after(now))
				check(o.Events)
			case 6:
				o := e.ObserveCloud(CloudEvent{Thing: name, Time: after(now), Type: CloudEventType(next() % 7), Topic: []string{"", "a/b", "b"}[next()%3], Bytes: next() - 5})
				check(o.Events)
			case 7:
				restore(t, e, name, save(e, name))
			default:
				now += 10 * next()
				v := int64(next())
				check(at(e, name, now-next(), of(packetsOut, count(v)), of("battery", number(float64(v-100))), of(tcpPorts, ports(int32(v%4))), of(destIPs, cidrs(fmt.Sprintf("%d.0.0.1", v)))))
			}
		}
		e.RemoveProfile("p0")
		e.RemoveProfile("p1")
		e.RemoveProfile("p2")
		check(e.Advance(after(now + 3*24*3600)).Events)
		check(e.Advance(after(now).Add(60 * 24 * time.Hour)).Events)
		if len(active) > 0 {
			t.Fatalf("%d violations never end", len(active))
		}
	})
}
