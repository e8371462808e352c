package service

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
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
	"go.etcd.io/bbolt"
)

// The outbox holds alerts from the transaction of their event until they are
// delivered: at least once, and in order for each target. A target that fails
// is tried again after a growing time, and holds up no other.
const (
	// alertLife is how long delivery is tried. An alert of days ago is news
	// to nobody, and the API still lists its event.
	alertLife = 3 * 24 * time.Hour
	// maxAlerts bounds what waits for one target; the oldest give way.
	maxAlerts = 10_000
	// maxDeliveries bounds the deliveries under way at one time.
	maxDeliveries = 8

	deliveryTimeout  = 10 * time.Second
	firstRetry       = time.Second
	longestRetry     = 5 * time.Minute
	maxWebhookAnswer = 64 << 10 // bytes read of it
)

// webhookTarget is the target that isn't named by an ARN.
const webhookTarget = "webhook"

// storedAlert is an alert that is to be delivered. Its key is a number that
// grows.
type storedAlert struct {
	Time    time.Time       `json:"time"`
	Message json.RawMessage `json:"message"`
}

// enqueue puts a message for the target into the outbox.
func (c *change) enqueue(target string, message []byte) error {
	b, err := c.tx.Bucket(bucketOutbox).CreateBucketIfNotExists([]byte(target))
	if err != nil {
		return err
	}
	number, err := b.NextSequence()
	if err != nil {
		return err
	}
	if oldest, _ := b.Cursor().First(); oldest != nil && number-binary.BigEndian.Uint64(oldest) >= maxAlerts {
		c.s.log.Warn("outbox full, dropping the oldest alert", "target", c.s.targetName(target), "limit", maxAlerts)
		if err := b.Delete(oldest); err != nil {
			return err
		}
	}
	record, err := json.Marshal(storedAlert{Time: c.now, Message: message})
	if err != nil {
		return err
	}
	c.tx.OnCommit(func() { c.s.wake(c.s.outboxReady) })
	return b.Put(binary.BigEndian.AppendUint64(nil, number), record)
}

// targetName is the target as it may stand in a log: a webhook's URL often
// holds a secret.
func (s *Service) targetName(target string) string {
	if target != webhookTarget {
		return target
	}
	if u, err := url.Parse(s.options.Webhook); err == nil {
		return "webhook at " + u.Host
	}
	return target
}

// checkWebhook says whether alerts can be posted to the URL.
func checkWebhook(text string) error {
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

// courier delivers what is in the outbox.
type courier struct {
	s    *Service
	http *http.Client  // of the webhook
	slot chan struct{} // holds one per delivery under way

	mu      sync.Mutex             // guards the rest
	running map[string]bool        // targets that have a goroutine
	topics  map[string]*sns.Client // by region
}

// deliver delivers alerts until ctx ends.
func (s *Service) deliver(ctx context.Context) {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	defer transport.CloseIdleConnections()
	s.newCourier(transport).run(ctx)
}

func (s *Service) newCourier(transport http.RoundTripper) *courier {
	return &courier{
		s: s,
		http: &http.Client{
			Transport: transport,
			Timeout:   deliveryTimeout,
			// An alert goes where the operator said, and nowhere else.
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
		slot:    make(chan struct{}, maxDeliveries),
		running: map[string]bool{},
		topics:  map[string]*sns.Client{},
	}
}

func (c *courier) run(ctx context.Context) {
	var targets sync.WaitGroup
	defer targets.Wait()
	for {
		for _, target := range c.idle() {
			targets.Go(func() { c.serve(ctx, target) })
		}
		select {
		case <-c.s.outboxReady:
		case <-ctx.Done():
			return
		}
	}
}

// idle returns the targets that have alerts and no goroutine, and marks them
// as having one.
func (c *courier) idle() (targets []string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	err := c.s.read(func(tx *bbolt.Tx) error {
		outbox := tx.Bucket(bucketOutbox)
		return outbox.ForEachBucket(func(name []byte) error {
			target := string(name)
			if first, _ := outbox.Bucket(name).Cursor().First(); first != nil && !c.running[target] {
				c.running[target] = true
				targets = append(targets, target)
			}
			return nil
		})
	})
	if err != nil {
		c.s.log.Error("reading the outbox failed", "error", err)
	}
	return targets
}

// serve delivers the target's alerts until none is left or ctx ends.
func (c *courier) serve(ctx context.Context, target string) {
	defer func() {
		c.mu.Lock()
		delete(c.running, target)
		c.mu.Unlock()
		// One may have come after the last look and before that.
		if ctx.Err() == nil {
			c.s.wake(c.s.outboxReady)
		}
	}()
	wait := firstRetry
	for ctx.Err() == nil {
		done, err := c.step(ctx, target)
		switch {
		case done || ctx.Err() != nil:
			return
		case err == nil:
			wait = firstRetry
			continue
		}
		pause := wait/2 + rand.N(wait/2)
		c.s.log.Warn("alert not delivered", "target", c.s.targetName(target), "error", err, "retry_in", pause.Round(time.Millisecond))
		wait = min(2*wait, longestRetry)
		select {
		case <-time.After(pause):
		case <-ctx.Done():
		}
	}
}

// errRefused says that a target will not take an alert, however often it is
// tried. Other refusals, such as of credentials, the operator can mend, and the
// alert then still arrives.
var errRefused = errors.New("the alert itself is refused")

// step delivers the target's oldest alert, or gives it up: one that is refused
// would hold up those behind it for days. It is done when there is none.
func (c *courier) step(ctx context.Context, target string) (done bool, err error) {
	key, alert, err := c.next(target)
	if err != nil || alert == nil {
		return err == nil, err
	}
	waited := c.s.now().Sub(alert.Time)
	if c.s.clock.leapt() > 0 {
		waited = 0 // as far as is known
	}
	if waited < alertLife {
		err = c.send(ctx, target, alert.Message)
	}
	switch {
	case waited >= alertLife || errors.Is(err, errRefused):
		c.s.log.Error("alert given up", "target", c.s.targetName(target), "after", waited.Round(time.Second), "error", err, "alert", string(alert.Message))
	case err != nil:
		return false, err
	}
	return false, c.s.write(func(tx *bbolt.Tx) error {
		b := tx.Bucket(bucketOutbox).Bucket([]byte(target))
		if b == nil {
			return nil
		}
		return b.Delete(key)
	})
}

// next reads the target's oldest alert; nil when there is none.
func (c *courier) next(target string) (key []byte, alert *storedAlert, err error) {
	err = c.s.read(func(tx *bbolt.Tx) error {
		b := tx.Bucket(bucketOutbox).Bucket([]byte(target))
		if b == nil {
			return nil
		}
		first, record := b.Cursor().First()
		if first == nil {
			return nil
		}
		key, alert = bytes.Clone(first), new(storedAlert)
		return json.Unmarshal(record, alert)
	})
	return key, alert, err
}

// send delivers one message.
func (c *courier) send(ctx context.Context, target string, message []byte) error {
	select {
	case c.slot <- struct{}{}:
		defer func() { <-c.slot }()
	case <-ctx.Done():
		return ctx.Err()
	}
	ctx, cancel := context.WithTimeout(ctx, deliveryTimeout)
	defer cancel()
	if target == webhookTarget {
		return c.post(ctx, message)
	}
	return c.publish(ctx, target, message)
}

func (c *courier) post(ctx context.Context, message []byte) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, c.s.options.Webhook, bytes.NewReader(message))
	if err != nil {
		return err
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("User-Agent", "defenderctl")
	response, err := c.http.Do(request)
	if failed, ok := errors.AsType[*url.Error](err); ok {
		return failed.Err // without the URL, see targetName
	} else if err != nil {
		return err
	}
	defer response.Body.Close()
	io.Copy(io.Discard, io.LimitReader(response.Body, maxWebhookAnswer))
	switch code := response.StatusCode; {
	case code >= 200 && code <= 299:
		return nil
	case slices.Contains(refusals, code):
		return fmt.Errorf("webhook answered %s: %w", response.Status, errRefused)
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
func (c *courier) publish(ctx context.Context, topic string, message []byte) error {
	client, err := c.client(ctx, strings.Split(topic, ":")[3])
	if err != nil {
		return err
	}
	in := &sns.PublishInput{TopicArn: &topic, Message: aws.String(string(message))}
	if strings.HasSuffix(topic, ".fifo") { // which takes nothing without these
		in.MessageGroupId = aws.String("defender") // one, because alerts are in one order
		in.MessageDeduplicationId = aws.String(fmt.Sprintf("%x", sha256.Sum256(message)))
	}
	_, err = client.Publish(ctx, in)
	if refused, ok := errors.AsType[smithy.APIError](err); ok && slices.Contains([]string{"InvalidParameter", "ParameterValueInvalid"}, refused.ErrorCode()) {
		return fmt.Errorf("%w: %w", errRefused, err)
	}
	return err
}

// client returns the client of a region. AWS_ENDPOINT_URL_SNS is honoured.
func (c *courier) client(ctx context.Context, region string) (*sns.Client, error) {
	c.mu.Lock()
	client := c.topics[region]
	c.mu.Unlock()
	if client != nil {
		return client, nil
	}
	cfg, err := config.LoadDefaultConfig(ctx, config.WithRegion(region))
	if err != nil {
		return nil, err
	}
	client = sns.NewFromConfig(cfg, func(o *sns.Options) {
		o.Retryer = aws.NopRetryer{} // the outbox retries
	})
	c.mu.Lock()
	defer c.mu.Unlock()
	c.topics[region] = client
	return client, nil
}

// sweepOutbox forgets alerts of targets that nothing delivers to any more:
// those of a webhook, when there is none now.
func sweepOutbox(tx *bbolt.Tx, webhook bool) error {
	outbox := tx.Bucket(bucketOutbox)
	var gone [][]byte
	err := outbox.ForEachBucket(func(name []byte) error {
		first, _ := outbox.Bucket(name).Cursor().First()
		if first == nil || string(name) == webhookTarget && !webhook {
			gone = append(gone, bytes.Clone(name))
		}
		return nil
	})
	for _, name := range gone {
		if err == nil {
			err = outbox.DeleteBucket(name)
		}
	}
	return err
}
