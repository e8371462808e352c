// Package agent is the component: it samples the host, publishes reports
// through Greengrass IPC, and minds the replies.
//
// # One owner
//
// [Run] is a loop in one goroutine that owns the configuration, the schedule,
// the state and the account of replies. Nothing in it waits for a disk or a
// peer. Around it work goroutines that own nothing and tell it what happened
// over channels: the IPC session with its subscriptions, the reader of
// configurations, the writer of the state file, at most one sample being taken,
// and at most one delivery, a report on its way.
//
// # The life of a report
//
// A sample is due: the host is read, the report gets the next id, and id and
// baseline are in the state file before anything is sent, so that no crash can
// make an id come twice. A delivery encodes the report for the nucleus it goes
// through and publishes it, until the nucleus takes it, the retries are used
// up, or the next sample is due. Device Defender takes no history, so a report
// that is no longer current is dropped and logged with its figures. The reply
// is matched by the report's id.
//
// A report arrives once, or is known not to have. It is published again only
// if the nucleus refused it or cannot have read it. An attempt without an
// answer is under way: a nucleus that stood still publishes all that lies in its
// socket when it goes on, also what its sender has given up (runs of 2.18 and
// of lite 2.6.0).
//
// # The configuration
//
// Nothing is reported before a configuration was read: what is to be left out,
// and where reports go, would not be known. The last good one is in the state
// file. It counts for values that are invalid later, and as a whole when a core
// does not deliver any.
//
// # What ends it
//
// Its context. Besides that only a nucleus that has refused the token for
// minutes ([greengrass.ErrTokenRefused]), or a start without the thing's name
// ([ErrNoThingName]), for another process may fare better; and that once an
// hour, as both nuclei stop to start what ends too often. Nothing that fails in
// between ends reporting: not the network, the nucleus, a reply, a file of
// /proc, the state file, nor a configuration.
package agent
