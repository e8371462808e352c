// Package hostproc reads facts about a host from its mounted /proc: sockets,
// the interfaces that own addresses, traffic counters, CPU, memory and a few
// more.
//
// It asks netlink for two facts only, and only if the host's network namespace is
// that of this process: which interface has an address ([Host.Addresses]), and
// which sockets there are ([Host.TCP], [Host.UDP]). Netlink and net.Interfaces
// speak of the reader's own network, so for an agent in a container, of the
// container. Everything else, and in a container those two as well, comes from
// files of the mounted /proc.
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
// # Sockets by netlink
//
// To format a row of net/tcp as text costs the kernel more than all that is done
// with it here. So in its own network a reader asks sock_diag for sockets in the
// states it wants. The kernel then passes over the others, and no privilege is
// needed. On these facts of the kernel's source (net/ipv4/inet_diag.c, tcp_diag.c,
// udp_diag.c, tcp_ipv4.c; include/uapi/linux/inet_diag.h) both ways give the same
// answers, which a test holds them to:
//
//   - Both walk the same hash tables, a piece at a time, and neither is a
//     snapshot: while sockets come and go, one may be missed or be there twice.
//     inet_diag never says that a dump was interrupted.
//   - A socket in TIME_WAIT has a substate, TIME_WAIT or FIN_WAIT2, the latter if
//     its process has closed it and the peer has not. Both show the substate as
//     the state, and inet_diag selects by it.
//   - inet_diag selects a socket by its state and then writes its state, without a
//     lock in between, so the answer may be in a state that was not asked for.
//   - A socket of IPv6 with IPv4 addresses is one of IPv6 with mapped addresses in
//     both. Neither has zones: inet_diag tells the interface a socket is bound to.
//   - Without inet_diag, or the module of a protocol, the dump ends with ENOENT.
//     The kernel tries to load the module first, as for the command ss.
//
// If a dump fails, before its first socket or later, the tables are read instead,
// and if it has failed for a reason that lasts, the process does not try again.
//
// Absent IPv6 tables mean that IPv6 is switched off, and are no error.
package hostproc
