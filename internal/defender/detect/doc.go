// Package detect evaluates security profiles over what devices report and what
// the cloud sees of them. It has no clock and does no input or output: it is
// told what was measured and when, and answers with the events of violations.
//
// Rules are profiles made ready; they do not change. A Thing is all that is known
// of one thing, and can be saved. An Evaluation collects what comes of calls on
// things, such as those of one transaction. So any number of goroutines or
// processes can evaluate a fleet, each thing by one at a time. Only percentiles
// cross things: Baselines holds what these are made of. An Engine is a fleet in
// memory.
//
// # The model
//
// A behavior states what is normal. A measurement, or what is accumulated of
// several, is a datapoint; it is compared with the behavior, and either
// conforms or violates. A number of violating datapoints in a row raise an
// alarm, and a number of conforming ones clear it. Events are the steps of a
// violation: in-alarm, alarm-cleared, alarm-invalidated. Datapoints that violate
// while the alarm is up are told as Ongoing, which AWS has no event for.
//
// What follows from AWS's documents: evaluation on receipt; every element of a
// list must be in the set of in-*-set, and none in that of not-in-*-set; an
// empty list conforms, and clears a violation at once however many datapoints
// that takes otherwise; an absent block is no datapoint; an alarm is
// invalidated, without a value, when the thing has not sent any metrics for
// more than two days; suppressed alerts are evaluated as others are. ML
// behaviors need AWS's models: Rules.Unevaluated names them.
//
// # What AWS leaves open
//
// The rest is decided here, and unverified against AWS.
//
// Windows. The measurements of a behavior with a duration are accumulated in
// windows of each thing's own. A window begins with the measurement before its
// first one, or 300 seconds before the first of all, 300 seconds being AWS's
// shortest delay between reports. It ends with the measurement that brings its
// length nearest to the duration, on the assumption that the next takes as long
// as this one took. Thus reports every 300 seconds make a datapoint each
// for a duration of 300, every third makes one for 900, and an agent that
// reports every 5 seconds has as many accumulated. A measurement that took the
// duration or more by itself is a datapoint by itself, not scaled; a window
// that was under way before it is dropped. Without a duration, every
// measurement is a datapoint.
//
// Accumulation. Deltas (bytes, packets, messages) add up. Of other counts and
// of custom numbers, the one farthest from normal stands for the window: the
// largest where less is normal, the smallest where more is.
//
// Percentiles. A statistical threshold is the percentile of the datapoints of
// all things under the behavior. These are put into windows of the duration
// (300 seconds without one) that begin at multiples of it, and a
// datapoint is compared with those of the windows before its own: with the
// latest that has any and, while these are fewer than 100, with the
// windows before that too, none older than two days. So the order of things
// within a window makes no difference, a large fleet is compared with its last
// window, and a small one with its recent past. A datapoint that arrives when
// later windows have begun counts from then on; what was compared before is not
// compared again. Fewer than 10 datapoints have
// no percentile, and what would be compared with it is no datapoint. The
// percentile is by nearest rank: the smallest datapoint that at least that
// percentage of them are at or below; p0 is the smallest, p100 the largest.
//
// Datapoints are counted in the buckets of a Histogram, in which values differ
// by less than 1 %. The largest datapoint of the bucket that the percentile is in
// stands for it. So a threshold is always a value that some thing measured, it is
// less than 1 % above the exact percentile and never below it, and it is exact
// where the datapoints of the bucket are equal: less-than-equals holds for a
// fleet that always measures the same.
//
// A thing's own datapoints of its present violation, from the first of the run
// on, are left out of what it is compared with, or in a small fleet one excess
// would make the next one normal. They are not left out when fewer than 10 would
// remain. What a thing gave to a baseline stays in it when the thing leaves the
// profile, is deleted, or its clock is set back. Datapoints with a time in the
// future are not compared with before that time.
//
// Absence. A missing metric neither breaks nor advances a run. Only
// conforming datapoints clear.
//
// Cut lists. An agent lists a bounded number of connections and ports, and
// states their total. A list with fewer entries than its total is cut: an
// address or port that is not in it may be open all the same, and whoever opens
// many others can push it out. A cut list with an element that violates is a
// violating datapoint as any other. One without is not a conforming datapoint
// but none at all: it neither raises nor clears, not even when it is empty, and
// neither breaks a run of violating datapoints nor one of conforming ones. An
// alarm of a thing whose lists are always cut lasts until it is silent for two
// days or the profile changes. A list without a total is whole, and so are the
// lists of custom metrics, which have none.
//
// Time. A measurement that is not newer than the thing's last one under the
// behavior is ignored, and so is a value that is not of the metric's kind;
// Evaluation.Ignored counts both. The event of an invalidation has the time at
// which the two days were over, whenever it is made.
//
// What applies no more. When a thing leaves the targets of a profile, its
// alarms stay as they are. They go on when it comes back, and end two days
// after their last measurement. When the behavior itself is removed or
// changed, its alarms are invalidated by the next call on the thing, with the
// time of that call. A behavior that is only written in another way, with a set in
// another order or a default spelt out, has not changed. After two days of
// silence a thing starts afresh.
//
// # The cloud side
//
// Events in the cloud are counted per thing in windows of 300 seconds that
// begin at multiples of it. A window ends with the next event or report of the
// thing after it, or with Advance. Its end is a measurement with that
// time: zeros too, until two days after the thing's last event. Message sizes
// and source addresses are measured in windows that have some. For message
// sizes an upper limit is compared with the window's largest message, a lower
// limit with its smallest. A refused connection counts as an authorization failure and
// as a connection attempt. With a dimension only events that have a topic
// count. Disconnect duration is the longest of the window, in whole minutes;
// it grows for as long as a registered thing stays disconnected, past the two
// days, and so long its alarm stays.
//
// # Bounds
//
// A thing takes 40 bytes per behavior, and about 10 saved. While it violates a
// statistical behavior it keeps those of its datapoints that are in the baseline,
// at most 132: 16 of a window count. A baseline takes 1<<20 datapoints in a
// window; later ones are compared and not counted. A histogram has at most
// 524,033 buckets, the range of numbers having no more, and a few hundred in
// practice. Source addresses of a thing are at most 1000 in a window, whose
// list is cut when there were more, and a list in an event has at most 1000
// elements, those that violate first. Things that are not in the registry are
// forgotten after two days of silence; how many there may be is for the caller
// to limit.
package detect
