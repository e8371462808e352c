package service

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/device-defender/device-defender/internal/buildinfo"
	"github.com/device-defender/device-defender/internal/defender/awsrest"
	"github.com/device-defender/device-defender/internal/defender/store"
	"github.com/device-defender/device-defender/internal/defender/store/archive"
)

// tablesOfSecrets are left out of backups while callers are not authenticated: any
// user of the machine gets them then.
var tablesOfSecrets = []string{"access_keys"}

// backupBuffer is how much is sent at once.
const backupBuffer = 256 << 10

// backup answers with a copy of everything at one moment: see package archive.
func (s *Service) backup(r *awsrest.Request) (any, error) {
	if !s.backingUp.TryLock() {
		return nil, &awsrest.Error{Type: "ConflictException", Status: http.StatusConflict, Message: "A backup is under way, and there is one at a time"}
	}
	var without []string
	if !s.options.Authentication {
		without = tablesOfSecrets
	}
	return &awsrest.Answer{Status: http.StatusOK, ContentType: "application/zstd", Stream: func(ctx context.Context, w io.Writer) error {
		defer s.backingUp.Unlock()
		return s.writeBackup(ctx, w, r.Caller, without)
	}}, nil
}

func (s *Service) writeBackup(ctx context.Context, w io.Writer, caller string, without []string) error {
	began, header := time.Now(), archive.Header{Data: dataFormat, Program: buildinfo.Version(), Time: s.now(), Without: without}
	buffer, pace := &bufferedWriter{w: w}, pace{began: began}
	rows := 0
	err := s.read(ctx, func(view *store.Reader) error {
		copied, err := archive.NewWriter(buffer, header)
		if err != nil {
			return err
		}
		for row, err := range view.Rows() {
			if err != nil {
				return err
			}
			if slices.Contains(without, row.Table) {
				continue
			}
			if err := copied.Put(row); err != nil {
				return err
			}
			rows++
			if err := pace.after(ctx, len(row.Key)+len(row.Value)); err != nil {
				return err
			}
		}
		return copied.Close()
	})
	if err == nil {
		err = buffer.flush()
	}
	if err != nil {
		s.log.Warn("backup failed", "caller", caller, "rows", rows, "error", err)
		return fmt.Errorf("writing a backup: %w", err)
	}
	s.tallies.lastBackup.Store(header.Time.UnixMilli())
	s.log.Info("backup written", "caller", caller, "rows", rows, "bytes", buffer.sent, "took", time.Since(began).Round(time.Millisecond))
	return nil
}

// pace has a backup rest for as long as it has worked: reports come first. It works
// in small pieces, as others wait for a processor meanwhile.
type pace struct {
	began time.Time // the piece
	bytes int
}

const (
	pacePiece = 256 << 10
	paceRest  = 100 * time.Millisecond // at most; the caller may have been slow
)

// after is called with the size of each row. It returns the error of ctx.
func (p *pace) after(ctx context.Context, size int) error {
	if p.bytes += size; p.bytes < pacePiece {
		return nil
	}
	rest := time.NewTimer(min(time.Since(p.began), paceRest))
	defer rest.Stop()
	select {
	case <-rest.C:
	case <-ctx.Done():
		return ctx.Err()
	}
	p.began, p.bytes = time.Now(), 0
	return nil
}

// bufferedWriter writes large parts: a deadline is set for each.
type bufferedWriter struct {
	w    io.Writer
	b    []byte
	sent int64
}

func (b *bufferedWriter) Write(p []byte) (int, error) {
	b.b = append(b.b, p...)
	if len(b.b) < backupBuffer {
		return len(p), nil
	}
	return len(p), b.flush()
}

func (b *bufferedWriter) flush() error {
	n, err := b.w.Write(b.b)
	b.b, b.sent = b.b[:0], b.sent+int64(n)
	return err
}

// Backup is what is known of a backup.
type Backup struct {
	archive.Header
	Rows uint64
}

// CheckBackup reads a backup to its end: nil is that it is whole, and of a version
// that can be restored. name is for errors.
func CheckBackup(name string, r io.Reader) (Backup, error) {
	var b Backup
	rows, err := archive.Read(r, func(h archive.Header) error {
		b.Header = h
		return checkFormat("backup "+name, uint64(max(h.Data, 0)))
	}, nil)
	if _, newer := errors.AsType[*NewerError](err); err != nil && !newer {
		err = fmt.Errorf("backup %s: %w", name, err)
	}
	b.Rows = rows
	return b, err
}

// restoreBytes is about how much of a backup is written in one transaction.
const restoreBytes = 4 << 20

// Restore makes the state of a service in a folder from a backup. The folder is
// empty or is made. The backup is read twice, and has to be whole before anything
// is written. A restore that was interrupted can be begun again.
func Restore(ctx context.Context, name string, r io.ReadSeeker, data string) (Backup, error) {
	b, err := CheckBackup(name, r)
	if err != nil {
		return b, err
	}
	if _, err := r.Seek(0, io.SeekStart); err != nil {
		return b, err
	}
	if err := os.MkdirAll(data, 0o700); err != nil {
		return b, err
	}
	folder, err := os.Open(data)
	if err != nil {
		return b, err
	}
	defer folder.Close()
	if err := lockFile(folder, true); err != nil {
		return b, inUse(data)
	}
	entries, err := os.ReadDir(data)
	if err != nil {
		return b, err
	}
	for _, entry := range entries {
		if entry.Name() != restoredFolder {
			return b, fmt.Errorf("folder %s is not empty, it has %s in it: a backup is restored into a new folder", data, entry.Name())
		}
	}
	fresh := filepath.Join(data, restoredFolder)
	if err := os.RemoveAll(fresh); err != nil {
		return b, err
	}
	if err := restoreInto(ctx, r, fresh); err != nil {
		return b, errors.Join(fmt.Errorf("restoring backup %s: %w", name, err), os.RemoveAll(fresh))
	}
	if err := os.Rename(fresh, filepath.Join(data, storeFolder)); err != nil {
		return b, err
	}
	return b, syncFolder(data)
}

// restoredFolder becomes the database when it is whole.
const restoredFolder = storeFolder + ".restored"

func restoreInto(ctx context.Context, r io.Reader, folder string) error {
	backend, err := openFolder(folder, slog.New(slog.DiscardHandler))
	if err != nil {
		return err
	}
	s := store.New(backend)
	var rows []store.Row
	size := 0
	flush := func() error {
		err := s.Update(ctx, func(tx *store.Tx) error {
			for _, row := range rows {
				if err := tx.PutRow(row); err != nil {
					return err
				}
			}
			return nil
		})
		rows, size = rows[:0], 0
		return err
	}
	_, err = archive.Read(r, nil, func(row store.Row) error {
		row.Value = slices.Clone(row.Value)
		rows, size = append(rows, row), size+len(row.Key)+len(row.Value)+64
		if size < restoreBytes {
			return nil
		}
		return flush()
	})
	if err == nil {
		err = flush()
	}
	return errors.Join(err, s.Close())
}
