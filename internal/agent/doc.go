// Package agent is the component: it samples the host, publishes reports
// through Greengrass IPC, and minds the replies.
//
// # One owner
//
// [Run] is a loop in one goroutine that owns the configuration, the schedule,
// the state file and the account of replies. Around it work goroutines that
// own nothing and tell it what happened over channels: the IPC session with
// its subscriptions, the reader of configurations, and at most one delivery, a
// report on its way.
//
// # The life of a report
//
// A sample is due: the loop reads the host, gives the report the next id, and
// writes id and baseline to the state file before anything is sent, so that no
// crash can make an id come twice. A delivery encodes the report for the
// nucleus it goes through and publishes it, with retries, until the nucleus
// takes it, the retries are used up, or the next sample is due: Device
// Defender takes no history, so a report that is no longer current is dropped
// and logged with its figures. The reply is matched by the report's id.
//
// # What ends it
//
// Only its context, and a nucleus that refuses the token for good
// ([greengrass.ErrTokenRefused]). Nothing that fails in between ends
// reporting: not the network, the nucleus, a reply, a file of /proc, the state
// file, nor a configuration.
package agent
