package greengrass

import (
	"context"
	"errors"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/device-defender/device-defender/internal/greengrass/eventrpc"
)

// core accepts the connections of a session.
type core struct {
	t     *testing.T
	log   logBook
	dials chan net.Conn
	down  atomic.Bool // nobody listens
}

func newCore(t *testing.T) *core { return &core{t: t, dials: make(chan net.Conn)} }

func (k *core) dial(ctx context.Context) (net.Conn, error) {
	if k.down.Load() {
		return nil, errors.New("connect: no such file or directory")
	}
	here, there := net.Pipe()
	select {
	case k.dials <- there:
		return here, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// next returns the next connection, before its handshake.
func (k *core) next() *nucleus {
	nc := <-k.dials
	k.t.Cleanup(func() { nc.Close() })
	return newNucleus(k.t, nc)
}

// connection returns the next connection, accepted.
func (k *core) connection() *nucleus {
	n := k.next()
	n.accept()
	return n
}

func (k *core) session() *Session {
	return NewSession(SessionConfig{Dial: k.dial, Token: secret, Log: k.log.logger()})
}

// run runs a session to the end of the test and returns what Run returns.
func run(t *testing.T, s *Session) <-chan error {
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	finished := make(chan struct{})
	go func() {
		defer close(finished)
		ended <- s.Run(ctx)
	}()
	t.Cleanup(func() { cancel(); <-finished })
	return ended
}

func TestSessionReconnects(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := newCore(t)
		connects := 0
		s := NewSession(SessionConfig{Dial: k.dial, Token: secret, Log: k.log.logger(), OnConnect: func(*Client) { connects++ }})
		run(t, s)
		var last *Client
		for i := range 20 {
			n := k.connection()
			c, err := s.Client(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if c == last {
				t.Fatal("the client of a lost connection")
			}
			last = c
			go func() { n.answer(n.request("UpdateState").StreamID, "{}") }() // ids begin at 1
			if err := c.UpdateState(t.Context(), UpdateStateRequest{State: StateRunning}); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
			if connects != i+1 {
				t.Errorf("OnConnect called %d times, want %d", connects, i+1)
			}
			n.nc.Close()
		}
		if got := k.log.count(`msg="connected to the nucleus"`); got != 20 {
			t.Errorf("%d log lines of connects, want 20", got)
		}
		if strings.Contains(k.log.String(), secret) {
			t.Error("the token is in the log")
		}
	})
}

func TestReconnectPausesGrow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := newCore(t)
		k.down.Store(true)
		s := k.session()
		ended := run(t, s)
		time.Sleep(24 * time.Hour)
		select {
		case err := <-ended:
			t.Fatalf("gave up on a nucleus that is not there: %v", err)
		default:
		}
		// With pauses of up to 60 s, 30 on average, that is some 2,880.
		if got := k.log.count("no such file"); got < 2_000 || got > 4_000 {
			t.Errorf("%d attempts in a day", got)
		}
		k.down.Store(false)
		k.connection()
		if _, err := s.Client(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

func TestBackoff(t *testing.T) {
	const tries = 2_000
	limits := []time.Duration{1, 2, 4, 8, 16, 32, 60, 60, 60} // seconds
	longest := make([]time.Duration, len(limits))
	for range tries {
		var b backoff
		for i := range limits {
			d := b.next()
			if d < 0 || d >= limits[i]*time.Second {
				t.Fatalf("pause %d is %v, want less than %d s", i, d, limits[i])
			}
			longest[i] = max(longest[i], d)
		}
	}
	for i, d := range longest {
		if d < limits[i]*time.Second/2 {
			t.Errorf("longest pause %d is %v: no full jitter up to %d s", i, d, limits[i])
		}
	}
	synctest.Test(t, func(t *testing.T) {
		b := backoff{limit: maxBackoff}
		since := time.Now()
		time.Sleep(59 * time.Second)
		b.lasted(since)
		if b.limit != maxBackoff {
			t.Error("59 s of success forget the failures")
		}
		time.Sleep(time.Second)
		b.lasted(since)
		if b.next() >= time.Second {
			t.Error("60 s of success do not forget the failures")
		}
	})
}

// A refusal must last for five minutes, and its owner agree, to end a session.
func TestTokenRefusedForGood(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := newCore(t)
		asked := 0
		s := NewSession(SessionConfig{Dial: k.dial, Token: secret, Log: k.log.logger(), GiveUp: func() bool { asked++; return asked == 3 }})
		ended := run(t, s)
		Subscribe(s, "never", subscribeTo("a"), func(context.Context, IoTCoreMessage) {})
		waiting := after(func() error { _, err := s.Client(t.Context()); return err })
		begin := time.Now()
		refusing := make(chan struct{})
		go func() {
			defer close(refusing)
			for {
				select {
				case nc := <-k.dials:
					newNucleus(t, nc).refuse()
				case <-time.After(time.Hour):
					return
				}
			}
		}()
		if err := <-ended; !errors.Is(err, ErrTokenRefused) || strings.Contains(err.Error(), secret) {
			t.Errorf("Run: %v, want ErrTokenRefused", err)
		}
		if d := time.Since(begin); d < 5*time.Minute || d > 8*time.Minute {
			t.Errorf("gave up after %v, want the third refusal after 5 minutes", d)
		}
		<-refusing
		if err := <-waiting; !errors.Is(err, ErrTokenRefused) {
			t.Errorf("waiting Client: %v, want ErrTokenRefused", err)
		}
		if _, err := s.Client(t.Context()); !errors.Is(err, ErrTokenRefused) {
			t.Errorf("later Client: %v, want ErrTokenRefused", err)
		}
		// A registration on a session that is over does nothing, and no harm.
		r := Subscribe(s, "too late", subscribeTo("a"), func(context.Context, IoTCoreMessage) {})
		r.Renew()
		r.Retry()
		r.Close()
	})
}

// Refusals with anything else in between are none that last: a full nucleus,
// one that restarts.
func TestRefusalsThatDoNotLast(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := newCore(t)
		s := NewSession(SessionConfig{Dial: k.dial, Token: secret, Log: discard, GiveUp: func() bool { t.Error("asked to give up"); return true }})
		run(t, s)
		for range 8 {
			for begin := time.Now(); time.Since(begin) < 3*time.Minute; {
				k.next().refuse()
				n := k.next() // by an acknowledgement, as the Java nucleus does
				n.frames.Read()
				n.nc.Write(vectors(t)["crt/connect-ack-refused"].frame(t))
				n.nc.Close()
			}
			k.connection().nc.Close()
		}
	})
}

// In a unit of nucleus lite a forgotten token is replaced, without a restart and
// within the attempt that found it refused.
func TestForgottenTokenIsReplaced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := newCore(t)
		s := NewSession(SessionConfig{Dial: k.dial, Token: secret, Log: k.log.logger(), Component: "com.example.agent"})
		run(t, s)
		connect := func(n *nucleus, want string) {
			t.Helper()
			if m, err := n.frames.Read(); err != nil || string(m.Payload) != want {
				t.Errorf("CONNECT %s, %v, want %s", m.Payload, err, want)
			}
		}
		k.next().refuse()
		n := k.next()
		connect(n, `{"componentName":"com.example.agent"}`)
		n.nc.Write(vectors(t)["lite/connect-ack-with-svcuid"].frame(t))
		c, err := s.Client(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		use(t, c, n, 2)
		n.nc.Close()
		n = k.next()
		connect(n, `{"authToken":"fU85QsvnMAbAQuY3"}`)
		n.write(&eventrpc.Message{Type: eventrpc.ConnectAck, Flags: eventrpc.ConnectionAccepted})
		if _, err := s.Client(t.Context()); err != nil {
			t.Fatal(err)
		}
		if k.log.count("another one") != 1 || strings.Contains(k.log.String(), "fU85") {
			t.Errorf("log:\n%s", &k.log)
		}
	})
}

func TestOtherFailuresAreNoRefusal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := newCore(t)
		s := k.session()
		ended := run(t, s)
		n := k.next() // silence
		n.frames.Read()
		n = k.next()
		n.frames.Read()
		n.nc.Write(vectors(t)["crt/protocol-error-before-connect"].frame(t))
		n = k.next()
		n.frames.Read()
		n.nc.Write([]byte{0, 0, 0})
		n.nc.Close()
		k.connection()
		select {
		case err := <-ended:
			t.Errorf("gave up: %v", err)
		default:
		}
	})
}

func TestSessionEndsWithItsContext(t *testing.T) {
	for _, state := range []string{"dialling", "handshake", "connected", "pause"} {
		t.Run(state, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				k := newCore(t)
				s := k.session()
				Subscribe(s, "a", subscribeTo("a"), func(ctx context.Context, _ IoTCoreMessage) { <-ctx.Done() })
				if state == "pause" {
					k.down.Store(true)
				}
				ctx, cancel := context.WithCancel(t.Context())
				ended := after(func() error { return s.Run(ctx) })
				switch state {
				case "handshake":
					k.next()
				case "connected":
					n := k.connection()
					n.request("SubscribeToIoTCore")
					n.message(1, "SubscribeToIoTCoreResponse", "{}")
					for range 3 {
						n.message(1, "IoTCoreMessage", "{}")
					}
				}
				synctest.Wait()
				begin := time.Now()
				cancel()
				if err := <-ended; !errors.Is(err, context.Canceled) {
					t.Errorf("Run: %v, want context.Canceled", err)
				}
				if d := time.Since(begin); d > 0 {
					t.Errorf("took %v", d)
				}
				if _, err := s.Client(t.Context()); err == nil {
					t.Error("a client after the end")
				}
			})
		})
	}
}

func TestClientWaitsForAConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := newCore(t)
		s := k.session()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := s.Client(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("before Run: %v, want context.DeadlineExceeded", err)
		}
		waiting := after(func() error { _, err := s.Client(t.Context()); return err })
		run(t, s)
		k.connection()
		if err := <-waiting; err != nil {
			t.Error(err)
		}
	})
}

func TestNextConnectionIsToTheSameNucleus(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := newCore(t)
		s := k.session()
		run(t, s)
		n := k.connection()
		n.flags = 2
		c, err := s.Client(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		use(t, c, n, 2)
		n.nc.Close()
		n = k.connection()
		if c, err = s.Client(t.Context()); err != nil || c.Nucleus() != Java {
			t.Fatalf("%v, %v", c.Nucleus(), err)
		}
		use(t, c, n, 2) // without flags
		if c.Nucleus() != Lite {
			t.Error("still a Java nucleus, in spite of its answer")
		}
	})
}
