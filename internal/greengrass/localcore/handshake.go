package localcore

import (
	"crypto/rand"
	"encoding/base64"

	"github.com/device-defender/device-defender/internal/greengrass/eventrpc"
)

// token returns the component's token, a new one after ForgetTokens.
func (c *Core) token(k *Component) string {
	if k.token != "" {
		return k.token
	}
	if c.lite() {
		var b [12]byte
		rand.Read(b[:]) // never fails
		k.token = base64.StdEncoding.EncodeToString(b[:])
	} else {
		const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZ012345" // 32: no bias
		b := make([]byte, 16)
		rand.Read(b)
		for i := range b {
			b[i] = letters[b[i]%32]
		}
		k.token = string(b)
	}
	c.tokens[k.token] = k
	return k.token
}

// connectJava takes CONNECT: an acknowledgement without the flag refuses.
func (conn *connection) connectJava(m *eventrpc.Message) {
	ack := &eventrpc.Message{Type: eventrpc.ConnectAck}
	body, err := decodeObject(m.Payload)
	token, _ := body["authToken"].(string)
	k := conn.core.tokens[token]
	if err != nil || k == nil || m.Text(eventrpc.HeaderVersion) != eventrpc.Version {
		conn.answer(ack)
		conn.end("handshake refused")
		return
	}
	ack.Flags = eventrpc.ConnectionAccepted
	conn.accept(k, ack)
}

// connectLite takes CONNECT: nucleus lite refuses by closing. A client without
// a token may name its component; nucleus lite then looks for the process in
// the component's systemd unit, here the name is enough.
func (conn *connection) connectLite(m *eventrpc.Message) {
	c := conn.core
	version := m.Text(eventrpc.HeaderVersion)
	body, err := decodeObject(m.Payload)
	if err != nil || m.Type != eventrpc.Connect || m.StreamID != 0 || m.Flags&(eventrpc.ConnectionAccepted|eventrpc.TerminateStream) != 0 ||
		version != "" && version != eventrpc.Version {
		conn.end("handshake refused: not a CONNECT")
		return
	}
	ack := &eventrpc.Message{Type: eventrpc.ConnectAck, Flags: eventrpc.ConnectionAccepted}
	r := request{core: c, object: body, malformed: new(bool)}
	token, hasToken := member[string](&r, "authToken")
	name, hasName := member[string](&r, "componentName")
	var k *Component
	switch {
	case *r.malformed:
	case hasToken:
		k = c.tokens[token]
		if k != nil && hasName && k.name != name {
			k = nil
		}
	case hasName:
		if k = c.components[name]; k != nil {
			ack.SetText("svcuid", c.token(k))
		}
	}
	if k == nil {
		conn.end("handshake refused")
		return
	}
	conn.accept(k, ack)
}

func (conn *connection) accept(k *Component, ack *eventrpc.Message) {
	conn.component = k
	conn.log = conn.log.With("component", k.name)
	conn.answer(ack)
	conn.log.Debug("connected")
}
