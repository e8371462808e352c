// Command stage-local lays a build out for a local deployment, as each nucleus
// takes it, and prints the command for each.
//
//	go run ./scripts/stage-local [-o DIR] [PROJECT]
//
// PROJECT is the folder of a GDK project, "." if not given. One that is not
// built is built first.
//
// Below DIR each nucleus has a folder of its own:
//
//	java/recipes/NAME-VERSION.yaml        the recipe as it was built
//	java/artifacts/NAME/VERSION/FILE.zip  its artifacts
//	lite/recipes/NAME-VERSION.yaml        a recipe that finds them unpacked
//	lite/artifacts/NAME/VERSION/FILE/     what is in the zip
//
// Nucleus lite unpacks only what it has downloaded. For a local deployment it
// copies the folders to those of its own, and that is all.
package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

func main() {
	out := flag.String("o", "greengrass-build/local", "`folder` to lay out in")
	flag.Parse()
	project := "."
	if flag.NArg() > 1 {
		fmt.Fprintln(os.Stderr, "stage-local: one project at a time")
		os.Exit(2)
	}
	if flag.NArg() == 1 {
		project = flag.Arg(0)
	}
	if err := stage(project, *out, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "stage-local:", err)
		os.Exit(1)
	}
}

// build is a project's build.
type build struct {
	name, version string
	recipe        []byte
	artifacts     string // their folder
}

// stage lays out the project's build in a folder.
func stage(project, out string, stdout io.Writer) error {
	b, err := find(project)
	if err != nil {
		return err
	}
	// A core device's command line may run in another folder.
	if out, err = filepath.Abs(out); err != nil {
		return err
	}
	java, lite := filepath.Join(out, "java"), filepath.Join(out, "lite")
	if err := b.layOut(java, b.recipe, os.CopyFS); err != nil {
		return err
	}
	recipe, zips, err := liteRecipe(b.recipe)
	if err != nil {
		return fmt.Errorf("recipe for nucleus lite: %w", err)
	}
	if err := b.layOut(lite, recipe, zips.unpack); err != nil {
		return err
	}
	fmt.Fprintf(stdout, `Java nucleus, as root:
  /greengrass/v2/bin/greengrass-cli deployment create --recipeDir %[3]s --artifactDir %[4]s --merge %[1]s=%[2]s
Nucleus lite, as root:
  ggl-cli deploy --recipe-dir %[5]s --artifacts-dir %[6]s --add-component %[1]s=%[2]s
A core device keeps the files of a version that it has. For another build of it, remove the component first:
  /greengrass/v2/bin/greengrass-cli deployment create --remove %[1]s
  ggl-cli deploy --remove-component %[1]s
`, b.name, b.version, quote(java+"/recipes"), quote(java+"/artifacts"), quote(lite+"/recipes"), quote(lite+"/artifacts"))
	return nil
}

// quote makes one word of a path for a shell.
func quote(path string) string {
	if strings.Trim(path, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789/._-+@%:=,") == "" {
		return path
	}
	return "'" + strings.ReplaceAll(path, "'", `'\''`) + "'"
}

// find returns the project's build, after making one if there is none.
func find(project string) (*build, error) {
	built := filepath.Join(project, "greengrass-build")
	if _, err := os.Stat(filepath.Join(built, "recipes/recipe.yaml")); errors.Is(err, fs.ErrNotExist) { // the build's last file
		build := exec.Command("go", "run", "github.com/device-defender/device-defender/scripts/gdkbuild")
		build.Dir, build.Stdout, build.Stderr = project, os.Stderr, os.Stderr
		if err := build.Run(); err != nil {
			return nil, fmt.Errorf("build %s: %w", project, err)
		}
	}
	versions, err := filepath.Glob(filepath.Join(built, "artifacts/*/*"))
	if err != nil {
		return nil, err
	}
	if len(versions) != 1 {
		return nil, fmt.Errorf("%s/artifacts: %d components, want one; build again", built, len(versions))
	}
	b := &build{
		name: filepath.Base(filepath.Dir(versions[0])), version: filepath.Base(versions[0]), artifacts: versions[0],
	}
	b.recipe, err = os.ReadFile(filepath.Join(built, "recipes/recipe.yaml"))
	return b, err
}

// layOut writes a recipe and the artifacts into a nucleus' folder. Nothing but
// this version is replaced: the folder may hold other components.
func (b *build) layOut(folder string, recipe []byte, fill func(folder string, artifacts fs.FS) error) error {
	recipes, artifacts := filepath.Join(folder, "recipes"), filepath.Join(folder, "artifacts", b.name, b.version)
	if err := errors.Join(os.RemoveAll(artifacts), os.MkdirAll(artifacts, 0o755), os.MkdirAll(recipes, 0o755)); err != nil {
		return err
	}
	if err := fill(artifacts, os.DirFS(b.artifacts)); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(recipes, b.name+"-"+b.version+".yaml"), recipe, 0o644)
}
