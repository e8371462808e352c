package greengrass

import (
	"context"
	"errors"
	"net"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/device-defender/device-defender/internal/greengrass/eventrpc"
)

func TestNucleusIsRecognised(t *testing.T) {
	tests := []struct {
		flags eventrpc.Flags
		want  Nucleus
	}{
		{eventrpc.TerminateStream, Java},
		{0, Lite},
	}
	for _, test := range tests {
		t.Run(test.want.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c, n := connected(t)
				n.flags = test.flags
				// Neither an error nor a subscription tells: both nuclei send the
				// same flags.
				go func() {
					n.fail(n.request("UpdateState").StreamID, ServiceError, "")
					n.message(n.request("SubscribeToTopic").StreamID, "SubscribeToTopicResponse", "{}")
				}()
				if err := c.UpdateState(t.Context(), UpdateStateRequest{State: StateRunning}); !IsCode(err, ServiceError) {
					t.Fatal(err)
				}
				if _, err := c.SubscribeToTopic(t.Context(), SubscribeToTopicRequest{Topic: "x"}); err != nil {
					t.Fatal(err)
				}
				if c.Nucleus() != Unknown {
					t.Errorf("recognised as %v by what does not tell", c.Nucleus())
				}

				large := PublishToIoTCoreRequest{TopicName: "agent/x", QoS: AtLeastOnce, Payload: make([]byte, 8_000)}
				if err := c.PublishToIoTCore(t.Context(), large); !errors.Is(err, eventrpc.ErrFrameTooLong) {
					t.Errorf("before: %v, want ErrFrameTooLong", err)
				}
				use(t, c, n, 4)
				if c.Nucleus() != test.want {
					t.Errorf("recognised as %v, want %v", c.Nucleus(), test.want)
				}
				if test.want == Java {
					go func() { n.answer(n.request("PublishToIoTCore").StreamID, "{}") }()
					if err := c.PublishToIoTCore(t.Context(), large); err != nil {
						t.Error(err)
					}
					return
				}
				err := c.PublishToIoTCore(t.Context(), large)
				if !errors.Is(err, eventrpc.ErrFrameTooLong) || !strings.Contains(err.Error(), "the server takes 10000") {
					t.Errorf("8,000 bytes of payload: %v, want ErrFrameTooLong with the sizes", err)
				}
				go func() { n.answer(n.request("PublishToIoTCore").StreamID, "{}") }()
				fits := PublishToIoTCoreRequest{TopicName: "agent/x", QoS: AtLeastOnce, Payload: make([]byte, 7_000)}
				if err := c.PublishToIoTCore(t.Context(), fits); err != nil {
					t.Errorf("7,000 bytes of payload: %v", err)
				}
			})
		})
	}
}

func TestCallTimesOut(t *testing.T) {
	tests := []struct {
		name    string
		timeout time.Duration // 0 is none
		want    time.Duration
	}{
		{"by itself", 0, 10 * time.Second},
		{"earlier", time.Second, time.Second},
		{"later", 50 * time.Second, 50 * time.Second}, // a minute of silence ends the connection
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c, n := connected(t)
				ctx, cancel := context.WithCancel(t.Context())
				if test.timeout > 0 {
					ctx, cancel = context.WithTimeout(ctx, test.timeout)
				}
				defer cancel()
				begin := time.Now()
				done := after(func() error { return c.UpdateState(ctx, UpdateStateRequest{State: StateRunning}) })
				n.request("UpdateState")
				err := <-done
				if !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "UpdateState: ") {
					t.Errorf("got %v, want context.DeadlineExceeded", err)
				}
				if got := time.Since(begin); got != test.want {
					t.Errorf("after %v, want %v", got, test.want)
				}
				n.terminated(1)
				use(t, c, n, 3) // the connection lives on
			})
		})
	}
}

func TestSubscribeToIoTCoreWaitsForTheNucleusToComeOnline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, n := connected(t)
		done := after(func() error {
			return opened(c.SubscribeToIoTCore(t.Context(), SubscribeToIoTCoreRequest{TopicName: "a", QoS: AtLeastOnce}))
		})
		n.request("SubscribeToIoTCore")
		time.Sleep(24 * time.Hour)
		n.message(1, "SubscribeToIoTCoreResponse", "{}")
		n.terminated(1)
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

func TestUnreadableResponse(t *testing.T) {
	for _, payload := range []string{"", "{", "[]", `{"value":[]}`, `{"value":{"x":1e999}}`} {
		c, n := connected(t)
		go func() { n.answer(n.request("GetConfiguration").StreamID, payload) }()
		if _, err := c.GetConfiguration(t.Context(), GetConfigurationRequest{}); err == nil || !strings.Contains(err.Error(), "GetConfiguration: decode response") {
			t.Errorf("%q: got %v, want an error", payload, err)
		}
	}
}

func TestRefusedTokenIsInNoErrorAndNoLog(t *testing.T) {
	var log logBook
	here, there := net.Pipe()
	go newNucleus(t, there).refuse()
	_, err := NewClient(t.Context(), here, secret, log.logger())
	if !errors.Is(err, eventrpc.ErrRefused) || strings.Contains(err.Error()+log.String(), secret) {
		t.Errorf("got %v, want ErrRefused without the token; log: %s", err, &log)
	}
}

func TestCloseEndsEverything(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, n := connected(t)
		go func() { n.message(n.request("SubscribeToTopic").StreamID, "SubscribeToTopicResponse", "{}") }()
		s, err := c.SubscribeToTopic(t.Context(), SubscribeToTopicRequest{Topic: "x"})
		if err != nil {
			t.Fatal(err)
		}
		n.message(1, "SubscriptionResponseMessage", `{}`) // nobody receives it
		synctest.Wait()
		pending := after(func() error { return c.UpdateState(t.Context(), UpdateStateRequest{State: StateRunning}) })
		n.request("UpdateState")
		c.Close()
		if err := <-pending; !errors.Is(err, net.ErrClosed) {
			t.Errorf("pending call: %v, want net.ErrClosed", err)
		}
		if _, err := c.SubscribeToTopic(t.Context(), SubscribeToTopicRequest{Topic: "x"}); !errors.Is(err, net.ErrClosed) {
			t.Errorf("later subscription: %v, want net.ErrClosed", err)
		}
		for range s.Events() {
		}
		if !errors.Is(s.Err(), net.ErrClosed) || !errors.Is(c.Err(), net.ErrClosed) {
			t.Errorf("subscription: %v, client: %v, want net.ErrClosed", s.Err(), c.Err())
		}
	})
}

func TestConcurrentUse(t *testing.T) {
	c, n := connected(t)
	go func() {
		for {
			m, err := n.frames.Read()
			switch {
			case err != nil:
				return
			case m.Terminates():
			case strings.HasSuffix(m.Text(eventrpc.HeaderOperation), "SubscribeToTopic"):
				n.message(m.StreamID, "SubscribeToTopicResponse", "{}")
				n.message(m.StreamID, "SubscriptionResponseMessage", "{}")
			default:
				n.answer(m.StreamID, "{}")
			}
		}
	}()
	var running sync.WaitGroup
	for range 20 {
		running.Go(func() {
			for range 20 {
				if err := c.PublishToIoTCore(t.Context(), PublishToIoTCoreRequest{TopicName: "a", QoS: AtMostOnce}); err != nil {
					t.Error(err)
				}
				s, err := c.SubscribeToTopic(t.Context(), SubscribeToTopicRequest{Topic: "a"})
				if err != nil {
					t.Error(err)
					return
				}
				<-s.Events()
				go s.Close()
				s.Close()
			}
		})
	}
	running.Wait()
}
