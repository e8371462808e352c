package profilefile

import (
	"bytes"
	"encoding/json"
	"fmt"
	"regexp"

	"go.yaml.in/yaml/v3"
)

// EncodeJSON returns a document, or a list of them, as indented JSON with the
// keys in the order of AWS's own documentation and a newline at the end.
func EncodeJSON(document any) []byte { return encode(document, "  ") }

// encodeLine returns a value as JSON in one line.
func encodeLine(value any) string {
	return string(bytes.TrimSuffix(encode(value, ""), []byte("\n")))
}

// encode panics on what JSON doesn't have, a number that is not finite: no
// document that was read or that passed Check holds one.
func encode(value any, indent string) []byte {
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", indent)
	if err := encoder.Encode(value); err != nil {
		panic(fmt.Sprintf("profilefile: encoding %T: %v", value, err))
	}
	return b.Bytes()
}

// EncodeYAML returns a document, or a list of them, as EncodeJSON does, in
// YAML.
func EncodeYAML(document any) []byte {
	n, err := new(builder).readJSON(EncodeJSON(document))
	if err != nil {
		panic(fmt.Sprintf("profilefile: encoding %T: %v", document, err))
	}
	var b bytes.Buffer
	encoder := yaml.NewEncoder(&b)
	encoder.SetIndent(2)
	if err := encoder.Encode(n.yaml()); err != nil {
		panic(fmt.Sprintf("profilefile: encoding %T: %v", document, err))
	}
	encoder.Close()
	return b.Bytes()
}

// otherInYAML1 is text that YAML 1.1 takes for a boolean or a number in base
// 60. Some of its readers are in use: it's quoted for them.
var otherInYAML1 = regexp.MustCompile(`^(?i:y|n|yes|no|on|off)$|^[-+]?[0-9][0-9_]*(:[0-5]?[0-9])+(\.[0-9_]*)?$`)

// yaml returns the node as one of the yaml package.
func (n *node) yaml() *yaml.Node {
	y := &yaml.Node{Kind: yaml.ScalarNode, Value: n.text}
	switch n.kind {
	case textNode:
		y.SetString(n.text)
		if otherInYAML1.MatchString(n.text) {
			y.Style = yaml.DoubleQuotedStyle
		}
	case nullNode:
		y.Tag, y.Value = "!!null", "null"
	case booleanNode:
		y.Tag = "!!bool"
	case listNode:
		y.Kind = yaml.SequenceNode
		scalars := true
		for _, item := range n.items {
			scalars = scalars && item.kind < listNode
			y.Content = append(y.Content, item.yaml())
		}
		if scalars { // ports and addresses in one line
			y.Style = yaml.FlowStyle
		}
	case objectNode:
		y.Kind = yaml.MappingNode
		for _, f := range n.fields {
			key := &node{kind: textNode, text: f.key}
			y.Content = append(y.Content, key.yaml(), f.value.yaml())
		}
	}
	return y
}
