package awsrest

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"testing"
)

// books gets a page of the library's.
func books(t *testing.T, handler http.Handler, query string) (names []string, token string) {
	t.Helper()
	w := send(handler, "GET", "/books?"+query, nil, "")
	var answer struct {
		Books     []string
		NextToken string
	}
	if err := json.Unmarshal(w.Body.Bytes(), &answer); err != nil || w.Code != 200 {
		t.Fatalf("%s: %d %s", query, w.Code, w.Body)
	}
	return answer.Books, answer.NextToken
}

// TestTokens gives tokens to lists that they were not answered for.
func TestTokens(t *testing.T) {
	handler := library().Handler()
	_, token := books(t, handler, "maxResults=1")
	if names, more := books(t, handler, "maxResults=250&nextToken="+token); len(names) != 2 || more != "" {
		t.Errorf("a page of another size: %v, token %q", names, more)
	}
	if names, more := books(t, handler, "maxResults=3"); len(names) != 3 || more != "" {
		t.Errorf("a page of all: %v, token %q", names, more)
	}
	raw, err := base64.RawURLEncoding.DecodeString(token)
	if err != nil {
		t.Fatal(err)
	}
	for i := range token {
		if w := send(handler, "GET", "/books?nextToken="+token[:i], nil, ""); w.Code != 400 {
			t.Errorf("%d characters of %d: %d %s", i, len(token), w.Code, w.Body)
		}
	}
	for name, path := range map[string]string{
		"another list":     "/readers?nextToken=" + token,
		"another key":      "/books?nextToken=" + base64.RawURLEncoding.EncodeToString(append(raw[:len(raw)-1:len(raw)-1], 'b')),
		"another filter":   "/books?lent=true&nextToken=" + token,
		"cut":              "/books?nextToken=" + token[:6],
		"empty":            "/books?nextToken=",
		"without a key":    "/books?nextToken=" + base64.RawURLEncoding.EncodeToString(raw[:sealSize]),
		"not base64":       "/books?nextToken=%00",
		"with line breaks": "/books?nextToken=" + token[:4] + "%0a" + token[4:],
	} {
		if w := send(handler, "GET", path, nil, ""); w.Code != 400 || w.Header().Get("X-Amzn-ErrorType") != "InvalidRequestException" {
			t.Errorf("%s: %d %s", name, w.Code, w.Body)
		}
	}
}
