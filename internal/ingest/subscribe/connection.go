package subscribe

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"sync"
	"time"

	"github.com/eclipse/paho.golang/packets"
	"github.com/eclipse/paho.golang/paho"

	"github.com/device-defender/device-defender/internal/defender/report"
	"github.com/device-defender/device-defender/internal/ingest"
)

const (
	// receiveMaximum is how many reports the broker sends before the first is acknowledged.
	receiveMaximum = 100
	maxPacket      = 128<<10 + 4<<10
	// sessionTime is how long the broker keeps what comes while there is no connection.
	sessionTime = 24 * 60 * 60 // seconds
	lanes       = 16
	ackInterval = 20 * time.Millisecond
)

// filters are what is subscribed to. A filter that begins with a wildcard does not match topics with a $.
func (s *Source) filters() (list []paho.SubscribeOptions) {
	for _, format := range []report.Format{report.JSON, report.CBOR} {
		filter := report.Topic("+", format)
		if s.options.Group != "" {
			filter = "$share/" + s.options.Group + "/" + filter
		}
		list = append(list, paho.SubscribeOptions{Topic: filter, QoS: 1})
	}
	return list
}

// connection connects, subscribes, and takes reports until ctx ends or the connection fails. It reports whether it
// had subscribed.
func (s *Source) connection(ctx context.Context, up func()) (subscribed bool, err error) {
	conn, err := s.dial(ctx)
	if err != nil {
		return false, fmt.Errorf("connecting: %w", err)
	}
	alive, lose := context.WithCancelCause(ctx)
	defer lose(nil)
	work := newWork(alive, s)
	client := paho.NewClient(paho.ClientConfig{
		ClientID: s.options.ClientID, Conn: packets.NewThreadSafeConn(conn), PacketTimeout: callTime,
		EnableManualAcknowledgment: true, SendAcksInterval: ackInterval,
		OnPublishReceived: []func(paho.PublishReceived) (bool, error){work.hand},
		OnClientError:     func(err error) { lose(fmt.Errorf("connection: %w", err)) },
		OnServerDisconnect: func(d *paho.Disconnect) {
			lose(fmt.Errorf("the broker ended the connection, reason code %#x", d.ReasonCode))
		},
	})
	defer conn.Close()
	if err := s.connect(alive, client); err != nil {
		return false, err
	}
	defer func() { <-client.Done() }()
	defer conn.Close()
	var working sync.WaitGroup
	for _, lane := range work.lanes {
		working.Go(func() { work.run(alive, lane) })
	}
	defer working.Wait()
	defer lose(nil)
	if err := s.subscribe(alive, client); err != nil {
		return false, err
	}
	up()
	<-alive.Done()
	if ctx.Err() == nil {
		return true, context.Cause(alive)
	}
	// What was being stored is stored and acknowledged.
	working.Wait()
	wait(context.WithoutCancel(ctx), 2*ackInterval)
	_ = client.Disconnect(&paho.Disconnect{}) // the broker keeps the session
	return true, nil
}

func (s *Source) connect(ctx context.Context, client *paho.Client) error {
	ctx, cancel := context.WithTimeout(ctx, callTime)
	defer cancel()
	password, err := s.password()
	if err != nil {
		return err
	}
	c := &paho.Connect{
		ClientID: s.options.ClientID, KeepAlive: uint16(max(s.options.keepAlive/time.Second, 1)),
		Username: s.options.User, UsernameFlag: s.options.User != "", Password: password, PasswordFlag: password != nil,
		Properties: &paho.ConnectProperties{
			SessionExpiryInterval: new(uint32(sessionTime)), ReceiveMaximum: new(uint16(receiveMaximum)), MaximumPacketSize: new(uint32(maxPacket)),
		},
	}
	if ack, err := client.Connect(ctx, c); err != nil {
		if ack != nil && ack.ReasonCode != 0 {
			return fmt.Errorf("the broker refuses the connection, reason code %#x", ack.ReasonCode)
		}
		return fmt.Errorf("connecting: %w", err)
	}
	return nil
}

func (s *Source) subscribe(ctx context.Context, client *paho.Client) error {
	ctx, cancel := context.WithTimeout(ctx, callTime)
	defer cancel()
	ack, err := client.Subscribe(ctx, &paho.Subscribe{Subscriptions: s.filters()})
	if ack != nil {
		for _, code := range ack.Reasons {
			if code >= 0x80 {
				return fmt.Errorf("the broker refuses the subscription, reason code %#x", code)
			}
		}
	}
	if err != nil {
		return fmt.Errorf("subscribing: %w", err)
	}
	return nil
}

// work is what came by a connection and is not taken yet. A thing's reports keep their order.
type work struct {
	source *Source
	alive  context.Context // of the connection
	lanes  []chan paho.PublishReceived
	seed   maphash.Seed
}

func newWork(alive context.Context, s *Source) *work {
	w := &work{source: s, alive: alive, seed: maphash.MakeSeed()}
	for range lanes {
		w.lanes = append(w.lanes, make(chan paho.PublishReceived, 2*receiveMaximum))
	}
	return w
}

// hand hands a message to its lane. It must not wait: the connection's end waits for it. There is room for all
// that the broker may send before an acknowledgement; what is of QoS 0 is dropped when it is too much.
func (w *work) hand(p paho.PublishReceived) (bool, error) {
	lane := w.lanes[maphash.String(w.seed, p.Packet.Topic)%lanes]
	if p.Packet.QoS == 0 && len(lane) >= cap(lane)-receiveMaximum {
		return true, nil
	}
	select {
	case lane <- p:
	default: // the broker sent more than it may, and sends it again at the next connection
	}
	return true, nil
}

func (w *work) run(alive context.Context, lane <-chan paho.PublishReceived) {
	for {
		select {
		case p := <-lane:
			if alive.Err() != nil {
				return // the broker sends it again
			}
			w.source.take(alive, p)
		case <-alive.Done():
			return
		}
	}
}

// take takes a message, and acknowledges it when it is done with. While it can't be stored it tries again.
func (s *Source) take(alive context.Context, p paho.PublishReceived) {
	// Whatever a broker sends, the service stays up.
	defer func() {
		if v := recover(); v != nil {
			s.log.Error("taking a report failed", "panic", v)
		}
	}()
	thing, format, ok := report.ParseTopic(p.Packet.Topic)
	if !ok {
		s.log.Warn("a message is not on a topic of reports", "topic", clip(p.Packet.Topic))
		s.acknowledge(p)
		return
	}
	for pause := firstPause; ; pause = min(2*pause, maxPause) {
		reply, err := s.options.Intake.Report(context.WithoutCancel(alive), ingest.Report{
			Thing: thing, Identity: s.identity, Format: format, Payload: p.Packet.Payload,
		})
		if err == nil || !errors.Is(err, ingest.ErrUnavailable) {
			s.acknowledge(p)
			s.reply(alive, p.Client, reply, thing, format)
			return
		}
		if !wait(alive, pause) {
			return
		}
	}
}

func (s *Source) acknowledge(p paho.PublishReceived) {
	select {
	case <-p.Client.Done(): // it comes again
	default:
		if err := p.Client.Ack(p.Packet); err != nil {
			s.log.Warn("a report may come again", "error", err)
		}
	}
}

func (s *Source) reply(ctx context.Context, client *paho.Client, reply report.Reply, thing string, format report.Format) {
	if !s.options.Replies || reply.Status == "" {
		return
	}
	topic, payload, err := ingest.Answer(reply, thing, format)
	if err != nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), callTime)
	defer cancel()
	if _, err := client.Publish(ctx, &paho.Publish{Topic: topic, Payload: payload}); err != nil {
		s.log.Debug("a reply is lost", "thing", thing, "error", err)
	}
}

func clip(text string) string { return text[:min(len(text), 256)] }
