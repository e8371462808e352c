package ociimage

import (
	"archive/tar"
	"bytes"
	"io"
	"maps"
	"slices"
	"strings"
	"time"
)

// layer returns the layer's tar.
func layer(img Image) ([]byte, error) {
	var entries []entry
	for _, name := range slices.Sorted(maps.Keys(img.Documents)) {
		entries = append(entries, file(name, 0o644, img.Documents[name]))
	}
	entries = append(entries,
		file(img.Program.Name, 0o755, img.Binary),
		folder(strings.TrimPrefix(WorkDir, "/"), 0o700, User),
	)
	var b bytes.Buffer
	err := writeTar(&b, entries)
	return b.Bytes(), err
}

// entry is a file or folder in a tar.
type entry struct {
	header  tar.Header
	content []byte
}

func file(name string, mode int64, content []byte) entry {
	return entry{tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: mode, Size: int64(len(content))}, content}
}

// folder belongs to the user and group with the number owner.
func folder(name string, mode int64, owner int) entry {
	return entry{tar.Header{Typeflag: tar.TypeDir, Name: name + "/", Mode: mode, Uid: owner, Gid: owner}, nil}
}

func writeTar(w io.Writer, entries []entry) error {
	t := tar.NewWriter(w)
	for _, e := range entries {
		e.header.ModTime = time.Unix(0, 0)
		e.header.Format = tar.FormatUSTAR
		if err := t.WriteHeader(&e.header); err != nil {
			return err
		}
		if _, err := t.Write(e.content); err != nil {
			return err
		}
	}
	return t.Close()
}
