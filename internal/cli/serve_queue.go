package cli

import (
	"context"
	"fmt"

	"github.com/spf13/pflag"

	"github.com/device-defender/device-defender/internal/ingest/sqs"
	"github.com/device-defender/device-defender/internal/server"
)

// queueOptions are the flags of serve for queues of SQS.
type queueOptions struct {
	urls []string
}

func (o *queueOptions) flags(flags *pflag.FlagSet) {
	flags.StringArrayVar(&o.urls, "queue", nil, "URL of an SQS queue to take reports from, as 'defenderctl ingest setup' makes it; may be given several times")
}

func (o *queueOptions) check() error {
	for _, url := range o.urls {
		if err := sqs.CheckURL(url); err != nil {
			return usageError{fmt.Errorf("--queue: %w", err)}
		}
	}
	return nil
}

// receive has the server receive from the queues.
func (o *queueOptions) receive(ctx context.Context, s *server.Server, console *console) error {
	for _, url := range o.urls {
		if err := s.ReceiveFrom(ctx, url); err != nil {
			return fmt.Errorf("--queue: %w", err)
		}
		console.line("serve", "receiving from "+url)
	}
	return nil
}
