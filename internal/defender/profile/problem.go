package profile

import (
	"fmt"
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
	Path     string // as behaviors[0].criteria.value
	Severity Severity
	Rule     string // name of the validation or lint rule
	Message  string // what is wrong, with the value
	Want     string // what would be right; may be empty
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
const maxMessage = 500

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
