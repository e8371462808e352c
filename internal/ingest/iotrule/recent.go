package iotrule

import (
	"sync"
	"time"

	"github.com/device-defender/device-defender/internal/defender/detect"
)

const (
	maxRecent  = 20_000
	maxClients = 200_000
	// resets is when AWS IoT begins to count a client's sessions again, after its last.
	resets = time.Hour
)

// Recent knows which lifecycle events were there lately. AWS IoT may tell an event twice,
// and in another order; so may a queue.
type Recent struct {
	mu      sync.Mutex
	seen    map[eventKey]bool
	order   []eventKey // of seen, in a ring
	next    int
	clients map[string]session // that began last
}

type session struct {
	began   time.Time
	version int64
}

type eventKey struct {
	client, session string
	kind            detect.CloudEventType
	at              int64
}

// Fresh reports whether an event is to be counted: it was not there before, and is not the
// end of a session after which the client has connected again. Its bounds are such that
// it forgets the oldest.
func (r *Recent) Fresh(m *Message) bool {
	ev := m.Event
	key := eventKey{ev.Client, ev.Session, ev.Type, m.Time.UnixMilli()}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.seen == nil {
		r.seen, r.clients = map[eventKey]bool{}, map[string]session{}
	}
	if r.seen[key] {
		return false
	}
	if len(r.order) < maxRecent {
		r.order = append(r.order, key)
	} else {
		delete(r.seen, r.order[r.next])
		r.order[r.next] = key
		r.next = (r.next + 1) % maxRecent
	}
	r.seen[key] = true
	latest, known := r.clients[ev.Client]
	switch {
	case ev.Type == detect.Connect && (!known || m.Time.After(latest.began)):
		if !known && len(r.clients) >= maxClients {
			for client := range r.clients {
				delete(r.clients, client)
				break
			}
		}
		r.clients[ev.Client] = session{m.Time, ev.Version}
	case ev.Type == detect.Disconnect && known && ev.Version < latest.version:
		return m.Time.Sub(latest.began) >= resets
	}
	return true
}
