package awsrest

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"reflect"
	"strconv"
	"strings"
	"unicode/utf8"
)

// maxDepth is how deep arrays and objects of a body may be nested. No
// operation's members are deeper than eight.
const maxDepth = 32

// decodeStrict decodes a body into the struct that into points to. Unlike
// encoding/json it rejects unknown members, members with different
// capitalisation, members given twice, null in lists and text that isn't UTF-8;
// an error names the member. A member that is null is absent.
func decodeStrict(body []byte, into any) error {
	if !utf8.Valid(body) {
		return malformedBody("it is not UTF-8")
	}
	d := json.NewDecoder(bytes.NewReader(body))
	d.UseNumber()
	c := bodyChecker{d}
	if err := c.value("", reflect.TypeOf(into).Elem(), 0); err != nil {
		return err
	}
	if _, err := d.Token(); err != io.EOF {
		return malformedBody("there is more after the JSON object")
	}
	if err := json.Unmarshal(body, into); err != nil {
		return Invalid("the body: " + Clip(err.Error()))
	}
	return nil
}

func malformedBody(problem string) error {
	return Invalid("the body is not the JSON that the operation takes: " + Clip(problem))
}

// bodyChecker walks over JSON text along a Go type.
type bodyChecker struct{ d *json.Decoder }

var unmarshaler = reflect.TypeFor[json.Unmarshaler]()

// value checks the next value. A nil type takes anything.
func (c *bodyChecker) value(path string, t reflect.Type, depth int) error {
	token, err := c.d.Token()
	if err != nil {
		return syntaxError(err)
	}
	for t != nil && t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if t != nil && (t.Kind() == reflect.Interface || reflect.PointerTo(t).Implements(unmarshaler)) {
		t = nil
	}
	switch token := token.(type) {
	case json.Delim:
		if depth == maxDepth {
			return malformedBody(fmt.Sprintf("it is nested more than %d deep", maxDepth))
		}
		if token == '[' {
			return c.list(path, t, depth)
		}
		return c.object(path, t, depth)
	case nil:
		if path == "" || strings.HasSuffix(path, "]") {
			return wrongType(path, "null", t)
		}
		return nil
	case string:
		if t != nil && t.Kind() != reflect.String {
			return wrongType(path, "a string", t)
		}
	case bool:
		if t != nil && t.Kind() != reflect.Bool {
			return wrongType(path, "true or false", t)
		}
	case json.Number:
		return c.number(path, token, t)
	}
	return nil
}

func (c *bodyChecker) number(path string, n json.Number, t reflect.Type) error {
	if t == nil {
		return nil
	}
	switch t.Kind() {
	case reflect.Int32, reflect.Int64, reflect.Int:
		if _, err := strconv.ParseInt(n.String(), 10, t.Bits()); err != nil {
			return Constraint(path, n.String(), fmt.Sprintf("Member must be an integer of %d bits", t.Bits()))
		}
	case reflect.Float64:
		if f, err := n.Float64(); err != nil || math.IsInf(f, 0) {
			return Constraint(path, n.String(), "Member must be in the range of a double")
		}
	default:
		return wrongType(path, "a number", t)
	}
	return nil
}

func (c *bodyChecker) list(path string, t reflect.Type, depth int) error {
	var element reflect.Type
	if t != nil {
		if t.Kind() != reflect.Slice {
			return wrongType(path, "a list", t)
		}
		element = t.Elem()
	}
	for i := 0; c.d.More(); i++ {
		elementPath := path // where anything is taken, no error needs the way to it
		if t != nil {
			elementPath = fmt.Sprintf("%s[%d]", path, i)
		}
		if err := c.value(elementPath, element, depth+1); err != nil {
			return err
		}
	}
	return c.end()
}

func (c *bodyChecker) object(path string, t reflect.Type, depth int) error {
	members := map[string]reflect.Type{}
	if t != nil && t.Kind() == reflect.Struct {
		members = membersOf(t)
	} else if t != nil && t.Kind() != reflect.Map {
		return wrongType(path, "an object", t)
	}
	seen := map[string]bool{}
	for c.d.More() {
		token, err := c.d.Token()
		if err != nil {
			return syntaxError(err)
		}
		name := token.(string) // the decoder takes nothing else for a name
		memberPath := Clip(name)
		if path != "" {
			memberPath = path + "." + memberPath
		}
		if t == nil {
			memberPath = path
		}
		if seen[name] {
			return malformedBody(fmt.Sprintf("member %q is given twice", memberPath))
		}
		seen[name] = true
		var member reflect.Type
		switch {
		case t == nil:
		case t.Kind() == reflect.Map:
			member = t.Elem()
		default:
			if member = members[name]; member == nil {
				return malformedBody(fmt.Sprintf("member %q is unknown", memberPath))
			}
		}
		if err := c.value(memberPath, member, depth+1); err != nil {
			return err
		}
	}
	return c.end()
}

// end reads the end of a list or object.
func (c *bodyChecker) end() error {
	if _, err := c.d.Token(); err != nil {
		return syntaxError(err)
	}
	return nil
}

// membersOf returns the fields of a struct by their names in JSON.
func membersOf(t reflect.Type) map[string]reflect.Type {
	members := map[string]reflect.Type{}
	for field := range t.Fields() {
		name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
		members[name] = field.Type
	}
	return members
}

func syntaxError(err error) error {
	if syntax, ok := errors.AsType[*json.SyntaxError](err); ok {
		return malformedBody(fmt.Sprintf("%v at byte %d", err, syntax.Offset))
	}
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return malformedBody("it ends too early")
	}
	return malformedBody(err.Error())
}

// kindNames are what JSON calls the types that are no numbers.
var kindNames = map[reflect.Kind]string{
	reflect.String: "a string", reflect.Bool: "true or false", reflect.Slice: "a list", reflect.Struct: "an object", reflect.Map: "an object",
}

func wrongType(path, got string, t reflect.Type) error {
	want := "another type"
	if t != nil {
		want = cmp.Or(kindNames[t.Kind()], "a number")
	}
	if path == "" {
		path = "the body"
	}
	return malformedBody(fmt.Sprintf("%s is %s, want %s", path, got, want))
}
