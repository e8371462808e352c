package report

import (
	"fmt"
	"strings"
)

// InvalidError says why a document is not one that the service would take.
type InvalidError struct {
	// Path leads to the fault by the document's own names, as in
	// "metrics.listening_tcp_ports.ports[3].port". It is empty when the
	// document as a whole is at fault.
	Path string
	// Problem is what is there and what should be, as in "0, want 1 to 65535".
	Problem string
}

func (e *InvalidError) Error() string {
	if e.Path == "" {
		return e.Problem
	}
	return e.Path + ": " + e.Problem
}

func invalid(format string, args ...any) *InvalidError {
	return &InvalidError{Problem: fmt.Sprintf(format, args...)}
}

// path leads from the root of a document to the value being read or written.
type path []step

// step goes into a member of an object or into an item of a list.
type step struct {
	list  bool
	name  string // of the member
	index int    // of the member or item, from 0
}

func (p path) String() string {
	var b strings.Builder
	for _, s := range p {
		if s.list {
			fmt.Fprintf(&b, "[%d]", s.index)
			continue
		}
		if b.Len() > 0 {
			b.WriteByte('.')
		}
		if CheckMetricName(s.name) == nil {
			b.WriteString(s.name)
		} else {
			fmt.Fprintf(&b, "%.64q", s.name)
		}
	}
	return b.String()
}
