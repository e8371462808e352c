package service

import (
	"encoding/xml"
	"fmt"
	"net/http"
	"net/url"

	"github.com/device-defender/device-defender/internal/defender/profile"
)

// getCallerIdentity is STS's operation that tells the account. It's the one of
// STS's operations that there is, and changes nothing.
func getCallerIdentity(s *Service, r *request) (any, error) {
	form, err := url.ParseQuery(string(r.body))
	if err != nil {
		return nil, &apiError{Type: "MalformedQueryString", Status: http.StatusBadRequest, Message: "the form is malformed: " + clip(err.Error())}
	}
	if action := form.Get("Action"); action != "GetCallerIdentity" {
		return nil, &apiError{Type: "InvalidAction", Status: http.StatusBadRequest, Message: fmt.Sprintf("action %q is none of this service, which has GetCallerIdentity", clip(action))}
	}
	type result struct {
		ARN     string `xml:"Arn"`
		UserID  string `xml:"UserId"`
		Account string
	}
	body, err := xml.Marshal(struct {
		XMLName xml.Name `xml:"https://sts.amazonaws.com/doc/2011-06-15/ GetCallerIdentityResponse"`
		Result  result   `xml:"GetCallerIdentityResult"`
	}{Result: result{
		ARN:     fmt.Sprintf("arn:%s:iam::%s:root", profile.PartitionOf(s.options.Region), s.options.Account),
		UserID:  s.options.Account,
		Account: s.options.Account,
	}})
	if err != nil {
		return nil, err
	}
	return &answer{status: http.StatusOK, contentType: "text/xml", body: body}, nil
}

// writeSTSError writes an error as the AWS Query protocol does.
func writeSTSError(w http.ResponseWriter, e *apiError) {
	kind := "Sender"
	if e.Status >= 500 {
		kind = "Receiver"
	}
	type inner struct {
		Type    string
		Code    string
		Message string
	}
	body, err := xml.Marshal(struct {
		XMLName xml.Name `xml:"https://sts.amazonaws.com/doc/2011-06-15/ ErrorResponse"`
		Error   inner
	}{Error: inner{kind, e.Type, e.Message}})
	if err != nil {
		writeError(w, e)
		return
	}
	w.Header().Set("Content-Type", "text/xml")
	w.WriteHeader(e.Status)
	w.Write(body)
}
