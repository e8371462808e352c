package localcore

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fxamacker/cbor/v2"
	"github.com/google/go-cmp/cmp"

	"github.com/device-defender/device-defender/internal/greengrass"
)

const metricsTopic = "$aws/things/example-thing/defender/metrics/"

func reportJSON(id int) []byte {
	return fmt.Appendf(nil, `{"header":{"report_id":%d,"version":"1.0"},"metrics":{"listening_tcp_ports":{"ports":[{"port":22}],"total":1}}}`, id)
}

// reply is a reply as the service documents it, without its time.
type reply struct {
	topic   string
	payload map[string]any
}

// replies decodes the responder's messages.
func replies(t *testing.T, messages []Message) (all []reply) {
	t.Helper()
	for _, m := range messages {
		r := reply{topic: m.Topic}
		decode := json.Unmarshal
		if m.Topic[len(metricsTopic):len(metricsTopic)+4] == "cbor" {
			decode = cbor.Unmarshal
		}
		if err := decode(m.Payload, &r.payload); err != nil {
			t.Fatalf("%v in %q", err, m.Payload)
		}
		if r.payload["timestamp"] == nil {
			t.Error("a reply without a timestamp")
		}
		delete(r.payload, "timestamp")
		all = append(all, r)
	}
	return all
}

func acceptedReply(id any) []reply {
	return []reply{{metricsTopic + "json/accepted", map[string]any{"thingName": "example-thing", "reportId": id, "status": "ACCEPTED"}}}
}

func rejectedReply(code, message string) []reply {
	return []reply{{metricsTopic + "json/rejected", map[string]any{"thingName": "example-thing", "status": "REJECTED",
		"statusDetails": map[string]any{"ErrorCode": code, "ErrorMessage": message}}}}
}

func throttledReply(id float64) []reply {
	replies := rejectedReply("Throttled", "Too many metrics reports")
	replies[0].payload["reportId"] = id
	return replies
}

func TestResponder(t *testing.T) {
	const malformed = "Malformed metrics report"
	synctest.Test(t, func(t *testing.T) {
		d := newResponder(0, slog.New(slog.DiscardHandler))
		for _, step := range []struct {
			after   time.Duration
			payload []byte
			want    []reply
		}{
			{0, []byte("no report"), rejectedReply("InvalidPayload", malformed)},
			{0, reportJSON(10), acceptedReply(10.0)},
			{0, reportJSON(11), throttledReply(11)},
			{269 * time.Second, reportJSON(12), throttledReply(12)},
			{time.Second, reportJSON(13), acceptedReply(13.0)}, // 270 s: a tenth is forgiven
			{0, reportJSON(13), acceptedReply(13.0)},           // once more
			{time.Hour, reportJSON(14), acceptedReply(14.0)},
			{0, reportJSON(12), throttledReply(12)},
			{time.Hour, reportJSON(12), acceptedReply(12.0)}, // has restarted
		} {
			time.Sleep(step.after)
			got := replies(t, d.answer(Message{Topic: metricsTopic + "json", Payload: step.payload}))
			if diff := cmp.Diff(step.want, got, cmp.AllowUnexported(reply{})); diff != "" {
				t.Errorf("%s (-want +got):\n%s", step.payload, diff)
			}
		}
		// Another thing has its own interval; nothing else is answered.
		if got := d.answer(Message{Topic: "$aws/things/other/defender/metrics/json", Payload: reportJSON(1)}); len(got) != 1 || got[0].Topic != "$aws/things/other/defender/metrics/json/accepted" {
			t.Errorf("another thing: %v", got)
		}
		if got := d.answer(Message{Topic: "agent/x", Payload: reportJSON(1)}); got != nil {
			t.Errorf("not a report: %v", got)
		}
	})
}

func TestResponderFormats(t *testing.T) {
	d := newResponder(-1, slog.New(slog.DiscardHandler))
	b, err := cbor.Marshal(map[string]any{
		"header":  map[string]any{"report_id": 1, "version": "1.0"},
		"metrics": map[string]any{"listening_tcp_ports": map[string]any{"ports": []any{map[string]any{"port": 22}}, "total": 1}},
	})
	if err != nil {
		t.Fatal(err)
	}
	got := replies(t, d.answer(Message{Topic: metricsTopic + "cbor", Payload: b}))
	want := []reply{{metricsTopic + "cbor/accepted", map[string]any{"thingName": "example-thing", "reportId": uint64(1), "status": "ACCEPTED"}}}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(reply{})); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	for topic, payload := range map[string][]byte{"json": b, "cbor": reportJSON(2)} {
		got := d.answer(Message{Topic: metricsTopic + topic, Payload: payload})
		if len(got) != 1 || got[0].Topic != metricsTopic+topic+"/rejected" {
			t.Errorf("the other format on %s: %v", topic, got)
		}
	}
}

// Reports and replies over a connection, and the faults in between.
func TestDefenderTopics(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCore(t, Options{Nucleus: greengrass.Lite, MinReportInterval: time.Second})
		p := dial(t, c, install(t, c, accessRecipe("$aws/*")))
		for _, reply := range []string{"accepted", "rejected"} {
			p.subscribe("SubscribeToIoTCore", `{"topicName":"`+metricsTopic+"json/"+reply+`","qos":"1"}`)
		}
		var tapped []string
		c.Tap(func(m Message) { tapped = append(tapped, m.Component+" "+m.Topic) })
		publish := func(id int) {
			t.Helper()
			payload, err := json.Marshal(reportJSON(id))
			if err != nil {
				t.Fatal(err)
			}
			p.succeed("PublishToIoTCore", `{"topicName":"`+metricsTopic+`json","qos":"1","payload":`+string(payload)+`}`)
		}
		replied := func(want []reply) {
			t.Helper()
			var e greengrass.IoTCoreMessage
			if err := json.Unmarshal(p.receive().Payload, &e); err != nil {
				t.Fatal(err)
			}
			got := replies(t, []Message{{Topic: e.Message.TopicName, Payload: e.Message.Payload}})
			if diff := cmp.Diff(want, got, cmp.AllowUnexported(reply{})); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		}
		publish(1)
		replied(acceptedReply(1.0))
		c.RejectReports("Malformed", "by order")
		publish(2)
		replied(rejectedReply("Malformed", "by order"))
		c.RejectReports("", "")
		publish(3)
		replied(throttledReply(3))
		c.SetDefender(nil)
		publish(4)
		p.silent()
		c.SetDefender(func(m Message) []Message {
			return []Message{{Topic: m.Topic + "/accepted", Payload: []byte(`{"timestamp":1}`)}}
		})
		publish(5)
		replied([]reply{{metricsTopic + "json/accepted", map[string]any{}}})
		synctest.Wait()
		const report = "com.example.agent " + metricsTopic + "json"
		want := []string{
			report, " " + metricsTopic + "json/accepted", report, " " + metricsTopic + "json/rejected",
			report, " " + metricsTopic + "json/rejected", report, report, " " + metricsTopic + "json/accepted",
		}
		if diff := cmp.Diff(want, tapped); diff != "" {
			t.Errorf("tap (-want +got):\n%s", diff)
		}
	})
}
