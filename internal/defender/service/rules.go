package service

import (
	"context"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/device-defender/device-defender/internal/defender/detect"
	"github.com/device-defender/device-defender/internal/defender/effect"
	"github.com/device-defender/device-defender/internal/defender/profile"
	"github.com/device-defender/device-defender/internal/defender/store"
)

// ruleSet is what the profiles of one version of the rules say, ready to
// evaluate reports by. It is immutable, and safe for concurrent use.
type ruleSet struct {
	version  uint64
	rules    *detect.Rules
	registry profile.Registry // that they were compiled with
	coverage []*coverage      // by the profile's name
	merged   sync.Map         // of sets of profiles: string -> *covered
}

// coverage is what a profile keeps of the things that it applies to.
type coverage struct {
	profile string
	targets []profile.Target
	metrics map[profile.MetricRef]profile.Kind // used or retained
	models  map[profile.MetricRef][]string     // behaviors that a model would learn for
	topic   string                             // alert target
	notes   []string                           // on what is without effect, but for behaviors that are not evaluated
}

func (c *coverage) appliesTo(t *profile.Thing) bool {
	return slices.ContainsFunc(c.targets, func(target profile.Target) bool { return target.Matches(t) })
}

// covered is what all profiles of a thing keep.
type covered struct {
	metrics map[profile.MetricRef]profile.Kind
	models  map[profile.MetricRef][]string // keys of models
}

// covering returns what is kept of the thing. Things to which the same profiles
// apply share it.
func (r *ruleSet) covering(t *profile.Thing) *covered {
	key := make([]byte, (len(r.coverage)+7)/8)
	for i, c := range r.coverage {
		if c.appliesTo(t) {
			key[i/8] |= 1 << (i % 8)
		}
	}
	if found, ok := r.merged.Load(string(key)); ok {
		return found.(*covered)
	}
	all := &covered{metrics: map[profile.MetricRef]profile.Kind{}, models: map[profile.MetricRef][]string{}}
	for i, c := range r.coverage {
		if key[i/8]&(1<<(i%8)) == 0 {
			continue
		}
		maps.Copy(all.metrics, c.metrics)
		for metric, behaviors := range c.models {
			for _, behavior := range behaviors {
				all.models[metric] = append(all.models[metric], modelKey(c.profile, behavior))
			}
		}
	}
	found, _ := r.merged.LoadOrStore(string(key), all)
	return found.(*covered)
}

// topic returns the alert target of a profile, "" if it has none, and whether
// the profile is there.
func (r *ruleSet) topic(name string) (topic string, there bool) {
	i, found := slices.BinarySearchFunc(r.coverage, name, func(c *coverage, name string) int { return strings.Compare(c.profile, name) })
	if !found {
		return "", false
	}
	return r.coverage[i].topic, true
}

// rulesCache holds the latest rules that this process has compiled.
type rulesCache struct {
	mu     sync.Mutex // of compiling
	latest atomic.Pointer[ruleSet]
}

// rulesFor returns the rules of the version that is in the snapshot.
func (s *Service) rulesFor(r *store.Reader, version uint64) (*ruleSet, error) {
	if latest := s.rules.latest.Load(); latest != nil && latest.version == version {
		return latest, nil
	}
	s.rules.mu.Lock()
	defer s.rules.mu.Unlock()
	latest := s.rules.latest.Load()
	if latest != nil && latest.version == version {
		return latest, nil
	}
	compiled, err := s.compileRules(r, version, latest)
	if err != nil {
		return nil, err
	}
	if latest == nil || latest.version < version {
		s.rules.latest.Store(compiled)
	}
	return compiled, nil
}

// guardedRules returns the rules, and has the transaction fail if they change
// before it commits: nothing is evaluated by rules that are no longer in force.
func (s *Service) guardedRules(tx *store.Tx) (*ruleSet, error) {
	version, _, err := tableMeta.GetForUpdate(tx, metaRules)
	if err != nil {
		return nil, err
	}
	return s.rulesFor(&tx.Reader, version)
}

// compileRules reads all profiles, and compiles those that are not in the rules
// before.
func (s *Service) compileRules(r *store.Reader, version uint64, before *ruleSet) (*ruleSet, error) {
	known, dimensions, err := registry(r)
	if err != nil {
		return nil, err
	}
	targets, err := targetsByProfile(r)
	if err != nil {
		return nil, err
	}
	rules := &ruleSet{version: version, registry: known}
	var attached []detect.Attached
	for entry, err := range tableProfiles.Scan(r, store.Range{}) {
		if err != nil {
			return nil, err
		}
		document := &entry.Value.Document
		a := detect.Attached{Profile: document, Registry: known, Targets: targets[entry.Key], Revision: entry.Value.Revision}
		attached = append(attached, a)
		rules.coverage = append(rules.coverage, s.newCoverage(a))
	}
	compiled := new(detect.Rules)
	if before != nil && maps.Equal(before.registry.CustomMetrics, known.CustomMetrics) && maps.Equal(before.registry.Dimensions, known.Dimensions) {
		compiled = before.rules
	}
	rules.rules = compiled.Recompile(attached, dimensions)
	return rules, nil
}

// targetsByProfile reads what the profiles are attached to.
func targetsByProfile(r *store.Reader) (map[string][]profile.Target, error) {
	targets := map[string][]profile.Target{}
	for entry, err := range tableTargets.Scan(r, store.Range{}) {
		if err != nil {
			return nil, err
		}
		name, arn, _ := strings.Cut(entry.Key, "\x00")
		target, err := profile.ParseTarget(arn)
		if err != nil {
			return nil, err
		}
		targets[name] = append(targets[name], target)
	}
	return targets, nil
}

func (s *Service) newCoverage(a detect.Attached) *coverage {
	p := a.Profile
	c := &coverage{
		profile: p.Name, targets: a.Targets,
		metrics: map[profile.MetricRef]profile.Kind{}, models: map[profile.MetricRef][]string{},
		topic: topicOf(p.AlertTargets),
		notes: s.notesOn(p, slices.DeleteFunc(s.Without(), func(what string) bool { return what == effect.ML })),
	}
	for _, u := range p.Uses() {
		if m, ok := profile.MetricOf(u.Name, a.Registry); ok {
			c.metrics[u.MetricRef] = m.Kind
		}
		if u.Behavior != nil && criteriaType(u.Behavior) == machineLearning {
			c.models[u.MetricRef] = append(c.models[u.MetricRef], u.Behavior.Name)
		}
	}
	return c
}

// currentRules returns the rules as they are now.
func (s *Service) currentRules(ctx context.Context) (rules *ruleSet, err error) {
	err = s.read(ctx, func(r *store.Reader) error {
		version, _, err := tableMeta.Get(r, metaRules)
		if err != nil {
			return err
		}
		rules, err = s.rulesFor(r, version)
		return err
	})
	return rules, err
}

// sayWithoutEffect logs what of the profile, or of all when it is empty, is kept
// and has no effect: nothing in the API tells of it but the status of models.
func (s *Service) sayWithoutEffect(rules *ruleSet, name string) {
	for _, refused := range rules.rules.Refused() {
		if name == "" || name == refused.Profile {
			s.log.Error("security profile is not evaluated", "profile", refused.Profile, "error", refused.Err)
		}
	}
	for _, u := range rules.rules.Unevaluated() {
		if name == "" || name == u.Profile {
			s.log.Warn("behavior is not evaluated", "profile", u.Profile, "behavior", u.Behavior, "reason", u.Reason)
		}
	}
	for _, c := range rules.coverage {
		for _, note := range c.notes {
			if name == "" || name == c.profile {
				s.log.Warn("a part of the profile is without effect", "profile", c.profile, "note", note)
			}
		}
	}
}
