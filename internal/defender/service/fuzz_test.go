package service

import (
	"encoding/json"
	"encoding/xml"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
)

// FuzzHandler sends any method, path, query and body: the answer is JSON, or
// XML where STS is asked, its status says whether it's an error, and no failure
// is the service's own.
func FuzzHandler(f *testing.F) {
	for _, op := range new(Service).operations() {
		path := strings.NewReplacer("{$}", "", "{format}", "json", "{", "", "}", "").Replace(op.Path)
		f.Add(op.Method, path, "maxResults=2", `{}`, "application/json")
	}
	f.Add("POST", "/security-profiles/P", "", `{"behaviors":[{"name":"B","metric":"aws:all-packets-out","criteria":{"comparisonOperator":"less-than","value":{"count":5}}}]}`, "application/json")
	f.Add("PUT", "/security-profiles/P/targets", "securityProfileTargetArn=arn:aws:iot:us-east-1:123456789012:all/things", "", "")
	f.Add("PUT", "/thing-groups/addThingToThingGroup", "", `{"thingGroupName":"g","thingName":"t"}`, "application/json")
	f.Add("GET", "/things", "nextToken=AAAAAAAAAAAA&attributeName=a", "", "")
	f.Add("GET", "/active-violations", "thingName=t&verificationState=UNKNOWN", "", "")
	f.Add("GET", "/violation-events", "startTime=2026-11-22T00:00:00Z&endTime=9999-12-31T23:59:59Z", "", "")
	f.Add("POST", "/", "", "Action=GetCallerIdentity", "application/x-www-form-urlencoded")
	f.Add("DELETE", "//a/../b", "%zz", "\xff", "text/plain")
	s, err := Open(Options{Data: f.TempDir()})
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { s.Close() })
	handler := s.Handler()
	f.Fuzz(func(t *testing.T, method, path, query, body, contentType string) {
		r := httptest.NewRequest("GET", "http://localhost/", strings.NewReader(body))
		r.Method = method
		r.URL = &url.URL{Path: path, RawQuery: query}
		if unescaped, err := url.PathUnescape(path); err == nil {
			r.URL = &url.URL{Path: unescaped, RawPath: path, RawQuery: query}
		}
		r.Header.Set("Content-Type", contentType)
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, r)
		var answer any
		switch kind := w.Header().Get("Content-Type"); kind {
		case "application/json":
			err = json.Unmarshal(w.Body.Bytes(), &answer)
		case "text/xml":
			err = xml.Unmarshal(w.Body.Bytes(), &struct{}{})
		case "application/cbor": // a reply to a report
		default:
			t.Fatalf("%s %q: %d, an answer of type %q", method, path, w.Code, kind)
		}
		if err != nil {
			t.Errorf("%s %q: %d %s: %v", method, path, w.Code, w.Body, err)
		}
		if failed := w.Header().Get("X-Amzn-ErrorType") != ""; w.Code >= 500 || failed && w.Code < 400 {
			t.Errorf("%s %q %q: %d %s", method, path, query, w.Code, w.Body)
		}
	})
}
