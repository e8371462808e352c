package report

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
)

// parseByToken is what parseJSON has to do, by encoding/json's tokens: slow, and
// plain to see.
func parseByToken(data []byte) (any, error) {
	if !utf8.Valid(data) {
		return nil, errors.New("malformed JSON: not valid UTF-8")
	}
	if err := json.Unmarshal(data, new(json.RawMessage)); err != nil {
		return nil, fmt.Errorf("malformed JSON: %w", err)
	}
	p := tokenParser{json.NewDecoder(bytes.NewReader(data))}
	p.UseNumber()
	document, err := p.value(0)
	if err != nil {
		return nil, fmt.Errorf("malformed JSON: %w", err)
	}
	return document, nil
}

type tokenParser struct{ *json.Decoder }

func (p tokenParser) value(depth int) (any, error) {
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
		return parseNumber(n.String())
	}
	return token, nil
}

func (p tokenParser) object(depth int) (any, error) {
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

func (p tokenParser) list(depth int) (any, error) {
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

func parseNumber(s string) (any, error) {
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

// plain is the value in Go's own types.
func plain(v value) any {
	switch n := v.node(); n.kind {
	case kindNull:
		return nil
	case kindBool:
		return n.bits == 1
	case kindText:
		return n.text
	case kindNatural:
		return n.bits
	case kindNegative:
		return int64(n.bits)
	case kindFloat:
		return math.Float64frombits(n.bits)
	case kindList:
		items := []any{}
		for item := range v.inside() {
			items = append(items, plain(item))
		}
		return items
	case kindObject:
		members := map[string]any{}
		for member := range v.inside() {
			members[member.node().name] = plain(member)
		}
		return members
	}
	return "foreign"
}

// FuzzParseJSON holds the parser to encoding/json's idea of JSON, to the words
// of its errors.
func FuzzParseJSON(f *testing.F) {
	for _, name := range []string{"aws-example-long.json", "aws-example-short.json", "greengrass-component-first-report.json", "python-sdk-scenario-long.json"} {
		f.Add(readTestdata(f, name))
	}
	many := `{"a":0`
	for i := range 2 * maxCompared {
		many += fmt.Sprintf(`,"%d":[]`, i)
	}
	for _, seed := range []string{
		many + "}", many + `,"a":1}`, many + `,"30":1}`, many + `,"16":1}`,
		`{"a":[1,-1,0,-0,1.5,-1.5e+3,1E2,18446744073709551615,18446744073709551616,-9223372036854775808,-9223372036854775809]}`,
		`{"a":01}`, `{"a":-}`, `{"a":1.}`, `{"a":.5}`, `{"a":1e}`, `{"a":1e+}`, `{"a":+1}`, `{"a":--1}`, `{"a":1e999}`, `{"a":0x1}`,
		`{"a":tru}`, `{"a":nul`, `{"a":truefalse}`, `{"a":nullx}`, `{"a" 1}`, `{"a":}`, `{"a":1 "b":2}`, `{,"a":1}`, `{"a":1,}`, `{a:1}`, `{1:1}`,
		`{"a":[,]}`, `{"a":[1,]}`, `{"a":[1 2]}`, `{"a":]}`, `{"a":[}`, `{"a":{]}`,
		`{"a":"\u0000\ud83d\ude00\ud800\"\\\/\b\f\n\r\t"}`, `{"a":"\x"}`, `{"a":"\u12"}`, `{"a":"\`, `{"a":"\"`, "{\"a\":\"\n\"}", "{\"a\":\"\x7f\u2028\"}",
		`{"\u0061":1,"a":1}`, `{"\ud800":1,"\udbff":2}`, `{"a":1,"a":1e999}`, `{"a":1,"a":}`, `{"a":1e999,"b":[}`,
		" \t\r\n{ \t\r\n\"a\" \t\r\n: \t\r\n[ \t\r\n] \t\r\n, \t\r\n\"b\":{ } } \t\r\n", "{}{}", "{}\v", "{\u00a0}",
		`{"a":` + strings.Repeat("[", 15) + strings.Repeat("]", 15) + `}`, `{"a":` + strings.Repeat("[", 16) + strings.Repeat("]", 16) + `}`,
		`{"a":` + strings.Repeat("[", 16) + `}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		want, wantErr := parseByToken(data)
		got, err := parseJSON(data)
		if wantErr != nil {
			if err == nil || err.Error() != wantErr.Error() {
				t.Fatalf("%q: error %v, want %v", data, err, wantErr)
			}
			return
		}
		if err != nil {
			t.Fatalf("%q: error %v", data, err)
		}
		defer got.free()
		if diff := cmp.Diff(want, plain(got.root())); diff != "" {
			t.Fatalf("%q (-want +got):\n%s", data, diff)
		}
	})
}

// TestDecodeAllocations holds to a figure what a service that reads thousands
// of reports a second pays for each.
func TestDecodeAllocations(t *testing.T) {
	for _, name := range []string{"python-sdk-scenario-long.json", "python-sdk-scenario-long.cbor"} {
		data := readTestdata(t, name)
		var r *Report
		const most = 60
		if n := testing.AllocsPerRun(100, func() { r, _, _ = Decode(data) }); n > most {
			t.Errorf("%s: %v allocations, want at most %d", name, n, most)
		}
		if r == nil {
			t.Errorf("%s: no report", name)
		}
	}
}
