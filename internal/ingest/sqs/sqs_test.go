package sqs

import (
	"bytes"
	"context"
	"encoding/base64"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/device-defender/device-defender/internal/defender/detect"
	"github.com/device-defender/device-defender/internal/defender/report"
	"github.com/device-defender/device-defender/internal/ingest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const queueURL = "https://sqs.eu-central-1.amazonaws.com/123456789012/reports"

// taker is a service whose verdicts a test decides.
type taker struct {
	mu      sync.Mutex
	took    []string // thing and report, in order
	events  []detect.CloudEvent
	verdict func(thing string) report.Reply
	delay   time.Duration
}

func (s *taker) ReportObserved(_ context.Context, thing string, _ report.Format, payload []byte, observed time.Time) report.Reply {
	time.Sleep(s.delay)
	s.mu.Lock()
	defer s.mu.Unlock()
	reply := report.Reply{Status: report.Accepted}
	if s.verdict != nil {
		reply = s.verdict(thing)
	}
	if reply.Status == report.Accepted {
		s.took = append(s.took, fmt.Sprintf("%s %s %s", thing, payload, observed.UTC().Format("15:04:05")))
	}
	return reply
}

func (s *taker) Cloud(ev detect.CloudEvent) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.events = append(s.events, ev)
}

func (s *taker) set(verdict func(string) report.Reply) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.verdict = verdict
}

func (s *taker) taken() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.took)
}

// heard returns the cloud events by their things.
func (s *taker) heard() []detect.CloudEvent {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.SortedFunc(slices.Values(s.events), func(a, b detect.CloudEvent) int { return strings.Compare(a.Thing, b.Thing) })
}

// certificates are those that are registered, and their things.
type certificates map[string]string

func (c certificates) ThingOfCertificate(_ context.Context, id string) (string, error) {
	return c[id], nil
}

// message is one of our rule.
func message(thing, payload string, at time.Time) string {
	return fmt.Sprintf(`{"payload":%q,"thing":%q,"topic":%q,"principal":"cert-of-%s","timestamp":%d}`,
		base64.StdEncoding.EncodeToString([]byte(payload)), thing, thing, thing, at.UnixMilli())
}

// served runs a source while do does something.
func served(t *testing.T, q *queue, s *taker, do func(log func() string)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		var log bytes.Buffer
		logger := slog.New(slog.NewTextHandler(writerFunc(func(p []byte) (int, error) {
			mu.Lock()
			defer mu.Unlock()
			return log.Write(p)
		}), nil))
		rules := ingest.NewRules(ingest.New(s, logger), certificates{"cert-of-core-1": "core-1"})
		source, err := New(t.Context(), Options{URL: queueURL, Rules: rules, API: q, Log: logger})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error)
		go func() { ended <- source.Serve(ctx) }()
		do(func() string {
			mu.Lock()
			defer mu.Unlock()
			return log.String()
		})
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		if err := source.Close(); err != nil {
			t.Error(err)
		}
	})
}

type writerFunc func([]byte) (int, error)

func (w writerFunc) Write(p []byte) (int, error) { return w(p) }

// What is stored is deleted, with the time at which AWS IoT had it, each thing's in order.
func TestReportsAreTakenInOrder(t *testing.T) {
	q, s := newQueue(5), &taker{}
	served(t, q, s, func(func() string) {
		start := time.Now()
		var bodies, want []string
		for i := range 40 { // less than one window, in the wrong order
			for _, thing := range []string{"core-1", "core-2"} {
				bodies = append(bodies, message(thing, fmt.Sprint(39-i), start.Add(time.Duration(39-i)*5*time.Minute)))
			}
		}
		for i := range 40 {
			want = append(want, fmt.Sprintf("core-1 %d %s", i, start.Add(time.Duration(i)*5*time.Minute).UTC().Format("15:04:05")))
		}
		q.send(bodies...)
		time.Sleep(time.Second)
		var first []string
		for _, line := range s.taken() {
			if strings.HasPrefix(line, "core-1 ") {
				first = append(first, line)
			}
		}
		if !slices.Equal(first, want) {
			t.Errorf("%q, want %q", first, want)
		}
		if q.left() != 0 || len(s.taken()) != 80 {
			t.Errorf("%d left, %d taken", q.left(), len(s.taken()))
		}
	})
}

// A message that no service will take goes to the dead-letter queue, and costs its neighbours
// nothing. The reason is in the log, what is in it is not.
func TestPoison(t *testing.T) {
	q, s := newQueue(3), &taker{}
	s.set(func(thing string) report.Reply {
		if thing == "core-3" {
			return report.Reply{Status: report.Rejected, ErrorCode: "InvalidPayload", ErrorMessage: "Malformed metrics report"}
		}
		return report.Reply{Status: report.Accepted}
	})
	served(t, q, s, func(log func() string) {
		now := time.Now()
		impostor := strings.Replace(message("core-2", "secret", now), "cert-of-core-2", "cert-of-core-1", 1)
		q.send("secret", message("core-1", "1", now), impostor, message("core-3", "secret", now), message("core-2", "2", now))
		time.Sleep(time.Minute)
		if left, dead, _ := q.seen(); len(dead) != 3 || len(left) != 0 {
			t.Errorf("dead %q, %d left", dead, len(left))
		}
		if got := s.taken(); len(got) != 2 {
			t.Errorf("taken %q", got)
		}
		for _, want := range []string{"message is not JSON", "identity does not speak for the thing", "Malformed metrics report"} {
			if n := strings.Count(log(), want); n < 2 || n > 4 { // first and last, and what the intake says itself
				t.Errorf("log says %q %d times: %s", want, n, log())
			}
		}
		if strings.Contains(log(), "secret") {
			t.Error("the log has what is in a message")
		}
	})
}

// Without a dead-letter queue a message is kept, and is not received in a hurry.
func TestPoisonWithoutADeadLetterQueue(t *testing.T) {
	q, s := newQueue(0), &taker{}
	served(t, q, s, func(log func() string) {
		q.send("{}")
		time.Sleep(10 * time.Minute)
		if left, _, _ := q.seen(); len(left) != 1 || left[0].count < 5 || left[0].count > 11 {
			t.Errorf("%+v left", left)
		}
		if !strings.Contains(log(), "no dead-letter queue") {
			t.Error(log())
		}
	})
}

// While the service can't store anything, messages are kept, received once, and given to
// nobody else; nothing more than a window is received.
func TestStoreThatIsFull(t *testing.T) {
	q, s := newQueue(3), &taker{}
	s.set(func(string) report.Reply {
		return report.Reply{Status: report.Rejected, ErrorCode: "ServiceUnavailable"}
	})
	served(t, q, s, func(func() string) {
		for i := range 3 * window {
			q.send(message(fmt.Sprint("thing-", i), "x", time.Now()))
		}
		time.Sleep(2 * time.Hour)
		if left, dead, longest := q.seen(); len(left) != 3*window || longest > window || len(dead) > 0 {
			t.Fatalf("%d left, %d were hidden at once, %d are dead", len(left), longest, len(dead))
		}
		s.set(nil)
		time.Sleep(time.Minute)
		if q.left() != 0 || len(s.taken()) != 3*window {
			t.Errorf("%d left, %d taken", q.left(), len(s.taken()))
		}
		for i := range 3 {
			q.send(fmt.Sprint(i))
		}
	})
}

// What takes long is not received a second time.
func TestVisibilityIsExtended(t *testing.T) {
	q, s := newQueue(3), &taker{delay: 5 * time.Minute}
	served(t, q, s, func(func() string) {
		q.send(message("core-1", "1", time.Now()))
		time.Sleep(6 * time.Minute)
		if got := s.taken(); len(got) != 1 || q.left() != 0 {
			t.Errorf("%q, %d left", got, q.left())
		}
	})
}

// At the end a source goes on for five seconds with what it has received. What is being stored then is stored and
// deleted, and the rest is given back.
func TestCleanEnd(t *testing.T) {
	q, s := newQueue(9), &taker{delay: 8 * time.Second}
	served(t, q, s, func(func() string) {
		q.send(message("core-1", "1", time.Now()), message("core-1", "2", time.Now().Add(time.Minute)), message("core-2", "3", time.Now()))
		time.Sleep(time.Second) // both things' first ones are being stored
	})
	if got := s.taken(); len(got) != 2 || q.left() != 1 {
		t.Fatalf("%q, %d left", got, q.left())
	}
	if m := q.messages[0]; m.hidden.After(m.sent.Add(9 * time.Second)) {
		t.Errorf("hidden until %v after it was sent", m.hidden.Sub(m.sent))
	}
}

// What a service held when it was killed comes before what waits in the queue.
func TestAfterAServiceThatWasKilled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q, s := newQueue(9), &taker{}
		first := time.Now()
		q.send(message("core-1", "1", first), message("core-1", "2", first.Add(time.Minute)))
		if _, err := q.take(1); err != nil { // which has it for 30 seconds
			t.Fatal(err)
		}
		source, err := New(t.Context(), Options{URL: queueURL, Rules: ingest.NewRules(ingest.New(s, slog.New(slog.DiscardHandler)), certificates{}), API: q})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error)
		go func() { ended <- source.Serve(ctx) }()
		time.Sleep(time.Hour)
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		want := []string{"core-1 1 " + first.UTC().Format("15:04:05"), "core-1 2 " + first.Add(time.Minute).UTC().Format("15:04:05")}
		if got := s.taken(); !slices.Equal(got, want) {
			t.Errorf("taken: %q, want %q", got, want)
		}
	})
}

// An outage of SQS is said once, and when it is over.
func TestQueueThatIsGone(t *testing.T) {
	q, s := newQueue(3), &taker{}
	q.setDown(true)
	served(t, q, s, func(log func() string) {
		time.Sleep(time.Hour)
		q.setDown(false)
		q.send(message("core-1", "1", time.Now()))
		time.Sleep(time.Minute)
		if len(s.taken()) != 1 || strings.Count(log(), "nothing can be received") != 1 || strings.Count(log(), "received from again") != 1 {
			t.Errorf("%q: %s", s.taken(), log())
		}
	})
}

// Lifecycle events count once. A registered certificate says whose they are.
func TestLifecycleEvents(t *testing.T) {
	q, s := newQueue(3), &taker{}
	served(t, q, s, func(func() string) {
		at := time.Now().UnixMilli()
		connected := fmt.Sprintf(`{"clientId":"any-id","timestamp":%d,"eventType":"connected","sessionIdentifier":"a","principalIdentifier":"cert-of-core-1","ipAddress":"192.0.2.7","versionNumber":0}`, at)
		q.send(connected, connected, strings.NewReplacer(`"connected"`, `"disconnected"`, "any-id", "core-9", "cert-of-core-1", "other").Replace(connected))
		time.Sleep(time.Second)
		events := s.heard()
		if len(events) != 2 || events[0].Thing != "core-1" || events[0].Type != detect.Connect || events[0].SourceIP.String() != "192.0.2.7" ||
			events[1].Thing != "core-9" || events[1].Type != detect.Disconnect || !events[1].Time.Equal(time.UnixMilli(at)) {
			t.Errorf("%+v", events)
		}
		if q.left() != 0 {
			t.Errorf("%d left", q.left())
		}
	})
}

func TestCheckURL(t *testing.T) {
	for text, want := range map[string]bool{
		queueURL: true, "http://127.0.0.1:5000/123456789012/q": true, "http://localhost:4566/000000000000/q": true,
		"": false, "q": false, "arn:aws:sqs:us-east-1:123456789012:q": false, "https://sqs.eu-central-1.amazonaws.com/": false,
		"http://sqs.eu-central-1.amazonaws.com/123456789012/q": false, "ftp://a/b": false,
	} {
		if err := CheckURL(text); (err == nil) != want {
			t.Errorf("%q: %v", text, err)
		}
	}
	for host, want := range map[string]string{
		"sqs.eu-central-1.amazonaws.com": "eu-central-1", "sqs.cn-north-1.amazonaws.com.cn": "cn-north-1", "eu-west-1.queue.amazonaws.com": "eu-west-1",
		"sqs-fips.us-gov-west-1.amazonaws.com": "us-gov-west-1", "vpce-1-2.sqs.us-east-1.vpce.amazonaws.com": "us-east-1", "sqs.example": "", "127.0.0.1": "",
	} {
		if got := regionOf(host); got != want {
			t.Errorf("%s: %q", host, got)
		}
	}
}

func TestMaxReceiveCount(t *testing.T) {
	for policy, want := range map[string]int{`{"maxReceiveCount":5}`: 5, `{"maxReceiveCount":"7"}`: 7, ``: 0, `{}`: 0, `{"maxReceiveCount":-1}`: 0, `{"maxReceiveCount":"x"}`: 0} {
		if got := maxReceiveCount(policy); got != want {
			t.Errorf("%s: %d", policy, got)
		}
	}
}
