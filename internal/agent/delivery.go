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

const (
	// publishTimeout bounds one attempt: nucleus lite is single-threaded, and a
	// component that does not read stalls the others for seconds.
	publishTimeout = 10 * time.Second
	// firstRetry and lastRetry are what the pause between two attempts grows
	// from and to, at most; the interval bounds all of them.
	firstRetry = 5 * time.Second
	lastRetry  = 75 * time.Second
	// subscribePatience is what a report waits for subscriptions that are not
	// made yet, so that its reply is not missed.
	subscribePatience = 2 * time.Second
)

// delivery is one report on its way to the nucleus. It is written by its own
// goroutine until that sends it to agent.delivered.
type delivery struct {
	report   *report.Report
	topic    string
	encoding report.Encoding
	reply    bool // a reply is to be expected
	expiry   time.Duration
	retries  int
	cancel   context.CancelFunc
	tried    atomic.Bool // the nucleus may have taken the report

	attempts int
	size     int
	cut      report.Cut     // of the sample
	fitCut   report.Cut     // to fit the nucleus
	sent     *report.Report // as it was sent
	err      error          // nil once the nucleus has taken the report
}

// send starts the delivery of a report.
func (a *agent) send(ctx context.Context, r *report.Report, cut report.Cut) {
	ctx, cancel := context.WithCancel(ctx)
	d := &delivery{
		report: r, cut: cut, topic: a.topic(), encoding: a.config.Encoding,
		reply: a.config.ReportTopic == "", expiry: a.schedule.period(), retries: a.config.PublishRetryCount, cancel: cancel,
	}
	a.inflight = d
	replies := a.replies
	go func() {
		awaitReady(ctx, replies, min(subscribePatience, d.expiry/10))
		d.err = d.run(ctx, a.session)
		a.delivered <- d
	}()
}

// awaitReady gives the subscriptions a moment, so that the first reply is not
// missed. It does not insist: offline, the Java nucleus does not answer them.
func awaitReady(ctx context.Context, subscriptions []*greengrass.Registration, patience time.Duration) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for _, s := range subscriptions {
		select {
		case <-s.Ready():
		case <-ctx.Done():
			return
		}
	}
}

// run publishes until the nucleus takes the report.
func (d *delivery) run(ctx context.Context, session *greengrass.Session) error {
	backoff := min(firstRetry, d.expiry/60)
	for {
		client, err := session.Client(ctx)
		if err != nil {
			return err
		}
		d.attempts++
		d.tried.Store(true)
		if err = d.publish(ctx, client); err == nil || errors.Is(err, errTooLarge) {
			return err
		}
		if ctx.Err() != nil {
			return fmt.Errorf("no longer current: %w", err)
		}
		if d.attempts > d.retries {
			return err
		}
		pause := time.NewTimer(backoff/2 + rand.N(backoff/2))
		backoff = min(2*backoff, lastRetry)
		select {
		case <-pause.C:
		case <-ctx.Done():
			pause.Stop()
			return fmt.Errorf("no longer current: %w", err)
		}
	}
}

// errTooLarge is for a report that nothing can make fit.
var errTooLarge = errors.New("report too large")

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
	ctx, cancel := context.WithTimeout(ctx, publishTimeout)
	defer cancel()
	return client.PublishToIoTCore(ctx, greengrass.PublishToIoTCoreRequest{
		TopicName: d.topic, QoS: greengrass.AtLeastOnce, Payload: payload,
		MessageExpiryIntervalSeconds: max(int64(d.expiry/time.Second), 1),
	})
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
	if d.err != nil {
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
	if d.reply && a.tracker.published(d.report.ID) {
		a.renewSubscriptions()
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
// away, as from a Java nucleus that is offline, that is said once.
func (a *agent) renewSubscriptions() {
	level := slog.LevelDebug
	if a.tracker.unanswered <= silence+1 {
		level = slog.LevelWarn
	}
	a.Log.Log(context.Background(), level, "no reply to the last reports, renewing the subscriptions", "reports", a.tracker.unanswered-1)
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
