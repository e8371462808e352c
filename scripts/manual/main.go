// Command manual writes the man pages and shell completions of defenderctl into a
// folder: man1/*.1, and completions/defenderctl.bash, .zsh and .fish. With
// SOURCE_DATE_EPOCH the same commit gives the same bytes.
package main

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/spf13/cobra/doc"

	"github.com/device-defender/device-defender/internal/buildinfo"
	"github.com/device-defender/device-defender/internal/cli"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: manual DIR")
		os.Exit(2)
	}
	if err := write(os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, "manual:", err)
		os.Exit(1)
	}
}

func write(dir string) error {
	root := cli.Command()
	root.DisableAutoGenTag = true
	pages, completions := filepath.Join(dir, "man1"), filepath.Join(dir, "completions")
	if err := errors.Join(os.RemoveAll(dir), os.MkdirAll(pages, 0o755), os.MkdirAll(completions, 0o755)); err != nil {
		return err
	}
	header := &doc.GenManHeader{Section: "1", Source: "defenderctl " + buildinfo.Version(), Manual: "Device Defender"}
	if err := doc.GenManTree(root, header, pages); err != nil {
		return err
	}
	for shell, generate := range map[string]func(io.Writer) error{
		"bash": func(w io.Writer) error { return root.GenBashCompletionV2(w, true) },
		"zsh":  root.GenZshCompletion,
		"fish": func(w io.Writer) error { return root.GenFishCompletion(w, true) },
	} {
		var b bytes.Buffer
		if err := generate(&b); err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(completions, "defenderctl."+shell), b.Bytes(), 0o644); err != nil {
			return err
		}
	}
	return compress(pages)
}

// compress packs each page, as Debian wants them.
func compress(pages string) error {
	names, err := filepath.Glob(filepath.Join(pages, "*.1"))
	if err != nil {
		return err
	}
	for _, name := range names {
		text, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		var b bytes.Buffer
		w, err := gzip.NewWriterLevel(&b, gzip.BestCompression)
		if err == nil {
			_, err = w.Write(text)
		}
		if err == nil {
			err = w.Close()
		}
		if err == nil {
			err = os.WriteFile(name+".gz", b.Bytes(), 0o644)
		}
		if err := errors.Join(err, os.Remove(name)); err != nil {
			return err
		}
	}
	return nil
}
