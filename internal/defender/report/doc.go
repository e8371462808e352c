// Package report holds the documents that a device and AWS IoT Device Defender
// exchange: the metrics report, the reply to it, and their topics.
//
// # The document
//
// A [Report] has a header, metrics that Device Defender knows, and custom
// metrics that the account has defined. It travels in one of four encodings:
// JSON or CBOR, each with long or with short names. All four carry the same
// document; [Report.Encode] writes any of them and [Decode] finds out which one
// it was given.
//
// What is absent and what is empty differ, and the types keep them apart. A nil
// block, list or number is not in the document and says nothing. An empty list
// is in it and says that the device has none, which clears a violation of the
// behavior that watches it.
//
// # What is refused, and what is not kept
//
// The service answers a report that it cannot read with a rejection. Decode and
// Encode refuse such reports with an [InvalidError] that says where the fault
// is. Some faults the service passes over in silence: it accepts the report and
// does not keep the value. Those are told by [Report.Warnings],
// [CheckMetricName] and [CustomMetric.Check], and are no error.
//
// Whether the service accepts a report that mixes long and short names is
// unverified. Decode refuses it: an agent that mixes them, and there are some,
// relies on luck.
//
// # Size
//
// A report must fit the hop with the least room, which on a Greengrass core may
// be the nucleus. [Report.Fit] cuts lists from the end until it does, sorts what
// is left and tells what it cut; the totals stay those of the device.
package report
