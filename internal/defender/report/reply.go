package report

import (
	"fmt"
	"math"
	"strconv"
	"time"
)

// Status is the service's verdict on a report.
type Status string

// The verdicts.
const (
	Accepted Status = "ACCEPTED"
	Rejected Status = "REJECTED"
)

// Reply is the service's answer to a report. Nothing says that one always comes.
type Reply struct {
	ThingName string
	// ReportID is 0 when it is unknown, as in every documented rejection.
	ReportID int64
	Status   Status
	// ErrorCode and ErrorMessage come with a rejection. Only the code
	// InvalidPayload is documented; take it for an open set.
	ErrorCode    string
	ErrorMessage string
	Timestamp    time.Time // to the millisecond; zero is absent
}

// ParseReply reads a reply in either format. It wants a status that it knows,
// takes every other member as optional, and ignores those it does not know.
// Its errors wrap an [InvalidError].
func ParseReply(data []byte) (Reply, error) {
	tree, _, err := parse(data)
	if err != nil {
		return Reply{}, fmt.Errorf("parse reply: %w", err)
	}
	d := &reader{}
	reply := d.reply(d.object(tree))
	if d.err != nil {
		return Reply{}, fmt.Errorf("parse reply: %w", d.err)
	}
	return reply, nil
}

func (d *reader) reply(object map[string]any) (reply Reply) {
	d.member(object, "thingName", func(v any) { reply.ThingName = d.text(v) })
	if !d.member(object, "reportId", func(v any) { reply.ReportID = int64(d.integer(v, 1, math.MaxInt64)) }) {
		reply.ReportID = strayReportID(object)
	}
	if !d.member(object, "status", func(v any) { reply.Status = d.status(v) }) {
		d.fail("no status")
	}
	d.member(object, "statusDetails", func(v any) {
		details := d.object(v)
		d.member(details, "ErrorCode", func(v any) { reply.ErrorCode = d.text(v) })
		d.member(details, "ErrorMessage", func(v any) { reply.ErrorMessage = d.text(v) })
	})
	d.member(object, "timestamp", func(v any) {
		reply.Timestamp = time.UnixMilli(int64(d.integer(v, 0, math.MaxInt64))).UTC()
	})
	return reply
}

func (d *reader) status(v any) Status {
	status := Status(d.text(v))
	if status != Accepted && status != Rejected {
		d.fail("%s, want %s or %s", describe(v), Accepted, Rejected)
	}
	return status
}

// strayReportID finds the id as AWS's troubleshooting page prints it, in place
// of the name: "12334567":1635800375. It is 0 when there is none or a choice.
func strayReportID(object map[string]any) (id int64) {
	for name := range object {
		n, err := strconv.ParseUint(name, 10, 63)
		if err != nil || n == 0 {
			continue
		}
		if id != 0 {
			return 0
		}
		id = int64(n)
	}
	return id
}

// Encode writes the reply as the service does.
func (r Reply) Encode(f Format) ([]byte, error) {
	w := &writer{Encoding: Encoding{Format: f}}
	w.object(func() {
		w.member("thingName")
		w.text(r.ThingName)
		if r.ReportID != 0 {
			w.member("reportId")
			w.integer(r.ReportID, 1)
		}
		w.member("status")
		if r.Status != Accepted && r.Status != Rejected {
			w.fail("%s, want %s or %s", describe(string(r.Status)), Accepted, Rejected)
		}
		w.text(string(r.Status))
		if r.ErrorCode != "" || r.ErrorMessage != "" {
			w.member("statusDetails")
			w.object(func() {
				w.member("ErrorCode")
				w.text(r.ErrorCode)
				w.member("ErrorMessage")
				w.text(r.ErrorMessage)
			})
		}
		if !r.Timestamp.IsZero() {
			w.member("timestamp")
			w.integer(r.Timestamp.UnixMilli(), 0)
		}
	})
	if w.err != nil {
		return nil, fmt.Errorf("encode reply: %w", w.err)
	}
	return w.buf, nil
}
