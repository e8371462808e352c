package artifacts

import (
	"encoding/json"
	"regexp"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.yaml.in/yaml/v3"

	"github.com/device-defender/device-defender/internal/agent"
	"github.com/device-defender/device-defender/recipes"
)

// deployment is the input of Greengrass' CreateDeployment, as far as the files
// use it.
type deployment struct {
	TargetArn      string `json:"targetArn"`
	DeploymentName string `json:"deploymentName"`
	Components     map[string]struct {
		Version       string `json:"componentVersion"`
		Configuration struct {
			Merge string `json:"merge"` // a JSON document
		} `json:"configurationUpdate"`
	} `json:"components"`
	Policies struct {
		FailureHandling string `json:"failureHandlingPolicy"`
		ComponentUpdate struct {
			Action  string `json:"action"`
			Timeout int    `json:"timeoutInSeconds"`
		} `json:"componentUpdatePolicy"`
		Validation struct {
			Timeout int `json:"timeoutInSeconds"`
		} `json:"configurationValidationPolicy"`
	} `json:"deploymentPolicies"`
	Job *struct {
		Rollout struct {
			Rate struct {
				Base     int     `json:"baseRatePerMinute"`
				Factor   float64 `json:"incrementFactor"`
				Criteria struct {
					Succeeded int `json:"numberOfSucceededThings"`
				} `json:"rateIncreaseCriteria"`
			} `json:"exponentialRate"`
			Maximum int `json:"maximumPerMinute"`
		} `json:"jobExecutionsRolloutConfig"`
		Abort struct {
			Criteria []struct {
				Type      string  `json:"failureType"`
				Action    string  `json:"action"`
				Threshold float64 `json:"thresholdPercentage"`
				Minimum   int     `json:"minNumberOfExecutedThings"`
			} `json:"criteriaList"`
		} `json:"abortConfig"`
	} `json:"iotJobConfiguration"`
}

const component = "community.greengrass.DeviceDefender"

func readDeployment(t *testing.T, name string) deployment {
	t.Helper()
	var d deployment
	if err := decode(read(t, name), &d); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return d
}

func between[N int | float64](n, least, most N) bool { return least <= n && n <= most }

func TestDeployments(t *testing.T) {
	target := regexp.MustCompile(`^arn:aws:iot:REGION:ACCOUNT:(thing/CORE|thinggroup/GROUP)$`)
	var recipe struct {
		Name    string `yaml:"ComponentName"`
		Version string `yaml:"ComponentVersion"`
	}
	if err := yaml.Unmarshal(recipes.DeviceDefender, &recipe); err != nil {
		t.Fatal(err)
	}
	for _, name := range files(t, "deployments/*.json") {
		d := readDeployment(t, name)
		if !target.MatchString(d.TargetArn) || !between(len(d.DeploymentName), 1, 256) {
			t.Errorf("%s: target %q, name %q", name, d.TargetArn, d.DeploymentName)
		}
		c, ok := d.Components[recipe.Name]
		if !ok || len(d.Components) != 1 || recipe.Name != component {
			t.Errorf("%s: components %v, want only %s", name, d.Components, recipe.Name)
		}
		if c.Version != recipe.Version {
			t.Errorf("%s: version %s, the recipe has %s", name, c.Version, recipe.Version)
		}
		if _, problems := parse(t, c.Configuration.Merge); len(problems) > 0 {
			t.Errorf("%s: %v", name, problems)
		}
		// The component validates: without a validation policy the nucleus
		// waits 30 seconds for the verdict.
		if p := d.Policies; p.FailureHandling != "ROLLBACK" || p.ComponentUpdate.Action != "NOTIFY_COMPONENTS" ||
			p.ComponentUpdate.Timeout < 1 || p.Validation.Timeout < 30 {
			t.Errorf("%s: policies %+v", name, p)
		}
		if j := d.Job; j != nil {
			r := j.Rollout
			if !between(r.Rate.Base, 1, 1000) || !between(r.Rate.Factor, 1.1, 5) || r.Rate.Criteria.Succeeded < 1 || !between(r.Maximum, r.Rate.Base, 1000) {
				t.Errorf("%s: rollout %+v", name, r)
			}
			for _, a := range j.Abort.Criteria {
				if !slices.Contains([]string{"FAILED", "REJECTED", "TIMED_OUT", "ALL"}, a.Type) || a.Action != "CANCEL" ||
					!between(a.Threshold, 0.01, 100) || a.Minimum < 1 {
					t.Errorf("%s: abort criteria %+v", name, a)
				}
			}
		}
	}
}

// parse reads a configuration as the component does.
func parse(t *testing.T, document string) (agent.Config, []agent.Problem) {
	t.Helper()
	var raw map[string]any
	if err := json.Unmarshal([]byte(document), &raw); err != nil {
		t.Fatalf("%s: %v", document, err)
	}
	defaults := agent.DefaultConfig()
	return agent.Parser{Defaults: defaults, MinInterval: agent.MinSampleInterval}.Parse(raw, defaults)
}

// TestMigrationsKeepTheConfiguration compares each migration with the
// configuration it comes from: all is kept but the place of /proc, which a
// native component does not find in a container.
func TestMigrationsKeepTheConfiguration(t *testing.T) {
	tests := []struct{ file, before string }{
		{"deployments/migrate-from-v1-connector.json",
			`{"SampleIntervalSeconds": "600", "ProcDestinationPath": "/host_proc", "ProcDestinationPath-ResourceId": "proc"}`},
		{"deployments/migrate-from-aws-component.json",
			`{"SampleIntervalSeconds": "300", "PublishRetryCount": "5", "UseInstaller": "true"}`},
		{"deployments/migrate-from-aws-component.json",
			`{"lambdaParams": {"EnvironmentVariables": {"PROCFS_PATH": "/host-proc", "SAMPLE_INTERVAL_SECONDS": "300"}},
			  "containerMode": "GreengrassContainer", "containerParams": {"memorySize": 50000}, "pubsubTopics": {}}`},
	}
	for _, test := range tests {
		before, problems := parse(t, test.before)
		if len(problems) > 0 {
			t.Fatalf("%s: %v", test.before, problems)
		}
		after, _ := parse(t, readDeployment(t, test.file).Components[component].Configuration.Merge)
		if after.ProcPath != "/proc" {
			t.Errorf("%s: /proc is looked for at %s", test.file, after.ProcPath)
		}
		before.ProcPath = after.ProcPath
		if diff := cmp.Diff(before, after); diff != "" {
			t.Errorf("%s differs from %s (-before +after):\n%s", test.file, test.before, diff)
		}
	}
}
