package profilefile

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"unicode/utf8"
)

// Limits of a file. The largest sensible one, 100 profiles with 1000 value
// elements each, is below them.
const (
	maxSize  = 1 << 20 // bytes
	maxDepth = 24      // of values within values; a document needs 6
	maxNodes = 1 << 18 // values, those of YAML aliases counted at each use
	maxKeys  = 100     // of one object; a profile has 10
)

// syntaxError says why text is not JSON or YAML, and where.
type syntaxError struct {
	line, column  int
	message, want string
}

func (e *syntaxError) Error() string { return e.message }

// builder makes nodes within the limits. Faults that don't keep the rest of
// the file from being read are noted.
type builder struct {
	nodes  int
	faults []*syntaxError
}

// fault notes a fault.
func (b *builder) fault(line, column int, message, want string) {
	b.faults = append(b.faults, &syntaxError{line, column, message, want})
}

// node counts a node and its depth.
func (b *builder) node(line, column, depth int) (*node, error) {
	if b.nodes++; b.nodes > maxNodes {
		return nil, &syntaxError{line, column, fmt.Sprintf("the file holds more than %d values", maxNodes), "several files"}
	}
	if depth > maxDepth {
		return nil, &syntaxError{line, column, fmt.Sprintf("more than %d values within each other", maxDepth), "a document, which has 6 at most"}
	}
	return &node{line: line, column: column}, nil
}

// add adds a field to an object, unless the key is there already.
func (b *builder) add(n *node, f field) error {
	if len(n.fields) == maxKeys {
		return &syntaxError{f.line, f.column, fmt.Sprintf("an object of more than %d keys", maxKeys), "a document, which has 10 at most"}
	}
	if i := slices.IndexFunc(n.fields, func(o field) bool { return o.key == f.key }); i >= 0 {
		b.fault(f.line, f.column, fmt.Sprintf("key %q is there twice, first in line %d", f.key, n.fields[i].line), "one of them")
		return nil
	}
	n.fields = append(n.fields, f)
	return nil
}

// readJSON reads the one value of a JSON text. The error is a *syntaxError.
func (b *builder) readJSON(data []byte) (*node, error) {
	r := &jsonReader{builder: b, data: data, decoder: json.NewDecoder(bytes.NewReader(data)), line: 1, column: 1}
	// The whole text is checked first: encoding/json's tokens are lenient.
	var raw json.RawMessage
	if err := json.Unmarshal(data, &raw); err != nil {
		return nil, r.syntax(err)
	}
	r.decoder.UseNumber()
	return r.value(0)
}

// jsonReader reads values token by token, and keeps track of the position.
type jsonReader struct {
	*builder
	data    []byte
	decoder *json.Decoder

	offset       int // what line and column belong to
	line, column int
}

// advance moves the position forward to the offset.
func (r *jsonReader) advance(offset int) {
	for r.offset < offset {
		c, size := utf8.DecodeRune(r.data[r.offset:])
		r.offset += size
		if r.column++; c == '\n' {
			r.line, r.column = r.line+1, 1
		}
	}
}

// token returns the next token, with the position at its first character.
func (r *jsonReader) token() (json.Token, error) {
	start := int(r.decoder.InputOffset())
	for start < len(r.data) && bytes.IndexByte([]byte(" \t\r\n,:"), r.data[start]) >= 0 {
		start++
	}
	r.advance(start)
	t, err := r.decoder.Token()
	if err != nil {
		return nil, r.syntax(err)
	}
	return t, nil
}

func (r *jsonReader) value(depth int) (*node, error) {
	t, err := r.token()
	if err != nil {
		return nil, err
	}
	n, err := r.node(r.line, r.column, depth)
	if err != nil {
		return nil, err
	}
	switch t := t.(type) {
	case nil:
		n.kind = nullNode
	case bool:
		n.kind = booleanNode
		if n.text = "false"; t {
			n.text = "true"
		}
	case json.Number:
		n.kind, n.text = numberNode, t.String()
	case string:
		n.kind, n.text = textNode, t
	case json.Delim:
		if t == '[' {
			n.kind = listNode
			for r.decoder.More() {
				item, err := r.value(depth + 1)
				if err != nil {
					return nil, err
				}
				n.items = append(n.items, item)
			}
		} else {
			n.kind = objectNode
			for r.decoder.More() {
				f, err := r.field(depth)
				if err != nil {
					return nil, err
				}
				if err := r.add(n, f); err != nil {
					return nil, err
				}
			}
		}
		_, err = r.token() // the closing bracket
	}
	return n, err
}

func (r *jsonReader) field(depth int) (field, error) {
	key, err := r.token()
	if err != nil {
		return field{}, err
	}
	f := field{line: r.line, column: r.column}
	f.key, _ = key.(string)
	f.value, err = r.value(depth + 1)
	return f, err
}

// syntax turns an error of encoding/json into one with a position.
func (r *jsonReader) syntax(err error) error {
	var syntax *json.SyntaxError
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || !errors.As(err, &syntax) {
		r.advance(len(r.data))
		return &syntaxError{line: r.line, column: r.column, message: "the text ends too early"}
	}
	// The offset is behind the offending byte, or the text's length.
	bad := int(syntax.Offset)
	if bad > 0 && syntax.Error() != "unexpected end of JSON input" {
		bad--
	}
	bad = min(bad, len(r.data))
	for bad > 0 && bad < len(r.data) && !utf8.RuneStart(r.data[bad]) {
		bad--
	}
	r.advance(bad)
	e := &syntaxError{line: r.line, column: r.column, message: syntax.Error()}
	before := bytes.TrimRight(r.data[:bad], " \t\r\n")
	switch rest := r.data[bad:]; {
	case len(rest) == 0:
		e.message = "the text ends too early"
	case (rest[0] == ']' || rest[0] == '}') && bytes.HasSuffix(before, []byte(",")):
		e.want = "no comma after the last element"
	case rest[0] == '/' || rest[0] == '#':
		e.want = "no comment, or a YAML file (.yaml): JSON has none"
	case rest[0] == '\'':
		e.want = `text in double quotes`
	case rest[0] == '"' && len(before) > 0 && before[len(before)-1] != ',':
		e.want = "a comma between elements"
	}
	return e
}
