package cli

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
)

// draft is a file that is not yet in its place. It is of mode 0600. Where the system
// can, it has no name, so that a process which is killed leaves nothing.
type draft struct {
	*os.File
	name string // in the folder of its place; "" is none
}

// newDraft makes a draft beside the path.
func newDraft(path string) (*draft, error) {
	if f := openUnnamed(filepath.Dir(path)); f != nil {
		return &draft{File: f}, nil
	}
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+"-*")
	if err != nil {
		return nil, err
	}
	return &draft{f, f.Name()}, nil
}

// publish puts the draft in place of what is at the path.
func (d *draft) publish(path string) error {
	if d.name == "" {
		name, err := linkUnnamed(d.File, path)
		if err != nil {
			return err
		}
		d.name = name
	}
	// Windows renames no file that is open.
	if err := d.Close(); err != nil {
		return err
	}
	if err := os.Rename(d.name, path); err != nil {
		return err
	}
	d.name = ""
	return nil
}

// close removes a draft that was not published.
func (d *draft) close() error {
	err := d.Close()
	if errors.Is(err, os.ErrClosed) {
		err = nil
	}
	if d.name != "" {
		if e := os.Remove(d.name); !errors.Is(e, fs.ErrNotExist) {
			err = errors.Join(err, e)
		}
	}
	return err
}
