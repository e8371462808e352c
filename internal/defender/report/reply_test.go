package report

import (
	"errors"
	"testing"
	"time"

	"github.com/fxamacker/cbor/v2"
	"github.com/google/go-cmp/cmp"
)

// The replies of the reference: as an AWS workshop saw it, as AWS's
// troubleshooting page prints it, and as that page documents a rejection.
const (
	acceptedReply = `{"thingName":"DefenderWorkshopThing","reportId":1542697506,"status":"ACCEPTED","timestamp":1542697506269}`
	mangledReply  = `{"thingName":"myThing","12334567":1635800375,"status":"ACCEPTED","timestamp":1635801636023}`
	rejectedReply = `{"thingName":"myThing","status":"REJECTED","statusDetails":{"ErrorCode":"InvalidPayload","ErrorMessage":"Malformed metrics report"},"timestamp":1635802047699}`
)

func TestParseReply(t *testing.T) {
	tests := []struct {
		name, in string
		want     Reply
	}{
		{"accepted", acceptedReply, Reply{ThingName: "DefenderWorkshopThing", ReportID: 1542697506, Status: Accepted,
			Timestamp: time.Date(2018, 11, 20, 7, 5, 6, 269e6, time.UTC)}},
		{"the id as a name", mangledReply, Reply{ThingName: "myThing", ReportID: 12334567, Status: Accepted,
			Timestamp: time.Date(2021, 11, 1, 21, 20, 36, 23e6, time.UTC)}},
		{"rejected", rejectedReply, Reply{ThingName: "myThing", Status: Rejected,
			ErrorCode: "InvalidPayload", ErrorMessage: "Malformed metrics report",
			Timestamp: time.Date(2021, 11, 1, 21, 27, 27, 699e6, time.UTC)}},
		{"an unknown code, a detail and members", `{"status":"REJECTED","reportId":5,"statusDetails":{"ErrorCode":"Throttled","Hint":[]},"more":{"a":null}}`,
			Reply{ReportID: 5, Status: Rejected, ErrorCode: "Throttled"}},
		{"nothing but a status", `{"status":"ACCEPTED"}`, Reply{Status: Accepted}},
		{"nulls", `{"thingName":null,"reportId":null,"status":"ACCEPTED","statusDetails":null,"timestamp":null}`, Reply{Status: Accepted}},
		{"more than one id as a name", `{"12":1,"13":1,"status":"ACCEPTED"}`, Reply{Status: Accepted}},
		{"names that are almost ids", `{"0":1,"-3":1,"+4":1,"5.0":1,"99999999999999999999":1,"status":"ACCEPTED"}`, Reply{Status: Accepted}},
		{"an id and another number", `{"reportId":5,"6":1,"status":"ACCEPTED"}`, Reply{ReportID: 5, Status: Accepted}},
		{"CBOR", "\xa3\x66status\x68ACCEPTED\x68reportId\x1a\x5b\xf3\xb2\x22\x69timestamp\x1b\x00\x00\x01\x67\x2f\xef\x23\x5d",
			Reply{ReportID: 1542697506, Status: Accepted, Timestamp: time.UnixMilli(0x1672fef235d).UTC()}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got, err := ParseReply([]byte(test.in))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// An odd member does not cost the verdict.
func TestParseReplyIsLenient(t *testing.T) {
	for in, want := range map[string]Reply{
		`{"status":"ACCEPTED","reportId":"1"}`:                                                     {Status: Accepted},
		`{"status":"ACCEPTED","reportId":0,"timestamp":-1}`:                                        {Status: Accepted},
		`{"status":"ACCEPTED","reportId":5,"timestamp":"now"}`:                                     {Status: Accepted, ReportID: 5},
		`{"status":"REJECTED","statusDetails":[]}`:                                                 {Status: Rejected},
		`{"status":"REJECTED","statusDetails":"Throttled"}`:                                        {Status: Rejected},
		`{"status":"REJECTED","thingName":7,"statusDetails":{"ErrorCode":400,"ErrorMessage":"m"}}`: {Status: Rejected, ErrorMessage: "m"},
	} {
		got, err := ParseReply([]byte(in))
		if diff := cmp.Diff(want, got); diff != "" || err != nil {
			t.Errorf("%s: %v (-want +got):\n%s", in, err, diff)
		}
	}
}

func TestParseReplyRefuses(t *testing.T) {
	for in, want := range map[string]string{
		"":                     "neither a JSON object nor a CBOR map",
		"ACCEPTED":             "neither a JSON object nor a CBOR map",
		`{"status":"ACCEPTED"`: "malformed JSON: unexpected end of JSON input",
		`{"reportId":1}`:       "no status",
		`{"status":"PENDING"}`: `status: "PENDING", want ACCEPTED or REJECTED`,
		`{"status":1}`:         "status: 1, want text",
		`{"status":"REJECTED","status":"ACCEPTED"}`: `malformed JSON: duplicate name "status"`,
	} {
		got, err := ParseReply([]byte(in))
		var invalid *InvalidError
		if !errors.As(err, &invalid) || invalid.Error() != want {
			t.Errorf("%s: error %v, want %s", in, err, want)
		}
		if got != (Reply{}) {
			t.Errorf("%s: reply %+v besides the error", in, got)
		}
	}
}

func TestEncodeReply(t *testing.T) {
	for _, text := range []string{acceptedReply, rejectedReply} {
		reply, err := ParseReply([]byte(text))
		if err != nil {
			t.Fatal(err)
		}
		inJSON, err := reply.Encode(JSON)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(text, string(inJSON)); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}

		inCBOR, err := reply.Encode(CBOR)
		if err != nil {
			t.Fatal(err)
		}
		var document map[string]any
		if err := cbor.Unmarshal(inCBOR, &document); err != nil {
			t.Fatal(err)
		}
		if document["thingName"] != reply.ThingName || document["timestamp"] != uint64(reply.Timestamp.UnixMilli()) {
			t.Errorf("CBOR %v", document)
		}
		again, err := ParseReply(inCBOR)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(reply, again); diff != "" {
			t.Errorf("through CBOR (-want +got):\n%s", diff)
		}
	}
}

func TestEncodeReplyRefuses(t *testing.T) {
	for _, reply := range []Reply{
		{},
		{Status: "accepted"},
		{Status: Accepted, ReportID: -1},
		{Status: Accepted, ThingName: "\xff"},
		{Status: Accepted, Timestamp: time.UnixMilli(-1)},
	} {
		if data, err := reply.Encode(JSON); err == nil {
			t.Errorf("%+v: %s", reply, data)
		}
	}
}

// FuzzParseReply checks that whatever is taken can be sent again in both formats.
func FuzzParseReply(f *testing.F) {
	f.Add([]byte(acceptedReply))
	f.Add([]byte(mangledReply))
	f.Add([]byte(rejectedReply))
	f.Add([]byte("\xa2\x66status\x68ACCEPTED\x68reportId\x1a\x5b\xf3\xb2\x22"))
	f.Add([]byte("\xbf\x66status\x68REJECTED\xff"))
	f.Fuzz(func(t *testing.T, data []byte) {
		reply, err := ParseReply(data)
		if err != nil {
			return
		}
		for _, format := range []Format{JSON, CBOR} {
			data, err := reply.Encode(format)
			if err != nil {
				t.Fatal(err)
			}
			if len(data) > MaxSize {
				continue
			}
			again, err := ParseReply(data)
			if err != nil || again != reply {
				t.Fatalf("%v: %+v, %v, want %+v", format, again, err, reply)
			}
		}
	})
}
