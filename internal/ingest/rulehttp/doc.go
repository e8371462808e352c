// Package rulehttp takes reports and lifecycle events that rules of AWS IoT post over HTTPS.
//
// # Who posts
//
// AWS IoT signs such requests, if at all, with a key that only AWS has, so a signature says
// nothing here. The rule sends a secret in a header instead, which the operator sets in the rule and
// in a file of the service. Headers are those of a batch's last message only, so what names a
// thing is in the body: see [iotrule.Parse].
//
// Before AWS IoT posts anything it asks whether it may, without the secret: the destination is
// confirmed by a request to the URL that it names. That is done only for the endpoint of AWS IoT in the
// region of the destination's ARN, and for accounts that the operator listed. Nothing else is ever asked for.
//
// # What the answer means
//
// 200 says that all reports of the batch are on disk with all that follows, or will never be taken,
// which the log says. With any other answer AWS IoT posts the batch again, twice, and drops it then:
// a queue is the way that loses nothing.
package rulehttp
