package profilefile

import (
	"fmt"
	"slices"

	"github.com/device-defender/device-defender/internal/defender/profile"
)

// Validate returns everything in the set that AWS would refuse or that would
// do nothing, in the order of the files: what Check says of each document, and
// what only the set shows, as a name that two documents have. References to
// custom metrics and dimensions that are not in the set are taken to be
// registered already. What Parse has reported is not reported again.
func (s *Set) Validate() []profile.Problem {
	v := validation{set: s}
	registry := s.Registry()
	registry.Open = true
	// name, problems and the most there may be of each kind
	validateAll(&v, ProfileDocument, s.Profiles, 0, func(p *profile.Profile) (string, []profile.Problem) { return p.Name, p.Check(registry) })
	validateAll(&v, CustomMetricDocument, s.CustomMetrics, profile.MaxCustomMetrics, func(m *profile.CustomMetric) (string, []profile.Problem) { return m.Name, m.Check() })
	validateAll(&v, DimensionDocument, s.Dimensions, profile.MaxDimensions, func(d *profile.Dimension) (string, []profile.Problem) { return d.Name, d.Check() })
	validateAll(&v, MitigationActionDocument, s.MitigationActions, profile.MaxMitigationActions, func(a *profile.MitigationAction) (string, []profile.Problem) { return a.Name, a.Check() })
	v.targets()
	s.sort(v.problems)
	return v.problems
}

// nameKeys are the keys of documents' names, by kind.
var nameKeys = [documentKinds]string{"securityProfileName", "metricName", "name", "actionName"}

// validation collects the problems of a set.
type validation struct {
	set      *Set
	problems []profile.Problem
}

// report adds a problem of a document, unless Parse has said why.
func (v *validation) report(kind DocumentKind, index int, p profile.Problem) {
	missing := p.Rule == "required" || p.Rule == "threshold"
	if !v.set.unread(kind, index, p.Path, missing) {
		v.problems = append(v.problems, v.set.located(kind, index, p))
	}
}

// validateAll checks the documents of one kind; most is 0 for no limit.
func validateAll[T any](v *validation, kind DocumentKind, documents []T, most int, check func(*T) (string, []profile.Problem)) {
	first := map[string]int{}
	for i := range documents {
		name, problems := check(&documents[i])
		for _, p := range problems {
			v.report(kind, i, p)
		}
		if name == "" {
			continue
		}
		if other, twice := first[name]; twice {
			message := fmt.Sprintf("there are two %ss %q", kind, name)
			if file, line, _ := v.set.Locate(kind, other, nameKeys[kind]); line > 0 {
				message += fmt.Sprintf(", the other at %s:%d", file, line)
			}
			v.report(kind, i, profile.Problem{Path: nameKeys[kind], Severity: profile.Error, Rule: "duplicate-name", Message: message, Want: "a name of its own"})
			continue
		}
		first[name] = i
	}
	if most > 0 && len(first) > most {
		v.report(kind, len(documents)-1, profile.Problem{
			Severity: profile.Error, Rule: "quota",
			Message: fmt.Sprintf("the set has %d %ss", len(first), kind), Want: fmt.Sprintf("%d at most in an account", most),
		})
	}
}

// targets checks how many profiles a target has.
func (v *validation) targets() {
	profiles := map[string]int{}
	for i, p := range v.set.Profiles {
		for j, text := range p.Targets {
			target, err := profile.ParseTarget(text)
			if err != nil {
				continue
			}
			if profiles[target.Short()]++; profiles[target.Short()] == profile.MaxProfilesPerTarget+1 {
				v.report(ProfileDocument, i, profile.Problem{
					Path: profile.IndexPath("targets", j), Severity: profile.Error, Rule: "quota",
					Message: fmt.Sprintf("%s is the target of more than %d profiles", target.Short(), profile.MaxProfilesPerTarget),
					Want:    fmt.Sprintf("%d profiles at most per target", profile.MaxProfilesPerTarget),
				})
			}
		}
	}
}

// sort puts the problems in the order of the files.
func (s *Set) sort(problems []profile.Problem) {
	order := make(map[string]int, len(s.files))
	for i, file := range s.files {
		order[file] = i
	}
	slices.SortStableFunc(problems, func(a, b profile.Problem) int {
		if a.File != b.File {
			return order[a.File] - order[b.File]
		}
		if a.Line != b.Line {
			return a.Line - b.Line
		}
		return a.Column - b.Column
	})
}
