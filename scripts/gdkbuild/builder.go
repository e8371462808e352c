package main

import (
	"archive/zip"
	"bytes"
	"compress/gzip"
	"debug/buildinfo"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/device-defender/device-defender/scripts/licences"
	"github.com/device-defender/device-defender/scripts/ociimage"
)

// epoch is the time of every file in an archive: zip knows none before 1980.
var epoch = time.Date(1980, 1, 1, 0, 0, 0, 0, time.UTC)

// target is an architecture as the artifacts' names and Go have it, at its
// lowest level whatever the builder's own environment says. One arm binary
// serves ARMv6 and later, on 32-bit userlands of 64-bit kernels too.
type target struct {
	environment []string
	variant     string // of a container image's platform
}

var targets = map[string]target{
	"amd64": {environment: []string{"GOARCH=amd64", "GOAMD64=v1"}},
	"arm64": {environment: []string{"GOARCH=arm64", "GOARM64=v8.0"}},
	"arm":   {environment: []string{"GOARCH=arm", "GOARM=6"}, variant: "v6"},
}

// builder builds artifacts.
type builder struct {
	project *project
	top     string // folder of the module
	commit  string
	work    string // temporary folder
}

func newBuilder(p *project) (*builder, error) {
	gomod, err := output("", "go", "env", "GOMOD")
	if err != nil {
		return nil, err
	}
	b := &builder{project: p, top: filepath.Dir(gomod)}
	b.commit = commit(b.top)
	b.work, err = os.MkdirTemp("", "gdkbuild-")
	return b, err
}

// commit is that of the folder's checkout, "unknown" if it is none.
func commit(folder string) string {
	head, err := exec.Command("git", "-C", folder, "rev-parse", "HEAD").Output()
	if err != nil {
		return "unknown"
	}
	commit := strings.TrimSpace(string(head))
	if changes, err := exec.Command("git", "-C", folder, "status", "--porcelain").Output(); err != nil || len(changes) > 0 {
		commit += "-dirty"
	}
	return commit
}

func (b *builder) close() { os.RemoveAll(b.work) }

// output runs a program and returns what it prints.
func output(dir, name string, args ...string) (string, error) {
	cmd := exec.Command(name, args...)
	cmd.Dir, cmd.Stderr = dir, os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("%s: %w", cmd, err)
	}
	return strings.TrimSpace(string(out)), nil
}

var artifactName = regexp.MustCompile(`^device-defender-(image-)?linux-(\w+)\.(zip|tar\.gz)$`)

// artifact builds the artifact of that name.
func (b *builder) artifact(name string) ([]byte, error) {
	m := artifactName.FindStringSubmatch(name)
	if m == nil || (m[1] == "") != (m[3] == "zip") {
		return nil, fmt.Errorf("no such artifact: want device-defender-linux-ARCH.zip or device-defender-image-linux-ARCH.tar.gz")
	}
	arch := m[2]
	t, ok := targets[arch]
	if !ok {
		return nil, fmt.Errorf("architecture %q, want one of %s", arch, strings.Join(slices.Sorted(maps.Keys(targets)), ", "))
	}
	file, err := b.compile(arch, t)
	if err != nil {
		return nil, err
	}
	binary, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	documents, err := b.documents(file)
	if err != nil {
		return nil, err
	}
	if m[1] != "" {
		return b.image(arch, t, binary, documents)
	}
	return b.zip(binary, documents)
}

// documents are what has to go with a binary, by the names of their files.
func (b *builder) documents(file string) (map[string][]byte, error) {
	info, err := buildinfo.ReadFile(file)
	if err != nil {
		return nil, err
	}
	licence, err := os.ReadFile(filepath.Join(b.top, "LICENSE"))
	if err != nil {
		return nil, err
	}
	notices, err := licences.Notices(b.top, "device-defender", info)
	if err != nil {
		return nil, err
	}
	sbom, err := licences.SBOM("device-defender", b.project.Version, info)
	if err != nil {
		return nil, err
	}
	return map[string][]byte{"LICENSE": licence, "THIRD_PARTY_NOTICES": notices, "sbom.cdx.json": sbom}, nil
}

// compile builds the binary of an architecture.
func (b *builder) compile(arch string, t target) (string, error) {
	file := filepath.Join(b.work, "device-defender-"+arch)
	info := licences.Module + "/internal/buildinfo"
	cmd := exec.Command("go", "build", "-trimpath", "-buildvcs=false", "-o", file,
		"-ldflags", fmt.Sprintf("-s -w -X %s.version=%s -X %s.commit=%s", info, b.project.Version, info, b.commit),
		"./component/device-defender")
	cmd.Dir, cmd.Stderr = b.top, os.Stderr
	cmd.Env = append(append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOFLAGS=", "GOEXPERIMENT="), t.environment...)
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("%s: %w", cmd, err)
	}
	return file, nil
}

// zip packs a binary with its documents and the profiles.
func (b *builder) zip(binary []byte, documents map[string][]byte) ([]byte, error) {
	files := maps.Clone(documents)
	files["device-defender"] = binary
	profiles, err := filepath.Glob(filepath.Join(b.top, "artifacts/profiles/*.json"))
	if err != nil {
		return nil, err
	}
	for _, p := range profiles {
		if files["profiles/"+filepath.Base(p)], err = os.ReadFile(p); err != nil {
			return nil, err
		}
	}
	var out bytes.Buffer
	w := zip.NewWriter(&out)
	for _, name := range slices.Sorted(maps.Keys(files)) {
		header := &zip.FileHeader{Name: name, Method: zip.Deflate, Modified: epoch}
		header.SetMode(0o644)
		if name == "device-defender" {
			header.SetMode(0o755)
		}
		entry, err := w.CreateHeader(header)
		if err == nil {
			_, err = entry.Write(files[name])
		}
		if err != nil {
			return nil, err
		}
	}
	err = w.Close()
	return out.Bytes(), err
}

// image makes a container image.
func (b *builder) image(arch string, t target, binary []byte, documents map[string][]byte) ([]byte, error) {
	var out bytes.Buffer
	w, err := gzip.NewWriterLevel(&out, gzip.BestCompression)
	if err != nil {
		return nil, err
	}
	err = ociimage.Write(w, ociimage.Image{
		Program: ociimage.DeviceDefender,
		Binary:  binary, Documents: documents, Architecture: arch, Variant: t.variant,
		Name: "device-defender", Tag: b.project.Version, Version: b.project.Version, Revision: b.commit,
	})
	if err != nil {
		return nil, err
	}
	err = w.Close()
	return out.Bytes(), err
}
