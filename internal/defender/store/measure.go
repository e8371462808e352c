package store

// Measurement is what an engine says of itself.
type Measurement struct {
	Disk       uint64 // bytes of its files
	WAL        uint64 // bytes of the log among them
	Memory     uint64 // bytes of what is written to its files next
	Debt       uint64 // bytes that compactions have yet to rewrite, about
	DiskFree   uint64 // bytes of the file system that are free
	DiskSize   uint64 // bytes of the file system
	Reserve    uint64 // bytes that it leaves free
	ReadAmp    int    // files that a read looks at, at most
	Flushes    uint64 // tables written from memory
	Merges     uint64 // compactions
	Stalls     uint64 // times that writes waited for compactions
	CacheHits  uint64
	CacheMiss  uint64
	CacheBytes uint64
}

// Measured is a backend that measures itself.
type Measured interface {
	Measure() (Measurement, error)
}

// Measure returns what the backend says of itself; zero if it says nothing.
func (s *Store) Measure() (Measurement, error) {
	if b, ok := s.backend.(Measured); ok {
		return b.Measure()
	}
	return Measurement{}, nil
}
