// Package store is the contract between the service and what keeps its data:
// sorted keys in named tables, and transactions over them.
//
// The service uses a [Store] through typed tables, [Table] and [DayTable]. A
// [Backend] is an engine below it: an embedded one in package store/pebble,
// later PostgreSQL and its relatives. What is said here holds for each of them,
// and package storetest checks it.
//
// # Data
//
// A table maps keys to values. A key is 1 to [MaxKey] bytes of any kind, and
// keys are ordered as bytes. A value is up to [MaxValue] bytes; an empty value
// is not an absent one. Tables need not be created.
//
// The rows of a [DayTable] belong to a day of UTC. A day is dropped as a whole
// with [DayTable.Drop], which costs the same for one row and for a hundred
// million. Rows of a day table can be deleted one by one too.
//
// # Reads
//
// [Store.View] and [Store.Update] give their function one snapshot: the state
// at one moment, however long the function runs. A snapshot shows only durable
// data: what it shows is still there after a crash. It includes every
// transaction that any process had committed, and been told so, before the
// snapshot began. An Update also sees what it has written itself, in scans too.
//
// A snapshot keeps old data from being removed, and in PostgreSQL a connection
// busy: take pages, not the whole table, when a peer sets the pace.
//
// # Writes
//
// Writes are collected in memory and applied when the function of an Update
// returns nil: all or none of them, also when the process is killed or the
// power fails at any time. What Update's error says of them:
//
//	nil             durable: synced to the disk, or as durable as the database
//	                server promises
//	ErrUnavailable  unknown: all of them or none, and which one is not known
//	                before the next successful View
//	any other       nothing was written and nothing will be: the function's own
//	                error, a full disk (ErrFull), ctx, or a wrong argument
//
// Nothing that was acknowledged is ever lost. What is not yet acknowledged may
// be there or not, but never in part.
//
// # Conflicts
//
// Any number of goroutines and processes may call at once. Two transactions
// conflict if both write the same key and neither began after the other was
// committed. The first that commits wins; the function of the other is called
// again with a new snapshot, until it commits or ctx ends. So whatever is read
// from a key and written back to it is never lost, and of the transactions that
// find a key absent and put it, one wins and the others find it there.
//
// The function therefore has to be free of effects outside of its Tx: it may run
// several times, and its last run counts.
//
// Keys that are only read do not conflict. Where a decision about one row
// depends on another one, read that with [Table.GetForUpdate]: it conflicts
// like a write, if the row exists. Scans never conflict: a row that appears in a
// range after the scan is not noticed. Let both transactions put or
// GetForUpdate a row that stands for the range.
//
// This is snapshot isolation in which the first committer wins: REPEATABLE READ
// of PostgreSQL, Aurora and YugabyteDB, with SELECT FOR UPDATE; CockroachDB's
// SERIALIZABLE is stronger. Citus gives it for each row, while its snapshots
// are one per node. Serialization failures (SQLSTATE 40001) and deadlocks
// (40P01) are [ErrConflict]. Writes are handed to the backend in the order of
// table, day and key, so that row locks are taken in one order.
//
// # Drops
//
// Drop is a transaction of its own, durable when it returns; on ErrUnavailable
// it may have happened. A reader that began before sees the day whole or empty.
// It conflicts with nothing: a write to the same day that commits at the same
// time may survive it, and goes with the next drop. No other transaction
// waits for it longer than for a commit.
//
// # After a commit
//
// [Tx.OnCommit] runs functions when the writes are durable and before Update
// returns. They are for waking somebody. A process that dies between the two
// does not run them, and other processes never do: what must happen is a row
// (see [Queue]).
package store
