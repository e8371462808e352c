package agent

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/device-defender/device-defender/internal/defender/report"
	"github.com/device-defender/device-defender/internal/greengrass"
	"github.com/device-defender/device-defender/internal/greengrass/localcore"
	"github.com/device-defender/device-defender/internal/metrics"
	"github.com/device-defender/device-defender/recipes"
)

func parseJSON(t testing.TB, text string, last Config) (Config, []string) {
	t.Helper()
	var raw map[string]any
	if err := json.Unmarshal([]byte(text), &raw); err != nil {
		t.Fatal(err)
	}
	config, problems := Parser{Defaults: DefaultConfig(), MinInterval: MinSampleInterval}.Parse(raw, last)
	var list []string
	for _, p := range problems {
		list = append(list, p.String())
	}
	return config, list
}

// with returns the default configuration with one change.
func with(change func(*Config)) Config {
	c := DefaultConfig()
	change(&c)
	return c
}

func TestConfigurationValues(t *testing.T) {
	interval := func(seconds int) Config {
		return with(func(c *Config) { c.SampleInterval = time.Duration(seconds) * time.Second })
	}
	proc := with(func(c *Config) { c.ProcPath = "/host-proc" })
	noCPU := with(func(c *Config) { c.Metrics.Custom = map[string]metrics.Source{} })
	custom := func(name string, s metrics.Source) Config {
		return with(func(c *Config) { c.Metrics.Custom[name] = s })
	}
	tests := []struct {
		name, config string
		want         Config
	}{
		{"empty", `{}`, DefaultConfig()},
		{"number", `{"SampleIntervalSeconds": 600}`, interval(600)},
		{"double, as the Java nucleus makes of it", `{"SampleIntervalSeconds": 6.0E2}`, interval(600)},
		{"string, as nucleus lite makes of YAML", `{"SampleIntervalSeconds": "600"}`, interval(600)},
		{"string of a double", `{"SampleIntervalSeconds": "600.0"}`, interval(600)},
		{"key of the Java nucleus in another case", `{"sampleintervalseconds": 600}`, interval(600)},
		{"the Lambda's name", `{"SAMPLE_INTERVAL_SECONDS": "900"}`, interval(900)},
		{"the key's own name wins", `{"SAMPLE_INTERVAL_SECONDS": 900, "SampleIntervalSeconds": 600}`, interval(600)},
		{"an older name beside the recipe's default", `{"SampleIntervalSeconds": "300", "SAMPLE_INTERVAL_SECONDS": 900}`, interval(900)},
		{"the Lambda's parameters beside the recipe's default", `{"ProcPath": "/proc", "lambdaParams": {"EnvironmentVariables": {"PROCFS_PATH": "/host-proc"}}}`, proc},
		{"null", `{"SampleIntervalSeconds": null}`, DefaultConfig()},
		{"null, as nucleus lite makes of YAML", `{"SampleIntervalSeconds": "null"}`, DefaultConfig()},
		{"retries", `{"PublishRetryCount": "0"}`, with(func(c *Config) { c.PublishRetryCount = 0 })},
		{"retries by the environment's name", `{"GG_DD_PUB_RETRY_COUNT": 72}`, with(func(c *Config) { c.PublishRetryCount = 72 })},
		{"proc path", `{"ProcPath": "/host-proc/"}`, proc},
		{"proc path of the Lambda", `{"PROCFS_PATH": "/host-proc"}`, proc},
		{"proc path of the connector", `{"ProcDestinationPath": "/host-proc", "ProcDestinationPath-ResourceId": "x"}`, proc},
		{"the Lambda's parameters", `{"lambdaExecutionParameters": {"EnvironmentVariables": {"PROCFS_PATH": "/host-proc"}}, "containerMode": "NoContainer"}`, proc},
		{"the Lambda's parameters, other spelling", `{"lambdaParams": {"EnvironmentVariables": {"PROCFS_PATH": "/host-proc"}}}`, proc},
		{"accepted and ignored", `{"UseInstaller": "true", "accessControl": {}, "pubsubTopics": {}, "containerParams": {"memorySize": 50000}}`, DefaultConfig()},
		{"format", `{"ReportFormat": "CBOR", "ReportNames": "short"}`,
			with(func(c *Config) { c.Encoding = report.Encoding{Format: report.CBOR, Names: report.Short} })},
		{"topic", `{"ReportTopic": "$aws/rules/my_rule/{thing}"}`, with(func(c *Config) { c.ReportTopic = "$aws/rules/my_rule/{thing}" })},
		{"no topic", `{"ReportTopic": ""}`, DefaultConfig()},
		{"topic with history", `{"ReportTopic": "my/topic", "ReportQoS": "1"}`, with(func(c *Config) { c.ReportTopic, c.ReportQoS = "my/topic", 1 })},
		{"validation", `{"ValidateDeployments": "true"}`, with(func(c *Config) { c.ValidateDeployments = true })},
		{"interfaces", `{"Interfaces": {"Include": ["eth*"], "Exclude": ["eth9"]}}`,
			with(func(c *Config) {
				c.Metrics.Interfaces = metrics.Filter{Include: []string{"eth*"}, Exclude: []string{"eth9"}}
			})},
		{"interfaces as words", `{"Interfaces": {"Exclude": "veth*, docker0"}}`,
			with(func(c *Config) { c.Metrics.Interfaces = metrics.Filter{Exclude: []string{"veth*", "docker0"}} })},
		{"loopback", `{"IncludeLoopback": "false"}`, with(func(c *Config) { c.Metrics.IncludeLoopback = false })},
		{"half-closed connections", `{"IncludeHalfClosed": "true"}`, with(func(c *Config) { c.Metrics.IncludeHalfClosed = true })},
		{"items", `{"MaxListItems": 50}`, with(func(c *Config) { c.Metrics.MaxListItems = 50 })},
		{"log level", `{"LogLevel": "debug"}`, with(func(c *Config) { c.LogLevel = slog.LevelDebug })},
		{"built-in metric by its name", `{"CustomMetrics": {"uptime": true}}`,
			custom("uptime", metrics.Source{Builtin: "uptime", Type: report.Number})},
		{"built-in metric renamed", `{"CustomMetrics": {"up": "uptime"}}`,
			custom("up", metrics.Source{Builtin: "uptime", Type: report.Number})},
		{"built-in metric as an object", `{"CustomMetrics": {"nics": {"Source": "interface_names"}}}`,
			custom("nics", metrics.Source{Builtin: "interface_names", Type: report.StringList})},
		{"metric of a file", `{"CustomMetrics": {"gpu": {"File": "/run/gpu"}}}`,
			custom("gpu", metrics.Source{File: "/run/gpu", Type: report.Number})},
		{"metric of a file with a type", `{"CustomMetrics": {"peers": {"File": "peers", "Type": "ip-address-list"}}}`,
			custom("peers", metrics.Source{File: "peers", Type: report.IPList})},
		{"default metric switched off", `{"CustomMetrics": {"cpu_usage": "false"}}`, noCPU},
		{"default metric switched off as an object", `{"CustomMetrics": {"cpu_usage": {"Source": "off"}}}`, noCPU},
		{"metric of a file switched off by what is merged to it", `{"CustomMetrics": {"gpu": {"File": "/run/gpu", "Type": "number", "Source": "off"}}}`, DefaultConfig()},
		{"metric of a file that is taken away", `{"CustomMetrics": {"gpu": {"File": "", "Type": "number"}}}`, DefaultConfig()},
		{"metric of a file that is taken away by null", `{"CustomMetrics": {"gpu": {"File": null, "Type": "number"}}}`, DefaultConfig()},
		{"metric of a file that is taken away by null on lite", `{"CustomMetrics": {"gpu": {"File": "null", "Type": "number"}}}`, DefaultConfig()},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got, problems := parseJSON(t, test.config, DefaultConfig())
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("configuration (-want +got):\n%s", diff)
			}
			if problems != nil {
				t.Errorf("problems: %q", problems)
			}
		})
	}
}

func TestConfigurationProblems(t *testing.T) {
	tests := []struct{ config, want string }{
		{`{"SampleIntervalSeconds": 299}`, `SampleIntervalSeconds: 299, want 300 to 86400 seconds`},
		{`{"SampleIntervalSeconds": 86401}`, `SampleIntervalSeconds: 86401, want 300 to 86400 seconds`},
		{`{"SampleIntervalSeconds": 300.5}`, `SampleIntervalSeconds: 300.5, want 300 to 86400 seconds`},
		{`{"SampleIntervalSeconds": "nan"}`, `SampleIntervalSeconds: "nan", want 300 to 86400 seconds`},
		{`{"SampleIntervalSeconds": 1e300}`, `SampleIntervalSeconds: 1e+300, want 300 to 86400 seconds`},
		{`{"SampleIntervalSeconds": [300]}`, `SampleIntervalSeconds: [300], want 300 to 86400 seconds`},
		{`{"SAMPLE_INTERVAL_SECONDS": true}`, `SAMPLE_INTERVAL_SECONDS: true, want 300 to 86400 seconds`},
		{`{"PublishRetryCount": 73}`, `PublishRetryCount: 73, want 0 to 72`},
		{`{"PublishRetryCount": -1}`, `PublishRetryCount: -1, want 0 to 72`},
		{`{"ProcPath": "proc"}`, `ProcPath: "proc", want an absolute path such as "/proc"`},
		{`{"ReportFormat": "xml"}`, `ReportFormat: "xml", want "json" or "cbor"`},
		{`{"ReportNames": 1}`, `ReportNames: 1, want "long" or "short"`},
		{`{"ReportTopic": "a/#"}`, `ReportTopic: "a/#", want a topic without wildcards, such as "$aws/rules/my_rule/{thing}", or ""`},
		{`{"Interfaces": {"Include": [1]}}`, `Interfaces.Include: [1], want a list of interface names, which may hold * and ?`},
		{`{"Interfaces": {"Include": ["["]}}`, `Interfaces: map[Include:[[]], want well-formed patterns: interface pattern "[": syntax error in pattern`},
		{`{"Interfaces": "eth0"}`, `Interfaces: "eth0", want {"Include": [...], "Exclude": [...]}`},
		{`{"IncludeLoopback": "yes"}`, `IncludeLoopback: "yes", want true or false`},
		{`{"IncludeHalfClosed": 1}`, `IncludeHalfClosed: 1, want true or false`},
		{`{"MaxListItems": 0}`, `MaxListItems: 0, want 1 to 2000`},
		{`{"ReportTopic": "a/{Thing}"}`, `ReportTopic: "a/{Thing}", want a topic without wildcards, such as "$aws/rules/my_rule/{thing}", or ""`},
		{`{"SampleIntervalSeconds": "0x1p9"}`, `SampleIntervalSeconds: "0x1p9", want 300 to 86400 seconds`},
		{`{"LogLevel": "ERROR+1000"}`, `LogLevel: "ERROR+1000", want "debug", "info", "warn" or "error"`},
		{`{"CustomMetrics": {"x": {"Type": "number"}}}`, `CustomMetrics.x.File: nothing, want the path of a file`},
		{`{"LogLevel": "loud"}`, `LogLevel: "loud", want "debug", "info", "warn" or "error"`},
		{`{"CustomMetrics": []}`, `CustomMetrics: [], want an object such as {"uptime": true}`},
		{`{"CustomMetrics": {"gpu": {"File": "/run/gpu", "Type": "float"}}}`, `CustomMetrics.gpu.Type: "float", want number, number-list, string-list or ip-address-list`},
		{`{"CustomMetrics": {"gpu": {"File": 1}}}`, `CustomMetrics.gpu.File: 1, want the path of a file`},
		{`{"ReportQoS": 2}`, `ReportQoS: 2, want 0 or 1`},
		{`{"ValidateDeployments": 1}`, `ValidateDeployments: 1, want true or false`},
		{`{"SampleInterval": 300}`, `key without effect SampleInterval: did you mean SampleIntervalSeconds?`},
		{`{"ReportFormt": "json"}`, `key without effect ReportFormt: did you mean ReportFormat?`},
		{`{"Frobnicate": 1}`, `key without effect Frobnicate: it has no effect`},
	}
	for _, test := range tests {
		config, problems := parseJSON(t, test.config, DefaultConfig())
		if diff := cmp.Diff([]string{test.want}, problems); diff != "" {
			t.Errorf("%s (-want +got):\n%s", test.config, diff)
		}
		if diff := cmp.Diff(DefaultConfig(), config); diff != "" {
			t.Errorf("%s changed the configuration (-want +got):\n%s", test.config, diff)
		}
	}
}

// A wrong value keeps the last good one and does not cost the other keys.
func TestWrongValueKeepsTheLastGoodOne(t *testing.T) {
	last, _ := parseJSON(t, `{"SampleIntervalSeconds": 600, "CustomMetrics": {"gpu": {"File": "/run/gpu"}}}`, DefaultConfig())
	got, problems := parseJSON(t, `{"SampleIntervalSeconds": 5, "MaxListItems": 20,
		"CustomMetrics": {"gpu": 7, "uptime": true, "bad name": true}}`, last)
	want := with(func(c *Config) {
		c.SampleInterval = 600 * time.Second
		c.Metrics.MaxListItems = 20
		c.Metrics.Custom["gpu"] = metrics.Source{File: "/run/gpu", Type: report.Number}
		c.Metrics.Custom["uptime"] = metrics.Source{Builtin: "uptime", Type: report.Number}
	})
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("configuration (-want +got):\n%s", diff)
	}
	if len(problems) != 3 || !strings.HasPrefix(problems[0], "CustomMetrics.bad name:") ||
		!strings.HasPrefix(problems[1], "CustomMetrics.gpu: 7, want true, false, one of cpu_usage,") ||
		!strings.HasPrefix(problems[2], "SampleIntervalSeconds:") {
		t.Errorf("problems: %q", problems)
	}
	// A key that is taken away goes back to its default.
	if got, _ := parseJSON(t, `{}`, last); got.SampleInterval != MinSampleInterval {
		t.Errorf("interval %v after the key was removed", got.SampleInterval)
	}
}

// The environment of older generations counts where the recipe has only its
// default.
func TestEnvironmentBesideTheRecipesDefaults(t *testing.T) {
	fromEnvironment := with(func(c *Config) { c.PublishRetryCount = 9 })
	p := Parser{Defaults: fromEnvironment, MinInterval: MinSampleInterval}
	for count, want := range map[any]int{5.0: 9, "5": 9, 7.0: 7, nil: 9} {
		if c, _ := p.Parse(map[string]any{"PublishRetryCount": count}, fromEnvironment); c.PublishRetryCount != want {
			t.Errorf("PublishRetryCount %v beside 9 of the environment: %d, want %d", count, c.PublishRetryCount, want)
		}
	}
}

// Every setting that can be set can be written.
func TestDocumentHasEveryKey(t *testing.T) {
	document := DefaultConfig().Document()
	for _, k := range keys {
		if _, ok := document[k.name]; k.set != nil && !ok {
			t.Errorf("document lacks %s", k.name)
		}
	}
}

// throughJSON returns a document as it comes out of the state file.
func throughJSON(t *testing.T, document map[string]any) (read map[string]any) {
	t.Helper()
	text, err := json.Marshal(document)
	if err == nil {
		err = json.Unmarshal(text, &read)
	}
	if err != nil {
		t.Fatal(err)
	}
	return read
}

// A value that the nucleus could not deliver is no value: the last good one
// stays.
func TestUndeliveredValues(t *testing.T) {
	last := with(func(c *Config) { c.SampleInterval, c.ReportTopic = 600*time.Second, "my/topic" })
	p := Parser{Defaults: DefaultConfig(), MinInterval: MinSampleInterval}
	raw := make(map[string]any)
	for _, name := range readableNames() {
		raw[name] = undelivered{}
	}
	config, problems := p.Parse(raw, last)
	if diff := cmp.Diff(last, config); diff != "" {
		t.Errorf("configuration (-want +got):\n%s", diff)
	}
	for _, problem := range problems {
		if !problem.Invalid || !strings.Contains(problem.String(), "a value that the nucleus can't deliver") {
			t.Errorf("problem %v", problem)
		}
	}
}

func FuzzParseConfiguration(f *testing.F) {
	f.Add(`{"SampleIntervalSeconds": "300", "Interfaces": {"Include": ["eth*"]}}`)
	f.Add(`{"CustomMetrics": {"a": {"File": "x", "Type": "number"}, "b": "uptime", "c": false, "d": {"Source": []}}}`)
	f.Add(`{"lambdaParams": {"EnvironmentVariables": {"lambdaParams": {"EnvironmentVariables": {"PROCFS_PATH": "/x"}}}}}`)
	f.Add(`{"LogLevel": "INFO+99999999999", "ReportTopic": "{thing}", "IncludeLoopback": "TRUE"}`)
	f.Fuzz(func(t *testing.T, text string) {
		var raw map[string]any
		if json.Unmarshal([]byte(text), &raw) != nil {
			t.Skip()
		}
		p := Parser{Defaults: DefaultConfig(), MinInterval: MinSampleInterval}
		c, _ := p.Parse(raw, p.Defaults)
		if c.SampleInterval < MinSampleInterval || c.SampleInterval > MaxSampleInterval ||
			c.PublishRetryCount < 0 || c.PublishRetryCount > MaxPublishRetryCount ||
			c.Metrics.MaxListItems < 1 || c.Metrics.MaxListItems > MaxListItems ||
			len(c.Metrics.Custom) > MaxCustomMetrics || c.Metrics.Interfaces.Check() != nil {
			t.Errorf("out of bounds: %+v", c)
		}
		again, problems := p.Parse(throughJSON(t, c.Document()), p.Defaults)
		if diff := cmp.Diff(c, again, cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("problems %v; configuration that was written and read again (-want +got):\n%s", problems, diff)
		}
	})
}

// The recipe has every key with its default, as either nucleus delivers it.
func TestRecipeHasTheDefaults(t *testing.T) {
	for _, nucleus := range []greengrass.Nucleus{greengrass.Java, greengrass.Lite} {
		core, err := localcore.New(localcore.Options{Nucleus: nucleus, ThingName: "thing"})
		if err != nil {
			t.Fatal(err)
		}
		defer core.Close()
		recipe, err := localcore.ParseRecipe(bytes.NewReader(recipes.DeviceDefender))
		if err != nil {
			t.Fatal(err)
		}
		component, err := core.Install(recipe)
		if err != nil {
			t.Fatal(err)
		}
		text, err := json.Marshal(component.Configuration()) // as it travels
		if err != nil {
			t.Fatal(err)
		}
		var configuration map[string]any
		if err := json.Unmarshal(text, &configuration); err != nil {
			t.Fatal(err)
		}
		// A default that differs from the recipe's shows which one counted.
		last := with(func(c *Config) { c.LogLevel = slog.LevelError })
		config, problems := Parser{Defaults: last, MinInterval: MinSampleInterval}.Parse(configuration, last)
		if diff := cmp.Diff(DefaultConfig(), config); diff != "" || problems != nil {
			t.Errorf("%v: the recipe's configuration, problems %v (-want +got):\n%s", nucleus, problems, diff)
		}
		for _, k := range keys {
			if _, ok := configuration[k.name]; k.set != nil && !ok {
				t.Errorf("%v: the recipe lacks %s", nucleus, k.name)
			}
		}
	}
}

// The README's tables have every key with its older names, and every source.
func TestReadmeHasTheConfiguration(t *testing.T) {
	text, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, k := range keys {
		if k.name != "accessControl" {
			names = append(append(names, k.name), k.synonyms...)
		}
	}
	for _, name := range append(names, metrics.Builtins()...) {
		if !strings.Contains(string(text), "`"+name+"`") {
			t.Errorf("the README does not have %s", name)
		}
	}
}
