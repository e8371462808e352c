package sigv4

import (
	"cmp"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// unsignedPayload is what clients sign in place of the hash of a body.
const unsignedPayload = "UNSIGNED-PAYLOAD"

// Verify checks the signature of the request with this body. A body that is not
// signed is taken only over TLS, which guards it as well.
func (s *Signature) Verify(r *http.Request, body []byte, secret string) error {
	hash := hashOf(body)
	if claimed := cmp.Or(r.Header.Get("X-Amz-Content-Sha256"), r.URL.Query().Get("X-Amz-Content-Sha256")); claimed == unsignedPayload {
		if r.TLS == nil && len(body) > 0 {
			return invalid(unsignedPayload + " is taken over TLS only.")
		}
		hash = unsignedPayload
	}
	canonical, err := s.canonical(r, hash)
	if err != nil {
		return err
	}
	if !hmac.Equal(s.signature, s.sign(canonical, secret)) {
		return invalid(mismatchText)
	}
	return nil
}

// sign returns the signature of a canonical request.
func (s *Signature) sign(canonical, secret string) []byte {
	date := s.time.Format("20060102")
	text := strings.Join([]string{algorithm, s.time.Format(timeForm), strings.Join([]string{date, s.Region, s.Service, terminal}, "/"), hashOf([]byte(canonical))}, "\n")
	key := []byte("AWS4" + secret)
	for _, part := range []string{date, s.Region, s.Service, terminal, text} {
		mac := hmac.New(sha256.New, key)
		mac.Write([]byte(part))
		key = mac.Sum(nil)
	}
	return key
}

// canonical returns the request in the form that is signed.
func (s *Signature) canonical(r *http.Request, hash string) (string, error) {
	query, err := s.canonicalQuery(r.URL.RawQuery)
	if err != nil {
		return "", err
	}
	var b strings.Builder
	b.WriteString(r.Method + "\n" + escapePath(cmp.Or(r.URL.EscapedPath(), "/")) + "\n" + query + "\n")
	for _, name := range s.headers {
		b.WriteString(name + ":" + headerValue(r, name) + "\n")
	}
	b.WriteString("\n" + strings.Join(s.headers, ";") + "\n" + hash)
	return b.String(), nil
}

// canonicalQuery sorts the parameters by name and value, as they are escaped.
func (s *Signature) canonicalQuery(raw string) (string, error) {
	values, err := url.ParseQuery(raw)
	if err != nil {
		return "", incomplete("the query string is malformed")
	}
	type parameter struct{ name, value string }
	var list []parameter
	for name, all := range values {
		if s.presigned && name == "X-Amz-Signature" {
			continue
		}
		for _, value := range all {
			list = append(list, parameter{escape(name), escape(value)})
		}
	}
	slices.SortFunc(list, func(a, b parameter) int {
		return cmp.Or(cmp.Compare(a.name, b.name), cmp.Compare(a.value, b.value))
	})
	var b strings.Builder
	for i, p := range list {
		if i > 0 {
			b.WriteByte('&')
		}
		b.WriteString(p.name + "=" + p.value)
	}
	return b.String(), nil
}

// headerValue is the value of a header in the form that is signed. net/http has
// two of them elsewhere.
func headerValue(r *http.Request, name string) string {
	values := r.Header.Values(name)
	switch {
	case name == "host":
		values = []string{r.Host}
	case name == "content-length" && len(values) == 0 && r.ContentLength >= 0:
		values = []string{strconv.FormatInt(r.ContentLength, 10)}
	}
	parts := make([]string, len(values))
	for i, value := range values {
		parts[i] = oneSpace(strings.TrimSpace(value))
	}
	return strings.Join(parts, ",")
}

// oneSpace makes one space of several.
func oneSpace(text string) string {
	for strings.Contains(text, "  ") {
		text = strings.ReplaceAll(text, "  ", " ")
	}
	return text
}

// escape escapes all but unreserved characters of RFC 3986.
func escape(text string) string { return strings.ReplaceAll(url.QueryEscape(text), "+", "%20") }

// escapePath escapes a path once more, which is escaped already, as all services
// but S3 want it.
func escapePath(path string) string { return strings.ReplaceAll(escape(path), "%2F", "/") }

func hashOf(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}
