package report

import (
	"fmt"
	"iter"
	"math"
	"sync"
)

// tree is a parsed document in one list: each value is followed by what is in
// it. A map for each object and a box for each number would cost more than the
// rest of decoding a report.
type tree struct{ nodes []node }

// node is one value. Its texts may be parts of the whole document: what
// outlives the tree is to be cloned.
type node struct {
	name string // of a member of an object
	text string // of a text
	bits uint64 // of a number or bool
	kind kind
	span int32 // nodes that the value has, itself and all that is in it
	size int32 // members or items
}

// kind is what a value is.
type kind uint8

const (
	kindNull kind = iota
	kindBool
	kindText
	kindNatural // an integer from 0 on
	kindNegative
	kindFloat
	kindList
	kindObject
	kindForeign // a value of CBOR that JSON does not have
)

// maxPooled is the longest list of nodes that is kept for the next document.
const maxPooled = 4096

var trees = sync.Pool{New: func() any { return new(tree) }}

func newTree() *tree { return trees.Get().(*tree) }

// free gives the tree back. No value of it may be used afterwards.
func (t *tree) free() {
	if cap(t.nodes) > maxPooled {
		return
	}
	clear(t.nodes)
	t.nodes = t.nodes[:0]
	trees.Put(t)
}

// open appends a list or object. What is added before close is in it.
func (t *tree) open(name string, k kind) int {
	t.nodes = append(t.nodes, node{name: name, kind: k})
	return len(t.nodes) - 1
}

func (t *tree) close(container, size int) {
	n := &t.nodes[container]
	n.span, n.size = int32(len(t.nodes)-container), int32(size)
}

// maxCompared is how many members are compared one by one with a new one, to
// find a name that is there twice.
const maxCompared = 16

// twice reports whether an object that is still open, with size members so far,
// has one of the name. names is the object's own, for when its members are many.
func (t *tree) twice(object, size int, name string, names *map[string]bool) bool {
	t.close(object, size) // as far as it has been read
	so := value{t.nodes[object:]}
	if size < maxCompared {
		return so.has(name)
	}
	if *names == nil {
		*names = make(map[string]bool, 2*size)
		for m := range so.inside() {
			(*names)[m.node().name] = true
		}
	}
	found := (*names)[name]
	(*names)[name] = true
	return found
}

// scalar appends a value that has nothing in it.
func (t *tree) scalar(n node) {
	n.span = 1
	t.nodes = append(t.nodes, n)
}

// add appends a value and what is in it, as package cbor decodes it.
func (t *tree) add(name string, v any) {
	n := node{name: name}
	switch v := v.(type) {
	case nil:
	case bool:
		n.kind = kindBool
		if v {
			n.bits = 1
		}
	case string:
		n.kind, n.text = kindText, v
	case uint64:
		n.kind, n.bits = kindNatural, v
	case int64:
		n.kind, n.bits = kindNegative, uint64(v)
	case float64:
		n.kind, n.bits = kindFloat, math.Float64bits(v)
	case []any:
		at := t.open(name, kindList)
		for _, item := range v {
			t.add("", item)
		}
		t.close(at, len(v))
		return
	case map[string]any:
		at := t.open(name, kindObject)
		for member, value := range v {
			t.add(member, value)
		}
		t.close(at, len(v))
		return
	default:
		n.kind = kindForeign
	}
	t.scalar(n)
}

// root is the document.
func (t *tree) root() value { return value{t.nodes} }

// value is a node and what is in it. The zero value is null.
type value struct{ nodes []node }

func (v value) kind() kind {
	if len(v.nodes) == 0 {
		return kindNull
	}
	return v.nodes[0].kind
}

func (v value) node() *node {
	if len(v.nodes) == 0 {
		return &node{}
	}
	return &v.nodes[0]
}

// inside yields the members or items of an object or list.
func (v value) inside() iter.Seq[value] {
	return func(yield func(value) bool) {
		if len(v.nodes) == 0 {
			return
		}
		for rest := v.nodes[1:]; len(rest) > 0; {
			own := rest[0].span
			if !yield(value{rest[:own]}) {
				return
			}
			rest = rest[own:]
		}
	}
}

// member is the member of that name, null if there is none.
func (v value) member(name string) value {
	member, _ := v.find(name)
	return member
}

func (v value) has(name string) bool {
	_, found := v.find(name)
	return found
}

func (v value) find(name string) (value, bool) {
	if v.kind() == kindObject {
		for member := range v.inside() {
			if member.nodes[0].name == name {
				return member, true
			}
		}
	}
	return value{}, false
}

// String shows the value in a bounded length.
func (v value) String() string {
	n := v.node()
	switch n.kind {
	case kindNull:
		return "null"
	case kindBool:
		return fmt.Sprint(n.bits == 1)
	case kindText:
		return quoted(n.text)
	case kindNatural:
		return fmt.Sprint(n.bits)
	case kindNegative:
		return fmt.Sprint(int64(n.bits))
	case kindFloat:
		return fmt.Sprint(math.Float64frombits(n.bits))
	case kindList:
		return fmt.Sprintf("a list of %d", n.size)
	case kindObject:
		return "an object"
	}
	return "a value that JSON does not have"
}

// quoted shows a text in a bounded length.
func quoted(s string) string { return fmt.Sprintf("%.64q", s) }
