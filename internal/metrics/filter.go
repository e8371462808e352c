package metrics

import (
	"fmt"
	"path"
)

// Filter selects interfaces by name with the globs of [path.Match], for
// example "eth*" or "veth*".
type Filter struct {
	// Include, if not empty, lists the only interfaces selected.
	Include []string
	// Exclude takes interfaces away, also included ones.
	Exclude []string
}

// Check returns an error naming the first malformed pattern.
func (f Filter) Check() error {
	for _, patterns := range [][]string{f.Include, f.Exclude} {
		for _, p := range patterns {
			if _, err := path.Match(p, ""); err != nil {
				return fmt.Errorf("interface pattern %q: %w", p, err)
			}
		}
	}
	return nil
}

// Match reports whether the interface is selected.
func (f Filter) Match(name string) bool {
	return (len(f.Include) == 0 || matchAny(f.Include, name)) && !matchAny(f.Exclude, name)
}

func matchAny(patterns []string, name string) bool {
	for _, p := range patterns {
		if ok, _ := path.Match(p, name); ok {
			return true
		}
	}
	return false
}
