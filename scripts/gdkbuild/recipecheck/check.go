package recipecheck

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"path"
	"regexp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// maxRecipe is the size of a recipe that Greengrass takes, in bytes.
const maxRecipe = 16_000

// Recipe is what a sound recipe says of itself.
type Recipe struct {
	Name, Version string
	// Artifacts are the base names of its artifacts, in their order.
	Artifacts []string
}

// checker collects the faults of one recipe.
type checker struct {
	recipe Recipe
	faults []error
}

func (c *checker) fault(n *yaml.Node, format string, args ...any) {
	c.faults = append(c.faults, fmt.Errorf("line %d: "+format, append([]any{n.Line}, args...)...))
}

// Check reads a recipe whose name and version are filled in.
func Check(text []byte) (Recipe, error) {
	var document yaml.Node
	if err := yaml.Unmarshal(text, &document); err != nil {
		return Recipe{}, err
	}
	if document.Kind != yaml.DocumentNode || document.Content[0].Kind != yaml.MappingNode {
		return Recipe{}, errors.New("not a YAML map")
	}
	c := &checker{}
	if len(text) > maxRecipe {
		c.fault(&document, "%d bytes, Greengrass takes %d", len(text), maxRecipe)
	}
	root := document.Content[0]
	c.placeholders(root)
	c.keys(root, "RecipeFormatVersion", "ComponentName", "ComponentVersion", "ComponentDescription",
		"ComponentPublisher", "ComponentType", "ComponentConfiguration", "Manifests")
	c.header(root)
	if n := c.required(root, "ComponentConfiguration"); n != nil {
		c.configuration(n)
	}
	if n := c.required(root, "Manifests"); n != nil {
		c.manifests(n)
	}
	return c.recipe, errors.Join(c.faults...)
}

// keys checks a map's keys against those that are allowed, by their case.
func (c *checker) keys(n *yaml.Node, allowed ...string) {
	if n.Kind != yaml.MappingNode {
		c.fault(n, "want a map")
		return
	}
	seen := make(map[string]bool)
	for i := 0; i < len(n.Content); i += 2 {
		key := n.Content[i]
		if seen[key.Value] {
			c.fault(key, "key %s twice", key.Value)
		}
		seen[key.Value] = true
		if slices.Contains(allowed, key.Value) {
			continue
		}
		same := slices.IndexFunc(allowed, func(a string) bool { return strings.EqualFold(a, key.Value) })
		if same >= 0 {
			c.fault(key, "key %s, want %s: nucleus lite knows no other case", key.Value, allowed[same])
		} else {
			c.fault(key, "key %s, want one of %s", key.Value, strings.Join(allowed, ", "))
		}
	}
}

// member returns the value of a map's key, nil if there is none.
func member(n *yaml.Node, key string) *yaml.Node {
	if n != nil && n.Kind == yaml.MappingNode {
		for i := 0; i+1 < len(n.Content); i += 2 {
			if n.Content[i].Value == key {
				return n.Content[i+1]
			}
		}
	}
	return nil
}

func (c *checker) required(n *yaml.Node, key string) *yaml.Node {
	m := member(n, key)
	if m == nil {
		c.fault(n, "%s is missing", key)
	}
	return m
}

// text returns the string at a key.
func (c *checker) text(n *yaml.Node, key string) (string, *yaml.Node) {
	m := c.required(n, key)
	if m == nil {
		return "", n
	}
	if m.Kind != yaml.ScalarNode || m.Tag != "!!str" {
		c.fault(m, "%s: %s is not a string, quote it", key, m.Value)
	}
	return m.Value, m
}

// placeholders finds what the build or the GDK should have filled in.
// "gdk component publish" replaces BUCKET_NAME, in artifacts' URIs only.
func (c *checker) placeholders(n *yaml.Node) {
	for i, child := range n.Content {
		c.placeholders(child)
		isURI := n.Kind == yaml.MappingNode && i%2 == 1 && n.Content[i-1].Value == "Uri"
		for _, p := range []string{"COMPONENT_NAME", "COMPONENT_VERSION", "BUCKET_NAME"} {
			if child.Kind == yaml.ScalarNode && strings.Contains(child.Value, p) && !(isURI && p == "BUCKET_NAME") {
				c.fault(child, "placeholder %s is left over", p)
			}
		}
	}
}

var (
	namePattern    = regexp.MustCompile(`^[a-zA-Z0-9-_.]{1,128}$`)
	versionPattern = regexp.MustCompile(`^(0|[1-9]\d{0,5})\.(0|[1-9]\d{0,5})\.(0|[1-9]\d{0,5})(-[0-9A-Za-z.-]+)?(\+[0-9A-Za-z.-]+)?$`)
)

func (c *checker) header(root *yaml.Node) {
	format, n := c.text(root, "RecipeFormatVersion")
	switch {
	case format != "2020-01-25":
		c.fault(n, `RecipeFormatVersion: %q, want "2020-01-25"`, format)
	case n.Style&(yaml.DoubleQuotedStyle|yaml.SingleQuotedStyle) == 0:
		c.fault(n, `RecipeFormatVersion: quote it, "2020-01-25": publish reads it as a date`)
	}
	c.recipe.Name, n = c.text(root, "ComponentName")
	if !namePattern.MatchString(c.recipe.Name) {
		c.fault(n, "ComponentName: %q, want at most 128 letters, digits and - _ .", c.recipe.Name)
	}
	c.recipe.Version, n = c.text(root, "ComponentVersion")
	if !versionPattern.MatchString(c.recipe.Version) || len(c.recipe.Version) > 64 {
		c.fault(n, `ComponentVersion: %q, want one such as "1.2.3"`, c.recipe.Version)
	}
}

// architectures are the values of a nucleus, not those of Go.
var architectures = []string{"amd64", "aarch64", "arm"}

func (c *checker) manifests(list *yaml.Node) {
	if list.Kind != yaml.SequenceNode || len(list.Content) == 0 {
		c.fault(list, "Manifests: want a list")
		return
	}
	var all, seen []string
	for _, m := range list.Content {
		artifacts := c.artifacts(m)
		for _, a := range artifacts {
			if slices.Contains(all, a) {
				c.fault(m, "artifact %s twice: the GDK tells artifacts apart by their names", a)
			}
		}
		all = append(all, artifacts...)
	}
	c.recipe.Artifacts = all
	for _, m := range list.Content {
		c.keys(m, "Name", "Platform", "Artifacts", "Lifecycle")
		if p := c.required(m, "Platform"); p != nil {
			architecture := c.platform(p)
			if slices.Contains(seen, architecture) {
				c.fault(p, "architecture %s again: the first manifest that fits is taken", architecture)
			}
			seen = append(seen, architecture)
		}
		if l := c.required(m, "Lifecycle"); l != nil {
			c.lifecycle(l, m)
		}
	}
}

func (c *checker) platform(p *yaml.Node) string {
	c.keys(p, "os", "architecture", "runtime")
	if os, n := c.text(p, "os"); os != "linux" {
		c.fault(n, "os: %s, want linux", os)
	}
	if runtime, n := c.text(p, "runtime"); runtime != "*" {
		c.fault(n, `runtime: %q, want "*": nucleus lite skips the manifest without`, runtime)
	}
	architecture, n := c.text(p, "architecture")
	if !slices.Contains(architectures, architecture) {
		c.fault(n, "architecture: %s, want one of %s", architecture, strings.Join(architectures, ", "))
	}
	return architecture
}

// artifacts checks a manifest's artifacts and returns their base names.
func (c *checker) artifacts(m *yaml.Node) (names []string) {
	list := c.required(m, "Artifacts")
	if list == nil {
		return nil
	}
	if list.Kind != yaml.SequenceNode || len(list.Content) == 0 {
		c.fault(list, "Artifacts: want a list: nucleus lite has to have one")
		return nil
	}
	for _, a := range list.Content {
		c.keys(a, "Uri", "Unarchive", "Permission")
		uri, n := c.text(a, "Uri")
		name := path.Base(uri)
		if want := "s3://BUCKET_NAME/" + c.recipe.Name + "/" + c.recipe.Version + "/" + name; uri != want {
			c.fault(n, "Uri: %s, want %s", uri, want)
		}
		names = append(names, name)
		if u := member(a, "Unarchive"); u != nil && u.Value != "ZIP" && u.Value != "NONE" {
			c.fault(u, "Unarchive: %s, want ZIP or NONE", u.Value)
		}
		c.permission(a)
	}
	return names
}

// permission checks an artifact's permission: the modes in a zip do not count.
func (c *checker) permission(artifact *yaml.Node) {
	p := member(artifact, "Permission")
	if p != nil {
		c.keys(p, "Read", "Execute")
		for i := 1; i < len(p.Content); i += 2 {
			if v := p.Content[i]; !slices.Contains([]string{"NONE", "OWNER", "ALL"}, v.Value) {
				c.fault(v, "Permission: %s, want NONE, OWNER or ALL", v.Value)
			}
		}
	}
	if execute := member(p, "Execute"); unzipped(artifact) && (execute == nil || execute.Value == "NONE") {
		c.fault(artifact, "Permission: Execute is missing, the program in the zip could not be run")
	}
}

func unzipped(artifact *yaml.Node) bool {
	u := member(artifact, "Unarchive")
	return u != nil && u.Value == "ZIP"
}

func (c *checker) lifecycle(l, manifest *yaml.Node) {
	c.keys(l, "install", "run")
	var scripts strings.Builder
	for i := 1; i < len(l.Content); i += 2 {
		step, n := l.Content[i-1].Value, l.Content[i]
		if member(n, "RequiresPrivilege") != nil {
			c.fault(n, "%s: RequiresPrivilege: the component needs no root", step)
			continue
		}
		c.keys(n, "Script", "Setenv", "Timeout")
		if env := member(n, "Setenv"); env != nil {
			for j := 1; j < len(env.Content); j += 2 {
				if k := env.Content[j-1]; !environmentName.MatchString(k.Value) {
					c.fault(k, "%s: Setenv: %s is no name of a variable, nucleus lite fails on it", step, k.Value)
				}
				if v := env.Content[j]; v.Tag != "!!str" {
					c.fault(v, "%s: Setenv: %s is not a string, nucleus lite fails on it", step, v.Value)
				}
			}
		}
		script, at := c.text(n, "Script")
		c.script(script, at, manifest)
		scripts.WriteString(script)
	}
	own := paths(manifest)
	for _, name := range slices.Sorted(maps.Keys(own)) {
		if !strings.Contains(scripts.String(), own[name]) {
			c.fault(l, "no script uses artifact %s by its path %s", name, own[name])
		}
	}
	run := member(l, "run")
	if run == nil {
		c.fault(l, "run is missing")
		return
	}
	if script := member(run, "Script"); script != nil && !execs.MatchString(script.Value) {
		c.fault(script, "run: want exec, so that the signals and the exit code are the program's")
	}
}

var (
	execs    = regexp.MustCompile(`(^|[;\n]\s*)exec `)
	variable = regexp.MustCompile(`\{[^}]*\}?`)
	// use is the path of an artifact in a script.
	use             = regexp.MustCompile(`\{artifacts:\w+\}[^\s"';]*`)
	environmentName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)
)

// script checks the variables of a script and the paths of its artifacts.
func (c *checker) script(script string, n, manifest *yaml.Node) {
	for _, v := range variable.FindAllString(script, -1) {
		switch {
		case strings.HasPrefix(v, "{configuration:"):
			c.fault(n, "Script: %s: configuration in a script is run by the shell; read it over IPC", v)
		case !slices.Contains([]string{"{artifacts:path}", "{artifacts:decompressedPath}", "{work:path}", "{kernel:rootPath}"}, v):
			c.fault(n, "Script: %s is no recipe variable and fatal on nucleus lite; write $NAME", v)
		}
	}
	own := slices.Sorted(maps.Values(paths(manifest)))
	for _, path := range use.FindAllString(script, -1) {
		if !slices.Contains(own, path) {
			c.fault(n, "Script: %s is no artifact of this manifest, want %s", path, strings.Join(own, " or "))
		}
	}
}

// paths are those that a script uses a manifest's artifacts by: a zip's is that
// of the program in it.
func paths(manifest *yaml.Node) map[string]string {
	byName := make(map[string]string)
	if list := member(manifest, "Artifacts"); list != nil {
		for _, a := range list.Content {
			uri := member(a, "Uri")
			if uri == nil {
				continue
			}
			name := path.Base(uri.Value)
			byName[name] = "{artifacts:path}/" + name
			if unzipped(a) {
				byName[name] = "{artifacts:decompressedPath}/" + strings.TrimSuffix(name, ".zip") + "/device-defender"
			}
		}
	}
	return byName
}

// CheckArtifacts compares a folder with the artifacts that a recipe names. The
// GDK uploads every file of it, and only warns of one that is missing.
func CheckArtifacts(r Recipe, folder string) error {
	entries, err := os.ReadDir(folder)
	if err != nil {
		return err
	}
	var faults []error
	left := slices.Clone(r.Artifacts)
	for _, e := range entries {
		i := slices.Index(left, e.Name())
		switch {
		case e.IsDir():
			faults = append(faults, fmt.Errorf("%s/%s: a folder, the GDK fails on it", folder, e.Name()))
		case i < 0:
			faults = append(faults, fmt.Errorf("%s/%s: built, and not in the recipe", folder, e.Name()))
		default:
			left = slices.Delete(left, i, i+1)
		}
	}
	for _, name := range left {
		faults = append(faults, fmt.Errorf("%s: in the recipe, and not built", name))
	}
	return errors.Join(faults...)
}
