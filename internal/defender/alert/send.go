package alert

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/sns"
	"github.com/aws/smithy-go"

	"github.com/device-defender/device-defender/internal/defender/outbox"
)

const (
	sendTimeout = 10 * time.Second
	maxAnswer   = 64 << 10 // bytes read of an answer
)

// Sender sends alerts of an outbox. Its targets are channels by name, and SNS topics
// by ARN.
type Sender struct {
	channels map[string]*Channel
	http     *http.Client

	mu     sync.Mutex
	topics map[string]*sns.Client // by region
}

// NewSender returns a sender for the channels.
func NewSender(channels []Channel, transport http.RoundTripper) *Sender {
	s := &Sender{
		channels: map[string]*Channel{},
		http: &http.Client{
			Transport: transport,
			Timeout:   sendTimeout,
			// An alert goes where the operator said, and nowhere else.
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
		topics: map[string]*sns.Client{},
	}
	for i := range channels {
		s.channels[channels[i].Name] = &channels[i]
	}
	return s
}

// Name is the target as it may stand in a log.
func (s *Sender) Name(target string) string {
	if c := s.channels[target]; c != nil {
		return c.Shown()
	}
	return target
}

// Group says with which other alerts one goes, and how long it waits for them.
func (s *Sender) Group(target string, a outbox.Alert) (key string, hold time.Duration) {
	c := s.channels[target]
	if c == nil || c.Group == 0 {
		return "", 0
	}
	message, err := Decode(a.Message)
	if err != nil {
		return "", 0
	}
	return message.Profile + "\x00" + message.Behavior.Name + "\x00" + message.Type, c.Group
}

// Send delivers an alert, or those of a group. The error wraps [outbox.ErrRefused] if
// there is no sense in trying again.
func (s *Sender) Send(ctx context.Context, target string, alerts []outbox.Alert) error {
	c := s.channels[target]
	switch {
	case c == nil && !IsTopic(target):
		return fmt.Errorf("there is no channel %s", target)
	case c == nil:
		return s.publish(ctx, target, alerts[0])
	default:
		_, err := s.sendTo(ctx, c, alerts)
		return err
	}
}

// sendTo sends to a channel. The answer is what the receiver said.
func (s *Sender) sendTo(ctx context.Context, c *Channel, alerts []outbox.Alert) (answer string, err error) {
	if c.Type == SNS {
		if err := s.publish(ctx, c.Topic, alerts[0]); err != nil {
			return "", err
		}
		return "published", nil
	}
	body, err := c.body(alerts)
	if err != nil {
		return "", fmt.Errorf("%w: %w", outbox.ErrRefused, err)
	}
	return s.post(ctx, c, body)
}

// body is what is posted.
func (c *Channel) body(alerts []outbox.Alert) ([]byte, error) {
	format := kinds[c.Type].format
	if format == nil {
		return alerts[0].Message, nil
	}
	list := make([]*Alert, len(alerts))
	for i, a := range alerts {
		var err error
		if list[i], err = Decode(a.Message); err != nil {
			return nil, err
		}
	}
	message, err := format(c, list)
	if err != nil {
		return nil, err
	}
	return json.Marshal(message)
}

// post posts a body, and returns the status that was answered.
func (s *Sender) post(ctx context.Context, c *Channel, body []byte) (status string, err error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, c.URL, bytes.NewReader(body))
	if err != nil {
		return "", err
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("User-Agent", "defenderctl")
	for name, value := range c.Headers {
		request.Header.Set(name, value)
	}
	if c.Secret != "" {
		if err := sign(request.Header, c.Secret, messageID(c.Name, body), time.Now(), body); err != nil {
			return "", err
		}
	}
	response, err := s.http.Do(request)
	if failed, ok := errors.AsType[*url.Error](err); ok {
		return "", failed.Err // without the URL, see Masked
	} else if err != nil {
		return "", err
	}
	defer response.Body.Close()
	_, _ = io.Copy(io.Discard, io.LimitReader(response.Body, maxAnswer))
	switch code := response.StatusCode; {
	case code >= 200 && code <= 299:
		return response.Status, nil
	case slices.Contains(refusals, code):
		return response.Status, fmt.Errorf("it answered %s: %w", response.Status, outbox.ErrRefused)
	default:
		return response.Status, fmt.Errorf("it answered %s", response.Status)
	}
}

// refusals are answers to an alert that would be the same at every try.
var refusals = []int{
	http.StatusBadRequest, http.StatusGone, http.StatusRequestEntityTooLarge,
	http.StatusUnsupportedMediaType, http.StatusUnprocessableEntity,
}

// publish sends the message to an SNS topic with the credentials of AWS's
// standard chain. The role of the alert target is not assumed: on this machine
// it's the operator who sends, not AWS IoT.
func (s *Sender) publish(ctx context.Context, topic string, a outbox.Alert) error {
	client, err := s.client(ctx, strings.Split(topic, ":")[3])
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
		return fmt.Errorf("%w: %w", outbox.ErrRefused, err)
	}
	return err
}

// client returns the client of a region. AWS_ENDPOINT_URL_SNS is honoured.
func (s *Sender) client(ctx context.Context, region string) (*sns.Client, error) {
	s.mu.Lock()
	client := s.topics[region]
	s.mu.Unlock()
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
	s.mu.Lock()
	defer s.mu.Unlock()
	s.topics[region] = client
	return client, nil
}
