// Package greengrass is a component's client of its Greengrass v2 nucleus, of
// the Java nucleus and of nucleus lite alike.
//
// # Layers
//
// A [Client] is one connection with typed operations. Requests are answered or
// time out; a subscription is a [Subscription], a channel of typed events. A
// refusal by the nucleus is an [Error]. Package eventrpc below moves the
// frames.
//
// A [Session] is what a component lives on: it connects, reconnects, and keeps
// the subscriptions registered with [Subscribe] alive for as long as it runs.
// [ReadEnvironment] finds out where the nucleus is.
//
// # The two nuclei
//
// Which nucleus it is shows in the flags of the first successful unary answer;
// until then the stricter limits are obeyed. What differs for a caller:
//
//   - Nucleus lite takes frames of 10,000 bytes; a longer request fails with
//     [eventrpc.ErrFrameTooLong] and is not sent. Base64 makes that 7,000 bytes
//     of MQTT payload.
//   - Offline, both refuse to publish with QoS 0 (ServiceError). The Java nucleus
//     stores QoS 1 and sends it later, however old it is by then. It leaves
//     subscriptions unanswered until its first connect, and refuses them in later
//     outages, as nucleus lite always does.
//   - Nucleus lite has no validation of configuration updates, and may lose
//     subscriptions without a word: renew them on suspicion
//     ([Registration.Renew]).
//   - Nucleus lite's token dies with its IPC daemon. A process in the component's
//     systemd unit is given another one; if that fails for minutes,
//     [ErrTokenRefused] ends a session, for a new process.
//   - On the Java nucleus a subscription to validations makes it wait for the
//     verdict of every component that a deployment changes, also of those that
//     never give one, and so lets the deployments of others fail.
//
// Configuration values come as strings, integers or floats for one and the
// same setting, by nucleus and history; a reader must be lenient.
package greengrass
