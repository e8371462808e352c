package outbox

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/sns"
	"github.com/aws/smithy-go"
)

// Webhook is the target that isn't named by an ARN.
const Webhook = "webhook"

const maxWebhookAnswer = 64 << 10 // bytes read of it

// Post sends alerts to a webhook and to SNS topics.
type Post struct {
	url  string
	http *http.Client

	mu     sync.Mutex
	topics map[string]*sns.Client // by region
}

// NewPost returns a post with the URL of a webhook, which may be "".
func NewPost(webhook string, transport http.RoundTripper) *Post {
	return &Post{
		url: webhook,
		http: &http.Client{
			Transport: transport,
			Timeout:   deliveryTimeout,
			// An alert goes where the operator said, and nowhere else.
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
		topics: map[string]*sns.Client{},
	}
}

// CheckWebhook says whether alerts can be posted to the URL.
func CheckWebhook(text string) error {
	u, err := url.Parse(text)
	switch {
	case err != nil:
		return fmt.Errorf("webhook: %w", err)
	case u.Scheme != "http" && u.Scheme != "https":
		return fmt.Errorf("webhook %q: want a URL with http or https", u.Redacted())
	case u.Host == "":
		return fmt.Errorf("webhook %q has no host", u.Redacted())
	}
	return nil
}

// Name is the target as it may stand in a log: a webhook's URL often holds a
// secret.
func (p *Post) Name(target string) string {
	if target != Webhook {
		return target
	}
	if u, err := url.Parse(p.url); err == nil {
		return "webhook at " + u.Host
	}
	return target
}

// Send delivers one alert.
func (p *Post) Send(ctx context.Context, target string, a Alert) error {
	if target == Webhook {
		return p.post(ctx, a.Message)
	}
	return p.publish(ctx, target, a)
}

func (p *Post) post(ctx context.Context, message []byte) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, p.url, bytes.NewReader(message))
	if err != nil {
		return err
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("User-Agent", "defenderctl")
	response, err := p.http.Do(request)
	if failed, ok := errors.AsType[*url.Error](err); ok {
		return failed.Err // without the URL, see Name
	} else if err != nil {
		return err
	}
	defer response.Body.Close()
	_, _ = io.Copy(io.Discard, io.LimitReader(response.Body, maxWebhookAnswer))
	switch code := response.StatusCode; {
	case code >= 200 && code <= 299:
		return nil
	case slices.Contains(refusals, code):
		return fmt.Errorf("webhook answered %s: %w", response.Status, ErrRefused)
	default:
		return fmt.Errorf("webhook answered %s", response.Status)
	}
}

// refusals are answers of a webhook that are about the alert itself or for
// ever.
var refusals = []int{
	http.StatusBadRequest, http.StatusGone, http.StatusRequestEntityTooLarge,
	http.StatusUnsupportedMediaType, http.StatusUnprocessableEntity,
}

// publish sends the message to an SNS topic with the credentials of AWS's
// standard chain. The role of the alert target is not assumed: on this machine
// it's the operator who sends, not AWS IoT.
func (p *Post) publish(ctx context.Context, topic string, a Alert) error {
	client, err := p.client(ctx, strings.Split(topic, ":")[3])
	if err != nil {
		return err
	}
	in := &sns.PublishInput{TopicArn: &topic, Message: aws.String(string(a.Message))}
	if strings.HasSuffix(topic, ".fifo") { // which takes nothing without these
		in.MessageGroupId = aws.String(cmp.Or(a.Violation, "defender")) // which has an order
		in.MessageDeduplicationId = aws.String(fmt.Sprintf("%x", sha256.Sum256(a.Message)))
	}
	_, err = client.Publish(ctx, in)
	if refused, ok := errors.AsType[smithy.APIError](err); ok && slices.Contains([]string{"InvalidParameter", "ParameterValueInvalid"}, refused.ErrorCode()) {
		return fmt.Errorf("%w: %w", ErrRefused, err)
	}
	return err
}

// client returns the client of a region. AWS_ENDPOINT_URL_SNS is honoured.
func (p *Post) client(ctx context.Context, region string) (*sns.Client, error) {
	p.mu.Lock()
	client := p.topics[region]
	p.mu.Unlock()
	if client != nil {
		return client, nil
	}
	cfg, err := config.LoadDefaultConfig(ctx, config.WithRegion(region))
	if err != nil {
		return nil, err
	}
	client = sns.NewFromConfig(cfg, func(o *sns.Options) {
		o.Retryer = aws.NopRetryer{} // the courier retries
	})
	p.mu.Lock()
	defer p.mu.Unlock()
	p.topics[region] = client
	return client, nil
}
