package hostproc

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/netip"
)

// fibTrie is what net/fib_trie says about addresses.
type fibTrie struct {
	own        map[netip.Addr]struct{} // the host's own addresses
	broadcasts map[netip.Addr]struct{} // the broadcast addresses of its networks
}

// parseFibTrie returns the host's own IPv4 addresses and its broadcast ones: of
// the routing tries that the file draws, the leaves that are routes of 32 bits
// of the types LOCAL and BROADCAST.
//
//	Main:
//	  +-- 10.9.0.0/24 2 0 2
//	     |-- 10.9.0.1
//	        /32 host LOCAL
//	     |-- 10.9.0.255
//	        /32 link BROADCAST
//
// The tables Main and Local are usually one, drawn twice. Other tables are left
// out: the networks of net/route are those of Main. On a router the file has
// hundreds of thousands of lines; none of them is kept. It is empty while no
// interface is up.
func parseFibTrie(r io.Reader) (fibTrie, error) {
	trie := fibTrie{own: map[netip.Addr]struct{}{}, broadcasts: map[netip.Addr]struct{}{}}
	var faults RowsError
	var leaf netip.Addr
	skip := false // in another table
	lines := newLineScanner(r)
	for number := 1; lines.Scan(); number++ {
		line := bytes.TrimSpace(lines.Bytes())
		var kind map[netip.Addr]struct{}
		switch {
		case bytes.HasPrefix(line, []byte("Id ")):
			skip = true
		case bytes.Equal(line, []byte("Main:")), bytes.Equal(line, []byte("Local:")):
			skip = false
		case skip:
		case bytes.HasPrefix(line, []byte("|-- ")):
			var fault error
			if err := leaf.UnmarshalText(line[len("|-- "):]); err != nil || !leaf.Is4() {
				leaf, fault = netip.Addr{}, errors.New("the leaf is not an IPv4 address")
			}
			faults.add(number, len(line), fault)
		case bytes.HasPrefix(line, []byte("/32 host LOCAL")):
			kind = trie.own
		case bytes.HasPrefix(line, []byte("/32 link BROADCAST")):
			kind = trie.broadcasts
		}
		switch {
		case kind == nil:
		case !leaf.IsValid():
			faults.add(number, len(line), errors.New("a route without a leaf"))
		default:
			if kind[leaf] = struct{}{}; len(kind) > maxAddresses {
				return fibTrie{}, fmt.Errorf("more than %d addresses", maxAddresses)
			}
		}
	}
	if err := lines.Err(); err != nil {
		return fibTrie{}, err
	}
	return trie, faults.orNil()
}
