package service

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iot"
	"github.com/aws/aws-sdk-go-v2/service/iot/types"
	"github.com/google/go-cmp/cmp"

	"github.com/device-defender/device-defender/internal/defender/report"
	"github.com/device-defender/device-defender/internal/defender/store"
)

// takes sends a report, which has to be accepted.
func (b *bench) takes(thing string, id int64, metrics string) report.Reply {
	b.t.Helper()
	reply := b.Report(b.t.Context(), thing, report.JSON, reportOf(id, metrics))
	if reply.Status != report.Accepted || reply.ReportID != id {
		b.t.Fatalf("report %d of %s: %+v", id, thing, reply)
	}
	return reply
}

// unregistered is how many things have reported that are not registered.
func (b *bench) unregistered() (n int64) {
	b.t.Helper()
	ok(b, 0, b.read(b.t.Context(), func(view *store.Reader) error {
		for tally, err := range tableStrangers.Scan(view, store.Range{}) {
			if err != nil {
				return err
			}
			n += tally.Value.Things
		}
		return nil
	}))
	return n
}

// sent lists the packets out that are stored of a thing, newest first.
func (b *bench) sent(thing string) (all []int64) {
	b.t.Helper()
	in := iot.ListMetricValuesInput{ThingName: &thing, MetricName: aws.String("aws:all-packets-out")}
	in.StartTime, in.EndTime = aws.Time(b.now().Add(-7*24*time.Hour)), aws.Time(b.now())
	out, err := b.client.ListMetricValues(b.t.Context(), &in)
	for _, datum := range ok(b, out, err).MetricDatumList {
		all = append(all, *datum.Value.Count)
	}
	return all
}

// Agents that count from their boot, such as those of AWS's Device Client in
// milliseconds, begin again at every restart.
func TestRestartedDeviceIsTaken(t *testing.T) {
	b := newBench(t, Options{})
	b.attach(profileOf("Traffic", atMost(100)))
	const month = 30 * 24 * time.Hour
	b.takes("thing-1", month.Milliseconds(), packets(1))
	b.after(5 * time.Minute)
	b.takes("thing-1", 4711, packets(500))
	b.restart()
	b.after(5 * time.Minute)
	b.takes("thing-1", 304711, packets(2))
	if diff := cmp.Diff([]int64{2, 500, 1}, b.sent("thing-1")); diff != "" {
		t.Errorf("values (-want +got):\n%s", diff)
	}
	b.wantHistory("10m0s thing-1 PacketsOut alarm-cleared 2", "5m0s thing-1 PacketsOut in-alarm 500")
}

// MQTT delivers at least once: the second time is answered as the first was,
// and counts as nothing.
func TestSameReportOnceMore(t *testing.T) {
	b := newBench(t, Options{})
	b.attach(profileOf("Traffic", atMost(100)))
	first := b.takes("thing-1", 7, packets(500))
	for _, later := range []time.Duration{0, time.Minute, time.Hour} {
		b.after(later)
		b.restart()
		if again := b.takes("thing-1", 7, packets(500)); again != first {
			t.Errorf("%v later: %+v, want %+v", later, again, first)
		}
	}
	// A device that restarts again and again counts from the same number.
	b.takes("thing-1", 7, packets(3))
	if diff := cmp.Diff([]int64{3, 500}, b.sent("thing-1")); diff != "" {
		t.Errorf("values (-want +got):\n%s", diff)
	}
}

// One id from the future does not shut a thing out.
func TestLargeIDIsNotAdopted(t *testing.T) {
	b := newBench(t, Options{})
	b.attach(profileOf("Traffic", atMost(100)))
	ids := []int64{1795398222, 1<<63 - 1, 1 << 53, 1<<53 + 1, 1<<53 - 1, 1, 1795398222}
	for i, id := range ids {
		b.takes("thing-1", id, packets(i))
		b.after(5 * time.Minute)
	}
	if sent := b.sent("thing-1"); len(sent) != len(ids) {
		t.Errorf("values %v, want %d", sent, len(ids))
	}
}

// What is deleted is forgotten, of things of the registry and of others, and
// what happened to it is still listed.
func TestDeleteThingForgets(t *testing.T) {
	for _, registered := range []bool{true, false} {
		t.Run(fmt.Sprintf("registered=%v", registered), func(t *testing.T) {
			b := newBench(t, Options{})
			b.attach(profileOf("Ports", onlyPort(443), atMost(100)))
			b.takes("other", 9, ports(8080)+","+packets(1))
			if registered {
				ok(b, 0, b.Register(b.t.Context(), "thing-1"))
			}
			b.takes("thing-1", 9, ports(8080)+","+packets(1))
			b.after(time.Minute)
			_, err := b.client.DeleteThing(t.Context(), &iot.DeleteThingInput{ThingName: aws.String("thing-1")})
			ok(b, 0, err)
			for range 2 {
				if _, known, _ := b.Thing(b.t.Context(), "thing-1"); known || b.unregistered() != 1 {
					t.Errorf("known %v, %d unregistered", known, b.unregistered())
				}
				if active := b.active(); len(active) != 1 || *active[0].ThingName != "other" {
					t.Errorf("active: %+v", active)
				}
				history := b.history()
				slices.Sort(history)
				want := []string{"0s other Ports in-alarm [8080]", "0s thing-1 Ports in-alarm [8080]", "1m0s thing-1 Ports alarm-invalidated"}
				if diff := cmp.Diff(want, history); diff != "" {
					t.Errorf("events (-want +got):\n%s", diff)
				}
				b.restart()
			}
			// It is not too soon, and has no past.
			b.takes("thing-1", 3, packets(2))
			if diff := cmp.Diff([]int64{2}, b.sent("thing-1")); diff != "" {
				t.Errorf("values (-want +got):\n%s", diff)
			}
		})
	}
}

// A clock that was ahead and was set right: what comes then is evaluated, and
// is listed at once.
func TestClockWasAhead(t *testing.T) {
	b := newBench(t, Options{})
	behavior := atMost(0)
	behavior.Name = aws.String("Usual")
	behavior.Criteria = &types.BehaviorCriteria{
		ComparisonOperator: types.ComparisonOperatorLessThanEquals, DurationSeconds: aws.Int32(300),
		StatisticalThreshold: &types.StatisticalThreshold{Statistic: aws.String("p90")},
	}
	b.attach(profileOf("Traffic", atMost(100), behavior))
	fleet := func(n int) {
		t.Helper()
		b.after(5 * time.Minute)
		for i := range 12 {
			b.reports(fmt.Sprint("thing-", i), packets(n))
		}
	}
	fleet(1)
	b.after(365 * 24 * time.Hour)
	fleet(2)
	fleet(500)
	b.after(-365 * 24 * time.Hour)
	fleet(600)
	if n := len(b.active()); n != 24 {
		t.Errorf("%d alarms, want those of 12 things under 2 behaviors to go on", n)
	}
	fleet(3)
	if diff := cmp.Diff([]int64{3, 600, 1}, b.sent("thing-1")); diff != "" {
		t.Errorf("values up to now (-want +got):\n%s", diff)
	}
	if n := len(b.active()); n != 0 {
		t.Errorf("%d alarms after all is normal again", n)
	}
}
