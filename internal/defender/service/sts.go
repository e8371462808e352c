package service

import (
	"encoding/xml"
	"fmt"
	"net/http"
	"net/url"

	"github.com/device-defender/device-defender/internal/defender/awsrest"
	"github.com/device-defender/device-defender/internal/defender/profile"
)

// getCallerIdentity is STS's operation that tells the account. It is the
// only operation of STS that there is, and changes nothing.
func (s *Service) getCallerIdentity(r *awsrest.Request) (any, error) {
	form, err := url.ParseQuery(string(r.Body))
	if err != nil {
		return nil, &awsrest.Error{Type: "MalformedQueryString", Status: http.StatusBadRequest, Message: "the form is malformed: " + awsrest.Clip(err.Error())}
	}
	if action := form.Get("Action"); action != "GetCallerIdentity" {
		return nil, &awsrest.Error{Type: "InvalidAction", Status: http.StatusBadRequest, Message: fmt.Sprintf("action %q is none of this service, which has GetCallerIdentity", awsrest.Clip(action))}
	}
	arn, user := fmt.Sprintf("arn:%s:iam::%s:root", profile.PartitionOf(s.options.Region), s.options.Account), s.options.Account
	if r.Caller != "" {
		arn, user = s.userARN(r.Caller), r.Caller
	}
	type result struct {
		ARN     string `xml:"Arn"`
		UserID  string `xml:"UserId"`
		Account string
	}
	body, err := xml.Marshal(struct {
		XMLName xml.Name `xml:"https://sts.amazonaws.com/doc/2011-06-15/ GetCallerIdentityResponse"`
		Result  result   `xml:"GetCallerIdentityResult"`
	}{Result: result{ARN: arn, UserID: user, Account: s.options.Account}})
	if err != nil {
		return nil, err
	}
	return &awsrest.Answer{Status: http.StatusOK, ContentType: "text/xml", Body: body}, nil
}

// stsCodes are the codes of STS for what AWS IoT calls in another way.
var stsCodes = map[string]string{
	"MissingAuthenticationTokenException": "MissingAuthenticationToken",
	"UnrecognizedClientException":         "InvalidClientTokenId",
	"InvalidSignatureException":           "SignatureDoesNotMatch",
	"IncompleteSignatureException":        "IncompleteSignature",
	"AccessDeniedException":               "AccessDenied",
	"ThrottlingException":                 "Throttling",
}

// stsError is an error as the AWS Query protocol has it.
func stsError(e *awsrest.Error) *awsrest.Answer {
	kind := "Sender"
	if e.Status >= 500 {
		kind = "Receiver"
	}
	type inner struct {
		Type    string
		Code    string
		Message string
	}
	code := e.Type
	if its, other := stsCodes[code]; other {
		code = its
	}
	body, _ := xml.Marshal(struct { // texts can always be encoded
		XMLName xml.Name `xml:"https://sts.amazonaws.com/doc/2011-06-15/ ErrorResponse"`
		Error   inner
	}{Error: inner{kind, code, e.Message}})
	return &awsrest.Answer{Status: e.Status, ContentType: "text/xml", Body: body}
}
