package service

import (
	"net/http"
	"net/netip"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

const (
	// guessBurst and guessPause are how many wrong signatures are looked at and
	// logged at once, and how long until one more is.
	guessBurst = 50
	guessPause = 2 * time.Second
	// maxGuesses bounds the memory: one that was not made for longest is
	// forgotten.
	maxGuesses = 4096
)

// guess is what wrong signatures are counted by: where they come from, and the
// access key, "" for all that there are not. A key that is wrong in one place costs
// neither other keys nor other places.
type guess struct {
	from netip.Addr
	id   string
}

// guesses slows down who tries secrets.
type guesses struct {
	mu   sync.Mutex
	made map[guess]*guessed
}

type guessed struct {
	limiter *rate.Limiter
	last    time.Time
}

// allowed reports whether one more may be made.
func (g *guesses) allowed(of guess, now time.Time) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	m := g.made[of]
	return m == nil || m.limiter.TokensAt(now) >= 1
}

// failed counts one.
func (g *guesses) failed(of guess, now time.Time) {
	g.mu.Lock()
	defer g.mu.Unlock()
	m := g.made[of]
	if m == nil {
		if g.made == nil {
			g.made = map[guess]*guessed{}
		}
		if len(g.made) >= maxGuesses {
			delete(g.made, g.oldest())
		}
		m = &guessed{limiter: rate.NewLimiter(rate.Every(guessPause), guessBurst)}
		g.made[of] = m
	}
	m.limiter.AllowN(now, 1)
	m.last = now
}

// oldest is what was not made for longest. The caller holds mu.
func (g *guesses) oldest() (oldest guess) {
	var last time.Time
	for of, m := range g.made {
		if last.IsZero() || m.last.Before(last) {
			oldest, last = of, m.last
		}
	}
	return oldest
}

// sourceOf is the address that a request comes from: of IPv6 the network, as one
// host has a whole one. The zero address is of what has none.
func sourceOf(r *http.Request) netip.Addr {
	at, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return netip.Addr{}
	}
	addr := at.Addr().Unmap().WithZone("")
	if addr.Is6() {
		if network, err := addr.Prefix(64); err == nil {
			return network.Addr()
		}
	}
	return addr
}
