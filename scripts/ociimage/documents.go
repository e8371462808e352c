package ociimage

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"strconv"
	"time"
)

// created is the time that is written wherever one has to be.
const created = "1970-01-01T00:00:00Z"

// blob is content that the documents refer to by its digest.
type blob struct {
	mediaType string
	content   []byte
}

func jsonBlob(mediaType string, document any) (blob, error) {
	content, err := json.Marshal(document)
	return blob{mediaType, content}, err
}

func (b blob) hex() string {
	sum := sha256.Sum256(b.content)
	return hex.EncodeToString(sum[:])
}

func (b blob) digest() string { return "sha256:" + b.hex() }

// path is the blob's name in an image layout.
func (b blob) path() string { return "blobs/sha256/" + b.hex() }

func (b blob) descriptor() descriptor {
	return descriptor{MediaType: b.mediaType, Digest: b.digest(), Size: len(b.content)}
}

// The documents of the OCI image specification, version 1.

type descriptor struct {
	MediaType   string            `json:"mediaType"`
	Digest      string            `json:"digest"`
	Size        int               `json:"size"`
	Annotations map[string]string `json:"annotations,omitempty"`
	Platform    *platform         `json:"platform,omitempty"`
}

type platform struct {
	Architecture string `json:"architecture"`
	OS           string `json:"os"`
	Variant      string `json:"variant,omitempty"`
}

type manifest struct {
	SchemaVersion int          `json:"schemaVersion"`
	MediaType     string       `json:"mediaType"`
	Config        descriptor   `json:"config"`
	Layers        []descriptor `json:"layers"`
}

type index struct {
	SchemaVersion int          `json:"schemaVersion"`
	MediaType     string       `json:"mediaType"`
	Manifests     []descriptor `json:"manifests"`
}

type imageConfig struct {
	platform
	Created string          `json:"created"`
	Config  containerConfig `json:"config"`
	RootFS  rootFS          `json:"rootfs"`
	History []history       `json:"history"`
}

type containerConfig struct {
	User       string
	Env        []string
	Entrypoint []string
	Cmd        []string `json:",omitempty"`
	WorkingDir string
	Labels     map[string]string
	// Healthcheck is Docker's own: the OCI specification has none, and takes it.
	Healthcheck *healthcheck `json:",omitempty"`
}

// healthcheck is as in Docker's image specification; times are in nanoseconds.
type healthcheck struct {
	Test                           []string
	Interval, Timeout, StartPeriod time.Duration
	Retries                        int
}

func (p Program) healthcheck() *healthcheck {
	if p.Health == nil {
		return nil
	}
	test := append([]string{"CMD", "/" + p.Name}, p.Health...)
	return &healthcheck{Test: test, Interval: 30 * time.Second, Timeout: 15 * time.Second, StartPeriod: time.Minute, Retries: 3}
}

type rootFS struct {
	Type    string   `json:"type"`
	DiffIDs []string `json:"diff_ids"`
}

type history struct {
	Created   string `json:"created"`
	CreatedBy string `json:"created_by"`
}

// dockerManifest is an element of the manifest.json of docker save.
type dockerManifest struct {
	Config   string
	RepoTags []string
	Layers   []string
}

func (img Image) platform() platform {
	return platform{Architecture: img.Architecture, OS: "linux", Variant: img.Variant}
}

func (img Image) config(layerDigest string) imageConfig {
	user := strconv.Itoa(User)
	return imageConfig{
		platform: img.platform(),
		Created:  created,
		Config: containerConfig{
			User:        user + ":" + user,
			Env:         img.Program.Env,
			Entrypoint:  []string{"/" + img.Program.Name},
			Cmd:         img.Program.Command,
			Healthcheck: img.Program.healthcheck(),
			WorkingDir:  WorkDir,
			Labels: map[string]string{
				"org.opencontainers.image.title":       img.Program.Name,
				"org.opencontainers.image.description": img.Program.Description,
				"org.opencontainers.image.licenses":    "Apache-2.0",
				"org.opencontainers.image.source":      "https://github.com/device-defender/device-defender",
				"org.opencontainers.image.version":     img.Version,
				"org.opencontainers.image.revision":    img.Revision,
			},
		},
		RootFS:  rootFS{Type: "layers", DiffIDs: []string{layerDigest}},
		History: []history{{Created: created, CreatedBy: "ociimage"}},
	}
}

func (img Image) index(manifest blob) index {
	d := manifest.descriptor()
	p := img.platform()
	d.Platform = &p
	d.Annotations = map[string]string{
		"org.opencontainers.image.ref.name": img.Tag,
		// containerd, and Docker on top of it, calls the image by this: a full
		// reference, of which Docker's short names are the end.
		"io.containerd.image.name": "docker.io/library/" + img.Name + ":" + img.Tag,
	}
	return index{SchemaVersion: 2, MediaType: "application/vnd.oci.image.index.v1+json", Manifests: []descriptor{d}}
}
