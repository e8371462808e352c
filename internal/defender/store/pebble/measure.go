package pebble

import "github.com/device-defender/device-defender/internal/defender/store"

var _ store.Measured = (*Engine)(nil)

// Measure returns the engine's figures.
func (e *Engine) Measure() (m store.Measurement, err error) {
	in, err := e.instance()
	if err != nil {
		return m, err
	}
	defer in.release()
	is := in.db.Metrics()
	m = store.Measurement{
		Disk: is.DiskSpaceUsage(), WAL: is.WAL.PhysicalSize, Memory: is.MemTable.Size, Debt: is.Compact.EstimatedDebt,
		Reserve: e.options.Reserve, ReadAmp: is.ReadAmp(),
		Flushes: uint64(is.Flush.Count), Merges: uint64(is.Compact.Count), Stalls: e.stalls.Load(),
		CacheHits: uint64(is.BlockCache.Hits), CacheMiss: uint64(is.BlockCache.Misses), CacheBytes: uint64(is.BlockCache.Size),
	}
	if usage, err := e.fs.GetDiskUsage(e.dir); err == nil {
		m.DiskFree, m.DiskSize = usage.AvailBytes, usage.TotalBytes
	}
	return m, nil
}
