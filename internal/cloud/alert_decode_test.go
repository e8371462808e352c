package cloud

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/device-defender/device-defender/internal/defender/finding"
	"github.com/device-defender/device-defender/internal/defender/profile"
)

// seenAlert is an alert as a workshop published it (reisjr/aws-iot-dd-labcode).
const seenAlert = `{"violationEventTime":1573786800000,"thingName":"dev-IZWB","behavior":{"criteria":{"consecutiveDatapointsToClear":1,"value":{"count":10},"durationSeconds":300,"consecutiveDatapointsToAlarm":1,"comparisonOperator":"less-than"},"name":"MessagesPub","metric":"aws:num-messages-sent"},"violationEventType":"in-alarm","metricValue":{"count":54},"violationId":"37e18651d207bbc74236c13faf146127","securityProfileName":"MySecProfile"}`

// jsonString is a text as a JSON string.
func jsonString(text string) string {
	b, err := json.Marshal(text)
	if err != nil {
		panic(err)
	}
	return string(b)
}

// notification is what SNS posts to an HTTP endpoint, and puts into a queue.
func notification(message string) string {
	return `{"Type":"Notification","MessageId":"1","TopicArn":"arn:aws:sns:us-east-1:123456789012:t","Subject":null,"Message":` + jsonString(message) + `,"Timestamp":"2019-11-15T03:00:00.000Z","SignatureVersion":"1","Signature":"x","SigningCertURL":"https://sns","UnsubscribeURL":"https://sns"}`
}

// lambdaEvent is what a function behind a topic gets.
func lambdaEvent(message string) string {
	return `{"Records":[{"EventSource":"aws:sns","EventVersion":"1.0","EventSubscriptionArn":"arn","Sns":{"Type":"Notification","MessageId":"1","Subject":null,"Message":` + jsonString(message) + `,"MessageAttributes":{}}}]}`
}

func TestDecodeAlerts(t *testing.T) {
	want := Alert{
		ViolationID: "37e18651d207bbc74236c13faf146127", Thing: "dev-IZWB", Profile: "MySecProfile", Type: finding.InAlarm,
		Behavior: profile.Behavior{Name: "MessagesPub", Metric: "aws:num-messages-sent", Criteria: &profile.Criteria{
			ComparisonOperator: profile.LessThan, Value: &profile.Value{Count: new(int64(10))}, DurationSeconds: new(int32(300)),
			ConsecutiveDatapointsToAlarm: new(int32(1)), ConsecutiveDatapointsToClear: new(int32(1)),
		}},
		Value: &profile.Value{Count: new(int64(54))},
		Time:  time.Date(2019, 11, 15, 3, 0, 0, 0, time.UTC),
	}
	tests := []struct {
		name, data string
		count      int
	}{
		{"as written", seenAlert, 1},
		{"SNS by HTTP", notification(seenAlert), 1},
		{"Lambda behind a topic", lambdaEvent(seenAlert), 1},
		{"Lambda behind a queue", `{"Records":[{"messageId":"1","body":` + jsonString(notification(seenAlert)) + `,"eventSource":"aws:sqs"},{"messageId":"2","body":` + jsonString(seenAlert) + `}]}`, 2},
		{"SQS ReceiveMessage", `{"Messages":[{"MessageId":"1","ReceiptHandle":"r","Body":` + jsonString(notification(seenAlert)) + `}]}`, 1},
		{"one SQS message, raw", `{"MessageId":"1","Body":` + jsonString(seenAlert) + `}`, 1},
		{"several", seenAlert + "\n" + notification(seenAlert), 2},
		{"a string", jsonString(seenAlert), 1},
		{"a list", "\ufeff[" + seenAlert + "," + notification(seenAlert) + "]", 2},
	}
	for _, test := range tests {
		got, err := DecodeAlerts([]byte(test.data))
		if err != nil || len(got) != test.count {
			t.Errorf("%s: %d alerts, %v", test.name, len(got), err)
			continue
		}
		for _, a := range got {
			if diff := cmp.Diff(want, a); diff != "" {
				t.Errorf("%s: %s", test.name, diff)
			}
		}
	}
}

func TestDecodeInvalidated(t *testing.T) {
	got, err := DecodeAlerts([]byte(`{"violationEventTime":1573786800.25,"thingName":"d","behavior":{"name":"B","metric":"aws:all-bytes-out"},
		"violationEventType":"alarm-invalidated","violationId":"1","securityProfileName":"P","verificationState":"FALSE_POSITIVE","somethingNew":{}}`))
	if err != nil {
		t.Fatal(err)
	}
	a := got[0]
	if a.Value != nil || a.Type != finding.AlarmInvalidated || a.Verification != "FALSE_POSITIVE" {
		t.Errorf("%+v", a)
	}
	if want := time.Date(2019, 11, 15, 3, 0, 0, 250e6, time.UTC); !a.Time.Equal(want) {
		t.Errorf("time in seconds: %v, want %v", a.Time, want)
	}
}

// TestDecodeEmail: SNS puts a footer below each message that it sends by e-mail.
func TestDecodeEmail(t *testing.T) {
	email, err := os.ReadFile("testdata/alert-email.txt")
	if err != nil {
		t.Fatal(err)
	}
	for name, data := range map[string][]byte{
		"as it is":            email,
		"two":                 slices.Concat(email, email),
		"line ends of a mail": bytes.ReplaceAll(email, []byte("\n"), []byte("\r\n")),
		"as JSON":             []byte(notification(seenAlert) + "\n\n-- \nPlease do not reply.\n"),
	} {
		alerts, err := DecodeAlerts(data)
		if want := max(1, bytes.Count(data, []byte("MessagesPub"))); err != nil || len(alerts) != want {
			t.Errorf("%s: %d alerts, want %d, error %v", name, len(alerts), want, err)
			continue
		}
		if a := alerts[0]; a.Behavior.Name != "MessagesPub" || *a.Value.Count != 54 {
			t.Errorf("%s: %+v", name, a)
		}
	}
}

func TestDecodeWhatIsNoAlert(t *testing.T) {
	deep := seenAlert
	for range 10 {
		deep = notification(deep)
	}
	for _, data := range []string{
		"", " ", "--\nfooter", "null", "{}", "[]", "1", `"text"`, "{", seenAlert + "x", `{"Message":"not JSON"}`, `{"Message":null}`, `{"Records":[{}]}`,
		`{"Type":"SubscriptionConfirmation","Message":"You have chosen to subscribe"}`, deep,
		strings.Replace(seenAlert, "1573786800000", "-1", 1), strings.Replace(seenAlert, "1573786800000", "1e300", 1),
		strings.Replace(seenAlert, `"behavior":{`, `"behaviour":{`, 1),
	} {
		if got, err := DecodeAlerts([]byte(data)); err == nil {
			t.Errorf("%.80s: %+v", data, got)
		}
	}
	for data, message := range map[string]string{
		"{}": "violationId", "1": "not a JSON object", `{"violationId":5}`: "violationId is a number",
		`{"Type":"SubscriptionConfirmation","Message":"You have chosen","SubscribeURL":"https://x"}`: "confirmed",
	} {
		if _, err := DecodeAlerts([]byte(data)); !errors.Is(err, ErrNoAlert) || !strings.Contains(err.Error(), message) {
			t.Errorf("%s: %v", data, err)
		}
	}
}

func FuzzDecodeAlerts(f *testing.F) {
	for _, s := range []string{
		seenAlert, notification(seenAlert), lambdaEvent(seenAlert), seenAlert + "\n\n--\nunsubscribe\n" + seenAlert, `{"Messages":[{"Body":"{}"}]}`, `{"Records":[{"Sns":{"Sns":{"Message":"x"}}}]}`, "[[", "null",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		alerts, err := DecodeAlerts(data)
		if (err == nil) != (len(alerts) > 0) {
			t.Errorf("%d alerts, %v", len(alerts), err)
		}
		for _, a := range alerts {
			if a.ViolationID == "" || a.Type == "" || a.Time.Year() > 5200 {
				t.Errorf("%+v", a)
			}
		}
	})
}
