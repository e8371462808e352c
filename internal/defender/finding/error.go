package finding

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/device-defender/device-defender/internal/defender/profile"
	"github.com/device-defender/device-defender/internal/spelling"
)

// ErrNotFound is what errors are that say that there is no such violation, thing,
// profile or metric.
var ErrNotFound = errors.New("not found")

// absent is an ErrNotFound in other words.
type absent string

func (e absent) Error() string { return string(e) }

// NotFound returns an error that says what is not there, and is [ErrNotFound].
func NotFound(text string) error { return absent(text) }

func (absent) Is(target error) bool { return target == ErrNotFound }

// violationID is what an id, or the beginning of one, may look like.
var violationID = regexp.MustCompile(`^[a-zA-Z0-9-]{1,128}$`)

// CheckID says whether this can be the id of a violation, or the beginning of
// one.
func CheckID(id string) error {
	if !violationID.MatchString(id) {
		return absent(fmt.Sprintf("%q is not a violation id", id))
	}
	return nil
}

// Complete returns the one id that is meant by an abbreviated one, of all that
// begin with it. The error is an [AmbiguousError] when there are several.
func Complete(id string, all []string) (string, error) {
	switch {
	case slices.Contains(all, id):
		return id, nil
	case len(all) == 0:
		return "", absent(fmt.Sprintf("no violation %s is active or had an event in the last 30 days", id))
	case len(all) > 1:
		slices.Sort(all)
		return "", &AmbiguousError{ID: id, Matches: all}
	}
	return all[0], nil
}

// AmbiguousError says that an abbreviated violation id means several.
type AmbiguousError struct {
	ID      string
	Matches []string // sorted
}

func (e *AmbiguousError) Error() string {
	shown := e.Matches[:min(len(e.Matches), 5)]
	text := fmt.Sprintf("violation id %s is the beginning of %d: %s", e.ID, len(e.Matches), strings.Join(shown, ", "))
	if len(shown) < len(e.Matches) {
		text += ", ..."
	}
	return text
}

// UnknownMetricError says that there is no such metric, or that it is of a
// type that this program does not know.
type UnknownMetricError struct{ Name, Type string }

func (e *UnknownMetricError) Error() string {
	switch {
	case e.Type != "":
		return "custom metric " + e.Name + " has the unknown type " + e.Type
	case profile.IsAWS(e.Name):
		return "no metric is called " + e.Name + "; want " + spelling.Suggest(e.Name, profile.MetricNames())
	}
	return "no custom metric is called " + e.Name
}

func (*UnknownMetricError) Is(target error) bool { return target == ErrNotFound }
