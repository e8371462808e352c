package hostproc

import (
	"net/netip"
	"testing"
)

// Each case adds to a host whose eth0 has 192.0.2.10/24.
func TestInferInterfaces(t *testing.T) {
	for _, test := range []struct {
		name            string
		own, broadcasts string
		connected       map[string]string
		addr, want      string
	}{
		{"the only address of its network", "", "", nil, "192.0.2.10", "eth0"},
		{"a route to a smaller network", "", "", map[string]string{"192.0.2.0/28": "wg0"}, "192.0.2.10", ""},
		{"a route to a larger network", "", "", map[string]string{"192.0.0.0/8": "wg0"}, "192.0.2.10", ""},
		{"a larger network of the same interface", "", "", map[string]string{"192.0.0.0/8": "eth0"}, "192.0.2.10", "eth0"},
		{"a network elsewhere", "198.51.100.1", "198.51.100.255", map[string]string{"198.51.100.0/24": "wg0"}, "192.0.2.10", "eth0"},
		{"a second address in the network", "192.0.2.110", "", nil, "192.0.2.10", ""},
		{"a second address in the network", "192.0.2.110", "", nil, "192.0.2.110", ""},
		{"a smaller network with an address of its own", "192.0.2.129", "192.0.2.255", map[string]string{"192.0.2.128/25": "eth0"}, "192.0.2.129", "eth0"},
		{"a network with a smaller one that has an address", "192.0.2.129", "192.0.2.255", map[string]string{"192.0.2.128/25": "eth0"}, "192.0.2.10", ""},
		{"a network without an address of its own", "198.51.100.1", "", map[string]string{"198.51.100.0/24": "wg0"}, "198.51.100.1", ""},
		{"a network of two interfaces", "198.51.100.1", "198.51.100.255", map[string]string{"198.51.100.0/24": ""}, "198.51.100.1", ""},
		{"no network", "198.51.100.1", "", nil, "198.51.100.1", ""},
		{"the host's own network of 32 bits", "198.51.100.1", "", map[string]string{"198.51.100.1/32": "wg0"}, "198.51.100.1", ""},
	} {
		trie := fibTrie{own: addressSet("192.0.2.10 " + test.own), broadcasts: addressSet("192.0.2.255 " + test.broadcasts)}
		connected := networks{netip.MustParsePrefix("192.0.2.0/24"): "eth0"}
		for network, name := range test.connected {
			connected[netip.MustParsePrefix(network).Masked()] = name
		}
		if got := inferInterfaces(trie, connected)[netip.MustParseAddr(test.addr)]; got != test.want {
			t.Errorf("%s: %s is on %q, want %q", test.name, test.addr, got, test.want)
		}
	}
}
