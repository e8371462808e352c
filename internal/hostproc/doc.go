// Package hostproc reads facts about a host from its mounted /proc: sockets,
// the interfaces that own addresses, traffic counters, CPU, memory and a few
// more.
//
// It asks netlink for one fact only, and only if the host's network namespace is
// that of this process: which interface has an address ([Host.Addresses]).
// Netlink and net.Interfaces speak of the reader's own network, so for an agent
// in a container, of the container. Everything else, and in a container that
// too, comes from files of the mounted /proc.
//
// # Which host
//
// [Open] takes the folder where the proc file system is mounted: /proc on the
// host itself, or wherever a container has the host's /proc. Two kinds of files
// are under it:
//
//   - Machine-wide ones: stat, meminfo, loadavg, uptime, sys/fs/file-nr, ...
//     They tell the same through every mount.
//   - Those of a network namespace: tcp, udp, dev, route, ... Here <root>/net is
//     a trap, being a link to self/net: the network of the process that reads it,
//     whoever's /proc it is read from. <root>/1/net is the network of the host's
//     first process, so that is what Open uses, and needs no privilege.
//
// A proc mounted with hidepid hides <root>/1 from other users. If the root is
// /proc, the reader's own, Open then takes /proc/net instead and says so in
// [Host.Notice]. Of any other root it cannot know whose network <root>/net is,
// and fails rather than pass a container's sockets off as the host's.
//
// In a container without the host's /proc, /proc/1 is the container's first
// process, and the container is the host that is reported.
//
// # Reading
//
// Every method reads its files again and keeps nothing. What
// github.com/prometheus/procfs reads right is read by it; the other files have
// parsers here that bound what they keep, whatever the file holds, and say why
// they exist. Errors name the file.
//
// The socket tables are visited row by row, so that the memory of a sample
// follows the sockets that are reported. A malformed row costs no other one
// ([RowsError]).
//
// Absent IPv6 tables mean that IPv6 is switched off, and are no error.
package hostproc
