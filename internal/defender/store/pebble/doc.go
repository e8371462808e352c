// Package pebble is the embedded engine of package store: a log-structured
// merge tree of github.com/cockroachdb/pebble, in Go only, in a folder that
// belongs to one process.
//
// # What it promises
//
// A commit is in the log and synced (fdatasync) when it returns; commits that
// come at the same time share a sync. A snapshot waits until what it shows is
// synced. The folder has mode 0700 and is locked.
//
// Conflicts are found by comparing the keys of a commit with those that were
// committed since its snapshot; they are kept in memory for as long as a
// transaction for writing is open that may conflict with them.
//
// A row's key in the tree is the table's name, 0x00 and the key; in a day table
// the name, 0x01, the day in four bytes and the key. So a day is a range, and
// dropping it is one range delete: 40 bytes in the log. Its files are deleted
// later, without being read.
//
// # When the disk fails
//
// Pebble ends the process where it cannot write its log. This package does not
// let it come to that:
//
//   - A part of the disk is left free (Options.Reserve). With less, commits
//     return store.ErrFull at once, except for deletes and drops. When room is
//     made, by a drop or by somebody else, they succeed again.
//   - If the disk is full all the same, commits under way wait for room, new
//     ones return store.ErrFull, and reads wait with those commits under way.
//   - If a write or sync fails for any other reason, all calls return
//     store.ErrUnavailable, and the database is opened again from what is on the
//     disk: after a second, later after up to a minute. What waits in the
//     failed instance is fenced off from the files. It is not retried: after a
//     failed sync the next one claims success (see "fsyncgate", PostgreSQL
//     2018).
//
// # Why pebble
//
// FIGURES
package pebble
