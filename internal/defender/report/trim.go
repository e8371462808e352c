package report

import "net/netip"

// TrimConnections cuts a list to n connections, in their order. It keeps one of
// every remote address before it keeps a second of any, since behaviors watch
// addresses.
func TrimConnections(list []Connection, n int) []Connection {
	return trim(list, n, func(c Connection) netip.Addr { return c.RemoteAddr.Addr() })
}

// TrimPorts cuts a list to n ports, in their order. It keeps one of every port
// number before it keeps a second of any, since behaviors watch numbers.
func TrimPorts(list []Port, n int) []Port {
	return trim(list, n, func(p Port) uint16 { return p.Port })
}

// trim keeps n items: the first of each key, in order, then the others, in
// order. A greater n keeps all that a smaller one does. A list that is short
// enough is returned itself, and never changed.
func trim[T any, K comparable](list []T, n int, key func(T) K) []T {
	if len(list) <= n {
		return list
	}
	n = max(n, 0)
	seen := make(map[K]bool, n)
	keep := make([]bool, len(list))
	rest := n
	for i, item := range list {
		if k := key(item); rest > 0 && !seen[k] {
			seen[k], keep[i] = true, true
			rest--
		}
	}
	kept := make([]T, 0, n)
	for i, item := range list {
		switch {
		case keep[i]:
			kept = append(kept, item)
		case rest > 0:
			kept = append(kept, item)
			rest--
		}
	}
	return kept
}
