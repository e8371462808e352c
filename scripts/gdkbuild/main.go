package main

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/device-defender/device-defender/scripts/gdkbuild/recipecheck"
)

func main() {
	if len(os.Args) > 1 {
		fmt.Fprintln(os.Stderr, "gdkbuild: takes no arguments, it builds the project in the current folder")
		os.Exit(2)
	}
	if err := run("."); err != nil {
		fmt.Fprintln(os.Stderr, "gdkbuild:", err)
		os.Exit(1)
	}
}

// run builds the project in a folder.
func run(folder string) error {
	p, err := loadProject(folder)
	if err != nil {
		return err
	}
	template, err := os.ReadFile(filepath.Join(folder, "recipe.yaml"))
	if err != nil {
		return err
	}
	recipe := p.fill(template)
	uses, err := recipecheck.Check(recipe)
	if uses.Name != "" && (uses.Name != p.Name || uses.Version != p.Version) {
		// The URIs were filled in from gdk-config.json and are right once the two
		// files agree: look for other faults with the recipe's own name and version.
		own := &project{Name: uses.Name, Version: uses.Version}
		_, err = recipecheck.Check(own.fill(template))
		err = errors.Join(fmt.Errorf("of %s %s, gdk-config.json is of %s %s", uses.Name, uses.Version, p.Name, p.Version), err)
	}
	if err != nil {
		return fmt.Errorf("recipe.yaml: %w", err)
	}

	out := filepath.Join(folder, "greengrass-build")
	if err := os.RemoveAll(out); err != nil {
		return err
	}
	recipes, artifacts := filepath.Join(out, "recipes"), filepath.Join(out, "artifacts", p.Name, p.Version)
	for _, dir := range []string{recipes, artifacts} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return err
		}
	}
	b, err := newBuilder(p)
	if err != nil {
		return err
	}
	defer b.close()
	var sums strings.Builder
	for _, name := range uses.Artifacts {
		content, err := b.artifact(name)
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		if err := os.WriteFile(filepath.Join(artifacts, name), content, 0o644); err != nil {
			return err
		}
		fmt.Fprintf(&sums, "%x  artifacts/%s/%s/%s\n", sha256.Sum256(content), p.Name, p.Version, name)
		fmt.Printf("%s  %d bytes\n", name, len(content))
	}
	return errors.Join(
		os.WriteFile(filepath.Join(out, "SHA256SUMS"), []byte(sums.String()), 0o644),
		os.WriteFile(filepath.Join(recipes, "recipe.yaml"), recipe, 0o644),
		recipecheck.CheckArtifacts(uses, artifacts),
	)
}
