package profilefile

import (
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/device-defender/device-defender/internal/defender/profile"
	"github.com/device-defender/device-defender/internal/spelling"
)

// LintContext is what is known of the things that profiles are for. The more
// of it there is, the more Lint can tell.
type LintContext struct {
	Things   int           // how many report; 0 is not known
	Interval time.Duration // between two reports of a thing; 0 is not known
	Samples  []Sample      // what some of them report
	Ignore   []string      // rules that are not applied
}

// Sample is what one report says.
type Sample struct {
	Name   string                   // for messages, as the file that it's from
	Values map[string]profile.Value // by the name of the metric
}

// Fact is a part of LintContext.
type Fact string

const (
	NoFact       Fact = ""
	ThingsFact   Fact = "things"
	IntervalFact Fact = "interval"
	SampleFact   Fact = "report"
)

// Rule is what documents are held to.
type Rule struct {
	Name        string
	Severity    profile.Severity // errors cannot be silenced
	Summary     string           // one sentence
	Explanation string           // a paragraph
	Needs       Fact             // what the rule cannot do without
}

// Rules returns all rules: first the errors, which Parse, Validate and Check
// find, then the warnings of Lint.
func Rules() []Rule {
	var rules []Rule
	for _, c := range profile.Checks {
		rules = append(rules, Rule{Name: c.Name, Severity: profile.Error, Summary: c.Summary, Explanation: checkExplanations[c.Name]})
	}
	for _, r := range lintRules {
		rules = append(rules, r.Rule)
	}
	return rules
}

// FindRule returns the rule of that name. When there is none, the error says
// which was probably meant.
func FindRule(name string) (Rule, error) {
	rules := Rules()
	if i := slices.IndexFunc(rules, func(r Rule) bool { return r.Name == name }); i >= 0 {
		return rules[i], nil
	}
	if meant := nearestRule(name); meant != "" {
		return Rule{}, fmt.Errorf("there is no rule %q; want %q", name, meant)
	}
	return Rule{}, fmt.Errorf("there is no rule %q", name)
}

func nearestRule(name string) string {
	var names []string
	for _, r := range Rules() {
		names = append(names, r.Name)
	}
	return spelling.Nearest(name, names)
}

// Lint returns what is allowed in the set but probably not meant, in the order
// of the files. It expects a set that Validate accepts, and skips what is invalid.
//
// A profile's own lint.ignore silences rules. One that names no rule is an
// error, one that silences nothing a warning.
func Lint(s *Set, o LintContext) []profile.Problem {
	l := linter{set: s, context: o, registry: s.Registry()}
	for i := range lintRules {
		l.apply(&lintRules[i])
	}
	kept := l.silence()
	slices.SortStableFunc(kept, func(a, b finding) int { return a.index - b.index })
	var problems []profile.Problem
	for _, f := range kept {
		if !slices.Contains(o.Ignore, f.Rule) && !s.unread(f.kind, f.index, f.Path, true) {
			problems = append(problems, s.located(f.kind, f.index, f.Problem))
		}
	}
	s.sort(problems)
	return problems
}

// Merge returns all problems in the order of the set's files.
func (s *Set) Merge(problems ...[]profile.Problem) []profile.Problem {
	all := slices.Concat(problems...)
	s.sort(all)
	return all
}

// lintRule is a rule and what finds where it's broken: in a whole profile or
// in one behavior.
type lintRule struct {
	Rule
	profile  func(*linter, *profile.Profile)
	behavior func(*linter, subject)
	action   func(*linter, *profile.MitigationAction)
}

// subject is a behavior that rules are applied to.
type subject struct {
	*profile.Behavior
	path     string
	criteria *profile.Criteria // never nil
	metric   profile.Metric    // without what is not known of it
	known    bool              // the metric's model
}

// operator returns the path of the comparison operator.
func (b subject) operator() string { return b.path + ".criteria.comparisonOperator" }

// value returns the path of a member of the value.
func (b subject) value(kind profile.Kind) string { return b.path + ".criteria.value." + string(kind) }

// threshold returns the fixed number that the metric is compared with.
func (b subject) threshold() (n float64, path string, ok bool) {
	v := b.criteria.Value
	if v == nil {
		return 0, "", false
	}
	n, ok = v.Scalar()
	return n, b.value(v.Kind()), ok
}

// percent returns the percentage of a statistical threshold.
func (b subject) percent() (percent float64, ok bool) {
	if b.criteria.StatisticalThreshold == nil {
		return 0, false
	}
	return profile.StatisticPercent(b.criteria.StatisticalThreshold.Statistic)
}

// linter collects what the rules find.
type linter struct {
	set      *Set
	context  LintContext
	registry profile.Registry

	// What is being looked at.
	rule     *lintRule
	kind     DocumentKind
	index    int
	behavior string

	found []finding
}

// finding is a problem that has not been located yet.
type finding struct {
	profile.Problem
	kind     DocumentKind
	index    int    // of the document
	behavior string // "" is the whole profile
}

func (l *linter) warn(path, message, want string) {
	l.found = append(l.found, finding{
		profile.NewProblem(l.rule.Severity, path, l.rule.Name, message, want),
		l.kind, l.index, l.behavior,
	})
}

// has reports whether the context has what a rule needs.
func (o LintContext) has(f Fact) bool {
	switch f {
	case ThingsFact:
		return o.Things > 0
	case IntervalFact:
		return o.Interval > 0
	case SampleFact:
		return len(o.Samples) > 0
	}
	return true
}

func (l *linter) apply(r *lintRule) {
	if !l.context.has(r.Needs) {
		return
	}
	l.rule = r
	for i := range l.set.MitigationActions {
		if r.action != nil {
			l.kind, l.index, l.behavior = MitigationActionDocument, i, ""
			r.action(l, &l.set.MitigationActions[i])
		}
	}
	for i := range l.set.Profiles {
		p := &l.set.Profiles[i]
		l.kind, l.index, l.behavior = ProfileDocument, i, ""
		if r.profile != nil {
			r.profile(l, p)
		}
		if r.behavior == nil {
			continue
		}
		for j := range p.Behaviors {
			l.behavior = p.Behaviors[j].Name
			r.behavior(l, l.subject(p, j))
		}
	}
}

func (l *linter) subject(p *profile.Profile, index int) subject {
	b := subject{Behavior: &p.Behaviors[index], path: profile.IndexPath("behaviors", index)}
	if b.criteria = b.Criteria; b.criteria == nil {
		b.criteria = &profile.Criteria{}
	}
	if b.metric, b.known = profile.MetricOf(b.Metric, l.registry); !b.known {
		b.metric = profile.Metric{Name: b.Metric, Title: b.Metric}
		if !profile.IsAWS(b.Metric) {
			b.metric.Side = profile.Custom
		}
	}
	return b
}

// silence drops the findings that profiles ignore, and adds what is wrong with
// the ignores.
func (l *linter) silence() []finding {
	silenced := make([]bool, len(l.found))
	var own []finding
	for i := range l.set.Profiles {
		p := &l.set.Profiles[i]
		if p.Lint == nil {
			continue
		}
		l.kind, l.index, l.behavior = ProfileDocument, i, ""
		before := len(l.found)
		for j, ignore := range p.Lint.Ignore {
			l.ignore(p, profile.IndexPath("lint.ignore", j), ignore, silenced)
		}
		own = append(own, l.found[before:]...)
		l.found = l.found[:before]
	}
	var kept []finding
	for i, f := range l.found {
		if !silenced[i] {
			kept = append(kept, f)
		}
	}
	return append(kept, own...)
}

// ignore marks the findings that one entry of lint.ignore is for.
func (l *linter) ignore(p *profile.Profile, path string, ignore profile.LintIgnore, silenced []bool) {
	rule, err := FindRule(ignore.Rule)
	l.rule = findLintRule("lint-ignore")
	switch {
	case ignore.Rule == "":
		l.warn(path, "rule is missing", "the name of the rule to ignore")
		return
	case err != nil:
		want := "the name of a rule"
		if meant := nearestRule(ignore.Rule); meant != "" {
			want = strconv.Quote(meant)
		}
		l.warn(path+".rule", fmt.Sprintf("there is no rule %q", ignore.Rule), want)
		return
	case rule.Severity == profile.Error:
		l.warn(path+".rule", fmt.Sprintf("rule %s cannot be ignored: AWS refuses what breaks it, or it does nothing", rule.Name), "the document mended")
		return
	}
	if ignore.Behavior != "" && !slices.ContainsFunc(p.Behaviors, func(b profile.Behavior) bool { return b.Name == ignore.Behavior }) {
		names := make([]string, len(p.Behaviors))
		for i, b := range p.Behaviors {
			names[i] = b.Name
		}
		l.warn(path+".behavior", fmt.Sprintf("the profile has no behavior %q", ignore.Behavior), spelling.Suggest(ignore.Behavior, names))
		return
	}
	used := false
	for i, f := range l.found[:len(silenced)] {
		if f.kind == ProfileDocument && f.index == l.index && f.Rule == rule.Name && (ignore.Behavior == "" || ignore.Behavior == f.behavior) {
			silenced[i], used = true, true
		}
	}
	// Without what the rule needs it's not known what there is to silence.
	if !used && l.context.has(rule.Needs) {
		l.rule = findLintRule("unused-ignore")
		of := "the profile"
		if ignore.Behavior != "" {
			of = "behavior " + ignore.Behavior
		}
		l.warn(path, fmt.Sprintf("%s is ignored, but %s does not break it", rule.Name, of), "no such entry")
	}
}

func findLintRule(name string) *lintRule {
	return &lintRules[slices.IndexFunc(lintRules, func(r lintRule) bool { return r.Name == name })]
}
