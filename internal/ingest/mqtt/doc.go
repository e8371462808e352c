// Package mqtt takes reports over MQTT 3.1.1 and 5 as AWS IoT Core does, for agents that
// need nothing but another endpoint.
//
// It is no broker: nothing that a client publishes reaches another. A client speaks for one
// thing, and publishes and subscribes only below $aws/things/NAME/ of that. What it
// publishes is a report, which the service answers on .../accepted or .../rejected; a request
// of jobs or shadows, which is answered as in an account that has none; or it is dropped.
//
// # Who a client is
//
// With TLS, a client is the thing whose certificate it has: the certificate's SHA-256 is looked
// up when it connects and again with each report, so that one that is deleted ends at
// the next. A certificate that is not registered may name its thing itself, if its
// authority is one of [Options.Authority] and it is not revoked; such a thing is registered
// by its first report. The client's id may be any. Without TLS it listens on loopback only, where a client is
// the thing that its id names, up to a #: a nucleus that has more than one
// connection appends #2 and so on.
//
// # What a PUBACK means
//
// A report of QoS 1 is acknowledged when it is on disk with all that follows, or is
// rejected for good. If it cannot be stored there is no PUBACK, and the connection ends: the
// client sends it again when it is back.
//
// # Where it is not as AWS IoT Core
//
//   - Sessions end with their connection: what a client subscribed to it has to subscribe to
//     again, as after any end of a session.
//   - Replies have QoS 0, also to those who subscribed with QoS 1. A reply to a client
//     that is gone is lost, the report is not.
//   - Wills are accepted and not published. Nothing is retained.
//   - A thing has at most 10 connections.
//   - A client whose thing is not known gets a CONNACK that says so.
//
// # The library
//
// This package is the only one that knows github.com/mochi-mqtt/server. What it does not
// bound, or does not guard, is done here: a time for the handshake and CONNECT, writes to
// clients that do not read, wills and retained messages past its access checks, sessions
// of ids that other things use, and packet ids of which it has one space for both
// directions.
package mqtt
