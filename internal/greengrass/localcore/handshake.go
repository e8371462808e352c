package localcore

import (
	"crypto/rand"
	"encoding/base64"
	"net"
	"syscall"

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

// connectLite takes CONNECT: nucleus lite refuses by closing. A process of the
// component needs no token: it may send the component's name and gets the token
// in the answer (ipc_server.c, handle_conn_init; run of 2.6.0).
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
	r := newRequest(c, body)
	token, hasToken := member[string](r, "authToken")
	name, hasName := member[string](r, "componentName")
	var k *Component
	switch {
	case r.malformed():
	case hasToken:
		k = c.tokens[token]
		if k != nil && hasName && k.name != name {
			k = nil
		}
	case hasName:
		if k = c.components[name]; k != nil && conn.belongsTo(k) {
			ack.SetText("svcuid", c.token(k))
		} else {
			k = nil
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

// belongsTo reports whether the client is a process of the component. Nucleus
// lite looks for its pid in the component's systemd unit (ggipc-auth, auth.c);
// the process group that Start makes stands for that here. A component that was
// not started by Start, and a client that is no process, have no unit: the name
// is enough.
func (conn *connection) belongsTo(k *Component) bool {
	pid, known := peerPID(conn.nc)
	if k.process == nil || !known {
		return true
	}
	group, err := syscall.Getpgid(pid)
	return err == nil && group == k.process.group()
}

// peerPID is the process at the other end of a Unix socket.
func peerPID(nc net.Conn) (pid int, known bool) {
	unix, ok := nc.(*net.UnixConn)
	if !ok {
		return 0, false
	}
	raw, err := unix.SyscallConn()
	if err != nil {
		return 0, false
	}
	_ = raw.Control(func(fd uintptr) { // fails on a closed socket only
		ucred, err := syscall.GetsockoptUcred(int(fd), syscall.SOL_SOCKET, syscall.SO_PEERCRED)
		if err == nil {
			pid, known = int(ucred.Pid), true
		}
	})
	return pid, known
}
