package service

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iot"
	"github.com/aws/aws-sdk-go-v2/service/iot/types"
	"github.com/google/go-cmp/cmp"

	"github.com/device-defender/device-defender/internal/defender/detect"
	"github.com/device-defender/device-defender/internal/defender/report"
)

// What comes of reports, connections and time is the same with one lane as with
// many, and whether things are remembered or read again each time.
func TestLanesAgree(t *testing.T) {
	usual := atMost(0)
	usual.Name = aws.String("Usual")
	usual.Criteria = &types.BehaviorCriteria{
		ComparisonOperator: types.ComparisonOperatorLessThanEquals, DurationSeconds: aws.Int32(300),
		StatisticalThreshold: &types.StatisticalThreshold{Statistic: aws.String("p90")},
	}
	connects := types.Behavior{Name: aws.String("Connects"), Metric: aws.String("aws:num-connection-attempts"), Criteria: &types.BehaviorCriteria{
		ComparisonOperator: types.ComparisonOperatorLessThanEquals, Value: &types.MetricValue{Count: aws.Int64(1)}, DurationSeconds: aws.Int32(300),
	}}
	const things, rounds = 25, 12
	run := func(o Options) []string {
		b := newBench(t, o)
		b.attach(profileOf("Traffic", atMost(100), usual, connects))
		b.attachTo(profileOf("Ports", onlyPort(443)), "all/unregistered-things")
		random := rand.New(rand.NewPCG(1, 2))
		for range rounds {
			var sending sync.WaitGroup
			for i := range things {
				name := fmt.Sprint("thing-", i)
				metrics := packets(random.IntN(60))
				switch random.IntN(8) {
				case 0:
					metrics = packets(300) + "," + ports(443, 23)
				case 1:
					metrics = ports()
				}
				events := random.IntN(3)
				if random.IntN(30) == 0 {
					ok(b, 0, b.Register(t.Context(), name))
				}
				b.ids[name]++
				id := b.ids[name]
				sending.Go(func() {
					if reply := b.Report(t.Context(), name, report.JSON, reportOf(id, metrics)); reply.Status != report.Accepted {
						t.Errorf("%s: %+v", name, reply)
					}
					for range events {
						b.Cloud(detect.CloudEvent{Thing: name, Type: detect.Connect})
					}
				})
			}
			sending.Wait()
			b.restart() // which takes cloud events that wait
			b.after(5 * time.Minute)
			ok(b, 0, b.advance(t.Context()))
		}
		b.after(49 * time.Hour)
		ok(b, 0, b.advance(t.Context()))
		if n := len(b.active()); n != 0 {
			t.Errorf("%d alarms of things that are silent", n)
		}
		history := b.history()
		slices.Sort(history)
		return history
	}
	want := run(Options{lanes: 1})
	if len(want) < 100 {
		t.Errorf("only %d events", len(want))
	}
	for name, o := range map[string]Options{"seven lanes": {lanes: 7}, "no memory": {lanes: 3, CacheBytes: 1}} {
		if diff := cmp.Diff(want, run(o)); diff != "" {
			t.Errorf("%s (-one lane +%s):\n%s", name, name, diff)
		}
	}
}

// No report that is answered after a profile was deleted is evaluated by it,
// however many are under way.
func TestDeletedProfileIsOver(t *testing.T) {
	b := newBench(t, Options{MinReportInterval: -1})
	for range 5 {
		b.attach(profileOf("Ports", onlyPort(443)))
		deleted := make(chan struct{})
		var reporting sync.WaitGroup
		for i := range 8 {
			reporting.Go(func() {
				last := false
				for id := int64(1); !last; id++ {
					select {
					case <-deleted:
						last = true
					default:
					}
					b.after(time.Millisecond)
					if reply := b.Report(t.Context(), fmt.Sprint("thing-", i), report.JSON, reportOf(id, ports(8080))); reply.Status != report.Accepted {
						t.Errorf("%+v", reply)
						return
					}
				}
			})
		}
		for len(b.active()) < 8 {
			runtime.Gosched()
		}
		_, err := b.client.DeleteSecurityProfile(t.Context(), &iot.DeleteSecurityProfileInput{SecurityProfileName: aws.String("Ports")})
		ok(b, 0, err)
		if active := b.active(); len(active) != 0 {
			t.Errorf("%d alarms when the profile is deleted", len(active))
		}
		close(deleted)
		reporting.Wait()
		if active := b.active(); len(active) != 0 {
			t.Errorf("%d alarms after the profile was deleted", len(active))
		}
	}
}

// The groups of a thing that has been evaluated before count from the next
// report on.
func TestGroupsCountAtOnce(t *testing.T) {
	b := newBench(t, Options{MinReportInterval: -1})
	ctx := t.Context()
	ok(b, 0, b.Register(ctx, "thing-1"))
	_, err := b.client.CreateThingGroup(ctx, &iot.CreateThingGroupInput{ThingGroupName: aws.String("G")})
	ok(b, 0, err)
	b.attachTo(profileOf("Ports", onlyPort(443)), "thinggroup/G")
	for range 3 {
		b.after(time.Second)
		b.reports("thing-1", ports(8080))
		if n := len(b.active()); n != 0 {
			t.Fatalf("%d alarms outside of the group", n)
		}
		_, err := b.client.AddThingToThingGroup(ctx, &iot.AddThingToThingGroupInput{ThingName: aws.String("thing-1"), ThingGroupName: aws.String("G")})
		ok(b, 0, err)
		b.after(time.Second)
		b.reports("thing-1", ports(8080))
		if n := len(b.active()); n != 1 {
			t.Fatalf("%d alarms in the group", n)
		}
		b.after(time.Second)
		b.reports("thing-1", ports(443))
		_, err = b.client.RemoveThingFromThingGroup(ctx, &iot.RemoveThingFromThingGroupInput{ThingName: aws.String("thing-1"), ThingGroupName: aws.String("G")})
		ok(b, 0, err)
	}
}

// BenchmarkReport has 250 clients send reports of 1,000 things under a profile of
// ten behaviors.
func BenchmarkReport(b *testing.B) {
	for _, connections := range []int{5, 250} {
		b.Run(fmt.Sprintf("connections=%d", connections), func(b *testing.B) {
			bench := newBench(b, Options{MinReportInterval: -1})
			behaviors := []types.Behavior{onlyPort(443)}
			for i := range 9 {
				behavior := atMost(int64(1000 + i))
				behavior.Name = aws.String(fmt.Sprint("Behavior", i))
				behaviors = append(behaviors, behavior)
			}
			in := profileOf("Traffic", behaviors...)
			in.AdditionalMetricsToRetainV2 = []types.MetricToRetain{{Metric: aws.String("aws:destination-ip-addresses")}}
			bench.attach(in)
			var list []string
			for i := range connections {
				list = append(list, fmt.Sprintf(`{"remote_addr":"192.0.2.%d:443"}`, i))
			}
			payload := reportOf(1, packets(7)+","+ports(443)+fmt.Sprintf(`,"tcp_connections":{"established_connections":{"connections":[%s],"total":%d}}`, strings.Join(list, ","), connections))
			var next atomic.Int64
			b.SetParallelism(250 / runtime.GOMAXPROCS(0))
			b.ReportAllocs()
			b.ResetTimer()
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					n := next.Add(1)
					bench.after(time.Millisecond)
					thing := fmt.Sprint("thing-", n%1000)
					if reply := bench.Report(b.Context(), thing, report.JSON, bytes.Replace(payload, []byte(":1,"), fmt.Appendf(nil, ":%d,", n), 1)); reply.Status != report.Accepted {
						b.Errorf("%+v", reply)
					}
				}
			})
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "reports/s")
		})
	}
}
