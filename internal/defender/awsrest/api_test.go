package awsrest

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"
)

// TestRawRequests sends what AWS's clients don't, and compares the status, the
// error type in the header and a part of the message.
func TestRawRequests(t *testing.T) {
	handler := library().Handler()
	const book = "/books/B"
	deep := strings.Repeat(`{"a":`, 40) + "1" + strings.Repeat("}", 40)
	for _, test := range []struct {
		name, method, path, body string
		status                   int
		says                     string // part of the message
	}{
		{"no body", "POST", book, "", 200, ""},
		{"member twice", "POST", book, `{"chapters":[],"chapters":[]}`, 400, `member "chapters" is given twice`},
		{"member twice below", "POST", book, `{"chapters":[{"name":"B","name":"C"}]}`, 400, `member "chapters[0].name" is given twice`},
		{"unknown member", "POST", book, `{"chapter":[]}`, 400, `member "chapter" is unknown`},
		{"unknown member below", "POST", book, `{"shelves":{"a":{"city:":"d"}}}`, 400, `"shelves.a.city:" is unknown`},
		{"other capitals", "POST", book, `{"Chapters":[]}`, 400, `member "Chapters" is unknown`},
		{"more after it", "POST", book, `{} {}`, 400, "there is more"},
		{"half of it", "POST", book, `{"chapters":[`, 400, "ends too early"},
		{"no JSON", "POST", book, `chapters=1`, 400, "at byte 1"},
		{"not an object", "POST", book, `[]`, 400, "the body is a list, want an object"},
		{"null", "POST", book, `null`, 400, "the body is null"},
		{"string for a list", "POST", book, `{"chapters":"B"}`, 400, "chapters is a string, want a list"},
		{"string for a flag", "POST", book, `{"lent":"true"}`, 400, "lent is a string, want true or false"},
		{"number for a string", "POST", book, `{"chapters":[{"name":7}]}`, 400, "chapters[0].name is a number, want a string"},
		{"string for a number", "POST", book, `{"chapters":[{"pages":"300"}]}`, 400, "chapters[0].pages is a string, want a number"},
		{"fraction", "POST", book, `{"chapters":[{"pages":300.5}]}`, 400, "chapters[0].pages"},
		{"more than 32 bits", "POST", book, `{"chapters":[{"pages":4294967296}]}`, 400, "integer of 32 bits"},
		{"more than 64 bits", "POST", book, `{"chapters":[{"words":9223372036854775808}]}`, 400, "integer of 64 bits"},
		{"more than a double", "POST", book, `{"chapters":[{"rating":1e999}]}`, 400, "double"},
		{"null in a list", "POST", book, `{"chapters":[null]}`, 400, "chapters[0] is null"},
		{"a member that is null is absent", "POST", book, `{"chapters":null}`, 200, ""},
		{"not UTF-8", "POST", book, "{\"title\":\"\xff\"}", 400, "not UTF-8"},
		{"deep", "POST", book, deep, 400, `"a" is unknown`},
		{"deep where anything may be", "POST", book, `{"note":` + deep + `}`, 400, "nested more than 32 deep"},
		{"a body that the operation does not have", "PUT", book + "/reader", `{}`, 400, "LendBook has no body"},
		{"a body of GET", "GET", "/books", `{}`, 400, "ListBooks has no body"},
		{"unknown parameter", "GET", "/books?maxresults=1", "", 400, `ListBooks has no query parameter "maxresults"`},
		{"pages where there are none", "GET", book + "?maxResults=1", "", 400, `DescribeBook has no query parameter "maxResults"`},
		{"parameter twice", "GET", "/books?maxResults=1&maxResults=2", "", 400, "given 2 times"},
		{"parameter that is no number", "GET", "/books?maxResults=x", "", 400, "'maxResults'"},
		{"a page of none", "GET", "/books?maxResults=0", "", 400, "between 1 and 250"},
		{"a page of 251", "GET", "/books?maxResults=251", "", 400, "between 1 and 250"},
		{"parameter that is no boolean", "GET", "/books?lent=1", "", 400, "'lent'"},
		{"version that is no number", "DELETE", book + "?expectedVersion=x", "", 400, "'expectedVersion'"},
		{"malformed query", "GET", "/books?a=%zz", "", 400, "query string"},
		{"a signature in the query", "GET", "/books?X-Amz-Signature=0", "", 200, ""},
		{"name that is none", "GET", "/books/a%2Fb", "", 400, "Value 'a/b' at 'bookName'"},
		{"percent-encoded name", "GET", "/books/%50", "", 200, ""},
		{"no name", "GET", "/books/", "", 404, "GET /books/ is no operation of this service, which has books"},
		{"dots", "GET", "/books/../books", "", 404, "no operation"},
		{"two slashes", "GET", "//books", "", 404, "no operation"},
		{"another method", "DELETE", "/books", "", 405, "DELETE /books is no operation"},
		{"no pages for people", "GET", "/", "", 405, "no operation"},
		{"preflight", "OPTIONS", "/books", "", 405, "no operation"},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := send(handler, test.method, test.path, jsonBody, test.body)
			var answer struct{ Message string }
			if err := json.Unmarshal(w.Body.Bytes(), &answer); err != nil {
				t.Fatalf("%d %s: %v", w.Code, w.Body, err)
			}
			errorType := w.Header().Get("X-Amzn-ErrorType")
			kind := map[int]string{400: "InvalidRequestException", 404: "UnknownOperationException", 405: "UnknownOperationException"}[test.status]
			if w.Code != test.status || errorType != kind || !strings.Contains(answer.Message, test.says) {
				t.Errorf("got %d %s %q, want %d %s", w.Code, errorType, answer.Message, test.status, test.says)
			}
			if got := w.Header().Get("Content-Type"); got != "application/json" {
				t.Errorf("Content-Type %q", got)
			}
		})
	}
	if allow := send(handler, "POST", "/books", nil, "").Header().Get("Allow"); allow != "GET" {
		t.Errorf("Allow: %q, want GET", allow)
	}
}

func TestLargeBody(t *testing.T) {
	body := `{"title":"` + strings.Repeat("x", maxBody) + `"}`
	w := send(library().Handler(), "POST", "/books/B", jsonBody, body)
	if w.Code != http.StatusRequestEntityTooLarge || w.Header().Get("X-Amzn-ErrorType") != "RequestEntityTooLargeException" {
		t.Errorf("got %d %s", w.Code, w.Body)
	}
}

// Who is not authorized learns nothing, changes nothing, and uses up nobody's quota.
func TestAuthorize(t *testing.T) {
	api := library()
	now := time.Unix(1795381430, 0)
	api.Throttle, api.Now = true, func() time.Time { return now }
	api.Authorize = func(r *Request) error {
		if r.HTTP.Header.Get("Authorization") == "" && r.Operation.Access != Public || string(r.Body) == `{"forged":1}` {
			return &Error{Type: "UnrecognizedClientException", Status: http.StatusForbidden, Message: "who is it?"}
		}
		return nil
	}
	api.Operations = append(api.Operations, Operation{Name: "Hello", Method: "GET", Path: "/hello", Access: Public, Handle: func(*Request) (any, error) { return "hello", nil }})
	handler := api.Handler()
	signed := http.Header{"Authorization": {"AWS4-HMAC-SHA256 ..."}, "Content-Type": {"application/json"}}
	for range 30 {
		if w := send(handler, "GET", "/readers?nosuch=1", nil, ""); w.Code != 403 || w.Header().Get("X-Amzn-ErrorType") != "UnrecognizedClientException" {
			t.Fatalf("a stranger: %d %s", w.Code, w.Body)
		}
	}
	for i, test := range []struct {
		method, path string
		header       http.Header
		body         string
		status       int
	}{
		{"GET", "/hello", nil, "", 200},
		{"GET", "/readers", signed, "", 200},
		{"POST", "/books/B", jsonBody, `{}`, 403},
		{"POST", "/books/B", signed, `{"forged":1}`, 403},
		{"POST", "/books/B", signed, `{}`, 200},
	} {
		if w := send(handler, test.method, test.path, test.header, test.body); w.Code != test.status {
			t.Errorf("%d: %s %s: %d %s, want %d", i, test.method, test.path, w.Code, w.Body, test.status)
		}
	}
}

// An API that can't be meant is noticed at once.
func TestHandlerPanics(t *testing.T) {
	for name, change := range map[string]func(*API){
		"no authorizer":           func(a *API) { a.Authorize = nil },
		"no access level":         func(a *API) { a.Operations[0].Access = 0 },
		"no such access level":    func(a *API) { a.Operations[0].Access = Admin + 1 },
		"two operations in place": func(a *API) { a.Operations[1] = a.Operations[0] },
	} {
		t.Run(name, func(t *testing.T) {
			defer func() {
				if recover() == nil {
					t.Error("it is taken")
				}
			}()
			a := library()
			change(a)
			a.Handler()
		})
	}
}

// What is wrong with the service is logged, and not told.
func TestInternalFailures(t *testing.T) {
	for name, handle := range map[string]func(*Request) (any, error){
		"panic": func(*Request) (any, error) { panic("out of order") },
		"error": func(*Request) (any, error) { return nil, fmt.Errorf("disk: %w", errors.New("out of order")) },
	} {
		t.Run(name, func(t *testing.T) {
			var log strings.Builder
			api := library()
			api.Log = slog.New(slog.NewTextHandler(&log, nil))
			api.Operations = []Operation{{Name: "Broken", Method: "GET", Path: "/broken", Access: Read, Handle: handle}}
			w := send(api.Handler(), "GET", "/broken", nil, "")
			if w.Code != 500 || w.Header().Get("X-Amzn-ErrorType") != "InternalFailureException" || strings.Contains(w.Body.String(), "order") {
				t.Errorf("got %d %s %s", w.Code, w.Header(), w.Body)
			}
			if !strings.Contains(log.String(), "out of order") || !strings.Contains(log.String(), "level=ERROR") {
				t.Errorf("the log does not say what happened: %s", log.String())
			}
		})
	}
}

// TestAuthorizationIsNotLogged keeps signatures out of the log at every level.
func TestAuthorizationIsNotLogged(t *testing.T) {
	var log strings.Builder
	api := library()
	api.Log = slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	handler := api.Handler()
	header := http.Header{"Authorization": {"AWS4-HMAC-SHA256 Credential=AKID/x, Signature=5ec4e7"}, "X-Amz-Security-Token": {"5ec4e7"}}
	send(handler, "GET", "/books?lent=maybe&X-Amz-Signature=5ec4e7", header, "")
	header.Set("Origin", "https://evil.example")
	send(handler, "GET", "/books", header, "")
	for _, want := range []string{"operation failed", "evil.example"} {
		if !strings.Contains(log.String(), want) {
			t.Errorf("log without %q: %s", want, log.String())
		}
	}
	if strings.Contains(log.String(), "5ec4e7") {
		t.Errorf("log: %s", log.String())
	}
}

// TestPages serves pages beside the API.
func TestPages(t *testing.T) {
	api := library()
	page := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, "page ", r.URL.Path) })
	api.Pages = map[string]http.Handler{"GET /{$}": page, "GET /live/": page}
	handler := api.Handler()
	for path, want := range map[string]string{"/": "page /", "/live/books": "page /live/books", "/books/B": `{"bookName":"B"}`} {
		if got := send(handler, "GET", path, nil, "").Body.String(); got != want {
			t.Errorf("%s: got %q, want %q", path, got, want)
		}
	}
	if w := send(handler, "GET", "/", http.Header{"Host": {"evil.example"}}, ""); w.Code != 403 {
		t.Errorf("a page by another host: %d", w.Code)
	}
}
