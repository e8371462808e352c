package metrics

import (
	"math/rand/v2"
	"slices"
	"testing"
)

// randomGroups returns groups of any past, and the length of their list.
func randomGroups(rng *rand.Rand) (groups []group, length int) {
	for i := range rng.IntN(60) {
		g := group{start: int32(length), size: 1 + int32(rng.IntN(4)), outside: rng.IntN(2) == 0}
		g.key.low = uint64(i)
		g.since = uint32(rng.IntN(5))
		if rng.IntN(2) == 0 {
			g.last, g.times = uint32(1+rng.IntN(5)), uint32(1+rng.IntN(9))
		}
		length += int(g.size)
		groups = append(groups, g)
	}
	return groups, length
}

// groupOf returns the group of an entry.
func groupOf(groups []group, at int32) int {
	return slices.IndexFunc(groups, func(g group) bool { return g.start <= at && at < g.start+g.size })
}

func checkOrder(t *testing.T, groups []group, length int) {
	t.Helper()
	whole := order(slices.Clone(groups), length)
	all := slices.Sorted(slices.Values(whole))
	for i, at := range all {
		if len(all) != length || int(at) != i {
			t.Fatalf("not each entry once: %v", whole)
		}
	}
	seen := make(map[int]bool)
	var have, size [classes]int
	for i := range groups {
		size[groups[i].class()]++
	}
	for n, at := range whole {
		if !slices.Equal(order(slices.Clone(groups), n), whole[:n]) {
			t.Fatalf("the order for %d is no first part of the order for all", n)
		}
		g := groupOf(groups, at)
		if seen[g] && len(seen) < len(groups) {
			t.Fatalf("entry %d is a second one of its group, and %d groups have none", n, len(groups)-len(seen))
		}
		if !seen[g] {
			have[groups[g].class()]++
		}
		seen[g] = true
		if len(seen) == len(groups) {
			continue
		}
		for class := range have {
			if want := min(size[class], (n+1)/classes); have[class] < want {
				t.Fatalf("of %d entries %d are of class %d, want at least %d", n+1, have[class], class, want)
			}
		}
	}
}

func TestOrder(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 6))
	for range 500 {
		groups, length := randomGroups(rng)
		checkOrder(t, groups, length)
	}
}

func FuzzOrder(f *testing.F) {
	f.Add(uint64(1), uint64(2))
	f.Add(uint64(0), uint64(0))
	f.Fuzz(func(t *testing.T, a, b uint64) {
		groups, length := randomGroups(rand.New(rand.NewPCG(a, b)))
		checkOrder(t, groups, length)
	})
}

// The places of a class that is used up go to the first class that is not.
func TestOrderOfClasses(t *testing.T) {
	var groups []group
	add := func(n int, outside bool, last uint32) {
		for range n {
			g := group{start: int32(len(groups)), size: 1, outside: outside}
			g.key.low = uint64(len(groups))
			g.last = last
			groups = append(groups, g)
		}
	}
	add(3, false, 1)   // 0 to 2, known
	add(6, true, 1)    // 3 to 8, known
	add(2, true, 0)    // 9 and 10, new
	add(1, false, 0)   // 11, new
	groups[5].last = 0 // one of those outside is new as well
	groups[3].last = 2 // and one was reported after the others
	want := []int32{
		5, 11, 4, 0,
		9, 10, 6, 1,
		7, 8, 3, 2,
	}
	if got := order(groups, len(groups)); !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}

// Of what was never reported, that which has waited longest goes first.
func TestOrderOfWaiting(t *testing.T) {
	var groups []group
	for i, since := range []uint32{3, 1, 2, 1} {
		g := group{start: int32(i), size: 1, outside: true}
		g.key.low, g.since = uint64(i), since
		groups = append(groups, g)
	}
	if got, want := order(groups, 4), []int32{1, 3, 2, 0}; !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}
