package web

import (
	"context"
	"net/http"
	"sync"

	"github.com/device-defender/device-defender/internal/defender/service"
)

// shared makes a page once for all who wait for it: each reader of the first
// page asks again when something changes, and it is the same for all. A page
// that is being made is for those who had asked when it was begun, so nobody
// gets an older one than was asked for.
type shared struct {
	make func(ctx context.Context, r *http.Request) answer
	slot chan struct{} // has the token of the one that is being made

	mu   sync.Mutex
	next map[string]*turn // by host and visitor, which the page names
}

// answer is a page and its status.
type answer struct {
	status int
	body   []byte
}

// turn is a page that is not begun yet, or being made.
type turn struct {
	done chan struct{} // closed when there is an answer
	answer
}

func newShared(makePage func(context.Context, *http.Request) answer) *shared {
	return &shared{make: makePage, slot: make(chan struct{}, 1), next: map[string]*turn{}}
}

// page waits for the page. Who asks first makes it, even if gone meanwhile.
func (s *shared) page(ctx context.Context, r *http.Request) answer {
	key := r.Host
	if v := service.VisitorOf(ctx); v != nil {
		key += "\x00" + v.Role + "\x00" + v.Name
	}
	s.mu.Lock()
	t := s.next[key]
	first := t == nil
	if first {
		t = &turn{done: make(chan struct{}), answer: answer{status: http.StatusInternalServerError}}
		s.next[key] = t
	}
	s.mu.Unlock()
	if first {
		s.slot <- struct{}{}
		defer func() { <-s.slot }()
		s.mu.Lock()
		delete(s.next, key)
		s.mu.Unlock()
		defer close(t.done)
		t.answer = s.make(context.WithoutCancel(ctx), r)
		return t.answer
	}
	select {
	case <-t.done:
		return t.answer
	case <-ctx.Done():
		return answer{status: http.StatusServiceUnavailable}
	}
}
