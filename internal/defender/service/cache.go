package service

import (
	"container/list"
	"sync"

	"github.com/device-defender/device-defender/internal/defender/detect"
	"github.com/device-defender/device-defender/internal/defender/profile"
	"github.com/device-defender/device-defender/internal/defender/store/chunk"
)

// known is a thing as it is evaluated: its row taken apart.
type known struct {
	name     string
	row      thingRow // without chunk and state, which are in the next two
	thing    *detect.Thing
	open     *chunk.Writer // nil: no open chunk
	registry profile.Thing
	rules    *ruleSet // that thing is placed by
	covered  *covered
	stored   bool // there is a row
	changed  bool // the row is to be written
}

// size is about how much memory the thing takes.
func (k *known) size() int {
	const fixed = 1500
	if k.open == nil {
		return fixed
	}
	return fixed + k.open.Memory()
}

// cache holds things that a lane has evaluated lately, so that it needs not read
// and unpack their rows again. It is only of use where one process writes the
// rows of things.
//
// A batch takes its things out of the cache, and puts them back when it has
// committed. Who else writes a thing's row or what the registry says of it calls
// evict from within the transaction. So an entry is never older than the
// database: a batch that had read before the eviction puts nothing back, and one
// that read after it, yet before the other commit, conflicts with that.
type cache struct {
	mu      sync.Mutex // guards the rest
	entries map[string]*list.Element
	recent  *list.List // of *known, the last used first
	size    int
	most    int    // size in bytes
	evicted uint64 // how often evict was called
}

func newCache(most int) *cache {
	return &cache{entries: map[string]*list.Element{}, recent: list.New(), most: most}
}

// generation is what put has to be told.
func (c *cache) generation() uint64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.evicted
}

// take removes a thing and returns it; nil if it is not there.
func (c *cache) take(name string) *known {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.remove(name)
}

func (c *cache) remove(name string) *known {
	e := c.entries[name]
	if e == nil {
		return nil
	}
	k := c.recent.Remove(e).(*known)
	delete(c.entries, name)
	c.size -= k.size()
	return k
}

// put adds things that were read at the generation or later, and committed.
func (c *cache) put(generation uint64, things map[string]*known) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.evicted != generation {
		return
	}
	for name, k := range things {
		c.remove(name)
		c.entries[name] = c.recent.PushFront(k)
		c.size += k.size()
	}
	for c.size > c.most && c.recent.Len() > 0 {
		c.remove(c.recent.Back().Value.(*known).name)
	}
}

// evict removes a thing whose row or registry is being changed.
func (c *cache) evict(name string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.evicted++
	c.remove(name)
}
