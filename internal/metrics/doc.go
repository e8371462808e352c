// Package metrics turns what the host's /proc says into what a Device Defender
// metrics report says.
//
// # One sample
//
// [Collect] reads a [hostproc.Host] once and returns a [Sample]: the blocks of
// the report and the [Baseline] that the next sample is measured against. It
// keeps nothing between calls and logs nothing. What could not be read is in
// [Sample.Problems] and missing from the report: a block is never sent empty
// because its source failed, for an empty list is a statement that clears
// alarms. A host that truly has no such socket gets the empty list and total 0.
//
// # What counts
//
// An established connection is a TCP row in state 01, a listening TCP port one
// in state 0A. A UDP socket listens when its remote port is 0; a connected one
// is a client. Ports are told apart by number and interface, connections by
// both addresses and ports. Lists are sorted, so that equal states give equal
// reports, and capped so that every distinct port number and remote address
// stays as long as there is room; totals count before the cap.
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
// network_stats adds up per-interface differences to the baseline. An
// interface that is new, gone, or whose counters fell contributes nothing, so
// a figure is never negative, wrapped or counted since boot.
package metrics
