package cloud

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/device-defender/device-defender/internal/defender/profile"
)

// Alert is what Detect sends to an alert target.
type Alert struct {
	ViolationID  string
	Thing        string
	Profile      string
	Behavior     profile.Behavior
	Type         string         // finding.InAlarm, finding.AlarmCleared or finding.AlarmInvalidated
	Value        *profile.Value // nil in finding.AlarmInvalidated
	Time         time.Time
	Verification string // newer messages carry it; may be empty
}

// alertMessage is the alert as it's written. AWS documents it nowhere; this is
// what has been seen.
type alertMessage struct {
	ViolationID       string            `json:"violationId"`
	ThingName         string            `json:"thingName"`
	SecurityProfile   string            `json:"securityProfileName"`
	Behavior          *profile.Behavior `json:"behavior"`
	EventType         string            `json:"violationEventType"`
	MetricValue       *profile.Value    `json:"metricValue"`
	EventTime         json.Number       `json:"violationEventTime"`
	VerificationState string            `json:"verificationState"`
}

// wrapping are the messages that an alert comes in: a notification of SNS by
// HTTP or in a queue, the event of a Lambda function behind a topic or a queue,
// and the answer of SQS ReceiveMessage. The alert is a string in them. A list of
// any is one as well.
type wrapping struct {
	Message json.RawMessage `json:"Message"` // Type: Notification
	Body    json.RawMessage `json:"Body"`    // SQS; encoding/json takes body as well
	Sns     *wrapping       `json:"Sns"`     // of one of Records

	SubscribeURL string `json:"SubscribeURL"` // Type: SubscriptionConfirmation

	Records  []json.RawMessage `json:"Records"`
	Messages []json.RawMessage `json:"Messages"`
}

// Limits of what is decoded: an SNS or SQS message has at most 256 KB, and a
// batch at most ten of SQS's; Lambda's events have at most 6 MB.
const (
	MaxAlerts   = 6 << 20
	maxWrapping = 8
)

// ErrNoAlert says that a message is none of Detect's.
var ErrNoAlert = errors.New("not an alert of Device Defender Detect")

// DecodeAlerts reads alerts: as Detect writes them, or as they come from SNS,
// Lambda or SQS. The data are one such message or several, one after another,
// each with the footer that SNS puts below it in an e-mail, or without.
func DecodeAlerts(data []byte) ([]Alert, error) {
	var alerts []Alert
	documents := json.NewDecoder(bytes.NewReader(withoutFooters(bytes.TrimPrefix(data, []byte("\ufeff")))))
	for n := 1; ; n++ {
		var document json.RawMessage
		if err := documents.Decode(&document); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return nil, fmt.Errorf("message %d is not JSON: %w", n, err)
		}
		found, err := unwrap(document, maxWrapping)
		if err != nil {
			return nil, fmt.Errorf("message %d: %w", n, err)
		}
		alerts = append(alerts, found...)
	}
	if len(alerts) == 0 {
		return nil, fmt.Errorf("%w: it is empty", ErrNoAlert)
	}
	return alerts, nil
}

// withoutFooters leaves out what SNS writes below the message of an e-mail: a
// line of two dashes, and how to unsubscribe.
func withoutFooters(data []byte) []byte {
	kept := make([]byte, 0, len(data))
	footer := false
	for line := range bytes.Lines(data) {
		text := bytes.TrimSpace(line)
		begins := len(text) > 0 && (text[0] == '{' || text[0] == '[') // the next message
		if footer = string(text) == "--" || footer && !begins; !footer {
			kept = append(kept, line...)
		}
	}
	return kept
}

// unwrap returns the alerts in a document, through at most so many wrappings.
func unwrap(document []byte, depth int) ([]Alert, error) {
	var text string
	if json.Unmarshal(document, &text) == nil {
		document = []byte(text)
	}
	if depth == 0 {
		return nil, fmt.Errorf("%w: messages in messages", ErrNoAlert)
	}
	var w wrapping
	var inner []json.RawMessage
	if json.Unmarshal(document, &inner) != nil {
		if err := json.Unmarshal(document, &w); err != nil {
			return nil, fmt.Errorf("%w: it is not a JSON object that has one", ErrNoAlert)
		}
	}
	switch {
	case inner != nil:
	case w.SubscribeURL != "":
		return nil, fmt.Errorf("%w: SNS asks for the subscription to be confirmed", ErrNoAlert)
	case w.Sns != nil:
		inner = append(inner, w.Sns.Message)
	case w.Message != nil:
		inner = append(inner, w.Message)
	case w.Body != nil:
		inner = append(inner, w.Body)
	case w.Records != nil:
		inner = w.Records
	case w.Messages != nil:
		inner = w.Messages
	default:
		alert, err := decodeAlert(document)
		if err != nil {
			return nil, err
		}
		return []Alert{alert}, nil
	}
	var alerts []Alert
	for _, d := range inner {
		found, err := unwrap(d, depth-1)
		if err != nil {
			return nil, err
		}
		alerts = append(alerts, found...)
	}
	return alerts, nil
}

func decodeAlert(document []byte) (Alert, error) {
	var m alertMessage
	if err := json.Unmarshal(document, &m); err != nil {
		if mismatch, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
			return Alert{}, fmt.Errorf("%w: %s is a %s", ErrNoAlert, mismatch.Field, mismatch.Value)
		}
		return Alert{}, fmt.Errorf("%w: %w", ErrNoAlert, err)
	}
	if m.ViolationID == "" || m.EventType == "" || m.Behavior == nil {
		return Alert{}, fmt.Errorf("%w: it has no violationId, violationEventType or behavior", ErrNoAlert)
	}
	at, err := alertTime(m.EventTime)
	if err != nil {
		return Alert{}, err
	}
	return Alert{
		ViolationID: m.ViolationID, Thing: m.ThingName, Profile: m.SecurityProfile, Behavior: *m.Behavior,
		Type: m.EventType, Value: m.MetricValue, Time: at, Verification: m.VerificationState,
	}, nil
}

// alertTime reads violationEventTime. It is in milliseconds in an alert, though
// in seconds in the API; whoever relays an event of the API as an alert may
// leave the seconds, which as milliseconds would be early in 1970.
func alertTime(n json.Number) (time.Time, error) {
	if n == "" {
		return time.Time{}, nil
	}
	v, err := n.Float64()
	if err != nil || v < 0 || v > 1e14 {
		return time.Time{}, fmt.Errorf("%w: violationEventTime %s", ErrNoAlert, n)
	}
	if v < 1e11 {
		v *= 1000
	}
	return time.UnixMilli(int64(v)).UTC(), nil
}
