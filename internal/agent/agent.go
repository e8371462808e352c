package agent

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"os"
	"runtime/debug"
	"sync"
	"time"

	"github.com/device-defender/device-defender/internal/defender/report"
	"github.com/device-defender/device-defender/internal/greengrass"
	"github.com/device-defender/device-defender/internal/hostproc"
	"github.com/device-defender/device-defender/internal/metrics"
)

// Options are what the process gives the agent.
type Options struct {
	ThingName string
	// Token and Dial reach the nucleus.
	Token string
	Dial  func(context.Context) (net.Conn, error)
	// WorkDir holds the state file; the nucleus starts a component in it.
	WorkDir string
	// Defaults are for configuration keys that are absent.
	Defaults Config
	// MinInterval is the least time between two reports, [MinSampleInterval]
	// but against a stand-in core.
	MinInterval time.Duration
	Log         *slog.Logger
	// Level is set as the configuration says; it may be nil.
	Level *slog.LevelVar
}

// agent is owned by the goroutine of Run but for the channels.
type agent struct {
	Options
	parser  Parser
	session *greengrass.Session

	config     Config
	configured bool            // config was read, not only the defaults
	problems   map[string]bool // of the configuration, as logged
	schedule   *schedule
	state      state
	tracker    tracker
	dropped    int
	cut        cutLists // of the last report
	history    *metrics.History
	files      *metrics.Files
	missing    lasting // what reports lack
	conditions lasting // of the state file, the sample and the configuration
	notice     string  // where the network tables are read, if not where expected

	replies     []*greengrass.Registration
	replyTopics []string
	inflight    *delivery // nil if no report is on its way

	refresh        chan struct{} // asks for the configuration to be read
	configurations chan configuration
	answers        chan report.Reply
	delivered      chan *delivery
}

// Run reports until ctx ends, then returns nil. It returns an error only if
// the nucleus refuses the token for good: [greengrass.ErrTokenRefused].
func Run(ctx context.Context, o Options) error {
	ctx, cancel := context.WithCancel(ctx)
	var running sync.WaitGroup
	defer running.Wait()
	defer cancel()

	a := &agent{
		Options:        o,
		missing:        lasting{},
		conditions:     lasting{},
		history:        new(metrics.History),
		files:          metrics.NewFiles(),
		parser:         Parser{Defaults: o.Defaults, MinInterval: o.MinInterval},
		config:         o.Defaults,
		schedule:       newSchedule(o.ThingName, o.Defaults.SampleInterval, o.MinInterval),
		refresh:        make(chan struct{}, 1),
		configurations: make(chan configuration),
		answers:        make(chan report.Reply, 16),
		delivered:      make(chan *delivery, 1),
	}
	a.session = greengrass.NewSession(greengrass.SessionConfig{
		Dial: o.Dial, Token: o.Token, Log: o.Log,
		OnConnect: func(*greengrass.Client) { a.askForConfiguration() },
	})
	a.watchConfiguration()

	ended := make(chan error, 1)
	running.Go(func() { ended <- a.session.Run(ctx) })
	running.Go(func() { a.readConfigurations(ctx) })
	return a.loop(ctx, ended)
}

// loop waits for the first configuration, then samples and minds what comes.
func (a *agent) loop(ctx context.Context, ended <-chan error) error {
	due := time.NewTimer(0)
	due.Stop()
	started := false
	for {
		select {
		case <-ctx.Done():
			a.stop()
			return nil
		case err := <-ended:
			a.stop()
			if ctx.Err() != nil {
				return nil
			}
			return err
		case c := <-a.configurations:
			a.configure(c)
			if !started {
				started = true
				a.start()
			}
		case <-due.C:
			a.askForConfiguration()
			a.report(ctx)
		case d := <-a.delivered:
			a.finish(d)
		case r := <-a.answers:
			a.answered(r)
		}
		if started {
			due.Reset(time.Until(a.schedule.next()))
		}
	}
}

// start reads the state file and sets the first sample.
func (a *agent) start() {
	var err error
	if a.state, err = loadState(a.WorkDir); err != nil {
		a.Log.Warn("state file is of no use, starting without it", "error", err)
	}
	now := time.Now()
	earlier := time.Time{}
	if sampled, published, ok := a.sinceLastReport(); ok && sampled <= baselineAge(a.config.SampleInterval) {
		earlier = now.Add(-published)
	} else {
		a.state.Baseline = nil // a report covers its own interval
	}
	a.schedule.start(now, earlier)
	if wait := time.Until(a.schedule.next()); wait > 0 {
		a.Log.Info("continuing after a restart", "next_report_in", wait.Round(time.Second))
	}
}

// sinceLastReport returns how long ago an earlier process took its last
// sample, and published it. It is not ok if that was in another boot, or can't
// be told.
func (a *agent) sinceLastReport() (sampled, published time.Duration, ok bool) {
	b := a.state.Baseline
	if b == nil {
		return 0, 0, false
	}
	host, err := hostproc.Open(a.config.ProcPath)
	if err != nil {
		return 0, 0, false // said when the first sample fails
	}
	defer host.Close()
	boot, bootErr := host.BootID()
	uptime, uptimeErr := host.Clock()
	sampled = uptime - b.Uptime
	published = min(sampled, uptime-a.state.Published)
	return sampled, max(published, 0), bootErr == nil && uptimeErr == nil && boot == b.BootID && sampled >= 0
}

// report takes a sample and sends it on its way.
func (a *agent) report(ctx context.Context) {
	a.drop()
	now := time.Now()
	if a.schedule.next().After(now) {
		return // the last one has left only just now
	}
	a.schedule.sampled(now)
	r, cut, err := a.sample(now)
	switch changed := a.conditions.changed("sample", err); {
	case changed && err != nil:
		a.Log.Error("host can't be read, no reports until it can", "error", err)
	case changed:
		a.Log.Info("host can be read again")
	}
	a.save()
	debug.FreeOSMemory() // a busy host's tables are garbage for an interval now
	if r != nil {
		a.send(ctx, r, cut)
	}
}

// sample reads the host into a report.
func (a *agent) sample(now time.Time) (*report.Report, report.Cut, error) {
	host, err := hostproc.Open(a.config.ProcPath)
	if err != nil {
		return nil, report.Cut{}, err
	}
	defer host.Close()
	if n := host.Notice(); n != a.notice {
		a.notice = n
		if n != "" {
			a.Log.Warn(n)
		}
	}
	options := a.config.Metrics
	options.Files = a.files
	options.MaxBaselineAge = baselineAge(a.schedule.period())
	s := metrics.Collect(host, options, a.state.Baseline, a.history)
	a.state.Baseline = s.Baseline
	a.logMissing(s.Problems)
	if s.Metrics == nil && s.Custom == nil {
		return nil, report.Cut{}, fmt.Errorf("nothing of %s could be read", a.config.ProcPath)
	}
	return &report.Report{
		ID: a.state.nextReportID(now), Version: report.DocumentVersion,
		Metrics: s.Metrics, CustomMetrics: s.Custom,
	}, s.Cut, nil
}

// baselineAge is how old a baseline may be: a report is about its own interval,
// or about two if one was missed. A tenth is for the moment at which it is taken.
func baselineAge(interval time.Duration) time.Duration { return 2*interval + interval/10 }

// logMissing says what has begun or ceased to be missing.
func (a *agent) logMissing(problems []metrics.Problem) {
	now := make(map[string]bool)
	for _, p := range problems {
		now[p.What] = true
		if a.missing.changed(p.What, p.Err) {
			a.Log.Warn("left out of the report", "what", p.What, "error", p.Err)
		}
	}
	a.missing.others(now, func(what string) { a.Log.Info("no longer left out of the report", "what", what) })
}

// save writes the state file. Without it a restart starts afresh.
func (a *agent) save() {
	err := a.state.save(a.WorkDir)
	switch changed := a.conditions.changed("state", err); {
	case changed && err != nil:
		a.Log.Warn("state not saved, a restart would start afresh", "error", err)
	case changed:
		a.Log.Info("state saved again")
	}
}

// answered accounts for a reply.
func (a *agent) answered(r report.Reply) {
	// A reply may be quicker than the nucleus' answer to the publish: then the
	// report has arrived, whatever the nucleus still has to say.
	if d := a.inflight; d != nil && d.tried.Load() && (r.ReportID == d.report.ID || r.ReportID == 0 && len(a.tracker.awaited) == 0) {
		d.cancel()
		d = <-a.delivered
		d.err = nil
		a.finish(d)
	}
	id, known := a.tracker.answer(r)
	switch {
	case r.Status == report.Rejected && (known || r.ReportID == 0):
		a.Log.Error("report rejected", "report_id", id, "code", r.ErrorCode, "message", r.ErrorMessage)
		if r.ErrorCode == "Throttled" {
			a.schedule.throttle()
			a.Log.Warn("reporting less often for a while", "interval", a.schedule.period())
		}
	case known:
		a.Log.Info("report accepted", "report_id", id)
	default:
		a.Log.Debug("reply to an unknown report", "report_id", r.ReportID, "status", r.Status)
	}
}

// stop ends a delivery and saves the state.
func (a *agent) stop() {
	a.drop()
	// The work folder of a component that never sampled stays empty.
	if a.state.ReportID > 0 {
		a.save()
	}
	a.Log.Info("stopped", "accepted", a.tracker.accepted, "rejected", a.tracker.rejected, "dropped", a.dropped)
}

// WarnIfRoot says that root is not needed: everything read is world-readable.
func WarnIfRoot(log *slog.Logger) {
	if os.Getuid() == 0 {
		log.Warn("running as root, which is not needed: remove RequiresPrivilege from the recipe")
	}
}
