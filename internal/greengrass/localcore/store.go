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
	// lite minds the case of keys, refuses to turn a map into a leaf and the
	// reverse, and raises one event per changed leaf.
	lite  bool
	nodes int
	// undead are the maps that a nucleus' restart brings back.
	undead []buried
}

// node is a map (children not nil) or a leaf.
type node struct {
	name     string // as it was first written
	children map[string]*node
	value    any
	modified time.Time
}

func newStore(lite bool) *store {
	return &store{root: &node{children: map[string]*node{}}, lite: lite}
}

func (s *store) key(name string) string {
	if s.lite {
		return name
	}
	return strings.ToLower(name)
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
	if len(n.children) == 0 {
		return n.modified
	}
	var newest time.Time
	for _, child := range n.children {
		if t := child.newest(); t.After(newest) {
			newest = t
		}
	}
	return newest
}

// merge writes value, a map or a leaf, at path: maps are merged, leaves
// replaced unless the stored one is newer. It returns the path of each event
// that the nucleus raises for it.
func (s *store) merge(path []string, value any, at time.Time) (events [][]string, err error) {
	if len(path) == 0 {
		if _, isMap := value.(map[string]any); !isMap {
			return nil, errors.New("a configuration is a map")
		}
	}
	path = s.spelled(path)
	n := s.root
	for i, name := range path {
		child := n.children[s.key(name)]
		if i < len(path)-1 && child != nil && child.children == nil {
			return nil, &leafError{path[:i+1]}
		}
		if child == nil {
			break
		}
		n = child
	}
	for _, name := range slices.Backward(path) {
		value = map[string]any{name: value}
	}
	w := s.writer(at)
	err = w.write(s.root, nil, value)
	return w.events, err
}

// leafError is a path that goes through a leaf.
type leafError struct{ path []string }

func (e *leafError) Error() string { return strings.Join(e.path, ".") + " is a value, not a map" }

// replace makes the configuration equal to value: merge, and what value does
// not have is removed. A deployment does this (Kernel's UpdateBehaviorTree
// REPLACE on the Java nucleus).
func (s *store) replace(value map[string]any, at time.Time) (events [][]string, err error) {
	w := s.writer(at)
	w.replaces = true
	err = w.write(s.root, nil, value)
	return w.events, err
}

func (s *store) writer(at time.Time) *writer {
	return &writer{store: s, at: at, now: time.UnixMilli(time.Now().UnixMilli())}
}

// writer is one change of a store.
type writer struct {
	store    *store
	at       time.Time // of the change
	now      time.Time // of new maps, until they are not empty (Topics.java)
	replaces bool
	events   [][]string
}

// raise records that the nucleus raises n events for a path.
func (w *writer) raise(n int, path []string) {
	for range n {
		w.events = append(w.events, slices.Clone(path))
	}
}

// write writes value to n, which is at path and of the same kind.
func (w *writer) write(n *node, path []string, value any) error {
	object, isMap := value.(map[string]any)
	if !isMap {
		if w.at.Before(n.modified) {
			return nil
		}
		n.modified = w.at
		if !reflect.DeepEqual(n.value, value) {
			n.value = value
			w.raise(1, path)
		}
		return nil
	}
	missing := maps.Clone(n.children)
	for _, name := range sortedKeys(object) {
		delete(missing, w.store.key(name))
		if err := w.writeChild(n, path, name, object[name]); err != nil {
			return err
		}
	}
	for _, key := range sortedKeys(missing) {
		if w.replaces {
			w.remove(n, path, missing[key])
		}
	}
	return nil
}

// writeChild writes value to a child of n, which is at path.
func (w *writer) writeChild(n *node, path []string, name string, value any) error {
	s := w.store
	_, isMap := value.(map[string]any)
	child := n.children[s.key(name)]
	if child != nil && isMap != (child.children != nil) {
		if s.lite {
			return fmt.Errorf("%s cannot be both a map and a value", strings.Join(append(slices.Clip(path), name), "."))
		}
		// The Java nucleus removes the old node and creates another one.
		w.raise(1, append(slices.Clip(path), child.name))
		s.nodes -= 1 + child.count()
		child = nil
	}
	if child != nil {
		return w.write(child, append(slices.Clip(path), child.name), value)
	}
	if s.nodes++; s.nodes > maxNodes {
		return errors.New("configuration too large")
	}
	child = &node{name: name}
	n.children[s.key(name)] = child
	path = append(slices.Clip(path), name)
	if !isMap {
		w.create(child, path, value)
		return nil
	}
	child.children, child.modified = map[string]*node{}, w.now
	return w.write(child, path, value)
}

// create gives a new leaf its value. The Java nucleus raises an event for the
// leaf and another one for its value (Topics.createLeafChild,
// Topic.withNewerValue), which is null before; lite raises one.
func (w *writer) create(n *node, path []string, value any) {
	n.value, n.modified = value, w.at
	w.raise(1, path)
	if !w.store.lite && value != nil {
		w.raise(1, path)
	}
}

// remove removes a child of parent, which is at path. The Java nucleus raises
// one event for it, also for a map (Topics.remove); lite none.
func (w *writer) remove(parent *node, path []string, n *node) {
	s := w.store
	s.nodes -= 1 + n.count()
	delete(parent.children, s.key(n.name))
	if s.lite {
		return
	}
	below := append(slices.Clip(path), n.name)
	w.raise(1, below)
	if n.children != nil {
		s.undead = append(s.undead, buried{path, n})
	}
}

// buried is a map that was removed.
type buried struct {
	path []string // of its parent
	node *node
}

// reload brings back what the Java nucleus finds in its transaction log when it
// starts: a removed map, because its time when it is read is later than that of
// its removal (ConfigurationReader; run of 2.18). A removed leaf stays away.
func (s *store) reload() {
	for _, b := range s.undead {
		parent := s.find(b.path)
		if parent != nil && parent.children != nil && parent.children[s.key(b.node.name)] == nil {
			parent.children[s.key(b.node.name)] = b.node
			s.nodes += 1 + b.node.count()
		}
	}
	s.undead = nil
}

// remove removes what is at path, without an event.
func (s *store) remove(path []string) {
	n := s.find(path)
	if n == nil {
		return
	}
	s.nodes -= n.count()
	if len(path) == 0 {
		n.children = map[string]*node{}
		return
	}
	last := len(path) - 1
	delete(s.find(path[:last]).children, s.key(path[last]))
	s.nodes--
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
	c.undead = slices.Clone(s.undead)
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
