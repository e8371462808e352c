package agent

import (
	"fmt"
	"log/slog"
	"maps"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/device-defender/device-defender/internal/defender/report"
	"github.com/device-defender/device-defender/internal/metrics"
)

// Limits of the configuration.
const (
	// MinSampleInterval is Device Defender's "device metric minimum delay":
	// what is reported sooner may be throttled.
	MinSampleInterval = 300 * time.Second
	// MaxSampleInterval keeps a device well inside the two days after which
	// Detect invalidates its alarms.
	MaxSampleInterval = 24 * time.Hour
	// MaxPublishRetryCount is that of AWS's component.
	MaxPublishRetryCount = 72
	// MaxListItems is what 128 KiB can hold of the shortest entries.
	MaxListItems = 2000
	// MaxCustomMetrics is how many a report carries at the most.
	MaxCustomMetrics = 50
)

// Config is the component's configuration.
type Config struct {
	SampleInterval    time.Duration
	PublishRetryCount int
	// ProcPath is where the host's /proc is mounted.
	ProcPath string
	Encoding report.Encoding
	// ReportTopic replaces Device Defender's topic if not empty; {thing} in it
	// stands for the thing's name. Nothing answers there.
	ReportTopic string
	// ReportQoS is the MQTT quality of service on ReportTopic. Device Defender's
	// own topic always has 0: it takes no history.
	ReportQoS int
	Metrics   metrics.Options
	LogLevel  slog.Level
	// ValidateDeployments lets the component refuse deployments with a wrong
	// configuration. On the Java nucleus that makes deployments fail which change
	// another component too: see the package comment of greengrass.
	ValidateDeployments bool
}

// DefaultConfig is the configuration of a component that was given none. Its
// values are those of AWS's component where that has the setting.
func DefaultConfig() Config {
	cpu, _ := metrics.Builtin("cpu_usage")
	return Config{
		SampleInterval:    MinSampleInterval,
		PublishRetryCount: 5,
		ProcPath:          "/proc",
		Metrics: metrics.Options{
			IncludeLoopback: true,
			MaxListItems:    metrics.DefaultMaxListItems,
			Custom:          map[string]metrics.Source{"cpu_usage": cpu},
		},
		LogLevel: slog.LevelInfo,
	}
}

// Problem is something wrong with a configuration.
type Problem struct {
	// Key is as the user wrote it, with a path for nested keys.
	Key   string
	Value any
	// Want says what would be right.
	Want string
	// Invalid is set for a value that can't be used, clear for a key that has no
	// effect: only the former makes a proposed configuration bad.
	Invalid bool
}

func (p Problem) String() string {
	if !p.Invalid {
		return fmt.Sprintf("key without effect %s: %s", p.Key, p.Want)
	}
	return fmt.Sprintf("%s: %s, want %s", p.Key, quote(p.Value), p.Want)
}

// quote shows a configuration value as the user would write it, shortened.
func quote(v any) string {
	if v == nil {
		return "nothing"
	}
	s := fmt.Sprintf("%v", v)
	if text, ok := v.(string); ok {
		s = fmt.Sprintf("%q", text)
	}
	if runes := []rune(s); len(runes) > 80 {
		s = string(runes[:80]) + "..."
	}
	return s
}

// Parser reads configurations as they come over IPC.
type Parser struct {
	// Defaults are for keys that are absent.
	Defaults Config
	// MinInterval is the least SampleIntervalSeconds taken.
	MinInterval time.Duration
}

// Parse reads a configuration. A key with a wrong value keeps what it has in
// last, the last good configuration. Nucleus lite delivers the scalars of YAML
// recipes as strings and the Java nucleus turns integers to doubles, so every
// value is taken in each form; the Java nucleus' keys do not depend on case,
// so neither do ours.
func (p Parser) Parse(raw map[string]any, last Config) (Config, []Problem) {
	r := reader{parser: p, config: p.Defaults, last: last}
	r.read(raw)
	slices.SortFunc(r.problems, func(a, b Problem) int { return strings.Compare(a.Key, b.Key) })
	if r.config.ReportQoS != 0 && r.config.ReportTopic == "" {
		r.problems = append(r.problems, Problem{Key: "ReportQoS", Value: r.config.ReportQoS,
			Want: "it counts with a ReportTopic: Device Defender takes no history"})
	}
	return r.config, r.problems
}

// reader is the state of one Parse.
type reader struct {
	parser   Parser
	config   Config
	last     Config
	problems []Problem
}

// setting is a key as it was given.
type setting struct {
	name  string
	value any
}

// read reads a configuration, each key by its own name or by an older one.
func (r *reader) read(raw map[string]any) {
	given := make(map[*key][]setting)
	r.collect(raw, given)
	for _, k := range keys {
		if s := r.choose(k, given[k]); s != nil && !k.set(r, s.name, s.value) {
			k.keep(&r.config, r.last)
		}
	}
}

// collect sorts the settings by their keys and notes those of no key.
func (r *reader) collect(raw map[string]any, given map[*key][]setting) {
	for _, name := range slices.Sorted(maps.Keys(raw)) {
		value := raw[name]
		k := lookup(name)
		switch {
		case k == nil:
			r.problems = append(r.problems, Problem{Key: name, Value: value, Want: suggest(name)})
		case k.nested:
			// The Lambda's parameters: its variables' names are older names.
			parameters, _ := value.(map[string]any)
			variables, _ := member(parameters, "EnvironmentVariables").(map[string]any)
			r.collect(variables, given)
		case k.set != nil && !unset(value):
			given[k] = append(given[k], setting{name, value})
		}
	}
}

// choose returns the setting that counts. A key's own name wins over an older
// one unless it has only the default: the recipe gives every key its default,
// which must not undo what somebody has set. For the same reason a default
// gives way to the environment, which is nil here.
func (r *reader) choose(k *key, given []setting) *setting {
	var own, older *setting
	for i := range given {
		if strings.EqualFold(given[i].name, k.name) {
			own = &given[i]
		} else if older == nil {
			older = &given[i]
		}
	}
	if own != nil && !(len(k.synonyms) > 0 && isDefault(k, own)) {
		return own
	}
	return older
}

// isDefault reports whether a setting is the default of its key.
func isDefault(k *key, s *setting) bool {
	r := reader{parser: Parser{Defaults: DefaultConfig(), MinInterval: MinSampleInterval}, config: DefaultConfig()}
	return k.set(&r, s.name, s.value) && reflect.DeepEqual(r.config, DefaultConfig())
}

// invalid notes a value that can't be used. It returns false.
func (r *reader) invalid(key string, value any, want string) bool {
	r.problems = append(r.problems, Problem{Key: key, Value: value, Want: want, Invalid: true})
	return false
}
