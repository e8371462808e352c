package mqtt

import (
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// A client that sends as fast as it can is read no faster than others may send: it fills
// the buffers of its own connection, and nothing of the service.
func TestFlood(t *testing.T) {
	var mu sync.Mutex
	taken := 0
	w := newWorld(t, false, func(thing string) {
		if thing == "flood" {
			mu.Lock()
			taken++
			mu.Unlock()
		}
	})
	c, err := net.Dial("tcp", w.address)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	began := time.Now()
	c.Write([]byte("\x10\x11\x00\x04MQTT\x04\x02\x00\x3c\x00\x05flood"))
	const topic = "$aws/things/flood/defender/metrics/json"
	payload := reportOf(1)
	packet := append([]byte{0x30, 0, 0, 0, byte(len(topic))}, topic...)
	packet = append(packet, payload...)
	size := len(packet) - 3
	packet[1], packet[2] = byte(size&0x7f|0x80), byte(size>>7)
	sent := make(chan struct{})
	go func() {
		defer close(sent)
		for range 100_000 {
			c.SetWriteDeadline(began.Add(500 * time.Millisecond))
			if _, err := c.Write(packet); err != nil {
				return
			}
		}
	}()
	<-sent
	c.Close()
	d := w.join(t, 3, "other")
	if err := d.publish("$aws/things/other/defender/metrics/json", 1, payload); err != nil {
		t.Error(err)
	}
	mu.Lock()
	defer mu.Unlock()
	if most := packetBurst + int(time.Since(began).Seconds()*packetRate) + 1; taken == 0 || taken > most {
		t.Errorf("%d reports were taken, want some and at most %d", taken, most)
	}
}

// A client that does not read loses its connection, and holds nobody up for longer.
func TestClientThatDoesNotRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ours, theirs := net.Pipe()
		defer theirs.Close()
		c := newConn(&Server{}, ours)
		// What the broker sets for the keep-alive does not put it off.
		if err := c.SetDeadline(time.Now().Add(time.Hour)); err != nil {
			t.Fatal(err)
		}
		if _, err := c.Write([]byte("reply")); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("%v, want that the time is over", err)
		}
		if _, err := theirs.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
			t.Errorf("%v, want that the connection has ended", err)
		}
	})
}
