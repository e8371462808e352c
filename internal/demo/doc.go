// Package demo makes the small world in which defenderctl demo tells its
// story: devices with a network of their own, whose traffic is real and goes
// nowhere.
//
// A [Device] is a process of this program in a network namespace. What an agent
// reads in its proc file system is what the kernel counts there, and nothing
// is made up. Where the system does not let this user make namespaces, a
// device shares the host's network.
package demo
