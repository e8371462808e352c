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
// dropping it is one range delete in the log. The memory table is flushed then,
// and the files of the day are deleted.
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
// Measured with scripts/measure-store in November 2026: 2 shared cores at a load
// of 15 to 40, ext4, Linux 6.18, pebble 2.1.7 and bbolt 1.5.0, one engine after
// the other. Between runs, bytes differed by up to 6 %, rates by a factor of 4,
// and the longest commits by more than 10: compare them within a table only.
//
// "bbolt" is one file, as version 0.1 has it; "days" is bbolt with a file per
// day, NoFreelistSync and the map freelist. Its transactions are not atomic over
// two files, which would cost more. Bytes are pages that were made dirty; in
// brackets, those handed to the kernel.
//
// 1,000 things with 10 metrics, 288 reports a day, chunks of an hour, 2 days:
//
//	                                       pebble         days           bbolt
//	bytes per report, 250 a transaction    879 (862)      3,508 (3,426)  3,498 (3,442)
//	bytes per report, 1 a transaction      4,720 (629)    34,784 (21,749) 40,019 (27,707)
//	the same after a day was dropped       5,262 (1,168)  36,772 (23,109) 90,928 (78,634)
//	drop of a day                          0.7 ms         27 ms          44 ms
//	longest of 2,000 commits meanwhile     8 ms           36 ms          43 ms
//	reports/s, 250 a transaction           19,670         22,984         13,500
//	open                                   76 ms          14 ms          3 ms
//
// 200 things, each report a row of JSON as in version 0.1:
//
//	                                       pebble         bbolt
//	bytes per report, 250 a transaction    1,181 (1,163)  7,481 (7,432)
//	bytes per report, 1 a transaction      5,754 (1,658)  50,575 (38,287)
//	the same after a day was dropped       5,117 (1,021)  193,928 (181,591)
//
// 1,000,000 things with states of 600 bytes, 400,000 reports of random things,
// 250 a transaction. The two engines ran at different times, pebble under twice
// the load; its open took 1.7 s with states that compress well:
//
//	                                       pebble         days
//	bytes per report                       3,229 (3,208)  8,477 (8,427)
//	resident memory meanwhile              66 MB          993 MB (its mapped file)
//	disk                                   825 MB         927 MB
//	open                                   0.7 s          3.8 s
//	resident memory after it               13 MB          935 MB
//
// 100,000 things, two days of chunks, the first one dropped, pebble only: 8.7 KB
// per thing and day on the disk; the drop took 0.45 ms, the longest of 2,000
// commits meanwhile 63 ms (22 and 58 ms without a drop in the first table); 52 %
// of the disk space was left. A small database also has up to four logs of 18 MB.
//
// The drops of the first and the last load were measured before a drop flushed
// the memory table at once; pebble then did it after ten seconds.
//
// So the values of a thing take 9 to 16 KB a day (package chunk), plus a state of
// a few hundred bytes and the open chunk once. defenderctl grows by 10.6 MB with
// pebble, from 36.8 to 47.4 MB, and has lost bbolt.
package pebble
