package awsrest

import (
	"context"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// bookInput has a member of each kind that bodies have.
type bookInput struct {
	Title    *string         `json:"title"`
	Chapters []chapter       `json:"chapters"`
	Shelves  map[string]shop `json:"shelves"`
	Lent     bool            `json:"lent"`
	Note     any             `json:"note"`
}

type chapter struct {
	Name   string    `json:"name"`
	Pages  *int32    `json:"pages"`
	Words  *int64    `json:"words"`
	Rating *float64  `json:"rating"`
	Marks  []float64 `json:"marks"`
}

type shop struct {
	City string `json:"city"`
}

// library is a service of books for tests, which has kept three of them. It is an
// API of which tests change what they are about.
func library() *API {
	books := []string{"a-longer-name-a", "a-longer-name-b", "a-longer-name-c"}
	nothing := func(*Request) (any, error) { return struct{}{}, nil }
	put := func(r *Request) (any, error) {
		var in bookInput
		return struct{}{}, r.Decode(&in)
	}
	list := func(r *Request) (any, error) {
		if _, err := r.QueryBool("lent"); err != nil {
			return nil, err
		}
		return List(r, "books", func(after string, yield func(string, string) bool) error {
			at, found := slices.BinarySearch(books, after)
			if found {
				at++
			}
			for _, book := range books[at:] {
				if !yield(book, book) {
					break
				}
			}
			return nil
		})
	}
	return &API{
		Operations: []Operation{
			{Name: "CreateBook", Method: "POST", Path: "/books/{bookName}", Access: Write, Handle: put},
			{Name: "DescribeBook", Method: "GET", Path: "/books/{bookName}", Access: Read, Handle: func(r *Request) (any, error) {
				return map[string]string{"bookName": r.Name("bookName")}, nil
			}},
			{Name: "DeleteBook", Method: "DELETE", Path: "/books/{bookName}", Access: Write, Query: []string{"expectedVersion"}, Handle: func(r *Request) (any, error) {
				_, err := r.QueryInt("expectedVersion")
				return struct{}{}, err
			}},
			{Name: "LendBook", Method: "PUT", Path: "/books/{bookName}/reader", Access: Write, NoBody: true, Handle: nothing},
			{Name: "ListBooks", Method: "GET", Path: "/books", Access: Read, Handle: list, MaxResults: 250, Query: []string{"lent"}},
			{Name: "ListReaders", Method: "GET", Path: "/readers", Access: Read, Handle: list, MaxResults: 250, TPS: 10},
			{Name: "Scan", Method: "POST", Path: "/{$}", Access: Report, Handle: nothing, ContentTypes: []string{"application/cbor"}},
		},
		Authorize: Everybody,
		Members: map[string]func(member, value string) error{"bookName": func(member, value string) error {
			if strings.Contains(value, "/") {
				return Constraint(member, value, "Member must have no slash")
			}
			return nil
		}},
		Unknown: "which has books",
		Now:     time.Now,
		Log:     slog.New(slog.DiscardHandler),
	}
}

// send has the handler answer a request. The header Host is the request's
// host; without one it is 127.0.0.1:8787.
func send(handler http.Handler, method, path string, header http.Header, body string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, "http://127.0.0.1:8787"+path, strings.NewReader(body))
	maps.Copy(r.Header, header)
	if host := header.Get("Host"); host != "" {
		r.Host = host
	}
	w := httptest.NewRecorder()
	handler.ServeHTTP(w, r)
	return w
}

var jsonBody = http.Header{"Content-Type": {"application/json"}}

// start serves a library until the test ends, or stop is called. It returns the
// address.
func start(t *testing.T, l net.Listener) (address string, stop func()) {
	t.Helper()
	if l == nil {
		var err error
		if l, err = Listen(t.Context(), "127.0.0.1:0"); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- library().Serve(ctx, l) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return l.Addr().String(), cancel
}
