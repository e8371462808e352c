package awsrest

import (
	"net/http"
	"strings"
	"testing"
)

// TestWebPages sends what a page in a browser on this machine can make it send.
func TestWebPages(t *testing.T) {
	handler := library().Handler()
	const ours = "127.0.0.1:8787"
	for _, test := range []struct {
		name   string
		method string
		path   string
		header http.Header
		status int
	}{
		{"client", "GET", "/books", http.Header{"Host": {ours}}, 200},
		{"localhost", "GET", "/books", http.Header{"Host": {"LocalHost:8787"}}, 200},
		{"IPv6", "GET", "/books", http.Header{"Host": {"[::1]:8787"}}, 200},
		{"another loopback address", "GET", "/books", http.Header{"Host": {"127.9.9.9"}}, 200},
		{"own page", "GET", "/books", http.Header{"Host": {ours}, "Origin": {"http://" + ours}, "Sec-Fetch-Site": {"same-origin"}}, 200},
		{"typed into the address bar", "GET", "/books", http.Header{"Host": {ours}, "Sec-Fetch-Site": {"none"}}, 200},

		{"DNS rebinding", "GET", "/books", http.Header{"Host": {"evil.example:8787"}}, 403},
		{"name that begins so", "GET", "/books", http.Header{"Host": {"localhost.evil.example:8787"}}, 403},
		{"address that isn't ours", "GET", "/books", http.Header{"Host": {"192.0.2.1:8787"}}, 403},
		{"any address", "GET", "/books", http.Header{"Host": {"0.0.0.0:8787"}}, 403},
		{"other origin", "POST", "/books/B", http.Header{"Host": {ours}, "Origin": {"https://evil.example"}, "Content-Type": {"application/json"}}, 403},
		{"other port", "POST", "/books/B", http.Header{"Host": {ours}, "Origin": {"http://127.0.0.1:3000"}}, 403},
		{"sandboxed frame", "POST", "/books/B", http.Header{"Host": {ours}, "Origin": {"null"}}, 403},
		{"two origins", "POST", "/books/B", http.Header{"Host": {ours}, "Origin": {"http://" + ours, "https://evil.example"}}, 403},
		{"cross-site without an origin", "GET", "/books", http.Header{"Host": {ours}, "Sec-Fetch-Site": {"cross-site"}}, 403},
		{"same site, another port", "GET", "/books", http.Header{"Host": {ours}, "Sec-Fetch-Site": {"same-site"}}, 403},
		{"preflight", "OPTIONS", "/books", http.Header{"Host": {ours}, "Origin": {"https://evil.example"}, "Access-Control-Request-Method": {"PUT"}}, 403},
		{"text", "POST", "/books/B", http.Header{"Host": {ours}, "Content-Type": {"text/plain"}}, 415},
		{"form", "POST", "/books/B", http.Header{"Host": {ours}, "Content-Type": {"application/x-www-form-urlencoded"}}, 415},
		{"no type", "POST", "/books/B", http.Header{"Host": {ours}}, 415},
		{"JSON for CBOR", "POST", "/", http.Header{"Host": {ours}, "Content-Type": {"application/json"}}, 415},
	} {
		t.Run(test.name, func(t *testing.T) {
			body := ""
			if test.method == "POST" {
				body = "{}"
			}
			w := send(handler, test.method, test.path, test.header, body)
			if w.Code != test.status {
				t.Errorf("got %d %s, want %d", w.Code, w.Body, test.status)
			}
			for name := range w.Header() {
				if strings.HasPrefix(name, "Access-Control-") {
					t.Errorf("header %s lets other origins in", name)
				}
			}
		})
	}
}

// TestHostPort has the service know its port, as it does of real connections.
func TestHostPort(t *testing.T) {
	address, _ := start(t, nil)
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	for host, status := range map[string]int{"": 200, "localhost:1": 403, "localhost": 403} {
		r, err := http.NewRequestWithContext(t.Context(), "GET", "http://"+address+"/books", nil)
		if err != nil {
			t.Fatal(err)
		}
		if host != "" {
			r.Host = host
		}
		response, err := transport.RoundTrip(r)
		if err != nil {
			t.Fatal(err)
		}
		response.Body.Close()
		if response.StatusCode != status {
			t.Errorf("host %q: got %d, want %d", host, response.StatusCode, status)
		}
	}
}
