package greengrass

import (
	"math/rand/v2"
	"time"
)

const (
	minBackoff = time.Second
	maxBackoff = time.Minute
)

// backoff spaces attempts: the zero value is ready.
type backoff struct{ limit time.Duration }

// next returns how long to wait before the next attempt: any time up to a
// limit that doubles, so that the components of a core, and the cores of a
// fleet, do not come back in step.
func (b *backoff) next() time.Duration {
	b.limit = min(max(2*b.limit, minBackoff), maxBackoff)
	return rand.N(b.limit)
}

// lasted forgets earlier failures if what came of an attempt lasted long
// enough. What ends at once is a failure too.
func (b *backoff) lasted(since time.Time) {
	if time.Since(since) >= maxBackoff {
		b.limit = 0
	}
}
