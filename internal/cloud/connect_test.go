package cloud

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/iot"
	"github.com/aws/aws-sdk-go-v2/service/iot/types"
)

// noAWS makes the environment that of a user who has nothing of AWS.
func noAWS(t *testing.T) {
	for _, line := range os.Environ() {
		if name, _, _ := strings.Cut(line, "="); strings.HasPrefix(name, "AWS_") {
			t.Setenv(name, "")
			os.Unsetenv(name)
		}
	}
	t.Setenv("HOME", t.TempDir())
	t.Setenv("AWS_CONFIG_FILE", filepath.Join(t.TempDir(), "config"))
	t.Setenv("AWS_SHARED_CREDENTIALS_FILE", filepath.Join(t.TempDir(), "credentials"))
	t.Setenv("AWS_EC2_METADATA_DISABLED", "true")
}

// recorder is a server that takes down who calls.
func recorder(t *testing.T) (url string, last func() http.Header) {
	var header http.Header
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		header = r.Header
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprint(w, `{"securityProfileIdentifiers": []}`)
	}))
	t.Cleanup(server.Close)
	return server.URL, func() http.Header { return header }
}

// A service on loopback needs nothing of AWS, and sees nothing of it: neither
// credentials nor what is wrong in the user's files.
func TestConnectLocal(t *testing.T) {
	url, last := recorder(t)
	noAWS(t)
	t.Setenv("AWS_ACCESS_KEY_ID", "AKIAREAL")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "secret")
	t.Setenv("AWS_SESSION_TOKEN", "token")
	t.Setenv("AWS_REGION", "eu-west-1")
	t.Setenv("AWS_PROFILE", "missing")
	check := func(o Options, region, key string) {
		t.Helper()
		c, err := Connect(t.Context(), o)
		if err != nil {
			t.Fatalf("%+v: %v", o, err)
		}
		if _, err := c.ProfileNames(t.Context()); err != nil {
			t.Fatal(err)
		}
		want := regexp.MustCompile(fmt.Sprintf(`Credential=%s/\d{8}/%s/iot/aws4_request`, key, region))
		if a := last().Get("Authorization"); !want.MatchString(a) || last().Get("X-Amz-Security-Token") != "" {
			t.Errorf("%+v: %s, %s", o, a, last().Get("X-Amz-Security-Token"))
		}
		if !isPatient(c) {
			t.Errorf("%+v: an answer is waited for without end", o)
		}
		if !c.Local || c.Region != region || c.Source() != url {
			t.Errorf("%+v", c)
		}
	}
	check(Options{EndpointURL: url}, "us-east-1", "local")
	check(Options{EndpointURL: url, Region: "eu-central-1"}, "eu-central-1", "local")
	t.Setenv("AWS_PROFILE", "")
	t.Setenv("AWS_ENDPOINT_URL_IOT", url)
	check(Options{}, "us-east-1", "local")

	// Unless they are asked for.
	config := filepath.Join(t.TempDir(), "config")
	if err := os.WriteFile(config, []byte("[profile p]\nregion = ap-southeast-1\naws_access_key_id = AKIAP\naws_secret_access_key = s\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("AWS_CONFIG_FILE", config)
	t.Setenv("AWS_REGION", "")
	check(Options{Profile: "p"}, "ap-southeast-1", "AKIAP")
	check(Options{Profile: "p", EndpointURL: url}, "ap-southeast-1", "AKIAP")
}

// Of credentials, a service on loopback sees those that one of its kind gave out,
// from the environment or the credentials file.
func TestConnectLocalWithAccessKey(t *testing.T) {
	url, last := recorder(t)
	noAWS(t)
	file := filepath.Join(t.TempDir(), "admin-credentials")
	t.Setenv("AWS_SHARED_CREDENTIALS_FILE", file)
	check := func(want string) {
		t.Helper()
		c, err := Connect(t.Context(), Options{EndpointURL: url})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := c.ProfileNames(t.Context()); err != nil {
			t.Fatal(err)
		}
		if a := last().Get("Authorization"); !strings.Contains(a, "Credential="+want+"/") || last().Get("X-Amz-Security-Token") != "" {
			t.Errorf("%s, want %s", a, want)
		}
	}
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	check("local")
	write("[default]\naws_access_key_id = AKIAREAL\naws_secret_access_key = secret\n")
	check("local")
	write("[default\n")
	check("local")
	write("[default]\naws_access_key_id = DDAKFILE\naws_secret_access_key = secret\n")
	check("DDAKFILE")
	t.Setenv("AWS_ACCESS_KEY_ID", "DDAKENVIRONMENT")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "secret")
	check("DDAKENVIRONMENT")
	t.Setenv("AWS_SESSION_TOKEN", "token")
	check("local")
}

// A service that is not on this machine is known by the access key that it gave
// out: it is no AWS that has topics and roles.
func TestConnectServiceElsewhere(t *testing.T) {
	noAWS(t)
	t.Setenv("AWS_ACCESS_KEY_ID", "DDAKENVIRONMENT")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "secret")
	c, err := Connect(t.Context(), Options{EndpointURL: "https://192.0.2.1:8443", Region: "us-east-1"})
	if err != nil {
		t.Fatal(err)
	}
	if !c.ours || c.Local || c.HasSNS() {
		t.Errorf("%+v", c)
	}
}

// Secrets go neither to AWS nor in clear over a network.
func TestAccessKeysElsewhere(t *testing.T) {
	noAWS(t)
	t.Setenv("AWS_ACCESS_KEY_ID", "DDAKENVIRONMENT")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "secret")
	for endpoint, says := range map[string]string{"": "an operation of 'defenderctl serve'", "http://192.0.2.1:8787": "neither https nor on this machine"} {
		c, err := Connect(t.Context(), Options{EndpointURL: endpoint, Region: "us-east-1"})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := c.CreateAccessKey(t.Context(), "a", "viewer"); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%q: %v", endpoint, err)
		}
	}
}

// isPatient reports whether a client waits for an answer, and not for ever.
func isPatient(c *Client) bool {
	h, ok := c.IoT.Options().HTTPClient.(interface{ GetTimeout() time.Duration })
	return ok && h.GetTimeout() >= 30*time.Second
}

func TestConnectAWS(t *testing.T) {
	noAWS(t)
	if _, err := Connect(t.Context(), Options{}); err == nil || !strings.Contains(err.Error(), "--region") {
		t.Errorf("no region: %v", err)
	}
	if _, err := Connect(t.Context(), Options{Region: "eu-west-1"}); err == nil || !strings.Contains(err.Error(), "no AWS credentials") || !strings.Contains(err.Error(), "--local") {
		t.Errorf("no credentials: %v", err)
	}
	if _, err := Connect(t.Context(), Options{Profile: "missing"}); err == nil || !strings.Contains(err.Error(), "missing") {
		t.Errorf("no such profile: %v", err)
	}
	t.Setenv("AWS_ACCESS_KEY_ID", "AKIAREAL")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "secret")
	c, err := Connect(t.Context(), Options{Region: "cn-north-1"})
	if err != nil || c.Local || c.Source() != "AWS IoT in cn-north-1" || !c.HasSNS() {
		t.Errorf("%+v, %v", c, err)
	}
	if !isPatient(c) {
		t.Error("an answer is waited for without end")
	}
	if _, err := Connect(t.Context(), Options{Region: "eu-west-1", EndpointURL: "https://vpce-1.iot.eu-west-1.vpce.amazonaws.com"}); err != nil {
		t.Error(err)
	}
}

func TestOptionsCheck(t *testing.T) {
	for _, o := range []Options{
		{EndpointURL: "127.0.0.1:8787"}, {EndpointURL: "ftp://127.0.0.1"}, {EndpointURL: "http://"}, {EndpointURL: "http://%"},
		{Account: "12345678901"}, {Account: "12345678901x"},
	} {
		if _, err := Connect(t.Context(), o); err == nil {
			t.Errorf("%+v is taken", o)
		}
	}
}

func TestIsLoopback(t *testing.T) {
	for url, want := range map[string]bool{
		"http://127.0.0.1:8787": true, "http://127.9.9.9": true, "http://[::1]:1": true, "http://localhost:8787/": true, "https://LOCALHOST": true,
		"http://[::ffff:127.0.0.1]": true, "": false, "http://10.0.0.1": false, "http://127.0.0.1.example.com": false,
		"http://localhost.example.com": false, "http://example.com/127.0.0.1": false, "http://127.0.0.1@example.com": false, "http://0.0.0.0": false, "%": false,
	} {
		if isLoopback(url) != want {
			t.Errorf("%s: want %v", url, want)
		}
	}
}

func TestAccountID(t *testing.T) {
	noAWS(t)
	w := newWorld(t)
	f := w.withFaults()
	for range 2 {
		if id, err := w.client.AccountID(t.Context()); err != nil || id != "123456789012" {
			t.Errorf("%s, %v", id, err)
		}
	}
	if len(f.calls) != 1 {
		t.Errorf("STS was asked more than once: %v", f.calls)
	}
	// An endpoint of its own is taken, one for all services is not.
	other := newWorld(t)
	sts := other.withFaults()
	t.Setenv("AWS_ENDPOINT_URL_STS", other.client.endpoint)
	c, err := Connect(t.Context(), Options{EndpointURL: w.URL})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.AccountID(t.Context()); err != nil || len(sts.calls) != 1 {
		t.Errorf("%v, %v", sts.calls, err)
	}
	given, err := Connect(t.Context(), Options{EndpointURL: LocalEndpoint, Account: "999999999999"})
	if err != nil {
		t.Fatal(err)
	}
	if id, err := given.AccountID(t.Context()); id != "999999999999" || err != nil {
		t.Errorf("%s, %v", id, err)
	}
	sts.set(func(w http.ResponseWriter, _ *http.Request) bool {
		w.WriteHeader(http.StatusForbidden)
		fmt.Fprint(w, `<ErrorResponse><Error><Type>Sender</Type><Code>AccessDenied</Code><Message>no</Message></Error></ErrorResponse>`)
		return true
	})
	if c, err = Connect(t.Context(), Options{EndpointURL: w.URL}); err != nil {
		t.Fatal(err)
	}
	if _, err := c.AccountID(t.Context()); err == nil || !strings.Contains(err.Error(), "AccessDenied: no") || !strings.Contains(err.Error(), "--account") {
		t.Errorf("%v", err)
	}
}

func TestHasSNS(t *testing.T) {
	noAWS(t)
	connect := func() *Client {
		c, err := Connect(t.Context(), Options{EndpointURL: LocalEndpoint})
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	if connect().HasSNS() {
		t.Error("a local service alone")
	}
	t.Setenv("AWS_ENDPOINT_URL", LocalEndpoint+"/")
	if connect().HasSNS() {
		t.Error("the same endpoint for all")
	}
	t.Setenv("AWS_ENDPOINT_URL_SNS", "http://127.0.0.1:4566")
	if connect().HasSNS() {
		t.Error("topics without roles")
	}
	t.Setenv("AWS_ENDPOINT_URL_IAM", "http://127.0.0.1:4566")
	if !connect().HasSNS() {
		t.Error("topics and roles")
	}
}

// What AWS answers is said without the SDK's layers, with what was tried, and
// with the permission that is missing.
func TestFailures(t *testing.T) {
	w := newWorld(t)
	f := w.withFaults()
	tests := []struct {
		status              int
		code, message, want string
	}{
		{403, "AccessDeniedException", "User: u is not authorized to perform: iam:PassRole on resource: r", "describe security profile P: AccessDeniedException: User: u is not authorized to perform: iam:PassRole on resource: r (needs the permission iam:PassRole)"},
		{401, "UnauthorizedException", "", "describe security profile P: UnauthorizedException (needs the permission iot:DescribeSecurityProfile)"},
		{403, "ExpiredTokenException", "The security token included in the request is expired", "describe security profile P: ExpiredTokenException: The security token included in the request is expired"},
		{404, "ResourceNotFoundException", "There is none.", "describe security profile P: ResourceNotFoundException: There is none."},
		{400, "ThrottlingException", "Rate exceeded", "describe security profile P: ThrottlingException: Rate exceeded"},
	}
	for _, test := range tests {
		f.set(func(out http.ResponseWriter, r *http.Request) bool {
			refuse(out, test.status, test.code, test.message)
			return true
		})
		_, err := w.client.Profile(t.Context(), "P")
		if err == nil || err.Error() != test.want {
			t.Errorf("%v\nwant %s", err, test.want)
		}
		if test.status == 404 != isNotFound(err) {
			t.Errorf("%v: its type is lost", err)
		}
	}
	// No answer that makes sense.
	f.set(func(out http.ResponseWriter, r *http.Request) bool {
		http.Error(out, "<html>", http.StatusBadGateway)
		return true
	})
	const page = "describe security profile P: what answered is not AWS IoT or does not speak as it does: HTTP status 502, "
	if _, err := w.client.Profile(t.Context(), "P"); err == nil || !strings.HasPrefix(err.Error(), page) {
		t.Error(err)
	}
	f.set(func(out http.ResponseWriter, r *http.Request) bool {
		hangUp(t, out)
		return true
	})
	if _, err := w.client.Profile(t.Context(), "P"); err == nil || !strings.HasPrefix(err.Error(), "describe security profile P: Get \"http://") {
		t.Error(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	f.set(func(out http.ResponseWriter, r *http.Request) bool {
		cancel()
		hangUp(t, out)
		return true
	})
	if _, err := w.client.Profile(ctx, "P"); !errors.Is(err, context.Canceled) || err.Error() != "describe security profile P: context canceled" {
		t.Error(err)
	}
}

func TestNobodyAnswers(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	c, err := Connect(t.Context(), Options{EndpointURL: "http://" + l.Addr().String()})
	if err != nil {
		t.Fatal(err)
	}
	want := "list security profiles: nothing answers at http://" + l.Addr().String() + ": is 'defenderctl serve' running?"
	if _, err := c.ProfileNames(t.Context()); err == nil || err.Error() != want {
		t.Errorf("%v\nwant %s", err, want)
	}
	if _, err := c.AccountID(t.Context()); err == nil || !strings.Contains(err.Error(), "nothing answers") {
		t.Error(err)
	}
}

// Throttled calls are made again until they succeed.
func TestThrottled(t *testing.T) {
	w := newWorld(t)
	w.groups("g")
	w.apply(parsed(t, before))
	f := w.withFaults()
	throttled := map[string]bool{}
	f.set(func(out http.ResponseWriter, r *http.Request) bool {
		call := r.Method + r.URL.Path + r.URL.RawQuery
		if throttled[call] || r.URL.Path == "/" { // STS says it in another way
			return false
		}
		throttled[call] = true
		refuse(out, http.StatusBadRequest, "ThrottlingException", "Rate exceeded")
		return true
	})
	w.apply(parsed(t, after))
}

// transport answers in place of AWS, within a bubble of fake time.
type transport struct {
	mu      sync.Mutex
	calls   []time.Time
	answers func(n int) (status int, header, body string)
}

func (tr *transport) RoundTrip(r *http.Request) (*http.Response, error) {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	tr.calls = append(tr.calls, time.Now())
	status, code, body := tr.answers(len(tr.calls))
	out := httptest.NewRecorder()
	out.Header().Set("Content-Type", "application/json")
	if code != "" {
		out.Header().Set("X-Amzn-ErrorType", code)
	}
	out.WriteHeader(status)
	out.WriteString(body)
	return out.Result(), nil
}

// mostInASecond returns the most calls in any second.
func (tr *transport) mostInASecond() (most int) {
	for i, from := range tr.calls {
		n := 0
		for _, at := range tr.calls[i:] {
			if at.Sub(from) < time.Second {
				n++
			}
		}
		most = max(most, n)
	}
	return most
}

// onAWS is a client of AWS whose requests the transport answers.
func onAWS(tr *transport) *Client {
	return newClient(aws.Config{
		Region: "eu-west-1", HTTPClient: &http.Client{Transport: tr}, Credentials: credentials.NewStaticCredentialsProvider("a", "b", ""),
	}, Options{}, "")
}

// No second has more calls of an operation than AWS allows (General Reference),
// and it doesn't take needlessly longer.
func TestPace(t *testing.T) {
	ok := func(int) (int, string, string) { return http.StatusOK, "", `{}` }
	for operation, test := range map[string]struct {
		quota int
		call  func(context.Context, *iot.Client) error
	}{
		"DescribeSecurityProfile": {25, func(ctx context.Context, c *iot.Client) error {
			_, err := c.DescribeSecurityProfile(ctx, &iot.DescribeSecurityProfileInput{SecurityProfileName: aws.String("P")})
			return err
		}},
		"ListMetricValues": {15, func(ctx context.Context, c *iot.Client) error {
			_, err := c.ListMetricValues(ctx, &iot.ListMetricValuesInput{ThingName: aws.String("t"), MetricName: aws.String("m"), StartTime: aws.Time(time.Now()), EndTime: aws.Time(time.Now())})
			return err
		}},
		"AttachSecurityProfile": {10, func(ctx context.Context, c *iot.Client) error {
			_, err := c.AttachSecurityProfile(ctx, &iot.AttachSecurityProfileInput{SecurityProfileName: aws.String("P"), SecurityProfileTargetArn: aws.String("a")})
			return err
		}},
		"DescribeDimension": {10, func(ctx context.Context, c *iot.Client) error {
			_, err := c.DescribeDimension(ctx, &iot.DescribeDimensionInput{Name: aws.String("d")})
			return err
		}},
	} {
		synctest.Test(t, func(t *testing.T) {
			tr := &transport{answers: ok}
			c := onAWS(tr)
			const calls = 100
			var wait sync.WaitGroup
			begin := time.Now()
			for range 4 { // at once, as a client may be used
				wait.Go(func() {
					for range calls / 4 {
						if err := test.call(t.Context(), c.IoT); err != nil {
							t.Error(err)
						}
					}
				})
			}
			wait.Wait()
			if most := tr.mostInASecond(); most > test.quota {
				t.Errorf("%s: %d calls in a second, quota %d", operation, most, test.quota)
			}
			if took := time.Since(begin); took > time.Duration(calls*1.3/float64(test.quota)*float64(time.Second)) {
				t.Errorf("%s: %d calls took %v", operation, calls, took)
			}
		})
	}
}

// What is throttled all the same is tried again, later and later.
func TestPatience(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tr := &transport{answers: func(n int) (int, string, string) {
			if n <= 5 {
				return http.StatusBadRequest, "ThrottlingException", `{"message": "Rate exceeded"}`
			}
			return http.StatusOK, "", `{"securityProfileIdentifiers": [{"name": "P"}]}`
		}}
		names, err := onAWS(tr).ProfileNames(t.Context())
		if err != nil || len(names) != 1 || len(tr.calls) != 6 {
			t.Errorf("%v, %v, %d calls", names, err, len(tr.calls))
		}
	})
	synctest.Test(t, func(t *testing.T) {
		tr := &transport{answers: func(int) (int, string, string) { return http.StatusBadRequest, "ThrottlingException", `{}` }}
		_, err := onAWS(tr).ProfileNames(t.Context())
		var throttled *types.ThrottlingException
		if !errors.As(err, &throttled) || len(tr.calls) != maxAttempts {
			t.Errorf("%v, %d calls", err, len(tr.calls))
		}
	})
	synctest.Test(t, func(t *testing.T) { // no longer than the caller wants
		tr := &transport{answers: func(int) (int, string, string) { return http.StatusBadRequest, "ThrottlingException", `{}` }}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		begin := time.Now()
		if _, err := onAWS(tr).ProfileNames(ctx); err == nil || time.Since(begin) > time.Second {
			t.Errorf("%v after %v", err, time.Since(begin))
		}
	})
}
