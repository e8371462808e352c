// Package hostproctest is a host with a fixed set of sockets, for tests: a
// process in its own network, process id and mount namespaces that holds at
// least one socket of every kind that collectors get wrong.
//
//	interface  addresses
//	lo         127.0.0.1/8, ::1/128
//	dum0       10.9.0.1/24, fd09::1/64, fe80::d/64
//	br-a1      10.8.0.1/24, fe80::b/64
//
//	protocol   sockets
//	TCP        listening: 0.0.0.0:1001, [::]:1002 (dual stack), [::]:1003 (IPv6 only),
//	           127.0.0.1:1004, 10.9.0.1:1005, 10.8.0.1:1006, [::1]:1007, [fd09::1]:1008,
//	           [fe80::d%dum0]:1009, three times 0.0.0.0:1010
//	TCP        established, both ends: 127.0.0.1:43322 to :1004, 10.9.0.1:48970 to :1005,
//	           10.9.0.1:47750 to :1002, [::1]:45778 to :1007, [fd09::1]:41562 to :1008
//	TCP        127.0.0.1:55484 to :1001 half closed, 127.0.0.1:55492 to :1001 in
//	           TIME_WAIT, 10.9.0.1:55156 to 10.9.0.77:9 in SYN_SENT, 10.9.0.1:1099 bound only
//	UDP        0.0.0.0:2001, [::]:2002, 10.9.0.1:2003, 10.9.0.1:2004 connected to
//	           10.9.0.2:53, [fd09::1]:2005, twice 0.0.0.0:2006
//
// A test sees it as a foreign host through [Scenario.Root], and runs programs
// natively on it by [Scenario.Command]. Needed are root, the commands ip of
// iproute2 and nsenter of util-linux, and IPv6: [Start] skips a test without
// them, or fails it in CI.
package hostproctest
