// Package metrics turns what the host's /proc says into what a Device Defender
// metrics report says.
//
// # One sample
//
// [Collect] reads a [hostproc.Host] once and returns a [Sample]: the blocks of
// the report and the [Baseline] that the next sample is measured against. What
// else lasts from sample to sample belongs to the caller: a [History] of what
// was reported, and the [Files] that are being read. Nothing is logged. What
// could not be read is in [Sample.Problems] and missing from the report: a block
// is never sent empty because its source failed, for an empty list is a
// statement that clears alarms. A host that truly has no such socket gets the
// empty list and total 0. Problems say where something is wrong and never what a
// file contains.
//
// # What counts
//
// An established connection is a TCP row in state 01, a listening TCP port one
// in state 0A. [Options.IncludeHalfClosed] adds connections that one end has
// closed (states 04, 05 and 08), over which the other may go on sending; AWS's
// definition is "Established TCP state", so they are left out by default. A UDP
// socket listens when its remote port is 0; a connected one is a client. Ports
// are told apart by number and interface, connections by both addresses and
// ports. Totals count before any list is cut. Rows that can't be parsed count in
// them, as they may be such sockets: a list that is not whole is shorter than
// its total.
//
// # Lists that are too long
//
// A list holds [Options.MaxListItems], and on nucleus lite what fits into a
// report. Behaviors watch addresses and port numbers, so those are what has to
// be seen, and nobody who can open sockets may keep others from being seen. The
// lists of a sample are in order of importance, and [report.Report.Fit] cuts
// them from the end and sorts what is left:
//
//   - A remote address or port number that the last reports did not carry goes
//     before those that they did, and one outside the host before one inside: an
//     address is inside if it is a loopback address or the host's own, a port if
//     it is bound to a loopback address.
//   - Each of these four classes has a quarter of the room. What one does not
//     need goes to the others, in the order above.
//   - In each class, what was never reported goes first, by how long it has
//     waited; then what was reported longest ago. So everything is reported in
//     turn, however many sockets are opened and closed in between.
//   - Further connections of an address, and further interfaces of a port, come
//     after the first of each; which one is first changes from report to report.
//
// Equal states and equal reports before give equal reports, and as long as a
// list fits it is the same each time. Lists of custom metrics are cut from the
// end: whoever makes them decides what is in them anyway.
//
// # Interfaces
//
// A socket's interface is the one that holds its local address, the literal
// 0.0.0.0 or :: for a wildcard as AWS's component reports it, and absent where
// /proc does not tell. [Filter] and [Options.IncludeLoopback] choose the
// interfaces that a report is about: their counters, their addresses, and the
// sockets bound to one of their addresses. Sockets on a wildcard or an unknown
// interface are always reported.
//
// # Counters
//
// network_stats adds up per-interface differences to the baseline, and a figure
// is a fact or absent: never negative, never a lifetime total, never 0 because
// something could not be told. Each counter is decided on its own:
//
//   - An interface whose index is greater than all before is new, and has
//     counted from zero. So has one whose counters all fell together.
//   - A counter that fell below 2^32 while the other one of its direction rose
//     by as much as fits it has wrapped.
//   - Any other counter that fell leaves its figure out of the report. If it
//     comes back to where it was, it counted the difference; if it goes on from
//     where it fell to, it counts from there.
//   - An interface that appears with an unknown index, or with one that is not
//     greater than all before, may come from another network namespace with what
//     it counted there. It contributes nothing to the first report.
//   - An interface that is gone contributes nothing.
//
// Nothing is measured against a reading older than [Options.MaxBaselineAge].
// What could not be read is kept from the baseline until then, so that the next
// report covers both intervals.
//
// # Files
//
// A custom metric's file is read in a goroutine of its own with a timeout, and
// not again before that has ended: a mount that does not answer costs its metric
// only. Files below a process folder of a proc file system are refused: they
// hold secrets, such as the token of the nucleus in this process' environment.
package metrics
