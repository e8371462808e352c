package sqs

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
)

// queue is a standard queue as SQS documents it: at least once, a visibility timeout of each
// receipt, and a redrive policy. Its time is that of package time, so a test in a bubble waits
// for nothing.
type queue struct {
	mu       sync.Mutex
	messages []*queued
	dead     []string
	redrive  int
	down     bool // it answers with errors
	deletes  int
	longest  int // messages that were hidden at once
}

type queued struct {
	id, body string
	sent     time.Time
	receipt  string
	hidden   time.Time // until then
	count    int
}

func newQueue(redrive int) *queue { return &queue{redrive: redrive} }

func (q *queue) send(bodies ...string) {
	q.mu.Lock()
	for _, body := range bodies {
		q.messages = append(q.messages, &queued{id: strconv.Itoa(len(q.messages)), body: body, sent: time.Now()})
	}
	q.mu.Unlock()
}

func (q *queue) left() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.messages)
}

// seen returns what is in the queue, what went to the dead-letter queue, and how many
// messages were hidden at one time.
func (q *queue) seen() (messages []queued, dead []string, longest int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, m := range q.messages {
		messages = append(messages, *m)
	}
	return messages, slices.Clone(q.dead), q.longest
}

func (q *queue) setDown(down bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.down = down
}

func (q *queue) take(n int) (list []types.Message, err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.down {
		return nil, errors.New("connection refused")
	}
	now, kept, hidden := time.Now(), q.messages[:0:0], 0
	for _, m := range q.messages {
		switch {
		case now.Before(m.hidden):
			hidden++
		case q.redrive > 0 && m.count >= q.redrive:
			q.dead = append(q.dead, m.body)
			continue
		case len(list) < n:
			m.count++
			hidden++
			m.hidden, m.receipt = now.Add(30*time.Second), fmt.Sprint(m.id, "/", m.count)
			list = append(list, types.Message{
				MessageId: aws.String(m.id), Body: aws.String(m.body), ReceiptHandle: aws.String(m.receipt),
				Attributes: map[string]string{"SentTimestamp": strconv.FormatInt(m.sent.UnixMilli(), 10), "ApproximateReceiveCount": strconv.Itoa(m.count)},
			})
		}
		kept = append(kept, m)
	}
	q.messages, q.longest = kept, max(q.longest, hidden)
	return list, nil
}

func (q *queue) ReceiveMessage(ctx context.Context, in *sqs.ReceiveMessageInput, _ ...func(*sqs.Options)) (*sqs.ReceiveMessageOutput, error) {
	end := time.After(time.Duration(in.WaitTimeSeconds) * time.Second)
	for {
		list, err := q.take(int(in.MaxNumberOfMessages))
		if err != nil || len(list) > 0 || in.WaitTimeSeconds == 0 {
			q.mu.Lock()
			for _, m := range q.messages {
				for _, r := range list {
					if m.receipt == *r.ReceiptHandle {
						m.hidden = time.Now().Add(time.Duration(in.VisibilityTimeout) * time.Second)
					}
				}
			}
			q.mu.Unlock()
			return &sqs.ReceiveMessageOutput{Messages: list}, err
		}
		select {
		case <-time.After(50 * time.Millisecond):
		case <-end:
			return &sqs.ReceiveMessageOutput{}, nil
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

func (q *queue) DeleteMessageBatch(_ context.Context, in *sqs.DeleteMessageBatchInput, _ ...func(*sqs.Options)) (*sqs.DeleteMessageBatchOutput, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.down || len(in.Entries) == 0 || len(in.Entries) > 10 {
		return nil, errors.New("BatchEntry")
	}
	for _, e := range in.Entries {
		for i, m := range q.messages {
			if m.receipt == *e.ReceiptHandle {
				q.messages = append(q.messages[:i:i], q.messages[i+1:]...)
				q.deletes++
				break
			}
		}
	}
	return &sqs.DeleteMessageBatchOutput{}, nil
}

func (q *queue) ChangeMessageVisibilityBatch(_ context.Context, in *sqs.ChangeMessageVisibilityBatchInput, _ ...func(*sqs.Options)) (*sqs.ChangeMessageVisibilityBatchOutput, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.down || len(in.Entries) == 0 || len(in.Entries) > 10 {
		return nil, errors.New("BatchEntry")
	}
	for _, e := range in.Entries {
		for _, m := range q.messages {
			if m.receipt == *e.ReceiptHandle {
				m.hidden = time.Now().Add(time.Duration(e.VisibilityTimeout) * time.Second)
			}
		}
	}
	return &sqs.ChangeMessageVisibilityBatchOutput{}, nil
}

func (q *queue) GetQueueAttributes(context.Context, *sqs.GetQueueAttributesInput, ...func(*sqs.Options)) (*sqs.GetQueueAttributesOutput, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.down {
		return nil, errors.New("connection refused")
	}
	held := 0
	for _, m := range q.messages {
		if time.Now().Before(m.hidden) {
			held++
		}
	}
	out := &sqs.GetQueueAttributesOutput{Attributes: map[string]string{"ApproximateNumberOfMessagesNotVisible": strconv.Itoa(held)}}
	if q.redrive > 0 {
		out.Attributes["RedrivePolicy"] = fmt.Sprintf(`{"deadLetterTargetArn":"arn:aws:sqs:us-east-1:123456789012:dead","maxReceiveCount":"%d"}`, q.redrive)
	}
	return out, nil
}
