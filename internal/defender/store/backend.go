package store

import (
	"cmp"
	"context"
	"errors"
	"iter"
	"strings"
	"time"
)

const (
	// MaxKey is the longest key in bytes. PostgreSQL refuses index rows above
	// 2,704 bytes, and its keys have the day and the table's share in them.
	MaxKey = 1024
	// MaxValue is the longest value in bytes: an hour of the longest reports.
	MaxValue = 8 << 20
)

// Errors of a store. The package comment says what each says about the writes.
var (
	// ErrConflict is returned by [Txn.Commit]: another transaction has written
	// one of the keys since this one began. Update does not return it.
	ErrConflict = errors.New("conflict with another transaction")
	// ErrFull says that the disk has no room for the writes. Deletes and drops
	// may still succeed.
	ErrFull = errors.New("the disk is full")
	// ErrUnavailable says that the engine cannot be reached or has failed. It is
	// worth trying again later.
	ErrUnavailable = errors.New("the store is unavailable")
	// ErrClosed says that the store was closed.
	ErrClosed = errors.New("the store is closed")
	// ErrInUse says that another process has the files of an embedded engine
	// open.
	ErrInUse = errors.New("in use by another process")
	// ErrDamaged says that stored data cannot be read.
	ErrDamaged = errors.New("damaged")
	// ErrNewer says that a newer program wrote the data, in a form that this one
	// does not know.
	ErrNewer = errors.New("written by a newer version")
)

// Day is a day of UTC, counted from 1970-01-01; the zero Day is none.
type Day int32

// DayOf returns the day of a time after 1970-01-01.
func DayOf(t time.Time) Day { return Day(t.Unix() / (24 * 60 * 60)) }

// Time returns the beginning of the day.
func (d Day) Time() time.Time { return time.Unix(int64(d)*24*60*60, 0).UTC() }

// String returns the day as 2006-01-02.
func (d Day) String() string { return d.Time().Format(time.DateOnly) }

// Part is a table without days, or one day of a table that has them.
type Part struct {
	Table string
	Day   Day
}

// Range is a range of keys. The zero Range is all of them.
type Range struct {
	From    string // the first key; "" is no bound
	To      string // the first key that is not in the range; "" is no bound
	Reverse bool   // from the last key to the first
	Limit   int    // maximum number of rows; 0 is no limit
}

// Prefix returns the range of the keys that begin with the prefix.
func Prefix(prefix string) Range {
	end := []byte(prefix)
	for len(end) > 0 && end[len(end)-1] == 0xff {
		end = end[:len(end)-1]
	}
	if len(end) > 0 {
		end[len(end)-1]++
	}
	return Range{From: prefix, To: string(end)}
}

// Resume returns what is left of the range behind the key, in the direction of
// the range: a scan goes on where another one ended. An empty key changes
// nothing.
func (r Range) Resume(after string) Range {
	switch {
	case after == "":
	case r.Reverse:
		if r.To == "" || after < r.To {
			r.To = after
		}
	default:
		r.From = max(r.From, after+"\x00") // the smallest key that is greater
	}
	return r
}

// Item is a row of a scan. Its value belongs to the caller.
type Item struct {
	Key   string
	Value []byte
}

// Address is the place of a row.
type Address struct {
	Part
	Key string
}

// Compare orders addresses by table, day and key.
func (a Address) Compare(b Address) int {
	return cmp.Or(strings.Compare(a.Table, b.Table), cmp.Compare(a.Day, b.Day), strings.Compare(a.Key, b.Key))
}

// Row is a row of any table.
type Row struct {
	Address
	Value []byte
}

// Write is one write of a transaction.
type Write struct {
	Address
	Value  []byte // what is put
	Delete bool   // the row is deleted; it need not exist
}

// Backend is a storage engine. Only [Store] and the tests of engines use it.
//
// All its methods are usable concurrently, and by other processes on the same
// data unless the engine says otherwise. They must keep what the package comment
// promises; the comments here say who does which part.
type Backend interface {
	// Begin begins a transaction on a snapshot of durable data that includes
	// every commit acknowledged before. A transaction that is not for writing
	// is not committed.
	Begin(ctx context.Context, writing bool) (Txn, error)

	// Drop deletes a day of a table. It is durable when Drop returns.
	Drop(ctx context.Context, part Part) error

	// Close waits for commits under way, and then releases the engine. Later
	// calls return ErrClosed.
	Close() error
}

// Txn is a transaction of a backend: reads at one moment, and one commit. It is
// used by one goroutine at a time.
type Txn interface {
	// Get returns the values of keys in one round trip, in their order; nil
	// where there is none. Values belong to the caller.
	Get(ctx context.Context, part Part, keys []string) ([][]byte, error)

	// Scan yields the rows of the range in its order. It stops after an error.
	Scan(ctx context.Context, part Part, r Range) iter.Seq2[Item, error]

	// Days returns the days of the table that may have rows, in their order.
	Days(ctx context.Context, table string) ([]Day, error)

	// Rows yields the rows of all tables, each table and day in one piece. A row's
	// value is valid until the next row.
	Rows(ctx context.Context) iter.Seq2[Row, error]

	// Commit applies the writes, which are sorted by address and have no
	// address twice. It returns ErrConflict, and has written nothing, if
	// another transaction has committed a write of one of the addresses, or of
	// one of the guards that exist, since the transaction began. When it
	// returns nil, the writes are durable. After Commit the transaction is over.
	Commit(ctx context.Context, writes []Write, guards []Address) error

	// Rollback ends the transaction without effect. It does nothing after
	// Commit.
	Rollback()
}
