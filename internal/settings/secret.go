package settings

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
)

const maxSecret = 64 << 10 // bytes of a file

// Reader reads secrets: a text in the file itself, {env: NAME} or {file: PATH}.
type Reader struct {
	Lookup func(name string) (string, bool) // of the environment
	Folder string                           // that paths are relative to
	// Used lists what secrets came from, for warnings: the environment variables, and
	// the files that have one in them.
	Variables, Files []string
}

// Secret reads one.
func (r *Reader) Secret(n Node) (secret string, err error) {
	if !n.IsMapping() {
		r.Files = append(r.Files, n.file)
		return n.Text()
	}
	from := 0
	err = n.Fields(map[string]func(Node) error{
		"env": func(n Node) error {
			from++
			name, err := n.Text()
			if err != nil {
				return err
			}
			r.Variables = append(r.Variables, name)
			value, there := r.Lookup(name)
			if !there || value == "" {
				return n.Errorf("the environment variable %s is not set", name)
			}
			secret = value
			return nil
		},
		"file": func(n Node) error {
			from++
			path, err := n.Text()
			if err != nil {
				return err
			}
			if !filepath.IsAbs(path) {
				path = filepath.Join(r.Folder, path)
			}
			r.Files = append(r.Files, path)
			if secret, err = readSecret(path); err != nil {
				return n.Errorf("%v", err)
			}
			return nil
		},
	})
	if err == nil && from != 1 {
		err = n.Errorf("want a text, {env: NAME} or {file: PATH}")
	}
	return secret, err
}

// readSecret reads a file that has a secret in it. The end of its line is not part of it.
func readSecret(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxSecret+1))
	if err != nil {
		return "", err
	}
	if len(data) > maxSecret {
		return "", fmt.Errorf("%s has more than %d KB", path, maxSecret>>10)
	}
	secret := strings.TrimRight(string(data), "\r\n")
	if secret == "" {
		return "", errors.New(path + " is empty")
	}
	return secret, nil
}

// ReadableByOthers reports whether every user of the machine may read the file.
func ReadableByOthers(path string) bool {
	info, err := os.Stat(path)
	return err == nil && runtime.GOOS != "windows" && info.Mode().IsRegular() && info.Mode().Perm()&0o004 != 0
}
