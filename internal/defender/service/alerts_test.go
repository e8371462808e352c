package service

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iot"
	"github.com/aws/aws-sdk-go-v2/service/iot/types"
	"github.com/google/go-cmp/cmp"

	"github.com/device-defender/device-defender/internal/defender/alert"
	"github.com/device-defender/device-defender/internal/defender/store"
)

const topic = "arn:aws:sns:eu-west-1:123456789012:alarms"

// allTopics allows every topic of tests.
var allTopics = alert.Topics{"arn:aws:sns:us-east-1:123456789012:*", topic}

// outboxed lists the alerts that wait, by target and in their order.
func (b *bench) outboxed() map[string][]string {
	b.t.Helper()
	all := map[string][]string{}
	ok(b, 0, b.read(b.t.Context(), func(view *store.Reader) error {
		for alert, err := range tableOutbox.Scan(view, store.Range{}) {
			if err != nil {
				return err
			}
			target, _ := splitOutboxKey(alert.Key)
			all[target] = append(all[target], eventOf(alert.Value.Message))
		}
		return nil
	}))
	return all
}

// eventOf is the thing and the event that an alert tells of.
func eventOf(message []byte) string {
	var m struct {
		Thing string `json:"thingName"`
		Type  string `json:"violationEventType"`
	}
	if err := json.Unmarshal(message, &m); err != nil {
		return err.Error()
	}
	return m.Thing + " " + m.Type
}

// withTopic is a profile whose alerts go to an SNS topic.
func withTopic(name string, behaviors ...types.Behavior) *iot.CreateSecurityProfileInput {
	in := profileOf(name, behaviors...)
	in.AlertTargets = map[string]types.AlertTarget{"SNS": {AlertTargetArn: aws.String(topic), RoleArn: aws.String(role)}}
	return in
}

func TestOutbox(t *testing.T) {
	b := newBench(t, Options{Topics: allTopics, Channels: webhook("http://127.0.0.1:1/hook")})
	suppressed := onlyPort(443)
	suppressed.Name, suppressed.SuppressAlerts = aws.String("Suppressed"), aws.Bool(true)
	b.attach(withTopic("WithTopic", onlyPort(443), suppressed))
	b.attach(profileOf("WithoutTopic", onlyPort(443)))
	b.reports("thing-1", ports(8080))
	b.after(time.Hour)
	b.reports("thing-1", ports(8080)) // the violation goes on: no alert
	b.after(time.Hour)
	b.reports("thing-1", ports(443))
	b.restart()
	want := map[string][]string{
		topic: {"thing-1 in-alarm", "thing-1 alarm-cleared"},
		hook:  {"thing-1 in-alarm", "thing-1 in-alarm", "thing-1 alarm-cleared", "thing-1 alarm-cleared"},
	}
	if diff := cmp.Diff(want, b.outboxed()); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

// The message is the one that was observed at an SNS topic of AWS's, but for
// names and numbers.
func TestAlertMessage(t *testing.T) {
	b := newBench(t, Options{Channels: webhook("http://127.0.0.1:1/hook")})
	behavior := atMost(10)
	behavior.Criteria.ConsecutiveDatapointsToAlarm, behavior.Criteria.ConsecutiveDatapointsToClear = aws.Int32(1), aws.Int32(1)
	b.attach(profileOf("MySecProfile", behavior))
	b.reports("dev-IZWB", packets(54))
	b.after(49 * time.Hour)
	ok(b, 0, b.advance(b.t.Context()))
	var got []map[string]any
	ok(b, 0, b.read(t.Context(), func(view *store.Reader) error {
		for alert, err := range tableOutbox.Scan(view, store.Range{}) {
			if err != nil {
				return err
			}
			var message map[string]any
			if err := json.Unmarshal(alert.Value.Message, &message); err != nil {
				return err
			}
			got = append(got, message)
		}
		return nil
	}))
	id := b.violationID()
	var want []map[string]any
	ok(b, 0, json.Unmarshal([]byte(`[
		{"violationEventTime":1795348800000,"thingName":"dev-IZWB","behavior":{"criteria":{"consecutiveDatapointsToClear":1,"value":{"count":10},"durationSeconds":300,"consecutiveDatapointsToAlarm":1,"comparisonOperator":"less-than-equals"},"name":"PacketsOut","metric":"aws:all-packets-out"},"violationEventType":"in-alarm","metricValue":{"count":54},"violationId":"`+id+`","securityProfileName":"MySecProfile"},
		{"violationEventTime":1795521600000,"thingName":"dev-IZWB","behavior":{"criteria":{"consecutiveDatapointsToClear":1,"value":{"count":10},"durationSeconds":300,"consecutiveDatapointsToAlarm":1,"comparisonOperator":"less-than-equals"},"name":"PacketsOut","metric":"aws:all-packets-out"},"violationEventType":"alarm-invalidated","violationId":"`+id+`","securityProfileName":"MySecProfile"}
	]`), &want))
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

// violationID is that of the latest event.
func (b *bench) violationID() string {
	b.t.Helper()
	out, err := b.client.ListViolationEvents(b.t.Context(), &iot.ListViolationEventsInput{StartTime: aws.Time(start), EndTime: aws.Time(start.AddDate(1, 0, 0))})
	return *ok(b, out, err).ViolationEvents[0].ViolationId
}

// transport answers requests without a network.
type transport func(*http.Request) (*http.Response, error)

func (f transport) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func answered(status int) (*http.Response, error) {
	return &http.Response{StatusCode: status, Status: http.StatusText(status), Body: http.NoBody, Header: http.Header{}}, nil
}

// outage is a service with alarms of two things to deliver.
func outage(t *testing.T) *Service {
	s := openService(t, Options{Channels: webhook("http://hook.example/alarms"), MinReportInterval: -1})
	put := func(b *batch) error {
		for _, thing := range []string{"thing-1", "thing-2"} {
			if err := b.enqueue(hook, fmt.Appendf(nil, `{"thingName":%q,"violationEventType":"in-alarm"}`, thing)); err != nil {
				return err
			}
		}
		return nil
	}
	if err := s.evaluate(t.Context(), s.operator, put); err != nil {
		t.Fatal(err)
	}
	return s
}

// A target that fails gets its alerts later, each once it works.
func TestDeliveryIsRetried(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := outage(t)
		ctx, cancel := context.WithCancel(t.Context())
		var delivered []string
		attempts := 0
		began := time.Now()
		c := s.newCourier(transport(func(r *http.Request) (*http.Response, error) {
			body, _ := io.ReadAll(r.Body)
			attempts++
			switch {
			case r.Method != http.MethodPost || r.Header.Get("Content-Type") != "application/json":
				t.Errorf("%s with %s", r.Method, r.Header.Get("Content-Type"))
			case attempts == 1:
				return nil, errors.New("connection refused")
			case attempts == 2:
				return answered(http.StatusInternalServerError)
			case attempts == 3:
				response, err := answered(http.StatusFound) // goes nowhere else
				response.Header.Set("Location", "http://elsewhere.example/")
				return response, err
			case time.Since(began) < time.Hour:
				return answered(http.StatusServiceUnavailable)
			}
			delivered = append(delivered, eventOf(body))
			if len(delivered) == 2 {
				cancel()
			}
			return answered(http.StatusNoContent)
		}))
		c.Run(ctx, s.outboxReady)
		slices.Sort(delivered) // they are of different violations
		if diff := cmp.Diff([]string{"thing-1 in-alarm", "thing-2 in-alarm"}, delivered); diff != "" {
			t.Errorf("-want +got:\n%s", diff)
		}
		// At five minutes and less between two attempts, an hour takes 12 or
		// more; growing from a second, not many more than twice that.
		if attempts < 12 || attempts > 40 {
			t.Errorf("%d attempts in an hour", attempts)
		}
		s.Close()
	})
}

// What can't be delivered for days is given up, and says so.
func TestDeliveryIsGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log strings.Builder
		s := outage(t)
		s.log = newTextLog(&log)
		ctx, cancel := context.WithTimeout(t.Context(), 4*24*time.Hour)
		defer cancel()
		s.newCourier(transport(func(*http.Request) (*http.Response, error) { return answered(http.StatusForbidden) })).Run(ctx, s.outboxReady)
		err := s.read(t.Context(), func(view *store.Reader) error {
			n, err := tableOutbox.count(view)
			if n != 0 {
				t.Errorf("%d are still in the outbox after four days", n)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		if n := strings.Count(log.String(), "alert given up"); n != 2 {
			t.Errorf("%d alerts were said to be given up, want 2", n)
		}
		s.Close()
	})
}

// An alert that is refused for what it is doesn't hold up the next.
func TestRefusedAlertIsGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := outage(t)
		ctx, cancel := context.WithCancel(t.Context())
		began := time.Now()
		s.newCourier(transport(func(r *http.Request) (*http.Response, error) {
			if body, _ := io.ReadAll(r.Body); eventOf(body) == "thing-1 in-alarm" {
				return answered(http.StatusRequestEntityTooLarge)
			}
			cancel()
			return answered(http.StatusOK)
		})).Run(ctx, s.outboxReady)
		if waited := time.Since(began); waited != 0 {
			t.Errorf("the second alert waited %v for the first", waited)
		}
		s.Close()
	})
}

// A webhook's path is its secret.
func TestWebhookIsNotLogged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log strings.Builder
		s := outage(t)
		s.log = newTextLog(&log)
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute) // of several attempts
		defer cancel()
		s.newCourier(transport(func(*http.Request) (*http.Response, error) {
			return nil, errors.New("connection refused")
		})).Run(ctx, s.outboxReady)
		if text := log.String(); !strings.Contains(text, "connection refused") || strings.Contains(text, "/alarms") {
			t.Errorf("log: %s", text)
		}
		s.Close()
	})
}

// A burst of alarms is delivered whole, whatever waits.
func TestBurstIsDelivered(t *testing.T) {
	const burst = 11_000
	var mu sync.Mutex
	got := map[string]bool{}
	all := make(chan bool)
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		mu.Lock()
		defer mu.Unlock()
		if got[eventOf(body)] = true; len(got) == burst {
			close(all)
		}
	}))
	defer server.Close()
	b := newBench(t, Options{Channels: webhook(server.URL)})
	ok(b, 0, b.evaluate(b.t.Context(), b.operator, func(alerts *batch) error {
		for i := range burst {
			if err := alerts.enqueue(hook, fmt.Appendf(nil, `{"thingName":"%d","violationId":"%d"}`, i, i)); err != nil {
				return err
			}
		}
		return nil
	}))
	if waiting := b.outboxed()[hook]; len(waiting) != burst {
		t.Errorf("%d alerts wait, want %d", len(waiting), burst)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- b.Run(ctx) }()
	<-all
	for waiting := newAlerts(b.Service); ; { // until the last is forgotten, too
		if targets, err := waiting.Targets(); len(ok(b, targets, err)) == 0 {
			break
		}
		runtime.Gosched()
	}
	cancel()
	ok(b, 0, <-ended)
}

// Run delivers to a topic through the real client, and to a webhook.
func TestRunDelivers(t *testing.T) {
	got := make(chan string, 10)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/hook" {
			body, _ := io.ReadAll(r.Body)
			got <- "webhook " + eventOf(body)
			return
		}
		// AWS's Query protocol.
		if err := r.ParseForm(); err != nil {
			t.Error(err)
		}
		got <- fmt.Sprintf("%s %s %s", r.Form.Get("Action"), r.Form.Get("TopicArn"), eventOf([]byte(r.Form.Get("Message"))))
		w.Header().Set("Content-Type", "text/xml")
		io.WriteString(w, `<PublishResponse xmlns="http://sns.amazonaws.com/doc/2010-03-31/"><PublishResult><MessageId>567910cd-659e-55d4-8ccb-5aaf14679dc0</MessageId></PublishResult><ResponseMetadata><RequestId>d74b8436-ae13-5ab4-a9ff-ce54dfea72a0</RequestId></ResponseMetadata></PublishResponse>`)
	}))
	defer server.Close()
	for name, value := range map[string]string{
		"AWS_ENDPOINT_URL_SNS": server.URL + "/sns", "AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test",
		"AWS_EC2_METADATA_DISABLED": "true", "AWS_CONFIG_FILE": "/dev/null", "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
	} {
		t.Setenv(name, value)
	}
	b := newBench(t, Options{Topics: allTopics, Channels: webhook(server.URL + "/hook")})
	b.attach(withTopic("Ports", onlyPort(443)))
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- b.Run(ctx) }()
	b.reports("thing-1", ports(8080))
	seen := map[string]bool{<-got: true, <-got: true}
	if diff := cmp.Diff(map[string]bool{"webhook thing-1 in-alarm": true, "Publish " + topic + " thing-1 in-alarm": true}, seen); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	// Tasks are carried out, too.
	_, err := b.client.CreateThing(t.Context(), &iot.CreateThingInput{ThingName: aws.String("thing-1")})
	ok(b, 0, err)
	_, err = b.client.CreateThingGroup(t.Context(), &iot.CreateThingGroupInput{ThingGroupName: aws.String("Quarantine")})
	ok(b, 0, err)
	b.createAction("Quarantine", groupParams("Quarantine"))
	ok(b, 0, b.startTask("task", types.DetectMitigationActionsTaskTarget{BehaviorName: aws.String("Ports")}, "Quarantine"))
	for b.task("task").TaskStatus == types.DetectMitigationActionsTaskStatusInProgress {
		runtime.Gosched()
	}
	b.wantTask("task", types.DetectMitigationActionsTaskStatusSuccessful, statistics(1, 0, 0))
	cancel()
	ok(b, 0, <-ended)
}

func TestWebhookIsChecked(t *testing.T) {
	for _, url := range []string{"ftp://127.0.0.1/", "127.0.0.1:9000", "http://", "file:///etc/passwd", "http://%zz"} {
		if s, err := Open(Options{Data: t.TempDir(), Channels: webhook(url)}); err == nil {
			t.Errorf("webhook %q is taken", url)
			s.Close()
		}
	}
}
