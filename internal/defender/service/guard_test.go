package service

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iot"
	"github.com/aws/aws-sdk-go-v2/service/iot/types"

	"github.com/device-defender/device-defender/internal/defender/store"
)

// send has the handler answer a request. The header Host is the request's
// host; without one it is 127.0.0.1:8787.
func send(t testing.TB, handler http.Handler, method, path string, header http.Header, body string) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequest(method, "http://127.0.0.1:8787"+path, strings.NewReader(body))
	for name, values := range header {
		r.Header[name] = values
	}
	if host := header.Get("Host"); host != "" {
		r.Host = host
	}
	w := httptest.NewRecorder()
	handler.ServeHTTP(w, r)
	return w
}

var jsonBody = http.Header{"Content-Type": {"application/json"}}

// TestRawRequests sends what AWS's clients don't, and compares the status, the
// error type in the header and a part of the message.
func TestRawRequests(t *testing.T) {
	s := openService(t, Options{})
	handler := s.Handler()
	const profile, validate = "/security-profiles/P", "/security-profile-behaviors/validate"
	deep := strings.Repeat(`{"a":`, 40) + "1" + strings.Repeat("}", 40)
	for _, test := range []struct {
		name, method, path, body string
		status                   int
		says                     string // error type and part of the message
	}{
		{"no body", "POST", profile, "", 200, ""},
		{"member twice", "POST", profile, `{"behaviors":[],"behaviors":[]}`, 400, `InvalidRequestException member "behaviors" is given twice`},
		{"member twice below", "POST", profile, `{"behaviors":[{"name":"B","name":"C"}]}`, 400, `InvalidRequestException member "behaviors[0].name" is given twice`},
		{"unknown member", "POST", profile, `{"behaviours":[]}`, 400, `InvalidRequestException member "behaviours" is unknown`},
		{"AWS's own typing error", "POST", profile, `{"behaviors":[{"name":"B","metricDimension":{"dimensionName:":"d"}}]}`, 400, `"behaviors[0].metricDimension.dimensionName:" is unknown`},
		{"other capitals", "POST", profile, `{"Behaviors":[]}`, 400, `InvalidRequestException member "Behaviors" is unknown`},
		{"more after it", "POST", profile, `{} {}`, 400, "InvalidRequestException there is more"},
		{"half of it", "POST", profile, `{"behaviors":[`, 400, "InvalidRequestException ends too early"},
		{"no JSON", "POST", profile, `behaviors=1`, 400, "InvalidRequestException at byte 1"},
		{"not an object", "POST", profile, `[]`, 400, "InvalidRequestException the body is a list, want an object"},
		{"null", "POST", profile, `null`, 400, "InvalidRequestException the body is null"},
		{"string for a list", "POST", profile, `{"behaviors":"B"}`, 400, "InvalidRequestException behaviors is a string, want a list"},
		{"number for a string", "POST", profile, `{"behaviors":[{"name":7}]}`, 400, "InvalidRequestException behaviors[0].name is a number, want a string"},
		{"string for a number", "POST", validate, `{"behaviors":[{"name":"B","criteria":{"durationSeconds":"300"}}]}`, 400, "behaviors[0].criteria.durationSeconds is a string, want a number"},
		{"fraction", "POST", validate, `{"behaviors":[{"name":"B","criteria":{"durationSeconds":300.5}}]}`, 400, "behaviors[0].criteria.durationSeconds"},
		{"more than 32 bits", "POST", validate, `{"behaviors":[{"name":"B","criteria":{"durationSeconds":4294967296}}]}`, 400, "integer of 32 bits"},
		{"more than 64 bits", "POST", validate, `{"behaviors":[{"name":"B","criteria":{"value":{"count":9223372036854775808}}}]}`, 400, "integer of 64 bits"},
		{"more than a double", "POST", validate, `{"behaviors":[{"name":"B","criteria":{"value":{"number":1e999}}}]}`, 400, "double"},
		{"null in a list", "POST", validate, `{"behaviors":[null]}`, 400, "behaviors[0] is null"},
		{"a member that is null is absent", "POST", validate, `{"behaviors":null}`, 400, "Value null at 'behaviors'"},
		{"not UTF-8", "POST", profile, "{\"securityProfileDescription\":\"\xff\"}", 400, "InvalidRequestException not UTF-8"},
		{"deep", "POST", "/tags", deep, 400, "InvalidRequestException"},
		{"deep where anything may be", "POST", profile, `{"alertTargets":{"SNS":` + deep + `}}`, 400, "InvalidRequestException"},
		{"a flag of another type", "PATCH", profile, `{"deleteBehaviors":"true"}`, 400, "deleteBehaviors is a string, want true or false"},
		{"deprecated list given and deleted", "PATCH", profile, `{"additionalMetricsToRetain":["aws:all-bytes-in"],"deleteAdditionalMetricsToRetain":true}`, 400, "deleteAdditionalMetricsToRetain is true"},
		{"tags in an update", "PATCH", profile, `{"tags":[{"Key":"k"}]}`, 400, "TagResource"},
		{"deleting in a creation", "POST", "/security-profiles/Q", `{"deleteBehaviors":true}`, 400, "nothing to delete"},
		{"no token", "POST", "/custom-metric/m", `{"metricType":"number"}`, 400, "'clientRequestToken'"},
		{"no type", "POST", "/custom-metric/m", `{"clientRequestToken":"1"}`, 400, "'metricType'"},
		{"no display name", "PATCH", "/custom-metric/m", `{}`, 400, "'displayName'"},
		{"no dimension type", "POST", "/dimensions/d", `{"stringValues":["a"],"clientRequestToken":"1"}`, 400, "'type'"},
		{"no string values", "PATCH", "/dimensions/d", `{}`, 400, "'stringValues'"},
		{"no ARN", "POST", "/tags", `{"tags":[]}`, 400, "'resourceArn'"},
		{"no tags", "POST", "/tags", `{"resourceArn":"x"}`, 400, "'tags'"},
		{"no tag keys", "POST", "/untag", `{"resourceArn":"x"}`, 400, "'tagKeys'"},
		{"no target", "PUT", profile + "/targets", "", 400, "'securityProfileTargetArn'"},
		{"no resource", "GET", "/tags", "", 400, "'resourceArn'"},
		{"tags have one page", "GET", "/tags?resourceArn=x&nextToken=y", "", 400, "nextToken"},
		{"a member of the other operation", "PUT", "/thing-groups/removeThingFromThingGroup", `{"thingGroupName":"g","thingName":"t","overrideDynamicGroups":true}`, 400, "overrideDynamicGroups"},
		{"unknown parameter", "GET", "/things?maxresults=1", "", 400, `ListThings has no query parameter "maxresults"`},
		{"parameter twice", "GET", "/things?maxResults=1&maxResults=2", "", 400, "given 2 times"},
		{"parameter that is no number", "GET", "/things?maxResults=x", "", 400, "'maxResults'"},
		{"parameter that is no name", "GET", "/security-profiles?metricName=", "", 400, "'metricName'"},
		{"parameter that is no boolean", "GET", "/thing-groups?recursive=1", "", 400, "'recursive'"},
		{"version that is no number", "DELETE", profile + "?expectedVersion=x", "", 400, "'expectedVersion'"},
		{"malformed query", "GET", "/things?a=%zz", "", 400, "query string"},
		{"a signature in the query", "GET", "/things?X-Amz-Signature=0", "", 200, ""},
		{"slash in a name", "GET", "/security-profiles/a%2Fb", "", 400, "Value 'a/b' at 'securityProfileName'"},
		{"percent-encoded name", "GET", "/security-profiles/%50", "", 200, ""},
		{"no name", "GET", "/security-profiles/", "", 404, "UnknownOperationException"},
		{"dots", "GET", "/things/../things", "", 404, "UnknownOperationException"},
		{"two slashes", "GET", "//things", "", 404, "UnknownOperationException"},
		{"another method", "DELETE", "/things", "", 405, "UnknownOperationException DELETE /things"},
		{"no pages", "GET", "/", "", 405, "UnknownOperationException"},
		{"preflight", "OPTIONS", "/things", "", 405, "UnknownOperationException"},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := send(t, handler, test.method, test.path, jsonBody, test.body)
			var answer struct{ Message string }
			if err := json.Unmarshal(w.Body.Bytes(), &answer); err != nil {
				t.Fatalf("%d %s: %v", w.Code, w.Body, err)
			}
			errorType := w.Header().Get("X-Amzn-ErrorType")
			kind, part, _ := strings.Cut(test.says, " ")
			if !strings.HasSuffix(kind, "Exception") {
				part = test.says
				kind = map[bool]string{true: "InvalidRequestException"}[test.status == 400]
			}
			if w.Code != test.status || errorType != kind || !strings.Contains(answer.Message, part) {
				t.Errorf("got %d %s %q, want %d %s", w.Code, errorType, answer.Message, test.status, test.says)
			}
			if got := w.Header().Get("Content-Type"); got != "application/json" {
				t.Errorf("Content-Type %q", got)
			}
		})
	}
	if allow := send(t, handler, "POST", "/things", nil, "").Header().Get("Allow"); allow != "GET" {
		t.Errorf("Allow: %q, want GET", allow)
	}
}

func TestAlreadyExistsNamesTheResource(t *testing.T) {
	handler := openService(t, Options{}).Handler()
	send(t, handler, "POST", "/security-profiles/P", nil, "")
	w := send(t, handler, "POST", "/security-profiles/P", nil, "")
	const want = `{"message":"Security profile P already exists","resourceId":"P","resourceArn":"arn:aws:iot:us-east-1:123456789012:securityprofile/P"}`
	if w.Code != 409 || w.Body.String() != want {
		t.Errorf("got %d %s, want 409 %s", w.Code, w.Body, want)
	}
}

// TestWebPages sends what a page in a browser on this machine can make it send.
func TestWebPages(t *testing.T) {
	handler := openService(t, Options{}).Handler()
	const ours = "127.0.0.1:8787"
	for _, test := range []struct {
		name   string
		method string
		path   string
		header http.Header
		status int
	}{
		{"client", "GET", "/things", http.Header{"Host": {ours}}, 200},
		{"localhost", "GET", "/things", http.Header{"Host": {"LocalHost:8787"}}, 200},
		{"IPv6", "GET", "/things", http.Header{"Host": {"[::1]:8787"}}, 200},
		{"another loopback address", "GET", "/things", http.Header{"Host": {"127.9.9.9"}}, 200},
		{"own page", "GET", "/things", http.Header{"Host": {ours}, "Origin": {"http://" + ours}, "Sec-Fetch-Site": {"same-origin"}}, 200},
		{"typed into the address bar", "GET", "/things", http.Header{"Host": {ours}, "Sec-Fetch-Site": {"none"}}, 200},

		{"DNS rebinding", "GET", "/things", http.Header{"Host": {"evil.example:8787"}}, 403},
		{"name that begins so", "GET", "/things", http.Header{"Host": {"localhost.evil.example:8787"}}, 403},
		{"address that isn't ours", "GET", "/things", http.Header{"Host": {"192.0.2.1:8787"}}, 403},
		{"any address", "GET", "/things", http.Header{"Host": {"0.0.0.0:8787"}}, 403},
		{"other origin", "POST", "/security-profiles/P", http.Header{"Host": {ours}, "Origin": {"https://evil.example"}, "Content-Type": {"application/json"}}, 403},
		{"other port", "POST", "/security-profiles/P", http.Header{"Host": {ours}, "Origin": {"http://127.0.0.1:3000"}}, 403},
		{"sandboxed frame", "POST", "/security-profiles/P", http.Header{"Host": {ours}, "Origin": {"null"}}, 403},
		{"two origins", "POST", "/security-profiles/P", http.Header{"Host": {ours}, "Origin": {"http://" + ours, "https://evil.example"}}, 403},
		{"cross-site without an origin", "GET", "/things", http.Header{"Host": {ours}, "Sec-Fetch-Site": {"cross-site"}}, 403},
		{"same site, another port", "GET", "/things", http.Header{"Host": {ours}, "Sec-Fetch-Site": {"same-site"}}, 403},
		{"preflight", "OPTIONS", "/things", http.Header{"Host": {ours}, "Origin": {"https://evil.example"}, "Access-Control-Request-Method": {"PUT"}}, 403},
		{"text", "POST", "/security-profiles/P", http.Header{"Host": {ours}, "Content-Type": {"text/plain"}}, 415},
		{"form", "POST", "/security-profiles/P", http.Header{"Host": {ours}, "Content-Type": {"application/x-www-form-urlencoded"}}, 415},
		{"no type", "POST", "/security-profiles/P", http.Header{"Host": {ours}}, 415},
		{"JSON for STS", "POST", "/", http.Header{"Host": {ours}, "Content-Type": {"application/json"}}, 415},
	} {
		t.Run(test.name, func(t *testing.T) {
			body := ""
			if test.method == "POST" {
				body = "{}"
			}
			w := send(t, handler, test.method, test.path, test.header, body)
			if w.Code != test.status {
				t.Errorf("got %d %s, want %d", w.Code, w.Body, test.status)
			}
			for name := range w.Header() {
				if strings.HasPrefix(name, "Access-Control-") {
					t.Errorf("header %s lets other origins in", name)
				}
			}
		})
	}
	if w := send(t, handler, "GET", "/security-profiles/P", nil, ""); w.Code != 404 {
		t.Errorf("a page has created the profile: %s", w.Body)
	}
}

// TestHostPort has the service know its port, as it does of real connections.
func TestHostPort(t *testing.T) {
	url := serve(t, openService(t, Options{}))
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	for host, status := range map[string]int{"": 200, "localhost:1": 403, "localhost": 403} {
		r, err := http.NewRequestWithContext(t.Context(), "GET", url+"/things", nil)
		if err != nil {
			t.Fatal(err)
		}
		if host != "" {
			r.Host = host
		}
		response, err := transport.RoundTrip(r)
		if err != nil {
			t.Fatal(err)
		}
		response.Body.Close()
		if response.StatusCode != status {
			t.Errorf("host %q: got %d, want %d", host, response.StatusCode, status)
		}
	}
}

func TestLargeBody(t *testing.T) {
	handler := openService(t, Options{}).Handler()
	body := `{"securityProfileDescription":"` + strings.Repeat("x", maxBody) + `"}`
	w := send(t, handler, "POST", "/security-profiles/P", jsonBody, body)
	if w.Code != http.StatusRequestEntityTooLarge || w.Header().Get("X-Amzn-ErrorType") != "RequestEntityTooLargeException" {
		t.Errorf("got %d %s", w.Code, w.Body)
	}
}

// TestListen takes loopback addresses, and no other.
func TestListen(t *testing.T) {
	for _, listen := range []string{"127.0.0.1:0", "localhost:0", "127.0.0.2:0"} {
		l, err := Listen(t.Context(), listen)
		if err != nil {
			t.Errorf("%s: %v", listen, err)
			continue
		}
		if addr := l.Addr().(*net.TCPAddr); !addr.IP.IsLoopback() || addr.IP.To4() == nil {
			t.Errorf("%s: listens on %v", listen, addr)
		}
		l.Close()
	}
	for listen, says := range map[string]string{
		":8787":           "every interface",
		"0.0.0.0:8787":    "0.0.0.0 is not a loopback address",
		"[::]:8787":       ":: is not a loopback address",
		"192.0.2.1:8787":  "192.0.2.1 is not a loopback address",
		"127.0.0.1":       "missing port",
		"":                "missing port",
		"127.0.0.1:99999": "invalid port",
	} {
		l, err := Listen(t.Context(), listen)
		if err == nil {
			l.Close()
			t.Errorf("listens on %q", listen)
		} else if !strings.Contains(err.Error(), says) {
			t.Errorf("%q: %v, want %q", listen, err, says)
		}
	}
}

func TestServeRefusesOtherListeners(t *testing.T) {
	l, err := net.Listen("tcp", "0.0.0.0:0")
	if err != nil {
		t.Fatal(err)
	}
	if err := openService(t, Options{}).Serve(t.Context(), l); err == nil || !strings.Contains(err.Error(), "not a loopback address") {
		t.Errorf("got %v", err)
	}
	if _, err := l.Accept(); err == nil {
		t.Error("the listener is still open")
	}
}

// TestServeFinishesRequests ends the service while a request's body is on its
// way.
func TestServeFinishesRequests(t *testing.T) {
	s := openService(t, Options{})
	l, err := Listen(t.Context(), "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	served := make(chan error)
	go func() { served <- s.Serve(ctx, l) }()
	conn, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprintf(conn, "POST /things/t HTTP/1.1\r\nHost: %s\r\nContent-Type: application/json\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n", l.Addr())
	reader := bufio.NewReader(conn)
	if line, err := reader.ReadString('\n'); err != nil || !strings.Contains(line, "100 Continue") {
		t.Fatalf("%q, %v", line, err)
	}
	reader.ReadString('\n')
	cancel() // the operation is reading the body
	io.WriteString(conn, "{}")
	response, err := http.ReadResponse(reader, nil)
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
	if response.StatusCode != 200 {
		t.Errorf("status %s", response.Status)
	}
	if err := <-served; err != nil {
		t.Error(err)
	}
}

// TestPanic has an operation panic that has changed something before.
func TestPanic(t *testing.T) {
	var log strings.Builder
	s := openService(t, Options{Log: slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))})
	op := operation{name: "Broken", handle: func(s *Service, r *request) (any, error) {
		return nil, s.write(t.Context(), func(tx *store.Tx) error {
			if err := tableThings.Put(tx, "half", storedThing{}); err != nil {
				return err
			}
			panic("out of order")
		})
	}}
	w := httptest.NewRecorder()
	s.serveOperation(op)(w, httptest.NewRequest("POST", "/", nil))
	if w.Code != 500 || w.Header().Get("X-Amzn-ErrorType") != "InternalFailureException" || strings.Contains(w.Body.String(), "order") {
		t.Errorf("got %d %s %s", w.Code, w.Header(), w.Body)
	}
	if !strings.Contains(log.String(), "out of order") {
		t.Errorf("the log does not say what happened: %s", log.String())
	}
	c := newClient(t, serve(t, s))
	if _, err := c.DescribeThing(t.Context(), &iot.DescribeThingInput{ThingName: aws.String("half")}); !isNotFound(err) {
		t.Errorf("half of the transaction is there: %v", err)
	}
	if _, err := c.CreateThing(t.Context(), &iot.CreateThingInput{ThingName: aws.String("t")}); err != nil {
		t.Errorf("the service is stuck: %v", err)
	}
}

// TestInternalFailure answers what AWS's client takes for a failure of ours.
func TestInternalFailure(t *testing.T) {
	s, err := Open(Options{Data: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	c := newClient(t, serve(t, s))
	s.Close() // there is no database any more
	if _, err := c.ListThings(t.Context(), &iot.ListThingsInput{}); !isInternal(err) {
		t.Errorf("got %v", err)
	}
}

// TestThrottling calls faster than AWS's quotas.
func TestThrottling(t *testing.T) {
	clock := time.Unix(1795381430, 0)
	c, ctx := newClient(t, serve(t, openService(t, Options{Throttle: true, Now: func() time.Time { return clock }}))), t.Context()
	list := func() error {
		_, err := c.ListDimensions(ctx, &iot.ListDimensionsInput{})
		return err
	}
	for i := range 10 {
		if err := list(); err != nil {
			t.Fatalf("call %d of 10 in a second: %v", i+1, err)
		}
	}
	if err := list(); !isThrottled(err) {
		t.Errorf("call 11: %v", err)
	}
	if _, err := c.ListCustomMetrics(ctx, &iot.ListCustomMetricsInput{}); err != nil {
		t.Errorf("another operation: %v", err)
	}
	clock = clock.Add(100 * time.Millisecond)
	if err := list(); err != nil {
		t.Errorf("a tenth of a second later: %v", err)
	}
	for i := range 30 { // no quota
		if _, err := c.TagResource(ctx, &iot.TagResourceInput{ResourceArn: aws.String("x"), Tags: []types.Tag{}}); !isInvalid(err) {
			t.Fatalf("call %d of TagResource: %v", i, err)
		}
	}
}

// TestAuthorizationIsNotLogged keeps signatures out of the log at every level.
func TestAuthorizationIsNotLogged(t *testing.T) {
	var log strings.Builder
	handler := openService(t, Options{Log: slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))}).Handler()
	header := http.Header{"Authorization": {"AWS4-HMAC-SHA256 Credential=AKID/x, Signature=5ec4e7"}, "X-Amz-Security-Token": {"5ec4e7"}}
	send(t, handler, "GET", "/things/nosuch?X-Amz-Signature=5ec4e7", header, "")
	header.Set("Origin", "https://evil.example")
	send(t, handler, "GET", "/things", header, "")
	if strings.Contains(log.String(), "5ec4e7") || !strings.Contains(log.String(), "evil.example") {
		t.Errorf("log: %s", log.String())
	}
}

// TestPages serves pages beside the API.
func TestPages(t *testing.T) {
	handler := openService(t, Options{Pages: func(*Service) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, "page ", r.URL.Path) })
	}}).Handler()
	for path, want := range map[string]string{"/": "page /", "/live/things": "page /live/things", "/things": `{"things":[]}`} {
		if got := send(t, handler, "GET", path, nil, "").Body.String(); got != want {
			t.Errorf("%s: got %q, want %q", path, got, want)
		}
	}
	if w := send(t, handler, "GET", "/", http.Header{"Host": {"evil.example"}}, ""); w.Code != 403 {
		t.Errorf("a page by another host: %d", w.Code)
	}
}

func TestSTSErrors(t *testing.T) {
	handler := openService(t, Options{}).Handler()
	form := http.Header{"Content-Type": {"application/x-www-form-urlencoded; charset=utf-8"}}
	for body, want := range map[string]string{
		"Action=AssumeRole&Version=2011-06-15": "<Code>InvalidAction</Code>",
		"":                                     "<Code>InvalidAction</Code>",
		"Action=%zz":                           "<Code>MalformedQueryString</Code>",
	} {
		w := send(t, handler, "POST", "/", form, body)
		if w.Code != 400 || w.Header().Get("Content-Type") != "text/xml" || !strings.Contains(w.Body.String(), want) {
			t.Errorf("%q: got %d %s", body, w.Code, w.Body)
		}
	}
}
