package report

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"
	"strconv"
	"unicode/utf8"

	"github.com/fxamacker/cbor/v2"
)

// maxDepth bounds the nesting of a document. A report has 6 levels; the rest is
// for members that a later minor version may add.
const maxDepth = 16

// parse reads a document of either format into a tree of
//
//	nil, bool, string, []any, map[string]any,
//	uint64 and int64 (integers, negative ones only in int64), float64
//
// and, from CBOR, values that no document has. It refuses what the two formats
// leave open: duplicate names, trailing data, text that is not UTF-8, tags.
func parse(data []byte) (any, Format, *InvalidError) {
	if len(data) > MaxSize {
		return nil, 0, invalid("%d bytes, want at most %d", len(data), MaxSize)
	}
	switch text := bytes.TrimLeft(data, " \t\r\n"); {
	case len(text) > 0 && text[0] == '{':
		tree, err := parseJSON(data)
		return tree, JSON, err
	case len(data) > 0 && data[0]&0xe0 == cborMap:
		tree, err := parseCBOR(data)
		return tree, CBOR, err
	}
	return nil, 0, invalid("neither a JSON object nor a CBOR map")
}

var cborMode = func() cbor.DecMode {
	mode, err := cbor.DecOptions{
		DupMapKey:       cbor.DupMapKeyEnforcedAPF,
		IndefLength:     cbor.IndefLengthAllowed, // sent by AWS's C agent
		TagsMd:          cbor.TagsForbidden,
		MaxNestedLevels: maxDepth,
		DefaultMapType:  reflect.TypeFor[map[string]any](),
	}.DecMode()
	if err != nil {
		panic(err)
	}
	return mode
}()

func parseCBOR(data []byte) (tree any, _ *InvalidError) {
	if err := cborMode.Unmarshal(data, &tree); err != nil {
		return nil, invalid("malformed CBOR: %v", err)
	}
	return tree, nil
}

func parseJSON(data []byte) (any, *InvalidError) {
	if !utf8.Valid(data) {
		return nil, invalid("malformed JSON: not valid UTF-8")
	}
	if err := json.Unmarshal(data, new(json.RawMessage)); err != nil { // the syntax, to the end of the data
		return nil, invalid("malformed JSON: %v", err)
	}
	p := jsonParser{json.NewDecoder(bytes.NewReader(data))}
	p.UseNumber()
	tree, err := p.value(0)
	if err != nil {
		return nil, invalid("malformed JSON: %v", err)
	}
	return tree, nil
}

// jsonParser reads JSON by the token, as encoding/json keeps quiet about
// duplicate names otherwise.
type jsonParser struct{ *json.Decoder }

func (p jsonParser) value(depth int) (any, error) {
	token, err := p.Token()
	if err != nil {
		return nil, err
	}
	if _, ok := token.(json.Delim); ok && depth == maxDepth {
		return nil, fmt.Errorf("nested deeper than %d levels", maxDepth)
	}
	switch token {
	case json.Delim('{'):
		return p.object(depth)
	case json.Delim('['):
		return p.list(depth)
	}
	if n, ok := token.(json.Number); ok {
		return number(n.String())
	}
	return token, nil
}

func (p jsonParser) object(depth int) (any, error) {
	object := make(map[string]any)
	for p.More() {
		name, err := p.Token()
		if err != nil {
			return nil, err
		}
		if _, ok := object[name.(string)]; ok {
			return nil, fmt.Errorf("duplicate name %.64q", name)
		}
		if object[name.(string)], err = p.value(depth + 1); err != nil {
			return nil, err
		}
	}
	_, err := p.Token()
	return object, err
}

func (p jsonParser) list(depth int) (any, error) {
	list := []any{}
	for p.More() {
		item, err := p.value(depth + 1)
		if err != nil {
			return nil, err
		}
		list = append(list, item)
	}
	_, err := p.Token()
	return list, err
}

// number gives a JSON number the type that the same number has in CBOR.
func number(s string) (any, error) {
	if n, err := strconv.ParseUint(s, 10, 64); err == nil {
		return n, nil
	}
	if n, err := strconv.ParseInt(s, 10, 64); err == nil {
		return n, nil
	}
	v, err := strconv.ParseFloat(s, 64)
	if err != nil {
		return nil, fmt.Errorf("number %.64s out of range", s)
	}
	return v, nil
}

// Diagnose writes a CBOR document in CBOR's diagnostic notation, for people.
func Diagnose(data []byte) (string, error) {
	text, err := cbor.Diagnose(data)
	if err != nil {
		return "", fmt.Errorf("diagnose CBOR: %w", err)
	}
	return text, nil
}
