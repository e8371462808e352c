package profilefile

import (
	"iter"
	"strings"

	"github.com/device-defender/device-defender/internal/defender/profile"
)

// DocumentKind is one of the four kinds of documents.
type DocumentKind int

const (
	ProfileDocument DocumentKind = iota
	CustomMetricDocument
	DimensionDocument
	MitigationActionDocument
)

// documentKinds is the number of kinds.
const documentKinds = 4

// String returns the kind as it's called in messages.
func (k DocumentKind) String() string {
	switch k {
	case ProfileDocument:
		return "security profile"
	case CustomMetricDocument:
		return "custom metric"
	case DimensionDocument:
		return "dimension"
	default:
		return "mitigation action"
	}
}

// Set is what a number of files hold. A Set that was not read from files may
// be made as a literal; its problems are then not located.
type Set struct {
	Profiles          []profile.Profile
	CustomMetrics     []profile.CustomMetric
	Dimensions        []profile.Dimension
	MitigationActions []profile.MitigationAction

	// sources says where the documents are from, by kind and in the order of
	// the list of that kind.
	sources [documentKinds][]source
	files   []string // in the order read
}

// source is where one document was read.
type source struct {
	file string
	root *node
	// broken are the paths whose values could not be read, and which are
	// therefore absent from the document though not from the file: true for
	// these, false for the paths around them.
	broken map[string]bool
}

// Locate returns where in the files the value at the path of a document is:
// of the nearest value around it that is there when it's absent itself. Index
// counts in the set's list of that kind; the path is as in Problem. Lines and
// columns count from 1 and are 0 when the document is not from a file.
func (s *Set) Locate(kind DocumentKind, index int, path string) (file string, line, column int) {
	if index < 0 || index >= len(s.sources[kind]) {
		return "", 0, 0
	}
	from := s.sources[kind][index]
	at := from.root.find(path)
	return from.file, at.line, at.column
}

// unread reports whether what is at the path could not be read or, if inside
// is true, something in it.
func (s *Set) unread(kind DocumentKind, index int, path string, inside bool) bool {
	if index >= len(s.sources[kind]) {
		return false
	}
	for around := range enclosing(path) {
		if whole, noted := s.sources[kind][index].broken[around]; whole || noted && inside && around == path {
			return true
		}
	}
	return false
}

// enclosing yields the path and those of the values around it, inside out.
func enclosing(path string) iter.Seq[string] {
	return func(yield func(string) bool) {
		for end := len(path); end > 0 && yield(path[:end]); {
			end = strings.LastIndexAny(path[:end], ".[")
		}
	}
}

// located fills in where the problem's path is in the files.
func (s *Set) located(kind DocumentKind, index int, p profile.Problem) profile.Problem {
	p.File, p.Line, p.Column = s.Locate(kind, index, p.Path)
	return p
}

// add appends the other set's documents.
func (s *Set) add(other *Set) {
	s.Profiles = append(s.Profiles, other.Profiles...)
	s.CustomMetrics = append(s.CustomMetrics, other.CustomMetrics...)
	s.Dimensions = append(s.Dimensions, other.Dimensions...)
	s.MitigationActions = append(s.MitigationActions, other.MitigationActions...)
	for kind, sources := range other.sources {
		s.sources[kind] = append(s.sources[kind], sources...)
	}
	s.files = append(s.files, other.files...)
}

// Registry returns the custom metrics and dimensions that the set defines.
func (s *Set) Registry() profile.Registry {
	r := profile.Registry{CustomMetrics: map[string]string{}, Dimensions: map[string]bool{}}
	for _, m := range s.CustomMetrics {
		r.CustomMetrics[m.Name] = m.Type
	}
	for _, d := range s.Dimensions {
		r.Dimensions[d.Name] = true
	}
	return r
}
