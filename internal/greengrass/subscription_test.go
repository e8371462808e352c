package greengrass

import (
	"errors"
	"io"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"
)

// subscribed returns a subscription on stream 1.
func subscribed(t *testing.T, c *Client, n *nucleus) *Subscription[IoTCoreMessage] {
	t.Helper()
	go func() { n.message(n.request("SubscribeToIoTCore").StreamID, "SubscribeToIoTCoreResponse", "{}") }()
	s, err := c.SubscribeToIoTCore(t.Context(), SubscribeToIoTCoreRequest{TopicName: "a", QoS: AtLeastOnce})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// topics returns the topics of all messages up to the end of the subscription.
func topics(s *Subscription[IoTCoreMessage]) []string {
	var got []string
	for m := range s.Events() {
		got = append(got, m.Message.TopicName)
	}
	return got
}

func TestUndecodableEventIsSkipped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log logBook
		c, n := connectedWithLog(t, log.logger())
		s := subscribed(t, c, n)
		for _, payload := range []string{
			`{"message":{"topicName":"1"}}`,
			`{"message":{"topicName":`,
			`{"message":{"topicName":"2","payload":"not base64"}}`,
			``,
			`{"message":{"topicName":"3"}}`,
		} {
			n.message(1, "IoTCoreMessage", payload)
		}
		n.fail(1, ServiceError, "enough")
		if d := cmp.Diff([]string{"1", "3"}, topics(s)); d != "" {
			t.Errorf("events (-want +got):\n%s", d)
		}
		if got := log.count("event ignored"); got != 3 {
			t.Errorf("%d log lines, want 3:\n%s", got, &log)
		}
		if d := cmp.Diff(&Error{"SubscribeToIoTCore", ServiceError, "enough"}, s.Err()); d != "" {
			t.Errorf("error (-want +got):\n%s", d)
		}
	})
}

func TestSlowConsumerLosesEventsAndTheLogSaysSo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log logBook
		c, n := connectedWithLog(t, log.logger())
		s := subscribed(t, c, n)
		for range 1 + eventQueue + 36 { // one is with the decoder
			n.message(1, "IoTCoreMessage", "{}")
		}
		synctest.Wait()
		n.nc.Close()
		if got := len(topics(s)); got != 1+eventQueue {
			t.Errorf("%d events, want %d", got, 1+eventQueue)
		}
		if log.count("dropped=36") != 1 {
			t.Errorf("log:\n%s", &log)
		}
		if !errors.Is(s.Err(), io.EOF) {
			t.Errorf("error %v, want EOF", s.Err())
		}
	})
}

func TestCloseOfASubscription(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, n := connected(t)
		s := subscribed(t, c, n)
		n.message(1, "IoTCoreMessage", "{}")
		synctest.Wait()
		s.Close()
		s.Close()
		n.terminated(1)
		n.message(1, "IoTCoreMessage", "{}") // was under way
		synctest.Wait()
		topics(s) // ends
		if s.Err() != nil {
			t.Error(s.Err())
		}
		n.silent()
		c.Close()
	})
}

func TestRefusedSubscription(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, n := connected(t)
		go func() { n.fail(n.request("SubscribeToIoTCore").StreamID, UnauthorizedError, "no") }()
		_, err := c.SubscribeToIoTCore(t.Context(), SubscribeToIoTCoreRequest{TopicName: "a", QoS: AtLeastOnce})
		if !IsCode(err, UnauthorizedError) {
			t.Errorf("got %v, want UnauthorizedError", err)
		}
		n.silent()
	})
}
