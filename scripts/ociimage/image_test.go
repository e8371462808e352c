package ociimage_test

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/device-defender/device-defender/scripts/ociimage"
)

var example = ociimage.Image{
	Program: ociimage.DeviceDefender,
	Binary:  []byte("\x7fELF, a binary"),
	Documents: map[string][]byte{
		"sbom.cdx.json": []byte("{}"), "LICENSE": []byte("a licence\n"), "THIRD_PARTY_NOTICES": []byte("notices\n"),
	},
	Architecture: "arm", Variant: "v6",
	Name: "device-defender", Tag: "1.2.3", Version: "1.2.3", Revision: "0123abc",
}

// file is an entry of a tar.
type file struct {
	Mode     int64
	UID, GID int
	Content  string
}

func write(t *testing.T, img ociimage.Image) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := ociimage.Write(&b, img); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// read reads a tar whole; names ends those of folders with a slash.
func read(t *testing.T, text string) (files map[string]file, names []string) {
	t.Helper()
	files = make(map[string]file)
	for r := tar.NewReader(strings.NewReader(text)); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return files, names
		}
		if err != nil {
			t.Fatal(err)
		}
		content, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		if !h.ModTime.Equal(time.Unix(0, 0)) {
			t.Errorf("%s is of %v", h.Name, h.ModTime)
		}
		files[h.Name] = file{h.Mode, h.Uid, h.Gid, string(content)}
		names = append(names, h.Name)
	}
}

func decode(t *testing.T, text string) (document any) {
	t.Helper()
	if err := json.Unmarshal([]byte(text), &document); err != nil {
		t.Fatalf("%v: %s", err, text)
	}
	return document
}

// at follows a path of keys and indices into a JSON document.
func at(t *testing.T, document any, path ...any) any {
	t.Helper()
	for _, p := range path {
		switch p := p.(type) {
		case string:
			document = document.(map[string]any)[p]
		case int:
			document = document.([]any)[p]
		}
	}
	return document
}

// blob returns the content that a descriptor points to, and checks its digest
// and size.
func blob(t *testing.T, files map[string]file, descriptor any) string {
	t.Helper()
	digest := at(t, descriptor, "digest").(string)
	f, ok := files["blobs/sha256/"+strings.TrimPrefix(digest, "sha256:")]
	if !ok {
		t.Fatalf("no blob %s", digest)
	}
	if sum := fmt.Sprintf("sha256:%x", sha256.Sum256([]byte(f.Content))); sum != digest {
		t.Errorf("blob %s has digest %s", digest, sum)
	}
	if size := at(t, descriptor, "size").(float64); int(size) != len(f.Content) {
		t.Errorf("blob %s has %d bytes, the descriptor says %v", digest, len(f.Content), size)
	}
	return f.Content
}

// As containerd, Podman and skopeo read it: from oci-layout by digests to the
// layer.
func TestOCILayout(t *testing.T) {
	files, _ := read(t, string(write(t, example)))
	if got := files["oci-layout"].Content; got != `{"imageLayoutVersion":"1.0.0"}` {
		t.Errorf("oci-layout %s", got)
	}
	index := decode(t, files["index.json"].Content)
	if n := len(at(t, index, "manifests").([]any)); n != 1 {
		t.Fatalf("%d manifests", n)
	}
	descriptor := at(t, index, "manifests", 0)
	for _, want := range []struct{ what, got, want any }{
		{"index", at(t, index, "mediaType"), "application/vnd.oci.image.index.v1+json"},
		{"manifest", at(t, descriptor, "mediaType"), "application/vnd.oci.image.manifest.v1+json"},
		{"platform", at(t, descriptor, "platform"), map[string]any{"architecture": "arm", "variant": "v6", "os": "linux"}},
		{"names", at(t, descriptor, "annotations"), map[string]any{
			"io.containerd.image.name":          "docker.io/library/device-defender:1.2.3",
			"org.opencontainers.image.ref.name": "1.2.3",
		}},
	} {
		if diff := cmp.Diff(want.want, want.got); diff != "" {
			t.Errorf("%v (-want +got):\n%s", want.what, diff)
		}
	}
	manifest := decode(t, blob(t, files, descriptor))
	config := at(t, manifest, "config")
	layers := at(t, manifest, "layers").([]any)
	if got := at(t, config, "mediaType"); got != "application/vnd.oci.image.config.v1+json" {
		t.Errorf("configuration is of type %v", got)
	}
	if len(layers) != 1 || at(t, layers[0], "mediaType") != "application/vnd.oci.image.layer.v1.tar" {
		t.Fatalf("layers %v", layers)
	}
	root, names := read(t, blob(t, files, layers[0]))
	if diff := cmp.Diff([]string{"LICENSE", "THIRD_PARTY_NOTICES", "sbom.cdx.json", "device-defender", "state/"}, names); diff != "" {
		t.Errorf("layer (-want +got):\n%s", diff)
	}
	want := map[string]file{
		"LICENSE":             {Mode: 0o644, Content: "a licence\n"},
		"THIRD_PARTY_NOTICES": {Mode: 0o644, Content: "notices\n"},
		"sbom.cdx.json":       {Mode: 0o644, Content: "{}"},
		"device-defender":     {Mode: 0o755, Content: "\x7fELF, a binary"},
		"state/":              {Mode: 0o700, UID: 60931, GID: 60931},
	}
	if diff := cmp.Diff(want, root); diff != "" {
		t.Errorf("layer (-want +got):\n%s", diff)
	}
	wantConfig := map[string]any{
		"created": "1970-01-01T00:00:00Z", "os": "linux", "architecture": "arm", "variant": "v6",
		"config": map[string]any{
			"User": "60931:60931", "Env": []any{"PROCFS_PATH=/host-proc"}, "WorkingDir": "/state",
			"Entrypoint": []any{"/device-defender"},
			"Labels": map[string]any{
				"org.opencontainers.image.title":       "device-defender",
				"org.opencontainers.image.description": "Reports device metrics to AWS IoT Device Defender Detect",
				"org.opencontainers.image.licenses":    "Apache-2.0",
				"org.opencontainers.image.source":      "https://github.com/device-defender/device-defender",
				"org.opencontainers.image.version":     "1.2.3",
				"org.opencontainers.image.revision":    "0123abc",
			},
		},
		"rootfs":  map[string]any{"type": "layers", "diff_ids": []any{at(t, layers[0], "digest")}},
		"history": []any{map[string]any{"created": "1970-01-01T00:00:00Z", "created_by": "ociimage"}},
	}
	if diff := cmp.Diff(wantConfig, decode(t, blob(t, files, config))); diff != "" {
		t.Errorf("configuration (-want +got):\n%s", diff)
	}
}

// As docker load reads it: by manifest.json alone, to the same image.
func TestDockerArchive(t *testing.T) {
	files, names := read(t, string(write(t, example)))
	index := decode(t, files["index.json"].Content)
	manifest := decode(t, blob(t, files, at(t, index, "manifests", 0)))
	path := func(descriptor any) string {
		return strings.Replace(at(t, descriptor, "digest").(string), "sha256:", "blobs/sha256/", 1)
	}
	want := []any{map[string]any{
		"Config":   path(at(t, manifest, "config")),
		"RepoTags": []any{"device-defender:1.2.3"},
		"Layers":   []any{path(at(t, manifest, "layers", 0))},
	}}
	if diff := cmp.Diff(want, decode(t, files["manifest.json"].Content)); diff != "" {
		t.Errorf("manifest.json (-want +got):\n%s", diff)
	}
	if len(names) != 8 {
		t.Errorf("files %q, want two folders, three blobs and three documents", names)
	}
}

// Whoever builds the image with Docker gets the same configuration.
func TestDockerfileAgrees(t *testing.T) {
	dockerfile, err := os.ReadFile("../../artifacts/Dockerfile")
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for line := range strings.Lines(string(dockerfile)) {
		if instruction := strings.TrimSpace(line); instruction != "" && !strings.HasPrefix(instruction, "#") {
			got = append(got, instruction)
		}
	}
	want := []string{
		"FROM scratch", "COPY LICENSE THIRD_PARTY_NOTICES sbom.cdx.json device-defender /", "COPY --chown=60931:60931 state /state",
		"WORKDIR /state", "USER 60931:60931", "ENV PROCFS_PATH=/host-proc", `ENTRYPOINT ["/device-defender"]`,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("artifacts/Dockerfile (-want +got):\n%s", diff)
	}
}

func TestSameBytes(t *testing.T) {
	if !bytes.Equal(write(t, example), write(t, example)) {
		t.Error("two images of the same differ")
	}
	other := example
	other.Revision = "4567def"
	if bytes.Equal(write(t, example), write(t, other)) {
		t.Error("images of two revisions are the same")
	}
}

// The image of the service runs it, and says how to ask whether it is well.
func TestServiceImage(t *testing.T) {
	img := example
	img.Program, img.Name = ociimage.Service, "defenderctl"
	files, _ := read(t, string(write(t, img)))
	manifest := decode(t, blob(t, files, at(t, decode(t, files["index.json"].Content), "manifests", 0)))
	config := at(t, decode(t, blob(t, files, at(t, manifest, "config"))), "config").(map[string]any)
	delete(config, "Labels")
	want := map[string]any{
		"User": "60931:60931", "Env": nil, "WorkingDir": "/state", "Entrypoint": []any{"/defenderctl"}, "Cmd": []any{"serve", "--data", "/state"},
		"Healthcheck": map[string]any{"Test": []any{"CMD", "/defenderctl", "health"}, "Interval": 30e9, "Timeout": 15e9, "StartPeriod": 60e9, "Retries": 3.0},
	}
	if diff := cmp.Diff(want, config); diff != "" {
		t.Errorf("configuration (-want +got):\n%s", diff)
	}
	layers, names := read(t, blob(t, files, at(t, manifest, "layers", 0)))
	if layers["defenderctl"].Mode != 0o755 || !slices.Contains(names, "state/") || slices.Contains(names, "device-defender") {
		t.Errorf("files %q", names)
	}
}

func TestArchitectureWithoutVariant(t *testing.T) {
	img := example
	img.Architecture, img.Variant = "amd64", ""
	files, _ := read(t, string(write(t, img)))
	index := decode(t, files["index.json"].Content)
	want := map[string]any{"architecture": "amd64", "os": "linux"}
	if diff := cmp.Diff(want, at(t, index, "manifests", 0, "platform")); diff != "" {
		t.Errorf("platform (-want +got):\n%s", diff)
	}
}

func TestImageThatCannotBeLoaded(t *testing.T) {
	for _, test := range []struct {
		change func(*ociimage.Image)
		want   string
	}{
		{func(i *ociimage.Image) { i.Binary = nil }, "image: no binary"},
		{func(i *ociimage.Image) { i.Architecture = "" }, "image: no architecture"},
		{func(i *ociimage.Image) { i.Name = "Device-Defender" }, `image: name "Device-Defender", want lower-case`},
		{func(i *ociimage.Image) { i.Documents = map[string][]byte{"device-defender": {}} }, "image: a document in place of the binary"},
		{func(i *ociimage.Image) { i.Name = "" }, `image: name "", want`},
		{func(i *ociimage.Image) { i.Name = "registry.example/x" }, `image: name "registry.example/x", want`},
		{func(i *ociimage.Image) { i.Tag = "1.0.0+build" }, `image: tag "1.0.0+build", want`},
		{func(i *ociimage.Image) { i.Tag = strings.Repeat("1", 129) }, "image: tag"},
	} {
		img := example
		test.change(&img)
		err := ociimage.Write(io.Discard, img)
		if err == nil || !strings.HasPrefix(err.Error(), test.want) {
			t.Errorf("error %v, want %s...", err, test.want)
		}
	}
}

func TestFailingWriter(t *testing.T) {
	r, w := io.Pipe()
	r.CloseWithError(errors.New("disk full"))
	if err := ociimage.Write(w, example); err == nil || !strings.Contains(err.Error(), "disk full") {
		t.Errorf("error %v, want disk full", err)
	}
}
