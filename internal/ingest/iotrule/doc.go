// Package iotrule has the rules of AWS IoT that carry reports and lifecycle events to a
// service: their SQL, and how what they hand over is read. What makes the rules and what reads
// their messages both have it from here.
//
// # Whose report it is
//
// A message tells the topic that it was published on, and the certificate that
// published it. The thing is that of the topic. The core's policy of AWS IoT allows it its
// own topic only; this package trusts the rule for the rest. Nothing that a device writes
// can take the place of what the rule says: the payload is one member, in base64.
package iotrule
