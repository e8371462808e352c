package service

import (
	"bytes"
	"net/http"
	"strings"
	"testing"

	"github.com/fxamacker/cbor/v2"

	"github.com/device-defender/device-defender/internal/defender/report"
)

// A report published as AWS's SDKs do is taken: the topic is one element of the path,
// and the payload has no type, or that of bytes.
func TestReportIsPublished(t *testing.T) {
	b := newBench(t, Options{})
	b.attach(profileOf("Traffic", atMost(100)))
	asCBOR, err := cbor.Marshal(map[string]any{
		"header": map[string]any{"report_id": 2, "version": "1.0"}, "metrics": map[string]any{"network_stats": map[string]any{"packets_out": 500}},
	})
	if err != nil {
		t.Fatal(err)
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	for _, test := range []struct {
		thing, path, contentType string
		payload                  []byte
	}{
		{"go", "/topics/%24aws%2Fthings%2Fgo%2Fdefender%2Fmetrics%2Fjson?qos=1", "application/octet-stream", reportOf(1, packets(500))},
		{"boto", "/topics/%24aws%2Fthings%2Fboto%2Fdefender%2Fmetrics%2Fjson?qos=1&retain=false", "", reportOf(1, packets(500))},
		{"curl", "/topics/$aws/things/curl/defender/metrics/json", "application/x-www-form-urlencoded", reportOf(1, packets(500))},
		{"cbor", "/topics/%24aws%2Fthings%2Fcbor%2Fdefender%2Fmetrics%2Fcbor?contentType=a&messageExpiry=60", "application/octet-stream", asCBOR},
	} {
		request, err := http.NewRequestWithContext(t.Context(), "POST", b.url+test.path, bytes.NewReader(test.payload))
		if err != nil {
			t.Fatal(err)
		}
		if test.contentType != "" {
			request.Header.Set("Content-Type", test.contentType)
		}
		answer, err := client.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		var body bytes.Buffer
		if _, err := body.ReadFrom(answer.Body); err != nil {
			t.Error(err)
		}
		answer.Body.Close()
		if answer.StatusCode != 200 || strings.TrimSpace(body.String()) != "{}" {
			t.Errorf("%s: %d %s", test.thing, answer.StatusCode, body.String())
		}
		if taken := b.Reports(test.thing, 2); len(taken) != 1 || taken[0].Reply.Status != report.Accepted {
			t.Errorf("%s: reports %+v", test.thing, taken)
		}
	}
	if active := b.active(); len(active) != 4 {
		t.Errorf("%d active violations, want 4", len(active))
	}
}

// A rejection is told on the topic, not by the answer.
func TestWhatIsPublished(t *testing.T) {
	s := openService(t, Options{})
	handler := s.Handler()
	for _, test := range []struct {
		path, body string
		status     int
		says       string
	}{
		{"/topics/%24aws%2Fthings%2Fa%2Fdefender%2Fmetrics%2Fjson", "no report", 200, "{}"},
		{"/topics/a%2Fb", "anything", 200, "{}"},
		{"/topics/%24aws%2Fthings%2Fa%2Fshadow%2Fupdate", "{}", 200, "{}"},
		{"/topics/a", "", 200, "{}"},
		{"/topics/%24aws%2Fevents%2Fpresence%2Fconnected%2Fa", "{}", 400, "InvalidRequestException"},
		{"/topics/%24SYS%2Fa", "{}", 400, "InvalidRequestException"},
		{"/topics/a%2F%2B", "{}", 400, "InvalidRequestException"},
		{"/topics/a%2F%23", "{}", 400, "InvalidRequestException"},
		{"/topics/a%00", "{}", 400, "InvalidRequestException"},
		{"/topics/%FF", "{}", 400, "InvalidRequestException"},
		{"/topics/" + strings.Repeat("a", 257), "{}", 400, "InvalidRequestException"},
		{"/topics/a%2Fb%2Fc%2Fd%2Fe%2Ff%2Fg%2Fh", "{}", 200, "{}"},
		{"/topics/a%2Fb%2Fc%2Fd%2Fe%2Ff%2Fg%2Fh%2Fi", "{}", 400, "InvalidRequestException"},
		{"/topics/a?qos=2", "{}", 400, "InvalidRequestException"},
		{"/topics/a?retain=1", "{}", 400, "InvalidRequestException"},
		{"/topics/a", strings.Repeat("a", 128<<10), 200, "{}"},
		{"/topics/a", strings.Repeat("a", 128<<10+1), 413, "RequestEntityTooLargeException"},
	} {
		w := send(t, handler, "POST", test.path, nil, test.body)
		if w.Code != test.status || !strings.Contains(w.Body.String()+w.Header().Get("X-Amzn-ErrorType"), test.says) {
			t.Errorf("%.60s: %d %s %s, want %d %s", test.path, w.Code, w.Header().Get("X-Amzn-ErrorType"), w.Body, test.status, test.says)
		}
	}
	if taken := s.Reports("a", 2); len(taken) != 1 || taken[0].Reply.ErrorCode != "InvalidPayload" {
		t.Errorf("reports %+v", taken)
	}
}

// What could not be stored is not answered as if it were: the SDKs try again.
func TestPublishIsNotAnsweredBeforeItIsDurable(t *testing.T) {
	s := openService(t, Options{})
	handler := s.Handler()
	s.stopIntake()
	w := send(t, handler, "POST", "/topics/%24aws%2Fthings%2Fa%2Fdefender%2Fmetrics%2Fjson", nil, string(reportOf(1, packets(1))))
	if w.Code != 503 || w.Header().Get("X-Amzn-ErrorType") != "ServiceUnavailableException" {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}
