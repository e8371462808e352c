package sigv4

import (
	"bytes"
	"crypto/tls"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
)

const (
	testID     = "AKIDEXAMPLE"
	testSecret = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
)

var testTime = time.Date(2015, 8, 30, 12, 36, 0, 0, time.UTC)

// verify does all steps, as a service does.
func verify(r *http.Request, body []byte, now time.Time, secret string) error {
	s, err := Parse(r)
	if err != nil {
		return err
	}
	if err := s.CheckScope("us-east-1", "iot", "sts", "service"); err != nil {
		return err
	}
	if err := s.CheckTime(now); err != nil {
		return err
	}
	if s.KeyID != testID {
		return UnknownKey()
	}
	return s.Verify(r, body, secret)
}

// code returns the code of an error; "" for none.
func code(err error) string {
	if err == nil {
		return ""
	}
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Code
	}
	return err.Error()
}

// The first example of AWS's test suite for signatures, get-vanilla.
func TestPublishedExample(t *testing.T) {
	r := httptest.NewRequest("GET", "http://example.amazonaws.com/", nil)
	r.Header.Set("X-Amz-Date", "20150830T123600Z")
	r.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, SignedHeaders=host;x-amz-date, Signature=5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31")
	if err := verify(r, nil, testTime, testSecret); err != nil {
		t.Error(err)
	}
}

// signed is a request that AWS's SDK signed, as a server reads it from a
// connection.
func signed(t testing.TB, method, url, body string, presigned bool, change func(*http.Request)) *http.Request {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	if change != nil {
		change(r)
	}
	hash := hashOf([]byte(body))
	if claimed := r.Header.Get("X-Amz-Content-Sha256"); claimed != "" {
		hash = claimed
	}
	credentials := aws.Credentials{AccessKeyID: testID, SecretAccessKey: testSecret}
	if presigned {
		uri, header, err := v4.NewSigner().PresignHTTP(t.Context(), credentials, r, hash, "iot", "us-east-1", testTime)
		if err != nil {
			t.Fatal(err)
		}
		if r, err = http.NewRequestWithContext(t.Context(), method, uri, strings.NewReader(body)); err != nil {
			t.Fatal(err)
		}
		r.Header = header
	} else if err := v4.NewSigner().SignHTTP(t.Context(), credentials, r, hash, "iot", "us-east-1", testTime); err != nil {
		t.Fatal(err)
	}
	return received(t, r)
}

// received sends the request to a server, and returns it as it was read.
func received(t testing.TB, r *http.Request) *http.Request {
	t.Helper()
	var got *http.Request
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		got = r.Clone(t.Context())
		got.Body = io.NopCloser(bytes.NewReader(body))
	}))
	defer server.Close()
	r.Host = r.URL.Host
	r.URL.Host = strings.TrimPrefix(server.URL, "http://")
	answer, err := server.Client().Do(r)
	if err != nil {
		t.Fatal(err)
	}
	answer.Body.Close()
	return got
}

// What AWS's SDK signs is verified, in the header and in the query.
func TestSDKSignsWeVerify(t *testing.T) {
	for name, test := range map[string]struct{ method, url, body string }{
		"plain":              {"GET", "http://localhost:8787/things", ""},
		"no path":            {"GET", "http://localhost:8787", ""},
		"query":              {"GET", "http://localhost:8787/violation-events?startTime=2026-01-02T15%3A04%3A05Z&endTime=x&maxResults=10", ""},
		"order of the query": {"GET", "http://localhost:8787/x?b=2&a=1&a-b=3&B=4&a=0", ""},
		"escapes":            {"GET", "http://localhost:8787/tags?resourceArn=arn%3Aaws%3Aiot%3Aus-east-1%3A1%3Ax%2Fy%20z%2B&empty=&none", ""},
		"plus":               {"GET", "http://localhost:8787/tags?a=b+c", ""},
		"escaped path":       {"PUT", "http://localhost:8787/things/a%3Ab%20c%2Fd", "{}"},
		"unusual path":       {"POST", "http://localhost:8787/topics/$aws/things/a:b/(c)'*!~", "{}"},
		"text of the world":  {"GET", "http://localhost:8787/things/%E2%98%83?%E2%98%83=%F0%9F%90%B3", ""},
		"body":               {"POST", "http://127.0.0.1:8787/security-profiles/P", `{"securityProfileDescription":"d"}`},
	} {
		for _, presigned := range []bool{false, true} {
			r := signed(t, test.method, test.url, test.body, presigned, func(r *http.Request) { r.Header.Set("X-Amz-Note", "  a   b ") })
			if err := verify(r, []byte(test.body), testTime, testSecret); err != nil {
				t.Errorf("%s, presigned %t: %v", name, presigned, err)
			}
			if err := verify(r, []byte(test.body), testTime, testSecret+"x"); code(err) != Invalid {
				t.Errorf("%s, presigned %t, with another secret: %v", name, presigned, err)
			}
			if err := verify(r, []byte(test.body+" "), testTime, testSecret); code(err) != Invalid {
				t.Errorf("%s, presigned %t, with another body: %v", name, presigned, err)
			}
		}
	}
}

// What is changed after it was signed is refused.
func TestChangedRequests(t *testing.T) {
	const url = "http://localhost:8787/things/a?maxResults=1"
	for name, test := range map[string]struct {
		change func(*http.Request)
		want   string
	}{
		"nothing":         {func(*http.Request) {}, ""},
		"unsigned header": {func(r *http.Request) { r.Header.Set("User-Agent", "x") }, ""},
		"method":          {func(r *http.Request) { r.Method = "DELETE" }, Invalid},
		"path":            {func(r *http.Request) { r.URL.Path = "/things/b" }, Invalid},
		"parameter":       {func(r *http.Request) { r.URL.RawQuery += "0" }, Invalid},
		"one parameter more": {func(r *http.Request) {
			r.URL.RawQuery += "&a=b"
		}, Invalid},
		"host":             {func(r *http.Request) { r.Host = "localhost:8788" }, Invalid},
		"signed header":    {func(r *http.Request) { r.Header.Set("Content-Type", "text/plain") }, Invalid},
		"header removed":   {func(r *http.Request) { r.Header.Del("Content-Type") }, Invalid},
		"time":             {func(r *http.Request) { r.Header.Set("X-Amz-Date", "20150830T123601Z") }, Invalid},
		"day":              {func(r *http.Request) { r.Header.Set("X-Amz-Date", "20150831T000000Z") }, Invalid},
		"no time":          {func(r *http.Request) { r.Header.Del("X-Amz-Date") }, Incomplete},
		"two times":        {func(r *http.Request) { r.Header.Add("X-Amz-Date", "20150830T123600Z") }, Incomplete},
		"malformed time":   {func(r *http.Request) { r.Header.Set("X-Amz-Date", "yesterday") }, Incomplete},
		"unsigned payload": {func(r *http.Request) { r.Header.Set("X-Amz-Content-Sha256", unsignedPayload) }, Invalid},
		"a session":        {func(r *http.Request) { r.Header.Set("X-Amz-Security-Token", "x") }, Unrecognized},
		"malformed query":  {func(r *http.Request) { r.URL.RawQuery = "%zz" }, Incomplete},
		"signed twice":     {func(r *http.Request) { r.Header.Add("Authorization", r.Header.Get("Authorization")) }, Incomplete},
		"signed in both":   {func(r *http.Request) { r.URL.RawQuery += "&X-Amz-Signature=00" }, Incomplete},
		"unsigned":         {func(r *http.Request) { r.Header.Del("Authorization") }, Missing},
		"basic":            {func(r *http.Request) { r.SetBasicAuth(testID, testSecret) }, Missing},
		"another algorithm": {func(r *http.Request) {
			replace(r, "AWS4-HMAC-SHA256", "AWS4-ECDSA-P256-SHA256")
		}, Missing},
		"another key":      {func(r *http.Request) { replace(r, testID, "AKIDOTHER") }, Unrecognized},
		"another region":   {func(r *http.Request) { replace(r, "us-east-1", "eu-west-1") }, Invalid},
		"another service":  {func(r *http.Request) { replace(r, "/iot/", "/sts/") }, Invalid},
		"unknown service":  {func(r *http.Request) { replace(r, "/iot/", "/s3/") }, Invalid},
		"no terminal":      {func(r *http.Request) { replace(r, "/aws4_request", "") }, Incomplete},
		"no signature":     {func(r *http.Request) { replace(r, "Signature=", "Sign=") }, Incomplete},
		"short signature":  {func(r *http.Request) { replace(r, "Signature=", "Signature=00, Sign=") }, Invalid},
		"no hex":           {func(r *http.Request) { replace(r, "Signature=", "Signature=zz") }, Invalid},
		"host not signed":  {func(r *http.Request) { replace(r, "host;", "") }, Invalid},
		"headers in upper": {func(r *http.Request) { replace(r, "host;", "Host;") }, Incomplete},
		"headers twice":    {func(r *http.Request) { replace(r, "host;", "host;host;") }, Incomplete},
		"header with LF":   {func(r *http.Request) { replace(r, "host;", "host;\n;") }, Incomplete},
		"nothing in it":    {func(r *http.Request) { r.Header.Set("Authorization", "AWS4-HMAC-SHA256 ") }, Incomplete},
	} {
		r := signed(t, "POST", url, "{}", false, nil)
		test.change(r)
		if err := verify(r, []byte("{}"), testTime, testSecret); code(err) != test.want {
			t.Errorf("%s: %v, want %q", name, err, test.want)
		}
	}
}

func replace(r *http.Request, old, by string) {
	r.Header.Set("Authorization", strings.Replace(r.Header.Get("Authorization"), old, by, 1))
}

// A signature is of use for five minutes around its time; one in a query as long
// as it says.
func TestTimes(t *testing.T) {
	header := signed(t, "GET", "http://localhost:8787/things", "", false, nil)
	short := signed(t, "GET", "http://localhost:8787/things?X-Amz-Expires=60", "", true, nil)
	long := signed(t, "GET", "http://localhost:8787/things?X-Amz-Expires=604800", "", true, nil)
	for name, test := range map[string]struct {
		r    *http.Request
		now  time.Duration
		want string
	}{
		"behind":            {header, -5 * time.Minute, ""},
		"too far behind":    {header, -5*time.Minute - time.Second, Invalid},
		"ahead":             {header, 5 * time.Minute, ""},
		"too far ahead":     {header, 5*time.Minute + time.Second, Invalid},
		"within a minute":   {short, time.Minute, ""},
		"after a minute":    {short, time.Minute + time.Second, Invalid},
		"not yet":           {short, -6 * time.Minute, Invalid},
		"within seven days": {long, 7 * 24 * time.Hour, ""},
		"after seven days":  {long, 7*24*time.Hour + time.Second, Invalid},
		"too long":          {signed(t, "GET", "http://localhost:8787/things?X-Amz-Expires=604801", "", true, nil), 0, Incomplete},
		"negative lifetime": {signed(t, "GET", "http://localhost:8787/things?X-Amz-Expires=-1", "", true, nil), 0, Incomplete},
	} {
		if err := verify(test.r, nil, testTime.Add(test.now), testSecret); code(err) != test.want {
			t.Errorf("%s: %v, want %q", name, err, test.want)
		}
	}
}

// A body that is not signed is taken over TLS.
func TestUnsignedPayload(t *testing.T) {
	r := signed(t, "POST", "http://localhost:8787/things/a", "{}", false, func(r *http.Request) { r.Header.Set("X-Amz-Content-Sha256", unsignedPayload) })
	if err := verify(r, []byte("{}"), testTime, testSecret); code(err) != Invalid {
		t.Errorf("without TLS: %v", err)
	}
	r.TLS = &tls.ConnectionState{}
	if err := verify(r, []byte("{}"), testTime, testSecret); err != nil {
		t.Errorf("over TLS: %v", err)
	}
}

func FuzzParse(f *testing.F) {
	r := signed(f, "GET", "http://localhost:8787/things?a=b", "", false, nil)
	f.Add(r.Header.Get("Authorization"), r.Header.Get("X-Amz-Date"), r.URL.RawQuery)
	r = signed(f, "GET", "http://localhost:8787/things?X-Amz-Expires=60", "", true, nil)
	f.Add("", "", r.URL.RawQuery)
	f.Add("AWS4-HMAC-SHA256 Credential=a/b/c/d/aws4_request, SignedHeaders=host;;, Signature=", "20150830T123600Z", "X-Amz-Signature")
	f.Fuzz(func(t *testing.T, authorization, date, query string) {
		r := httptest.NewRequest("GET", "http://localhost/", nil)
		r.Header.Set("Authorization", authorization)
		r.Header.Set("X-Amz-Date", date)
		r.URL.RawQuery = query
		s, err := Parse(r)
		if err == nil {
			err = s.Verify(r, nil, "no such secret")
		}
		if err == nil {
			t.Errorf("%q, %q, %q is verified", authorization, date, query)
		}
	})
}
