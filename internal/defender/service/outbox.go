package service

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"maps"
	"net/http"
	"slices"
	"time"

	"github.com/device-defender/device-defender/internal/defender/alert"
	"github.com/device-defender/device-defender/internal/defender/outbox"
	"github.com/device-defender/device-defender/internal/defender/store"
)

// storedAlert is an alert that is to be delivered. Its key is a number that
// grows.
type storedAlert struct {
	Time    time.Time       `json:"time"`
	Message json.RawMessage `json:"message"`
}

// outboxKey is the target and the number.
func outboxKey(target string, number uint64) string {
	return string(binary.BigEndian.AppendUint64([]byte(target+"\x00"), number))
}

// splitOutboxKey is the inverse of outboxKey.
func splitOutboxKey(key string) (target string, number uint64) {
	end := len(key) - 8
	return key[:end-1], binary.BigEndian.Uint64([]byte(key[end:]))
}

// enqueue puts a message for the target into the outbox.
func (b *batch) enqueue(target string, message []byte) error {
	number, err := bump(b.tx, metaAlerts)
	if err != nil {
		return err
	}
	b.tx.OnCommit(func() { b.s.wake(b.s.outboxReady) })
	return tableOutbox.Put(b.tx, outboxKey(target, number), storedAlert{Time: b.now, Message: message})
}

// deliver delivers alerts until ctx ends.
func (s *Service) deliver(ctx context.Context) {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	defer transport.CloseIdleConnections()
	s.newCourier(transport).Run(ctx, s.outboxReady)
}

func (s *Service) newCourier(transport http.RoundTripper) *outbox.Courier {
	sender := alert.NewSender(s.options.Channels, transport)
	send := func(ctx context.Context, target string, alerts []outbox.Alert) error {
		err := sender.Send(ctx, target, alerts)
		s.tallies.delivered(sender.Name(target), len(alerts), err)
		return err
	}
	return &outbox.Courier{Store: newAlerts(s), Send: send, Group: sender.Group, Name: sender.Name, Log: s.log, Age: func(a outbox.Alert) time.Duration {
		if s.clock.leapt() > 0 {
			return 0 // as far as is known
		}
		return s.now().Sub(a.Time)
	}}
}

// targetName returns how targets may be shown.
func (s *Service) targetName() func(target string) string {
	return alert.NewSender(s.options.Channels, nil).Name
}

// delivered counts an attempt to deliver n alerts.
func (t *tallies) delivered(target string, n int, err error) {
	outcome := "delivered"
	switch {
	case errors.Is(err, outbox.ErrRefused):
		outcome = "refused"
	case err != nil:
		outcome = "failed"
	}
	t.deliveries.add(DeliveryName{target, outcome}, DeliveryName{Other, outcome}, n)
}

// alerts are the outbox in the database, for one courier.
type alerts struct {
	s *Service
	// first has the number of a target's first alert when it was last looked for.
	// Those before it are deleted, and a scan would pass over each of them for as
	// long as the engine has it in memory.
	first map[string]uint64
}

func newAlerts(s *Service) *alerts { return &alerts{s, map[string]uint64{}} }

// Targets lists those that alerts are delivered to. What waits for others is in
// sweepOutbox.
func (a *alerts) Targets() (targets []string, err error) {
	err = a.s.read(context.Background(), func(view *store.Reader) error {
		targets = nil
		// firstIn looks for the first alert in a range of keys.
		firstIn := func(from, to string) (found bool, err error) {
			for entry, err := range tableOutbox.keys.Scan(view, store.Range{From: from, To: to, Limit: 1}) {
				if err != nil {
					return false, err
				}
				target, number := splitOutboxKey(entry.Key)
				a.first[target], found = number, true
				targets = append(targets, target)
			}
			return found, nil
		}
		behind := "" // the targets that were looked at
		until := func(to string) error {
			for {
				found, err := firstIn(behind, to)
				if err != nil || !found {
					return err
				}
				behind = targets[len(targets)-1] + "\x01"
			}
		}
		for _, known := range slices.Sorted(maps.Keys(a.first)) {
			if err := until(known + "\x00"); err != nil {
				return err
			}
			if _, err := firstIn(outboxKey(known, a.first[known]), known+"\x01"); err != nil {
				return err
			}
			behind = known + "\x01"
		}
		return until("")
	})
	return slices.DeleteFunc(targets, func(target string) bool { return !a.s.serves(target) }), err
}

func (a *alerts) Next(target string, after uint64, most int) (list []outbox.Alert, err error) {
	span := store.Prefix(target + "\x00").Resume(outboxKey(target, after))
	span.Limit = most
	err = a.s.read(context.Background(), func(view *store.Reader) error {
		list = nil
		for stored, err := range tableOutbox.Scan(view, span) {
			if err != nil {
				return err
			}
			var message struct {
				Violation string `json:"violationId"`
			}
			// What was stored as a message is one.
			_ = json.Unmarshal(stored.Value.Message, &message)
			_, number := splitOutboxKey(stored.Key)
			list = append(list, outbox.Alert{
				Number: number, Time: stored.Value.Time, Violation: message.Violation, Message: stored.Value.Message,
			})
		}
		return nil
	})
	return list, err
}

func (a *alerts) Delete(target string, numbers []uint64) error {
	return a.s.write(context.Background(), func(tx *store.Tx) error {
		for _, number := range numbers {
			if err := tableOutbox.Delete(tx, outboxKey(target, number)); err != nil {
				return err
			}
		}
		return nil
	})
}
