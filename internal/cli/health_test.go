package cli

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"go.uber.org/goleak"
)

func TestHealth(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	status := http.StatusOK
	answers := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/readyz" || r.Header.Get("Authorization") != "" {
			t.Error(r.URL, r.Header)
		}
		w.WriteHeader(status)
	})
	plain, secure := httptest.NewServer(answers), httptest.NewTLSServer(answers)
	defer plain.Close()
	defer secure.Close()
	gone := httptest.NewServer(answers)
	gone.Close()
	for _, test := range []struct {
		status int
		url    string
		code   int
		says   string
	}{
		{200, plain.URL, 0, "is ready"},
		{200, plain.URL + "/", 0, "is ready"},
		{200, secure.URL, 0, "is ready"},
		{503, plain.URL, 1, "answers 503"},
		{200, gone.URL, 1, "refused"},
		{200, "127.0.0.1:8787", 2, "is no URL of a service"},
	} {
		status = test.status
		var out bytes.Buffer
		if code := Main(t.Context(), []string{"health", test.url}, strings.NewReader(""), &out, &out); code != test.code || !strings.Contains(out.String(), test.says) {
			t.Errorf("%s, %d: exit code %d, %s", test.url, test.status, code, out.String())
		}
	}
}
