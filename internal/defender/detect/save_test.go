package detect

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/device-defender/device-defender/internal/defender/profile"
)

// TestSaveNothing: what is not known is not saved.
func TestSaveNothing(t *testing.T) {
	e := New()
	e.SetThing(profile.Thing{Name: "registered", Registered: true})
	for _, name := range []string{"registered", "unknown"} {
		if data, err := e.SaveThing(name); data != nil || err != nil {
			t.Errorf("%s: %d bytes, %v", name, len(data), err)
		}
	}
}

// TestRestoreChanged: an alarm of a behavior that changed in between is
// invalidated, with the behavior as it was.
func TestRestoreChanged(t *testing.T) {
	e := New()
	attach(t, e, "p", static("b", tcpCount, profile.LessThan, count(3)))
	id := at(e, "thing", 0, of(tcpCount, count(5)))[0].ViolationID
	data, err := e.SaveThing("thing")
	if err != nil {
		t.Fatal(err)
	}
	for _, limit := range []int64{3, 4} {
		e = New()
		attach(t, e, "p", static("b", tcpCount, profile.LessThan, count(limit)))
		if err := e.RestoreThing(data); err != nil {
			t.Fatal(err)
		}
		got := e.Advance(after(60)).Events
		if limit == 3 {
			if len(got) != 0 {
				t.Errorf("unchanged: %s", kinds(got))
			}
			continue
		}
		if kinds(got) != "alarm-invalidated" || got[0].ViolationID != id || got[0].Profile != "p" || *got[0].Behavior.Criteria.Value.Count != 3 {
			t.Errorf("changed: %+v", got)
		}
	}
}

func TestRestoreRefuses(t *testing.T) {
	e := New()
	attach(t, e, "p", static("b", tcpCount, profile.LessThan, count(3)), statistical("s", tcpCount, profile.LessThan, "p90"))
	at(e, "thing", 0, of(tcpCount, count(5)))
	happened(e, 5, CloudEvent{Type: Connect})
	data, err := e.SaveThing("thing")
	if err != nil {
		t.Fatal(err)
	}
	other := New()
	for n := range len(data) {
		// What is left when the end is cut off may be a thing without cloud
		// state; nothing else is a thing.
		if err := other.RestoreThing(data[:n]); err == nil && data[n-1] != savedEnd {
			t.Errorf("the first %d of %d bytes were taken", n, len(data))
		}
	}
	if err := other.RestoreThing(append([]byte{2}, data[1:]...)); err == nil {
		t.Error("another version was taken")
	}
}

// FuzzRestoreThing: whatever the bytes are, the engine goes on; and what it
// took, it saves such that it is taken again.
func FuzzRestoreThing(f *testing.F) {
	behaviors := []profile.Behavior{
		consecutive(static("ports", tcpPorts, profile.InPortSet, ports(443)), 2, 2),
		over(static("hour", packetsOut, profile.LessThan, count(10)), 3600),
		statistical("most", packetsOut, profile.LessThanEquals, "p99"),
		static("duration", disconnectDuration, profile.LessThan, count(10)),
		static("sources", sourceIPAddress, profile.InCIDRSet, cidrs("192.0.2.0/24")),
	}
	e := New()
	attach(f, e, "p", behaviors...)
	for i := range 30 {
		at(e, "thing", 200*i, of(tcpPorts, ports(int32(i))), of(packetsOut, count(int64(i))))
		happened(e, 200*i+1, CloudEvent{Type: CloudEventType(1 + i%5)})
		data, err := e.SaveThing("thing")
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		e := New()
		attach(t, e, "p", behaviors...)
		s, err := readSaved(data)
		if err != nil {
			return
		}
		if err := e.RestoreThing(data); err != nil {
			t.Fatal(err)
		}
		again, err := e.SaveThing(s.name)
		if err != nil {
			t.Fatal(err)
		}
		if again != nil {
			if err := e.RestoreThing(again); err != nil {
				t.Fatalf("saved again: %v", err)
			}
			if third, _ := e.SaveThing(s.name); !cmp.Equal(again, third) {
				t.Fatal("saved a third time it is another")
			}
		}
		for i := range 20 {
			at(e, s.name, 300*i, of(tcpPorts, ports(int32(i))), of(packetsOut, count(int64(i))))
			e.ObserveCloud(CloudEvent{Thing: s.name, Time: after(300*i + 1), Type: CloudEventType(1 + i%5)})
		}
		e.Advance(after(1 << 20))
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
				data, err := e.SaveThing(name)
				if err != nil {
					t.Fatal(err)
				}
				if data != nil {
					if err := e.RestoreThing(data); err != nil {
						t.Fatal(err)
					}
				}
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
