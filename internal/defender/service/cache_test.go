package service

import "testing"

func TestCache(t *testing.T) {
	c := newCache(3 * (&known{}).size())
	put := func(generation uint64, names ...string) {
		things := map[string]*known{}
		for _, name := range names {
			things[name] = &known{name: name}
		}
		c.put(generation, things)
	}
	has := func(want string) {
		t.Helper()
		got := ""
		for e := c.recent.Front(); e != nil; e = e.Next() {
			got += e.Value.(*known).name
		}
		if got != want || len(c.entries) != len(want) || c.size != len(want)*(&known{}).size() {
			t.Errorf("has %q, %d entries, %d bytes; want %q", got, len(c.entries), c.size, want)
		}
	}
	before := c.generation()
	put(before, "a")
	put(before, "b")
	put(before, "c")
	put(before, "d")
	has("dcb")
	if k := c.take("b"); k == nil || k.name != "b" {
		t.Errorf("took %+v", k)
	}
	if c.take("b") != nil || c.take("a") != nil {
		t.Error("took what is not there")
	}
	// What is evicted meanwhile is not put back, and neither is anything else
	// that was read before.
	c.evict("b")
	put(before, "b", "e")
	has("dc")
	put(c.generation(), "b")
	has("bdc")
	c.evict("d")
	has("bc")
}
