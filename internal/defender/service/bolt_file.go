package service

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"math"
)

// boltFile reads a database file of go.etcd.io/bbolt, as version 0.1 has it. It
// believes nothing that is in the file. bbolt itself maps the file and follows
// what is in it: a damaged one makes it point anywhere in this process.
//
// A file is an array of pages. The first two are meta pages, of which the later
// one that is whole counts: it has the root of a tree. A tree's leaves have keys
// and values; a value can be another tree, a bucket, by the number of its root
// page or, if it is small, with the page itself.
type boltFile struct {
	r        io.ReaderAt
	pageSize int64
	pages    uint64 // those that have been used
	root     uint64
	seen     map[uint64]bool // each page is in one place of one tree
}

// Of the format.
const (
	boltMagic    = 0xed0cdaed
	boltVersion  = 2
	boltMeta     = 64 // bytes of a meta page without its header
	boltHeader   = 16 // of a page
	boltBranch   = 1  // flag of a page
	boltLeaf     = 2  // flag of a page
	boltIsBucket = 1  // flag of a value
	boltDepth    = 64 // no tree of 2^64 pages is so deep
	boltLargest  = 64 << 20
)

// boltBucket is a tree in the file.
type boltBucket struct {
	sequence uint64
	root     uint64 // number of a page, 0: the page is inline
	inline   []byte
}

// boltEntry is a key with its value or bucket.
type boltEntry struct {
	key    string
	value  []byte
	bucket *boltBucket // nil: value counts
}

var errBolt = errors.New("invalid database")

// parseBoltFile reads the meta pages of a file.
func parseBoltFile(r io.ReaderAt, size int64) (*boltFile, error) {
	var best *boltFile
	var latest uint64
	look := func(at int64) (pageSize int64) {
		f, txid, err := parseBoltMeta(r, at)
		if err != nil {
			return 0
		}
		if best == nil || txid > latest {
			best, latest = f, txid
		}
		return f.pageSize
	}
	if pageSize := look(0); pageSize > 0 {
		look(pageSize)
	} else { // where the second is depends on what the first would say
		for pageSize := int64(1024); pageSize <= 1<<16 && best == nil; pageSize *= 2 {
			look(pageSize)
		}
	}
	if best == nil {
		return nil, errBolt
	}
	if best.pages > math.MaxInt64/uint64(best.pageSize) || int64(best.pages)*best.pageSize > size {
		return nil, fmt.Errorf("it has %d bytes of %d pages of %d", size, best.pages, best.pageSize)
	}
	return best, nil
}

// parseBoltMeta reads the meta page at the place.
func parseBoltMeta(r io.ReaderAt, at int64) (f *boltFile, txid uint64, err error) {
	var page [boltHeader + boltMeta]byte
	if _, err := r.ReadAt(page[:], at); err != nil {
		return nil, 0, err
	}
	meta := page[boltHeader:]
	n := binary.NativeEndian
	sum := fnv.New64a()
	sum.Write(meta[:56])
	pageSize := int64(n.Uint32(meta[8:]))
	if n.Uint32(meta) != boltMagic || n.Uint32(meta[4:]) != boltVersion || n.Uint64(meta[56:]) != sum.Sum64() ||
		pageSize < 512 || pageSize > 1<<20 || at != 0 && at != pageSize {
		return nil, 0, errBolt
	}
	f = &boltFile{r: r, pageSize: pageSize, root: n.Uint64(meta[16:]), pages: n.Uint64(meta[40:]), seen: map[uint64]bool{}}
	return f, n.Uint64(meta[48:]), nil
}

// top is the bucket that all others are in.
func (f *boltFile) top() *boltBucket { return &boltBucket{root: f.root} }

// page reads a page.
func (f *boltFile) page(id uint64) ([]byte, error) {
	if id < 2 || id >= f.pages || f.seen[id] {
		return nil, fmt.Errorf("page %d of %d is where it can't be", id, f.pages)
	}
	f.seen[id] = true
	var header [boltHeader]byte
	if _, err := f.r.ReadAt(header[:], int64(id)*f.pageSize); err != nil {
		return nil, fmt.Errorf("page %d: %w", id, err)
	}
	if is := binary.NativeEndian.Uint64(header[:]); is != id {
		return nil, fmt.Errorf("page %d says that it is page %d", id, is)
	}
	more := uint64(binary.NativeEndian.Uint32(header[12:]))
	if id+more >= f.pages || int64(more)*f.pageSize > boltLargest {
		return nil, fmt.Errorf("page %d of %d has %d more", id, f.pages, more)
	}
	page := make([]byte, int64(1+more)*f.pageSize)
	if _, err := f.r.ReadAt(page, int64(id)*f.pageSize); err != nil {
		return nil, fmt.Errorf("page %d: %w", id, err)
	}
	return page, nil
}

// each calls do with the entries of a bucket in the order of the file, until it
// returns an error. The value doesn't change afterwards.
func (f *boltFile) each(b *boltBucket, do func(boltEntry) error) error {
	if b.root == 0 {
		return f.walk(b.inline, 0, do)
	}
	page, err := f.page(b.root)
	if err != nil {
		return err
	}
	return f.walk(page, 0, do)
}

func (f *boltFile) walk(page []byte, depth int, do func(boltEntry) error) error {
	n := binary.NativeEndian
	if len(page) < boltHeader || depth > boltDepth {
		return errors.New("a page is too short, or the tree too deep")
	}
	flags, count := n.Uint16(page[8:]), int(n.Uint16(page[10:]))
	if len(page) < boltHeader+count*16 {
		return fmt.Errorf("page with %d entries in %d bytes", count, len(page))
	}
	end := 0 // of the entry before: they lie one behind the other
	for i := range count {
		element := page[boltHeader+i*16:]
		switch flags {
		case boltBranch:
			child, err := f.page(n.Uint64(element[8:]))
			if err != nil {
				return err
			}
			if err := f.walk(child, depth+1, do); err != nil {
				return err
			}
		case boltLeaf:
			entry, at, err := parseBoltEntry(element)
			if err != nil {
				return err
			}
			if at += boltHeader + i*16; at < end {
				return fmt.Errorf("entries that overlap at %d", at)
			}
			end = at + len(entry.key) + len(entry.value)
			if err := do(entry); err != nil {
				return err
			}
		default:
			return fmt.Errorf("page of type %#x", flags)
		}
	}
	return nil
}

// parseBoltEntry reads an entry of a leaf, and where it has its key; the page
// begins with it.
func parseBoltEntry(page []byte) (e boltEntry, place int, err error) {
	n := binary.NativeEndian
	flags, at, keySize, valueSize := n.Uint32(page), uint64(n.Uint32(page[4:])), uint64(n.Uint32(page[8:])), uint64(n.Uint32(page[12:]))
	if at+keySize+valueSize > uint64(len(page)) {
		return e, 0, fmt.Errorf("entry of %d and %d bytes in %d", keySize, valueSize, len(page))
	}
	e.key = string(page[at : at+keySize])
	e.value = bytes.Clone(page[at+keySize : at+keySize+valueSize])
	if flags&boltIsBucket == 0 {
		return e, int(at), nil
	}
	if len(e.value) < 16 {
		return e, 0, fmt.Errorf("bucket %q of %d bytes", e.key, len(e.value))
	}
	e.bucket = &boltBucket{root: n.Uint64(e.value), sequence: n.Uint64(e.value[8:]), inline: e.value[16:]}
	return e, int(at), nil
}
