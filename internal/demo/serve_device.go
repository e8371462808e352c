package demo

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"
	"sync"
	"time"
)

// Requests to a device's process, one a line, and the answer if all is well.
const (
	requestExfiltrate = "exfiltrate"
	requestStop       = "stop"
	answerOK          = "ok"
)

// The network of a device: one of its own, or the host's.
const (
	isolated = "isolated"
	shared   = "shared"
)

// Traffic of a device, and of the exfiltration. With segments of their own,
// the packets a second are about twice the messages: one there, one back.
const (
	telemetryEvery   = 250 * time.Millisecond
	telemetrySize    = 200
	exfiltrationTick = 5 * time.Millisecond
	exfiltrationSize = 1400
	exfiltrationRate = 8 // messages a tick
)

// ServeDevice is a device's process: it lives on the network until the
// requests end. The network is the argument that its [Command] was given.
func ServeDevice(ctx context.Context, network string, requests io.Reader, answers io.Writer) {
	d, end := newTraffic(ctx)
	defer end()
	answer := func(err error) {
		text := answerOK
		if err != nil {
			text = strings.ReplaceAll(err.Error(), "\n", "; ")
		}
		fmt.Fprintln(answers, text)
	}
	answer(d.begin(network))
	for lines := bufio.NewScanner(requests); lines.Scan(); {
		switch lines.Text() {
		case requestExfiltrate:
			answer(d.exfiltrate())
		case requestStop:
			answer(d.stop())
		default:
			answer(fmt.Errorf("unknown request %q", lines.Text()))
		}
	}
}

// SendTraffic does on this host's own network what a device does that
// exfiltrates: it sends real bytes to another address of loopback, until ctx
// ends. It calls began with the address.
func SendTraffic(ctx context.Context, began func(address string)) error {
	d, end := newTraffic(ctx)
	defer end()
	if err := d.begin(shared); err != nil {
		return err
	}
	if err := d.exfiltrate(); err != nil {
		return err
	}
	began(d.strange)
	<-ctx.Done()
	return nil
}

// newTraffic returns a device, and what ends it.
func newTraffic(ctx context.Context) (*traffic, func()) {
	ctx, cancel := context.WithCancel(ctx)
	d := &traffic{ctx: ctx, ports: [2]string{"8883", "443"}}
	return d, func() {
		cancel()
		d.wait.Wait()
	}
}

// traffic is what a device does on the network.
type traffic struct {
	ctx             context.Context
	wait            sync.WaitGroup
	device          netip.Addr
	broker, strange string    // host:port
	ports           [2]string // of broker and stranger, 0 for any
	end             context.CancelFunc
	ended           chan struct{}
}

// begin makes the network and starts the device's everyday life.
func (d *traffic) begin(network string) (err error) {
	loopback := netip.MustParseAddr("127.0.0.1")
	device, broker, strange := deviceAddress, brokerAddress, StrangeAddress
	if network == isolated {
		if err := raiseLoopback(); err != nil {
			return err
		}
	} else {
		// All of 127.0.0.0/8 is the host's own, so this needs no privilege.
		device, broker, strange = loopback, netip.MustParseAddr("127.0.0.20"), netip.MustParseAddr("127.0.0.66")
		d.ports = [2]string{"0", "0"}
	}
	d.device = device
	if d.broker, err = d.listen(broker, d.ports[0]); err != nil {
		return err
	}
	if d.strange, err = d.listen(strange, d.ports[1]); err != nil {
		return err
	}
	connection, err := d.dial(d.ctx, d.broker)
	if err != nil {
		return err
	}
	d.wait.Go(func() { talk(d.ctx, connection, telemetryEvery, telemetrySize, 1) })
	return nil
}

// listen takes connections and what comes over them, and answers nothing.
func (d *traffic) listen(address netip.Addr, port string) (string, error) {
	listener, err := net.Listen("tcp", net.JoinHostPort(address.String(), port))
	if err != nil {
		return "", err
	}
	d.wait.Go(func() {
		<-d.ctx.Done()
		listener.Close()
	})
	d.wait.Go(func() {
		for {
			connection, err := listener.Accept()
			if err != nil {
				return
			}
			d.wait.Go(func() {
				defer context.AfterFunc(d.ctx, func() { connection.Close() })()
				_, _ = io.Copy(io.Discard, connection)
				connection.Close()
			})
		}
	})
	return listener.Addr().String(), nil
}

// dial connects from the device's own address. Each write is a packet: Go's
// connections do not wait to fill one.
func (d *traffic) dial(ctx context.Context, address string) (net.Conn, error) {
	dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: d.device.AsSlice()}}
	return dialer.DialContext(ctx, "tcp", address)
}

func (d *traffic) exfiltrate() error {
	if d.end != nil {
		return nil
	}
	ctx, end := context.WithCancel(d.ctx)
	connection, err := d.dial(ctx, d.strange)
	if err != nil {
		end()
		return err
	}
	d.end, d.ended = end, make(chan struct{})
	ended := d.ended
	d.wait.Go(func() {
		defer close(ended)
		talk(ctx, connection, exfiltrationTick, exfiltrationSize, exfiltrationRate)
	})
	return nil
}

func (d *traffic) stop() error {
	if d.end != nil {
		d.end()
		<-d.ended
		d.end = nil
	}
	return nil
}

// talk sends messages at intervals until ctx ends, then closes the connection.
func talk(ctx context.Context, connection net.Conn, every time.Duration, size, count int) {
	defer connection.Close()
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	message := make([]byte, size)
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		for range count {
			if _, err := connection.Write(message); err != nil {
				return
			}
		}
	}
}
