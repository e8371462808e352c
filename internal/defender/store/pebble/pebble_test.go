package pebble

import (
	"bytes"
	"context"
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"github.com/device-defender/device-defender/internal/defender/store"
	"github.com/device-defender/device-defender/internal/defender/store/storetest"
)

func open(name string) (store.Backend, error) { return Open(name, Options{Reserve: 1}) }

func TestMain(m *testing.M) { storetest.Main(m, open) }

func TestContract(t *testing.T) { storetest.Run(t, open) }

func TestKilled(t *testing.T) { storetest.Killed(t, open) }

func TestFaults(t *testing.T) {
	storetest.Faults(t, func(t *testing.T) storetest.Disk { return newDisk() })
}

// disk is a disk in memory.
type disk struct {
	mem             *vfs.MemFS
	full, failSyncs *atomic.Bool
}

func newDisk() *disk {
	return &disk{mem: vfs.NewCrashableMem(), full: new(atomic.Bool), failSyncs: new(atomic.Bool)}
}

func (d *disk) Open() (store.Backend, error) {
	return Open("db", Options{Reserve: 1, fs: errorfs.Wrap(d.mem, errorfs.InjectorFunc(d.fault))})
}

func (d *disk) fault(op errorfs.Op) error {
	switch op.Kind {
	case errorfs.OpFileSync, errorfs.OpFileSyncData, errorfs.OpFileSyncTo:
		if d.failSyncs.Load() {
			return syscall.EIO
		}
	case errorfs.OpCreate, errorfs.OpLink, errorfs.OpRename, errorfs.OpReuseForWrite, errorfs.OpMkdirAll, errorfs.OpFilePreallocate, errorfs.OpFileWrite, errorfs.OpFileWriteAt:
		if d.full.Load() {
			return syscall.ENOSPC
		}
	}
	return nil
}

func (d *disk) Full(on bool)      { d.full.Store(on) }
func (d *disk) FailSyncs(on bool) { d.failSyncs.Store(on) }

func (d *disk) Crash(percent int) {
	d.mem = d.mem.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: percent, RNG: rand.New(rand.NewPCG(rand.Uint64(), 1))})
}

// Tear appends half of a record to the last log.
func (d *disk) Tear() {
	names, err := d.mem.List("db")
	if err != nil {
		panic(err)
	}
	last := ""
	for _, name := range names {
		if strings.HasSuffix(name, ".log") {
			last = max(last, name)
		}
	}
	path := d.mem.PathJoin("db", last)
	f, err := d.mem.OpenReadWrite(path, vfs.WriteCategoryUnspecified)
	if err != nil {
		panic(err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		panic(err)
	}
	torn := make([]byte, 1+rand.IntN(40_000))
	for i := range torn {
		torn[i] = byte(rand.Uint32())
	}
	if _, err := f.WriteAt(torn, info.Size()); err != nil {
		panic(err)
	}
	if err := f.Sync(); err != nil {
		panic(err)
	}
}

var rows = store.NewTable("rows", store.Bytes())

func put(s *store.Store, key string, value []byte) error {
	return s.Update(context.Background(), func(tx *store.Tx) error { return rows.Put(tx, key, value) })
}

// TestInUse: the files belong to one process, and to one engine in it.
func TestInUse(t *testing.T) {
	folder := t.TempDir()
	first, err := open(folder)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := open(folder); !errors.Is(err, store.ErrInUse) || !strings.Contains(err.Error(), folder) {
		t.Errorf("opening it again: %v", err)
	}
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	second, err := open(folder)
	if err != nil {
		t.Fatal(err)
	}
	if err := second.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestFolderIsPrivate(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "data", "db")
	b, err := open(folder)
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	if info, err := os.Stat(folder); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("mode of the folder: %v, %v", info.Mode(), err)
	}
}

// TestReserve: what is kept free is there for deletes and drops.
func TestReserve(t *testing.T) {
	d := newDisk()
	b, err := Open("db", Options{Reserve: 100 << 20, fs: d.mem})
	if err != nil {
		t.Fatal(err)
	}
	s := store.New(b)
	defer s.Close()
	d.mem.TestingSetDiskUsage(vfs.DiskUsage{AvailBytes: 200 << 20})
	if err := put(s, "a", nil); err != nil {
		t.Fatal(err)
	}
	d.mem.TestingSetDiskUsage(vfs.DiskUsage{AvailBytes: 99 << 20})
	b.space.forget()
	if err := put(s, "b", nil); !errors.Is(err, store.ErrFull) {
		t.Errorf("a write into the reserve: %v", err)
	}
	if err := s.Update(t.Context(), func(tx *store.Tx) error { return rows.Delete(tx, "a") }); err != nil {
		t.Errorf("a delete: %v", err)
	}
	if err := b.Drop(t.Context(), store.Part{Table: "days", Day: 1}); err != nil {
		t.Errorf("a drop: %v", err)
	}
	d.mem.TestingSetDiskUsage(vfs.DiskUsage{AvailBytes: 101 << 20})
	if err := put(s, "b", nil); err != nil {
		t.Errorf("a write with room: %v", err)
	}
}

// TestDamaged: a damaged database is refused with one line, and not with a
// trace.
func TestDamaged(t *testing.T) {
	folder := t.TempDir()
	b, err := open(folder)
	if err != nil {
		t.Fatal(err)
	}
	s := store.New(b)
	for range 50 {
		if err := put(s, "a", bytes.Repeat([]byte("x"), 100_000)); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	// What was in the log only is in a table now.
	if b, err = open(folder); err != nil {
		t.Fatal(err)
	}
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	tables, err := filepath.Glob(filepath.Join(folder, "*.sst"))
	if err != nil || len(tables) == 0 {
		t.Fatal(tables, err)
	}
	damaged := func() {
		t.Helper()
		_, err := open(folder)
		if !errors.Is(err, store.ErrDamaged) || strings.Contains(err.Error(), "\n") || !strings.Contains(err.Error(), folder) {
			t.Errorf("opening it: %v", err)
		}
	}
	if err := os.Truncate(tables[0], 100); err != nil {
		t.Fatal(err)
	}
	damaged()
	manifests, err := filepath.Glob(filepath.Join(folder, "MANIFEST-*"))
	if err != nil || len(manifests) == 0 {
		t.Fatal(manifests, err)
	}
	for _, name := range manifests {
		data, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for i := range data {
			data[i] ^= 0x55
		}
		if err := os.WriteFile(name, data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	damaged()
}

// TestSmallTables flushes and compacts all the time, under the same load as the
// other tests.
func TestSmallTables(t *testing.T) {
	storetest.Run(t, func(name string) (store.Backend, error) {
		return Open(name, Options{Reserve: 1, MemTable: 64 << 10})
	})
}
