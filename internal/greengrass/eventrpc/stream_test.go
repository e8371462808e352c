package eventrpc

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"
)

// receiveAll returns the payloads of all events up to the end of the stream.
func receiveAll(s *Stream) []string {
	var got []string
	for m := range s.Events() {
		got = append(got, string(m.Payload))
	}
	return got
}

func TestBlockedConsumerLosesTheOldestEvents(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, p := connected(t)
		s := open(t, c, p, 1, 3)
		for i := range 10_000 {
			p.write(event(1, i))
		}
		// The reader was not held up: a call on the same connection is answered.
		answer := call(t.Context(), c, "{}")
		p.readRequest(2)
		p.write(&Message{StreamID: 2, Payload: []byte("ok")})
		wantPayload(t, <-answer, "ok")
		if got := s.Dropped(); got != 9_997 {
			t.Errorf("%d dropped, want 9,997", got)
		}
		s.Close()
		if d := cmp.Diff([]string{"9997", "9998", "9999"}, receiveAll(s)); d != "" {
			t.Errorf("events (-want +got):\n%s", d)
		}
	})
}

func TestEventsComeInOrderToAReader(t *testing.T) {
	c, p := connected(t)
	const events = 2_000
	s := open(t, c, p, 1, events)
	go func() {
		for i := range events {
			p.write(event(1, i))
		}
		p.write(&Message{StreamID: 1, Flags: TerminateStream})
	}()
	for i, got := range receiveAll(s) {
		if got != fmt.Sprint(i) {
			t.Fatalf("event %d is %s", i, got)
		}
	}
	if s.Dropped() != 0 || !errors.Is(s.Err(), ErrStreamEnded) {
		t.Errorf("%d dropped, error %v", s.Dropped(), s.Err())
	}
}

func TestEventBeforeTheResponse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, p := connected(t)
		go func() {
			p.readRequest(1)
			p.write(event(1, 1))
			p.write(event(1, 2))
			p.write(modelled(1, "test#SubscribeResponse", "{}"))
			p.write(event(1, 3))
			p.write(&Message{StreamID: 1, Flags: TerminateStream})
		}()
		s, m, err := c.Open(t.Context(), "test#Subscribe", []byte("{}"), 8)
		if err != nil {
			t.Fatal(err)
		}
		if got := m.Text(HeaderModelType); got != "test#SubscribeResponse" {
			t.Errorf("first answer is a %s", got)
		}
		if d := cmp.Diff([]string{"1", "2", "3"}, receiveAll(s)); d != "" {
			t.Errorf("events (-want +got):\n%s", d)
		}
	})
}

func TestEndOfAStream(t *testing.T) {
	failure := modelled(1, "test#ServiceError", `{"_message":"away"}`)
	failure.Type, failure.Flags = ApplicationError, TerminateStream
	lastWords := event(1, 2)
	lastWords.Flags = TerminateStream
	tests := []struct {
		name string
		end  *Message
		want []string
		err  string
	}{
		{"terminate", &Message{StreamID: 1, Flags: TerminateStream}, []string{"1"}, "stream ended by the server"},
		{"event and terminate in one", lastWords, []string{"1", "2"}, "stream ended by the server"},
		{"error", failure, []string{"1"}, `stream 1 ended by the server: test#ServiceError: "{\"_message\":\"away\"}"`},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c, p := connected(t)
				s := open(t, c, p, 1, 4)
				p.write(event(1, 1))
				p.write(test.end)
				p.write(event(1, 9)) // of a stream that has ended: ignored
				if d := cmp.Diff(test.want, receiveAll(s)); d != "" {
					t.Errorf("events (-want +got):\n%s", d)
				}
				if s.Err() == nil || s.Err().Error() != test.err {
					t.Errorf("error %v, want %s", s.Err(), test.err)
				}
				s.Close()
				p.readNothing()
				_ = c
			})
		})
	}
}

func TestRefusedSubscription(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, p := connected(t)
		go func() {
			p.readRequest(1)
			refusal := modelled(1, "test#UnauthorizedError", "{}")
			refusal.Type, refusal.Flags = ApplicationError, TerminateStream
			p.write(refusal)
		}()
		s, m, err := c.Open(t.Context(), "test#Subscribe", []byte("{}"), 4)
		if err != nil {
			t.Fatal(err)
		}
		if m.Type != ApplicationError {
			t.Errorf("answer %+v, want the error", m)
		}
		if got := receiveAll(s); got != nil {
			t.Errorf("events %q of a refused subscription", got)
		}
	})
}

func TestCloseTerminatesOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, p := connected(t)
		s := open(t, c, p, 1, 4)
		s.Close()
		s.Close()
		p.readTerminate(1)
		p.write(event(1, 1)) // was under way
		if got := receiveAll(s); got != nil || s.Err() != nil {
			t.Errorf("after Close: events %q, error %v", got, s.Err())
		}
		p.readNothing()
		if err := c.Err(); err != nil && !strings.Contains(err.Error(), "closed by the server") {
			t.Error(err)
		}
	})
}

func TestCloseIsTheCapturedFrame(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, p := connected(t)
		for id := int32(1); id <= 5; id++ {
			s := open(t, c, p, id, 1)
			if id < 5 {
				continue
			}
			s.Close()
			want := captured(t, "crt/terminate-stream-subscription")
			got := make([]byte, len(want))
			if _, err := p.nc.Read(got); err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(want, got); d != "" {
				t.Errorf("terminate (-want +got):\n%s", d)
			}
		}
	})
}

func TestCancelledSubscription(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, p := connected(t)
		ctx, cancel := context.WithCancel(t.Context())
		go func() { p.readRequest(1); p.write(event(1, 1)); cancel() }()
		if _, _, err := c.Open(ctx, "test#Subscribe", []byte("{}"), 1); !errors.Is(err, context.Canceled) {
			t.Errorf("got %v, want context.Canceled", err)
		}
		p.readTerminate(1)
		p.write(modelled(1, "test#SubscribeResponse", "{}")) // too late
		p.readNothing()
	})
}

func TestTerminateComesBeforeALaterRequest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, p := connected(t)
		for id := int32(1); id < 200; id += 2 {
			s := open(t, c, p, id, 1)
			s.Close()
			answer := call(t.Context(), c, "{}")
			p.readTerminate(id)
			p.readRequest(id + 1)
			p.write(&Message{StreamID: id + 1, Payload: []byte("ok")})
			wantPayload(t, <-answer, "ok")
		}
	})
}
