package server

import (
	"context"

	"github.com/device-defender/device-defender/internal/ingest/sqs"
)

// ReceiveFrom has the server take what rules of AWS IoT put into a queue of SQS, once it runs.
func (s *Server) ReceiveFrom(ctx context.Context, queue string) error {
	source, err := sqs.New(ctx, sqs.Options{URL: queue, Rules: s.rules(), Log: s.log})
	if err != nil {
		return err
	}
	s.sources = append(s.sources, source)
	return nil
}
