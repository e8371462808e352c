package profilefile

import (
	"strconv"
	"strings"
)

// nodeKind is the kind of a value of JSON.
type nodeKind int

const (
	nullNode nodeKind = iota
	booleanNode
	numberNode
	textNode
	listNode
	objectNode
	badNode // was there, could not be read, and has been reported
)

// String returns the kind with its article, as "is a number".
func (k nodeKind) String() string {
	return [...]string{"empty (null)", "a boolean", "a number", "text", "a list", "an object", "unreadable"}[k]
}

// node is one value of a JSON or YAML file and where it begins.
type node struct {
	kind         nodeKind
	line, column int
	text         string // of a text; the literal of a number or boolean
	fields       []field
	items        []*node
}

// field is a key of an object and its value. Keys are distinct.
type field struct {
	key          string
	line, column int // of the key
	value        *node
}

// get returns the value of a key, nil when it's absent.
func (n *node) get(key string) *node {
	for _, f := range n.fields {
		if f.key == key {
			return f.value
		}
	}
	return nil
}

// find returns the node at a path, or the nearest one around it that exists.
// A path is keys with dots between, and indices in brackets.
func (n *node) find(path string) *node {
	for path != "" {
		var next *node
		if path[0] == '[' {
			index, rest, _ := strings.Cut(path[1:], "]")
			i, err := strconv.Atoi(index)
			if err != nil || i < 0 || i >= len(n.items) {
				return n
			}
			next, path = n.items[i], rest
		} else {
			path = strings.TrimPrefix(path, ".")
			end := strings.IndexAny(path, ".[")
			if end < 0 {
				end = len(path)
			}
			next, path = n.get(path[:end]), path[end:]
		}
		if next == nil {
			return n
		}
		n = next
	}
	return n
}
