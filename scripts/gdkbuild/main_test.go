package main

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"debug/buildinfo"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// copyProject returns a copy of one of the repository's projects.
func copyProject(t *testing.T, folder string) string {
	t.Helper()
	out := t.TempDir()
	for _, name := range []string{"gdk-config.json", "recipe.yaml"} {
		content, err := os.ReadFile(filepath.Join(folder, name))
		if err == nil {
			err = os.WriteFile(filepath.Join(out, name), content, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return out
}

// files reads a tree.
func files(t *testing.T, root string) map[string][]byte {
	t.Helper()
	found := make(map[string][]byte)
	err := fs.WalkDir(os.DirFS(root), ".", func(name string, e fs.DirEntry, err error) error {
		if err == nil && !e.IsDir() {
			found[name], err = os.ReadFile(filepath.Join(root, name))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func build(t *testing.T, project string) map[string][]byte {
	t.Helper()
	if err := run(project); err != nil {
		t.Fatal(err)
	}
	return files(t, filepath.Join(project, "greengrass-build"))
}

func names(found map[string][]byte) []string { return slices.Sorted(maps.Keys(found)) }

func TestBuild(t *testing.T) {
	project := copyProject(t, "../..")
	built := build(t, project)
	const folder = "artifacts/community.greengrass.DeviceDefender/0.1.0/"
	want := []string{
		"SHA256SUMS", folder + "device-defender-linux-amd64.zip", folder + "device-defender-linux-arm.zip",
		folder + "device-defender-linux-arm64.zip", "recipes/recipe.yaml",
	}
	if diff := cmp.Diff(want, names(built)); diff != "" {
		t.Fatalf("built (-want +got):\n%s", diff)
	}
	for line := range strings.Lines(string(built["SHA256SUMS"])) {
		sum, name, _ := strings.Cut(strings.TrimSpace(line), "  ")
		if got := fmt.Sprintf("%x", sha256.Sum256(built[name])); got != sum {
			t.Errorf("SHA256SUMS of %s: %s, is %s", name, sum, got)
		}
	}
	for _, arch := range []string{"amd64", "arm64", "arm"} {
		checkZip(t, arch, built[folder+"device-defender-linux-"+arch+".zip"])
	}
	// A second build gives the same bytes.
	for name, content := range build(t, project) {
		if !bytes.Equal(content, built[name]) {
			t.Errorf("%s differs in a second build", name)
		}
	}
}

func checkZip(t *testing.T, arch string, content []byte) {
	t.Helper()
	z, err := zip.NewReader(bytes.NewReader(content), int64(len(content)))
	if err != nil {
		t.Fatal(err)
	}
	entries := make(map[string][]byte)
	for _, f := range z.File {
		r, err := f.Open()
		if err == nil {
			entries[f.Name], err = io.ReadAll(r)
		}
		if err != nil {
			t.Fatal(err)
		}
		if executable := f.Mode()&0o111 != 0; executable != (f.Name == "device-defender") {
			t.Errorf("%s: mode of %s is %v", arch, f.Name, f.Mode())
		}
		if !f.Modified.Equal(epoch) {
			t.Errorf("%s: time of %s is %v", arch, f.Name, f.Modified)
		}
	}
	profiles, err := filepath.Glob("../../artifacts/profiles/*.json")
	if err != nil || len(profiles) == 0 {
		t.Fatal("no profiles", err)
	}
	want := []string{"LICENSE", "THIRD_PARTY_NOTICES", "device-defender", "sbom.cdx.json"}
	for _, p := range profiles {
		want = append(want, "profiles/"+filepath.Base(p))
	}
	slices.Sort(want)
	if diff := cmp.Diff(want, names(entries)); diff != "" {
		t.Errorf("%s: zip holds (-want +got):\n%s", arch, diff)
	}

	checkContents(t, arch, entries)
}

// checkContents compares a binary with what its documents say of it.
func checkContents(t *testing.T, arch string, entries map[string][]byte) {
	t.Helper()
	licence, err := os.ReadFile("../../LICENSE")
	if err != nil || !bytes.Equal(entries["LICENSE"], licence) {
		t.Errorf("%s: LICENSE is not that of the repository: %v", arch, err)
	}
	binary := filepath.Join(t.TempDir(), "device-defender")
	if err := os.WriteFile(binary, entries["device-defender"], 0o700); err != nil {
		t.Fatal(err)
	}
	info, err := buildinfo.ReadFile(binary)
	if err != nil {
		t.Fatal(err)
	}
	settings := make(map[string]string)
	for _, s := range info.Settings {
		settings[s.Key] = s.Value
	}
	if settings["GOARCH"] != arch || settings["CGO_ENABLED"] != "0" || settings["-trimpath"] != "true" || arch == "arm" && settings["GOARM"] != "6" {
		t.Errorf("%s: built with %v", arch, settings)
	}
	var modules, listed []string
	for _, m := range info.Deps {
		modules = append(modules, m.Path+" "+m.Version)
		if !bytes.Contains(entries["THIRD_PARTY_NOTICES"], []byte("\n"+m.Path+" "+m.Version+"\n")) {
			t.Errorf("%s: no licence of %s", arch, m.Path)
		}
	}
	var bill struct {
		BOMFormat, SpecVersion string
		Components             []struct{ Name, Version, PURL string }
	}
	if err := json.Unmarshal(entries["sbom.cdx.json"], &bill); err != nil {
		t.Fatal(err)
	}
	for _, c := range bill.Components {
		if c.Name != "std" {
			listed = append(listed, c.Name+" "+c.Version)
		}
	}
	if diff := cmp.Diff(modules, listed); diff != "" || bill.BOMFormat != "CycloneDX" {
		t.Errorf("%s: bill of materials (-binary +bill):\n%s", arch, diff)
	}
	if arch == runtime.GOARCH {
		out, err := exec.Command(binary, "version").Output()
		head, gitErr := exec.Command("git", "rev-parse", "HEAD").Output()
		if gitErr != nil {
			head = []byte("unknown") // a source archive
		}
		if want := "commit " + strings.TrimSpace(string(head)); err != nil ||
			!strings.HasPrefix(string(out), "device-defender 0.1.0 (go") || !strings.Contains(string(out), want) {
			t.Errorf("version: %q, %v; want 0.1.0 and %s", out, err, want)
		}
	}
}

// layer returns the files of an image's only layer.
func layer(t *testing.T, image []byte) map[string][]byte {
	t.Helper()
	z, err := gzip.NewReader(bytes.NewReader(image))
	if err != nil {
		t.Fatal(err)
	}
	archive := untar(t, z)
	var manifest []struct{ Layers []string }
	if err := json.Unmarshal(archive["manifest.json"], &manifest); err != nil || len(manifest) != 1 || len(manifest[0].Layers) != 1 {
		t.Fatalf("manifest.json: %v %+v", err, manifest)
	}
	return untar(t, bytes.NewReader(archive[manifest[0].Layers[0]]))
}

func untar(t *testing.T, r io.Reader) map[string][]byte {
	t.Helper()
	files := make(map[string][]byte)
	for archive := tar.NewReader(r); ; {
		h, err := archive.Next()
		if errors.Is(err, io.EOF) {
			return files
		}
		if err == nil {
			files[h.Name], err = io.ReadAll(archive)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

func TestBuildContainer(t *testing.T) {
	project := copyProject(t, "../../recipes/container")
	built := build(t, project)
	const folder = "artifacts/community.greengrass.DeviceDefender.Container/0.1.0/device-defender-image-linux-"
	for _, arch := range []string{"amd64", "arm64", "arm"} {
		checkContents(t, arch, layer(t, built[folder+arch+".tar.gz"]))
	}
	for name, content := range build(t, project) {
		if !bytes.Equal(content, built[name]) {
			t.Errorf("%s differs in a second build", name)
		}
	}
}

func TestProjectFaults(t *testing.T) {
	const sound = `{"component":{"community.greengrass.DeviceDefender":{"version":"0.1.0"}}}`
	tests := []struct{ config, want string }{
		{``, "gdk-config.json: unexpected end of JSON input"},
		{`{"component":{}}`, "0 components"},
		{`{"component":{"a":{},"b":{}}}`, "2 components"},
		{strings.Replace(sound, "0.1.0", "NEXT_PATCH", 1), `version "NEXT_PATCH", want an exact one`},
		{strings.Replace(sound, "0.1.0", "0.2.0", 1), "recipe.yaml: of community.greengrass.DeviceDefender 0.1.0, gdk-config.json is of community.greengrass.DeviceDefender 0.2.0"},
	}
	for _, test := range tests {
		project := copyProject(t, "../..")
		if err := os.WriteFile(filepath.Join(project, "gdk-config.json"), []byte(test.config), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := run(project); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v, want %q", test.config, err, test.want)
		}
	}
	if err := run(t.TempDir()); err == nil || !strings.Contains(err.Error(), "run in the folder of a GDK project") {
		t.Errorf("empty folder: %v", err)
	}
}

// TestVersionInOneFileOnly: the version is in two files. When one of them is
// behind, the message is about that, with any other fault of the recipe.
func TestVersionInOneFileOnly(t *testing.T) {
	for _, folder := range []string{"../..", "../../recipes/container"} {
		p, err := loadProject(folder)
		if err != nil {
			t.Fatal(err)
		}
		replace := func(project, name, old, replacement string) {
			t.Helper()
			path := filepath.Join(project, name)
			text, err := os.ReadFile(path)
			if err == nil && !bytes.Contains(text, []byte(old)) {
				err = fmt.Errorf("%s: no %s", path, old)
			}
			if err == nil {
				err = os.WriteFile(path, bytes.Replace(text, []byte(old), []byte(replacement), 1), 0o600)
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		project := copyProject(t, folder)
		replace(project, "gdk-config.json", p.Version, "9.9.9")
		want := "recipe.yaml: of " + p.Name + " " + p.Version + ", gdk-config.json is of " + p.Name + " 9.9.9"
		if err := run(project); err == nil || err.Error() != want {
			t.Errorf("version changed in gdk-config.json: %v, want %s", err, want)
		}
		replace(project, "recipe.yaml", "ComponentPublisher:", "componentPublisher:")
		err = run(project)
		if err == nil || !strings.HasPrefix(err.Error(), want+"\n") || strings.Count(err.Error(), "\n") != 1 ||
			!strings.Contains(err.Error(), "key componentPublisher, want ComponentPublisher") {
			t.Errorf("and another fault: %v", err)
		}
		project = copyProject(t, folder)
		replace(project, "recipe.yaml", p.Version, "9.9.9")
		want = "recipe.yaml: of " + p.Name + " 9.9.9, gdk-config.json is of " + p.Name + " " + p.Version
		if err := run(project); err == nil || err.Error() != want {
			t.Errorf("version changed in recipe.yaml: %v, want %s", err, want)
		}
	}
}

func TestUnknownArtifacts(t *testing.T) {
	b := &builder{project: &project{}}
	for _, name := range []string{"device-defender-linux-riscv64.zip", "other.zip", "device-defender-linux-amd64.tar.gz", "device-defender-image-linux-amd64.zip"} {
		if _, err := b.artifact(name); err == nil {
			t.Errorf("%s: built", name)
		}
	}
}
