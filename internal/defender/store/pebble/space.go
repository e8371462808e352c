package pebble

import (
	"fmt"
	"sync"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/device-defender/device-defender/internal/defender/store"
)

// A look at the free space counts for so long, and for so many bytes of
// commits: each is written to the log, to a table, and to tables again.
const (
	lookEvery    = time.Second
	lookPart     = 16 // of the reserve
	writtenAgain = 4
)

// space keeps some of the disk free: pebble needs room to free room.
type space struct {
	fs      vfs.FS
	dir     string
	reserve uint64

	mu     sync.Mutex
	looked time.Time
	bytes  uint64 // of commits since then
	err    error
}

// check returns store.ErrFull if less than the reserve is free, before a commit
// of the size.
func (s *space) check(size int) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.bytes += uint64(size) * writtenAgain
	if now := time.Now(); s.looked.IsZero() || now.Sub(s.looked) >= lookEvery || s.bytes > s.reserve/lookPart || s.err != nil {
		s.looked, s.bytes, s.err = now, 0, nil
		// What cannot be asked is not held against the writer.
		if usage, err := s.fs.GetDiskUsage(s.dir); err == nil && usage.AvailBytes < s.reserve {
			s.err = fmt.Errorf("%w: %d MB are free, %d MB are kept for dropping what is old", store.ErrFull, usage.AvailBytes>>20, s.reserve>>20)
		}
	}
	return s.err
}

// forget makes the next check look again.
func (s *space) forget() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.looked = time.Time{}
}
