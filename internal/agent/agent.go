package agent

import (
	"context"
	"log/slog"
	"net"
	"os"
	"sync"
	"time"

	"github.com/device-defender/device-defender/internal/defender/report"
	"github.com/device-defender/device-defender/internal/greengrass"
	"github.com/device-defender/device-defender/internal/metrics"
)

// Options are what the process gives the agent.
type Options struct {
	// ThingName may be empty: then it is that of the last start.
	ThingName string
	// Token and Dial reach the nucleus. Component is [greengrass.LiteComponent].
	Token     string
	Dial      func(context.Context) (net.Conn, error)
	Component string
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

const (
	// diskPatience is how long the agent waits for its work folder: at the
	// start, before a report leaves, and at the end.
	diskPatience = 5 * time.Second
	// configurationPatience is how long the first configuration is waited for
	// before the one of the last start counts.
	configurationPatience = 30 * time.Second
)

// agent is owned by the goroutine of Run but for the channels.
type agent struct {
	Options
	parser  Parser
	session *greengrass.Session
	disk    stateWriter

	config     Config
	configured bool            // config was read in this process
	begun      bool            // the host was looked at, for the first sample
	started    bool            // the first sample is set
	problems   map[string]bool // of the configuration, as logged
	schedule   *schedule
	state      state
	tracker    tracker
	dropped    int
	cut        cutLists         // of the last report
	history    *metrics.History // what the last reports carried
	files      *metrics.Files   // of custom metrics
	missing    lasting          // what reports lack
	conditions lasting          // of the sample, its path and the configuration
	notice     string           // where the network tables are read, if not where expected

	validation  *greengrass.Registration // nil if deployments are not validated
	replies     []*greengrass.Registration
	replyTopics []string
	sampling    bool      // a sample is being taken
	inflight    *delivery // nil if no report is on its way

	refresh        chan struct{} // asks for the configuration to be read
	configurations chan configuration
	looks          chan look
	samples        chan sample
	answers        chan report.Reply
	delivered      chan *delivery
}

// Run reports until ctx ends, then returns nil. It returns an error only to be
// started again, at most once in an hour: [greengrass.ErrTokenRefused] or
// [ErrNoThingName].
func Run(ctx context.Context, o Options) error {
	ctx, cancel := context.WithCancel(ctx)
	var running sync.WaitGroup
	defer running.Wait()
	defer cancel()

	a := &agent{
		Options:        o,
		parser:         Parser{Defaults: o.Defaults, MinInterval: o.MinInterval},
		disk:           stateWriter{folder: o.WorkDir, log: o.Log},
		missing:        lasting{},
		conditions:     lasting{},
		history:        new(metrics.History),
		files:          metrics.NewFiles(),
		refresh:        make(chan struct{}, 1),
		configurations: make(chan configuration),
		looks:          make(chan look, 1),
		samples:        make(chan sample, 1),
		answers:        make(chan report.Reply, 16),
		delivered:      make(chan *delivery, 1),
	}
	a.recall(ctx)
	if err := a.identify(ctx); err != nil {
		return a.end(ctx, err)
	}
	a.schedule = newSchedule(a.ThingName, a.config.SampleInterval, a.MinInterval)
	a.session = greengrass.NewSession(greengrass.SessionConfig{
		Dial: o.Dial, Token: o.Token, Log: o.Log, Component: o.Component, GiveUp: a.mayGiveUp(),
		OnConnect: func(*greengrass.Client) { a.askForConfiguration() },
	})
	a.watchConfiguration()

	ended := make(chan error, 1)
	running.Go(func() { ended <- a.session.Run(ctx) })
	running.Go(func() { a.readConfigurations(ctx) })
	return a.loop(ctx, ended)
}

// recall reads the state file.
func (a *agent) recall(ctx context.Context) {
	type loaded struct {
		state state
		err   error
	}
	l, ok := within(ctx, diskPatience, func() loaded {
		s, err := loadState(a.WorkDir)
		return loaded{s, err}
	})
	switch {
	case !ok && ctx.Err() == nil:
		a.Log.Warn("state file not read in time, starting without it", "folder", a.WorkDir)
	case l.err != nil:
		a.Log.Warn("state file can't be used, starting without it", "error", l.err)
	}
	a.state = l.state
	a.config, _ = a.parser.Parse(a.state.Configuration, a.Defaults)
}

// mayGiveUp returns what the session asks before it ends for a refused token.
func (a *agent) mayGiveUp() func() bool {
	last, said := a.state, false
	return func() bool {
		wait := last.untilExit(time.Now())
		if wait > 0 && !said {
			said = true
			a.Log.Error("the nucleus refuses the token, and another restart now could be the last one it makes", "restart_in", wait.Round(time.Second))
		}
		return wait == 0
	}
}

// loop waits for the first configuration, then samples and minds what comes.
func (a *agent) loop(ctx context.Context, ended <-chan error) error {
	due := time.NewTimer(0)
	due.Stop()
	patience := time.NewTimer(configurationPatience)
	defer patience.Stop()
	for {
		select {
		case <-ctx.Done():
			a.stop()
			return nil
		case err := <-ended:
			return a.end(ctx, err)
		case c := <-a.configurations:
			a.configure(ctx, c)
		case <-patience.C:
			a.goOnAsBefore(ctx)
		case l := <-a.looks:
			a.looked(l)
		case <-due.C:
			a.askForConfiguration()
			a.sample()
		case s := <-a.samples:
			a.sampled(ctx, s)
		case d := <-a.delivered:
			a.finish(d)
		case r := <-a.answers:
			a.answered(r)
		}
		if a.started {
			due.Reset(time.Until(a.schedule.next()))
		}
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
	case !known && r.Status == report.Accepted && r.ReportID == a.state.ReportID && a.schedule.relent():
		// A copy was throttled, and its reply was quicker: they have topics of
		// their own, which keep no order.
		a.Log.Info("report accepted after all", "report_id", id, "interval", a.schedule.period())
	case !known:
		level := slog.LevelDebug
		if a.tracker.surplus() {
			level = slog.LevelWarn
		}
		a.Log.Log(context.Background(), level, "reply to no report that waits for one: does another agent report for this thing?",
			"report_id", r.ReportID, "status", r.Status, "code", r.ErrorCode)
	case r.Status == report.Rejected:
		a.Log.Error("report rejected", "report_id", id, "code", r.ErrorCode, "message", r.ErrorMessage)
		if r.ErrorCode == "Throttled" && r.ReportID == a.state.ReportID && a.schedule.throttle() {
			a.Log.Warn("reporting less often for a while", "interval", a.schedule.period())
		}
	default:
		a.Log.Info("report accepted", "report_id", id)
	}
}

// end ends the process for another one, unless it was to end anyway.
func (a *agent) end(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		a.stop()
		return nil
	}
	a.state.Exited = time.Now().Unix()
	a.stop()
	return err
}

// stop ends a delivery and saves the state.
func (a *agent) stop() {
	a.drop()
	// The work folder of a component that never sampled stays empty.
	if a.state.ReportID > 0 || a.state.Exited > 0 {
		saved := a.save()
		patience := time.NewTimer(diskPatience)
		defer patience.Stop()
		select {
		case <-saved:
		case <-patience.C:
			a.Log.Warn("state not saved in time", "folder", a.WorkDir)
		}
	}
	a.Log.Info("stopped", "accepted", a.tracker.accepted, "rejected", a.tracker.rejected, "dropped", a.dropped)
}

// save has the state written.
func (a *agent) save() <-chan struct{} { return a.disk.save(&a.state) }

// WarnIfRoot says that root is not needed: everything read is world-readable.
func WarnIfRoot(log *slog.Logger) {
	if os.Getuid() == 0 {
		log.Warn("running as root, which is not needed: remove RequiresPrivilege from the recipe")
	}
}
