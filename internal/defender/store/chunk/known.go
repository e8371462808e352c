package chunk

// known are metrics that are written as their index here. The order is part of
// the format: only append.
var known = [...]string{
	"aws:all-bytes-in",
	"aws:all-bytes-out",
	"aws:all-packets-in",
	"aws:all-packets-out",
	"aws:num-listening-tcp-ports",
	"aws:num-listening-udp-ports",
	"aws:num-established-tcp-connections",
	"aws:listening-tcp-ports",
	"aws:listening-udp-ports",
	"aws:destination-ip-addresses",
	"aws:message-byte-size",
	"aws:num-messages-received",
	"aws:num-messages-sent",
	"aws:num-authorization-failures",
	"aws:num-connection-attempts",
	"aws:num-disconnects",
	"aws:source-ip-address",
	"aws:disconnect-duration",
}
