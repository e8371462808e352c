package alert

import (
	"errors"
	"regexp"
	"slices"
	"strings"
	"unicode"
)

// ownHeaders are set by the sender.
var ownHeaders = []string{"Content-Type", "Content-Length", "Host", "Transfer-Encoding", "Connection", "Webhook-Id", "Webhook-Timestamp", "Webhook-Signature"}

// headerName is a token of RFC 9110.
var headerName = regexp.MustCompile("^[-!#$%&'*+.^_`|~0-9A-Za-z]{1,100}$")

// CheckHeaderName says whether a channel may send a header of the name.
func CheckHeaderName(name string) error {
	if !headerName.MatchString(name) || slices.Contains(ownHeaders, name) {
		return errors.New("a header of this name can't be sent")
	}
	return nil
}

// CheckHeader says whether a header may have the value.
func CheckHeader(value string) error {
	if strings.ContainsFunc(value, unicode.IsControl) {
		return errors.New("a header can't have control characters")
	}
	return nil
}
