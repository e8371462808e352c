// Package servicetest is what tests need that work with AWS IoT: a World, which
// is the Detect-compatible service with a clock of its own and a fleet that
// reports what the test wants, and a QueryAPI, which is as much of SNS and IAM
// as alerts need. Clients talk to both over HTTP.
package servicetest

import (
	"context"
	"fmt"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/iot"
	"github.com/aws/aws-sdk-go-v2/service/iot/types"

	"github.com/device-defender/device-defender/internal/defender/alert"
	"github.com/device-defender/device-defender/internal/defender/report"
	"github.com/device-defender/device-defender/internal/defender/service"
	"github.com/device-defender/device-defender/internal/memdir"
)

// World is a service with a clock of its own.
type World struct {
	Service *service.Service
	URL     string
	IoT     *iot.Client

	t     testing.TB
	begin time.Time

	mu    sync.Mutex
	clock time.Time // zero: the real one
	id    int64     // of the last report
}

// NewWorld begins a world at a time. Options of its service may be set.
func NewWorld(t testing.TB, begin time.Time, set ...func(*service.Options)) *World {
	t.Helper()
	w := &World{t: t, begin: begin, clock: begin}
	options := service.Options{Data: memdir.New(t), Now: w.Now, Topics: alert.Topics{"arn:aws:sns:us-east-1:123456789012:*"}}
	for _, set := range set {
		set(&options)
	}
	var err error
	if w.Service, err = service.Open(options); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := w.Service.Close(); err != nil {
			t.Error(err)
		}
	})
	server := httptest.NewServer(w.Service.Handler())
	t.Cleanup(server.Close)
	w.URL = server.URL
	w.IoT = iot.New(iot.Options{
		Region: "us-east-1", BaseEndpoint: aws.String(w.URL), Credentials: credentials.NewStaticCredentialsProvider("test", "test", ""),
	})
	return w
}

// Now is the world's time.
func (w *World) Now() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.clock.IsZero() {
		return time.Now()
	}
	return w.clock
}

// At is the time so many minutes after the beginning.
func (w *World) At(minutes int) time.Time { return w.begin.Add(time.Duration(minutes) * time.Minute) }

// Pass lets time pass.
func (w *World) Pass(d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.clock = w.clock.Add(d)
}

// Real sets the clock to the real time, with which it goes on.
func (w *World) Real() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.clock = time.Time{}
}

// Run lets the service carry out tasks until the test ends.
func (w *World) Run() {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- w.Service.Run(ctx) }()
	w.t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			w.t.Error(err)
		}
	})
}

// Things registers things.
func (w *World) Things(names ...string) {
	w.t.Helper()
	for _, name := range names {
		if _, err := w.IoT.CreateThing(w.t.Context(), &iot.CreateThingInput{ThingName: aws.String(name)}); err != nil {
			w.t.Fatal(err)
		}
	}
}

// PacketExfiltration is a behavior: at most 1000 packets out in 5 minutes, or
// so many datapoints in a row that are above.
func PacketExfiltration(consecutive int32) types.Behavior {
	return types.Behavior{
		Name: aws.String("PacketExfiltration"), Metric: aws.String("aws:all-packets-out"),
		Criteria: &types.BehaviorCriteria{
			ComparisonOperator: types.ComparisonOperatorLessThanEquals, DurationSeconds: aws.Int32(300),
			ConsecutiveDatapointsToAlarm: aws.Int32(consecutive), Value: &types.MetricValue{Count: aws.Int64(1000)},
		},
	}
}

// Profile creates a profile for all things, which retains the destination
// addresses and the packets in besides.
func (w *World) Profile(name string, behaviors ...types.Behavior) {
	w.t.Helper()
	_, err := w.IoT.CreateSecurityProfile(w.t.Context(), &iot.CreateSecurityProfileInput{
		SecurityProfileName: aws.String(name), Behaviors: behaviors,
		AdditionalMetricsToRetainV2: []types.MetricToRetain{
			{Metric: aws.String("aws:destination-ip-addresses")}, {Metric: aws.String("aws:all-packets-in")},
		},
	})
	if err != nil {
		w.t.Fatal(err)
	}
	_, err = w.IoT.AttachSecurityProfile(w.t.Context(), &iot.AttachSecurityProfileInput{
		SecurityProfileName: aws.String(name), SecurityProfileTargetArn: aws.String("arn:aws:iot:us-east-1:123456789012:all/things"),
	})
	if err != nil {
		w.t.Fatal(err)
	}
}

// Report reports packets out, a listening port, and the addresses connected to.
func (w *World) Report(thing string, packets int, addresses ...string) {
	w.t.Helper()
	w.ReportCut(thing, packets, len(addresses), addresses...)
}

// ReportCut reports what Report does, with a total of connections of which the
// addresses are only some.
func (w *World) ReportCut(thing string, packets, total int, addresses ...string) {
	w.t.Helper()
	w.id++
	connections := make([]string, len(addresses))
	for i, a := range addresses {
		connections[i] = fmt.Sprintf(`{"remote_addr":"%s:443"}`, a)
	}
	payload := fmt.Sprintf(`{"header":{"report_id":%d,"version":"1.0"},"metrics":{
		"listening_tcp_ports":{"ports":[{"port":22}],"total":1},
		"network_stats":{"bytes_in":1000,"bytes_out":1000,"packets_in":10,"packets_out":%d},
		"tcp_connections":{"established_connections":{"connections":[%s],"total":%d}}}}`,
		w.id, packets, strings.Join(connections, ","), total)
	if reply := w.Service.Report(w.t.Context(), thing, report.JSON, []byte(payload)); reply.Status != report.Accepted {
		w.t.Fatalf("report of %s: %+v", thing, reply)
	}
}

// Addresses of Exfiltrate; the last is where the data go.
const (
	Broker  = "198.51.100.10"
	Mirror  = "198.51.100.20"
	Unknown = "203.0.113.77"
)

// Exfiltrate takes 90 minutes, with a report every 5: a quiet hour, 15 minutes
// in which gateway-2 sends too much (the report at minute 65 is the first of
// these), and quiet again.
func (w *World) Exfiltrate() {
	w.t.Helper()
	for n := 1; n <= 18; n++ {
		w.Pass(5 * time.Minute)
		w.Report("gateway-1", 310, Broker)
		switch {
		case n < 12:
			w.Report("gateway-2", 300, Broker, Mirror)
		case n == 12: // the connection is there, the traffic not yet
			w.Report("gateway-2", 320, Broker, Unknown)
		case n <= 15:
			w.Report("gateway-2", 5000+n, Broker, Unknown)
		default:
			w.Report("gateway-2", 290, Broker, Mirror)
		}
	}
}
