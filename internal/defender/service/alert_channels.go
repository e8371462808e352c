package service

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/device-defender/device-defender/internal/defender/alert"
	"github.com/device-defender/device-defender/internal/defender/awsrest"
)

// testPatience is how long a test waits for the receiver of a channel. It ends before
// the write timeout of the answer to the call does.
const testPatience = 30 * time.Second

// testAlertChannel sends a test to a channel at once, past the outbox, and answers
// what the receiver said.
func (s *Service) testAlertChannel(r *awsrest.Request) (any, error) {
	name := r.Name("channelName")
	i := slices.IndexFunc(s.options.Channels, func(c alert.Channel) bool { return c.Name == name })
	if i < 0 {
		var names []string
		for _, c := range s.options.Channels {
			names = append(names, c.Name)
		}
		there := "there are none"
		if len(names) > 0 {
			there = "there are " + strings.Join(names, ", ")
		}
		return nil, awsrest.NotFound(fmt.Sprintf("Channel %s is not in the configuration of the service: %s", name, there))
	}
	transport := http.DefaultTransport.(*http.Transport).Clone()
	defer transport.CloseIdleConnections()
	ctx, cancel := context.WithTimeout(r.Context(), testPatience)
	defer cancel()
	shown := s.options.Channels[i].Shown()
	answer, err := alert.NewSender(s.options.Channels, transport).Test(ctx, name, s.now())
	out := struct {
		Channel   string `json:"channel"`
		Delivered bool   `json:"delivered"`
		Answer    string `json:"answer,omitempty"`
		Error     string `json:"error,omitempty"`
	}{Channel: shown, Delivered: err == nil, Answer: answer}
	if err != nil {
		out.Error = err.Error()
	}
	s.log.Info("test alert sent", "channel", shown, "answer", answer, "error", out.Error, "by", r.Caller)
	return out, nil
}
