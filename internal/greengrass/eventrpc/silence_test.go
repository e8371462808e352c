package eventrpc

import (
	"context"
	"errors"
	"io"
	"testing"
	"testing/synctest"
	"time"
)

// An open connection that brings no answer for a minute is given up, also if
// its callers have given up before.
func TestSilentConnectionIsClosed(t *testing.T) {
	for name, patience := range map[string]time.Duration{"caller waits": time.Hour, "caller gives up": 10 * time.Second} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c, p := connected(t)
				begin := time.Now()
				ctx, cancel := context.WithTimeout(t.Context(), patience)
				defer cancel()
				answer := call(ctx, c, "{}")
				go io.Copy(io.Discard, p.nc)
				<-c.Done()
				if d := time.Since(begin); d != time.Minute || !errors.Is(c.Err(), ErrSilent) {
					t.Errorf("ended after %v with %v, want ErrSilent after a minute", d, c.Err())
				}
				if r := <-answer; r.err == nil || errors.Is(r.err, ErrNotSent) {
					t.Errorf("call: %v, want an error of unknown outcome", r.err)
				}
			})
		})
	}
}

// Silence is no fault while nothing is asked for but events, which may not
// come for hours, and any frame is a sign of life.
func TestQuietConnectionLivesOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, p := connected(t)
		s := open(t, c, p, 1, 1)
		time.Sleep(24 * time.Hour)
		answer := call(t.Context(), c, "{}")
		p.readRequest(2)
		for range 10 { // the answer takes its time, others come
			time.Sleep(50 * time.Second)
			p.write(event(1, 1))
			<-s.Events()
		}
		p.write(&Message{StreamID: 2, Payload: []byte("late")})
		wantPayload(t, <-answer, "late")
		time.Sleep(24 * time.Hour)
		if err := c.Err(); err != nil {
			t.Errorf("ended with %v", err)
		}
	})
}

// Alive holds back what must not arrive late while the server stands still.
func TestAlive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, p := connected(t)
		if err := c.Alive(t.Context()); err != nil {
			t.Errorf("fresh connection: %v", err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		first := call(ctx, c, "1")
		p.readRequest(1)
		<-first
		p.readTerminate(1)
		begin := time.Now()
		time.AfterFunc(30*time.Second, func() { p.write(&Message{StreamID: 1, Flags: TerminateStream, Payload: []byte("late")}) })
		if err := c.Alive(t.Context()); err != nil || time.Since(begin) != 30*time.Second {
			t.Errorf("alive after %v: %v, want when the late answer comes after 30 s", time.Since(begin), err)
		}
		second := call(ctx, c, "2") // its context has ended: nothing is sent
		if r := <-second; !errors.Is(r.err, ErrNotSent) {
			t.Errorf("call with an ended context: %v, want ErrNotSent", r.err)
		}
	})
}

func TestAliveEndsWithTheConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, p := connected(t)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		call(ctx, c, "1")
		go io.Copy(io.Discard, p.nc)
		<-ctx.Done()
		synctest.Wait()
		if err := c.Alive(t.Context()); !errors.Is(err, ErrNotSent) || !errors.Is(err, ErrSilent) {
			t.Errorf("%v, want ErrNotSent and ErrSilent", err)
		}
		if err := c.Alive(ctx); !errors.Is(err, ErrNotSent) {
			t.Errorf("ended connection: %v, want ErrNotSent", err)
		}
	})
}

// What a caller may try again is told from what may have arrived.
func TestNotSent(t *testing.T) {
	t.Run("connection had ended", func(t *testing.T) {
		c, _ := connected(t)
		c.Close()
		if r := <-call(t.Context(), c, "{}"); !errors.Is(r.err, ErrNotSent) {
			t.Errorf("%v, want ErrNotSent", r.err)
		}
	})
	t.Run("request too long", func(t *testing.T) {
		c, _ := connected(t)
		c.SetMaxFrame(100)
		if r := <-call(t.Context(), c, string(make([]byte, 100))); !errors.Is(r.err, ErrNotSent) || !errors.Is(r.err, ErrFrameTooLong) {
			t.Errorf("%v, want ErrNotSent and ErrFrameTooLong", r.err)
		}
	})
	t.Run("half of the frame written", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			c, p := connected(t)
			answer := call(t.Context(), c, "{}")
			io.CopyN(io.Discard, p.nc, 20)
			if r := <-answer; !errors.Is(r.err, ErrNotSent) {
				t.Errorf("%v, want ErrNotSent", r.err)
			}
		})
	})
	t.Run("frame written, then the connection ends", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			c, p := connected(t)
			answer := call(t.Context(), c, "{}")
			p.readRequest(1)
			p.nc.Close()
			if r := <-answer; r.err == nil || errors.Is(r.err, ErrNotSent) {
				t.Errorf("%v, want an error of unknown outcome", r.err)
			}
		})
	})
}
