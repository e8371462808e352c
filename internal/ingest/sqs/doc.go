// Package sqs takes reports and lifecycle events from a queue of Amazon SQS, where rules of AWS
// IoT put them.
//
// # What a message's end hangs on
//
// A message is deleted when its report is on disk with all that follows, or was there
// already. While the service works on it nobody else receives it, however long that takes. If
// a report cannot be stored it is tried again, and nothing else is received meanwhile. When
// the source ends it goes on for five seconds with what it has received, and gives back the
// rest.
//
// A message that no service will ever take is not deleted: the log says why, and it is given
// back, so that the queue's redrive policy puts it into the dead-letter queue. That keeps
// its content and asks for no permission to send. A queue without a redrive policy gives it
// again about every minute until its retention period is over.
//
// # Order
//
// SQS may give a message twice and in another order. Messages that are received together are
// evaluated in the order of their times, each thing's one after the other; see
// [service.Service.ReportObserved] for the rest. Reports have the time at which AWS IoT had
// them, so a backlog of hours is evaluated as it happened.
//
// A service that is killed holds messages that nobody receives for a minute, and that are older
// than what waits. So a source waits at its begin until none is held, a minute at most.
package sqs
