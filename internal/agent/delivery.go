package agent

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"strings"
	"sync/atomic"
	"time"

	"github.com/device-defender/device-defender/internal/defender/report"
	"github.com/device-defender/device-defender/internal/greengrass"
)

// Payload limits, in bytes, of the two nuclei.
const (
	maxPayload = report.MaxSize
	// maxPayloadLite leaves room in lite's 10,000-byte frames for base64, the
	// topic and the headers: 7,300 bytes pass, 8,000 reset the connection.
	maxPayloadLite = 7000
)

// subscribePatience is what an attempt waits for the reply subscriptions, so
// that its reply is not missed. It does not insist: without them the report
// still counts.
const subscribePatience = 10 * time.Second

// delivery is one report on its way to the nucleus. It is written by its own
// goroutine until that sends it to agent.delivered.
type delivery struct {
	report   *report.Report
	topic    string
	qos      greengrass.QoS
	encoding report.Encoding
	reply    bool // a reply is to be expected
	expiry   time.Duration
	retries  int
	replies  []*greengrass.Registration
	cancel   context.CancelFunc
	tried    atomic.Bool // the nucleus may have taken the report

	attempts int
	size     int
	cut      report.Cut     // of the sample
	fitCut   report.Cut     // to fit the nucleus
	sent     *report.Report // as it was sent
	err      error          // nil once the nucleus has taken the report
}

// errUnknown is for a report that the nucleus was given and did not answer for:
// it may have arrived, or may yet. To publish it again could make two of it.
var errUnknown = errors.New("no answer from the nucleus")

// errTooLarge is for a report that nothing can make fit.
var errTooLarge = errors.New("report too large")

// send starts the delivery of a report. It leaves when its id is on the disk,
// so that no crash makes an id come twice.
func (a *agent) send(ctx context.Context, r *report.Report, cut report.Cut, saved <-chan struct{}) {
	ctx, cancel := context.WithCancel(ctx)
	d := &delivery{
		report: r, cut: cut, topic: a.topic(), qos: greengrass.AtMostOnce, encoding: a.config.Encoding,
		reply: a.config.ReportTopic == "", expiry: a.schedule.period(), retries: a.config.PublishRetryCount,
		replies: a.replies, cancel: cancel,
	}
	if !d.reply && a.config.ReportQoS == 1 {
		d.qos = greengrass.AtLeastOnce
	}
	if a.tracker.suspect() {
		a.renewSubscriptions()
	}
	a.inflight = d
	go func() {
		select {
		case <-saved:
		case <-time.After(diskPatience): // said when it fails, and no reason not to report
		case <-ctx.Done():
		}
		d.err = d.run(ctx, a.session)
		a.delivered <- d
	}()
}

// run publishes until the nucleus takes the report, refuses it for good, or it
// is no longer current. Attempts are spread over the interval: after an outage
// the Java nucleus takes up to 90 s to connect again (run of 2.18). Each is up to
// a quarter of a pause before its place, which chance does not move: the last one
// always comes late in the interval.
func (d *delivery) run(ctx context.Context, session *greengrass.Session) error {
	pause := d.expiry * 9 / 10 / time.Duration(max(d.retries, 1))
	var place time.Time
	for {
		client, err := session.Client(ctx)
		if err != nil {
			return err
		}
		if now := time.Now(); place.Before(now) { // the first, or the one before took long
			place = now
		}
		d.awaitReplies(ctx)
		d.attempts++
		err = d.publish(ctx, client)
		if err == nil || !retryable(err) || d.attempts > d.retries {
			return err
		}
		place = place.Add(pause)
		if !sleep(ctx, time.Until(place)-rand.N(pause/4+1)) {
			return fmt.Errorf("no longer current: %w", err)
		}
	}
}

// retryable reports whether an attempt certainly had no effect, and another one
// may have.
func retryable(err error) bool {
	_, refused := errors.AsType[*greengrass.Error](err)
	certain := refused || errors.Is(err, greengrass.ErrNotSent)
	return certain && !errors.Is(err, errTooLarge) && !greengrass.IsCode(err, greengrass.UnauthorizedError)
}

// awaitReplies gives the subscriptions a moment, and those that were refused
// another attempt.
func (d *delivery) awaitReplies(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, min(subscribePatience, d.expiry/10))
	defer cancel()
	for _, s := range d.replies {
		s.Retry()
	}
	for _, s := range d.replies {
		// What failed is said by the registration, and no reason not to report.
		_ = s.Await(ctx)
	}
}

// publish makes one attempt. It waits for the answer as long as the report is
// current: what was written to a nucleus that stands still it publishes when it
// goes on.
func (d *delivery) publish(ctx context.Context, client *greengrass.Client) error {
	limit := maxPayload
	if client.Nucleus() != greengrass.Java {
		limit = maxPayloadLite // until a first answer tells them apart
	}
	payload, sent, cut, err := d.report.Fit(d.encoding, limit)
	if err != nil {
		return fmt.Errorf("%w: %w", errTooLarge, err)
	}
	d.size, d.sent, d.fitCut = len(payload), sent, cut
	ctx, cancel := context.WithTimeout(ctx, d.expiry) // instead of a call's own 10 s
	defer cancel()
	if err := client.Alive(ctx); err != nil {
		return err
	}
	d.tried.Store(true)
	err = client.PublishToIoTCore(ctx, greengrass.PublishToIoTCoreRequest{TopicName: d.topic, QoS: d.qos, Payload: payload})
	if _, refused := errors.AsType[*greengrass.Error](err); err != nil && !refused && !errors.Is(err, greengrass.ErrNotSent) {
		return fmt.Errorf("%w: %w", errUnknown, err)
	}
	return err
}

// topic is where reports go.
func (a *agent) topic() string {
	if t := a.config.ReportTopic; t != "" {
		return expandTopic(t, a.ThingName)
	}
	return report.Topic(a.ThingName, a.config.Encoding.Format)
}

// drop ends a delivery that is still under way: its report is history.
func (a *agent) drop() {
	if a.inflight == nil {
		return
	}
	a.inflight.cancel()
	a.finish(<-a.delivered)
}

// finish accounts for a delivery that has ended.
func (a *agent) finish(d *delivery) {
	d.cancel()
	a.inflight = nil
	figures := append([]any{"report_id", d.report.ID, "topic", d.topic}, figures(d.report)...)
	switch {
	case errors.Is(d.err, errUnknown):
		a.Log.Warn("report may not have arrived", append(figures, "attempts", d.attempts, "error", d.err)...)
		if d.reply {
			a.tracker.await(d.report.ID)
		}
		return
	case d.err != nil:
		a.dropped++
		a.Log.Error("report dropped", append(figures, "attempts", d.attempts, "dropped", a.dropped, "error", d.err)...)
		return
	}
	a.Log.Info("report published", append(figures, "bytes", d.size, "attempts", d.attempts)...)
	now := time.Now()
	if a.schedule.departed(now) && a.state.Baseline != nil {
		a.state.Published = a.state.Baseline.Uptime + now.Sub(a.schedule.grid)
		a.save()
	}
	if d.reply {
		a.tracker.published(d.report.ID)
	}
	if d.sent != nil {
		a.history.Add(d.sent)
		a.logCut(d)
	}
}

// logCut says when lists begin or cease to be cut.
func (a *agent) logCut(d *delivery) {
	cut := d.cut.Plus(d.fitCut)
	lists := listsOf(cut)
	if lists == a.cut {
		return
	}
	a.cut = lists
	switch {
	case cut.IsZero():
		a.Log.Info("nothing is cut from reports any more")
	case d.fitCut.IsZero():
		a.Log.Warn("lists cut to MaxListItems, totals are true", "cut", cut)
	default:
		a.Log.Warn("report cut to fit the nucleus, totals are true", "cut", cut)
	}
}

// renewSubscriptions is for when replies have stopped to come. While they stay
// away that is said once.
func (a *agent) renewSubscriptions() {
	level := slog.LevelDebug
	if a.tracker.unanswered == 1 {
		level = slog.LevelWarn
	}
	a.Log.Log(context.Background(), level, "no reply to the last report, renewing the subscriptions", "reports", a.tracker.unanswered)
	for _, s := range a.replies {
		s.Renew()
	}
}

// cutLists is which lists were cut: by how many entries changes all the time.
type cutLists struct {
	connections, tcpPorts, udpPorts, customItems bool
	customMetrics                                string
}

func listsOf(c report.Cut) cutLists {
	return cutLists{
		connections: c.Connections > 0, tcpPorts: c.TCPPorts > 0, udpPorts: c.UDPPorts > 0,
		customItems: c.CustomListItems > 0, customMetrics: strings.Join(c.CustomMetrics, ","),
	}
}

// figures are a report's numbers for the log: what is not in there is all that
// remains of a report that was dropped.
func figures(r *report.Report) []any {
	var attrs []any
	add := func(key string, n *int64) {
		if n != nil {
			attrs = append(attrs, key, *n)
		}
	}
	m := r.Metrics
	if m == nil {
		return attrs
	}
	if b := m.ListeningTCPPorts; b != nil {
		add("tcp_ports", b.Total)
	}
	if b := m.ListeningUDPPorts; b != nil {
		add("udp_ports", b.Total)
	}
	if b := m.TCPConnections; b != nil {
		add("connections", b.Total)
	}
	if n := m.NetworkStats; n != nil {
		counter := func(key string, n *uint64) {
			if n != nil {
				attrs = append(attrs, key, *n)
			}
		}
		counter("bytes_in", n.BytesIn)
		counter("bytes_out", n.BytesOut)
		counter("packets_in", n.PacketsIn)
		counter("packets_out", n.PacketsOut)
	}
	return attrs
}
