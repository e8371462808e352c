package detect

import (
	"net/netip"
	"slices"
	"time"

	"github.com/device-defender/device-defender/internal/defender/profile"
)

const (
	// cloudWindow is the time over which events in the cloud are counted.
	cloudWindow = 300 * time.Second
	// maxSources is how many source addresses of a thing a window takes.
	maxSources = 1000

	messageByteSize    = "aws:message-byte-size"
	messagesSent       = "aws:num-messages-sent"
	messagesReceived   = "aws:num-messages-received"
	authFailures       = "aws:num-authorization-failures"
	connectionAttempts = "aws:num-connection-attempts"
	disconnects        = "aws:num-disconnects"
	sourceIPAddress    = "aws:source-ip-address"
	disconnectDuration = "aws:disconnect-duration"
)

// tallyKey is a cloud-side metric that things of a class are measured by.
type tallyKey struct {
	profile.MetricRef
	topics    dimension // nil without a dimension
	behaviors []int32
}

// tally is what a window has of a metric.
type tally struct {
	seen    bool
	count   int64 // events; of message sizes the largest, of sources those without room
	least   int64 // message size
	sources []netip.Addr
}

// cloud is what the cloud knows of a thing. Times are in nanoseconds.
type cloud struct {
	window       int64 // index of the window under way
	last         int64 // event
	disconnected int64 // since when; 0 is connected, or not known
	known        bool  // whether it is connected was seen
	longest      int64 // disconnect that ended in the window
	tallies      []tally
}

// move gives the tallies their places in another class.
func (c *cloud) move(from, to *class) {
	tallies := make([]tally, len(to.tallies))
	for i, key := range from.tallies {
		k := slices.IndexFunc(to.tallies, func(other tallyKey) bool { return other.MetricRef == key.MetricRef })
		if k >= 0 {
			tallies[k] = c.tallies[i]
		}
	}
	c.tallies = tallies
}

// end returns when the window under way ends.
func (c *cloud) end() int64 { return (c.window + 1) * int64(cloudWindow) }

// active reports whether the window under way ends within two days of the last
// event.
func (c *cloud) active() bool { return c.end() <= c.last+int64(maxSilence) }

// ObserveCloud counts an event; ev.Thing is not looked at. An event of a window
// that has ended is counted in the one under way.
func (t *Thing) ObserveCloud(e *Evaluation, ev CloudEvent) {
	at, ok := nanoseconds(ev.Time)
	if !ok || ev.Type < Connect || ev.Type > Deliver {
		e.Ignored++
		return
	}
	t.until(e, at)
	t.seen = max(t.seen, at)
	if t.cloud == nil {
		t.cloud = &cloud{window: at / int64(cloudWindow), tallies: make([]tally, len(t.class.tallies))}
	}
	t.cloud.take(t, at, &ev)
}

func (c *cloud) take(t *Thing, at int64, ev *CloudEvent) {
	c.last = max(c.last, at)
	switch ev.Type {
	case Connect:
		if c.disconnected != 0 {
			c.longest = max(c.longest, at-c.disconnected)
		}
		c.disconnected, c.known = 0, true
	case Disconnect:
		if c.disconnected == 0 {
			c.disconnected = at
		}
		c.known = true
	}
	clientID := ev.ClientID
	if clientID == "" {
		clientID = t.Name
	}
	for i := range c.tallies {
		key, tally := &t.class.tallies[i], &c.tallies[i]
		if key.counts(ev) && (key.Dimension == "" || ev.Topic != "" && key.topics.match(ev.Topic, clientID) != key.NotIn) {
			tally.take(key.Name, ev)
		}
	}
}

// counts reports whether the event is one of the metric's.
func (k *tallyKey) counts(ev *CloudEvent) bool {
	switch k.Name {
	case messageByteSize:
		return (ev.Type == Publish || ev.Type == Deliver) && ev.Bytes >= 0
	case messagesSent:
		return ev.Type == Publish
	case messagesReceived:
		return ev.Type == Deliver
	case authFailures:
		return ev.Type == AuthorizationFailure
	case connectionAttempts:
		return ev.Type == Connect || ev.Type == AuthorizationFailure && ev.Topic == ""
	case disconnects:
		return ev.Type == Disconnect
	case sourceIPAddress:
		return ev.SourceIP.IsValid()
	}
	return false
}

func (t *tally) take(metric string, ev *CloudEvent) {
	switch metric {
	case messageByteSize:
		size := int64(ev.Bytes)
		if !t.seen {
			t.least = size
		}
		t.count, t.least = max(t.count, size), min(t.least, size)
	case sourceIPAddress:
		addr := ev.SourceIP.WithZone("").Unmap()
		switch i, found := slices.BinarySearchFunc(t.sources, addr, netip.Addr.Compare); {
		case found:
		case len(t.sources) < maxSources:
			t.sources = slices.Insert(t.sources, i, addr)
		default:
			t.count++
		}
	default:
		t.count++
	}
	t.seen = true
}

// closeWindow ends the cloud window under way, one of those that are over at now.
func (t *Thing) closeWindow(e *Evaluation, now int64) {
	c := t.cloud
	// After a leap in time the windows of two days are enough.
	c.window = max(c.window, now/int64(cloudWindow)-int64(maxSilence/cloudWindow)-1)
	at, active, lasting := c.end(), c.active(), t.lasting()
	c.window++
	o := Observation{Thing: t.Name, Time: timeOf(at)}
	for i := range c.tallies {
		key, counted := &t.class.tallies[i], c.tallies[i]
		c.tallies[i] = tally{}
		m := Measurement{Metric: key.MetricRef}
		switch key.Name {
		case messageByteSize:
			if !counted.seen {
				continue
			}
			m.Value.Count = new(counted.count)
		case sourceIPAddress:
			if !counted.seen {
				continue
			}
			m.addrs, m.Value.CIDRs = counted.sources, addrTexts(counted.sources)
			if counted.count > 0 {
				m.Cut = &profile.Cut{Listed: int64(len(counted.sources))}
			}
		case disconnectDuration:
			if !c.known || !active && !lasting {
				continue
			}
			d := c.longest
			if c.disconnected != 0 {
				d = max(d, at-c.disconnected)
			}
			m.Value.Count = new(d / int64(time.Minute))
		default:
			if !active {
				continue
			}
			m.Value.Count = new(counted.count)
		}
		o.Measurements = append(o.Measurements, m)
		t.measureTally(e, key, at, &m, counted.least)
	}
	c.longest = 0
	if !active && !lasting {
		t.cloud = nil
	}
	if len(o.Measurements) > 0 {
		e.Measured = append(e.Measured, o)
	}
}

// measureTally evaluates a value of the cloud. Of message sizes, the one
// farthest from normal is compared.
func (t *Thing) measureTally(e *Evaluation, key *tallyKey, at int64, m *Measurement, least int64) {
	for i := range key.behaviors {
		own := *m
		if b := t.class.behaviors[key.behaviors[i]]; key.Name == messageByteSize && !b.compare.Less {
			own.Value = profile.Value{Count: &least}
		}
		t.measure(e, key.behaviors[i:i+1], at, &own)
	}
}

// addrTexts writes addresses as the values of metrics do.
func addrTexts(addrs []netip.Addr) []string {
	texts := make([]string, 0, len(addrs))
	var buffer []byte
	for _, a := range addrs {
		buffer = a.AppendTo(buffer)
	}
	all, from := string(buffer), 0
	for _, a := range addrs {
		n := len(a.AppendTo(buffer[:0]))
		texts = append(texts, all[from:from+n])
		from += n
	}
	return texts
}
