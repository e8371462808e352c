package service

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/google/go-cmp/cmp"

	"github.com/device-defender/device-defender/internal/defender/store"
)

// events are the entries of the audit log, the earliest first, each as a line.
func (s *Service) events(t *testing.T, f AuditFilter) (lines []string) {
	t.Helper()
	list, _, err := s.AuditEvents(t.Context(), f, 1000)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range list {
		line := strings.TrimSpace(fmt.Sprint(e.User, " ", e.From, " ", e.Operation, " ", e.Path, " ", e.Status, " ", e.Error))
		lines = append([]string{line}, lines...)
	}
	return lines
}

func wantLines(t *testing.T, got []string, want ...string) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("audit log (-want +got):\n%s", diff)
	}
}

// Who changes something is in the log, with the answer; who reads is not, unless it
// is not allowed.
func TestAuditLog(t *testing.T) {
	clock := time.Date(2026, 11, 26, 12, 0, 0, 0, time.UTC)
	g := openGuarded(t, Options{Now: func() time.Time { return clock }})
	ana, ben := g.create(t, "ana", "operator"), g.create(t, "ben", "viewer")
	clock = clock.Add(time.Minute)
	begin := clock
	arn := url.QueryEscape("arn:aws:iot:us-east-1:123456789012:all/things")
	for _, call := range []struct {
		by                 aws.Credentials
		method, path, body string
	}{
		{ana, "POST", "/security-profiles/P", `{"securityProfileDescription":"first"}`},
		{ana, "PUT", "/security-profiles/P/targets?securityProfileTargetArn=" + arn, ""},
		{ana, "GET", "/security-profiles/P", ""},
		{ana, "POST", "/security-profiles/P", ""},
		{ana, "DELETE", "/things/nobody", ""},
		{ben, "GET", "/things", ""},
		{ben, "POST", "/things/a", ""},
		{ben, "GET", "/access-keys", ""},
		{aws.Credentials{AccessKeyID: ana.AccessKeyID, SecretAccessKey: "guess"}, "GET", "/things", ""},
		{aws.Credentials{}, "DELETE", "/things/a", ""},
	} {
		header := http.Header{}
		if call.body != "" {
			header = jsonBody
		}
		g.call(t, call.by, call.method, call.path, header, call.body)
	}
	// httptest's requests are from 192.0.2.1.
	wantLines(t, g.events(t, AuditFilter{From: begin}),
		"ana 192.0.2.1 CreateSecurityProfile /security-profiles/P 200",
		"ana 192.0.2.1 AttachSecurityProfile /security-profiles/P/targets 200",
		"ana 192.0.2.1 CreateSecurityProfile /security-profiles/P 409 ResourceAlreadyExistsException",
		"ana 192.0.2.1 DeleteThing /things/nobody 200",
		"ben 192.0.2.1 CreateThing /things/a 403 AccessDeniedException",
		"ben 192.0.2.1 ListAccessKeys /access-keys 403 AccessDeniedException",
		"192.0.2.1 ListThings /things 403 InvalidSignatureException",
		"192.0.2.1 DeleteThing /things/a 403 MissingAuthenticationTokenException",
	)
	wantLines(t, g.events(t, AuditFilter{User: "ben", Operation: "CreateThing"}), "ben 192.0.2.1 CreateThing /things/a 403 AccessDeniedException")
	wantLines(t, g.events(t, AuditFilter{To: begin.Add(-time.Millisecond)}),
		"admin 192.0.2.1 CreateAccessKey /access-keys/ana 200", "admin 192.0.2.1 CreateAccessKey /access-keys/ben 200")

	// The operation tells the same, to administrators.
	query := url.Values{"startTime": {begin.Format(time.RFC3339)}, "userName": {"ana"}, "maxResults": {"3"}}
	var page struct {
		Events []map[string]any `json:"auditEvents"`
		Next   string           `json:"nextToken"`
	}
	w := g.call(t, g.admin, "GET", "/audit?"+query.Encode(), nil, "")
	if err := json.Unmarshal(w.Body.Bytes(), &page); err != nil || len(page.Events) != 3 || page.Next == "" {
		t.Fatalf("%d %s", w.Code, w.Body)
	}
	query.Set("nextToken", page.Next)
	w = g.call(t, g.admin, "GET", "/audit?"+query.Encode(), nil, "")
	page.Next = ""
	if err := json.Unmarshal(w.Body.Bytes(), &page); err != nil || len(page.Events) != 1 || page.Next != "" {
		t.Fatalf("%d %s", w.Code, w.Body)
	}
	want := map[string]any{
		"time": float64(begin.Unix()), "userName": "ana", "accessKeyId": ana.AccessKeyID, "sourceAddress": "192.0.2.1", "operationName": "CreateSecurityProfile",
		"path": "/security-profiles/P", "parameters": `{"securityProfileDescription":"first"}`, "status": 200.0,
	}
	if diff := cmp.Diff(want, page.Events[0]); diff != "" {
		t.Errorf("the first event (-want +got):\n%s", diff)
	}
	if got := failure(g.call(t, ana, "GET", "/audit", nil, "")); got != "403 AccessDeniedException" {
		t.Errorf("an operator reads the log: %s", got)
	}
}

// commits counts what is committed.
type commits struct{ n atomic.Int64 }

func (c *commits) wrap(b store.Backend) store.Backend { return commitsBackend{b, c} }

type commitsBackend struct {
	store.Backend
	commits *commits
}

func (b commitsBackend) Begin(ctx context.Context, writing bool) (store.Txn, error) {
	txn, err := b.Backend.Begin(ctx, writing)
	return commitsTxn{txn, b.commits}, err
}

type commitsTxn struct {
	store.Txn
	commits *commits
}

func (t commitsTxn) Commit(ctx context.Context, writes []store.Write, guards []store.Address) error {
	t.commits.n.Add(1)
	return t.Txn.Commit(ctx, writes, guards)
}

// A change and its row are one transaction: neither is there without the other.
func TestAuditIsInTheTransaction(t *testing.T) {
	var c commits
	s := openService(t, Options{wrap: c.wrap})
	handler := s.Handler()
	for _, call := range []struct{ method, path, body string }{
		{"POST", "/things/a", `{}`},
		{"POST", "/thing-groups/g", `{}`},
		{"PUT", "/thing-groups/addThingToThingGroup", `{"thingGroupName":"g","thingName":"a"}`},
		{"POST", "/tags", `{"resourceArn":"` + account + `thinggroup/g","tags":[{"Key":"k","Value":"v"}]}`},
		{"POST", "/mitigationactions/actions/M", `{"roleArn":"arn:aws:iam::123456789012:role/R","actionParams":{"addThingsToThingGroupParams":{"thingGroupNames":["g"]}}}`},
		{"DELETE", "/things/a", ""},
	} {
		before := c.n.Load()
		var header http.Header
		if call.body != "" {
			header = jsonBody
		}
		if w := send(t, handler, call.method, call.path, header, call.body); w.Code != 200 {
			t.Fatalf("%s %s: %d %s", call.method, call.path, w.Code, w.Body)
		}
		if n := c.n.Load() - before; n != 1 {
			t.Errorf("%s %s: %d transactions, want 1", call.method, call.path, n)
		}
	}
	wantLines(t, s.events(t, AuditFilter{}),
		"loopback 192.0.2.1 CreateThing /things/a 200",
		"loopback 192.0.2.1 CreateThingGroup /thing-groups/g 200",
		"loopback 192.0.2.1 AddThingToThingGroup /thing-groups/addThingToThingGroup 200",
		"loopback 192.0.2.1 TagResource /tags 200",
		"loopback 192.0.2.1 CreateMitigationAction /mitigationactions/actions/M 200",
		"loopback 192.0.2.1 DeleteThing /things/a 200",
	)
}

// On a full disk nothing is changed, and nothing is said to have been.
func TestAuditOnAFullDisk(t *testing.T) {
	var d disk
	s := openService(t, Options{wrap: d.wrap})
	handler := s.Handler()
	d.full.Store(true)
	if w := send(t, handler, "POST", "/things/a", jsonBody, `{}`); w.Code == 200 {
		t.Fatalf("%d %s", w.Code, w.Body)
	}
	d.full.Store(false)
	wantLines(t, s.events(t, AuditFilter{}))
}

// What is refused does not fill the disk, and a stranger does not hide what those
// who are known try.
func TestRefusalsAreBounded(t *testing.T) {
	clock := time.Date(2026, 11, 26, 12, 0, 0, 0, time.UTC)
	g := openGuarded(t, Options{Now: func() time.Time { return clock }})
	ben := g.create(t, "ben", "viewer")
	for range 3 * refusalBurst {
		g.call(t, aws.Credentials{}, "GET", "/things", nil, "")
	}
	if n := len(g.events(t, AuditFilter{Operation: "ListThings"})); n != refusalBurst {
		t.Errorf("%d of %d refused calls are kept, want %d", n, 3*refusalBurst, refusalBurst)
	}
	g.call(t, ben, "POST", "/things/a", nil, "")
	wantLines(t, g.events(t, AuditFilter{User: "ben"}), "ben 192.0.2.1 CreateThing /things/a 403 AccessDeniedException")
	clock = clock.Add(refusalPause)
	g.call(t, aws.Credentials{}, "GET", "/things", nil, "")
	list, _, err := g.AuditEvents(t.Context(), AuditFilter{}, 1)
	if err != nil || list[0].Omitted != 2*refusalBurst {
		t.Errorf("%+v, %v; want %d omitted", list, err, 2*refusalBurst)
	}
}

// The log goes after 90 days, by the day.
func TestAuditRetention(t *testing.T) {
	clock := time.Date(2026, 11, 26, 12, 0, 0, 0, time.UTC)
	s := openService(t, Options{Now: func() time.Time { return clock }})
	handler := s.Handler()
	for day := range 100 {
		clock = time.Date(2026, 11, 26+day, 12, 0, 0, 0, time.UTC)
		send(t, handler, "POST", fmt.Sprintf("/things/day-%d", day), nil, "")
	}
	if err := s.prune(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := s.events(t, AuditFilter{}); len(got) != 91 || !strings.Contains(got[0], "/things/day-9 ") {
		t.Errorf("%d days from %q, want 91 from day-9", len(got), got[:1])
	}
}

func TestAuditParameters(t *testing.T) {
	list := strings.Repeat(`"x",`, 50)
	for body, want := range map[string]string{
		``:                                `{"resourceArn":"arn"}`,
		`not JSON`:                        `{"resourceArn":"arn"}`,
		`{"tags":[{"Key":"k","n":1.50}]}`: `{"resourceArn":"arn","tags":[{"Key":"k","n":1.50}]}`,
		`{"a":{"clientRequestToken":"t","secretAccessKey":["s"],"Password":1}}`: `{"a":{"Password":"(not kept)","clientRequestToken":"(not kept)","secretAccessKey":"(not kept)"},"resourceArn":"arn"}`,
		`{"l":[` + list + `1]}`:                       `{"l":[` + strings.Repeat(`"x",`, 20) + `"..."],"resourceArn":"arn"}`,
		`{"pem":"` + strings.Repeat("p", 1000) + `"}`: `{"pem":"` + strings.Repeat("p", 128) + `...","resourceArn":"arn"}`,
	} {
		if got := auditParameters(url.Values{"resourceArn": {"arn"}, "X-Amz-Signature": {"abc"}}, []byte(body)); got != want {
			t.Errorf("%.80s: %s, want %s", body, got, want)
		}
	}
}

// Whatever comes, what is kept is bounded, is text, and has no secret in it.
func FuzzAuditParameters(f *testing.F) {
	f.Add("a=b", []byte(`{"secret":{"x":"hunter2"},"a":[1,2,{"token":"hunter2"}],"n":1e999999}`))
	f.Add("a=%ff", []byte(`{"\ud800":"\u0000"}`))
	f.Add("", []byte(`[[[[1]]]]`))
	f.Fuzz(func(t *testing.T, query string, body []byte) {
		values, err := url.ParseQuery(query)
		if err != nil {
			return
		}
		body, err = json.Marshal(map[string]any{"in": json.RawMessage(body), "mySecret": "hunter2"})
		if err != nil {
			return
		}
		got := auditParameters(values, body)
		if len(got) > maxAuditParameters+3 || !utf8.ValidString(got) {
			t.Errorf("%q", got)
		}
		if !strings.Contains(query, "hunter2") && strings.Count(got, "hunter2") > strings.Count(string(body), "hunter2")-1 {
			t.Errorf("a secret is kept: %q", got)
		}
	})
}
