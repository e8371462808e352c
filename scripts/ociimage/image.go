package ociimage

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
)

// User is the user and group that the binary runs as, and the owner of its
// working directory. Processes of one user may read each other's environment and
// memory through /proc, across containers too, so nobody else should have this
// number: it is none of a host's users, of systemd's (which leaves 60706 to 61183
// unused), or of well-known images, such as distroless' nonroot, 65532.
const User = 60931

// WorkDir is the working directory, the only folder that User can write to.
const WorkDir = "/state"

// HostProc is where the binary expects the host's /proc to be mounted.
const HostProc = "/host-proc"

// Program is what an image runs.
type Program struct {
	Name        string   // of the binary
	Description string   // in the image's labels
	Env         []string // NAME=VALUE
	Command     []string // arguments, unless others are given
	Health      []string // arguments that say by the exit code whether it is well; nil: not asked for
}

// Programs that there are images of.
var (
	DeviceDefender = Program{
		Name: "device-defender", Description: "Reports device metrics to AWS IoT Device Defender Detect",
		Env: []string{"PROCFS_PATH=" + HostProc},
	}
	Service = Program{
		Name: "defenderctl", Description: "Detect-compatible service for AWS IoT Device Defender on Greengrass",
		Command: []string{"serve", "--data", WorkDir}, Health: []string{"health"},
	}
)

// Image describes an image.
type Image struct {
	Program               Program
	Binary                []byte
	Architecture, Variant string            // as in GOARCH: "amd64", "arm64", "arm"; "v6" with GOARM=6
	Name, Tag             string            // what the image is called where it is loaded, as in "device-defender", "1.0.0"
	Version, Revision     string            // the component's version and the commit it was built from
	Documents             map[string][]byte // what goes beside the binary, such as "LICENSE"
}

// What Docker takes for the name of an image without a registry, and for a tag.
var (
	namePattern = regexp.MustCompile(`^[a-z0-9]+([._-][a-z0-9]+)*$`)
	tagPattern  = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}$`)
)

func (img Image) check() error {
	switch {
	case img.Program.Name == "":
		return errors.New("no program")
	case len(img.Binary) == 0:
		return errors.New("no binary")
	case img.Architecture == "":
		return errors.New("no architecture")
	case !namePattern.MatchString(img.Name):
		return fmt.Errorf("name %q, want lower-case letters and digits, joined by . _ or -", img.Name)
	case img.Documents[img.Program.Name] != nil || img.Documents[WorkDir[1:]] != nil:
		return errors.New("a document in place of the binary or its folder")
	case !tagPattern.MatchString(img.Tag):
		return fmt.Errorf("tag %q, want up to 128 letters, digits and _ . -, the first no . or -", img.Tag)
	}
	return nil
}

// Write writes the image as a tar.
func Write(w io.Writer, img Image) error {
	if err := img.check(); err != nil {
		return fmt.Errorf("image: %w", err)
	}
	l, err := layer(img)
	if err != nil {
		return fmt.Errorf("image layer: %w", err)
	}
	layerBlob := blob{"application/vnd.oci.image.layer.v1.tar", l}
	config, err := jsonBlob("application/vnd.oci.image.config.v1+json", img.config(layerBlob.digest()))
	if err != nil {
		return fmt.Errorf("image configuration: %w", err)
	}
	manifest, err := jsonBlob("application/vnd.oci.image.manifest.v1+json", manifest{
		SchemaVersion: 2,
		MediaType:     "application/vnd.oci.image.manifest.v1+json",
		Config:        config.descriptor(),
		Layers:        []descriptor{layerBlob.descriptor()},
	})
	if err != nil {
		return fmt.Errorf("image manifest: %w", err)
	}
	if err := writeArchive(w, img, layerBlob, config, manifest); err != nil {
		return fmt.Errorf("image archive: %w", err)
	}
	return nil
}

func writeArchive(w io.Writer, img Image, layer, config, manifest blob) error {
	index, err := json.Marshal(img.index(manifest))
	if err != nil {
		return err
	}
	docker, err := json.Marshal([]dockerManifest{{
		Config: config.path(), RepoTags: []string{img.Name + ":" + img.Tag}, Layers: []string{layer.path()},
	}})
	if err != nil {
		return err
	}
	files := []entry{
		folder("blobs", 0o755, 0),
		folder("blobs/sha256", 0o755, 0),
		file(layer.path(), 0o644, layer.content),
		file(config.path(), 0o644, config.content),
		file(manifest.path(), 0o644, manifest.content),
		file("index.json", 0o644, index),
		file("manifest.json", 0o644, docker),
		file("oci-layout", 0o644, []byte(`{"imageLayoutVersion":"1.0.0"}`)),
	}
	return writeTar(w, files)
}
