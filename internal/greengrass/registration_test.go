package greengrass

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/device-defender/device-defender/internal/greengrass/eventrpc"
)

func subscribeTo(topic string) func(context.Context, *Client) (*Subscription[IoTCoreMessage], error) {
	return func(ctx context.Context, c *Client) (*Subscription[IoTCoreMessage], error) {
		return c.SubscribeToIoTCore(ctx, SubscribeToIoTCoreRequest{TopicName: topic, QoS: AtLeastOnce})
	}
}

// inbox receives the topics of a registration's messages.
type inbox chan string

func (i inbox) handle(ctx context.Context, m IoTCoreMessage) {
	select {
	case i <- m.Message.TopicName:
	case <-ctx.Done():
	}
}

// send sends a message.
func (n *nucleus) send(id int32, topic string) {
	n.t.Helper()
	n.message(id, "IoTCoreMessage", `{"message":{"topicName":"`+topic+`"}}`)
}

// subscribe answers the next request, for a subscription to topic.
func (n *nucleus) subscribe(topic string) int32 {
	n.t.Helper()
	m := n.request("SubscribeToIoTCore")
	if want := `{"topicName":"` + topic + `","qos":"1"}`; string(m.Payload) != want {
		n.t.Errorf("request %s, want %s", m.Payload, want)
	}
	n.message(m.StreamID, "SubscribeToIoTCoreResponse", "{}")
	return m.StreamID
}

func wantReady(t *testing.T, r *Registration, want bool) {
	t.Helper()
	synctest.Wait()
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.up != want {
		t.Errorf("subscribed: %v, want %v", r.up, want)
	}
}

func (i inbox) want(t *testing.T, topics ...string) {
	t.Helper()
	var got []string
	for range topics {
		select {
		case topic := <-i:
			got = append(got, topic)
		case <-time.After(time.Hour):
			t.Fatalf("events %q, want %q", got, topics)
		}
	}
	if d := cmp.Diff(topics, got); d != "" {
		t.Errorf("events (-want +got):\n%s", d)
	}
	synctest.Wait()
	select {
	case topic := <-i:
		t.Errorf("one event more: %s", topic)
	default:
	}
}

// registered returns a session with one registration, and its first connection.
func registered(t *testing.T, options ...Option) (*core, *nucleus, *Registration, inbox) {
	k := newCore(t)
	s := k.session()
	events := make(inbox)
	r := Subscribe(s, "replies", subscribeTo("a"), events.handle, options...)
	run(t, s)
	return k, k.connection(), r, events
}

func TestSubscriptionsAreRestored(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k, n, r, events := registered(t)
		wantReady(t, r, false)
		for range 10 {
			id := n.subscribe("a")
			n.send(id, "1")
			n.send(id, "2")
			events.want(t, "1", "2")
			wantReady(t, r, true)
			n.nc.Close()
			wantReady(t, r, false)
			n = k.connection()
		}
	})
}

func TestEventsBeforeALossAreHandled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, n, _, events := registered(t)
		id := n.subscribe("a")
		for _, topic := range []string{"1", "2", "3", "4"} {
			n.send(id, topic)
		}
		n.nc.Close()
		events.want(t, "1", "2", "3", "4")
	})
}

func TestEventsOfASubscriptionThatStoodOnlyBriefly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := newCore(t)
		s := k.session()
		events := make(inbox)
		Subscribe(s, "brief", func(ctx context.Context, c *Client) (*Subscription[IoTCoreMessage], error) {
			s, err := subscribeTo("a")(ctx, c)
			<-ctx.Done() // the connection is lost before the registration hears of the success
			return s, err
		}, events.handle)
		run(t, s)
		n := k.connection()
		n.send(n.subscribe("a"), "1")
		n.nc.Close()
		events.want(t, "1")
	})
}

func TestRegistrationAfterRunBegan(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := newCore(t)
		s := k.session()
		run(t, s)
		n := k.connection()
		first, second := make(inbox), make(inbox)
		Subscribe(s, "first", subscribeTo("a"), first.handle)
		n.send(n.subscribe("a"), "1")
		Subscribe(s, "second", subscribeTo("b"), second.handle)
		n.send(n.subscribe("b"), "2")
		first.want(t, "1")
		second.want(t, "2")
	})
}

func TestSubscriptionRefusedWhileOffline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k, n, r, events := registered(t)
		begin := time.Now()
		for range 20 {
			n.fail(n.request("SubscribeToIoTCore").StreamID, ServiceError, "Failed to bind the subscription.")
		}
		if d := time.Since(begin); d < time.Minute || d > 19*time.Minute {
			t.Errorf("20 attempts took %v", d)
		}
		wantReady(t, r, false)
		n.send(n.subscribe("a"), "1")
		events.want(t, "1")
		wantReady(t, r, true)
		if k.log.count("level=WARN") != 1 || k.log.count("still not subscribed") != 19 {
			t.Errorf("log:\n%s", &k.log)
		}
	})
}

func TestSubscriptionUnansweredWhileOffline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, n, r, events := registered(t)
		n.request("SubscribeToIoTCore")
		time.Sleep(24 * time.Hour)
		wantReady(t, r, false)
		n.message(1, "SubscribeToIoTCoreResponse", "{}")
		n.send(1, "1")
		events.want(t, "1")
	})
}

// A lack of authorization is tried again like any failure. Only when it lasts is
// the access control blamed, once: nucleus lite answers so for a moment while
// its configuration daemon restarts.
func TestUnauthorizedSubscription(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k, n, _, events := registered(t)
		begin := time.Now()
		for time.Since(begin) < 10*time.Minute {
			n.fail(n.request("SubscribeToIoTCore").StreamID, UnauthorizedError, "IPC Operation not authorized.")
			synctest.Wait()
			if blamed := k.log.count("accessControl"); blamed > 0 && time.Since(begin) < time.Minute {
				t.Fatalf("accessControl blamed after %v", time.Since(begin))
			}
		}
		n.nc.Close()
		n = k.connection()
		n.fail(n.request("SubscribeToIoTCore").StreamID, UnauthorizedError, "IPC Operation not authorized.")
		synctest.Wait()
		if k.log.count("level=WARN") != 2 || k.log.count("level=ERROR") != 1 || k.log.count("accessControl") != 1 {
			t.Errorf("want a warning of the refusal, one of the lost connection, and an error; log:\n%s", &k.log)
		}
		n.send(n.subscribe("a"), "1") // after a deployment
		events.want(t, "1")
	})
}

// Retry does not wait for the end of the pause.
func TestRetry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, n, r, events := registered(t)
		begin := time.Now()
		for range 20 {
			n.fail(n.request("SubscribeToIoTCore").StreamID, UnauthorizedError, "IPC Operation not authorized.")
			synctest.Wait()
			r.Retry()
		}
		id := n.subscribe("a")
		if d := time.Since(begin); d != 0 {
			t.Errorf("took %v", d)
		}
		n.send(id, "1")
		events.want(t, "1")
		r.Retry() // nothing to retry
		n.silent()
	})
}

// Await is over with the first success or failure that it sees.
func TestAwait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, n, r, events := registered(t)
		await := func() <-chan error { return after(func() error { return r.Await(t.Context()) }) }
		n.fail(n.request("SubscribeToIoTCore").StreamID, ServiceError, "offline")
		synctest.Wait()
		waiting := await() // makes an attempt of its own
		n.fail(n.request("SubscribeToIoTCore").StreamID, ServiceError, "still offline")
		if err := <-waiting; !IsCode(err, ServiceError) || !strings.Contains(err.Error(), "still") {
			t.Errorf("%v, want the refusal after the call", err)
		}
		waiting = await()
		id := n.subscribe("a")
		if err := <-waiting; err != nil {
			t.Errorf("%v, want a subscription", err)
		}
		r.Renew()
		waiting = await()
		n.subscribe("a")
		n.terminated(id)
		if err := <-waiting; err != nil {
			t.Errorf("%v, want the new subscription", err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		n.nc.Close()
		synctest.Wait()
		if err := r.Await(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%v, want context.DeadlineExceeded", err)
		}
		events.want(t)
	})
}

func TestOptionalSubscription(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k, n, r, events := registered(t, Optional())
		n.fail(n.request("SubscribeToIoTCore").StreamID, ServiceError, "")
		time.Sleep(time.Hour)
		wantReady(t, r, false)
		if k.log.count("level=WARN")+k.log.count("level=ERROR") != 0 || k.log.count("not subscribed, which is optional") != 1 {
			t.Errorf("log:\n%s", &k.log)
		}
		n.nc.Close()
		n = k.connection() // perhaps a newer nucleus
		n.send(n.subscribe("a"), "1")
		events.want(t, "1")
	})
}

func TestOptionalSubscriptionEndedByTheNucleus(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, n, _, events := registered(t, Optional())
		n.fail(n.subscribe("a"), ServiceError, "gone")
		n.send(n.subscribe("a"), "1") // it had been there
		events.want(t, "1")
	})
}

func TestOptionalSubscriptionThatOnlyTookLong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := newCore(t)
		s := k.session()
		Subscribe(s, "validation", func(ctx context.Context, c *Client) (*Subscription[ValidateConfigurationUpdateEvents], error) {
			return c.SubscribeToValidateConfigurationUpdates(ctx)
		}, func(context.Context, ValidateConfigurationUpdateEvents) {}, Optional())
		run(t, s)
		n := k.connection()
		n.request("SubscribeToValidateConfigurationUpdates")
		n.terminated(1) // after 10 s
		n.request("SubscribeToValidateConfigurationUpdates")
	})
}

func TestSubscriptionEndedByTheNucleus(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k, n, r, events := registered(t)
		id := n.subscribe("a")
		n.send(id, "1")
		n.write(&eventrpc.Message{StreamID: id, Flags: eventrpc.TerminateStream})
		events.want(t, "1")
		wantReady(t, r, false)
		id = n.subscribe("a")
		n.send(id, "2")
		n.fail(id, ServiceError, "gone")
		events.want(t, "2")
		n.send(n.subscribe("a"), "3")
		events.want(t, "3")
		if k.log.count("stream ended by the server") != 1 || k.log.count("gone") != 1 {
			t.Errorf("log:\n%s", &k.log)
		}
	})
}

func TestSubscriptionThatEndsAtOnceIsNotRepeatedAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, n, _, _ := registered(t)
		begin := time.Now()
		for range 40 {
			n.write(&eventrpc.Message{StreamID: n.subscribe("a"), Flags: eventrpc.TerminateStream})
		}
		if d := time.Since(begin); d < 5*time.Minute {
			t.Errorf("40 attempts took %v", d)
		}
	})
}

func TestRenew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, n, r, events := registered(t)
		old := n.subscribe("a")
		wantReady(t, r, true)
		r.Renew()
		n.request("SubscribeToIoTCore")
		n.send(old, "1") // the old one still stands
		events.want(t, "1")
		n.message(2, "SubscribeToIoTCoreResponse", "{}")
		n.terminated(old)
		n.send(2, "2")
		events.want(t, "2")
		wantReady(t, r, true)
	})
}

func TestRenewHandsOutWhatTheOldStreamHas(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, n, r, events := registered(t)
		old := n.subscribe("a")
		for _, topic := range []string{"1", "2", "3"} {
			n.send(old, topic) // the handler is busy with the first
		}
		synctest.Wait()
		r.Renew()
		events.want(t, "1", "2", "3")
		n.subscribe("a")
		n.terminated(old)
		n.send(2, "4")
		events.want(t, "4")
	})
}

func TestRenewThatFailsKeepsTheOldSubscription(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, n, r, events := registered(t)
		old := n.subscribe("a")
		wantReady(t, r, true)
		r.Renew()
		n.fail(n.request("SubscribeToIoTCore").StreamID, ServiceError, "offline")
		wantReady(t, r, false) // it is suspect
		n.send(old, "1")
		events.want(t, "1")
		n.subscribe("a") // tried again by itself
		n.terminated(old)
		wantReady(t, r, true)
		n.send(3, "2")
		events.want(t, "2")
	})
}

func TestRenewReplacesAnAttemptThatIsNotAnswered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, n, r, events := registered(t)
		n.request("SubscribeToIoTCore")
		r.Renew()
		n.terminated(1)
		n.send(n.subscribe("a"), "1")
		events.want(t, "1")
	})
}

func TestRenewWithoutAConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := newCore(t)
		s := k.session()
		events := make(inbox)
		r := Subscribe(s, "replies", subscribeTo("a"), events.handle)
		r.Renew()
		run(t, s)
		n := k.connection()
		n.send(n.subscribe("a"), "1")
		events.want(t, "1")
		n.silent()
	})
}

func TestCloseOfARegistration(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k, n, r, events := registered(t)
		id := n.subscribe("a")
		n.send(id, "1") // its handler is blocked until Close
		synctest.Wait()
		r.Close()
		n.terminated(id)
		events.want(t)
		wantReady(t, r, false)
		n.nc.Close()
		k.connection().silent()
	})
}

func TestCloseOfARegistrationByItsHandler(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := newCore(t)
		s := k.session()
		var r *Registration
		handled := 0
		r = Subscribe(s, "once", subscribeTo("a"), func(context.Context, IoTCoreMessage) { handled++; r.Close() })
		run(t, s)
		n := k.connection()
		id := n.subscribe("a")
		n.send(id, "1")
		n.terminated(id)
		synctest.Wait()
		if handled != 1 {
			t.Errorf("%d events handled", handled)
		}
	})
}

func TestCloseOfARegistrationBeforeRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := newCore(t)
		s := k.session()
		Subscribe(s, "closed", subscribeTo("a"), func(context.Context, IoTCoreMessage) {}).Close()
		run(t, s)
		k.connection().silent()
	})
}

func TestOneBlockedHandlerHoldsNobodyUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := newCore(t)
		s := k.session()
		blocked, busy := make(inbox), make(inbox, 1)
		Subscribe(s, "blocked", subscribeTo("a"), blocked.handle)
		run(t, s)
		n := k.connection()
		first := n.subscribe("a")
		Subscribe(s, "busy", subscribeTo("b"), busy.handle)
		second := n.subscribe("b")
		for range 10_000 {
			n.send(first, "x")
		}
		n.send(second, "y")
		if got := <-busy; got != "y" {
			t.Error(got)
		}
		c, err := s.Client(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		use(t, c, n, 4)
	})
}

func TestOpenErrorThatIsNoRefusal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := newCore(t)
		s := k.session()
		attempts := 0
		r := Subscribe(s, "odd", func(context.Context, *Client) (*Subscription[IoTCoreMessage], error) {
			attempts++
			return nil, errors.New("odd")
		}, func(context.Context, IoTCoreMessage) {}, Optional())
		run(t, s)
		k.connection()
		time.Sleep(time.Hour)
		r.Close()
		synctest.Wait()
		if attempts < 50 || attempts > 400 {
			t.Errorf("%d attempts in an hour", attempts)
		}
		if strings.Count(k.log.String(), "level=WARN") != 1 {
			t.Errorf("log:\n%s", &k.log)
		}
	})
}
