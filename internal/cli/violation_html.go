package cli

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"

	"github.com/spf13/cobra"
)

// pageFlags are the flags of commands that can write what they show as a page.
type pageFlags struct {
	html string
	open bool
}

func (p *pageFlags) add(cmd *cobra.Command) {
	cmd.Flags().StringVar(&p.html, "html", "", "write a page to this file instead, complete in itself; \"-\" is standard output")
	cmd.Flags().BoolVar(&p.open, "open", false, "open the page in a browser; without --html it's a temporary file")
}

// asked reports whether a page is wanted.
func (p *pageFlags) asked() bool { return p.html != "" || p.open }

// write writes the page and opens it if that was asked for.
func (p *pageFlags) write(cmd *cobra.Command, page func(io.Writer) error) error {
	if p.html == "-" {
		if p.open {
			return usageError{errors.New("--open needs a file, not --html -")}
		}
		return page(cmd.OutOrStdout())
	}
	var content bytes.Buffer
	if err := page(&content); err != nil {
		return err
	}
	name, err := p.save(content.Bytes())
	if err != nil {
		return err
	}
	fmt.Fprintf(cmd.ErrOrStderr(), "written: %s\n", name)
	if !p.open {
		return nil
	}
	return openPage(name)
}

// save writes the content beside its final place first, so that a page that
// is there already is replaced as a whole.
func (p *pageFlags) save(content []byte) (string, error) {
	folder, pattern := filepath.Dir(p.html), ".defenderctl-*.html"
	if p.html == "" {
		folder, pattern = "", "defenderctl-*.html"
	}
	f, err := os.CreateTemp(folder, pattern)
	if err != nil {
		return "", err
	}
	_, err = f.Write(content)
	if err = errors.Join(err, f.Close()); err == nil && p.html != "" {
		// Temporary files are for their owner alone; a page is as any file.
		if err = os.Chmod(f.Name(), 0o644); err == nil {
			err = os.Rename(f.Name(), p.html)
		}
	}
	if err != nil {
		os.Remove(f.Name())
		return "", err
	}
	if p.html == "" {
		return f.Name(), nil
	}
	return p.html, nil
}

// openPage opens a file in the user's browser.
func openPage(name string) error {
	name, err := filepath.Abs(name)
	if err != nil {
		return err
	}
	opener := "xdg-open"
	if runtime.GOOS == "darwin" {
		opener = "open"
	}
	if out, err := exec.Command(opener, name).CombinedOutput(); err != nil {
		return fmt.Errorf("%s %s: %w %s", opener, name, err, bytes.TrimSpace(out))
	}
	return nil
}
