package agent

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"slices"
	"time"

	"github.com/device-defender/device-defender/internal/defender/report"
	"github.com/device-defender/device-defender/internal/hostproc"
	"github.com/device-defender/device-defender/internal/metrics"
)

// lookPatience bounds the first look at the host.
const lookPatience = 5 * time.Second

// sample is a look at the host, taken on a goroutine of its own: /proc may be
// on a mount that does not answer.
type sample struct {
	metrics.Sample
	path   string // that was read, "" if none could be
	notice string
	err    error // why the configured path could not be read
}

// look is what the first sample depends on.
type look struct {
	boot   string
	uptime time.Duration
	ok     bool // the two are known
}

// procPaths are the paths to read the host from, in order: the configured one,
// and if that fails the one that worked last.
func (a *agent) procPaths() []string {
	paths := []string{a.config.ProcPath, a.state.ProcPath, a.Defaults.ProcPath}
	paths = slices.DeleteFunc(paths, func(p string) bool { return p == "" })
	for i := len(paths) - 1; i > 0; i-- {
		if slices.Contains(paths[:i], paths[i]) {
			paths = slices.Delete(paths, i, i+1)
		}
	}
	return paths
}

// begin looks at the host for whether an earlier process has just reported.
func (a *agent) begin(ctx context.Context) {
	if a.begun {
		return
	}
	a.begun = true
	paths := a.procPaths()
	go func() {
		l, _ := within(ctx, lookPatience, func() look { return lookAt(paths) })
		a.looks <- l
	}()
}

func lookAt(paths []string) look {
	for _, path := range paths {
		host, err := hostproc.Open(path)
		if err != nil {
			continue // said when the first sample fails
		}
		boot, bootErr := host.BootID()
		uptime, uptimeErr := host.Clock()
		return look{boot, uptime, bootErr == nil && uptimeErr == nil}
	}
	return look{}
}

// looked sets the first sample.
func (a *agent) looked(l look) {
	a.started = true
	now := time.Now()
	earlier := time.Time{}
	b := a.state.Baseline
	if b != nil && l.ok && l.boot == b.BootID && l.uptime >= b.Uptime && l.uptime-b.Uptime <= baselineAge(a.config.SampleInterval) {
		published := min(l.uptime-b.Uptime, l.uptime-a.state.Published)
		earlier = now.Add(-max(published, 0))
	} else {
		// A report covers its own interval, and times of another boot mean nothing.
		a.state.Baseline, a.state.Published = nil, 0
	}
	a.schedule.start(now, earlier)
	if wait := time.Until(a.schedule.next()); wait > 0 {
		a.Log.Info("continuing after a restart", "next_report_in", wait.Round(time.Second))
	}
}

// baselineAge is how old a baseline may be: a report is about its own interval,
// or about two if one was missed. A tenth is for the moment at which it is taken.
func baselineAge(interval time.Duration) time.Duration { return 2*interval + interval/10 }

// sample has a sample taken. A report that is still on its way is history.
func (a *agent) sample() {
	a.drop()
	now := time.Now()
	if a.schedule.next().After(now) {
		return // the last one has left only just now
	}
	a.schedule.sampled(now)
	a.tracker.sampled()
	if a.sampling {
		a.sayHost(errors.New("no answer since the last sample"))
		return
	}
	a.sampling = true
	paths, options, baseline := a.procPaths(), a.config.Metrics, a.state.Baseline
	options.Files = a.files
	options.MaxBaselineAge = baselineAge(a.schedule.period())
	go func() { a.samples <- take(paths, options, baseline, a.history) }()
}

// take reads the host from the first of the paths that it can be read from.
func take(paths []string, options metrics.Options, baseline *metrics.Baseline, history *metrics.History) (s sample) {
	defer debug.FreeOSMemory() // a busy host's tables are garbage for an interval now
	for _, path := range paths {
		err := s.read(path, options, baseline, history)
		if err == nil {
			return s
		}
		s.err = cmp.Or(s.err, err)
	}
	return s
}

func (s *sample) read(path string, options metrics.Options, baseline *metrics.Baseline, history *metrics.History) error {
	host, err := hostproc.Open(path)
	if err != nil {
		return err
	}
	s.notice = host.Notice()
	s.Sample = metrics.Collect(host, options, baseline, history)
	if s.Metrics == nil && s.Custom == nil {
		return fmt.Errorf("nothing of %s could be read", path)
	}
	s.path = path
	return nil
}

// sampled makes a report of a sample and sends it on its way.
func (a *agent) sampled(ctx context.Context, s sample) {
	a.sampling = false
	if s.Baseline != nil {
		a.state.Baseline = s.Baseline
	}
	a.logMissing(s.Problems)
	if s.path == "" {
		a.sayHost(s.err)
		a.save()
		return
	}
	a.sayHost(nil)
	if a.conditions.changed("proc path", s.err) && s.err != nil {
		a.Log.Error("ProcPath can't be read, using one that can", "path", s.path, "error", s.err)
	}
	if s.notice != a.notice {
		a.notice = s.notice
		if s.notice != "" {
			a.Log.Warn(s.notice)
		}
	}
	a.state.ProcPath = s.path
	a.state.ThingName = a.ThingName
	r := &report.Report{
		ID: a.state.nextReportID(time.Now()), Version: report.DocumentVersion,
		Metrics: s.Metrics, CustomMetrics: s.Custom,
	}
	a.send(ctx, r, s.Cut, a.save())
}

// sayHost logs that the host can't be read, or can again.
func (a *agent) sayHost(err error) {
	switch changed := a.conditions.changed("sample", err); {
	case changed && err != nil:
		a.Log.Error("host can't be read, no reports until it can", "error", err)
	case changed:
		a.Log.Info("host can be read again")
	}
}

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
