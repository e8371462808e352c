package localcore

import (
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"time"
)

const (
	// maxNodes bounds a component's configuration, which no nucleus does.
	maxNodes = 20_000
	// liteMaxLeaf is the longest JSON of a leaf that nucleus lite stores
	// (db_corebus.c).
	liteMaxLeaf = 1_024
	// liteMaxPath is the deepest key path below a component's configuration.
	liteMaxPath = 12
)

// store is a component's configuration: a tree of maps whose leaves, lists
// included, each have the time of their last change. Guarded by Core.mu.
type store struct {
	root *node
	// foldCase matches keys without regard to case, as the Java nucleus.
	foldCase bool
	// rigid refuses to turn a map into a leaf and the reverse, as lite.
	rigid bool
	nodes int
}

// node is a map (children not nil) or a leaf.
type node struct {
	name     string // as it was first written
	children map[string]*node
	value    any
	modified time.Time
}

func newStore(foldCase, rigid bool) *store {
	return &store{root: &node{children: map[string]*node{}}, foldCase: foldCase, rigid: rigid}
}

func (s *store) key(name string) string {
	if s.foldCase {
		return strings.ToLower(name)
	}
	return name
}

// find returns the node at path, or nil.
func (s *store) find(path []string) *node {
	n := s.root
	for _, name := range path {
		if n = n.children[s.key(name)]; n == nil {
			return nil
		}
	}
	return n
}

// spelled returns path with the names as they were first written.
func (s *store) spelled(path []string) []string {
	path = slices.Clone(path)
	n := s.root
	for i, name := range path {
		if n = n.children[s.key(name)]; n == nil {
			break
		}
		path[i] = n.name
	}
	return path
}

// get returns a copy of what is at path.
func (s *store) get(path []string) (any, bool) {
	n := s.find(path)
	if n == nil {
		return nil, false
	}
	return n.plain(), true
}

func (n *node) plain() any {
	if n.children == nil {
		return mapScalars(n.value, func(v any) any { return v })
	}
	m := make(map[string]any, len(n.children))
	for _, child := range n.children {
		m[child.name] = child.plain()
	}
	return m
}

// newest is the time of the last change at or below n.
func (n *node) newest() time.Time {
	newest := n.modified
	for _, child := range n.children {
		if t := child.newest(); t.After(newest) {
			newest = t
		}
	}
	return newest
}

// merge writes value, a map or a leaf, at path: maps are merged, leaves
// replaced unless theirs is the newer time. It returns the paths of the leaves
// that changed.
func (s *store) merge(path []string, value any, at time.Time) (changed [][]string, err error) {
	path = s.spelled(path)
	n := s.root
	for i, name := range path {
		if n.children == nil {
			return nil, fmt.Errorf("%s is a value, not a map", strings.Join(path[:i], "."))
		}
		child := n.children[s.key(name)]
		if child == nil {
			// What is written below makes it a map or a leaf.
			for j := len(path) - 1; j >= i; j-- {
				value = map[string]any{path[j]: value}
			}
			return changed, s.write(n, path[:i], value, at, &changed)
		}
		n = child
	}
	err = s.write(n, path, value, at, &changed)
	return changed, err
}

// write writes value to n, which is at path.
func (s *store) write(n *node, path []string, value any, at time.Time, changed *[][]string) error {
	object, isMap := value.(map[string]any)
	switch {
	case !isMap && n.children == nil:
		if at.Before(n.modified) {
			return nil
		}
		n.modified = at
		if !reflect.DeepEqual(n.value, value) {
			n.value = value
			*changed = append(*changed, slices.Clone(path))
		}
		return nil
	case isMap != (n.children != nil):
		if s.rigid {
			return fmt.Errorf("%s cannot be both a map and a value", strings.Join(path, "."))
		}
		s.nodes -= n.count()
		n.children, n.value, n.modified = nil, nil, time.Time{}
		if !isMap {
			n.value, n.modified = value, at
			*changed = append(*changed, slices.Clone(path))
			return nil
		}
		n.children = map[string]*node{}
	}
	for _, name := range sortedKeys(object) {
		child := n.children[s.key(name)]
		fresh := child == nil
		if fresh {
			if s.nodes++; s.nodes > maxNodes {
				return errors.New("configuration too large")
			}
			child = &node{name: name}
			if _, isMap := object[name].(map[string]any); isMap {
				child.children = map[string]*node{}
			}
			n.children[s.key(name)] = child
		}
		below := append(slices.Clip(path), child.name)
		if fresh && child.children == nil {
			child.value, child.modified = object[name], at
			*changed = append(*changed, below)
			continue
		}
		if err := s.write(child, below, object[name], at, changed); err != nil {
			return err
		}
	}
	return nil
}

// remove removes what is at path and returns the leaves that went.
func (s *store) remove(path []string) (removed [][]string) {
	n := s.find(path)
	if n == nil {
		return nil
	}
	removed = n.leaves(s.spelled(path))
	s.nodes -= n.count()
	if len(path) == 0 {
		n.children = map[string]*node{}
		return removed
	}
	last := len(path) - 1
	delete(s.find(path[:last]).children, s.key(path[last]))
	s.nodes--
	return removed
}

// leaves returns the paths of the leaves at or below n, which is at path.
func (n *node) leaves(path []string) (paths [][]string) {
	if n.children == nil {
		return [][]string{path}
	}
	for _, key := range sortedKeys(n.children) {
		child := n.children[key]
		paths = append(paths, child.leaves(append(slices.Clip(path), child.name))...)
	}
	return paths
}

// count is the number of nodes below n.
func (n *node) count() int {
	count := len(n.children)
	for _, child := range n.children {
		count += child.count()
	}
	return count
}

// clone returns a copy to try a change on.
func (s *store) clone() *store {
	c := *s
	c.root = s.root.clone()
	return &c
}

func (n *node) clone() *node {
	c := *n
	if n.children != nil {
		c.children = make(map[string]*node, len(n.children))
		for key, child := range n.children {
			c.children[key] = child.clone()
		}
	}
	return &c
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
