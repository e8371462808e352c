package metrics

import (
	"cmp"
	"slices"
)

// group is the entries of a list that share a key, which stand together in it.
type group struct {
	record
	start, size int32 // in the list
	outside     bool  // not only of the host itself
}

// The classes of groups, in their order.
const (
	newOutside = iota
	newInside
	knownOutside
	knownInside
	classes
)

func (g *group) class() int {
	switch {
	case g.last == 0 && g.outside:
		return newOutside
	case g.last == 0:
		return newInside
	case g.outside:
		return knownOutside
	}
	return knownInside
}

// order returns which entries of a list to keep if there is room for n, the
// most important first. Every first part of it is the order for less room.
//
// Groups are in four classes: those that no report carried, outside and inside,
// and those that reports carried, outside and inside. Each class has every
// fourth place, and a class that is used up leaves its places to the first one
// that is not: so nothing that can be made in great number, such as connections
// of a local user over loopback, takes all the room. Within a class the least
// recently reported go first, of those never reported the ones that have waited
// longest: so each is reported in turn, however many come and go.
//
// No group has a second entry before every group has one. Which of its entries
// a group begins with changes from report to report.
func order(groups []group, n int) []int32 {
	ranked := rank(groups, n)
	kept := make([]int32, 0, n)
	for level := int32(0); len(ranked) > 0 && len(kept) < n; level++ {
		ranked = slices.DeleteFunc(ranked, func(g *group) bool { return g.size <= level })
		for _, g := range ranked[:min(len(ranked), n-len(kept))] {
			first := int32(g.times % uint32(g.size))
			kept = append(kept, g.start+(first+level)%g.size)
		}
	}
	return kept
}

// rank returns the first n groups in order.
func rank(groups []group, n int) []*group {
	sorted := make([]*group, len(groups))
	for i := range groups {
		sorted[i] = &groups[i]
	}
	slices.SortFunc(sorted, func(a, b *group) int {
		switch {
		case a.class() != b.class():
			return cmp.Compare(a.class(), b.class())
		case a.last != b.last:
			return cmp.Compare(a.last, b.last)
		case a.since != b.since:
			return cmp.Compare(a.since, b.since)
		}
		return a.key.compare(b.key)
	})
	var queues [classes][]*group
	for class := range queues {
		end := 0
		for end < len(sorted) && sorted[end].class() == class {
			end++
		}
		queues[class], sorted = sorted[:end], sorted[end:]
	}
	ranked := make([]*group, min(n, len(groups)))
	for i := range ranked {
		class := i % classes
		for next := 0; len(queues[class]) == 0; next++ {
			class = next
		}
		ranked[i], queues[class] = queues[class][0], queues[class][1:]
	}
	return ranked
}
