package rulehttp

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/device-defender/device-defender/internal/defender/service"
	"github.com/device-defender/device-defender/internal/ingest"
	"github.com/device-defender/device-defender/internal/memdir"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	secret = "correct horse battery"
	arn    = "arn:aws:iot:us-east-1:123456789012:ruledestination/http/7a280e37-b9c6-47a2-a751-0703693f46e4"
	token  = "AYADeMXLrPrNY2wqJAKsFNn-NBJndA"
)

// aws is AWS IoT's endpoint.
type aws struct {
	asked  []string
	answer int
}

func (a *aws) RoundTrip(r *http.Request) (*http.Response, error) {
	a.asked = append(a.asked, r.Method+" "+r.URL.String())
	if a.answer == 0 {
		return nil, errors.New("no route to host")
	}
	return &http.Response{StatusCode: a.answer, Status: fmt.Sprint(a.answer), Header: http.Header{"Location": {"https://evil.example/"}}, Body: io.NopCloser(strings.NewReader("")), Request: r}, nil
}

// posted returns a function that posts to the handlers, with the service behind them and its log.
func posted(t *testing.T, a *aws) (post func(path, body string, header ...string) int, s *service.Service, log *bytes.Buffer) {
	t.Helper()
	s, err := service.Open(service.Options{Data: memdir.New(t), MinReportInterval: -1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	log = &bytes.Buffer{}
	logger := slog.New(slog.NewTextHandler(log, nil))
	rules := ingest.NewRules(ingest.New(s, logger), s)
	handlers, err := Handlers(Options{Rules: func() *ingest.Rules { return rules }, Secret: secret, Accounts: []string{"123456789012"}, Transport: a, Log: logger})
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	for pattern, h := range handlers {
		mux.Handle(pattern, h)
	}
	return func(path, body string, header ...string) int {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, path, strings.NewReader(body))
		for i := 0; i < len(header); i += 2 {
			r.Header.Set(header[i], header[i+1])
		}
		w := httptest.NewRecorder()
		mux.ServeHTTP(w, r)
		return w.Code
	}, s, log
}

func message(thing string, id int, at time.Time) string {
	payload := fmt.Sprintf(`{"header":{"report_id":%d,"version":"1.0"},"metrics":{"network_stats":{"packets_out":1}}}`, id)
	return fmt.Sprintf(`{"payload":%q,"thing":%q,"topic":%q,"timestamp":%d}`, base64.StdEncoding.EncodeToString([]byte(payload)), thing, thing, at.UnixMilli())
}

// A batch is an array in any order; what is wrong in it costs the rest nothing.
func TestBatch(t *testing.T) {
	post, s, log := posted(t, &aws{})
	at := time.Now().Add(-time.Hour).Truncate(time.Millisecond)
	batch := "[" + message("a", 2, at.Add(time.Minute)) + "," + message("a", 1, at) + `,{"thing":"b"},7,` + message("c", 1, at) + "]"
	if code := post(Path, batch, SecretHeader, secret); code != 200 {
		t.Fatalf("%d %s", code, log)
	}
	if code := post(Path+"/", message("d", 1, at), SecretHeader, secret); code != 200 {
		t.Errorf("one message: %d", code)
	}
	for thing, want := range map[string]time.Time{"a": at.Add(time.Minute), "c": at, "d": at} {
		if state, found, err := s.Thing(t.Context(), thing); err != nil || !found || !state.LastReport.Equal(want) {
			t.Errorf("%s: %v, %t, %v", thing, state.LastReport, found, err)
		}
	}
	if n := strings.Count(log.String(), "can't be taken"); n != 2 {
		t.Errorf("%d complaints: %s", n, log)
	}
}

func TestSecret(t *testing.T) {
	post, s, log := posted(t, &aws{})
	for _, header := range [][]string{nil, {SecretHeader, ""}, {SecretHeader, secret + "x"}, {SecretHeader, secret[1:]}, {"Authorization", secret}} {
		if code := post(Path, message("a", 1, time.Now()), header...); code != 403 {
			t.Errorf("%q: %d", header, code)
		}
	}
	if _, found, _ := s.Thing(t.Context(), "a"); found || strings.Contains(log.String(), secret[1:]) {
		t.Errorf("%t, %s", found, log)
	}
	for _, wrong := range []Options{{}, {Secret: "short"}, {Secret: secret + "\n"}, {Secret: secret, Accounts: []string{"12"}}} {
		if _, err := Handlers(wrong); err == nil || strings.Contains(err.Error(), "battery") {
			t.Errorf("%+v: %v", wrong, err)
		}
	}
}

func TestUnreadable(t *testing.T) {
	post, _, _ := posted(t, &aws{})
	for body, want := range map[string]int{
		"": 400, "7": 400, "[": 400, "[]": 200, "{}": 200, "[" + strings.Repeat("7,", 100) + "7]": 400, strings.Repeat(" ", maxBody+1): 413,
	} {
		if code := post(Path, body, SecretHeader, secret); code != want {
			t.Errorf("%.20q: %d, want %d", body, code, want)
		}
	}
}

// A batch that can't be stored is to be posted again.
func TestNotStored(t *testing.T) {
	post, s, _ := posted(t, &aws{})
	s.Close()
	if code := post(Path, message("a", 1, time.Now()), SecretHeader, secret); code != 503 {
		t.Errorf("%d", code)
	}
}

func confirmationOf(arn, url string) string {
	return fmt.Sprintf(`{"arn":%q,"confirmationToken":%q,"enableUrl":%q,"messageType":"DestinationConfirmation"}`, arn, token, url)
}

// The confirmation of AWS's documentation is answered by a request to AWS, and only there.
func TestConfirmation(t *testing.T) {
	const enable = "https://iot.us-east-1.amazonaws.com/confirmdestination/" + token
	for name, test := range map[string]struct {
		arn, url string
		asked    string
		answer   int // of AWS
		want     int
	}{
		"documented":     {arn, enable, "GET " + enable, 200, 200},
		"China":          {strings.NewReplacer("arn:aws:", "arn:aws-cn:", "us-east-1", "cn-north-1").Replace(arn), "https://iot.cn-north-1.amazonaws.com.cn/confirmdestination/t", "GET https://iot.cn-north-1.amazonaws.com.cn/confirmdestination/t", 200, 200},
		"AWS says no":    {arn, enable, "GET " + enable, 401, 502},
		"AWS redirects":  {arn, enable, "GET " + enable, 302, 502},
		"no answer":      {arn, enable, "GET " + enable, 0, 502},
		"other account":  {strings.Replace(arn, "123456789012", "999999999999", 1), enable, "", 200, 403},
		"other region":   {arn, strings.Replace(enable, "us-east-1", "eu-west-1", 1), "", 200, 403},
		"other host":     {arn, strings.Replace(enable, "iot.us-east-1.amazonaws.com", "evil.example", 1), "", 200, 403},
		"host as prefix": {arn, strings.Replace(enable, "amazonaws.com", "amazonaws.com.evil.example", 1), "", 200, 403},
		"user":           {arn, strings.Replace(enable, "https://", "https://evil.example@", 1), "", 200, 403},
		"a port":         {arn, strings.Replace(enable, "amazonaws.com", "amazonaws.com:8443", 1), "", 200, 403},
		"http":           {arn, strings.Replace(enable, "https", "http", 1), "", 200, 403},
		"metadata":       {arn, "http://169.254.169.254/latest/meta-data/", "", 200, 403},
		"other path":     {arn, "https://iot.us-east-1.amazonaws.com/things", "", 200, 403},
		"path out of it": {arn, enable + "/../../things", "", 200, 403},
		"query":          {arn, enable + "?a=b", "", 200, 403},
		"region in ARN":  {strings.Replace(arn, "us-east-1", "us-east-1.evil.example/", 1), enable, "", 200, 403},
		"no ARN":         {"arn", enable, "", 200, 403},
	} {
		t.Run(name, func(t *testing.T) {
			a := &aws{answer: test.answer}
			post, _, log := posted(t, a)
			code := post(Path+"/?confirmationToken="+token, confirmationOf(test.arn, test.url), "x-amz-rules-engine-message-type", "DestinationConfirmation")
			if got := strings.Join(a.asked, " "); code != test.want || got != test.asked {
				t.Errorf("%d, asked %q", code, got)
			}
			if strings.Contains(log.String(), token) {
				t.Errorf("the log has the token: %s", log)
			}
		})
	}
	post, _, _ := posted(t, &aws{})
	if code := post(Path, "no JSON", "x-amz-rules-engine-message-type", "DestinationConfirmation"); code != 403 {
		t.Errorf("%d", code)
	}
}

func FuzzBatch(f *testing.F) {
	f.Add([]byte("[" + message("a", 1, time.UnixMilli(0)) + "]"))
	f.Add([]byte(confirmationOf(arn, "https://iot.us-east-1.amazonaws.com/confirmdestination/"+token)))
	f.Fuzz(func(t *testing.T, body []byte) {
		if list, err := split(body); err == nil && len(list) > maxMessages {
			t.Error(len(list))
		}
		if _, enable, err := parseConfirmation(body, []string{"123456789012"}); err == nil && !strings.Contains(enable, ".amazonaws.com") {
			t.Error(enable)
		}
	})
}
