// Package licences writes what has to go with a binary, by the list of modules that
// Go has put into it: the licences of all, and a bill of materials.
package licences

import (
	"bytes"
	"debug/buildinfo"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
)

// Module is the path of this module.
const Module = "github.com/device-defender/device-defender"

// Notices are the licences of everything in a binary: its modules, and Go. top is
// the folder of this module.
func Notices(top, program string, info *buildinfo.BuildInfo) ([]byte, error) {
	goroot, err := output(top, "go", "env", "GOROOT")
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	fmt.Fprintf(&out, "The binary %s contains the following software.\n", program)
	add := func(name, folder string) error {
		texts, err := licenceTexts(folder)
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		fmt.Fprintf(&out, "\n%s\n%s\n\n%s\n", strings.Repeat("=", 80), name, texts)
		return nil
	}
	if err := add("Go "+info.GoVersion, goroot); err != nil {
		return nil, err
	}
	for _, m := range info.Deps {
		folder, err := output(top, "go", "list", "-m", "-f", "{{.Dir}}", m.Path)
		if err != nil {
			return nil, err
		}
		if err := add(m.Path+" "+m.Version, folder); err != nil {
			return nil, err
		}
	}
	return out.Bytes(), nil
}

// licenceTexts returns the licence and notice files of a module. The go command
// adds the repository's licence to a module in a sub-folder that has none.
func licenceTexts(folder string) (string, error) {
	entries, err := os.ReadDir(folder)
	if err != nil {
		return "", err
	}
	var texts []string
	for _, e := range entries {
		if e.IsDir() || !licenceFile.MatchString(e.Name()) {
			continue
		}
		text, err := os.ReadFile(filepath.Join(folder, e.Name()))
		if err != nil {
			return "", err
		}
		texts = append(texts, strings.TrimSpace(string(text)))
	}
	if len(texts) == 0 {
		return "", fmt.Errorf("no licence file in %s", folder)
	}
	return strings.Join(texts, "\n\n"), nil
}

var licenceFile = regexp.MustCompile(`(?i)^(licen[cs]e|notice|copying)`)

// component is an entry of a CycloneDX bill of materials.
type component struct {
	Type    string `json:"type"`
	Ref     string `json:"bom-ref"`
	Name    string `json:"name"`
	Version string `json:"version"`
	PURL    string `json:"purl,omitempty"`
	// Properties hold Go's own checksum of a module, which is no plain hash of
	// a file and thus no "hashes" entry.
	Properties []property `json:"properties,omitempty"`
}

type property struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// SBOM is a CycloneDX 1.6 bill of materials of a binary, by its own list of
// modules. It has no time and no serial number, so that two builds are equal.
func SBOM(program, version string, info *buildinfo.BuildInfo) ([]byte, error) {
	main := component{
		Type: "application", Name: program, Version: version,
		Ref: purl(Module, "v"+version), PURL: purl(Module, "v"+version),
	}
	components := []component{{
		Type: "library", Name: "std", Version: info.GoVersion,
		Ref: purl("std", strings.TrimPrefix(info.GoVersion, "go")), PURL: purl("std", strings.TrimPrefix(info.GoVersion, "go")),
	}}
	for _, m := range info.Deps {
		c := component{Type: "library", Name: m.Path, Version: m.Version, Ref: purl(m.Path, m.Version), PURL: purl(m.Path, m.Version)}
		if m.Sum != "" {
			c.Properties = []property{{"go:sum", m.Sum}}
		}
		components = append(components, c)
	}
	return json.MarshalIndent(map[string]any{
		"bomFormat": "CycloneDX", "specVersion": "1.6", "version": 1,
		"metadata":   map[string]any{"component": main},
		"components": components,
	}, "", "  ")
}

func purl(path, version string) string { return "pkg:golang/" + path + "@" + version }

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
