package iotrule

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/device-defender/device-defender/internal/defender/detect"
	"github.com/device-defender/device-defender/internal/defender/report"
)

// MaxMessage is the largest message that is read: the most that a queue of SQS takes.
const MaxMessage = 1 << 20

// Message is what a rule handed over: a report, or a lifecycle event.
type Message struct {
	Thing     string
	Principal string    // id of the certificate that published it; "" is unknown
	Time      time.Time // when AWS IoT had it; zero is unknown
	// Payload is a report, in the format of its topic, or else in the one that it looks like.
	Payload []byte
	Format  report.Format
	// Event is set for a lifecycle event instead.
	Event *Event
}

// Event is a lifecycle event: a client of AWS IoT connected, was refused, or is gone.
type Event struct {
	Type    detect.CloudEventType
	Client  string
	Address netip.Addr
	// Session and Version tell sessions of one client apart. A later session has a greater
	// version.
	Session string
	Version int64
}

// ErrIgnored is of messages that are right and of no interest, such as a
// client's subscription.
var ErrIgnored = errors.New("nothing to take")

// Parse reads a message as a rule hands it over, or as SNS does for one.
func Parse(data []byte) (*Message, error) {
	if len(data) > MaxMessage {
		return nil, fmt.Errorf("message of %d bytes, want at most %d", len(data), MaxMessage)
	}
	in, err := readMembers(data)
	if err != nil {
		return nil, err
	}
	var published time.Time
	// What SNS puts around a message, unless it delivers it raw.
	if in.text("Type") == "Notification" && in["Message"] != nil {
		published, _ = time.Parse(time.RFC3339Nano, in.text("Timestamp")) // zero is unknown
		data = []byte(in.text("Message"))
		if in, err = readMembers(data); err != nil {
			return nil, err
		}
	}
	m, err := in.message(data)
	if err != nil {
		return nil, err
	}
	if m.Time.IsZero() {
		m.Time = published
	}
	return m, nil
}

// message reads what a rule made. One that selects * puts what a device wrote beside
// what it says itself: so what names a thing is a report, whatever else it has.
func (in members) message(data []byte) (*Message, error) {
	if in["eventType"] != nil && in["thing"] == nil && in["payload"] == nil {
		return in.event()
	}
	return in.report(data)
}

// eventTypes are those of lifecycle events, and what they mean.
var eventTypes = map[string]detect.CloudEventType{
	"connected": detect.Connect, "disconnected": detect.Disconnect,
	"connect_failed": detect.AuthorizationFailure,
	"subscribed":     0, "unsubscribed": 0,
}

// event reads a lifecycle event.
func (in members) event() (*Message, error) {
	name, client := in.text("eventType"), in.text("clientId")
	kind, known := eventTypes[name]
	switch topic := in.text("topic"); {
	case !known:
		return nil, fmt.Errorf("event %.64q is unknown", name)
	case kind == 0:
		return nil, fmt.Errorf("%w: event %q", ErrIgnored, name)
	case topic != "" && topic != PresenceTopic+name+"/"+client:
		return nil, fmt.Errorf("event %s of client %.128q on topic %.256q", name, client, topic)
	}
	at, err := in.milliseconds("timestamp")
	if err != nil {
		return nil, err
	}
	// A core's client id is its name; one with a # behind it is a further connection.
	thing, _, _ := strings.Cut(client, "#")
	if exclusive := in.text("thingName"); exclusive != "" {
		thing = exclusive
	}
	if err := report.CheckThingName(thing); err != nil {
		return nil, fmt.Errorf("event %s: %w", name, err)
	}
	ev := &Event{Type: kind, Client: client, Session: in.text("sessionIdentifier")}
	ev.Version, _ = strconv.ParseInt(string(in["versionNumber"]), 10, 64) // 0 is unknown
	if address, err := netip.ParseAddr(in.text("ipAddress")); err == nil {
		ev.Address = address.WithZone("").Unmap()
	}
	return &Message{Thing: thing, Principal: in.text("principalIdentifier"), Time: at, Event: ev}, nil
}

// report reads a report.
func (in members) report(data []byte) (*Message, error) {
	m := &Message{Thing: in.text("thing"), Principal: in.text("principal")}
	var err error
	if m.Time, err = in.milliseconds("timestamp"); err == nil && m.Time.IsZero() {
		m.Time, err = in.milliseconds("received")
	}
	if err != nil {
		return nil, err
	}
	topic := in.text("topic")
	if m.Thing, err = thingOf(m.Thing, topic); err != nil {
		return nil, err
	}
	switch payload := in["payload"]; {
	case len(payload) > 0 && payload[0] == '"':
		if m.Payload, err = base64.StdEncoding.DecodeString(in.text("payload")); err != nil {
			return nil, fmt.Errorf("payload is not in base64: %w", err)
		}
	case len(payload) > 0 && payload[0] == '{':
		m.Payload = payload
	case payload == nil && (in["header"] != nil || in["hed"] != nil):
		m.Payload = data // what the rule added is ignored, as any member that a report does not have
	default:
		return nil, errors.New("message has no payload")
	}
	m.Format = formatOf(topic, m.Payload)
	return m, nil
}

// thingOf returns the thing of a message, which has to be a level of its topic.
func thingOf(thing, topic string) (string, error) {
	if named, _, ok := report.ParseTopic(topic); ok {
		if thing != "" && thing != named {
			return "", fmt.Errorf("topic %.256q is not of thing %.128q", topic, thing)
		}
		thing = named
	} else if topic != "" {
		levels := strings.Split(topic, "/")
		if thing == "" {
			thing = levels[0]
		}
		if !slices.Contains(levels, thing) {
			return "", fmt.Errorf("topic %.256q is not of thing %.128q", topic, thing)
		}
	}
	return thing, report.CheckThingName(thing)
}

// formatOf returns the format that the topic tells in its last level, or else the one that the
// payload looks like.
func formatOf(topic string, payload []byte) report.Format {
	if _, last, ok := strings.Cut(topic, "/"); ok {
		if format, err := report.ParseFormat(last[strings.LastIndex(last, "/")+1:]); err == nil {
			return format
		}
	}
	if text := bytes.TrimLeft(payload, " \t\r\n"); len(text) > 0 && text[0] == '{' {
		return report.JSON
	}
	return report.CBOR
}

// members are those of a JSON object, by their names as they are written.
type members map[string]json.RawMessage

// readMembers reads an object. Unlike encoding/json it refuses a name that stands there
// twice: of two things in one message neither is the right one.
func readMembers(data []byte) (members, error) {
	if !json.Valid(data) {
		return nil, errors.New("message is not JSON")
	}
	d := json.NewDecoder(bytes.NewReader(data))
	if start, err := d.Token(); err != nil || start != json.Delim('{') {
		return nil, errors.New("message is not a JSON object")
	}
	in := members{}
	for d.More() {
		name, err := d.Token()
		if err != nil {
			return nil, fmt.Errorf("reading the message: %w", err)
		}
		key, _ := name.(string)
		var value json.RawMessage
		if err := d.Decode(&value); err != nil {
			return nil, fmt.Errorf("reading the message: %w", err)
		}
		if _, twice := in[key]; twice {
			return nil, fmt.Errorf("member %.64q is there twice", key)
		}
		in[key] = value
	}
	return in, nil
}

// text returns a member that is a string; "" if it is not.
func (in members) text(name string) string {
	var text string
	if json.Unmarshal(in[name], &text) != nil {
		return ""
	}
	return text
}

// milliseconds reads a time as timestamp() of the rules has it; none is the zero time.
func (in members) milliseconds(name string) (time.Time, error) {
	raw := in[name]
	if len(raw) == 0 {
		return time.Time{}, nil
	}
	ms, err := strconv.ParseInt(string(raw), 10, 64)
	if err != nil || ms < 0 || ms > maxMilliseconds {
		return time.Time{}, fmt.Errorf("%s %.40s, want milliseconds since 1970", name, raw)
	}
	return time.UnixMilli(ms).UTC(), nil
}

// maxMilliseconds is the end of the year 9999.
const maxMilliseconds = 253402300799999
