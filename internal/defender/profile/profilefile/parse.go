package profilefile

import (
	"bytes"
	"errors"
	"fmt"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/device-defender/device-defender/internal/defender/profile"
	"github.com/device-defender/device-defender/internal/spelling"
)

// Parse reads the documents of a file: one object or a list of them in JSON,
// any number of either in YAML. A name that ends in .json, .yaml or .yml says
// which; otherwise text that begins with a bracket is JSON. The set holds all
// that could be read, and the problems are what could not: wrong syntax,
// unknown keys, wrong types. Whether it's valid, Validate says.
func Parse(file string, data []byte) (*Set, []profile.Problem) {
	d := &decoder{file: file}
	set := &Set{files: []string{file}}
	for _, n := range d.read(data) {
		documents := []*node{n}
		if n.kind == listNode {
			if documents = n.items; len(documents) > 0 && !slices.ContainsFunc(documents, func(n *node) bool { return !isBehavior(n) }) {
				d.behaviors(set, n)
				continue
			}
		}
		for _, n := range documents {
			d.document(set, n)
		}
	}
	set.sort(d.problems)
	return set, d.problems
}

// read returns the values of the file.
func (d *decoder) read(data []byte) (values []*node) {
	if len(data) > maxSize {
		d.report(1, 1, "", "syntax", fmt.Sprintf("the file has more than %d bytes", maxSize), "several files")
		return nil
	}
	data = bytes.TrimPrefix(data, []byte("\ufeff"))
	if line, column, ok := invalidUTF8(data); ok {
		d.report(line, column, "", "syntax", "the text is not UTF-8", "")
		return nil
	}
	trimmed := bytes.TrimLeft(data, " \t\r\n")
	if len(trimmed) == 0 {
		d.report(1, 1, "", "syntax", "the file is empty", "a document")
		return nil
	}
	if isHCL(d.file, trimmed) {
		d.report(1, 1, "", "unknown-document", "the file is "+terraform, wantDeployed)
		return nil
	}
	var b builder
	var err error
	if isJSON(d.file, trimmed) {
		var n *node
		if n, err = b.readJSON(data); err == nil {
			values = []*node{n}
		}
	} else if values, err = b.readYAML(data); err == nil && len(values) == 0 {
		d.report(1, 1, "", "syntax", "the file holds no document", "a document")
	}
	for _, n := range values {
		if f := foreignTo(n); f != nil {
			d.report(f.at.line, f.at.column, "", "unknown-document", "the file is "+f.what, wantDeployed)
			return nil
		}
	}
	for _, f := range b.faults {
		d.report(f.line, f.column, "", "syntax", f.message, f.want)
	}
	if syntax, ok := errors.AsType[*syntaxError](err); ok {
		d.report(syntax.line, syntax.column, "", "syntax", syntax.message, syntax.want)
	}
	return values
}

func isJSON(file string, trimmed []byte) bool {
	switch strings.ToLower(filepath.Ext(file)) {
	case ".json":
		return true
	case ".yaml", ".yml":
		return false
	}
	return trimmed[0] == '{' || trimmed[0] == '['
}

// invalidUTF8 returns where the first byte is that is not UTF-8.
func invalidUTF8(data []byte) (line, column int, found bool) {
	line, column = 1, 1
	for len(data) > 0 {
		r, size := utf8.DecodeRune(data)
		if r == utf8.RuneError && size == 1 {
			return line, column, true
		}
		data = data[size:]
		if column++; r == '\n' {
			line, column = line+1, 1
		}
	}
	return 0, 0, false
}

// document adds one document to the set.
func (d *decoder) document(set *Set, n *node) {
	if n.kind != objectNode {
		if n.kind != badNode {
			d.report(n.line, n.column, "", "wrong-type", "the document is "+n.kind.String(), "an object")
		}
		return
	}
	if isBehavior(n) {
		d.behaviors(set, &node{kind: listNode, line: n.line, column: n.column, items: []*node{n}})
		return
	}
	kind, ok := kindOf(n)
	if !ok {
		d.report(n.line, n.column, "", "unknown-document", "none of the keys tells what the document is",
			"securityProfileName, metricName (a custom metric), name with stringValues (a dimension) or actionName (a mitigation action)")
		return
	}
	d.broken = map[string]bool{}
	d.add(set, kind, n)
}

// add decodes a document of the kind.
func (d *decoder) add(set *Set, kind DocumentKind, n *node) {
	switch kind {
	case ProfileDocument:
		set.Profiles = append(set.Profiles, decodeAs[profile.Profile](d, n))
	case CustomMetricDocument:
		set.CustomMetrics = append(set.CustomMetrics, decodeAs[profile.CustomMetric](d, n))
	case DimensionDocument:
		set.Dimensions = append(set.Dimensions, decodeAs[profile.Dimension](d, n))
	case MitigationActionDocument:
		set.MitigationActions = append(set.MitigationActions, decodeAs[profile.MitigationAction](d, n))
	}
	set.sources[kind] = append(set.sources[kind], source{d.file, n, d.broken})
}

func decodeAs[T any](d *decoder, n *node) T {
	var document T
	d.decode(n, "", reflect.ValueOf(&document).Elem())
	return document
}

// kindOf tells the kind of a document by the key that no other kind has, and
// when that is missing or misspelt, by the kind that knows most of its keys.
func kindOf(n *node) (DocumentKind, bool) {
	switch {
	case n.get("securityProfileName") != nil:
		return ProfileDocument, true
	case n.get("metricName") != nil:
		return CustomMetricDocument, true
	case n.get("actionName") != nil:
		return MitigationActionDocument, true
	case n.get("stringValues") != nil:
		return DimensionDocument, true
	}
	best, most := ProfileDocument, 0
	for kind, t := range []reflect.Type{
		ProfileDocument:          reflect.TypeFor[profile.Profile](),
		CustomMetricDocument:     reflect.TypeFor[profile.CustomMetric](),
		DimensionDocument:        reflect.TypeFor[profile.Dimension](),
		MitigationActionDocument: reflect.TypeFor[profile.MitigationAction](),
	} {
		score := 0
		for _, key := range keysOf(t) {
			if key != "tags" && slices.ContainsFunc(n.fields, func(f field) bool { return spelling.Nearest(f.key, []string{key}) != "" }) {
				score++
			}
		}
		if score > most {
			best, most = DocumentKind(kind), score
		}
	}
	return best, most > 0
}
