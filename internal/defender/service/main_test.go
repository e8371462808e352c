package service

import (
	"context"
	"errors"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/iot"
	"github.com/aws/aws-sdk-go-v2/service/iot/types"
	"go.uber.org/goleak"

	"github.com/device-defender/device-defender/internal/defender/alert"
	"github.com/device-defender/device-defender/internal/memdir"
)

// children are programs that tests run by starting the test binary again, to
// kill it: see startChild.
var children = map[string]func(args []string){}

// childVariable names the child in its environment.
const childVariable = "DEFENDER_SERVICE_TEST_CHILD"

func TestMain(m *testing.M) {
	if child := children[os.Getenv(childVariable)]; child != nil {
		child(os.Args[1:])
		return
	}
	goleak.VerifyTestMain(m)
}

// openService opens a service whose state is in a folder of the test's own
// when the options name none.
func openService(t testing.TB, o Options) *Service {
	t.Helper()
	if o.Data == "" {
		o.Data = memdir.New(t)
	}
	s, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// hook is the target of the outbox that a webhook is.
const hook = "webhook"

// webhook is the channel of a service that has one only.
func webhook(url string) []alert.Channel { return []alert.Channel{alert.PlainWebhook(url)} }

// advance does what Run does when time has passed.
func (s *Service) advance(ctx context.Context) error {
	return errors.Join(s.keepClock(ctx), s.runJobs(ctx, nil))
}

// serve returns the URL at which the service's handler is served.
func serve(t testing.TB, s *Service) string {
	t.Helper()
	server := httptest.NewServer(s.Handler())
	t.Cleanup(server.Close)
	return server.URL
}

// send has the handler answer a request. The header Host is the request's
// host; without one it is 127.0.0.1:8787.
func send(t testing.TB, handler http.Handler, method, path string, header http.Header, body string) *httptest.ResponseRecorder {
	t.Helper()
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

// newClient returns AWS's own client of the API at the URL. It doesn't retry.
func newClient(t testing.TB, url string) *iot.Client {
	t.Helper()
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	return iot.NewFromConfig(aws.Config{
		Region:      "us-east-1",
		Credentials: credentials.NewStaticCredentialsProvider("AKIDEXAMPLE", "secret", ""),
		HTTPClient:  &http.Client{Transport: transport},
		Retryer:     func() aws.Retryer { return aws.NopRetryer{} },
	}, func(o *iot.Options) { o.BaseEndpoint = aws.String(url) })
}

// is reports whether AWS's client took the error for one of type E.
func is[E error](err error) bool {
	_, ok := errors.AsType[E](err)
	return ok
}

// The errors of the API.
var (
	isInvalid       = is[*types.InvalidRequestException]
	isNotFound      = is[*types.ResourceNotFoundException]
	isAlreadyExists = is[*types.ResourceAlreadyExistsException]
	isConflict      = is[*types.VersionConflictException]
	isLimit         = is[*types.LimitExceededException]
	isThrottled     = is[*types.ThrottlingException]
	isInternal      = is[*types.InternalFailureException]
)
