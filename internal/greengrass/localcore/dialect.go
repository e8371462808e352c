package localcore

import (
	"github.com/device-defender/device-defender/internal/greengrass"
	"github.com/device-defender/device-defender/internal/greengrass/eventrpc"
)

// dialect holds what differs between the nuclei in number rather than in kind.
type dialect struct {
	version    string // GGC_VERSION
	socket     string // file name in the core's root
	layout     eventrpc.Layout
	maxFrame   int            // bytes, both directions
	unaryFlags eventrpc.Flags // on the answer of a unary operation

	maxConnections   int
	maxSubscriptions int // over all components and kinds
	maxLocal         int // of these, SubscribeToTopic

	nucleus string // the name of its own component
}

var dialects = map[greengrass.Nucleus]*dialect{
	greengrass.Java: {
		version:    "2.18.0",
		socket:     "ipc.socket",
		layout:     eventrpc.NumbersLast,
		maxFrame:   eventrpc.MaxFrame,
		unaryFlags: eventrpc.TerminateStream,
		// The Java nucleus has no such limits; these only bound a runaway
		// component's claim on the host.
		maxConnections:   1_000,
		maxSubscriptions: 10_000,
		maxLocal:         10_000,
		nucleus:          "aws.greengrass.Nucleus",
	},
	greengrass.Lite: {
		version:          "2.6.0",
		socket:           "gg-ipc.socket",
		layout:           eventrpc.NumbersFirst,
		maxFrame:         eventrpc.MaxFrameLite,
		maxConnections:   50,
		maxSubscriptions: 100,
		maxLocal:         99,
		nucleus:          "aws.greengrass.NucleusLite",
	},
}

// lite reports whether the core acts as nucleus lite.
func (c *Core) lite() bool { return c.opts.Nucleus == greengrass.Lite }
