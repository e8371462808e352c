package service

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"net/http"
	"time"

	"go.etcd.io/bbolt"

	"github.com/device-defender/device-defender/internal/defender/outbox"
)

// storedAlert is an alert that is to be delivered. Its key is a number that
// grows.
type storedAlert struct {
	Time    time.Time       `json:"time"`
	Message json.RawMessage `json:"message"`
}

// enqueue puts a message for the target into the outbox.
func (c *change) enqueue(target string, message []byte) error {
	all := c.tx.Bucket(bucketOutbox)
	b, err := all.CreateBucketIfNotExists([]byte(target))
	if err != nil {
		return err
	}
	number, err := all.NextSequence()
	if err != nil {
		return err
	}
	// Targets had numbers of their own at first.
	if last, _ := b.Cursor().Last(); last != nil && number <= binary.BigEndian.Uint64(last) {
		number = binary.BigEndian.Uint64(last) + 1
		if err := all.SetSequence(number); err != nil {
			return err
		}
	}
	record, err := json.Marshal(storedAlert{Time: c.now, Message: message})
	if err != nil {
		return err
	}
	c.tx.OnCommit(func() { c.s.wake(c.s.outboxReady) })
	return b.Put(binary.BigEndian.AppendUint64(nil, number), record)
}

// deliver delivers alerts until ctx ends.
func (s *Service) deliver(ctx context.Context) {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	defer transport.CloseIdleConnections()
	s.newCourier(transport).Run(ctx, s.outboxReady)
}

func (s *Service) newCourier(transport http.RoundTripper) *outbox.Courier {
	post := outbox.NewPost(s.options.Webhook, transport)
	return &outbox.Courier{Store: alerts{s}, Send: post.Send, Name: post.Name, Log: s.log, Age: func(a outbox.Alert) time.Duration {
		if s.clock.leapt() > 0 {
			return 0 // as far as is known
		}
		return s.now().Sub(a.Time)
	}}
}

// alerts are the outbox in the database.
type alerts struct{ s *Service }

func (a alerts) Targets() (targets []string, err error) {
	err = a.s.read(func(tx *bbolt.Tx) error {
		all := tx.Bucket(bucketOutbox)
		return all.ForEachBucket(func(name []byte) error {
			if first, _ := all.Bucket(name).Cursor().First(); first != nil {
				targets = append(targets, string(name))
			}
			return nil
		})
	})
	return targets, err
}

func (a alerts) Next(target string, after uint64, most int) (list []outbox.Alert, err error) {
	err = a.s.read(func(tx *bbolt.Tx) error {
		b := tx.Bucket(bucketOutbox).Bucket([]byte(target))
		if b == nil {
			return nil
		}
		cursor := b.Cursor()
		for key, record := cursor.Seek(binary.BigEndian.AppendUint64(nil, after+1)); key != nil && len(list) < most; key, record = cursor.Next() {
			var stored storedAlert
			if err := json.Unmarshal(record, &stored); err != nil {
				return err
			}
			var message struct {
				Violation string `json:"violationId"`
			}
			// What was stored as a message is one.
			_ = json.Unmarshal(stored.Message, &message)
			list = append(list, outbox.Alert{
				Number: binary.BigEndian.Uint64(key), Time: stored.Time, Violation: message.Violation, Message: stored.Message,
			})
		}
		return nil
	})
	return list, err
}

func (a alerts) Delete(target string, numbers []uint64) error {
	return a.s.write(func(tx *bbolt.Tx) error {
		b := tx.Bucket(bucketOutbox).Bucket([]byte(target))
		if b == nil {
			return nil
		}
		for _, number := range numbers {
			if err := b.Delete(binary.BigEndian.AppendUint64(nil, number)); err != nil {
				return err
			}
		}
		return nil
	})
}

// sweepOutbox forgets alerts of targets that nothing delivers to any more:
// those of a webhook, when there is none now.
func sweepOutbox(tx *bbolt.Tx, webhook bool) error {
	all := tx.Bucket(bucketOutbox)
	var gone [][]byte
	err := all.ForEachBucket(func(name []byte) error {
		first, _ := all.Bucket(name).Cursor().First()
		if first == nil || string(name) == outbox.Webhook && !webhook {
			gone = append(gone, append([]byte(nil), name...))
		}
		return nil
	})
	for _, name := range gone {
		if err == nil {
			err = all.DeleteBucket(name)
		}
	}
	return err
}
