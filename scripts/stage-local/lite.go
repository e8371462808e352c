package main

import (
	"archive/zip"
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// zips are the names of the artifacts that a nucleus unpacks.
type zips []string

// liteRecipe changes a recipe so that it finds its zips unpacked in the folder
// of the artifacts. It names no artifact any more: nucleus lite would download
// those of a component that it knows from the cloud.
func liteRecipe(text []byte) ([]byte, zips, error) {
	var document yaml.Node
	if err := yaml.Unmarshal(text, &document); err != nil {
		return nil, nil, err
	}
	if len(document.Content) == 0 {
		return nil, nil, errors.New("empty")
	}
	manifests := member(document.Content[0], "Manifests")
	if manifests == nil {
		return nil, nil, errors.New("no Manifests")
	}
	var found zips
	for _, manifest := range manifests.Content {
		artifacts := member(manifest, "Artifacts")
		if artifacts == nil {
			return nil, nil, fmt.Errorf("line %d: no Artifacts", manifest.Line)
		}
		for _, a := range artifacts.Content {
			if unarchive, uri := member(a, "Unarchive"), member(a, "Uri"); unarchive != nil && unarchive.Value == "ZIP" && uri != nil {
				found = append(found, path.Base(uri.Value))
			}
		}
		artifacts.Content, artifacts.Style = nil, yaml.FlowStyle
	}
	var out bytes.Buffer
	encoder := yaml.NewEncoder(&out)
	encoder.SetIndent(2)
	if err := errors.Join(encoder.Encode(&document), encoder.Close()); err != nil {
		return nil, nil, err
	}
	return bytes.ReplaceAll(out.Bytes(), []byte("{artifacts:decompressedPath}"), []byte("{artifacts:path}")), found, nil
}

func member(n *yaml.Node, key string) *yaml.Node {
	for i := 0; i+1 < len(n.Content); i += 2 {
		if n.Kind == yaml.MappingNode && n.Content[i].Value == key {
			return n.Content[i+1]
		}
	}
	return nil
}

// unpack copies artifacts, and zips as the folders that a nucleus makes of them.
func (z zips) unpack(folder string, artifacts fs.FS) error {
	return fs.WalkDir(artifacts, ".", func(name string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		content, err := fs.ReadFile(artifacts, name)
		if err != nil {
			return err
		}
		to := filepath.Join(folder, filepath.FromSlash(name))
		if !slices.Contains(z, name) {
			return write(to, content, 0o644)
		}
		if err := unzip(strings.TrimSuffix(to, ".zip"), content); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		return nil
	})
}

func unzip(folder string, content []byte) error {
	archive, err := zip.NewReader(bytes.NewReader(content), int64(len(content)))
	if err != nil {
		return err
	}
	for _, f := range archive.File {
		if !filepath.IsLocal(f.Name) {
			return fmt.Errorf("%s is not in the folder", f.Name)
		}
		r, err := f.Open()
		if err != nil {
			return err
		}
		text, err := io.ReadAll(r)
		if err := errors.Join(err, r.Close()); err != nil {
			return err
		}
		// Nucleus lite keeps the mode of a file that it copies and leaves it to root,
		// whatever the recipe's Permission says: the component is one of the others.
		if err := write(filepath.Join(folder, f.Name), text, f.Mode().Perm()); err != nil {
			return err
		}
	}
	return nil
}

// write writes a file with that mode, whatever the user's umask is.
func write(name string, content []byte, mode fs.FileMode) error {
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		return err
	}
	return errors.Join(os.WriteFile(name, content, mode), os.Chmod(name, mode))
}
