package cli

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spf13/pflag"

	"github.com/device-defender/device-defender/internal/defender/alert"
)

// example is the configuration file that people start from.
const example = "../../artifacts/defenderctl.yaml"

// The example is right as it is, and has every type of channel with all of its keys.
func TestExampleConfiguration(t *testing.T) {
	text, err := os.ReadFile(example)
	if err != nil {
		t.Fatal(err)
	}
	folder := t.TempDir()
	for name, content := range map[string]string{"defenderctl.yaml": string(text), "siem-secret": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\n", "pagerduty-key": strings.Repeat("0", 32)} {
		if err := os.WriteFile(filepath.Join(folder, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"SIEM_URL", "SLACK_URL", "TEAMS_URL", "OCSF_URL"} {
		t.Setenv(name, "https://hooks.example/"+name)
	}
	t.Setenv("SIEM_AUTHORIZATION", "Bearer x")
	var o serveOptions
	flags := pflag.NewFlagSet("serve", pflag.ContinueOnError)
	cmd := newServe()
	flags.AddFlagSet(cmd.Flags())
	if err := flags.Set("config", filepath.Join(folder, "defenderctl.yaml")); err != nil {
		t.Fatal(err)
	}
	if err := o.config.readFrom(flags, &o.alerts.channels, flags.Lookup("config").Value.String()); err != nil {
		t.Fatal(err)
	}
	types := map[alert.Type]bool{}
	for i := range o.alerts.channels {
		types[o.alerts.channels[i].Type] = true
	}
	for _, name := range alert.Types() {
		kind := alert.Type(name)
		if !types[kind] {
			t.Errorf("there is no channel of type %s", name)
		}
		keys, _ := alert.Keys(kind)
		for _, key := range keys {
			if !strings.Contains(string(text), "\n    "+key+":") && !strings.Contains(string(text), "\n    # "+key+":") {
				t.Errorf("no channel has the key %s", key)
			}
		}
	}
	if len(o.config.warnings) > 0 {
		t.Errorf("warnings %q", o.config.warnings)
	}
}
