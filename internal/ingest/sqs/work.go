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

	"github.com/device-defender/device-defender/internal/ingest"
	"github.com/device-defender/device-defender/internal/ingest/iotrule"
)

// verdict is what becomes of a message.
type verdict int

const (
	back   verdict = iota // it was not worked on: others may have it at once
	done                  // it is deleted
	poison                // the redrive policy decides
)

// item is a message that was received.
type item struct {
	types.Message
	parsed  *iotrule.Message
	verdict verdict
}

// within is a context that ends some time after another.
func within(ctx context.Context, after time.Duration) (context.Context, context.CancelFunc) {
	later, cancel := context.WithCancel(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, func() {
		wait(later, after)
		cancel()
	})
	return later, func() { stop(); cancel() }
}

// work takes messages and tells SQS what became of them. When ctx ends it goes on for a while:
// what is given back comes after messages that are newer, and is late then.
func (s *Source) work(ctx context.Context, messages []types.Message) {
	items := make([]*item, len(messages))
	things := map[string][]*item{}
	for i, m := range messages {
		items[i] = s.read(m)
		if p := items[i].parsed; p != nil {
			things[p.Thing] = append(things[p.Thing], items[i])
		}
	}
	ctx, end := within(ctx, finish)
	defer end()
	working, stop := context.WithCancel(context.WithoutCancel(ctx))
	var extending sync.WaitGroup
	extending.Go(func() { s.keep(working, items) })
	var taking sync.WaitGroup
	for _, list := range things {
		slices.SortStableFunc(list, func(a, b *item) int { return a.parsed.Time.Compare(b.parsed.Time) })
		taking.Go(func() {
			for _, it := range list {
				it.verdict = s.take(ctx, it)
			}
		})
	}
	taking.Wait()
	stop()
	extending.Wait()
	s.tell(ctx, items)
}

// read reads a message. One without a time of its own has that at which it was sent.
func (s *Source) read(m types.Message) *item {
	it := &item{Message: m}
	parsed, err := iotrule.Parse([]byte(aws.ToString(m.Body)))
	switch {
	case errors.Is(err, iotrule.ErrIgnored):
		it.verdict = done
		return it
	case err != nil:
		it.verdict = poison
		s.complain(it, err)
		return it
	}
	if parsed.Time.IsZero() {
		if ms, err := strconv.ParseInt(m.Attributes[string(types.MessageSystemAttributeNameSentTimestamp)], 10, 64); err == nil {
			parsed.Time = time.UnixMilli(ms)
		}
	}
	it.parsed = parsed
	return it
}

// take has the service take a message, and tries until it can be stored or ctx ends. One that
// is being stored is stored.
func (s *Source) take(ctx context.Context, it *item) (v verdict) {
	// Whatever is in a message, the service stays up.
	defer func() {
		if p := recover(); p != nil {
			v = poison
			s.complain(it, fmt.Errorf("panic: %v", p))
		}
	}()
	for pause := firstPause; ctx.Err() == nil; pause = min(2*pause, maxPause) {
		err := s.options.Rules.Take(context.WithoutCancel(ctx), it.parsed)
		switch {
		case err == nil:
			return done
		case !errors.Is(err, ingest.ErrUnavailable):
			s.complain(it, err)
			return poison
		}
		wait(ctx, pause)
	}
	return back
}

// complain says why a message can't be taken, when it came first and when it comes no more.
func (s *Source) complain(it *item, err error) {
	count, _ := strconv.Atoi(it.Attributes[string(types.MessageSystemAttributeNameApproximateReceiveCount)]) // 0 is unknown
	last := s.redrive > 0 && count >= s.redrive
	if count <= 1 || last {
		s.log.Warn("a message of the queue can't be taken", "message", aws.ToString(it.MessageId), "received", count, "to_dead_letter_queue", last, "error", err)
	}
}

// keep has nobody else receive the messages until ctx ends.
func (s *Source) keep(ctx context.Context, items []*item) {
	for wait(ctx, extend) {
		s.hide(ctx, items, hidden)
	}
}

// hide has the messages received by nobody for a while.
func (s *Source) hide(ctx context.Context, items []*item, d time.Duration) {
	for list := range slices.Chunk(items, batch) {
		in := &sqs.ChangeMessageVisibilityBatchInput{QueueUrl: &s.options.URL}
		for i, it := range list {
			in.Entries = append(in.Entries, types.ChangeMessageVisibilityBatchRequestEntry{
				Id: aws.String(strconv.Itoa(i)), ReceiptHandle: it.ReceiptHandle, VisibilityTimeout: int32(d / time.Second),
			})
		}
		if _, err := s.options.API.ChangeMessageVisibilityBatch(ctx, in); err != nil && ctx.Err() == nil {
			s.log.Warn("messages of the queue may be received twice", "error", err)
		}
	}
}

// tell tells SQS what became of messages. It does so too when ctx has ended.
func (s *Source) tell(ctx context.Context, items []*item) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), lastCalls)
	defer cancel()
	of := map[verdict][]*item{}
	for _, it := range items {
		of[it.verdict] = append(of[it.verdict], it)
	}
	var telling sync.WaitGroup
	for list := range slices.Chunk(of[done], batch) {
		telling.Go(func() { s.delete(ctx, list) })
	}
	telling.Go(func() { s.hide(ctx, of[back], 0) })
	if s.redrive > 0 {
		telling.Go(func() { s.hide(ctx, of[poison], 0) })
	}
	telling.Wait()
}

func (s *Source) delete(ctx context.Context, list []*item) {
	in := &sqs.DeleteMessageBatchInput{QueueUrl: &s.options.URL}
	for i, it := range list {
		in.Entries = append(in.Entries, types.DeleteMessageBatchRequestEntry{Id: aws.String(strconv.Itoa(i)), ReceiptHandle: it.ReceiptHandle})
	}
	out, err := s.options.API.DeleteMessageBatch(ctx, in)
	if err == nil && len(out.Failed) > 0 {
		err = fmt.Errorf("%s: %s", aws.ToString(out.Failed[0].Code), aws.ToString(out.Failed[0].Message))
	}
	if err != nil { // they come again, and count once
		s.log.Warn("messages that are done with can't be deleted from the queue", "error", err)
	}
}
