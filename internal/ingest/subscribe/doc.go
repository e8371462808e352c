// Package subscribe takes reports from a broker of MQTT 5 that things publish to already, such as
// Mosquitto, EMQX or HiveMQ.
//
// Services that share a subscription divide the reports between them. Mosquitto 2.0 gives nothing to shared
// subscriptions of topics that begin with a $, as those of reports do, so a group has to be asked for.
//
// # Whose report it is
//
// A report is of the thing that its topic names, and only the broker knows who published it: its rules must
// allow each client to publish on its own topics only. The service can't check that.
//
// # What an acknowledgement means
//
// The subscription has QoS 1, and a PUBACK is sent when the report is on disk with all that follows, or is
// rejected for good. If nothing can be stored there is none, and the broker sends no more than 100
// reports. The session outlives the connection by a day, so what comes meanwhile waits in the broker, as
// far as that keeps it.
//
// # When it was
//
// A broker does not say when it had a message, so a report counts as of now. Of several reports of a thing that
// waited in the broker, those after the first come too soon and are rejected.
package subscribe
