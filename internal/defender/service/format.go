package service

import (
	"context"
	"errors"
	"fmt"

	"github.com/device-defender/device-defender/internal/defender/store"
)

// dataFormat is the version of the form of all rows. It is counted up when the
// service before could not work with rows any more, or would lose some.
const dataFormat = 1

// metaFormat is the key of the table meta that has it. Databases without are of
// version 1.
const metaFormat = "format"

// NewerError says that data was written by a newer defenderctl.
type NewerError struct {
	What   string // that was written
	Reason string
}

func (e *NewerError) Error() string {
	return fmt.Sprintf("%s was written by a newer defenderctl (%s): use that one, or a newer one; nothing was changed", e.What, e.Reason)
}

func checkFormat(what string, version uint64) error {
	if version > dataFormat {
		return &NewerError{what, fmt.Sprintf("data of version %d, this one knows version %d", version, dataFormat)}
	}
	return nil
}

// checkData refuses a database of a newer version, and writes the version into one
// that has none.
func (s *Service) checkData(ctx context.Context) error {
	var version uint64
	err := s.read(ctx, func(r *store.Reader) (err error) {
		version, _, err = tableMeta.Get(r, metaFormat)
		return err
	})
	if err != nil {
		return fmt.Errorf("reading database %s: %w", s.path, err)
	}
	if version != 0 {
		return checkFormat("database "+s.path, version)
	}
	err = s.write(ctx, func(tx *store.Tx) error { return tableMeta.Put(tx, metaFormat, dataFormat) })
	if errors.Is(err, store.ErrFull) || errors.Is(err, store.ErrUnavailable) {
		return nil // the next start writes it
	}
	return err
}
