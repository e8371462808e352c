// Package backtest evaluates security profiles over recorded reports, to see
// what they would have told before they are applied.
//
// # Recordings
//
// A recording is a text file with one JSON object in a line, which says what
// was measured of a thing at a time: a whole metrics report, as the agent
// encodes it in JSON with long names,
//
//	{"thing":"gateway-2","time":"2026-11-22T14:30:00Z","report":{"header":{...},"metrics":{...}}}
//
// or the value of one metric, as ListMetricValues gives it,
//
//	{"thing":"gateway-2","time":"2026-11-22T14:30:00Z","metric":"aws:all-packets-out","value":{"count":300}}
//	{"thing":"gateway-2","time":"2026-11-22T14:30:00Z","metric":"aws:num-messages-sent","dimension":{"dimensionName":"Auth","operator":"IN"},"value":{"count":3}}
//
// A list that does not have all of its entries says so beside its value, as
// ListMetricValues of our service does. AWS's does not: what is recorded from
// there is taken for whole lists.
//
//	{"thing":"gateway-2","time":"2026-11-22T14:30:00Z","metric":"aws:listening-tcp-ports","value":{"ports":[22]},"cut":{"listed":1,"total":3}}
//
// The time has a zone. Members that are not listed here are ignored, and so are
// empty lines; a line has at most MaxLine bytes. Recordings are merged by time.
// One whose lines are in order of time is read as a stream, another is sorted
// in memory, up to MaxHeld bytes of all of them. A file that ends in .gz is
// compressed by gzip.
//
// # Virtual time
//
// Run gives what was recorded to a detect.Engine, in order of time and as fast
// as it takes it; what the engine decides, it decides as the service does. The
// things of a recording are taken for registered ones. A custom metric whose
// type the profiles' files do not say has the type that it was recorded with.
//
// # Too many alarms
//
// A behavior is excessive if it exceeds Options' alarms per thing per week, or
// if things are in alarm at more than 10 % of its datapoints. The second rule
// catches an inverted operator, which raises one endless alarm per thing. A
// recording of less than a week counts by its share of one. The time of a thing goes from its first to its last datapoint
// under the behavior, with the window before the first.
//
// What would not be excessive is then tried out on the recording, which is read
// a second time. For numbers the answer is exact: of the thresholds from the
// loosest on, the last before the first excessive one. For percentiles it is
// another percentile or a fixed number, for sets what to add or to take out: of
// the elements that come most often, as many of 1, 2, 3, 5, 10 and so on as it
// takes. More consecutive datapoints to alarm are tried too and, where most
// datapoints violate, the opposite operator. Whether the alarms of a recording
// are false ones is not known here.
package backtest
