package agent

import (
	"context"
	"errors"
	"time"
)

const (
	// exitPause is the least time between two exits that ask for a restart.
	// systemd starts a component of nucleus lite three times in an hour and then
	// not again before a deployment (StartLimitBurst of its units); the Java
	// nucleus makes it BROKEN after as many failures.
	exitPause = time.Hour
	// namePatience is how long the process stays before it asks to be started
	// again with the thing's name: what names it needs a moment to come up.
	namePatience = time.Minute
)

// ErrNoThingName ends Run: the nucleus has started the component without its
// thing's name, and no earlier process knew it.
var ErrNoThingName = errors.New("AWS_IOT_THING_NAME is empty, which only another start can mend")

// untilExit returns how long to wait before the process may exit for a restart.
// A clock that was set does not make that longer than exitPause.
func (s *state) untilExit(now time.Time) time.Duration {
	since := now.Sub(time.Unix(s.Exited, 0))
	if s.Exited == 0 || since.Abs() >= exitPause {
		return 0
	}
	return exitPause - since.Abs()
}

// identify returns the thing's name: the environment's, or the one that an
// earlier process had. If there is none it waits for the time to exit.
func (a *agent) identify(ctx context.Context) error {
	switch {
	case a.ThingName != "":
		return nil
	case a.state.ThingName != "":
		a.ThingName = a.state.ThingName
		a.Log.Warn("AWS_IOT_THING_NAME is empty, reporting as the thing of the last start", "thing", a.ThingName)
		return nil
	}
	wait := max(namePatience, a.state.untilExit(time.Now()))
	a.Log.Error("AWS_IOT_THING_NAME is empty: no reports until the nucleus starts the component with a name", "exit_in", wait)
	if !sleep(ctx, wait) {
		return ctx.Err()
	}
	return ErrNoThingName
}
