package localcore

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/device-defender/device-defender/internal/greengrass"
)

// head is the beginning of each recipe here.
const head = `RecipeFormatVersion: "2020-01-25"
ComponentName: com.example.agent
ComponentVersion: 1.0.0
`

func TestParseRecipeRefuses(t *testing.T) {
	for name, test := range map[string]struct{ recipe, want string }{
		"empty":            {"", "not a YAML map"},
		"a list":           {"[1]", "not a YAML map"},
		"broken YAML":      {head + "x: [", "recipe: yaml:"},
		"broken JSON":      {`{"RecipeFormatVersion":`, "recipe: unexpected EOF"},
		"two JSON values":  {`{} {}`, "more than one JSON value"},
		"no version":       {"ComponentName: x", `RecipeFormatVersion is ""`},
		"another version":  {strings.Replace(head, "2020-01-25", "2021-01-25", 1), `RecipeFormatVersion is "2021-01-25"`},
		"no name":          {strings.Replace(head, "com.example.agent", "", 1), `ComponentName ""`},
		"a path as a name": {strings.Replace(head, "com.example.agent", "a/../b", 1), `ComponentName "a/../b"`},
		"dots as a name":   {strings.Replace(head, "com.example.agent", `".."`, 1), `ComponentName ".."`},
		"no own version":   {strings.Replace(head, "1.0.0", `""`, 1), "ComponentVersion is missing"},
		"a key twice":      {head + "a: 1\na: 2", "a"},
		"a key of lists":   {head + "? [a]\n: 1", "a key must be a plain text"},
		"too long":         {head + "x: " + strings.Repeat("x", maxRecipeBytes), "recipe over 262144 bytes"},
		"blown up":         {head + bomb(), "more than 20000 values"},
	} {
		if _, err := ParseRecipe(strings.NewReader(test.recipe)); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: got %v, want %q", name, err, test.want)
		}
	}
}

// bomb is a list of lists of aliases, 10^6 values in a few lines.
func bomb() string {
	s := "a: &a [x,x,x,x,x,x,x,x,x,x]\n"
	for c := 'b'; c <= 'f'; c++ {
		alias := "*" + string(c-1)
		s += string(c) + ": &" + string(c) + " [" + strings.Repeat(alias+",", 9) + alias + "]\n"
	}
	return s
}

func TestLoadRecipe(t *testing.T) {
	path := filepath.Join(t.TempDir(), "recipe.yaml")
	if _, err := LoadRecipe(path); err == nil {
		t.Error("no file, no error")
	}
	if err := os.WriteFile(path, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := LoadRecipe(path); err == nil || !strings.Contains(err.Error(), path) {
		t.Errorf("got %v", err)
	}
	if err := os.WriteFile(path, []byte(recipeYAML), 0o600); err != nil {
		t.Fatal(err)
	}
	r, err := LoadRecipe(path)
	if err != nil || r.Name != "com.example.agent" || r.Version != "1.0.0" {
		t.Errorf("got %+v, %v", r, err)
	}
}

func TestManifests(t *testing.T) {
	manifest := func(platform, lifecycle string) string {
		return head + "Manifests:\n  - Platform: {" + platform + "}\n    Lifecycle: {" + lifecycle + "}\n"
	}
	for name, test := range map[string]struct {
		recipe     string
		java, lite bool
	}{
		"portable":           {manifest(`os: linux, runtime: "*"`, "run: x"), true, true},
		"this machine":       {manifest(`os: linux, architecture: `+architecture()+`, runtime: "*"`, "run: x"), true, true},
		"startup":            {manifest(`os: linux, runtime: "*"`, "startup: x"), true, true},
		"all":                {manifest(`os: all, runtime: "*"`, "run: x"), true, true},
		"no runtime":         {manifest(`os: linux`, "run: x"), true, false},
		"no os":              {manifest(`runtime: "*"`, "run: x"), true, false},
		"anything":           {head + "Manifests:\n  - Lifecycle: {run: x}\n", true, false},
		"lite's":             {manifest(`os: linux, runtime: aws_nucleus_lite`, "run: x"), false, true},
		"windows":            {manifest(`os: windows, runtime: "*"`, "run: x"), false, false},
		"another processor":  {manifest(`os: linux, architecture: sparc, runtime: "*"`, "run: x"), false, false},
		"expression":         {manifest(`os: "/linux|darwin/", runtime: "*"`, "run: x"), true, false},
		"wrong expression":   {manifest(`os: "/(/", runtime: "*"`, "run: x"), false, false},
		"attribute":          {manifest(`os: linux, runtime: "*", color: red`, "run: x"), false, true},
		"any attribute":      {manifest(`os: linux, runtime: "*", color: "*"`, "run: x"), true, true},
		"upper case":         {manifest(`os: linux, runtime: "*"`, "Run: x"), true, false},
		"install only":       {manifest(`os: linux, runtime: "*"`, "install: x"), false, false},
		"no manifests":       {head, false, false},
		"global lifecycle":   {head + "Manifests:\n  - Platform: {os: linux, runtime: '*'}\nLifecycle:\n  linux: {run: x}\n", true, true},
		"environment":        {manifest(`os: linux, runtime: "*"`, "run: {script: x, Setenv: {A: b}}"), true, true},
		"numbers in JSON":    {`{"RecipeFormatVersion":"2020-01-25","ComponentName":"a","ComponentVersion":"1","Manifests":[{"Platform":{"os":"linux","runtime":"*"},"Lifecycle":{"Setenv":{"A":1},"run":"x"}}]}`, true, false},
		"null in manifests":  {head + "Manifests: [null, 5]\n", false, false},
		"second one matches": {head + "Manifests:\n  - Platform: {os: windows, runtime: '*'}\n    Lifecycle: {}\n  - Platform: {os: linux, runtime: '*'}\n    Lifecycle: {run: x}\n", true, true},
	} {
		r, err := ParseRecipe(strings.NewReader(test.recipe))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		for nucleus, want := range map[greengrass.Nucleus]bool{greengrass.Java: test.java, greengrass.Lite: test.lite} {
			if _, _, err := r.resolve(nucleus); (err == nil) != want {
				t.Errorf("%s: %v: %v", name, nucleus, err)
			}
		}
	}
}

func TestInstallTwice(t *testing.T) {
	c := newCore(t, Options{})
	install(t, c, recipeYAML)
	r, err := ParseRecipe(strings.NewReader(recipeYAML))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Install(r); err == nil {
		t.Error("installed twice")
	}
}

func TestEnviron(t *testing.T) {
	t.Setenv("AWS_REGION", "mars-north-1")
	t.Setenv("AWS_GG_NUCLEUS_DOMAIN_SOCKET_FILEPATH", "/another/core")
	t.Setenv("PROCFS_PATH", "/host/proc")
	recipe := strings.Replace(recipeYAML, "run: exec {artifacts:path}/agent",
		`{run: {script: x}, Setenv: {A: "{iot:thingName}", B: "{no:such} ${HOME}", PROCFS_PATH: /other}}`, 1)
	for nucleus, want := range map[greengrass.Nucleus]map[string]string{
		greengrass.Java: {
			"AWS_GG_NUCLEUS_DOMAIN_SOCKET_FILEPATH_FOR_COMPONENT": "/gg/ipc.socket",
			"AWS_GG_NUCLEUS_DOMAIN_SOCKET_FILEPATH":               "/gg/ipc.socket",
			"GGC_VERSION":                                         "2.18.0",
		},
		greengrass.Lite: {
			"AWS_GG_NUCLEUS_DOMAIN_SOCKET_FILEPATH_FOR_COMPONENT": "/gg/gg-ipc.socket",
			"GGC_VERSION": "2.6.0",
		},
	} {
		c := newCore(t, Options{Nucleus: nucleus, Root: "/gg"})
		k := install(t, c, recipe)
		got := map[string]string{}
		for _, variable := range k.Environ() {
			name, value, _ := strings.Cut(variable, "=")
			if _, twice := got[name]; twice {
				t.Errorf("%s is there twice", name)
			}
			got[name] = value
		}
		want["SVCUID"], want["AWS_CONTAINER_AUTHORIZATION_TOKEN"] = k.Token(), k.Token()
		want["AWS_IOT_THING_NAME"] = "example-thing"
		want["AWS_REGION"], want["AWS_DEFAULT_REGION"] = "eu-central-1", "eu-central-1"
		want["GG_ROOT_CA_PATH"] = "/gg/rootCA.pem"
		want["A"], want["B"], want["PROCFS_PATH"] = "example-thing", "{no:such} ${HOME}", "/other"
		want["PATH"] = os.Getenv("PATH")
		for name, value := range got {
			if _, expected := want[name]; !expected && strings.HasPrefix(name, "AWS_GG") {
				t.Errorf("%v: %s=%s", nucleus, name, value)
			}
			if _, expected := want[name]; !expected {
				delete(got, name)
			}
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%v (-want +got):\n%s", nucleus, diff)
		}
		if k.WorkDir() != "/gg/work/com.example.agent" {
			t.Errorf("work folder %s", k.WorkDir())
		}
	}
}

func FuzzParseRecipe(f *testing.F) {
	f.Add([]byte(recipeYAML))
	f.Add([]byte(typesYAML))
	f.Add([]byte(head + bomb()))
	f.Add([]byte(`{"RecipeFormatVersion":"2020-01-25","ComponentName":"a","ComponentVersion":"1","Manifests":[{}]}`))
	f.Add([]byte(head + "x: !!float .inf\ny: !!int 99999999999999999999\nz: !!binary x\nw: !<tag:x> y\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := ParseRecipe(strings.NewReader(string(b)))
		if err != nil {
			return
		}
		for _, nucleus := range []greengrass.Nucleus{greengrass.Java, greengrass.Lite} {
			c, err := New(Options{Nucleus: nucleus})
			if err != nil {
				t.Fatal(err)
			}
			if k, err := c.Install(r); err == nil {
				if _, err := c.encode(c.spell(k.Configuration())); err != nil {
					t.Errorf("the configuration has no JSON: %v", err)
				}
			}
			c.Close()
		}
	})
}
