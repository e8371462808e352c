package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
)

// project is what a gdk-config.json says.
type project struct {
	Name, Version string
}

// exactVersion is a semantic version. The GDK's NEXT_PATCH is made at publish,
// when the binary is built already and can't know it. A container image's tag
// takes no build metadata.
var exactVersion = regexp.MustCompile(`^(0|[1-9]\d{0,5})\.(0|[1-9]\d{0,5})\.(0|[1-9]\d{0,5})(-[0-9A-Za-z.-]+)?$`)

func loadProject(folder string) (*project, error) {
	name := filepath.Join(folder, "gdk-config.json")
	text, err := os.ReadFile(name)
	if err != nil {
		return nil, fmt.Errorf("%w: run in the folder of a GDK project", err)
	}
	var config struct {
		Component map[string]struct {
			Version string `json:"version"`
		} `json:"component"`
	}
	if err := json.Unmarshal(text, &config); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	if n := len(config.Component); n != 1 {
		return nil, fmt.Errorf("%s: %d components, the GDK takes one", name, n)
	}
	p := &project{}
	for component, c := range config.Component {
		p.Name, p.Version = component, c.Version
	}
	if !exactVersion.MatchString(p.Version) || len(p.Version) > 64 {
		return nil, fmt.Errorf(`%s: version %q, want an exact one such as "1.2.3"`, name, p.Version)
	}
	return p, nil
}

// fill puts name and version into a recipe. BUCKET_NAME stays: "gdk component
// publish" replaces the whole of an artifact's URI.
func (p *project) fill(recipe []byte) []byte {
	return []byte(strings.NewReplacer("COMPONENT_NAME", p.Name, "COMPONENT_VERSION", p.Version).Replace(string(recipe)))
}
