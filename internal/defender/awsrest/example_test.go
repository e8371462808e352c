package awsrest_test

import (
	"context"
	"fmt"
	"io"
	"log"
	"log/slog"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/device-defender/device-defender/internal/defender/awsrest"
)

// notes is a service: handlers are its methods.
type notes map[string]string

func (n notes) create(r *awsrest.Request) (any, error) {
	var in struct {
		Text *string `json:"text"`
	}
	if err := r.Decode(&in); err != nil {
		return nil, err
	}
	if in.Text == nil {
		return nil, awsrest.Missing("text")
	}
	n[r.Name("noteName")] = *in.Text
	return struct{}{}, nil
}

func (n notes) list(r *awsrest.Request) (any, error) {
	return awsrest.List(r, "notes", func(after string, yield func(string, string) bool) error {
		for _, name := range slices.Sorted(maps.Keys(n)) {
			if name > after && !yield(name, n[name]) {
				break
			}
		}
		return nil
	})
}

// A service of two operations, and what its callers get.
func Example() {
	n := notes{}
	api := &awsrest.API{
		Operations: []awsrest.Operation{
			{Name: "CreateNote", Method: "POST", Path: "/notes/{noteName}", Access: awsrest.Write, Handle: n.create},
			{Name: "ListNotes", Method: "GET", Path: "/notes", Access: awsrest.Read, Handle: n.list, MaxResults: 100},
		},
		Authorize: awsrest.Everybody,
		Unknown:   "which keeps notes",
		Now:       time.Now,
		Log:       slog.New(slog.DiscardHandler),
	}
	listener, err := awsrest.Listen(context.Background(), "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	served := make(chan error)
	go func() { served <- api.Serve(ctx, listener) }()
	call := func(method, path, body string) {
		request, err := http.NewRequest(method, "http://"+listener.Addr().String()+path, strings.NewReader(body))
		if err != nil {
			log.Fatal(err)
		}
		request.Header.Set("Content-Type", "application/json")
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			log.Fatal(err)
		}
		answer, err := io.ReadAll(response.Body)
		if err != nil {
			log.Fatal(err)
		}
		response.Body.Close()
		fmt.Println(response.StatusCode, string(answer))
	}
	call("POST", "/notes/a", `{"text": "milk"}`)
	call("POST", "/notes/b", `{"txt": "bread"}`)
	call("GET", "/notes?maxResults=5", "")
	call("GET", "/note", "")
	http.DefaultClient.CloseIdleConnections()
	stop()
	fmt.Println(<-served)
	// Output:
	// 200 {}
	// 400 {"message":"the body is not the JSON that the operation takes: member \"txt\" is unknown"}
	// 200 {"notes":["milk"]}
	// 404 {"message":"GET /note is no operation of this service, which keeps notes"}
	// <nil>
}
