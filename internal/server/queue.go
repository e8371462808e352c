package server

import (
	"context"
	"fmt"

	"github.com/device-defender/device-defender/internal/ingest/sqs"
)

// ReceiveFrom has the server take what rules of AWS IoT put into a queue of SQS, once it runs.
func (s *Server) ReceiveFrom(ctx context.Context, queue string) error {
	s.queues++
	name := "queue"
	if s.queues > 1 {
		name = fmt.Sprintf("queue-%d", s.queues)
	}
	tally := s.Tally(name)
	source, err := sqs.New(ctx, sqs.Options{URL: queue, Rules: s.ruleMessages.By(tally), Connected: tally.Connected, Log: s.log})
	if err != nil {
		return err
	}
	s.sources = append(s.sources, source)
	return nil
}
