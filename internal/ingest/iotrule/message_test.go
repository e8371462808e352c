package iotrule

import (
	"encoding/base64"
	"errors"
	"net/netip"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/device-defender/device-defender/internal/defender/detect"
	"github.com/device-defender/device-defender/internal/defender/report"
)

const (
	payload     = `{"header":{"report_id":7,"version":"1.0"},"metrics":{"network_stats":{"packets_out":1}}}`
	certificate = "b5adc1ec06c6a5f1e2e9c1b4cdb5bb40ef26e0ba2a9a4cb2a6c7c6c0e1d2f3a4"
	// 2026-11-26 18:30:00 UTC
	milliseconds = 1795717800000
)

// The message of the lifecycle events in AWS IoT's developer guide.
const connected = `{"clientId":"186b5","timestamp":1573002230757,"eventType":"connected","sessionIdentifier":"a4666d2a7d844ae4ac5d7b38c9cb7967",
"principalIdentifier":"12345678901234567890123456789012","ipAddress":"192.0.2.0","versionNumber":0}`

func encoded(text string) string {
	return strconv.Quote(base64.StdEncoding.EncodeToString([]byte(text)))
}

func TestParse(t *testing.T) {
	at := time.UnixMilli(milliseconds).UTC()
	said := `"thing":"core-1","topic":"core-1","principal":"` + certificate + `","timestamp":1795717800000`
	want := &Message{Thing: "core-1", Principal: certificate, Time: at, Payload: []byte(payload), Format: report.JSON}
	with := func(change func(*Message)) *Message {
		m := *want
		change(&m)
		return &m
	}
	flat := payload[:len(payload)-1] + `,"thing":"core-1","principal":"` + certificate + `","received":1795717800000}`
	cbor := "\xa1\x63hed\x00"
	event := func(kind detect.CloudEventType, ms int64) *Message {
		return &Message{Thing: "186b5", Principal: "12345678901234567890123456789012", Time: time.UnixMilli(ms).UTC(), Event: &Event{
			Type: kind, Client: "186b5", Address: netip.MustParseAddr("192.0.2.0"), Session: "a4666d2a7d844ae4ac5d7b38c9cb7967",
		}}
	}
	for name, test := range map[string]struct {
		message string
		want    *Message
	}{
		"of our rule":             {`{"payload":` + encoded(payload) + `,` + said + `}`, want},
		"CBOR":                    {`{"payload":` + encoded(cbor) + `,` + said + `}`, with(func(m *Message) { m.Payload, m.Format = []byte(cbor), report.CBOR })},
		"payload as an object":    {`{"payload":` + payload + `,` + said + `}`, want},
		"a rule that selects *":   {flat, with(func(m *Message) { m.Payload = []byte(flat) })},
		"format of the topic":     {strings.Replace(`{"payload":`+encoded(payload)+`,`+said+`}`, `"topic":"core-1"`, `"topic":"core-1/reports/cbor"`, 1), with(func(m *Message) { m.Format = report.CBOR })},
		"Device Defender's topic": {`{"payload":` + encoded(payload) + `,"topic":"$aws/things/core-1/defender/metrics/json"}`, &Message{Thing: "core-1", Payload: []byte(payload)}},
		"around it SNS": {`{"Type":"Notification","MessageId":"22b80b92-fdea-4c2c-8f9d-bdfb0c7bf324","TopicArn":"arn:aws:sns:us-west-2:123456789012:t",
			"Message":` + strconv.Quote(`{"payload":`+encoded(payload)+`,`+said+`}`) + `,"Timestamp":"2012-05-02T00:54:06.655Z","SignatureVersion":"1"}`, want},
		"the time of SNS": {`{"Type":"Notification","Message":` + strconv.Quote(`{"payload":`+encoded(payload)+`,"thing":"core-1"}`) + `,"Timestamp":"2026-11-26T18:30:00.000Z"}`,
			with(func(m *Message) { m.Principal = "" })},
		"connected":    {connected, event(detect.Connect, 1573002230757)},
		"disconnected": {strings.Replace(connected, `"connected"`, `"disconnected","clientInitiatedDisconnect":true,"disconnectReason":"CLIENT_INITIATED_DISCONNECT"`, 1), event(detect.Disconnect, 1573002230757)},
		"refused":      {strings.Replace(connected, `"connected"`, `"connect_failed","topic":"$aws/events/presence/connect_failed/186b5"`, 1), event(detect.AuthorizationFailure, 1573002230757)},
		"a core's further connection": {`{"clientId":"core-1#2","timestamp":1573002230757,"eventType":"connected"}`,
			&Message{Thing: "core-1", Time: time.UnixMilli(1573002230757).UTC(), Event: &Event{Type: detect.Connect, Client: "core-1#2"}}},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := Parse([]byte(test.message))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, got, cmpopts.EquateComparable(netip.Addr{})); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// What a device writes never takes the place of what the rule says.
func TestParseRefuses(t *testing.T) {
	for message, want := range map[string]string{
		``:                             "not JSON",
		`[]`:                           "not a JSON object",
		`{}`:                           "thing name is empty",
		`{"thing":"a"}`:                "no payload",
		`{"thing":"a","payload":"%"}`:  "not in base64",
		`{"thing":"a","payload":7}`:    "no payload",
		`{"thing":"a/b","payload":""}`: "character of topics",
		`{"thing":"a","topic":"b","payload":"e30="}`:                                          `topic "b" is not of thing "a"`,
		`{"thing":"a","topic":"$aws/things/b/defender/metrics/json","payload":"e30="}`:        `is not of thing "a"`,
		`{"thing":"a","thing":"b","payload":"e30="}`:                                          `member "thing" is there twice`,
		`{"Thing":"a","payload":"e30="}`:                                                      "thing name is empty",
		`{"thing":"a","payload":"e30=","timestamp":"yesterday"}`:                              "want milliseconds since 1970",
		`{"thing":"a","payload":"e30=","timestamp":-1}`:                                       "want milliseconds since 1970",
		`{"thing":"a","payload":"e30=","timestamp":1e99}`:                                     "want milliseconds since 1970",
		`{"eventType":"connected","clientId":"b","thing":"a"}`:                                "no payload",
		`{"eventType":"connected","clientId":""}`:                                             "thing name is empty",
		`{"eventType":"exploded","clientId":"b"}`:                                             "unknown",
		`{"eventType":"connected","clientId":"b","topic":"$aws/events/presence/connected/a"}`: `client "b" on topic`,
		`{"Type":"Notification","Message":"hello"}`:                                           "not JSON",
		strings.Repeat(" ", MaxMessage+1):                                                     "want at most 1048576",
	} {
		if m, err := Parse([]byte(message)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.100s: %+v, %v; want %s", message, m, err, want)
		}
	}
	if _, err := Parse([]byte(`{"eventType":"subscribed","clientId":"a","topics":["b"]}`)); !errors.Is(err, ErrIgnored) {
		t.Error(err)
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(`{"payload":` + encoded(payload) + `,"thing":"core-1","topic":"core-1","principal":"` + certificate + `","timestamp":1795717800000}`))
	f.Add([]byte(connected))
	f.Add([]byte(`{"Type":"Notification","Message":"{\"thing\":\"a\",\"payload\":{}}","Timestamp":"2012-05-02T00:54:06.655Z"}`))
	f.Add([]byte(payload[:len(payload)-1] + `,"thing":"a"}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		m, err := Parse(data)
		if err != nil {
			return
		}
		if err := report.CheckThingName(m.Thing); err != nil {
			t.Error(err)
		}
		if (m.Event == nil) == (m.Payload == nil) && len(m.Payload) > 0 || m.Time.Year() > 9999 {
			t.Errorf("%+v", m)
		}
	})
}

// AWS IoT tells an event twice, and the end of a session after the next has begun.
func TestRecent(t *testing.T) {
	var r Recent
	at := time.UnixMilli(milliseconds)
	for i, step := range []struct {
		kind    detect.CloudEventType
		session string
		version int64
		after   time.Duration
		want    bool
	}{
		{detect.Connect, "a", 0, 0, true},
		{detect.Connect, "a", 0, 0, false},
		{detect.Connect, "b", 1, time.Second, true},
		{detect.Disconnect, "a", 0, 2 * time.Second, false}, // its client is connected
		{detect.Disconnect, "b", 1, time.Minute, true},
		{detect.Disconnect, "b", 1, time.Minute, false},
		{detect.Disconnect, "c", 0, 3 * time.Hour, true}, // counted again after an hour, and before its beginning
		{detect.Connect, "c", 0, 2 * time.Hour, true},
		{detect.AuthorizationFailure, "d", 0, 2 * time.Hour, true},
	} {
		m := &Message{Time: at.Add(step.after), Event: &Event{Type: step.kind, Client: "x", Session: step.session, Version: step.version}}
		if got := r.Fresh(m); got != step.want {
			t.Errorf("step %d: %t", i, got)
		}
	}
	for i := range 2 * maxRecent {
		r.Fresh(&Message{Time: at, Event: &Event{Type: detect.Connect, Client: strconv.Itoa(i)}})
	}
	if len(r.seen) != maxRecent || len(r.order) != maxRecent {
		t.Errorf("%d, %d", len(r.seen), len(r.order))
	}
}

func TestRuleNames(t *testing.T) {
	for name, want := range map[string]bool{"device_defender_reports": true, "": false, "a-b": false, "a/b": false, strings.Repeat("a", 129): false} {
		if err := CheckRuleName(name); (err == nil) != want {
			t.Errorf("%q: %v", name, err)
		}
	}
	if got := ReportTopic("device_defender_reports", "{thing}"); got != "$aws/rules/device_defender_reports/{thing}" {
		t.Error(got)
	}
	if !SameSQL("SELECT  *\nFROM 'a'", "SELECT * FROM 'a'") || SameSQL("SELECT * FROM 'a'", "SELECT * FROM 'A'") {
		t.Error("SameSQL")
	}
}
