package localcore

import (
	"log/slog"
	"sync"
	"time"

	"github.com/device-defender/device-defender/internal/defender/report"
)

// rejection is how all reports are rejected while it is set.
type rejection struct{ code, message string }

// RejectReports makes the cloud reject every Defender report with this error,
// until it is called with an empty code.
func (c *Core) RejectReports(code, message string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.cloud.rejects = nil
	if code != "" {
		c.cloud.rejects = &rejection{code, message}
	}
}

// SetDefender replaces Options.Defender. With nil nothing answers reports.
func (c *Core) SetDefender(f func(Message) []Message) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.cloud.defender = f
}

func isReport(topic string) bool {
	_, _, ok := report.ParseTopic(topic)
	return ok
}

func (c *Core) answerReport(m Message) []Message {
	c.mu.Lock()
	rejects, defender := c.cloud.rejects, c.cloud.defender
	c.mu.Unlock()
	switch {
	case rejects != nil:
		thing, format, _ := report.ParseTopic(m.Topic)
		return []Message{replyMessage(format, report.Reply{
			ThingName: thing, Status: report.Rejected,
			ErrorCode: rejects.code, ErrorMessage: rejects.message, Timestamp: time.Now(),
		})}
	case defender != nil:
		return defender(m)
	}
	return nil
}

const (
	// defaultReportInterval is the service's quota per device (AWS General
	// Reference, "Device metric minimum delay").
	defaultReportInterval = 300 * time.Second
	// maxThings bounds what the responder remembers.
	maxThings = 10_000
)

// responder answers reports as AWS documents the service to. Two rules are our
// own, for the documentation is silent on them: the last accepted report once
// more is accepted again, and another too soon after it is rejected as
// Throttled. A tenth of the interval is forgiven, for the jitter of a schedule
// and of the way here. A smaller report_id is of a device that has restarted.
type responder struct {
	interval time.Duration
	log      *slog.Logger

	mu   sync.Mutex // guards the rest
	last map[string]accepted
}

// accepted is a thing's last accepted report.
type accepted struct {
	id int64
	at time.Time
}

func newResponder(interval time.Duration, log *slog.Logger) *responder {
	if interval == 0 {
		interval = defaultReportInterval
	}
	return &responder{interval: interval, log: log, last: map[string]accepted{}}
}

// answer returns the reply to a report.
func (d *responder) answer(m Message) []Message {
	thing, format, ok := report.ParseTopic(m.Topic)
	if !ok {
		return nil
	}
	reply := d.judge(thing, format, m.Payload)
	reply.ThingName, reply.Timestamp = thing, time.Now()
	d.log.Info("report", "thing", thing, "status", reply.Status, "report_id", reply.ReportID, "code", reply.ErrorCode, "bytes", len(m.Payload))
	return []Message{replyMessage(format, reply)}
}

func (d *responder) judge(thing string, format report.Format, payload []byte) report.Reply {
	malformed := report.Reply{Status: report.Rejected, ErrorCode: "InvalidPayload", ErrorMessage: "Malformed metrics report"}
	r, encoding, err := report.Decode(payload)
	if err != nil {
		d.log.Warn("malformed report", "thing", thing, "error", err)
		return malformed
	}
	if encoding.Format != format {
		d.log.Warn("malformed report", "thing", thing, "format", encoding.Format, "topic_format", format)
		return malformed
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	last, known := d.last[thing]
	now := time.Now()
	if known && now.Sub(last.at) < d.interval-d.interval/10 {
		if r.ID == last.id {
			return report.Reply{Status: report.Accepted, ReportID: r.ID}
		}
		return report.Reply{Status: report.Rejected, ReportID: r.ID, ErrorCode: "Throttled", ErrorMessage: "Too many metrics reports"}
	}
	if !known && len(d.last) >= maxThings {
		clear(d.last)
	}
	d.last[thing] = accepted{id: r.ID, at: now}
	return report.Reply{Status: report.Accepted, ReportID: r.ID}
}

// replyMessage is a reply on the topic that its status has.
func replyMessage(format report.Format, reply report.Reply) Message {
	topic := report.AcceptedTopic(reply.ThingName, format)
	if reply.Status == report.Rejected {
		topic = report.RejectedTopic(reply.ThingName, format)
	}
	payload, err := reply.Encode(format)
	if err != nil {
		payload = nil // no reply can be read, which is one too
	}
	return Message{Topic: topic, Payload: payload}
}
