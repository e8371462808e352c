package awsrest

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"testing"
)

// A stream comes as it is written. One that fails is cut off, so that nobody takes it
// for whole, and one that goes on ends with Serve.
func TestStream(t *testing.T) {
	large := bytes.Repeat([]byte("0123456789abcdef"), 1<<16)
	started := make(chan struct{})
	streams := map[string]func(context.Context, io.Writer) error{
		"whole": func(_ context.Context, w io.Writer) error {
			_, err := w.Write(large)
			return err
		},
		"half": func(_ context.Context, w io.Writer) error {
			_, err := w.Write(large[:len(large)/2])
			return errors.Join(err, errors.New("the disk is gone"))
		},
		"endless": func(ctx context.Context, w io.Writer) error {
			_, err := w.Write(large)
			close(started)
			<-ctx.Done()
			return errors.Join(err, ctx.Err())
		},
	}
	a := library()
	a.Operations = append(a.Operations, Operation{Name: "CopyBook", Method: "GET", Path: "/copies/{name}", Access: Read, Handle: func(r *Request) (any, error) {
		return &Answer{Status: http.StatusOK, ContentType: "application/zstd", Stream: streams[r.Name("name")]}, nil
	}})
	l, err := Listen(t.Context(), "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- a.Serve(ctx, l) }()
	get := func(name string) (*http.Response, []byte, error) {
		t.Helper()
		answer, err := http.Get("http://" + l.Addr().String() + "/copies/" + name)
		if err != nil {
			t.Fatal(err)
		}
		defer answer.Body.Close()
		if name == "endless" {
			<-started
			cancel()
		}
		text, err := io.ReadAll(answer.Body)
		return answer, text, err
	}
	if answer, text, err := get("whole"); err != nil || answer.Header.Get("Content-Type") != "application/zstd" || !bytes.Equal(text, large) {
		t.Errorf("%v, %v, %d bytes", err, answer.Header, len(text))
	}
	for _, name := range []string{"half", "endless"} {
		if _, text, err := get(name); err == nil {
			t.Errorf("%s: %d bytes, and no error", name, len(text))
		}
	}
	if err := <-ended; err != nil {
		t.Error(err)
	}
	http.DefaultClient.CloseIdleConnections()
}
