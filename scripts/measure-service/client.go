//go:build linux

package main

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

// sender sends reports over one connection, one at a time. Those of all protocols
// count the bytes of answers.
type sender interface {
	// post sends a report and returns an error unless it is accepted.
	post(p *payloads, thing, round int) error
	// received is how many bytes of answers have come.
	received() int64
	close()
}

// client posts reports over one keep-alive connection of HTTP. It is not net/http's,
// which costs about as much as the service.
type client struct {
	conn   net.Conn
	reader *bufio.Reader
	buffer []byte
	host   string
	random *rand.Rand
	got    int64 // bytes of answers, with their headers
}

// dial connects over TLS if there is a configuration of it.
func dial(addr string, secure *tls.Config, seed uint64) (*client, error) {
	conn, err := dialConn(addr, secure)
	if err != nil {
		return nil, err
	}
	return &client{conn: conn, reader: bufio.NewReaderSize(conn, 2048), host: addr, random: rand.New(rand.NewPCG(seed, 3))}, nil
}

func dialConn(addr string, secure *tls.Config) (net.Conn, error) {
	if secure == nil {
		return net.Dial("tcp", addr)
	}
	return tls.Dial("tcp", addr, secure)
}

func (c *client) received() int64 { return c.got }

func (c *client) close() { _ = c.conn.Close() }

var (
	lengthHeader = []byte("Content-Length: ")
	accepted     = []byte("HTTP/1.1 200")
)

func (c *client) post(p *payloads, thing, round int) error {
	b := c.buffer[:0]
	b = append(b, "POST /things/"...)
	b = append(b, thingName(thing)...)
	b = append(b, "/defender/metrics/json HTTP/1.1\r\nHost: "...)
	b = append(b, c.host...)
	b = append(b, "\r\nContent-Type: application/json\r\nContent-Length: "...)
	b = strconv.AppendInt(b, int64(p.size(thing, round)), 10)
	b = append(b, "\r\n\r\n"...)
	b = p.append(b, thing, round, c.random)
	c.buffer = b
	if _, err := c.conn.Write(b); err != nil {
		return err
	}
	ok, length := false, -1
	for first := true; ; first = false {
		line, err := c.reader.ReadSlice('\n')
		if err != nil {
			return fmt.Errorf("reading the answer: %w", err)
		}
		c.got += int64(len(line))
		if first {
			ok = bytes.HasPrefix(line, accepted)
		}
		line = bytes.TrimRight(line, "\r\n")
		if len(line) == 0 {
			break
		}
		if text, is := bytes.CutPrefix(line, lengthHeader); is {
			if length, err = strconv.Atoi(string(text)); err != nil {
				return fmt.Errorf("reading the answer: %w", err)
			}
		}
	}
	if length < 0 {
		return errors.New("an answer without Content-Length")
	}
	c.got += int64(length)
	if ok {
		_, err := c.reader.Discard(length)
		return err
	}
	text, err := io.ReadAll(io.LimitReader(c.reader, int64(length)))
	return errors.Join(fmt.Errorf("the report of %s was refused: %.200s", thingName(thing), text), err)
}

// swarm is a set of clients that share things: each has its own, so that no
// thing has two reports on the way.
type swarm struct {
	clients []sender
	payload *payloads
	first   int // number of the first thing
	things  int
	rounds  []int // done by each thing
}

// newSwarm has clients that are made by dial, which is told their numbers.
func newSwarm(dial func(i int) (sender, error), clients, first, things int, p *payloads) (*swarm, error) {
	s := &swarm{payload: p, first: first, things: things, rounds: make([]int, things)}
	for i := range min(clients, things) {
		c, err := dial(i)
		if err != nil {
			s.close()
			return nil, err
		}
		s.clients = append(s.clients, c)
	}
	return s, nil
}

func (s *swarm) close() {
	for _, c := range s.clients {
		c.close()
	}
}

// received is how many bytes of answers have come.
func (s *swarm) received() (n int64) {
	for _, c := range s.clients {
		n += c.received()
	}
	return n
}

// round has each thing report n times.
func (s *swarm) round(n int) error {
	return s.each(func(i int, post func(thing int) error) error {
		for range n {
			for thing := i; thing < s.things; thing += len(s.clients) {
				if err := post(thing); err != nil {
					return err
				}
			}
		}
		return nil
	}, nil)
}

// until has all clients post without pause until the channel is closed.
func (s *swarm) until(stop <-chan struct{}, l *latencies) error {
	return s.each(func(i int, post func(thing int) error) error {
		for {
			for thing := i; thing < s.things; thing += len(s.clients) {
				select {
				case <-stop:
					return nil
				default:
				}
				if err := post(thing); err != nil {
					return err
				}
			}
		}
	}, l)
}

// during is until, for a time.
func (s *swarm) during(d time.Duration, l *latencies) error {
	stop := make(chan struct{})
	timer := time.AfterFunc(d, func() { close(stop) })
	defer timer.Stop()
	return s.until(stop, l)
}

// errOther ends a client when another has failed.
var errOther = errors.New("ended by the error of another")

// each runs fn for each client; post posts the next report of a thing. The first
// error ends all.
func (s *swarm) each(fn func(i int, post func(thing int) error) error, l *latencies) error {
	var wait sync.WaitGroup
	var failed atomic.Bool
	errs := make([]error, len(s.clients))
	for i, c := range s.clients {
		wait.Go(func() {
			errs[i] = fn(i, func(thing int) error {
				if failed.Load() {
					return errOther
				}
				began := time.Now()
				if err := c.post(s.payload, s.first+thing, s.rounds[thing]); err != nil {
					failed.Store(true)
					return err
				}
				s.rounds[thing]++
				if l != nil {
					l.add(time.Since(began))
				}
				return nil
			})
		})
	}
	wait.Wait()
	for _, err := range errs {
		if err != nil && !errors.Is(err, errOther) {
			return err
		}
	}
	return nil
}

// paced posts one report after the other, n a second, over the first client.
func (s *swarm) paced(d time.Duration, perSecond int, l *latencies) error {
	ticker := time.NewTicker(time.Second / time.Duration(perSecond))
	defer ticker.Stop()
	for n := range int(d.Seconds() * float64(perSecond)) {
		<-ticker.C
		thing := n % s.things
		began := time.Now()
		if err := s.clients[0].post(s.payload, s.first+thing, s.rounds[thing]); err != nil {
			return err
		}
		s.rounds[thing]++
		l.add(time.Since(began))
	}
	return nil
}
