// Package settings reads the configuration file of a command: YAML whose keys are
// the command's flags, and keys that have more to say than a flag can.
//
// It is strict. A key that does not exist is refused, with the one that was
// probably meant; so are keys given twice, references, and a second document. Every
// error says in which line it is, and none quotes a value: it may be a secret.
package settings

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/device-defender/device-defender/internal/spelling"
)

const (
	maxFile  = 1 << 20
	maxDepth = 20
)

// Error is what is wrong at a place of a file.
type Error struct {
	File         string
	Line, Column int
	Text         string
}

func (e *Error) Error() string {
	if e.Line == 0 {
		return fmt.Sprintf("%s: %s", e.File, e.Text)
	}
	return fmt.Sprintf("%s:%d:%d: %s", e.File, e.Line, e.Column, e.Text)
}

// Parse reads a file of that name. One without any key is an empty mapping.
func Parse(name string, r io.Reader) (Node, error) {
	data, err := io.ReadAll(io.LimitReader(r, maxFile+1))
	if err != nil {
		return Node{}, fmt.Errorf("reading %s: %w", name, err)
	}
	if len(data) > maxFile {
		return Node{}, &Error{File: name, Text: fmt.Sprintf("more than %d MB", maxFile>>20)}
	}
	d := yaml.NewDecoder(bytes.NewReader(data))
	var document, second yaml.Node
	empty := Node{name, "", &yaml.Node{Kind: yaml.MappingNode}}
	switch err := d.Decode(&document); {
	case errors.Is(err, io.EOF):
		return empty, nil
	case err != nil:
		return Node{}, &Error{File: name, Text: err.Error()}
	}
	root := Node{name, "", document.Content[0]}
	if err := d.Decode(&second); !errors.Is(err, io.EOF) {
		return Node{}, root.Errorf("the file has more than one document")
	}
	if root.node.Kind == yaml.ScalarNode && root.node.Tag == "!!null" {
		return empty, nil
	}
	if err := root.check(0); err != nil {
		return Node{}, err
	}
	if root.node.Kind != yaml.MappingNode {
		return Node{}, root.Errorf("want keys and values, such as listen: 127.0.0.1:8787")
	}
	return root, nil
}

// Node is a value in a file.
type Node struct {
	file string
	path string // keys that lead to it
	node *yaml.Node
}

// check refuses what nobody needs in a configuration and what can grow without
// bound.
func (n Node) check(depth int) error {
	if depth > maxDepth {
		return n.Errorf("more than %d levels", maxDepth)
	}
	if n.node.Kind == yaml.AliasNode || n.node.Anchor != "" {
		return n.Errorf("anchors and references are not supported")
	}
	for i, child := range n.node.Content {
		inner := Node{n.file, n.path, child}
		if n.node.Kind == yaml.MappingNode {
			if i%2 == 0 && child.Kind != yaml.ScalarNode {
				return inner.Errorf("want a word as key")
			}
			if i%2 == 1 {
				inner.path = n.join(n.node.Content[i-1].Value)
			}
		}
		if err := inner.check(depth + 1); err != nil {
			return err
		}
	}
	return nil
}

func (n Node) join(key string) string {
	if n.path == "" {
		return key
	}
	return n.path + "." + key
}

// Errorf returns an error at the node. It must not have the node's value.
func (n Node) Errorf(format string, args ...any) error {
	text := fmt.Sprintf(format, args...)
	if n.path != "" {
		text = n.path + ": " + text
	}
	return &Error{n.file, n.node.Line, n.node.Column, text}
}

// Where is the node's place, as FILE:LINE.
func (n Node) Where() string { return fmt.Sprintf("%s:%d", n.file, n.node.Line) }

// IsMapping and IsList report what the node is. What is neither is a scalar.
func (n Node) IsMapping() bool { return n.node.Kind == yaml.MappingNode }

// IsList see IsMapping.
func (n Node) IsList() bool { return n.node.Kind == yaml.SequenceNode }

// Text returns a scalar as it is written.
func (n Node) Text() (string, error) {
	if n.node.Kind != yaml.ScalarNode || n.node.Tag == "!!null" {
		return "", n.Errorf("want one value")
	}
	return n.node.Value, nil
}

// Texts returns a list of scalars. A scalar is a list of one.
func (n Node) Texts() ([]string, error) {
	if !n.IsList() {
		text, err := n.Text()
		return []string{text}, err
	}
	list := []string{}
	var errs []error
	for _, item := range n.node.Content {
		text, err := Node{n.file, n.path, item}.Text()
		list, errs = append(list, text), append(errs, err)
	}
	return list, errors.Join(errs...)
}

// Duration returns a duration that is not negative, such as 30s.
func (n Node) Duration() (time.Duration, error) {
	text, err := n.Text()
	if err != nil {
		return 0, err
	}
	d, err := time.ParseDuration(text)
	if err != nil || d < 0 {
		return 0, n.Errorf("want a duration, such as 30s or 5m")
	}
	return d, nil
}

// Each calls f with the keys of a mapping in their order. The errors of all calls
// are joined.
func (n Node) Each(f func(key string, value Node) error) error {
	if !n.IsMapping() {
		return n.Errorf("want keys and values")
	}
	var errs []error
	seen := map[string]bool{}
	for i := 0; i+1 < len(n.node.Content); i += 2 {
		key := n.node.Content[i]
		if seen[key.Value] {
			errs = append(errs, Node{n.file, n.path, key}.Errorf("key %q is there twice", key.Value))
			continue
		}
		seen[key.Value] = true
		errs = append(errs, f(key.Value, Node{n.file, n.join(key.Value), n.node.Content[i+1]}))
	}
	return errors.Join(errs...)
}

// Fields calls the functions of a mapping's keys. Others are refused.
func (n Node) Fields(fields map[string]func(Node) error) error {
	return n.Each(func(key string, value Node) error {
		if f, ok := fields[key]; ok {
			return f(value)
		}
		return n.unknown(key, value, sortedKeys(fields))
	})
}

// unknown is the error of a key that does not exist.
func (n Node) unknown(key string, value Node, known []string) error {
	in := ""
	if n.path != "" {
		in = " in " + n.path
	}
	at := &Error{n.file, value.node.Line, value.node.Column, fmt.Sprintf("unknown key %q%s, want %s", key, in, spelling.Suggest(key, known))}
	for i := 0; i+1 < len(n.node.Content); i += 2 {
		if k := n.node.Content[i]; k.Value == key {
			at.Line, at.Column = k.Line, k.Column
		}
	}
	return at
}
