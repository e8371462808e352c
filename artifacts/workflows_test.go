package artifacts

import (
	"path/filepath"
	"regexp"
	"testing"

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
			Uses yaml.Node      `yaml:"uses"`
			With map[string]any `yaml:"with"`
		} `yaml:"steps"`
	} `yaml:"jobs"`
}

// TestWorkflows: actions are pinned by commit, with the version in a comment;
// a job writes nothing that it does not have to; none leaves its token in the
// clone; only the job that publishes proves who it is, in its environment.
func TestWorkflows(t *testing.T) {
	pinned := regexp.MustCompile(`^(actions|aws-actions)/[a-z-]+@[0-9a-f]{40}$`)
	version := regexp.MustCompile(`^# v\d+\.\d+\.\d+$`)
	checkout := regexp.MustCompile(`^actions/checkout@`)
	writes := map[string]map[string]string{
		"release.yml publish": {"contents": "read", "id-token": "write", "attestations": "write"},
		"release.yml release": {"contents": "write"},
	}
	for _, path := range files(t, "../.github/workflows/*.yml") {
		var w workflow
		if err := yaml.Unmarshal([]byte(read(t, path)), &w); err != nil {
			t.Fatalf("%s: %v", path, err)
		}
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
			if (job.Permissions["id-token"] == "write") != (job.Environment == "release") {
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
			}
		}
	}
}
