package report

import (
	"bytes"
	"fmt"
	"reflect"

	"github.com/fxamacker/cbor/v2"
)

// maxDepth bounds the nesting of a document. A report has 6 levels; the rest is
// for members that a later minor version may add.
const maxDepth = 16

// parse reads a document of either format, whose root is an object. It refuses
// what the two formats leave open: duplicate names, trailing data, text that is
// not UTF-8, tags.
func parse(data []byte) (*tree, Format, *InvalidError) {
	if len(data) > MaxSize {
		return nil, 0, invalid("%d bytes, want at most %d", len(data), MaxSize)
	}
	switch text := bytes.TrimLeft(data, " \t\r\n"); {
	case len(text) > 0 && text[0] == '{':
		t, err := parseJSON(data)
		return t, JSON, err
	case len(data) > 0 && data[0]&0xe0 == cborMap:
		t, err := parseCBOR(data)
		return t, CBOR, err
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

func parseCBOR(data []byte) (*tree, *InvalidError) {
	if t, ok := readCBOR(data); ok {
		return t, nil
	}
	return decodeCBOR(data)
}

func decodeCBOR(data []byte) (*tree, *InvalidError) {
	var document any
	if err := cborMode.Unmarshal(data, &document); err != nil {
		return nil, invalid("malformed CBOR: %v", err)
	}
	t := newTree()
	t.add("", document)
	return t, nil
}

// Diagnose writes a CBOR document in CBOR's diagnostic notation, for people.
func Diagnose(data []byte) (string, error) {
	text, err := cbor.Diagnose(data)
	if err != nil {
		return "", fmt.Errorf("diagnose CBOR: %w", err)
	}
	return text, nil
}
