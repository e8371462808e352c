package profile

import (
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Severity says how bad a problem is.
type Severity int

const (
	Warning Severity = iota + 1 // probably not meant
	Error                       // certain to be refused, or to do nothing
)

// String returns the severity in lower case.
func (s Severity) String() string {
	if s == Error {
		return "error"
	}
	return "warning"
}

// Problem is one thing that is wrong with a document.
type Problem struct {
	File     string // as given by the caller; empty when the document is not from a file
	Line     int    // from 1; 0 when unknown
	Column   int    // from 1; 0 when unknown
	Path     string // keys with dots between, and indices in brackets: behaviors[0].criteria.value
	Severity Severity
	Rule     string // name of the validation or lint rule
	Message  string // what is wrong, with the value
	Want     string // what would be right; may be empty
}

// NewProblem returns a problem of a document that is not from a file. Texts
// that quote too much of it are cut.
func NewProblem(s Severity, path, rule, message, want string) Problem {
	return Problem{Path: path, Severity: s, Rule: rule, Message: cut(message), Want: cut(want)}
}

// JoinPath returns the path of a key of the value at path.
func JoinPath(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}

// IndexPath returns the path of an element of the list at path.
func IndexPath(path string, index int) string {
	return path + "[" + strconv.Itoa(index) + "]"
}

// LastKey returns the last key of a path.
func LastKey(path string) string {
	return path[strings.LastIndexByte(path, '.')+1:]
}

// String returns "file:line:column: path: message; want ... (rule)".
func (p Problem) String() string {
	text := p.Message
	if p.Path != "" {
		text = p.Path + ": " + text
	}
	if p.Want != "" {
		text += "; want " + p.Want
	}
	if p.Rule != "" {
		text += " (" + p.Rule + ")"
	}
	switch {
	case p.File != "" && p.Line > 0:
		return fmt.Sprintf("%s:%d:%d: %v: %s", p.File, p.Line, p.Column, p.Severity, text)
	case p.File != "":
		return fmt.Sprintf("%s: %v: %s", p.File, p.Severity, text)
	}
	return fmt.Sprintf("%v: %s", p.Severity, text)
}

// maxMessage is how many bytes a message has at most. It quotes the document,
// and is an errorMessage of ValidateSecurityProfileBehaviors, which has 2048.
const maxMessage = 600

// cut shortens a message that quotes too much.
func cut(message string) string {
	if len(message) <= maxMessage {
		return message
	}
	end := maxMessage
	for end > 0 && !utf8.RuneStart(message[end]) {
		end--
	}
	return message[:end] + "..."
}
