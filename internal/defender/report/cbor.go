package report

import (
	"math"
	"unicode/utf8"
)

// cborParser reads what agents send in CBOR straight into a tree, as package cbor
// makes a value of each item. Whatever it does not know, or does not like, is left
// to that: it decides, and words the error.
type cborParser struct {
	in   string
	at   int
	tree *tree
}

// readCBOR reads a document. It reports false for what is left to package cbor.
func readCBOR(data []byte) (*tree, bool) {
	p := cborParser{in: string(data), tree: newTree()}
	if p.value("", 0) && p.at == len(p.in) {
		return p.tree, true
	}
	p.tree.free()
	return nil, false
}

// Of the first byte of an item, RFC 8949 section 3: the three high bits are the
// major type, the others a number or how many bytes it has.
const (
	cborLow        = 0x1f
	cborIndefinite = 31 // the items go on to cborBreak
	cborBreak      = 0xff
)

// head reads the first byte of an item and its number.
func (p *cborParser) head() (major, low byte, n uint64, ok bool) {
	if p.at == len(p.in) {
		return 0, 0, 0, false
	}
	major, low = p.in[p.at]&^cborLow, p.in[p.at]&cborLow
	p.at++
	switch {
	case low < 24:
		return major, low, uint64(low), true
	case low > 27:
		return major, low, 0, low == cborIndefinite
	}
	size := 1 << (low - 24)
	if len(p.in)-p.at < size {
		return 0, 0, 0, false
	}
	for range size {
		n = n<<8 | uint64(p.in[p.at])
		p.at++
	}
	return major, low, n, true
}

func (p *cborParser) value(name string, depth int) bool {
	major, low, n, ok := p.head()
	if !ok || low == cborIndefinite && major != cborArray && major != cborMap {
		return false
	}
	switch major {
	case cborUint:
		p.tree.scalar(node{name: name, kind: kindNatural, bits: n})
	case cborNegative:
		if n > math.MaxInt64 {
			return false
		}
		p.tree.scalar(node{name: name, kind: kindNegative, bits: ^n}) // -1-n
	case cborText:
		text, ok := p.text(n)
		p.tree.scalar(node{name: name, kind: kindText, text: text})
		return ok
	case cborArray, cborMap:
		return depth < maxDepth && p.container(name, major, low, n, depth)
	case cborOther:
		return p.other(name, low, n)
	default: // byte strings and tags
		return false
	}
	return true
}

// text reads n bytes.
func (p *cborParser) text(n uint64) (string, bool) {
	if n > uint64(len(p.in)-p.at) {
		return "", false
	}
	s := p.in[p.at : p.at+int(n)]
	p.at += int(n)
	return s, utf8.ValidString(s)
}

// container reads the n items of an array or map, or those up to the break.
func (p *cborParser) container(name string, major, low byte, n uint64, depth int) bool {
	kind := kindList
	if major == cborMap {
		kind = kindObject
	}
	at, size := p.tree.open(name, kind), 0
	var names map[string]bool
	for ; low == cborIndefinite || uint64(size) < n; size++ {
		if low == cborIndefinite && p.at < len(p.in) && p.in[p.at] == cborBreak {
			p.at++
			break
		}
		member := ""
		if major == cborMap {
			major, low, n, ok := p.head()
			if !ok || major != cborText || low == cborIndefinite {
				return false
			}
			if member, ok = p.text(n); !ok || p.tree.twice(at, size, member, &names) {
				return false
			}
		}
		if !p.value(member, depth+1) {
			return false
		}
	}
	p.tree.close(at, size)
	return true
}

// other reads a simple value or a float.
func (p *cborParser) other(name string, low byte, n uint64) bool {
	v := node{name: name}
	switch low {
	case 20, 21:
		v.kind, v.bits = kindBool, n-20
	case 22, 23: // null, undefined
	case 26:
		v.kind, v.bits = kindFloat, math.Float64bits(float64(math.Float32frombits(uint32(n))))
	case 27:
		v.kind, v.bits = kindFloat, n
	default:
		return false
	}
	p.tree.scalar(v)
	return true
}
