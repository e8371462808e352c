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
// takes every other member as optional, and ignores those that it does not know
// or that are of the wrong kind.
// Its errors wrap an [InvalidError].
func ParseReply(data []byte) (Reply, error) {
	tree, _, err := parse(data)
	if err != nil {
		return Reply{}, fmt.Errorf("parse reply: %w", err)
	}
	defer tree.free()
	d := &reader{}
	reply := d.reply(tree.root())
	if d.err != nil {
		return Reply{}, fmt.Errorf("parse reply: %w", d.err)
	}
	return reply, nil
}

func (d *reader) reply(object value) (reply Reply) {
	text := func(v value) string { return lenient(v, (*reader).text) }
	number := func(v value) int64 {
		return int64(lenient(v, func(d *reader, v value) uint64 { return d.integer(v, 0, math.MaxInt64) }))
	}
	reply.ThingName = text(object.member("thingName"))
	if reply.ReportID = number(object.member("reportId")); reply.ReportID == 0 {
		reply.ReportID = strayReportID(object)
	}
	if !d.member(object, "status", func(v value) { reply.Status = d.status(v) }) {
		d.fail("no status")
	}
	details := object.member("statusDetails")
	reply.ErrorCode, reply.ErrorMessage = text(details.member("ErrorCode")), text(details.member("ErrorMessage"))
	if ms := number(object.member("timestamp")); ms > 0 {
		reply.Timestamp = time.UnixMilli(ms).UTC()
	}
	return reply
}

// lenient reads a value, and its zero where it is of another kind: an odd
// member must not cost the verdict.
func lenient[T any](v value, read func(*reader, value) T) (result T) {
	if v.kind() == kindNull {
		return result
	}
	d := &reader{}
	if read := read(d, v); d.err == nil {
		result = read
	}
	return result
}

func (d *reader) status(v value) Status {
	status := Status(d.text(v))
	if status != Accepted && status != Rejected {
		d.fail("%s, want %s or %s", v, Accepted, Rejected)
	}
	return status
}

// strayReportID finds the id as AWS's troubleshooting page prints it, in place
// of the name: "12334567":1635800375. It is 0 when there is none or a choice.
func strayReportID(object value) (id int64) {
	for member := range object.inside() {
		n, err := strconv.ParseUint(member.node().name, 10, 63)
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
			w.fail("%s, want %s or %s", quoted(string(r.Status)), Accepted, Rejected)
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
