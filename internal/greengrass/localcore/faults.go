package localcore

import (
	"time"
)

// faults are what has been switched on. Guarded by Core.mu.
type faults struct {
	delay            time.Duration
	stalled          chan struct{} // closed when a stall ends; nil if there is none
	cut              bool
	noHealthDaemon   bool
	configDaemonDown bool
}

// SetOnline gives the core's MQTT side a network or takes it away. With one it
// connects after Options.Reconnect.
func (c *Core) SetOnline(online bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	cl := &c.cloud
	if cl.offline == !online {
		return
	}
	cl.offline = !online
	if online {
		c.reconnect(c.opts.Reconnect)
	} else {
		cl.reconnecting = false
		c.disconnect()
	}
}

// HoldAcknowledgements keeps the cloud from acknowledging, and thus from
// seeing, what is published: messages stay in flight until it is switched off.
func (c *Core) HoldAcknowledgements(hold bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.cloud.holding = hold
	notify(c.cloud.wake)
}

// ForgetTokens makes every token so far worthless, as a restart of nucleus
// lite's IPC daemon does. A process that is started later gets a new one.
// Connections stay.
func (c *Core) ForgetTokens() {
	c.mu.Lock()
	defer c.mu.Unlock()
	clear(c.tokens)
	for _, k := range c.components {
		k.token = ""
	}
}

// DropSubscriptions ends every subscription to AWS IoT Core without telling the
// subscribers, as a restart of nucleus lite's MQTT daemon does.
func (c *Core) DropSubscriptions() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.unsubscribe(func(s *subscription) bool { return s.kind == toIoTCore })
}

// CloseConnections closes every connection.
func (c *Core) CloseConnections() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for conn := range c.conns {
		conn.close()
	}
}

// RestartIPC restarts the process that serves IPC. On lite that is the daemon
// ggipcd, which forgets all tokens. On the Java nucleus it is the nucleus: it
// also loses what is spooled in memory, starts the components' processes again
// and brings back removed maps of the configuration.
func (c *Core) RestartIPC() error {
	listening := c.stopListening()
	c.CloseConnections()
	c.ForgetTokens()
	if !c.lite() {
		c.mu.Lock()
		cl := &c.cloud
		cl.drop(func(*outgoing) bool { return true })
		clear(cl.filters)
		cl.stored = nil
		cl.onlineOnce = false
		if !cl.offline {
			c.reconnect(c.opts.Reconnect)
		}
		for _, k := range c.components {
			k.config.reload()
		}
		c.mu.Unlock()
	}
	if listening {
		if err := c.Listen(); err != nil {
			return err
		}
	}
	if !c.lite() {
		c.everyProcess(func(p *Process) {
			p.revive()
			p.Restart()
		})
	}
	return nil
}

// CutFrame sends half of the next frame, to whomever it goes, and closes that
// connection.
func (c *Core) CutFrame() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.faults.cut = true
}

func (c *Core) takeCut() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	cut := c.faults.cut
	c.faults.cut = false
	return cut
}

// DelayAnswers delays each answer, and what follows it on its connection, by d.
func (c *Core) DelayAnswers(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.faults.delay = d
}

// Silence lets nothing more arrive at the clients that are connected now. Their
// requests are served and their connections stay open.
func (c *Core) Silence() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for conn := range c.conns {
		conn.silent = true
	}
}

// Stall lets the core neither serve nor send anything for d, as SIGSTOP does.
// What clients send meanwhile is served afterwards.
func (c *Core) Stall(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.faults.stalled != nil {
		return // one at a time
	}
	stalled := make(chan struct{})
	c.faults.stalled = stalled
	time.AfterFunc(d, func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.faults.stalled = nil
		close(stalled)
	})
}

// waitForStall waits while the core is stalled and reports whether the
// connection is still open.
func (c *Core) waitForStall(conn *connection) bool {
	c.mu.Lock()
	stalled := c.faults.stalled
	c.mu.Unlock()
	if stalled == nil {
		return true
	}
	select {
	case <-stalled:
		return true
	case <-conn.closed:
		return false
	}
}

// SetConfigDaemon says whether nucleus lite's configuration daemon runs. Without
// it nothing is authorized, and no configuration is read or changed there.
func (c *Core) SetConfigDaemon(runs bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.faults.configDaemonDown = !runs
}

// noConfigDaemon reports whether lite's configuration daemon is down.
func (c *Core) noConfigDaemon() bool { return c.lite() && c.faults.configDaemonDown }

// SetHealthDaemon says whether nucleus lite's health daemon runs; without it
// UpdateState fails there.
func (c *Core) SetHealthDaemon(runs bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.faults.noHealthDaemon = !runs
}
