// Command stage-local lays a build out as a core device's command line wants it
// for a local deployment, and prints the command for each nucleus.
//
//	go run ./scripts/stage-local [-o DIR] [PROJECT]
//
// PROJECT is the folder of a GDK project, "." if not given. One that is not
// built is built first.
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

// stage lays out the project's build in a folder.
func stage(project, out string, stdout io.Writer) error {
	built := filepath.Join(project, "greengrass-build")
	if _, err := os.Stat(filepath.Join(built, "recipes/recipe.yaml")); errors.Is(err, fs.ErrNotExist) { // the build's last file
		build := exec.Command("go", "run", "github.com/device-defender/device-defender/scripts/gdkbuild")
		build.Dir, build.Stdout, build.Stderr = project, os.Stderr, os.Stderr
		if err := build.Run(); err != nil {
			return fmt.Errorf("build %s: %w", project, err)
		}
	}
	versions, err := filepath.Glob(filepath.Join(built, "artifacts/*/*"))
	if err != nil {
		return err
	}
	if len(versions) != 1 {
		return fmt.Errorf("%s/artifacts: %d components, want one; build again", built, len(versions))
	}
	version, name := filepath.Base(versions[0]), filepath.Base(filepath.Dir(versions[0]))
	recipe, err := os.ReadFile(filepath.Join(built, "recipes/recipe.yaml"))
	if err != nil {
		return err
	}

	// Nothing but this version is replaced: the folder may hold other components.
	recipes, artifacts := filepath.Join(out, "recipes"), filepath.Join(out, "artifacts")
	files := filepath.Join(artifacts, name, version)
	if err := errors.Join(os.RemoveAll(files), os.MkdirAll(recipes, 0o755)); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(recipes, name+"-"+version+".yaml"), recipe, 0o644); err != nil {
		return err
	}
	if err := os.CopyFS(files, os.DirFS(versions[0])); err != nil {
		return err
	}
	fmt.Fprintf(stdout, `Java nucleus:
  greengrass-cli deployment create --recipeDir %[1]s --artifactDir %[2]s --merge %[3]s=%[4]s
Nucleus lite:
  ggl-cli deploy --recipe-dir %[1]s --artifacts-dir %[2]s --add-component %[3]s=%[4]s
`, recipes, artifacts, name, version)
	return nil
}
