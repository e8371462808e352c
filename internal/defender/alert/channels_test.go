package alert

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/device-defender/device-defender/internal/defender/outbox"
)

var update = flag.Bool("update", false, "write the golden files again")

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// ofPort is an alert of a thing that listens on a port, as a service stores it.
func ofPort(thing, event, id string) outbox.Alert {
	value := `"metricValue":{"ports":[22,443,8080]},`
	if event == "alarm-invalidated" {
		value = ""
	}
	return outbox.Alert{Violation: id, Message: []byte(`{"violationEventTime":1795348800123,"thingName":"` + thing + `","behavior":{"name":"TcpPortsNeverOpen","metric":"aws:listening-tcp-ports",` +
		`"criteria":{"comparisonOperator":"not-in-port-set","value":{"ports":[22,8080]}}},"violationEventType":"` + event + `",` + value + `"violationId":"` + id + `","securityProfileName":"OpenPorts"}`)}
}

const statistical = `{"violationEventTime":1795348800000,"thingName":"gateway-2","behavior":{"name":"<!channel> [x](http://evil.example)\u202e","metric":"aws:all-packets-out",` +
	`"criteria":{"comparisonOperator":"less-than-equals","statisticalThreshold":{"statistic":"p99.99"},"durationSeconds":300}},"violationEventType":"in-alarm","metricValue":{"count":10761},"violationId":"9f","securityProfileName":"Data&<Exfiltration>"}`

// burst is of n things, one of which had two violations.
func burst(n int) []outbox.Alert {
	alerts := []outbox.Alert{ofPort("gateway-1", "in-alarm", "00000000000000000000000000000001")}
	for i := 2; i <= n; i++ {
		alerts = append(alerts, ofPort(fmt.Sprint("gateway-", i), "in-alarm", fmt.Sprintf("%032x", i)))
	}
	if n > 1 {
		alerts = append(alerts, ofPort("gateway-1", "in-alarm", "ffffffffffffffffffffffffffffffff"))
	}
	return alerts
}

// inbox is a receiver that keeps what it got.
type inbox struct {
	*httptest.Server
	header []http.Header
	body   [][]byte
	answer int
}

func newInbox(t *testing.T) *inbox {
	t.Helper()
	in := &inbox{answer: http.StatusOK}
	in.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil || r.Method != http.MethodPost || r.Header.Get("Content-Type") != "application/json" {
			t.Errorf("%s with %s, %v", r.Method, r.Header.Get("Content-Type"), err)
		}
		in.header, in.body = append(in.header, r.Header), append(in.body, body)
		w.WriteHeader(in.answer)
	}))
	t.Cleanup(in.Close)
	return in
}

// sender sends to channels that all are at one receiver.
func sender(t *testing.T, channels ...Channel) *Sender {
	t.Helper()
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	for i := range channels {
		if err := channels[i].Check(); err != nil {
			t.Fatal(err)
		}
	}
	return NewSender(channels, transport)
}

// What each type of channel posts is in testdata, one file each.
func TestWhatIsPosted(t *testing.T) {
	one, ended, invalid := burst(1), []outbox.Alert{ofPort("gateway-a", "alarm-cleared", "01")}, []outbox.Alert{ofPort("gateway-a", "alarm-invalidated", "01")}
	odd := []outbox.Alert{{Message: []byte(statistical)}}
	for _, test := range []struct {
		name   string
		kind   Type
		alerts []outbox.Alert
	}{
		{"webhook", Webhook, one},
		{"slack", Slack, one}, {"slack-group", Slack, burst(63)}, {"slack-cleared", Slack, ended}, {"slack-odd", Slack, odd},
		{"teams", Teams, one}, {"teams-group", Teams, burst(3)}, {"teams-invalidated", Teams, invalid}, {"teams-odd", Teams, odd},
		{"pagerduty", PagerDuty, one}, {"pagerduty-cleared", PagerDuty, ended}, {"pagerduty-odd", PagerDuty, odd},
		{"ocsf", OCSF, one}, {"ocsf-cleared", OCSF, ended}, {"ocsf-odd", OCSF, odd},
	} {
		t.Run(test.name, func(t *testing.T) {
			in := newInbox(t)
			c := Defaults("c", test.kind)
			c.URL, c.Key = in.URL, "0123456789abcdef0123456789abcdef"
			if test.kind == PagerDuty || test.kind == OCSF {
				c.Severity = "high"
			}
			if err := sender(t, c).Send(t.Context(), "c", test.alerts); err != nil {
				t.Fatal(err)
			}
			if len(in.body) != 1 {
				t.Fatalf("%d messages", len(in.body))
			}
			var got bytes.Buffer
			if err := json.Indent(&got, in.body[0], "", "  "); err != nil {
				t.Fatal(err)
			}
			got.WriteByte('\n')
			golden := filepath.Join("testdata", test.name+".json")
			if *update {
				if err := os.WriteFile(golden, got.Bytes(), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), got.String()); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

// An id is the same in every try, and another for another message or channel. The
// channel's headers are sent as well.
func TestPostedHeaders(t *testing.T) {
	in := newInbox(t)
	of := func(name string) Channel {
		return Channel{Name: name, Type: Webhook, URL: in.URL, Secret: "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", Headers: map[string]string{"Authorization": "Bearer x"}}
	}
	s := sender(t, of("a"), of("b"))
	for _, send := range []struct {
		channel string
		alerts  []outbox.Alert
	}{{"a", burst(1)}, {"a", burst(1)}, {"b", burst(1)}, {"a", []outbox.Alert{ofPort("x", "in-alarm", "1")}}} {
		if err := s.Send(t.Context(), send.channel, send.alerts); err != nil {
			t.Fatal(err)
		}
	}
	var ids []string
	for _, h := range in.header {
		ids = append(ids, h.Get("webhook-id"))
		if h.Get("Authorization") != "Bearer x" || !strings.HasPrefix(h.Get("webhook-signature"), "v1,") || h.Get("webhook-timestamp") == "" {
			t.Errorf("%v", h)
		}
	}
	if ids[0] != ids[1] || ids[0] == ids[2] || ids[0] == ids[3] {
		t.Errorf("ids %q", ids)
	}
}

// Alerts of one behavior and event are one group, in channels that people read.
func TestGroups(t *testing.T) {
	s := sender(t, Channel{Name: "team", Type: Slack, URL: "http://127.0.0.1:1/", Group: time.Minute}, PlainWebhook("http://127.0.0.1:1/"))
	key := func(target string, a outbox.Alert) string {
		key, hold := s.Group(target, a)
		if target == "team" != (hold == time.Minute) {
			t.Errorf("%s is held for %v", target, hold)
		}
		return key
	}
	first := key("team", ofPort("a", "in-alarm", "1"))
	if key("team", ofPort("b", "in-alarm", "2")) != first || key("team", ofPort("b", "alarm-cleared", "2")) == first || key("team", outbox.Alert{Message: []byte(statistical)}) == first {
		t.Error("groups")
	}
	key("webhook", ofPort("a", "in-alarm", "1"))
	key(topic, ofPort("a", "in-alarm", "1"))
	if Defaults("x", Slack).Group != 30*time.Second || Defaults("x", PagerDuty).Group != 0 {
		t.Error("defaults")
	}
}

// A test says that it is one, wherever a person looks, and leaves nothing open.
func TestTestAlert(t *testing.T) {
	for _, kind := range []Type{Webhook, Slack, Teams, PagerDuty, OCSF} {
		in := newInbox(t)
		c := Defaults("ops", kind)
		c.URL, c.Key = in.URL, strings.Repeat("0", 32)
		s := sender(t, c)
		answer, err := s.Test(t.Context(), "ops", time.Now())
		if err != nil || answer != "200 OK" {
			t.Errorf("%s: %q, %v", kind, answer, err)
		}
		if first := string(in.body[0]); !strings.Contains(first, "TestBehavior") || kind != Webhook && !strings.Contains(first, "Test: test-thing is in alarm") || kind == Webhook && !strings.Contains(first, `"test":true`) {
			t.Errorf("%s: %s", kind, first)
		}
		if kind == PagerDuty && (len(in.body) != 2 || !strings.Contains(string(in.body[1]), `"resolve"`)) {
			t.Errorf("%s: %q", kind, in.body)
		}
		in.answer = http.StatusForbidden
		if answer, err := s.Test(t.Context(), "ops", time.Now()); err == nil || answer != "403 Forbidden" {
			t.Errorf("%s: %q, %v", kind, answer, err)
		}
	}
	if _, err := sender(t).Test(t.Context(), "none", time.Now()); err == nil {
		t.Error("no error")
	}
}
