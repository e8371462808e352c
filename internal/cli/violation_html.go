package cli

import (
	"bytes"
	"crypto/rand"
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

// save writes the content to the file that was named, or to a temporary one.
func (p *pageFlags) save(content []byte) (string, error) {
	if p.html != "" {
		return p.html, replaceFile(p.html, content)
	}
	f, err := os.CreateTemp("", "defenderctl-*.html")
	if err != nil {
		return "", err
	}
	_, err = f.Write(content)
	if err = errors.Join(err, f.Close()); err != nil {
		os.Remove(f.Name())
		return "", err
	}
	return f.Name(), nil
}

// replaceFile writes the content beside its final place first, so that a file
// that is there already is replaced as a whole. A link stays one, and what is
// no file, as /dev/stdout, is written to.
func replaceFile(name string, content []byte) error {
	failed := func(err error) error {
		if path, ok := errors.AsType[*os.PathError](err); ok {
			err = path.Err // the path is one that nobody has named
		}
		return fmt.Errorf("writing %s: %w", name, err)
	}
	if err := checkLinks(name); err != nil {
		return failed(err)
	}
	place := name
	if target, err := filepath.EvalSymlinks(name); err == nil {
		place = target
	}
	if info, err := os.Stat(name); err == nil && !info.Mode().IsRegular() {
		if err := os.WriteFile(name, content, 0o666); err != nil {
			return failed(err)
		}
		return nil
	}
	beside := filepath.Join(filepath.Dir(place), ".defenderctl-"+rand.Text())
	f, err := os.OpenFile(beside, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o666)
	if err != nil {
		return failed(err)
	}
	_, err = f.Write(content)
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(beside, place)
	}
	if err != nil {
		os.Remove(beside)
		return failed(err)
	}
	return nil
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
