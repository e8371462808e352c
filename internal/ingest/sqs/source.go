package sqs

import (
	"context"
	"encoding/json"
	"log/slog"
	"strconv"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"github.com/device-defender/device-defender/internal/ingest"
)

const (
	// batch is the most that SQS gives, deletes or changes in a call.
	batch = 10
	// window is how many messages are worked on together.
	window = 10 * batch
	// longPoll is how long an empty queue waits for a message; SQS's most.
	longPoll = 20 // seconds
	// hidden is for how long a message that was received is given to nobody else, unless
	// it is extended.
	hidden = 60 * time.Second
	extend = hidden / 3
	// finish is how long a source goes on at its end with what it has received.
	finish = 5 * time.Second
	// lastCalls is how long the end of the source may take for what it has to tell SQS.
	lastCalls = 10 * time.Second
	// settleEvery is how often a source that begins looks whether messages are hidden.
	settleEvery = 2 * time.Second
	// lookAgain is how often the queue's redrive policy is looked at.
	lookAgain = 10 * time.Minute
	// After an error the next try waits this long at first, and twice as long each time.
	firstPause = time.Second
	maxPause   = 30 * time.Second
)

// API is what is asked of SQS.
type API interface {
	GetQueueAttributes(context.Context, *sqs.GetQueueAttributesInput, ...func(*sqs.Options)) (*sqs.GetQueueAttributesOutput, error)
	ReceiveMessage(context.Context, *sqs.ReceiveMessageInput, ...func(*sqs.Options)) (*sqs.ReceiveMessageOutput, error)
	DeleteMessageBatch(context.Context, *sqs.DeleteMessageBatchInput, ...func(*sqs.Options)) (*sqs.DeleteMessageBatchOutput, error)
	ChangeMessageVisibilityBatch(context.Context, *sqs.ChangeMessageVisibilityBatchInput, ...func(*sqs.Options)) (*sqs.ChangeMessageVisibilityBatchOutput, error)
}

// Options say what a source is.
type Options struct {
	URL   string // of the queue
	Rules *ingest.Rules
	// Connected is told whether messages can be received; may be nil.
	Connected func(bool)
	API       API          // default: SQS, with the credentials of AWS's standard chain
	Log       *slog.Logger // default: no log
}

// Source takes what is in a queue.
type Source struct {
	options Options
	log     *slog.Logger

	// Of Serve's loop.
	looked  time.Time // at the queue's attributes
	redrive int       // how often a message may be received; 0: there is no dead-letter queue
	problem string    // of the last call that failed, so that it is said once
	pause   time.Duration
}

// New makes a source. It calls no service of AWS but those that tell credentials.
func New(ctx context.Context, o Options) (*Source, error) {
	if err := CheckURL(o.URL); err != nil {
		return nil, err
	}
	if o.Connected == nil {
		o.Connected = func(bool) {}
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.API == nil {
		client, err := newClient(ctx, o.URL)
		if err != nil {
			return nil, err
		}
		o.API = client
	}
	return &Source{options: o, log: o.Log.With("queue", o.URL)}, nil
}

// Close closes a source that is not served.
func (*Source) Close() error { return nil }

// Serve takes messages until ctx ends. What SQS refuses, or the network, is said in the log
// and tried again.
func (s *Source) Serve(ctx context.Context) error {
	s.settle(ctx)
	for ctx.Err() == nil {
		if s.looked.IsZero() || time.Since(s.looked) > lookAgain {
			s.look(ctx)
		}
		messages, err := s.receive(ctx)
		switch {
		case err == nil:
			s.recovered()
		case ctx.Err() == nil:
			s.failed(ctx, err)
		}
		if len(messages) > 0 {
			s.work(ctx, messages)
		}
	}
	return nil
}

// settle waits until no message of the queue is hidden, but not longer than one is that nobody
// works on: a service that was killed held messages which are older than those that wait, and
// would be late after them.
func (s *Source) settle(ctx context.Context) {
	said := false
	for begin := time.Now(); time.Since(begin) < hidden; {
		out, err := s.options.API.GetQueueAttributes(ctx, &sqs.GetQueueAttributesInput{
			QueueUrl: &s.options.URL, AttributeNames: []types.QueueAttributeName{types.QueueAttributeNameApproximateNumberOfMessagesNotVisible},
		})
		if err != nil {
			return // the first call to receive says what is wrong
		}
		held := out.Attributes[string(types.QueueAttributeNameApproximateNumberOfMessagesNotVisible)]
		if held == "" || held == "0" {
			return
		}
		if !said {
			s.log.Info("waiting for messages of the queue that another service holds, or held when it was killed", "messages", held, "at_most", hidden)
			said = true
		}
		if !wait(ctx, settleEvery) {
			return
		}
	}
}

// look finds out where messages go that nobody takes.
func (s *Source) look(ctx context.Context) {
	out, err := s.options.API.GetQueueAttributes(ctx, &sqs.GetQueueAttributesInput{
		QueueUrl: &s.options.URL, AttributeNames: []types.QueueAttributeName{types.QueueAttributeNameRedrivePolicy},
	})
	first := s.looked.IsZero()
	s.looked = time.Now()
	if err != nil {
		if first && ctx.Err() == nil {
			s.log.Warn("the queue's redrive policy can't be read, so it is taken as having none", "error", err)
		}
		return
	}
	before := s.redrive
	s.redrive = maxReceiveCount(out.Attributes[string(types.QueueAttributeNameRedrivePolicy)])
	switch {
	case s.redrive == 0 && (first || before != 0):
		s.log.Warn("the queue has no dead-letter queue: a message that can't be taken comes again and again until it is too old")
	case first:
		s.log.Info("receiving from the queue", "dead_letter_after", s.redrive)
	}
}

// maxReceiveCount reads a redrive policy. Some write the number as a string.
func maxReceiveCount(policy string) int {
	var p struct {
		Max json.RawMessage `json:"maxReceiveCount"`
	}
	if json.Unmarshal([]byte(policy), &p) != nil {
		return 0
	}
	text := string(p.Max)
	if unquoted, err := strconv.Unquote(text); err == nil {
		text = unquoted
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 0 {
		return 0
	}
	return n
}

// receive waits for messages. If there are as many as SQS gives at once, there may be more, and
// these are fetched too.
func (s *Source) receive(ctx context.Context) ([]types.Message, error) {
	messages, err := s.receiveBatch(ctx, longPoll)
	if err != nil || len(messages) < batch {
		return messages, err
	}
	more := make([][]types.Message, window/batch-1)
	var fetching sync.WaitGroup
	for i := range more {
		fetching.Go(func() { more[i], _ = s.receiveBatch(ctx, 0) }) // the next round says what is wrong
	}
	fetching.Wait()
	for _, list := range more {
		messages = append(messages, list...)
	}
	return messages, nil
}

func (s *Source) receiveBatch(ctx context.Context, wait int32) ([]types.Message, error) {
	out, err := s.options.API.ReceiveMessage(ctx, &sqs.ReceiveMessageInput{
		QueueUrl: &s.options.URL, MaxNumberOfMessages: batch, WaitTimeSeconds: wait, VisibilityTimeout: int32(hidden / time.Second),
		MessageSystemAttributeNames: []types.MessageSystemAttributeName{
			types.MessageSystemAttributeNameSentTimestamp, types.MessageSystemAttributeNameApproximateReceiveCount,
		},
	})
	if err != nil {
		return nil, err
	}
	return out.Messages, nil
}

// failed says that nothing can be received, and waits.
func (s *Source) failed(ctx context.Context, err error) {
	s.options.Connected(false)
	s.pause = min(max(2*s.pause, firstPause), maxPause)
	if s.problem == "" {
		s.log.Error("nothing can be received from the queue", "error", err)
	}
	s.problem = err.Error()
	wait(ctx, s.pause)
}

func (s *Source) recovered() {
	s.options.Connected(true)
	if s.problem != "" {
		s.log.Info("the queue can be received from again")
	}
	s.problem, s.pause = "", 0
}

// wait reports whether ctx goes on.
func wait(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
