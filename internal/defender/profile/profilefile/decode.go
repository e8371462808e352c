package profilefile

import (
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/device-defender/device-defender/internal/defender/profile"
	"github.com/device-defender/device-defender/internal/spelling"
)

// decoder fills a document from nodes. It reports everything that does not
// fit, and reads all that does.
type decoder struct {
	file     string
	problems []profile.Problem
	unread   int             // how much did not fit
	broken   map[string]bool // where, as in source
}

// report notes a problem at a place of the file.
func (d *decoder) report(line, column int, path, rule, message, want string) {
	p := profile.NewProblem(profile.Error, path, rule, message, want)
	p.File, p.Line, p.Column = d.file, line, column
	d.problems = append(d.problems, p)
}

// unfit reports a value of the wrong type.
func (d *decoder) unfit(n *node, path, want string) {
	d.breaks(path)
	if n.kind == badNode {
		return
	}
	what := n.kind.String()
	switch n.kind {
	case numberNode, booleanNode:
		what = n.text + " is " + what
	case textNode:
		what = strconv.Quote(n.text) + " is text"
	default:
		what = profile.LastKey(path) + " is " + what
	}
	d.report(n.line, n.column, path, "wrong-type", what, want)
}

// breaks notes that the value at a path is not read.
func (d *decoder) breaks(path string) {
	d.unread++
	for around := range enclosing(path) {
		d.broken[around] = d.broken[around] || around == path
	}
}

// nodeKinds are the kinds of nodes that values are read from.
var nodeKinds = map[reflect.Kind]nodeKind{
	reflect.Struct: objectNode, reflect.Map: objectNode, reflect.Slice: listNode, reflect.String: textNode,
	reflect.Bool: booleanNode, reflect.Int32: numberNode, reflect.Int64: numberNode, reflect.Float64: numberNode,
}

// decode fills the value from the node.
func (d *decoder) decode(n *node, path string, v reflect.Value) {
	if kind, ok := nodeKinds[v.Kind()]; ok && n.kind != kind {
		d.wrongKind(n, path, v.Type())
		return
	}
	switch v.Kind() {
	case reflect.Pointer:
		if n.kind == nullNode || n.kind == badNode {
			d.wrongKind(n, path, v.Type().Elem())
			return
		}
		into := reflect.New(v.Type().Elem())
		before := d.unread
		d.decode(n, path, into.Elem())
		// A scalar that could not be read is absent; an object is there with
		// the members that could.
		if d.unread == before || n.kind == objectNode {
			v.Set(into)
		}
	case reflect.Struct:
		d.object(n, path, v)
	case reflect.Slice:
		list := reflect.MakeSlice(v.Type(), len(n.items), len(n.items))
		for i, item := range n.items {
			d.decode(item, profile.IndexPath(path, i), list.Index(i))
		}
		v.Set(list)
	case reflect.Map:
		m := reflect.MakeMapWithSize(v.Type(), len(n.fields))
		for _, f := range n.fields {
			value := reflect.New(v.Type().Elem()).Elem()
			d.decode(f.value, profile.JoinPath(path, f.key), value)
			m.SetMapIndex(reflect.ValueOf(f.key), value)
		}
		v.Set(m)
	case reflect.String:
		v.SetString(n.text)
	case reflect.Bool:
		v.SetBool(n.text == "true")
	case reflect.Int32, reflect.Int64:
		i, err := strconv.ParseInt(n.text, 10, v.Type().Bits())
		if err != nil {
			d.unfit(n, path, fmt.Sprintf("a whole number of %d bits", v.Type().Bits()))
			return
		}
		v.SetInt(i)
	case reflect.Float64:
		f, err := strconv.ParseFloat(n.text, 64)
		if err != nil {
			d.unfit(n, path, "a number of 64 bits")
			return
		}
		v.SetFloat(f)
	}
}

// wrongKind reports a value of another kind than the type's, and what to
// write instead.
func (d *decoder) wrongKind(n *node, path string, t reflect.Type) {
	var want string
	switch t.Kind() {
	case reflect.Struct, reflect.Map:
		want = "an object"
	case reflect.Slice:
		switch want = "a list"; n.kind {
		case textNode:
			want += ": [" + strconv.Quote(n.text) + "]"
		case numberNode, booleanNode:
			want += ": [" + n.text + "]"
		}
	case reflect.String:
		if want = "text"; n.kind == numberNode || n.kind == booleanNode {
			want = "text in quotes: " + strconv.Quote(n.text)
		}
	case reflect.Bool:
		want = "true or false"
		if n.kind == textNode && (n.text == "true" || n.text == "false") {
			want = n.text + " without quotes"
		}
	default:
		want = "a number"
		if n.kind == textNode && jsonNumber.MatchString(n.text) {
			want = n.text + " without quotes"
		}
	}
	if n.kind == nullNode && t.Kind() != reflect.String {
		want += ", or no key at all"
	}
	d.unfit(n, path, want)
}

// outputOnly are keys that describe and list answer, and create does not take.
var outputOnly = []string{"securityProfileArn", "version", "creationDate", "lastModifiedDate", "metricArn", "arn", "actionArn", "actionId", "actionType"}

// object fills the struct's fields by their JSON keys, and reports others.
func (d *decoder) object(n *node, path string, v reflect.Value) {
	known := keysOf(v.Type())
	for _, f := range n.fields {
		i := slices.Index(known, f.key)
		if i >= 0 {
			d.decode(f.value, profile.JoinPath(path, f.key), v.Field(i))
			continue
		}
		if path == "" && f.key == "clientRequestToken" && v.Type() != reflect.TypeFor[profile.Profile]() {
			continue // the AWS CLI's skeletons have it
		}
		message := fmt.Sprintf("unknown key %q", f.key)
		want := ""
		switch suggestion := spelling.Nearest(f.key, known); {
		case path == "" && slices.Contains(outputOnly, f.key):
			want = "no such key: AWS answers it, and does not take it"
		case suggestion != "":
			want = strconv.Quote(suggestion)
			// What is said of the misspelt key is enough.
			d.breaks(profile.JoinPath(path, suggestion))
		default:
			want = "one of " + strings.Join(known, ", ")
		}
		d.report(f.line, f.column, profile.JoinPath(path, f.key), "unknown-key", message, want)
	}
}

// keysOf returns the JSON keys of a struct's fields in order.
func keysOf(t reflect.Type) []string {
	keys := make([]string, t.NumField())
	for i := range keys {
		keys[i], _, _ = strings.Cut(t.Field(i).Tag.Get("json"), ",")
	}
	return keys
}
