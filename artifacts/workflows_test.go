package artifacts

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.yaml.in/yaml/v3"
)

// workflow is what the tests look at in a GitHub Actions workflow.
type workflow struct {
	Permissions map[string]string `yaml:"permissions"`
	Jobs        map[string]struct {
		Uses        string            `yaml:"uses"`
		Environment string            `yaml:"environment"`
		Permissions map[string]string `yaml:"permissions"`
		Steps       []struct {
			Name string         `yaml:"name"`
			Uses yaml.Node      `yaml:"uses"`
			With map[string]any `yaml:"with"`
			Run  string         `yaml:"run"`
		} `yaml:"steps"`
	} `yaml:"jobs"`
}

func readWorkflow(t *testing.T, path string) (w workflow) {
	t.Helper()
	if err := yaml.Unmarshal([]byte(read(t, path)), &w); err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	return w
}

var (
	// pip is a command of pip's in a script, with the lines that continue it.
	pip = regexp.MustCompile(`pip3?"? install(?:\\\n|.)*`)
	// pipPinned are the two ways in which pip takes nothing but what was meant.
	pipPinned = regexp.MustCompile(`^pip3?"? install (--require-hashes -r [\w./-]+|--no-deps --no-build-isolation [\s\\]*git\+https://[\w./-]+@[0-9a-f]{40})$`)
	// code is what brings code of others, or runs that of the repository.
	code = regexp.MustCompile(`(^|[\s;&|(/])(pip3?|npm|npx|go|git|gh|curl|wget|apt|apt-get|docker|gdk|python3?|bash|sh|source|eval|\.)([\s"]|$)`)
	// takes are the actions of a job with an identity: they fetch artifacts, or
	// use the identity.
	takes = regexp.MustCompile(`^(actions/download-artifact|actions/attest-build-provenance|aws-actions/configure-aws-credentials)@`)
)

// TestWorkflows: actions are pinned by commit, with the version in a comment;
// a job writes nothing that it does not have to; none leaves its token in the
// clone; only the job that publishes proves who it is, in its environment, and
// it takes artifacts and runs nothing of them.
func TestWorkflows(t *testing.T) {
	pinned := regexp.MustCompile(`^(actions|aws-actions)/[a-z-]+@[0-9a-f]{40}$`)
	version := regexp.MustCompile(`^# v\d+\.\d+\.\d+$`)
	checkout := regexp.MustCompile(`^actions/checkout@`)
	writes := map[string]map[string]string{
		"release.yml publish": {"contents": "read", "id-token": "write", "attestations": "write"},
		"release.yml release": {"contents": "write"},
	}
	for _, path := range files(t, "../.github/workflows/*.yml") {
		w := readWorkflow(t, path)
		file := filepath.Base(path)
		if len(w.Permissions) != 1 || w.Permissions["contents"] != "read" {
			t.Errorf("%s: permissions %v", file, w.Permissions)
		}
		for name, job := range w.Jobs {
			if job.Uses != "" && job.Uses != "./.github/workflows/ci.yml" {
				t.Errorf("%s %s: uses %s", file, name, job.Uses)
			}
			want := writes[file+" "+name]
			if len(job.Permissions) != len(want) {
				t.Errorf("%s %s: permissions %v, want %v", file, name, job.Permissions, want)
			}
			for key, access := range want {
				if job.Permissions[key] != access {
					t.Errorf("%s %s: permissions %v, want %v", file, name, job.Permissions, want)
				}
			}
			identity := job.Permissions["id-token"] == "write"
			if identity != (job.Environment == "release") {
				t.Errorf("%s %s: identity in environment %q", file, name, job.Environment)
			}
			for _, step := range job.Steps {
				uses := step.Uses.Value
				if uses != "" && (!pinned.MatchString(uses) || !version.MatchString(step.Uses.LineComment)) {
					t.Errorf("%s %s: %s %s is not pinned", file, name, uses, step.Uses.LineComment)
				}
				if checkout.MatchString(uses) && step.With["persist-credentials"] != false {
					t.Errorf("%s %s: the clone keeps the token", file, name)
				}
				if identity && uses != "" && !takes.MatchString(uses) {
					t.Errorf("%s %s: uses %s, with an identity", file, name, uses)
				}
				if found := code.FindString(step.Run); identity && found != "" {
					t.Errorf("%s %s: runs %q, with an identity", file, name, found)
				}
				for _, command := range pip.FindAllString(step.Run, -1) {
					if !pipPinned.MatchString(command) {
						t.Errorf("%s %s: %s: want hashes, or a commit and no dependencies", file, name, command)
					}
				}
			}
		}
	}
}

// TestRequirements: each package has one version and the hashes of its files.
func TestRequirements(t *testing.T) {
	exact := regexp.MustCompile(`^[a-z0-9-]+==[0-9a-z.]+( --hash=sha256:[0-9a-f]{64})+$`)
	for _, path := range files(t, "../.github/*requirements.txt") {
		lines := strings.ReplaceAll(read(t, path), "\\\n", "")
		for line := range strings.Lines(lines) {
			if line = strings.Join(strings.Fields(line), " "); line != "" && line[0] != '#' && !exact.MatchString(line) {
				t.Errorf("%s: %s", path, line)
			}
		}
	}
}

// TestPublish runs the script that publishes, with a stand-in for AWS's command
// line, on what the build leaves.
func TestPublish(t *testing.T) {
	var script string
	for _, step := range readWorkflow(t, "../.github/workflows/release.yml").Jobs["publish"].Steps {
		if step.Name == "Publish the components" {
			script = step.Run
		}
	}
	dist, bin := t.TempDir(), t.TempDir()
	write := func(name, content string) {
		t.Helper()
		if err := errors.Join(os.MkdirAll(filepath.Dir(name), 0o700), os.WriteFile(name, []byte(content), 0o700)); err != nil {
			t.Fatal(err)
		}
	}
	write(filepath.Join(bin, "aws"), "#!/bin/sh\necho \"$@\"\nfor last; do :; done\ncase $last in fileb://*) ! grep BUCKET_NAME/ \"${last#fileb://}\";; esac\n")
	const native, container = "community.greengrass.DeviceDefender", "community.greengrass.DeviceDefender.Container"
	recipes := map[string]string{native: "../recipes/recipe.yaml", container: "../recipes/container/recipe.yaml"}
	for name, recipe := range recipes {
		filled := strings.NewReplacer("COMPONENT_NAME", name, "COMPONENT_VERSION", "1.2.3").Replace(read(t, recipe))
		write(filepath.Join(dist, "recipes", name+".yaml"), filled)
	}
	// printf x | sha256sum
	const sum = "2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881"
	var sums strings.Builder
	var want []string
	for _, component := range []struct{ name, artifact string }{
		{container, "device-defender-image-linux-%s.tar.gz"}, {native, "device-defender-linux-%s.zip"},
	} {
		var calls []string
		for _, architecture := range []string{"amd64", "arm64", "arm"} {
			file := fmt.Sprintf(component.artifact, architecture)
			write(filepath.Join(dist, "files", file), "x")
			fmt.Fprintf(&sums, "%s  %s\n", sum, file)
			calls = append(calls, fmt.Sprintf("s3 cp --no-progress files/%s s3://bucket/%s/1.2.3/%s", file, component.name, file))
		}
		calls = append(calls, "greengrassv2 create-component-version --inline-recipe fileb://recipes/"+component.name+".yaml")
		want = append(want, calls...)
	}
	write(filepath.Join(dist, "files/SHA256SUMS"), sums.String())
	run := func() ([]string, error) {
		shell := exec.Command("bash", "-e", "-c", script)
		shell.Dir = dist
		shell.Env = []string{"PATH=" + bin + ":" + os.Getenv("PATH"), "BUCKET=bucket", "LC_ALL=C"}
		out, err := shell.CombinedOutput()
		lines := strings.Split(strings.TrimSpace(string(out)), "\n")
		return slices.DeleteFunc(lines, func(line string) bool { return strings.HasSuffix(line, ": OK") }), err
	}
	got, err := run()
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Errorf("calls of aws: %v (-want +got):\n%s", err, diff)
	}
	// Nothing is published when a file is not the one that was built.
	write(filepath.Join(dist, "files/device-defender-linux-arm.zip"), "y")
	if got, err := run(); err == nil || strings.Contains(strings.Join(got, "\n"), "s3 cp") {
		t.Errorf("an artifact that was changed: %v\n%s", err, strings.Join(got, "\n"))
	}
}
