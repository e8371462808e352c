package report

import "net/netip"

// MaxSize is the longest report in bytes: the payload limit of AWS IoT Core.
const MaxSize = 128 << 10

// DocumentVersion is the version of the document that this package describes,
// the only one in use.
const DocumentVersion = "1.0"

// MaxID is the largest id that every reader of JSON keeps exact.
const MaxID int64 = 1<<53 - 1

// Report is a metrics report. It has metrics, custom metrics or both.
type Report struct {
	// ID is positive and tells a report from the one before it. AWS asks that it
	// grows, and the epoch in seconds is the custom; devices that count from
	// their boot begin again.
	ID int64
	// Version is "Major.Minor". A new minor version adds members, a new major
	// one takes some away.
	Version string
	Metrics *Metrics
	// CustomMetrics are the account's own metrics by name. Nil is absent.
	CustomMetrics map[string]CustomMetric
}

// Metrics are the metrics that Device Defender knows. A nil block is absent.
type Metrics struct {
	NetworkStats      *NetworkStats
	TCPConnections    *EstablishedConnections
	ListeningTCPPorts *ListeningPorts
	ListeningUDPPorts *ListeningPorts
}

// NetworkStats is the traffic since the report before, not since boot.
type NetworkStats struct {
	BytesIn, BytesOut     *uint64
	PacketsIn, PacketsOut *uint64
}

// EstablishedConnections are the TCP connections in state ESTABLISHED.
type EstablishedConnections struct {
	// Connections may be fewer than Total. Nil is absent, empty is none.
	Connections []Connection
	Total       *int64
}

// Connection is one end of a TCP connection.
type Connection struct {
	RemoteAddr     netip.AddrPort
	LocalInterface string // "" is absent
	LocalPort      *uint16
}

// ListeningPorts are the ports that are open on the device.
type ListeningPorts struct {
	// Ports may be fewer than Total. Nil is absent, empty is none.
	Ports []Port
	Total *int64
}

// Port is an open port.
type Port struct {
	Port      uint16 // 1 to 65535
	Interface string // "" is absent
}
