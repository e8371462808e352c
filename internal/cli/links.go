//go:build unix

package cli

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// maxLinks is how many links may lead to a place.
const maxLinks = 40

// checkLinks refuses a path that leads through a link of another user, such as
// one that waits in /tmp for what this user is going to write. Links of root
// are the system's.
func checkLinks(path string) error {
	abs, err := filepath.Abs(path)
	if err != nil {
		return err
	}
	return checkLinksFrom(path, abs, new(int))
}

func checkLinksFrom(named, abs string, links *int) error {
	at := string(filepath.Separator)
	rest := strings.Split(strings.TrimPrefix(filepath.Clean(abs), at), at)
	for i, part := range rest {
		at = filepath.Join(at, part)
		info, err := os.Lstat(at)
		if errors.Is(err, fs.ErrNotExist) {
			return nil // it is going to be made
		}
		if err != nil {
			return err
		}
		if info.Mode()&fs.ModeSymlink == 0 {
			continue
		}
		if owner, ok := info.Sys().(*syscall.Stat_t); ok && owner.Uid != 0 && int(owner.Uid) != os.Geteuid() {
			return fmt.Errorf("%s: %s is a link of another user (%d), and is not followed", named, at, owner.Uid)
		}
		if *links++; *links > maxLinks {
			return fmt.Errorf("%s: more than %d links", named, maxLinks)
		}
		target, err := os.Readlink(at)
		if err != nil {
			return err
		}
		if !filepath.IsAbs(target) {
			target = filepath.Join(filepath.Dir(at), target)
		}
		return checkLinksFrom(named, filepath.Join(append([]string{target}, rest[i+1:]...)...), links)
	}
	return nil
}
