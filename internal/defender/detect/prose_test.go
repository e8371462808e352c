package detect

import (
	"cmp"
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/device-defender/device-defender/internal/defender/profile"
)

// This file evaluates profiles a second time, slowly and straight from the
// package comment, and holds the engine to it on random streams.

// point is one datapoint of a thing under a behavior.
type point struct {
	at    time.Time
	value profile.Value
	cut   bool // a list with fewer entries than its total
}

func (p point) number() float64 {
	if p.value.Count != nil {
		return float64(*p.value.Count)
	}
	return *p.value.Number
}

// prose evaluates one profile on all things, from the observations in the
// order of time, and time going on until end.
func prose(name string, behaviors []profile.Behavior, observations []Observation, end time.Time) []string {
	var lines []string
	things := map[string][]Observation{}
	for _, o := range observations {
		things[o.Thing] = append(things[o.Thing], o)
	}
	for _, b := range behaviors {
		lives := map[string][][]point{}
		for thing, list := range things {
			for _, life := range cutAtSilence(list) {
				lives[thing] = append(lives[thing], datapointsOf(b, life))
			}
		}
		fleet := windowsOf(b, lives)
		for thing, list := range things {
			reports := cutAtSilence(list)
			for i, points := range lives[thing] {
				last := reports[i][len(reports[i])-1].Time
				silent := i < len(reports)-1 || end.Sub(last) > 48*time.Hour
				for _, line := range proseLife(b, thing, points, fleet, last, silent) {
					lines = append(lines, line+" "+name+" "+b.Name+" "+thing)
				}
			}
		}
	}
	slices.Sort(lines)
	return lines
}

// cutAtSilence splits what a thing sent where it was silent for more than two
// days.
func cutAtSilence(list []Observation) (lives [][]Observation) {
	for i, o := range list {
		if i == 0 || o.Time.Sub(list[i-1].Time) > 48*time.Hour {
			lives = append(lives, nil)
		}
		lives[len(lives)-1] = append(lives[len(lives)-1], o)
	}
	return lives
}

// datapointsOf accumulates the measurements of one thing.
func datapointsOf(b profile.Behavior, list []Observation) (points []point) {
	var measured []point
	for _, o := range list {
		for _, m := range o.Measurements {
			if m.Metric.Name == b.Metric && (len(measured) == 0 || o.Time.After(measured[len(measured)-1].at)) {
				measured = append(measured, point{o.Time, m.Value, m.Cut != nil})
			}
		}
	}
	if b.Criteria.DurationSeconds == nil {
		return measured
	}
	duration := time.Duration(*b.Criteria.DurationSeconds) * time.Second
	var window []point
	var begin time.Time
	for i, p := range measured {
		interval := 300 * time.Second
		if i > 0 {
			interval = p.at.Sub(measured[i-1].at)
		}
		if interval >= duration || len(window) == 0 {
			window, begin = nil, p.at.Add(-interval)
		}
		window = append(window, p)
		if p.at.Sub(begin) < duration-interval/2 {
			continue
		}
		points = append(points, point{p.at, accumulated(b, window), false})
		window = nil
	}
	return points
}

func accumulated(b profile.Behavior, window []point) profile.Value {
	m, _ := profile.MetricOf(b.Metric, registry)
	result := window[0].number()
	for _, p := range window[1:] {
		switch {
		case m.Delta:
			result += p.number()
		case strings.HasPrefix(string(b.Criteria.ComparisonOperator), "less"):
			result = max(result, p.number())
		default:
			result = min(result, p.number())
		}
	}
	if m.Kind == profile.Number {
		return number(result)
	}
	return count(int64(result))
}

// proseLife follows one thing from its first report to a silence.
func proseLife(b profile.Behavior, thing string, points []point, fleet map[int64][]given, last time.Time, silent bool) (lines []string) {
	alarm, violating, conforming := false, 0, 0
	var since time.Time
	toAlarm, toClear := 1, 1
	if n := b.Criteria.ConsecutiveDatapointsToAlarm; n != nil {
		toAlarm = int(*n)
	}
	if n := b.Criteria.ConsecutiveDatapointsToClear; n != nil {
		toClear = int(*n)
	}
	tell := func(at time.Time, kind EventType, value any) {
		text, _ := json.Marshal(value)
		lines = append(lines, fmt.Sprintf("%s %s %s", at.Format("02T15:04:05"), kind, text))
	}
	for _, p := range points {
		runs := time.Time{}
		if alarm || violating > 0 {
			runs = since
		}
		met, empty, ok := normal(b, thing, p, fleet, runs)
		switch {
		case !ok:
		case met:
			violating = 0
			if alarm {
				conforming++
				if conforming >= toClear || empty {
					alarm, conforming = false, 0
					tell(p.at, AlarmCleared, p.value)
				}
			}
		case alarm:
			conforming = 0
			tell(p.at, Ongoing, p.value)
		default:
			if violating == 0 {
				since = p.at
			}
			violating++
			if violating >= toAlarm {
				alarm, violating = true, 0
				tell(p.at, InAlarm, p.value)
			}
		}
	}
	if alarm && silent {
		tell(last.Add(48*time.Hour), AlarmInvalidated, nil)
	}
	return lines
}

// normal compares one datapoint with what is normal.
func normal(b profile.Behavior, thing string, p point, fleet map[int64][]given, since time.Time) (met, empty, ok bool) {
	c := b.Criteria
	switch c.ComparisonOperator {
	case profile.InPortSet, profile.NotInPortSet:
		met = true
		for _, port := range p.value.Ports {
			met = met && slices.Contains(c.Value.Ports, port) == (c.ComparisonOperator == profile.InPortSet)
		}
		return met, len(p.value.Ports) == 0, !met || !p.cut
	case profile.InCIDRSet, profile.NotInCIDRSet:
		met = true
		for _, text := range p.value.CIDRs {
			in := slices.ContainsFunc(c.Value.CIDRs, func(cidr string) bool {
				return netip.MustParsePrefix(cidr).Contains(netip.MustParseAddr(text))
			})
			met = met && in == (c.ComparisonOperator == profile.InCIDRSet)
		}
		return met, len(p.value.CIDRs) == 0, !met || !p.cut
	case profile.InSet, profile.NotInSet:
		met = true
		for _, s := range p.value.Strings {
			met = met && slices.Contains(c.Value.Strings, s) == (c.ComparisonOperator == profile.InSet)
		}
		return met, len(p.value.Strings) == 0, true
	}
	var limit float64
	switch {
	case c.StatisticalThreshold != nil:
		if limit, ok = percentileBefore(b, thing, p.at, fleet, since); !ok {
			return false, false, false
		}
	case c.Value.Count != nil:
		limit = float64(*c.Value.Count)
	default:
		limit = *c.Value.Number
	}
	v := p.number()
	return map[profile.Operator]bool{
		profile.LessThan: v < limit, profile.LessThanEquals: v <= limit,
		profile.GreaterThan: v > limit, profile.GreaterThanEquals: v >= limit,
	}[c.ComparisonOperator], false, true
}

// given is a datapoint in a baseline, whose it is and of when.
type given struct {
	thing string
	at    time.Time
	value float64
}

// fleetWindowOf returns the index of the window that a time is in.
func fleetWindowOf(b profile.Behavior, t time.Time) int64 { return t.Unix() / fleetSpan(b) }

func fleetSpan(b profile.Behavior) int64 {
	if d := b.Criteria.DurationSeconds; d != nil {
		return int64(*d)
	}
	return 300
}

// windowsOf gathers the datapoints of all things by window, at most 16 of each
// thing.
func windowsOf(b profile.Behavior, lives map[string][][]point) map[int64][]given {
	fleet := map[int64][]given{}
	for thing, list := range lives {
		n := map[int64]int{}
		for _, p := range slices.Concat(list...) {
			if b.Criteria.StatisticalThreshold == nil {
				continue
			}
			if window := fleetWindowOf(b, p.at); n[window] < 16 {
				n[window]++
				fleet[window] = append(fleet[window], given{thing, p.at, p.number()})
			}
		}
	}
	return fleet
}

// percentileBefore looks at the windows before the datapoint's, the latest
// first, until it has a hundred datapoints.
func percentileBefore(b profile.Behavior, thing string, at time.Time, fleet map[int64][]given, since time.Time) (float64, bool) {
	now := fleetWindowOf(b, at)
	var all, others []float64
	for window := now - 1; window > now-48*3600/fleetSpan(b) && len(all) < 100; window-- {
		for _, p := range fleet[window] {
			all = append(all, p.value)
			if p.thing != thing || since.IsZero() || p.at.Before(since) {
				others = append(others, p.value)
			}
		}
	}
	if len(all) < 10 {
		return 0, false
	}
	if len(others) < 10 {
		others = all
	}
	percent := map[string]float64{"p0": 0, "p10": 10, "p50": 50, "p90": 90, "p99": 99, "p99.99": 99.99, "p100": 100}[b.Criteria.StatisticalThreshold.Statistic]
	smallest := math.Inf(1)
	for _, v := range others {
		below := 0
		for _, other := range others {
			if other <= v {
				below++
			}
		}
		if float64(below)*100 >= percent*float64(len(others))-1e-6 {
			smallest = min(smallest, v)
		}
	}
	// The largest of its bucket stands for it.
	largest := smallest
	for _, v := range all {
		if proseBucket(v) == proseBucket(smallest) {
			largest = max(largest, v)
		}
	}
	return largest, true
}

// proseBucket divides each power of two by 128.
func proseBucket(v float64) [2]int {
	fraction, exponent := math.Frexp(v) // 0.5 <= |fraction| < 1
	return [2]int{exponent, int(fraction * 256)}
}

// randomBehaviors makes behaviors whose limits are in the range of
// randomStream's values.
func randomBehaviors(r *rand.Rand) []profile.Behavior {
	pick := func(list ...profile.Operator) profile.Operator { return list[r.IntN(len(list))] }
	comparison := func() profile.Operator {
		return pick(profile.LessThan, profile.LessThanEquals, profile.GreaterThan, profile.GreaterThanEquals)
	}
	var list []profile.Behavior
	for i := range 1 + r.IntN(12) {
		name := fmt.Sprintf("b%02d", i)
		var b profile.Behavior
		switch r.IntN(8) {
		case 0, 1:
			b = statistical(name, []string{packetsOut, tcpCount, "battery"}[r.IntN(3)], comparison(), []string{"p0", "p10", "p50", "p90", "p99", "p99.99", "p100"}[r.IntN(7)])
		case 2:
			b = static(name, packetsOut, comparison(), count(r.Int64N(40)))
		case 3:
			b = static(name, tcpCount, comparison(), count(r.Int64N(6)))
		case 4:
			b = static(name, "battery", comparison(), number(float64(r.IntN(20))-10))
		case 5:
			b = static(name, tcpPorts, pick(profile.InPortSet, profile.NotInPortSet), ports(1, 3, 4))
		case 6:
			b = static(name, destIPs, pick(profile.InCIDRSet, profile.NotInCIDRSet), cidrs("10.0.0.0/30", "2001:db8::/64", "10.0.0.8/32", "10.0.0.0/31"))
		default:
			b = static(name, "roles", pick(profile.InSet, profile.NotInSet), stringsOf("a", "b"))
		}
		b.Criteria.DurationSeconds = nil
		if m, _ := profile.MetricOf(b.Metric, registry); m.Duration && (b.Criteria.StatisticalThreshold != nil || r.IntN(4) > 0) {
			b = over(b, profile.Durations[r.IntN(len(profile.Durations))])
		}
		if r.IntN(2) == 0 {
			b = consecutive(b, 1+r.Int32N(4), 1+r.Int32N(4))
		}
		list = append(list, b)
	}
	return list
}

// randomStream makes observations of several things in the order of time, many
// at the same instant.
func randomStream(r *rand.Rand) []Observation {
	var stream []Observation
	for i := range 1 + r.IntN(9) {
		name := string(rune('a' + i))
		interval := []int{30, 300, 300, 300, 900, 3600}[r.IntN(6)]
		jitter := r.IntN(2) * interval / 4
		noisy := 1 + r.IntN(10)
		now := 300
		for range 20 + r.IntN(120) {
			now += interval
			if jitter > 0 {
				now += r.IntN(jitter)
			}
			switch r.IntN(150) {
			case 0:
				now += r.IntN(3 * interval)
			case 1:
				now += 40*3600 + r.IntN(16*3600)
			}
			o := Observation{Thing: name, Time: after(now)}
			add := func(m Measurement) {
				if r.IntN(10) > 0 {
					o.Measurements = append(o.Measurements, m)
				}
			}
			add(of(packetsOut, count(r.Int64N(5)+r.Int64N(int64(noisy)))))
			add(of(tcpCount, count(r.Int64N(6))))
			add(of("battery", number(float64(r.IntN(20)-10))))
			var p []int32
			var a, s []string
			for k := range int32(r.IntN(4)) {
				p = append(p, k*r.Int32N(3))
				a = append(a, fmt.Sprintf("10.0.0.%d", r.IntN(10)), fmt.Sprintf("2001:db8::%x", k))
				s = append(s, string(rune('a'+r.IntN(3))))
			}
			for _, list := range []Measurement{of(tcpPorts, ports(p...)), of(destIPs, cidrs(a...))} {
				if r.IntN(4) == 0 {
					list = cut(list)
				}
				add(list)
			}
			add(of("roles", stringsOf(s...)))
			if len(o.Measurements) > 0 {
				stream = append(stream, o)
			}
		}
	}
	slices.SortStableFunc(stream, func(a, b Observation) int { return a.Time.Compare(b.Time) })
	return stream
}

// lines writes events as prose does.
func lines(events []Event) []string {
	var list []string
	for _, ev := range events {
		text, _ := json.Marshal(ev.Value)
		list = append(list, fmt.Sprintf("%s %s %s %s %s %s", ev.Time.Format("02T15:04:05"), ev.Type, text, ev.Profile, ev.Behavior.Name, ev.Thing))
	}
	slices.Sort(list)
	return list
}

// run evaluates a stream, with time going on until end.
func run(e *Engine, stream []Observation, end time.Time) []Event {
	var events []Event
	for _, o := range stream {
		events = append(events, e.Observe(o)...)
	}
	return append(events, e.Advance(end).Events...)
}

// compareEvents orders events of an engine for comparison.
func compareEvents(a, b Event) int {
	return cmp.Or(a.Time.Compare(b.Time), strings.Compare(a.Thing, b.Thing), strings.Compare(a.Behavior.Name, b.Behavior.Name), strings.Compare(string(a.Type), string(b.Type)))
}

func TestProse(t *testing.T) {
	total := map[EventType]int{}
	for seed := range uint64(60) {
		r := rand.New(rand.NewPCG(seed, 1))
		behaviors, stream := randomBehaviors(r), randomStream(r)
		end := stream[len(stream)-1].Time.Add(time.Duration(r.IntN(72)) * time.Hour)
		e := New()
		e.evaluation.Baselines = newChecked(t)
		attach(t, e, "p", behaviors...)
		events := run(e, stream, end)
		if d := gocmp.Diff(prose("p", behaviors, stream, end), lines(events)); d != "" {
			text, _ := json.Marshal(behaviors)
			t.Fatalf("seed %d: the engine (+) is not the package comment (-) on %s\n%s", seed, text, d)
		}
		for _, ev := range events {
			total[ev.Type]++
		}
	}
	for _, kind := range []EventType{InAlarm, AlarmCleared, AlarmInvalidated, Ongoing} {
		if total[kind] < 50 {
			t.Errorf("the streams made %d events %s: too few to tell", total[kind], kind)
		}
	}
}

// TestOrder: of things that report at the same instant, and of Advance called
// in between, the order makes no difference.
func TestOrder(t *testing.T) {
	for seed := range uint64(60) {
		r := rand.New(rand.NewPCG(seed, 2))
		behaviors, stream := randomBehaviors(r), randomStream(r)
		end := stream[len(stream)-1].Time.Add(time.Hour)
		e := New()
		attach(t, e, "p", behaviors...)
		want := run(e, stream, end)

		shuffled := slices.Clone(stream)
		r.Shuffle(len(shuffled), func(i, j int) { shuffled[i], shuffled[j] = shuffled[j], shuffled[i] })
		slices.SortStableFunc(shuffled, func(a, b Observation) int { return a.Time.Compare(b.Time) })
		e = New()
		attach(t, e, "p", behaviors...)
		var got []Event
		for _, o := range shuffled {
			if r.IntN(3) == 0 {
				got = append(got, e.Advance(o.Time).Events...)
			}
			got = append(got, e.Observe(o)...)
		}
		got = append(got, e.Advance(end).Events...)
		slices.SortFunc(want, compareEvents)
		slices.SortFunc(got, compareEvents)
		if !reflect.DeepEqual(want, got) {
			t.Fatalf("seed %d: %s", seed, gocmp.Diff(want, got))
		}
	}
}

// TestRestart: an engine that was saved and restored, at any point and several
// times, makes the same events as one that was not. Each thing is saved when
// it has changed, as a service does.
func TestRestart(t *testing.T) {
	for seed := range uint64(60) {
		r := rand.New(rand.NewPCG(seed, 3))
		behaviors, stream := randomBehaviors(r), randomStream(r)
		end := stream[len(stream)-1].Time.Add(72 * time.Hour)
		e := New()
		attach(t, e, "p", behaviors...)
		want := run(e, stream, end)

		saved := map[string][]byte{}
		e = New()
		attach(t, e, "p", behaviors...)
		var got []Event
		for _, o := range stream {
			got = append(got, e.Observe(o)...)
			saved[o.Thing] = save(e, o.Thing)
			if r.IntN(50) == 0 {
				e = restarted(e)
				attach(t, e, "p", behaviors...)
				for name, data := range saved {
					restore(t, e, name, data)
				}
			}
		}
		got = append(got, e.Advance(end).Events...)
		slices.SortFunc(want, compareEvents)
		slices.SortFunc(got, compareEvents)
		if !reflect.DeepEqual(want, got) {
			t.Fatalf("seed %d: %s", seed, gocmp.Diff(want, got))
		}
	}
}

// TestConforming: what is normal makes no event, whatever the times.
func TestConforming(t *testing.T) {
	for seed := range uint64(100) {
		r := rand.New(rand.NewPCG(seed, 4))
		e := New()
		attach(t, e, "p",
			over(static("most", tcpCount, profile.LessThanEquals, count(5)), 900),
			over(static("least", "battery", profile.GreaterThan, number(-11)), 3600),
			static("ports", tcpPorts, profile.NotInPortSet, ports(7)),
			static("sources", destIPs, profile.InCIDRSet, cidrs("10.0.0.0/28", "2001:db8::/126")),
		)
		stream := randomStream(r)
		if got := run(e, stream, stream[len(stream)-1].Time.Add(100*time.Hour)); len(got) != 0 {
			t.Fatalf("seed %d: %s", seed, kinds(got))
		}
	}
}
