package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/device-defender/device-defender/internal/agent"
	"github.com/device-defender/device-defender/internal/agent/command"
	"github.com/device-defender/device-defender/internal/defender/report"
	"github.com/device-defender/device-defender/internal/defender/service"
	"github.com/device-defender/device-defender/internal/greengrass"
	"github.com/device-defender/device-defender/internal/greengrass/localcore"
	"github.com/device-defender/device-defender/recipes"
)

// localOptions are the flags of local.
type localOptions struct {
	interval  time.Duration
	as        string
	component string
	data      string
	thing     string
	listen    string
	alerts    alertOptions
	forward   time.Duration
}

func newLocal() *cobra.Command {
	var o localOptions
	cmd := &cobra.Command{
		Use:   "local",
		Short: "Run the component on this machine, in a stand-in Greengrass core",
		Long: `Start a stand-in Greengrass core on this machine with the component in it, and
show what happens: the configuration read over IPC, this host's reports, and
the replies. It goes on until Ctrl-C and needs no AWS account.

Behind the core's topics is the service of 'defenderctl serve': a valid report
is accepted and evaluated against the security profiles, a malformed one, or one
too soon, is rejected. The AWS IoT API of the service is at --listen, and pages
that show live what it knows at / there.`,
		Example: `  defenderctl local
  defenderctl local --as lite --interval 5s
  defenderctl local --component ./device-defender --data ./core
  defenderctl local --interval 5s --fast-forward 1h`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return o.run(cmd.Context(), cmd.OutOrStdout()) },
	}
	flags := cmd.Flags()
	flags.DurationVar(&o.interval, "interval", agent.MinSampleInterval, "time between reports; AWS IoT takes one in 5m0s, here it may be shorter")
	flags.StringVar(&o.as, "as", "nucleus", "which core to be: nucleus (the Java nucleus) or lite (nucleus lite)")
	flags.StringVar(&o.component, "component", "", "path of a device-defender binary to start as the component; without it the agent runs in this process")
	flags.StringVar(&o.data, "data", "", "folder for the core's socket, the component's work folder and the service's database, kept afterwards (default a temporary folder)")
	flags.StringVar(&o.thing, "thing", "my-core", "name of the core device's thing")
	flags.StringVar(&o.listen, "listen", defaultListen, "loopback address and port of the service; port 0 takes a free one")
	o.alerts.flags(flags)
	flags.DurationVar(&o.forward, "fast-forward", 0, "begin this long ago, with the service's time running 60 times faster until now")
	return cmd
}

// check returns what is wrong with the flags.
func (o *localOptions) check() (greengrass.Nucleus, error) {
	if o.interval < time.Second || o.interval%time.Second != 0 || o.interval > agent.MaxSampleInterval {
		return 0, usageError{fmt.Errorf("--interval %v, want whole seconds from 1s to %v", o.interval, agent.MaxSampleInterval)}
	}
	if err := report.CheckThingName(o.thing); err != nil {
		return 0, usageError{fmt.Errorf("--thing: %w", err)}
	}
	if o.forward < 0 || o.forward > 7*24*time.Hour {
		return 0, usageError{fmt.Errorf("--fast-forward %v, want 0s to 168h", o.forward)}
	}
	if err := o.alerts.check(true); err != nil {
		return 0, err
	}
	switch o.as {
	case "nucleus":
		return greengrass.Java, nil
	case "lite":
		return greengrass.Lite, nil
	}
	return 0, usageError{fmt.Errorf("--as %q, want nucleus or lite", o.as)}
}

// run is the command. It leaves nothing behind but a folder that was asked for.
func (o *localOptions) run(ctx context.Context, out io.Writer) error {
	nucleus, err := o.check()
	if err != nil {
		return err
	}
	root := o.data
	if root == "" {
		if root, err = os.MkdirTemp("", "defenderctl-"); err != nil {
			return err
		}
		defer os.RemoveAll(root)
	} else if err := checkFiles(filepath.Join(root, "defender")); err != nil {
		return err
	} else if err := os.MkdirAll(root, 0o700); err != nil {
		return err
	}

	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	console := &console{out: out, gone: cancel}
	output := console.writer("agent")
	core, err := localcore.New(localcore.Options{
		Nucleus: nucleus, ThingName: o.thing, Region: "local", Root: root,
		Log:    console.logger("core", slog.LevelWarn),
		Stdout: output, Stderr: output,
	})
	if err != nil {
		return err
	}
	defer core.Close()
	core.Tap(func(m localcore.Message) { showMessage(console, m) })
	component, err := o.install(ctx, core)
	if err != nil {
		return err
	}
	options := service.Options{
		Data: filepath.Join(root, "defender"), MinReportInterval: o.least(),
		CloudEvents: true, Now: forwardClock(o.forward), Log: console.logger("serve", slog.LevelWarn),
	}
	o.alerts.set(&options)
	s, err := openServer(ctx, o.listen, options)
	if err != nil {
		return err
	}
	return s.While(ctx, func(ctx context.Context) (err error) {
		// No message of the core may reach a service that is closed.
		defer func() { err = errors.Join(err, core.Close()) }()
		if err := s.Attach(ctx, core, o.thing); err != nil {
			return err
		}
		if err := core.Listen(); err != nil {
			return err
		}
		console.line("core", fmt.Sprintf("stand-in %v is up: thing %s, component %s; Ctrl-C ends it", nucleus, o.thing, component.Name()))
		console.line("serve", "listening on "+s.URL())
		run := o.runInside
		if o.component != "" {
			run = o.startChild
		}
		return run(ctx, core, component, console)
	})
}

// least is the least time between two reports, here.
func (o *localOptions) least() time.Duration { return min(o.interval, agent.MinSampleInterval) }

// install installs the component from the recipe in this binary.
func (o *localOptions) install(ctx context.Context, core *localcore.Core) (*localcore.Component, error) {
	recipe, err := localcore.ParseRecipe(bytes.NewReader(recipes.DeviceDefender))
	if err != nil {
		return nil, err
	}
	component, err := core.Install(recipe)
	if err != nil {
		return nil, err
	}
	interval := map[string]any{"SampleIntervalSeconds": int(o.interval / time.Second)}
	return component, core.Deploy(ctx, component.Name(), interval)
}

// runInside runs the agent in this process, through the core's real socket.
func (o *localOptions) runInside(ctx context.Context, _ *localcore.Core, component *localcore.Component, console *console) error {
	if err := os.MkdirAll(component.WorkDir(), 0o700); err != nil {
		return err
	}
	getenv := lookup(component.Environ())
	environment, err := greengrass.ReadEnvironment(getenv)
	if err != nil {
		return err
	}
	level := new(slog.LevelVar)
	defaults, _ := command.DefaultsFrom(getenv, o.least())
	return agent.Run(ctx, agent.Options{
		ThingName: environment.ThingName, Token: environment.Token, Dial: environment.Dial, WorkDir: component.WorkDir(),
		Defaults: defaults, MinInterval: o.least(), Log: console.logger("agent", level), Level: level,
	})
}

// startChild runs a device-defender binary as the core would.
func (o *localOptions) startChild(ctx context.Context, core *localcore.Core, component *localcore.Component, _ *console) error {
	if o.interval < agent.MinSampleInterval {
		component.Setenv(command.MinIntervalVariable, o.interval.String())
	}
	process, err := core.Start(ctx, component, o.component)
	if ctx.Err() != nil {
		return nil // ended before it began
	}
	if err != nil {
		return fmt.Errorf("--component %s: %w", o.component, err)
	}
	<-process.Done()
	if ctx.Err() != nil {
		return nil
	}
	return process.Err()
}

// lookup returns a getenv over a list of NAME=VALUE.
func lookup(environ []string) func(string) string {
	return func(name string) string {
		for _, v := range environ {
			if value, ok := strings.CutPrefix(v, name+"="); ok {
				return value
			}
		}
		return ""
	}
}

// showMessage shows a message that reached the cloud, or came from there.
func showMessage(c *console, m localcore.Message) {
	if _, _, ok := report.ParseTopic(m.Topic); ok {
		r, encoding, err := report.Decode(m.Payload)
		if err != nil {
			c.line("cloud", fmt.Sprintf("%s: %v", m.Topic, err))
			return
		}
		c.block("cloud", fmt.Sprintf("report %d on %s, %d bytes of %v", r.ID, m.Topic, len(m.Payload), encoding.Format),
			func(w io.Writer) { writeDigest(w, r) })
		return
	}
	reply, err := report.ParseReply(m.Payload)
	if err != nil {
		c.line("cloud", fmt.Sprintf("message on %s, %d bytes", m.Topic, len(m.Payload)))
		return
	}
	text := fmt.Sprintf("%s report %d", reply.Status, reply.ReportID)
	if reply.Status == report.Rejected {
		text = fmt.Sprintf("%s %s: %s", reply.Status, reply.ErrorCode, reply.ErrorMessage)
	}
	c.line("cloud", text)
}
