// Package container_test runs the recipe of the container variant.
package container_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.yaml.in/yaml/v3"

	"github.com/device-defender/device-defender/recipes"
)

const componentName = "community.greengrass.DeviceDefender.Container"

// What the build puts in place of COMPONENT_NAME and COMPONENT_VERSION: here,
// names of containers, volumes and images that nobody has.
const (
	name    = "device-defender-test"
	version = "0.0.0-test"
)

// text is the recipe as the build leaves it.
func text(t *testing.T) string {
	t.Helper()
	template, err := os.ReadFile("recipe.yaml")
	if err != nil {
		t.Fatal(err)
	}
	return strings.NewReplacer("COMPONENT_NAME", name, "COMPONENT_VERSION", version).Replace(string(template))
}

// recipe is what the tests look at in a recipe.
type recipe struct {
	ComponentConfiguration struct {
		DefaultConfiguration map[string]any `yaml:"DefaultConfiguration"`
	} `yaml:"ComponentConfiguration"`
	Manifests []struct {
		Platform  map[string]string `yaml:"Platform"`
		Lifecycle map[string]struct {
			Script string `yaml:"Script"`
		} `yaml:"Lifecycle"`
	} `yaml:"Manifests"`
}

func parse(t *testing.T, text string) recipe {
	t.Helper()
	var r recipe
	if err := yaml.Unmarshal([]byte(text), &r); err != nil {
		t.Fatal(err)
	}
	return r
}

// scripts returns those for this machine, with the folder of the artifacts.
func scripts(t *testing.T, artifacts string) (install, run string) {
	t.Helper()
	architecture := map[string]string{"arm64": "aarch64"}[runtime.GOARCH]
	if architecture == "" {
		architecture = runtime.GOARCH
	}
	for _, m := range parse(t, text(t)).Manifests {
		if m.Platform["architecture"] == architecture {
			install = strings.ReplaceAll(m.Lifecycle["install"].Script, "{artifacts:path}", artifacts)
			return install, m.Lifecycle["run"].Script
		}
	}
	t.Skipf("no manifest for %s", architecture)
	return "", ""
}

// The two recipes' configurations are the same but for where /proc is and the
// names of the policies, which a core wants to be unique.
func TestConfigurationOfTheNativeRecipe(t *testing.T) {
	native := strings.NewReplacer(
		"ProcPath: /proc\n", "ProcPath: /host-proc\n",
		"community.greengrass.DeviceDefender:", componentName+":",
	).Replace(string(recipes.DeviceDefender))
	want := parse(t, native).ComponentConfiguration
	if diff := cmp.Diff(want, parse(t, text(t)).ComponentConfiguration); diff != "" {
		t.Errorf("configuration (-native +container):\n%s", diff)
	}
}

func TestOneRunScriptForAllArchitectures(t *testing.T) {
	r := parse(t, text(t))
	for _, m := range r.Manifests[1:] {
		if diff := cmp.Diff(r.Manifests[0].Lifecycle["run"], m.Lifecycle["run"]); diff != "" {
			t.Errorf("%s (-%s):\n%s", m.Platform, r.Manifests[0].Platform, diff)
		}
	}
}

// The command line that the run script comes to, in a shell as the nucleus uses
// it, where the nucleus has a long path with a space and names its socket by a
// relative one.
func TestCommandLine(t *testing.T) {
	root := filepath.Join(t.TempDir(), "a green grass")
	work := filepath.Join(root, "work", componentName)
	if err := os.MkdirAll(work, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(root, "ipc.socket"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	bin := t.TempDir()
	stub := "#!/bin/sh\n[ \"$1\" = run ] || exit 1\nprintf '%s\\n' \"$@\"\n"
	if err := os.WriteFile(filepath.Join(bin, "docker"), []byte(stub), 0o700); err != nil {
		t.Fatal(err)
	}
	_, script := scripts(t, "")
	shell := exec.Command("sh", "-c", script)
	shell.Dir = work
	shell.Env = []string{
		"PATH=" + bin + ":" + os.Getenv("PATH"), "SVCUID=TOKEN", "AWS_IOT_THING_NAME=thing",
		"AWS_GG_NUCLEUS_DOMAIN_SOCKET_FILEPATH_FOR_COMPONENT=../../ipc.socket",
	}
	shell.Stderr = os.Stderr
	out, err := shell.Output()
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		"run", "--rm", "--name", name, "--pull", "never", "--log-driver", "none",
		"--network", "none", "--read-only", "--cap-drop", "ALL", "--security-opt", "no-new-privileges", "--user", "60931:60931",
		"--mount", "type=bind,source=/proc,target=/host-proc,readonly",
		"--mount", "type=bind,source=" + root + "/ipc.socket,target=/ipc.socket",
		"--mount", "type=volume,source=" + name + "-60931,target=/state",
		"-e", "AWS_GG_NUCLEUS_DOMAIN_SOCKET_FILEPATH_FOR_COMPONENT=/ipc.socket",
		"-e", "SVCUID", "-e", "AWS_IOT_THING_NAME", "-e", "AWS_REGION", "-e", "GGC_VERSION",
		"device-defender:" + version,
	}
	if diff := cmp.Diff(want, strings.Split(strings.TrimSpace(string(out)), "\n")); diff != "" {
		t.Errorf("arguments of docker (-want +got):\n%s", diff)
	}
}
