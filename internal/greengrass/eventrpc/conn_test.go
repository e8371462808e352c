package eventrpc

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"net"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws/protocol/eventstream"
	"github.com/google/go-cmp/cmp"
)

// result is what a call returned.
type result struct {
	m   *Message
	err error
}

// call makes a unary call on its own goroutine.
func call(ctx context.Context, c *Conn, payload string) <-chan result {
	r := make(chan result, 1)
	go func() {
		m, err := c.Call(ctx, "test#Operation", []byte(payload))
		r <- result{m, err}
	}()
	return r
}

func wantPayload(t *testing.T, r result, payload string) {
	t.Helper()
	if r.err != nil {
		t.Fatal(r.err)
	}
	if string(r.m.Payload) != payload {
		t.Errorf("answer %q, want %q", r.m.Payload, payload)
	}
}

// open opens a stream; the server gives the response.
func open(t *testing.T, c *Conn, p *peer, id int32, queue int) *Stream {
	t.Helper()
	go func() {
		p.readRequest(id)
		p.write(modelled(id, "test#SubscribeResponse", "{}"))
	}()
	s, m, err := c.Open(t.Context(), "test#Subscribe", []byte("{}"), queue)
	if err != nil {
		t.Fatal(err)
	}
	wantPayload(t, result{m: m}, "{}")
	return s
}

func event(id int32, n int) *Message {
	return modelled(id, "test#Event", fmt.Sprint(n))
}

func TestIDsAreConsecutiveOnTheWire(t *testing.T) {
	const callers, each = 100, 20
	c, p := connected(t)
	requests := make(chan *Message, callers)
	go func() {
		defer close(requests)
		for id := int32(1); id <= callers*each; id++ {
			requests <- p.readRequest(id)
		}
	}()
	go func() {
		for first := range requests {
			batch := []*Message{first}
			for len(requests) > 0 {
				batch = append(batch, <-requests)
			}
			// Answers come in any order, each to its caller.
			rand.Shuffle(len(batch), func(i, j int) { batch[i], batch[j] = batch[j], batch[i] })
			for _, m := range batch {
				p.write(&Message{StreamID: m.StreamID, Payload: m.Payload})
			}
		}
	}()
	var running sync.WaitGroup
	for i := range callers {
		running.Go(func() {
			for j := range each {
				payload := fmt.Sprintf("%d/%d", i, j)
				m, err := c.Call(t.Context(), "test#Operation", []byte(payload))
				if err != nil || string(m.Payload) != payload {
					t.Errorf("%s: answer %v, %v", payload, m, err)
				}
			}
		})
	}
	running.Wait()
}

func TestCancelledCallersKeepTheIDsConsecutive(t *testing.T) {
	const callers, each = 50, 20
	c, p := connected(t)
	served := make(chan struct{})
	go func() {
		defer close(served)
		next := int32(1)
		for {
			m, err := p.frames.Read()
			if err != nil {
				return
			}
			switch {
			case m.Flags == TerminateStream && m.StreamID < next:
			case m.Flags == 0 && m.StreamID == next:
				next++
				p.write(&Message{StreamID: m.StreamID, Flags: TerminateStream, Payload: m.Payload})
			default:
				t.Errorf("frame %+v, next stream is %d", m, next)
				return
			}
		}
	}()
	var running sync.WaitGroup
	for range callers {
		running.Go(func() {
			for range each {
				ctx, cancel := context.WithCancel(t.Context())
				go func() {
					for range rand.N(2000) {
						if ctx.Err() != nil {
							return
						}
					}
					cancel()
				}()
				if _, err := c.Call(ctx, "test#Operation", []byte("{}")); err != nil && !errors.Is(err, context.Canceled) {
					t.Error(err)
				}
				cancel()
			}
		})
	}
	running.Wait()
	c.Close()
	<-served
}

func TestCancelBeforeTheFrameIsWritten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, p := connected(t)
		// The server does not read: the first call is being written, the second
		// waits.
		first := call(t.Context(), c, "1")
		synctest.Wait()
		ctx, cancel := context.WithCancel(t.Context())
		second := call(ctx, c, "2")
		synctest.Wait()
		cancel()
		if r := <-second; !errors.Is(r.err, context.Canceled) {
			t.Errorf("got %v, want context.Canceled", r.err)
		}
		third := call(t.Context(), c, "3")

		p.readRequest(1)
		if m := p.readRequest(2); string(m.Payload) != "3" {
			t.Errorf("stream 2 is call %s, want 3", m.Payload)
		}
		p.write(&Message{StreamID: 2, Payload: []byte("c")})
		p.write(&Message{StreamID: 1, Payload: []byte("a")})
		wantPayload(t, <-first, "a")
		wantPayload(t, <-third, "c")
		p.readNothing()
	})
}

func TestCallWithAnEndedContextSendsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, p := connected(t)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		for range 20 {
			if _, err := c.Call(ctx, "test#Operation", nil); !errors.Is(err, context.Canceled) {
				t.Errorf("got %v, want context.Canceled", err)
			}
		}
		p.readNothing()
	})
}

func TestCancelAfterTheFrameIsWritten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, p := connected(t)
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		first := call(ctx, c, "1")
		p.readRequest(1)
		if r := <-first; !errors.Is(r.err, context.DeadlineExceeded) {
			t.Errorf("got %v, want context.DeadlineExceeded", r.err)
		}
		p.readTerminate(1)
		// The late answer concerns nobody, and the connection lives on.
		p.write(&Message{StreamID: 1, Flags: TerminateStream, Payload: []byte("late")})
		second := call(t.Context(), c, "2")
		p.readRequest(2)
		p.write(&Message{StreamID: 2, Payload: []byte("b")})
		wantPayload(t, <-second, "b")
	})
}

func TestCancelWhileTheFrameIsBeingWritten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, p := connected(t)
		ctx, cancel := context.WithCancel(t.Context())
		first := call(ctx, c, "1")
		synctest.Wait()
		cancel()
		if r := <-first; !errors.Is(r.err, context.Canceled) {
			t.Errorf("got %v, want context.Canceled", r.err)
		}
		p.readRequest(1)
		p.readTerminate(1)
		p.readNothing()
	})
}

func TestFirstAnswerEndsACall(t *testing.T) {
	tests := []struct{ name, vector string }{
		{"lite leaves the stream open", "lite/update-state-response"},
		{"Java nucleus ends it", "crt/get-configuration-leaf-response"},
		{"error", "crt/error-unmodelled-text-plain"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c, p := connected(t)
				for _, v := range vectors(t) {
					if v.Name != test.vector {
						continue
					}
					m, err := NewReader(bytes.NewReader(v.frame(t)), MaxIncoming).Read()
					if err != nil {
						t.Fatal(err)
					}
					m.StreamID = 1
					answer := call(t.Context(), c, "{}")
					p.readRequest(1)
					p.write(m)
					r := <-answer
					wantPayload(t, r, v.Payload)
					if r.m.Type != m.Type || r.m.Flags != m.Flags {
						t.Errorf("answer %+v, want %+v", r.m, m)
					}
					p.readNothing()
				}
			})
		})
	}
}

func TestStreamEndedWithoutAnAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, p := connected(t)
		answer := call(t.Context(), c, "{}")
		p.readRequest(1)
		p.writeRaw(captured(t, "crt/end-of-stream-from-server"))
		if r := <-answer; !errors.Is(r.err, ErrStreamEnded) {
			t.Errorf("got %v, want ErrStreamEnded", r.err)
		}
	})
}

func TestRequestOverTheServersFrame(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, p := connected(t)
		c.SetMaxFrame(MaxFrameLite)
		frame, err := (&Message{StreamID: 1, Headers: eventstream.Headers{
			{Name: HeaderOperation, Value: eventstream.StringValue("test#Operation")},
		}}).Encode(NumbersFirst)
		if err != nil {
			t.Fatal(err)
		}
		room := MaxFrameLite - len(frame)
		r := <-call(t.Context(), c, strings.Repeat("x", room+1))
		if !errors.Is(r.err, ErrFrameTooLong) || !strings.Contains(r.err.Error(), "10001 bytes, the server takes 10000") {
			t.Errorf("got %v, want ErrFrameTooLong with the sizes", r.err)
		}
		fits := call(t.Context(), c, strings.Repeat("x", room))
		p.readRequest(1)
		p.write(&Message{StreamID: 1, Payload: []byte("ok")})
		wantPayload(t, <-fits, "ok")
	})
}

func TestStreamIDsUsedUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, p := connected(t)
		c.mu.Lock()
		c.last = math.MaxInt32 - 1
		c.mu.Unlock()
		last := call(t.Context(), c, "{}")
		p.readRequest(math.MaxInt32)
		p.write(&Message{StreamID: math.MaxInt32, Payload: []byte("ok")})
		wantPayload(t, <-last, "ok")
		if r := <-call(t.Context(), c, "{}"); r.err == nil {
			t.Error("no error")
		}
		<-c.Done()
	})
}

func TestServerThatDoesNotRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, _ := connected(t)
		begin := time.Now()
		if r := <-call(t.Context(), c, "{}"); r.err == nil || time.Since(begin) != 10*time.Second {
			t.Errorf("got %v after %v, want an error after 10 s", r.err, time.Since(begin))
		}
		<-c.Done()
	})
}

func TestServerThatReadsHalfAFrame(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, p := connected(t)
		answer := call(t.Context(), c, "{}")
		io.CopyN(io.Discard, p.nc, 20)
		if r := <-answer; r.err == nil {
			t.Error("no error")
		}
		<-c.Done()
	})
}

func TestPing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, p := connected(t)
		p.writeRaw(captured(t, "crt/ping-from-server"))
		want := captured(t, "crt/ping-response-from-client")
		got := make([]byte, len(want))
		io.ReadFull(p.nc, got)
		if !bytes.Equal(got, want) {
			t.Errorf("answer\n%q, want\n%q", got, want)
		}

		ping := &Message{Type: Ping, Payload: []byte("abc")}
		ping.SetText(HeaderContentType, "text/plain")
		ping.SetText("x", "y")
		p.write(ping)
		pong := &Message{Type: PingResponse, Payload: []byte("abc")}
		pong.SetText("x", "y")
		if d := cmp.Diff(pong, p.read()); d != "" {
			t.Errorf("answer (-want +got):\n%s", d)
		}
		p.write(&Message{Type: PingResponse}) // unasked, and harmless
		synctest.Wait()
		if c.Err() != nil {
			t.Error(c.Err())
		}
	})
}

func TestPingsOfAServerThatDoesNotReadAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, p := connected(t)
		for range 1000 {
			p.write(&Message{Type: Ping}) // returns only if the client reads
		}
		answers := 0
		go func() {
			for {
				if m, err := p.frames.Read(); err != nil || m.Type != PingResponse {
					return
				}
				answers++
			}
		}()
		synctest.Wait()
		c.Close()
		if answers == 0 || answers > 4*maxPongs {
			t.Errorf("%d answers to 1,000 pings, want a few", answers)
		}
	})
}

func TestServerEndsTheConnection(t *testing.T) {
	flip := func(b []byte) []byte { b[len(b)-1]++; return b }
	tests := []struct {
		name string
		send []byte
		want string
	}{
		{"internal error", encode(t, &Message{Type: InternalError, Payload: []byte("oops")}), `INTERNAL_ERROR: "oops"`},
		{"very long error", encode(t, &Message{Type: ProtocolError, Payload: bytes.Repeat([]byte("x"), 10_000)}), "xxx"},
		{"unknown higher stream", encode(t, event(3, 1)), "on stream 3, the last one opened is 2"},
		{"negative stream", encode(t, event(-1, 1)), "on stream -1"},
		{"application message on stream 0", encode(t, event(0, 1)), "on stream 0"},
		{"second acknowledgement", captured(t, "crt/connect-ack"), "unexpected CONNECT_ACK"},
		{"unheard-of type", encode(t, &Message{Type: 99}), "unexpected message type 99"},
		{"frame over the cap", prelude(MaxIncoming+1, 0), "frame too long"},
		{"wrong checksum", flip(encode(t, event(1, 1))), "checksum"},
		{"close within a frame", encode(t, event(1, 1))[:30], "unexpected EOF"},
		{"close", nil, "closed by the server"},
	}
	for _, v := range vectors(t) {
		if strings.HasPrefix(v.Name, "crt/protocol-error-") {
			text := strings.ReplaceAll(v.Payload, `"`, `\"`)
			tests = append(tests, struct {
				name string
				send []byte
				want string
			}{v.Name, v.frame(t), "PROTOCOL_ERROR: \"" + text})
		}
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c, p := connected(t)
				s := open(t, c, p, 1, 4)
				pending := call(t.Context(), c, "{}")
				p.readRequest(2)
				p.write(event(1, 7))
				p.writeRaw(test.send)
				if test.want == "closed by the server" || strings.Contains(test.want, "EOF") {
					p.nc.Close()
				}
				<-c.Done()
				err := c.Err()
				if err == nil || !strings.Contains(err.Error(), test.want) {
					t.Errorf("got %v, want an error with %q", err, test.want)
				}
				if len(err.Error()) > 700 {
					t.Errorf("error of %d bytes", len(err.Error()))
				}
				if r := <-pending; r.err != err {
					t.Errorf("pending call: %v, want %v", r.err, err)
				}
				if r := <-call(t.Context(), c, "{}"); !errors.Is(r.err, err) || !errors.Is(r.err, ErrNotSent) {
					t.Errorf("later call: %v, want ErrNotSent and %v", r.err, err)
				}
				if m := <-s.Events(); m == nil || string(m.Payload) != "7" {
					t.Errorf("event %v, want the one that came before the end", m)
				}
				if m, ok := <-s.Events(); ok {
					t.Errorf("event %v, want a closed channel", m)
				}
				if s.Err() != err {
					t.Errorf("stream: %v, want %v", s.Err(), err)
				}
				s.Close()
				if _, err := p.nc.Read(make([]byte, 1)); err == nil {
					t.Error("something was sent after the end")
				}
			})
		})
	}
}

func encode(t testing.TB, m *Message) []byte {
	t.Helper()
	b, err := m.Encode(NumbersLast)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, p := connected(t)
		s := open(t, c, p, 1, 4)
		answered := call(t.Context(), c, "{}")
		p.readRequest(2)
		unwritten := call(t.Context(), c, "{}") // the server does not read it
		waiting := call(t.Context(), c, "{}")
		synctest.Wait()
		c.Close()
		for _, r := range []<-chan result{answered, unwritten, waiting, call(t.Context(), c, "{}")} {
			if r := <-r; !errors.Is(r.err, net.ErrClosed) {
				t.Errorf("got %v, want net.ErrClosed", r.err)
			}
		}
		if _, ok := <-s.Events(); ok {
			t.Error("stream goes on")
		}
		c.Close()
		if !errors.Is(c.Err(), net.ErrClosed) {
			t.Error(c.Err())
		}
	})
}
