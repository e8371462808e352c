// Package localcore is a stand-in for a Greengrass core: an IPC server that
// behaves like the Java nucleus or like nucleus lite, an MQTT side that behaves
// like AWS IoT Core seen through either, and a supervisor that starts a
// component's binary as the nucleus would. It lets a component run on a laptop,
// and lets tests put it through what a device sees in years.
//
// # Model
//
// A [Core] has one [Options.Nucleus] for its whole life. Components are
// installed from their recipes ([LoadRecipe], [Core.Install]): default
// configuration, access control, and a token (SVCUID) with which the component's
// process connects. [Core.Listen] serves the Unix socket below [Options.Root];
// [Core.ServeConn] serves any connection, also one end of a net.Pipe inside a
// testing/synctest bubble, because all time is that of package time and nothing
// polls. [Core.Start] runs a binary with a real core's environment and restarts
// it as the nucleus does. [Core.Deploy] and [Core.DeployAll] change
// configurations.
//
// Between the components and "the cloud" is what each nucleus has there: the
// Java nucleus' spooler, nucleus lite's ten messages in flight. [Core.Tap]
// watches the cloud, [Core.Publish] sends from it, and reports on the reserved
// topics of Device Defender are answered by [Options.Defender].
//
// # Fidelity
//
// A behaviour is here because a nucleus has it, and says where that is known
// from: a source file of the nucleus (Java nucleus 2.18, a28341c; nucleus lite
// 2.6.0, 326e992), "run of" one of them, or recorded frames. testdata/probe has
// what both answered to the same 220 requests, testdata/ipc-frames.json frames
// of official clients. Where the nuclei differ the code asks [dialect] or
// Core.lite.
//
// Known to differ from the real ones: nothing outlives Close, components are not
// users of their own, recipes' scripts are not run and artifacts not unpacked,
// no shadow, secret or stream manager is there, nothing can be paused, the
// broker refuses no publish, and a slow reader loses events beyond a bound
// instead of stalling every other component of lite for five seconds each time.
// Bounds that no nucleus has are named where they are.
//
// # Concurrency
//
// One mutex in Core owns all state. A request is served and its answer queued
// in one critical section, so that an event can never precede the response to
// its subscription. Each connection has a reader, a server and a writer, which
// drains the connection's queue; no critical section waits for a peer. What
// reached the cloud is handled by one further goroutine, in order, outside the
// lock: taps and the Defender responder may call the Core's methods.
package localcore
