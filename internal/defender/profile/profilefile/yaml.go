package profilefile

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"regexp"
	"sort"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// yamlError is an error of the yaml package. Its line is left out: it's that
// of something around the fault, one off, or not there.
var yamlError = regexp.MustCompile(`^yaml: (?:line [0-9]+: )?(.*)$`)

// readYAML reads the documents of a YAML text. Documents that are empty are
// left out.
//
// Scalars are taken as YAML 1.2 does: Yes, No, On and Off are text. The error
// is a *syntaxError, and comes with the documents before it.
func (b *builder) readYAML(data []byte) ([]*node, error) {
	decoder := yaml.NewDecoder(bytes.NewReader(data))
	reader := yamlReader{builder: b, open: map[*yaml.Node]bool{}}
	var documents []*node
	for {
		var document yaml.Node
		switch err := decoder.Decode(&document); {
		case errors.Is(err, io.EOF):
			return documents, nil
		case err != nil:
			return documents, yamlSyntax(err, data)
		}
		n, err := reader.value(&document, 0)
		if err != nil {
			return documents, err
		}
		if n.kind != nullNode {
			documents = append(documents, n)
		}
	}
}

// yamlSyntax finds the line of a fault: the first with which the text fails as
// all of it does.
func yamlSyntax(fault error, data []byte) error {
	message := yamlMessage(fault)
	lines := bytes.SplitAfter(data, []byte("\n"))
	ends := make([]int, len(lines))
	for i, line := range lines {
		ends[i] = len(line)
		if i > 0 {
			ends[i] += ends[i-1]
		}
	}
	i := sort.Search(len(lines)-1, func(i int) bool {
		decoder := yaml.NewDecoder(bytes.NewReader(data[:ends[i]]))
		for {
			if err := decoder.Decode(new(yaml.Node)); err != nil {
				return !errors.Is(err, io.EOF) && yamlMessage(err) == message
			}
		}
	})
	rest := bytes.TrimLeft(lines[i], " ")
	e := &syntaxError{line: i + 1, column: len(lines[i]) - len(rest) + 1, message: message}
	if bytes.HasPrefix(rest, []byte("\t")) {
		e.want = "spaces: YAML is not indented by tabs"
	}
	return e
}

func yamlMessage(err error) string {
	return yamlError.ReplaceAllString(strings.ReplaceAll(err.Error(), "\n", " "), "$1")
}

// yamlReader turns the yaml package's nodes into ours.
type yamlReader struct {
	*builder
	open map[*yaml.Node]bool // anchors around the current value
}

func (r *yamlReader) value(y *yaml.Node, depth int) (*node, error) {
	n, err := r.node(max(y.Line, 1), max(y.Column, 1), depth)
	if err != nil {
		return nil, err
	}
	switch y.Kind {
	case yaml.DocumentNode:
		if len(y.Content) == 0 {
			return n, nil
		}
		return r.value(y.Content[0], depth)
	case yaml.AliasNode:
		if r.open[y.Alias] {
			return nil, &syntaxError{n.line, n.column, "alias *" + y.Value + " is inside its own anchor", ""}
		}
		// The value is where the alias is used, and found there.
		value, err := r.value(y.Alias, depth+1)
		if err != nil {
			return nil, err
		}
		value.line, value.column = n.line, n.column
		return value, nil
	case yaml.SequenceNode:
		r.open[y] = true
		defer delete(r.open, y)
		n.kind = listNode
		for _, item := range y.Content {
			value, err := r.value(item, depth+1)
			if err != nil {
				return nil, err
			}
			n.items = append(n.items, value)
		}
		r.checkTag(y, n, "!!seq")
		return n, nil
	case yaml.MappingNode:
		r.open[y] = true
		defer delete(r.open, y)
		n.kind = objectNode
		if err := r.fields(n, y, depth); err != nil {
			return nil, err
		}
		r.checkTag(y, n, "!!map")
		return n, nil
	}
	r.scalar(n, y)
	return n, nil
}

// fields reads the keys and values of a mapping, and merges those that << names.
func (r *yamlReader) fields(n *node, y *yaml.Node, depth int) error {
	var merged []*node
	for i := 0; i+1 < len(y.Content); i += 2 {
		key := y.Content[i]
		value, err := r.value(y.Content[i+1], depth+1)
		if err != nil {
			return err
		}
		if key.ShortTag() == "!!merge" {
			merged = append(merged, value)
			continue
		}
		if key.Kind != yaml.ScalarNode {
			return &syntaxError{key.Line, key.Column, "a key is not text", ""}
		}
		if err := r.add(n, field{key.Value, key.Line, key.Column, value}); err != nil {
			return err
		}
	}
	for _, from := range merged {
		sources := []*node{from}
		if from.kind == listNode {
			sources = from.items
		}
		for _, source := range sources {
			if source.kind != objectNode {
				return &syntaxError{from.line, from.column, "<< merges " + source.kind.String(), "an object"}
			}
			for _, f := range source.fields {
				if n.get(f.key) != nil {
					continue
				}
				if err := r.add(n, f); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// checkTag notes a tag that is not the kind's own, as CloudFormation's !Sub.
func (r *yamlReader) checkTag(y *yaml.Node, n *node, want string) {
	if tag := y.ShortTag(); tag != want {
		n.kind = badNode
		r.fault(n.line, n.column, fmt.Sprintf("tag %s is not understood", tag), "plain YAML")
	}
}

// jsonNumber is a number that JSON and every version of YAML read alike.
var jsonNumber = regexp.MustCompile(`^-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][-+]?[0-9]+)?$`)

// scalar reads text, a number, a boolean or null.
func (r *yamlReader) scalar(n *node, y *yaml.Node) {
	n.text = y.Value
	bad := func(message, want string) {
		n.kind = badNode
		r.fault(n.line, n.column, message, want)
	}
	switch tag := y.ShortTag(); tag {
	case "!!str", "!!timestamp": // an unquoted date is the text that it is
		n.kind = textNode
	case "!!null":
		n.kind = nullNode
	case "!!bool":
		var b bool
		if err := y.Decode(&b); err != nil {
			bad(fmt.Sprintf("%q is not a boolean", y.Value), "true or false")
			return
		}
		n.kind, n.text = booleanNode, strconv.FormatBool(b)
	case "!!int", "!!float":
		n.kind = numberNode
		if jsonNumber.MatchString(y.Value) {
			return
		}
		decimal := strings.TrimLeft(y.Value, "+-")
		if len(decimal) > 1 && decimal[0] == '0' && strings.Trim(decimal, "0123456789") == "" {
			bad(y.Value+" is octal to some readers of YAML and decimal to others", "a number without leading zeros, or quotes around text")
			return
		}
		var f float64
		if err := y.Decode(&f); err != nil || math.IsNaN(f) || math.Abs(f) >= 1<<53 {
			bad(y.Value+" is not a number that JSON has", "a decimal number")
			return
		}
		n.text = strconv.FormatFloat(f, 'f', -1, 64)
	default:
		r.checkTag(y, n, "")
	}
}
