package localcore

// connectivity tells those who watch whether the core is connected to the
// cloud, in order and on a goroutine of its own. All is guarded by Core.mu.
type connectivity struct {
	watchers []func(connected bool)
	untold   []bool
	telling  bool
	said     bool // what was said last
}

// OnConnection calls f when the core connects to the cloud or loses the
// connection, and at once if it is connected. Close disconnects, and waits
// for f.
func (c *Core) OnConnection(f func(connected bool)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	t := &c.connectivity
	t.watchers = append(t.watchers, f)
	c.tell(c.cloud.connected())
}

// tell passes on whether the core is connected. The caller holds c.mu.
func (c *Core) tell(connected bool) {
	t := &c.connectivity
	if len(t.watchers) == 0 || connected == t.said {
		return
	}
	t.said = connected
	t.untold = append(t.untold, connected)
	if !t.telling {
		t.telling = true
		c.running.Go(c.tellAll)
	}
}

func (c *Core) tellAll() {
	t := &c.connectivity
	c.mu.Lock()
	defer c.mu.Unlock()
	for len(t.untold) > 0 {
		connected, watchers := t.untold[0], t.watchers
		t.untold = t.untold[1:]
		c.mu.Unlock()
		for _, f := range watchers {
			f(connected)
		}
		c.mu.Lock()
	}
	t.telling = false
}
