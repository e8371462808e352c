package service

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/device-defender/device-defender/internal/defender/access"
	"github.com/device-defender/device-defender/internal/defender/store"
)

// credentialsFile is the file in the service's folder that the first access key
// is written to.
const credentialsFile = "admin-credentials"

// firstKey makes an access key of the role admin if there is none. It is in the
// file before it is in the database: a process that is killed between the two
// makes another one the next time.
func (s *Service) firstKey(ctx context.Context) error {
	made := ""
	err := s.changeKeys(ctx, func(tx *store.Tx, keys map[string]keyEntry) error {
		if admins(keys) > 0 {
			return nil
		}
		name := roleAdmin
		for n := 2; keys[name].id != ""; n++ {
			name = fmt.Sprintf("%s-%d", roleAdmin, n)
		}
		key, err := s.putKey(tx, name, roleAdmin)
		if err != nil {
			return err
		}
		made = filepath.Join(s.options.Data, credentialsFile)
		return writeCredentials(made, key.ID, key.Secret)
	})
	if err != nil {
		return fmt.Errorf("making the first access key: %w", err)
	}
	if made != "" {
		s.log.Info("first start with authentication: an access key of the role admin was made", "file", made)
	}
	return nil
}

// writeCredentials puts a file in place that only its owner can read. What was
// there is replaced, a link as well.
func writeCredentials(path, id, secret string) error {
	f, err := os.CreateTemp(filepath.Dir(path), ".credentials-*") // of mode 0600
	if err != nil {
		return err
	}
	_, err = f.WriteString(access.Credentials(id, secret))
	err = errors.Join(err, f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	return syncFolder(filepath.Dir(path))
}
