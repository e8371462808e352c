// Command releasefiles writes what a release of defenderctl has beside a binary, into
// a folder: the licence, the licences of its modules, a bill of materials, and
// for Linux the container image of the service, defenderctl-image-linux-ARCH.tar.gz.
//
// Usage: releasefiles -version VERSION -revision COMMIT BINARY DIR
package main

import (
	"compress/gzip"
	"debug/buildinfo"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"

	"github.com/device-defender/device-defender/scripts/licences"
	"github.com/device-defender/device-defender/scripts/ociimage"
)

func main() {
	version := flag.String("version", "", "version of the release")
	revision := flag.String("revision", "", "commit that it was built from")
	flag.Parse()
	if flag.NArg() != 2 || *version == "" {
		fmt.Fprintln(os.Stderr, "usage: releasefiles -version VERSION -revision COMMIT BINARY DIR")
		os.Exit(2)
	}
	if err := write(".", flag.Arg(0), flag.Arg(1), *version, *revision); err != nil {
		fmt.Fprintln(os.Stderr, "releasefiles:", err)
		os.Exit(1)
	}
}

// write writes the files of the binary. top is the folder of this module.
func write(top, binary, dir, version, revision string) error {
	info, err := buildinfo.ReadFile(binary)
	if err != nil {
		return err
	}
	program := ociimage.Service
	documents := map[string][]byte{}
	if documents["LICENSE"], err = os.ReadFile(filepath.Join(top, "LICENSE")); err != nil {
		return err
	}
	if documents["THIRD_PARTY_NOTICES"], err = licences.Notices(top, program.Name, info); err != nil {
		return err
	}
	if documents["sbom.cdx.json"], err = licences.SBOM(program.Name, version, info); err != nil {
		return err
	}
	if err := errors.Join(os.RemoveAll(dir), os.MkdirAll(dir, 0o755)); err != nil {
		return err
	}
	for name, text := range documents {
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o644); err != nil {
			return err
		}
	}
	built := map[string]string{}
	for _, s := range info.Settings {
		built[s.Key] = s.Value
	}
	if built["GOOS"] != "linux" {
		return nil
	}
	image := ociimage.Image{
		Program: program, Documents: documents, Architecture: built["GOARCH"], Name: program.Name, Tag: version, Version: version, Revision: revision,
	}
	if level := built["GOARM"]; level != "" {
		image.Variant = "v" + level[:1]
	}
	if image.Binary, err = os.ReadFile(binary); err != nil {
		return err
	}
	name := fmt.Sprintf("%s-image-linux-%s%s.tar.gz", program.Name, image.Architecture, image.Variant)
	return writeImage(filepath.Join(dir, name), image)
}

func writeImage(path string, image ociimage.Image) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	w, err := gzip.NewWriterLevel(f, gzip.BestCompression)
	if err == nil {
		err = errors.Join(ociimage.Write(w, image), w.Close())
	}
	return errors.Join(err, f.Close())
}
