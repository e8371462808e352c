package rulehttp

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"
)

// confirmTime is how long AWS IoT may take to answer.
const confirmTime = 5 * time.Second

// confirmation is what AWS IoT posts before it uses a destination.
type confirmation struct {
	ARN         string `json:"arn"`
	EnableURL   string `json:"enableUrl"`
	MessageType string `json:"messageType"`
}

var (
	destinationARN = regexp.MustCompile(`^arn:(aws|aws-cn|aws-us-gov):iot:([a-z]{2}(?:-[a-z]+)+-[0-9]{1,2}):([0-9]{12}):ruledestination/http/[0-9a-f-]{36}$`)
	enablePath     = regexp.MustCompile(`^/confirmdestination/[A-Za-z0-9_=.~+/-]+$`)
	accountID      = regexp.MustCompile(`^[0-9]{12}$`)
)

// parseConfirmation reads a confirmation, and returns the URL to ask for. It is one of the endpoint of AWS IoT in
// the region of the ARN, and the ARN is of one of the accounts.
func parseConfirmation(body []byte, accounts []string) (arn, enable string, err error) {
	var c confirmation
	if err := json.Unmarshal(body, &c); err != nil {
		return "", "", fmt.Errorf("reading the confirmation: %w", err)
	}
	parts := destinationARN.FindStringSubmatch(c.ARN)
	switch {
	case c.MessageType != "DestinationConfirmation":
		return "", "", fmt.Errorf("message type %.64q, want DestinationConfirmation", c.MessageType)
	case parts == nil:
		return "", "", fmt.Errorf("%.200q is not the ARN of a destination", c.ARN)
	case !slices.Contains(accounts, parts[3]):
		return "", "", fmt.Errorf("account %s of destination %s is not one of --rule-accounts", parts[3], c.ARN)
	}
	host := "iot." + parts[2] + ".amazonaws.com"
	if parts[1] == "aws-cn" {
		host += ".cn"
	}
	u, err := url.Parse(c.EnableURL)
	if err != nil {
		return "", "", errors.New("the URL to confirm is not a URL") // it has the token
	}
	if u.Scheme != "https" || u.Host != host || u.User != nil || u.RawQuery != "" || u.Fragment != "" ||
		len(c.EnableURL) > 4096 || !enablePath.MatchString(u.EscapedPath()) || strings.Contains(u.EscapedPath(), "..") {
		return "", "", fmt.Errorf("the URL to confirm is not one of https://%s/confirmdestination/", host)
	}
	return c.ARN, "https://" + host + u.EscapedPath(), nil
}

// confirm asks for the URL. It follows no redirect: these lead elsewhere.
func (h *handler) confirm(ctx context.Context, enable string) error {
	ctx, cancel := context.WithTimeout(ctx, confirmTime)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, enable, nil)
	if err != nil {
		return errors.New("the URL to confirm is not a URL")
	}
	client := http.Client{Transport: h.options.Transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	response, err := client.Do(request)
	if err != nil {
		if failed, ok := errors.AsType[*url.Error](err); ok {
			err = failed.Err // without the URL, which has the token
		}
		return fmt.Errorf("confirming the destination: %w", err)
	}
	defer response.Body.Close()
	_, _ = io.Copy(io.Discard, io.LimitReader(response.Body, 4096))
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("confirming the destination: AWS IoT answered %s", response.Status)
	}
	return nil
}
