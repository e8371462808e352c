package service

import (
	"context"
	"fmt"
	"sync/atomic"

	"github.com/device-defender/device-defender/internal/defender/store"
)

// disk is below a service's database, and may be full.
type disk struct{ full atomic.Bool }

func (d *disk) wrap(b store.Backend) store.Backend { return diskBackend{b, d} }

func (d *disk) check() error {
	if d.full.Load() {
		return fmt.Errorf("%w: in a test", store.ErrFull)
	}
	return nil
}

type diskBackend struct {
	store.Backend
	disk *disk
}

func (b diskBackend) Begin(ctx context.Context, writing bool) (store.Txn, error) {
	txn, err := b.Backend.Begin(ctx, writing)
	return diskTxn{txn, b.disk}, err
}

func (b diskBackend) Drop(ctx context.Context, part store.Part) error {
	if err := b.disk.check(); err != nil {
		return err
	}
	return b.Backend.Drop(ctx, part)
}

type diskTxn struct {
	store.Txn
	disk *disk
}

func (t diskTxn) Commit(ctx context.Context, writes []store.Write, guards []store.Address) error {
	if err := t.disk.check(); err != nil {
		return err
	}
	return t.Txn.Commit(ctx, writes, guards)
}
