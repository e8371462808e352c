// Package localcore is a stand-in for a Greengrass core: an IPC server that
// behaves like the Java nucleus or like nucleus lite, an MQTT side that behaves
// like AWS IoT Core seen through either, and a supervisor that starts a
// component's binary as the nucleus would. It lets a component run on a laptop,
// and lets tests put it through what a device sees in years.
//
// # Model
//
// A [Core] has one [Options.Nucleus], for good. Components are installed from
// their recipes ([LoadRecipe], [Core.Install]): default configuration, access
// control, and a token (SVCUID) with which the component's process connects.
// [Core.Listen] serves the Unix socket below [Options.Root]; [Core.ServeConn]
// serves any connection, also one end of a net.Pipe inside a testing/synctest
// bubble, for all time is that of package time and nothing polls. [Core.Start]
// runs a binary with a real core's environment and restarts it as the nucleus
// does. [Core.Deploy] changes a component's configuration.
//
// Between the components and "the cloud" lies what each nucleus has there: the
// Java nucleus' spooler, nucleus lite's ten messages in flight. [Core.Tap]
// watches the cloud, [Core.Publish] speaks for it, and reports on the reserved
// topics of Device Defender are answered by [Options.Defender].
//
// # Fidelity
//
// Where the nuclei differ the code asks [dialect] or Core.lite; the texts of
// errors are theirs. Known to differ from the real ones: nothing outlives
// Close, components are not users of their own, no shadow, secret or stream
// manager is there, and a slow reader loses events beyond a bound instead of
// stalling every other component for five seconds each time.
//
// # Concurrency
//
// One mutex in Core owns all state. A request is served and its answer queued
// in one critical section, so that an event can never precede the response to
// its subscription. Each connection has a reader, which serves, and a writer,
// which drains the connection's queue; no critical section waits for a peer.
// What reached the cloud is handled by one further goroutine, in order, outside
// the lock: taps and the Defender responder may call the Core's methods.
package localcore
