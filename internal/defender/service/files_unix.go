//go:build unix

package service

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// lockFile locks a file or folder as bbolt does, if nobody else has.
func lockFile(f *os.File, writing bool) error {
	how := unix.LOCK_SH
	if writing {
		how = unix.LOCK_EX
	}
	return unix.Flock(int(f.Fd()), how|unix.LOCK_NB)
}

// syncFolder makes renames in a folder durable.
func syncFolder(path string) error {
	folder, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(folder.Sync(), folder.Close())
}
