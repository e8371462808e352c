package report

import (
	"encoding/json"
	"fmt"
	"math"
	"strconv"
	"strings"
	"unicode/utf8"
)

func parseJSON(data []byte) (*tree, *InvalidError) {
	if !utf8.Valid(data) {
		return nil, invalid("malformed JSON: not valid UTF-8")
	}
	p := jsonParser{in: string(data), tree: newTree()}
	err := p.document()
	if err == nil {
		return p.tree, nil
	}
	p.tree.free()
	// encoding/json words what is wrong with the syntax, which comes before
	// what this package does not like in good JSON.
	if syntax := json.Unmarshal(data, new(json.RawMessage)); syntax != nil {
		err = syntax
	}
	return nil, invalid("malformed JSON: %v", err)
}

// jsonParser reads JSON straight into a tree: encoding/json makes a value of
// each token, and keeps quiet about duplicate names.
type jsonParser struct {
	in   string
	at   int
	tree *tree
}

// syntaxError is at any byte that JSON does not allow.
type syntaxError struct{ at int }

func (e syntaxError) Error() string { return fmt.Sprintf("byte %d is out of place", e.at) }

func (p *jsonParser) document() error {
	p.space()
	if err := p.value("", 0); err != nil {
		return err
	}
	if p.space(); p.at < len(p.in) {
		return syntaxError{p.at}
	}
	return nil
}

func (p *jsonParser) space() {
	for p.at < len(p.in) && strings.IndexByte(" \t\r\n", p.in[p.at]) >= 0 {
		p.at++
	}
}

// take reads the byte if it is the next one.
func (p *jsonParser) take(c byte) bool {
	if p.at < len(p.in) && p.in[p.at] == c {
		p.at++
		return true
	}
	return false
}

func (p *jsonParser) value(name string, depth int) error {
	if p.at == len(p.in) {
		return syntaxError{p.at}
	}
	switch c := p.in[p.at]; {
	case c == '{' || c == '[':
		if depth == maxDepth {
			return fmt.Errorf("nested deeper than %d levels", maxDepth)
		}
		if c == '{' {
			return p.object(name, depth)
		}
		return p.list(name, depth)
	case c == '"':
		s, err := p.text()
		p.tree.scalar(node{name: name, kind: kindText, text: s})
		return err
	case c == '-' || isDigit(c):
		return p.number(name)
	}
	for _, literal := range literals {
		if strings.HasPrefix(p.in[p.at:], literal.text) {
			p.at += len(literal.text)
			p.tree.add(name, literal.value)
			return nil
		}
	}
	return syntaxError{p.at}
}

var literals = []struct {
	text  string
	value any
}{{"null", nil}, {"true", true}, {"false", false}}

func (p *jsonParser) object(name string, depth int) error {
	at, size := p.tree.open(name, kindObject), 0
	var names map[string]bool // of the members, once they are many
	p.at++
	p.space()
	for !p.take('}') {
		if size > 0 {
			if !p.take(',') {
				return syntaxError{p.at}
			}
			p.space()
		}
		member, err := p.text()
		if err != nil {
			return err
		}
		if p.space(); !p.take(':') {
			return syntaxError{p.at}
		}
		p.space()
		if p.tree.twice(at, size, member, &names) {
			return fmt.Errorf("duplicate name %.64q", member)
		}
		if err := p.value(member, depth+1); err != nil {
			return err
		}
		size++
		p.space()
	}
	p.tree.close(at, size)
	return nil
}

func (p *jsonParser) list(name string, depth int) error {
	at, size := p.tree.open(name, kindList), 0
	p.at++
	p.space()
	for !p.take(']') {
		if size > 0 {
			if !p.take(',') {
				return syntaxError{p.at}
			}
			p.space()
		}
		if err := p.value("", depth+1); err != nil {
			return err
		}
		size++
		p.space()
	}
	p.tree.close(at, size)
	return nil
}

// text reads a string. It is a part of the document unless it has escapes.
func (p *jsonParser) text() (string, error) {
	start := p.at
	if !p.take('"') {
		return "", syntaxError{p.at}
	}
	escaped := false
	for ; p.at < len(p.in); p.at++ {
		switch c := p.in[p.at]; {
		case c == '"':
			p.at++
			if !escaped {
				return p.in[start+1 : p.at-1], nil
			}
			var s string
			err := json.Unmarshal([]byte(p.in[start:p.at]), &s)
			return s, err
		case c == '\\':
			escaped = true
			p.at++
		case c < ' ':
			return "", syntaxError{p.at}
		}
	}
	return "", syntaxError{p.at}
}

func (p *jsonParser) number(name string) error {
	start := p.at
	p.take('-')
	if !p.take('0') && !p.digits() {
		return syntaxError{p.at}
	}
	if p.take('.') && !p.digits() {
		return syntaxError{p.at}
	}
	if p.take('e') || p.take('E') {
		if !p.take('+') {
			p.take('-')
		}
		if !p.digits() {
			return syntaxError{p.at}
		}
	}
	n, err := number(p.in[start:p.at])
	n.name = name
	p.tree.scalar(n)
	return err
}

// digits reads at least one digit.
func (p *jsonParser) digits() bool {
	start := p.at
	for p.at < len(p.in) && isDigit(p.in[p.at]) {
		p.at++
	}
	return p.at > start
}

// number gives a JSON number the type that the same number has in CBOR.
func number(s string) (node, error) {
	if !strings.ContainsAny(s, ".eE") {
		if s[0] == '-' {
			if v, err := strconv.ParseInt(s, 10, 64); err == nil {
				return node{kind: kindNegative, bits: uint64(v)}, nil
			}
		} else if v, err := strconv.ParseUint(s, 10, 64); err == nil {
			return node{kind: kindNatural, bits: v}, nil
		}
	}
	v, err := strconv.ParseFloat(s, 64)
	if err != nil {
		return node{}, fmt.Errorf("number %.64s out of range", s)
	}
	return node{kind: kindFloat, bits: math.Float64bits(v)}, nil
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }
