package sigv4

import (
	"encoding/hex"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

const (
	algorithm = "AWS4-HMAC-SHA256"
	terminal  = "aws4_request"
	timeForm  = "20060102T150405Z"
	// maxSkew is how far a client's clock may be off, as at AWS.
	maxSkew = 5 * time.Minute
	// maxExpires is the longest that a presigned URL may be of use, as at AWS.
	maxExpires = 7 * 24 * time.Hour
)

// Signature is what a request says of its signature.
type Signature struct {
	KeyID   string // 1 to 128 letters and digits
	Region  string
	Service string

	time      time.Time
	expires   time.Duration // from time on
	presigned bool
	headers   []string // that are signed
	signature []byte
}

// Parse reads the signature of a request, from its header or its query.
func Parse(r *http.Request) (*Signature, error) {
	authorization := r.Header.Values("Authorization")
	presigned := strings.Contains(r.URL.RawQuery, "X-Amz-") // cheap, for nearly all have none
	var query url.Values
	if presigned {
		var err error
		if query, err = url.ParseQuery(r.URL.RawQuery); err != nil {
			return nil, incomplete("the query string is malformed")
		}
		presigned = query.Has("X-Amz-Signature") || query.Has("X-Amz-Credential") || query.Has("X-Amz-Algorithm")
	}
	switch {
	case len(authorization) > 1 || len(authorization) == 1 && presigned:
		return nil, incomplete("the request is signed more than once, want one signature, in the header or in the query")
	case r.Header.Get("X-Amz-Security-Token") != "" || query.Has("X-Amz-Security-Token"):
		return nil, UnknownKey() // the service gives out no temporary credentials
	case presigned:
		return parseQuery(query)
	case len(authorization) == 0 || !strings.HasPrefix(authorization[0], algorithm+" "):
		return nil, &Error{Missing, missingText}
	}
	return parseHeader(authorization[0], r.Header.Values("X-Amz-Date"))
}

func parseHeader(authorization string, dates []string) (*Signature, error) {
	fields := map[string]string{}
	for part := range strings.SplitSeq(strings.TrimPrefix(authorization, algorithm+" "), ",") {
		name, value, found := strings.Cut(strings.TrimSpace(part), "=")
		if _, twice := fields[name]; !found || twice {
			return nil, incomplete("Authorization header is malformed, want Credential, SignedHeaders and Signature, once each")
		}
		fields[name] = value
	}
	for _, name := range []string{"Credential", "SignedHeaders", "Signature"} {
		if fields[name] == "" {
			return nil, incomplete(fmt.Sprintf("Authorization header requires '%s' parameter.", name))
		}
	}
	if len(dates) != 1 {
		return nil, incomplete("Authorization header requires existence of one 'X-Amz-Date' header.")
	}
	return parse(fields["Credential"], fields["SignedHeaders"], fields["Signature"], dates[0])
}

func parseQuery(query url.Values) (*Signature, error) {
	for _, name := range []string{"X-Amz-Algorithm", "X-Amz-Credential", "X-Amz-Date", "X-Amz-SignedHeaders", "X-Amz-Signature"} {
		if len(query[name]) != 1 {
			return nil, incomplete(fmt.Sprintf("AWS query-string parameters must include '%s' once.", name))
		}
	}
	if query.Get("X-Amz-Algorithm") != algorithm {
		return nil, incomplete("Unsupported 'X-Amz-Algorithm', want " + algorithm + ".")
	}
	s, err := parse(query.Get("X-Amz-Credential"), query.Get("X-Amz-SignedHeaders"), query.Get("X-Amz-Signature"), query.Get("X-Amz-Date"))
	if err != nil {
		return nil, err
	}
	s.presigned = true
	if expires, given := query["X-Amz-Expires"]; given {
		seconds, err := strconv.ParseUint(expires[0], 10, 32)
		s.expires = time.Duration(seconds) * time.Second
		if err != nil || len(expires) != 1 || s.expires == 0 || s.expires > maxExpires {
			return nil, incomplete("X-Amz-Expires must be a number of seconds, at least 1 and at most 604800.")
		}
	}
	return s, nil
}

func parse(credential, headers, signature, at string) (*Signature, error) {
	s := &Signature{expires: maxSkew, headers: strings.Split(headers, ";")}
	scope := strings.Split(credential, "/")
	if len(scope) != 5 || scope[4] != terminal || !isName(scope[0]) {
		return nil, incomplete("Credential must have 5 elements: access key, date, region, service and '" + terminal + "'.")
	}
	s.KeyID, s.Region, s.Service = scope[0], scope[2], scope[3]
	var err error
	if s.time, err = time.Parse(timeForm, at); err != nil {
		return nil, incomplete("Date must be in ISO-8601 'basic format', such as 20260102T150405Z.")
	}
	if scope[1] != s.time.Format("20060102") {
		return nil, invalid("Credential should be scoped to the date of the signature.")
	}
	// Headers are in order and none is named twice, so one request has one
	// canonical form.
	for i, name := range s.headers {
		if !isHeader(name) || i > 0 && s.headers[i-1] >= name {
			return nil, incomplete("SignedHeaders must be names of headers in lower case, in order, with ';' between them.")
		}
	}
	if !slices.Contains(s.headers, "host") {
		return nil, invalid("'Host' must be a 'SignedHeader' in the AWS Authorization.")
	}
	if s.signature, err = hex.DecodeString(signature); err != nil || len(s.signature) != 32 {
		return nil, invalid(mismatchText)
	}
	return s, nil
}

// isName reports whether the text can be the id of an access key.
func isName(id string) bool {
	return id != "" && len(id) <= 128 && !strings.ContainsFunc(id, func(c rune) bool {
		return (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '_'
	})
}

func isHeader(name string) bool {
	return name != "" && !strings.ContainsFunc(name, func(c rune) bool {
		return (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' && c != '_'
	})
}

// CheckTime checks that the signature is of now, as far as clocks agree, or
// presigned for a time that is not over.
func (s *Signature) CheckTime(now time.Time) error {
	now = now.UTC()
	signed, is := s.time.Format(timeForm), now.Format(timeForm)
	if s.time.After(now.Add(maxSkew)) {
		return invalid(fmt.Sprintf("Signature not yet current: %s is still later than %s (%s + 5 min.)", signed, now.Add(maxSkew).Format(timeForm), is))
	}
	if now.After(s.time.Add(s.expires)) {
		if s.presigned {
			return invalid(fmt.Sprintf("Signature expired: %s with X-Amz-Expires %d, and it is %s", signed, int(s.expires.Seconds()), is))
		}
		return invalid(fmt.Sprintf("Signature expired: %s is now earlier than %s (%s - 5 min.)", signed, now.Add(-maxSkew).Format(timeForm), is))
	}
	return nil
}

// CheckScope checks that the signature is for a region and one of the services.
func (s *Signature) CheckScope(region string, services ...string) error {
	if s.Region != region {
		return invalid(fmt.Sprintf("Credential should be scoped to a valid region, want '%s'.", region))
	}
	if !slices.Contains(services, s.Service) {
		return invalid(fmt.Sprintf("Credential should be scoped to correct service: '%s'.", strings.Join(services, "' or '")))
	}
	return nil
}
