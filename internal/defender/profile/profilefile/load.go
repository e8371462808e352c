package profilefile

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/device-defender/device-defender/internal/defender/profile"
)

// Load reads files, folders and, for "-", the standard input as one set. Of a
// folder and the folders in it, files that end in .json, .yaml or .yml are
// read in the order of their names, those whose names begin with a dot are
// not. The error says what could not be read at all; problems are as Parse's.
func Load(paths []string, stdin io.Reader) (*Set, []profile.Problem, error) {
	set := &Set{}
	var problems []profile.Problem
	add := func(file string, from io.Reader) error {
		// One byte more than allowed, for Parse to notice.
		data, err := io.ReadAll(io.LimitReader(from, maxSize+1))
		if err != nil {
			return fmt.Errorf("reading %s: %w", file, err)
		}
		one, faults := Parse(file, data)
		set.add(one)
		problems = append(problems, faults...)
		return nil
	}
	var read []string
	for _, path := range paths {
		if path == "-" {
			if err := add(path, stdin); err != nil {
				return nil, nil, err
			}
			continue
		}
		files, err := documentFiles(path)
		if err != nil {
			return nil, nil, err
		}
		for _, file := range files {
			// A file that is named by itself and in its folder is read once.
			clean := filepath.Clean(file)
			if slices.Contains(read, clean) {
				continue
			}
			read = append(read, clean)
			f, err := os.Open(file)
			if err != nil {
				return nil, nil, fmt.Errorf("reading profiles: %w", err)
			}
			err = add(file, f)
			f.Close()
			if err != nil {
				return nil, nil, err
			}
		}
	}
	return set, problems, nil
}

// documentFiles returns the path itself when it's a file, and the files of
// documents in it when it's a folder.
func documentFiles(path string) ([]string, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("reading profiles: %w", err)
	}
	if !info.IsDir() {
		return []string{path}, nil
	}
	var files []string
	err = filepath.WalkDir(path, func(name string, entry os.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case name != path && strings.HasPrefix(entry.Name(), "."):
			if entry.IsDir() {
				return filepath.SkipDir
			}
		case !entry.IsDir() && slices.Contains([]string{".json", ".yaml", ".yml"}, strings.ToLower(filepath.Ext(name))):
			files = append(files, name)
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("reading profiles: %w", err)
	}
	if len(files) == 0 {
		return nil, fmt.Errorf("reading profiles: folder %s holds no .json, .yaml or .yml file", path)
	}
	return files, nil
}
