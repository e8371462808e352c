package main

import (
	"archive/zip"
	"bytes"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const recipe = `# A recipe.
RecipeFormatVersion: "2020-01-25"
ComponentName: com.example.A
ComponentVersion: "1.2.3"
ComponentConfiguration:
  DefaultConfiguration:
    Interval: 300
Manifests:
  - Platform: {os: linux, architecture: amd64, runtime: "*"}
    Artifacts:
      - Uri: s3://BUCKET_NAME/com.example.A/1.2.3/a-amd64.zip
        Unarchive: ZIP
        Permission: {Read: OWNER, Execute: OWNER}
      - Uri: s3://BUCKET_NAME/com.example.A/1.2.3/image.tar.gz
    Lifecycle:
      install:
        Script: test -s {artifacts:path}/image.tar.gz
      run:
        Script: exec {artifacts:decompressedPath}/a-amd64/program
`

const recipeForLite = `# A recipe.
RecipeFormatVersion: "2020-01-25"
ComponentName: com.example.A
ComponentVersion: "1.2.3"
ComponentConfiguration:
  DefaultConfiguration:
    Interval: 300
Manifests:
  - Platform: {os: linux, architecture: amd64, runtime: "*"}
    Artifacts: []
    Lifecycle:
      install:
        Script: test -s {artifacts:path}/image.tar.gz
      run:
        Script: exec {artifacts:path}/a-amd64/program
`

// archive is a zip with a program and a document.
func archive(t *testing.T) string {
	t.Helper()
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	for _, f := range []struct {
		name, content string
		mode          fs.FileMode
	}{
		{"LICENSE", "a licence\n", 0o644}, {"program", "#!/bin/sh\necho it runs\n", 0o755}, {"profiles/a.json", "{}", 0o644},
	} {
		header := &zip.FileHeader{Name: f.name}
		header.SetMode(f.mode)
		entry, err := w.CreateHeader(header)
		if err == nil {
			_, err = entry.Write([]byte(f.content))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func writeFiles(t *testing.T, root string, files map[string]string) {
	t.Helper()
	for name, content := range files {
		name = filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// tree lists the files below a folder, and which of them anybody may read and
// run.
func tree(t *testing.T, root string) map[string]fs.FileMode {
	t.Helper()
	modes := make(map[string]fs.FileMode)
	err := fs.WalkDir(os.DirFS(root), ".", func(name string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		info, err := e.Info()
		if err == nil {
			modes[name] = info.Mode()
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return modes
}

func TestStage(t *testing.T) {
	project, out := t.TempDir(), filepath.Join(t.TempDir(), "a core's folder")
	zipped := archive(t)
	writeFiles(t, project, map[string]string{
		"greengrass-build/recipes/recipe.yaml":                       recipe,
		"greengrass-build/artifacts/com.example.A/1.2.3/a-amd64.zip": zipped, "greengrass-build/artifacts/com.example.A/1.2.3/image.tar.gz": "image",
	})
	writeFiles(t, out, map[string]string{
		"java/artifacts/com.example.B/1.0.0/b.zip": "of another component", "lite/recipes/com.example.B-1.0.0.yaml": "of another component",
		"java/artifacts/com.example.A/1.2.3/a-arm.zip": "of an earlier build", "lite/artifacts/com.example.A/1.2.3/a-arm/program": "of an earlier build",
	})
	var stdout bytes.Buffer
	for range 2 { // a second time, too
		stdout.Reset()
		if err := stage(project, out, &stdout); err != nil {
			t.Fatal(err)
		}
	}
	if diff := cmp.Diff([]string{
		"java/artifacts/com.example.A/1.2.3/a-amd64.zip",
		"java/artifacts/com.example.A/1.2.3/image.tar.gz",
		"java/artifacts/com.example.B/1.0.0/b.zip",
		"java/recipes/com.example.A-1.2.3.yaml",
		"lite/artifacts/com.example.A/1.2.3/a-amd64/LICENSE",
		"lite/artifacts/com.example.A/1.2.3/a-amd64/profiles/a.json",
		"lite/artifacts/com.example.A/1.2.3/a-amd64/program",
		"lite/artifacts/com.example.A/1.2.3/image.tar.gz",
		"lite/recipes/com.example.A-1.2.3.yaml",
		"lite/recipes/com.example.B-1.0.0.yaml",
	}, slices.Sorted(maps.Keys(tree(t, out)))); diff != "" {
		t.Errorf("files (-want +got):\n%s", diff)
	}
	for name, want := range map[string]string{
		"java/recipes/com.example.A-1.2.3.yaml": recipe, "java/artifacts/com.example.A/1.2.3/a-amd64.zip": zipped,
		"lite/recipes/com.example.A-1.2.3.yaml": recipeForLite, "lite/artifacts/com.example.A/1.2.3/a-amd64/LICENSE": "a licence\n",
	} {
		if got, err := os.ReadFile(filepath.Join(out, name)); err != nil || string(got) != want {
			t.Errorf("%s: %q, %v; want %q", name, got, err, want)
		}
	}
	want := "Java nucleus, as root:\n" +
		"  /greengrass/v2/bin/greengrass-cli deployment create --recipeDir OUT/java/recipes' --artifactDir OUT/java/artifacts' --merge com.example.A=1.2.3\n" +
		"Nucleus lite, as root:\n" +
		"  ggl-cli deploy --recipe-dir OUT/lite/recipes' --artifacts-dir OUT/lite/artifacts' --add-component com.example.A=1.2.3\n" +
		"A core device keeps the files of a version that it has. For another build of it, remove the component first:\n" +
		"  /greengrass/v2/bin/greengrass-cli deployment create --remove com.example.A\n" +
		"  ggl-cli deploy --remove-component com.example.A\n"
	if diff := cmp.Diff(strings.ReplaceAll(want, "OUT", "'"+strings.ReplaceAll(out, "'", `'\''`)), stdout.String()); diff != "" {
		t.Errorf("printed (-want +got):\n%s", diff)
	}
}

// TestOnNucleusLite does with the folders what nucleus lite does: ggdeploymentd's
// merge_dir_to copies them, and recipe-runner puts the path of the artifacts,
// which ends with a slash, into the script. It sets no modes; the component is
// neither the files' owner nor in their group.
func TestOnNucleusLite(t *testing.T) {
	project, out, root := t.TempDir(), t.TempDir(), t.TempDir()
	writeFiles(t, project, map[string]string{
		"greengrass-build/recipes/recipe.yaml":                       recipe,
		"greengrass-build/artifacts/com.example.A/1.2.3/a-amd64.zip": archive(t), "greengrass-build/artifacts/com.example.A/1.2.3/image.tar.gz": "image",
	})
	var stdout bytes.Buffer
	if err := stage(project, out, &stdout); err != nil {
		t.Fatal(err)
	}
	copying := exec.Command("sh", "-c", "umask 0002; cp -RP \"$1/.\" \"$2\"", "sh", filepath.Join(out, "lite/artifacts"), root)
	if output, err := copying.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, output)
	}
	for name, mode := range tree(t, root) {
		want := fs.FileMode(0o644)
		if strings.HasSuffix(name, "/program") {
			want = 0o755
		}
		if mode.Perm() != want {
			t.Errorf("%s has mode %v, want %v", name, mode, want)
		}
	}
	_, script, _ := strings.Cut(recipeForLite, "run:\n        Script: ")
	script = strings.ReplaceAll(script, "{artifacts:path}", filepath.Join(root, "com.example.A/1.2.3")+"/")
	if output, err := exec.Command("sh", "-c", script).CombinedOutput(); err != nil || string(output) != "it runs\n" {
		t.Errorf("run: %v\n%s", err, output)
	}
}

func TestRecipesThatCannotBeStaged(t *testing.T) {
	for _, test := range []struct{ recipe, want string }{
		{"", "empty"},
		{"a: [", "did not find expected node content"},
		{"ComponentName: a", "no Manifests"},
		{"Manifests:\n  - Lifecycle: {}", "line 2: no Artifacts"},
	} {
		if _, _, err := liteRecipe([]byte(test.recipe)); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%q: %v, want %s", test.recipe, err, test.want)
		}
	}
}

func TestZipsThatCannotBeUnpacked(t *testing.T) {
	folder := t.TempDir()
	if err := unzip(folder, []byte("no zip")); err == nil {
		t.Error("text unpacked")
	}
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	if _, err := w.Create("../outside"); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if err := unzip(filepath.Join(folder, "in"), b.Bytes()); err == nil {
		t.Error("a file outside of the folder was unpacked")
	}
	if len(tree(t, folder)) != 0 {
		t.Errorf("written: %v", tree(t, folder))
	}
}

// TestOwnRecipes: both of the repository's recipes become ones for nucleus
// lite that differ in nothing but where the artifacts are.
func TestOwnRecipes(t *testing.T) {
	for path, zips := range map[string]int{"../../recipes/recipe.yaml": 3, "../../recipes/container/recipe.yaml": 0} {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		lite, found, err := liteRecipe(text)
		if err != nil || len(found) != zips {
			t.Fatalf("%s: %d zips, %v", path, len(found), err)
		}
		want := slices.DeleteFunc(strings.Split(string(text), "\n"), func(line string) bool {
			line = strings.TrimSpace(line)
			return strings.HasPrefix(line, "- Uri:") || strings.HasPrefix(line, "Unarchive:") || strings.HasPrefix(line, "Permission:")
		})
		for i := range want {
			want[i] = strings.ReplaceAll(want[i], "{artifacts:decompressedPath}", "{artifacts:path}")
			if strings.TrimSpace(want[i]) == "Artifacts:" {
				want[i] += " []"
			}
		}
		if diff := cmp.Diff(words(strings.Join(want, "\n")), words(string(lite))); diff != "" {
			t.Errorf("%s (-want +got):\n%s", path, diff)
		}
	}
}

// words is a text without its line breaks: the encoder folds long lines its own way.
func words(text string) string { return strings.Join(strings.Fields(text), " ") }
