package localcore

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"regexp"
	"runtime"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/device-defender/device-defender/internal/greengrass"
)

const (
	// maxRecipeBytes is generous: AWS takes 16,000 bytes.
	maxRecipeBytes = 256 << 10
	// maxRecipeNodes bounds what aliases can blow a recipe up to.
	maxRecipeNodes = 20_000
)

// Recipe is a component recipe, of which only what the core needs is looked at.
type Recipe struct {
	Name, Version string

	// typed is the document as the Java nucleus reads it; stringly as nucleus
	// lite does, to which every scalar of YAML is a string.
	typed, stringly map[string]any
}

// LoadRecipe reads a recipe, YAML or JSON, from a file.
func LoadRecipe(path string) (*Recipe, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("load recipe: %w", err)
	}
	defer f.Close()
	r, err := ParseRecipe(f)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return r, nil
}

var componentName = regexp.MustCompile(`^[a-zA-Z0-9-_.]{1,128}$`)

// ParseRecipe reads a recipe, YAML or JSON: what begins with a brace is JSON.
func ParseRecipe(in io.Reader) (*Recipe, error) {
	b, err := io.ReadAll(io.LimitReader(in, maxRecipeBytes+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("read recipe: %w", err)
	case len(b) > maxRecipeBytes:
		return nil, fmt.Errorf("recipe over %d bytes", maxRecipeBytes)
	}
	r := &Recipe{}
	if bytes.HasPrefix(bytes.TrimSpace(b), []byte("{")) {
		r.typed, err = decodeObject(b)
		r.stringly = r.typed
	} else {
		err = r.parseYAML(b)
	}
	if err != nil {
		return nil, fmt.Errorf("recipe: %w", err)
	}
	version, _ := r.typed["RecipeFormatVersion"].(string)
	r.Name, _ = r.typed["ComponentName"].(string)
	r.Version, _ = r.stringly["ComponentVersion"].(string)
	switch {
	case version != "2020-01-25":
		return nil, fmt.Errorf(`recipe: RecipeFormatVersion is %q, must be "2020-01-25"`, version)
	case !componentName.MatchString(r.Name) || strings.Trim(r.Name, ".") == "": // it names a folder, too
		return nil, fmt.Errorf("recipe: ComponentName %q: letters, digits, '-', '_' and '.', at most 128", r.Name)
	case r.Version == "":
		return nil, errors.New("recipe: ComponentVersion is missing")
	}
	return r, nil
}

func (r *Recipe) parseYAML(b []byte) error {
	var document yaml.Node
	if err := yaml.Unmarshal(b, &document); err != nil {
		return err
	}
	if document.Kind != yaml.DocumentNode || len(document.Content) != 1 || document.Content[0].Kind != yaml.MappingNode {
		return errors.New("not a YAML map")
	}
	for _, reading := range []struct {
		to     *map[string]any
		scalar func(*yaml.Node) (any, error)
	}{
		{&r.typed, typedScalar},
		{&r.stringly, func(n *yaml.Node) (any, error) { return n.Value, nil }},
	} {
		w := yamlWalk{scalar: reading.scalar, left: maxRecipeNodes}
		v, err := w.value(document.Content[0])
		if err != nil {
			return err
		}
		*reading.to = v.(map[string]any)
	}
	return nil
}

// yamlWalk turns YAML nodes into the types of a configuration.
type yamlWalk struct {
	scalar func(*yaml.Node) (any, error)
	left   int // nodes until the recipe counts as too large
}

func (w *yamlWalk) value(n *yaml.Node) (any, error) {
	if w.left--; w.left < 0 {
		return nil, fmt.Errorf("more than %d values", maxRecipeNodes)
	}
	switch n.Kind {
	case yaml.AliasNode:
		return w.value(n.Alias)
	case yaml.SequenceNode:
		list := make([]any, len(n.Content))
		for i, e := range n.Content {
			var err error
			if list[i], err = w.value(e); err != nil {
				return nil, err
			}
		}
		return list, nil
	case yaml.MappingNode:
		m := make(map[string]any, len(n.Content)/2)
		for i := 0; i+1 < len(n.Content); i += 2 {
			key := n.Content[i]
			if key.Kind != yaml.ScalarNode {
				return nil, fmt.Errorf("line %d: a key must be a plain text", key.Line)
			}
			if _, twice := m[key.Value]; twice {
				return nil, fmt.Errorf("line %d: %s is there twice", key.Line, key.Value)
			}
			var err error
			if m[key.Value], err = w.value(n.Content[i+1]); err != nil {
				return nil, err
			}
		}
		return m, nil
	default:
		return w.scalar(n)
	}
}

// typedScalar reads a scalar as the Java nucleus' JSON library does.
func typedScalar(n *yaml.Node) (any, error) {
	switch n.ShortTag() {
	case "!!null":
		return nil, nil
	case "!!bool":
		var b bool
		err := n.Decode(&b)
		return b, err
	case "!!int":
		var i int64
		if n.Decode(&i) == nil {
			return i, nil
		}
		var f float64 // too large
		err := n.Decode(&f)
		return f, err
	case "!!float":
		if strings.Contains(n.Value, ".") && strings.ContainsAny(n.Value, "iInN") {
			return n.Value, nil // .inf and .nan have no JSON
		}
		var f float64
		err := n.Decode(&f)
		return f, err
	default:
		return n.Value, nil
	}
}

// resolve returns what the nucleus takes from the recipe on this machine: the
// default configuration and the environment that it sets.
func (r *Recipe) resolve(nucleus greengrass.Nucleus) (configuration map[string]any, setenv map[string]string, err error) {
	doc := r.typed
	if nucleus == greengrass.Lite {
		doc = r.stringly
	}
	component, _ := doc["ComponentConfiguration"].(map[string]any)
	configuration, _ = component["DefaultConfiguration"].(map[string]any)
	manifests, _ := doc["Manifests"].([]any)
	for _, m := range manifests {
		manifest, _ := m.(map[string]any)
		platform, _ := manifest["Platform"].(map[string]any)
		if manifest == nil || !matchPlatform(nucleus, platform) {
			continue
		}
		lifecycle, _ := manifest["Lifecycle"].(map[string]any)
		if lifecycle == nil {
			lifecycle = globalLifecycle(doc)
		}
		setenv, err = readLifecycle(nucleus, lifecycle)
		return configuration, setenv, err
	}
	return nil, nil, fmt.Errorf("no manifest for this machine: os %s, architecture %s, runtime %s", runtime.GOOS, architecture(), runtimeName[nucleus])
}

// globalLifecycle is the recipe's own, for all manifests without one.
func globalLifecycle(doc map[string]any) map[string]any {
	lifecycle, _ := doc["Lifecycle"].(map[string]any)
	for _, platform := range []string{runtime.GOOS, "all"} {
		if l, ok := lifecycle[platform].(map[string]any); ok {
			return l
		}
	}
	return lifecycle
}

// readLifecycle demands a step that starts the component and returns the
// variables set for it. Nucleus lite minds the case of the keys.
func readLifecycle(nucleus greengrass.Nucleus, lifecycle map[string]any) (map[string]string, error) {
	get := func(m map[string]any, name string) any {
		if nucleus == greengrass.Lite {
			return m[name]
		}
		for key, v := range m {
			if strings.EqualFold(key, name) {
				return v
			}
		}
		return nil
	}
	step := get(lifecycle, "run")
	if step == nil {
		step = get(lifecycle, "startup")
	}
	if step == nil {
		return nil, errors.New("the manifest for this machine has neither a run nor a startup step")
	}
	setenv := map[string]string{}
	steps, _ := step.(map[string]any)
	for _, variables := range []any{lifecycle["Setenv"], lifecycle["setenv"], steps["Setenv"], steps["setenv"]} {
		variables, _ := variables.(map[string]any)
		for name, value := range variables {
			text, isText := value.(string)
			if !isText && nucleus == greengrass.Lite {
				return nil, fmt.Errorf("Setenv %s: nucleus lite takes texts only", name)
			}
			if !isText {
				text = fmt.Sprint(value)
			}
			maps.Copy(setenv, map[string]string{name: text})
		}
	}
	return setenv, nil
}

// runtimeName is the nuclei's value of the platform key runtime.
var runtimeName = map[greengrass.Nucleus]string{
	greengrass.Java: "aws_nucleus_classic",
	greengrass.Lite: "aws_nucleus_lite",
}

// architecture is this machine's, in the nuclei's words.
func architecture() string {
	switch runtime.GOARCH {
	case "386":
		return "x86"
	case "arm64":
		return "aarch64"
	}
	return runtime.GOARCH
}

// matchPlatform reports whether a manifest is for this machine. Nucleus lite
// wants runtime and os to be there and ignores all keys but three.
func matchPlatform(nucleus greengrass.Nucleus, platform map[string]any) bool {
	machine := map[string]string{"os": runtime.GOOS, "architecture": architecture(), "runtime": runtimeName[nucleus]}
	if nucleus == greengrass.Lite {
		for _, key := range []string{"os", "runtime"} {
			if platform[key] == nil {
				return false
			}
		}
	}
	for key, want := range platform {
		has, known := machine[key]
		if !known && nucleus == greengrass.Lite {
			continue
		}
		pattern, _ := want.(string)
		expression, isExpression := strings.CutPrefix(pattern, "/")
		expression, closed := strings.CutSuffix(expression, "/")
		switch {
		case pattern == "*" || pattern == "all" && key == "os" || known && pattern == has:
		case isExpression && closed && nucleus == greengrass.Java:
			re, err := regexp.Compile(`^(?:` + expression + `)$`)
			if err != nil || !re.MatchString(has) {
				return false
			}
		default:
			return false
		}
	}
	return true
}
