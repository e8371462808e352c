package service

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/device-defender/device-defender/internal/defender/finding"
)

// listed are the things, behaviors and states of a scope's violations.
func (b *bench) listed(scope Scope, most int) (list []string) {
	b.t.Helper()
	found, err := b.Findings(b.t.Context(), scope, most)
	for _, v := range ok(b, found, err).List {
		list = append(list, fmt.Sprintf("%s %s %v %s", v.Thing, v.Profile, v.Started.Sub(start), v.State()))
	}
	if found.More {
		list = append(list, "more")
	}
	return list
}

// The first page of a list has what is in alarm, and then what ended last.
func TestFindingsInParts(t *testing.T) {
	b := newBench(t, Options{})
	b.attach(profileOf("Ports", onlyPort(443)))
	for _, thing := range []string{"a", "b", "c", "d"} {
		b.reports(thing, ports(8080))
		b.after(time.Hour)
	}
	b.reports("c", ports(443)) // ended after 2 hours, a in 5
	b.after(time.Hour)
	b.reports("a", ports(443))
	active := []string{"d Ports 3h0m0s in-alarm", "b Ports 1h0m0s in-alarm"}
	for _, test := range []struct {
		scope Scope
		most  int
		want  []string
	}{
		{Scope{}, 1, append(active[:1:1], "more")},
		{Scope{}, 2, append(active[:2:2], "more")},
		{Scope{}, 3, append(active[:2:2], "a Ports 0s alarm-cleared", "more")},
		{Scope{}, 4, append(active[:2:2], "c Ports 2h0m0s alarm-cleared", "a Ports 0s alarm-cleared")},
		{Scope{Since: start.Add(5 * time.Hour)}, 4, append(active[:2:2], "a Ports 0s alarm-cleared")},
		{Scope{Profile: "Ports"}, 3, append(active[:2:2], "c Ports 2h0m0s alarm-cleared", "more")},
		{Scope{Thing: "b"}, 3, active[1:]},
		{Scope{Thing: "nobody"}, 3, nil},
	} {
		if diff := gocmp.Diff(test.want, b.listed(test.scope, test.most)); diff != "" {
			t.Errorf("%+v, at most %d (-want +got):\n%s", test.scope, test.most, diff)
		}
	}
}

// A violation is found by its id, or as much of it as no other begins with.
func TestFinding(t *testing.T) {
	b := newBench(t, Options{})
	b.attach(profileOf("Ports", onlyPort(443)))
	var ids []string
	for i := range 40 { // at least two begin with the same of 16 digits
		b.reports(fmt.Sprintf("thing-%d", i), ports(8080))
	}
	for _, v := range b.active() {
		ids = append(ids, *v.ViolationId)
	}
	slices.Sort(ids)
	for i, id := range ids {
		found, err := b.Finding(t.Context(), id)
		if ok(b, found, err).ID != id {
			t.Errorf("%s found for %s", found.ID, id)
		}
		matches := 0
		for _, other := range ids {
			if other[0] == id[0] {
				matches++
			}
		}
		found, err = b.Finding(t.Context(), id[:1])
		ambiguous, several := errors.AsType[*finding.AmbiguousError](err)
		switch {
		case several && (matches < 2 || len(ambiguous.Matches) != matches || !slices.Contains(ambiguous.Matches, id)):
			t.Errorf("%s: %v", id[:1], err)
		case !several && (err != nil || matches > 1 || found.ID != id):
			t.Errorf("%d: %s: %v", i, id[:1], err)
		}
	}
	for _, id := range []string{"", "<b>", "zz", ids[0] + "0"} {
		if found, err := b.Finding(t.Context(), id); !errors.Is(err, finding.ErrNotFound) {
			t.Errorf("%q: %+v, %v", id, found, err)
		}
	}
}
