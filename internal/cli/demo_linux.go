package cli

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iot"
	"github.com/spf13/cobra"

	"github.com/device-defender/device-defender/internal/cloud"
	"github.com/device-defender/device-defender/internal/defender/alert"
	"github.com/device-defender/device-defender/internal/defender/service"
	"github.com/device-defender/device-defender/internal/demo"
	"github.com/device-defender/device-defender/internal/server"
)

// The story runs 60 times faster than real time: a report every 5 seconds is
// one every 5 minutes. It begins an hour ago, and must finish before the clock
// has caught up, a minute later.
const (
	demoBehind   = time.Hour
	demoInterval = 5 * time.Second
	demoGateways = 4
	demoCulprit  = 1 // index of the gateway that exfiltrates
	demoBaseline = 6 // reports of each gateway before it does
	demoPatience = 30 * time.Second
)

// demoOptions are the flags of demo.
type demoOptions struct {
	listen  string
	noWait  bool
	verbose bool
}

func newDemo() *cobra.Command {
	var o demoOptions
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "See the whole story on this machine in under a minute",
		Long: `Tell the whole story on this machine, in under a minute and without an AWS
account: a few gateways report their real metrics, a security profile says what
is normal, one gateway moves data to a strange address, and the violation is
found, explained, alerted, mitigated, and clears.

Time runs 60 times faster: a report every 5 seconds stands for one every 5
minutes. Each gateway is a process with a network of its own, whose traffic is
real and stays on this machine. Every step is an ordinary defenderctl command,
shown with its output.`,
		Example: `  defenderctl demo
  defenderctl demo --no-wait`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return o.run(cmd.Context(), cmd.OutOrStdout()) },
	}
	cmd.Flags().StringVar(&o.listen, "listen", defaultListen, "loopback address and port of the service and its page; port 0 takes a free one")
	cmd.Flags().BoolVar(&o.noWait, "no-wait", false, "end after the story instead of leaving the page up until Ctrl-C")
	cmd.Flags().BoolVarP(&o.verbose, "verbose", "v", false, "show what the service and the gateways log")
	device := &cobra.Command{
		Use:     "device isolated|shared",
		Hidden:  true,
		Short:   "Be the process of one of the demo's gateways",
		Example: "  defenderctl demo device shared",
		Args:    cobra.ExactArgs(1),
		Run: func(cmd *cobra.Command, args []string) {
			demo.ServeDevice(cmd.Context(), args[0], cmd.InOrStdin(), cmd.OutOrStdout())
		},
	}
	cmd.AddCommand(device, newDemoTraffic())
	return cmd
}

func newDemoTraffic() *cobra.Command {
	var span time.Duration
	cmd := &cobra.Command{
		Use:   "traffic",
		Short: "Send real traffic over loopback, for a profile to notice",
		Long: `Send about 2,000 packets of 1,400 bytes a second from this host to another of
its own loopback addresses, as a device would that moves data out. Nothing
leaves this machine.`,
		Example: `  defenderctl demo traffic --for 10s`,
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if span <= 0 {
				return usageError{fmt.Errorf("--for %v, want a positive duration", span)}
			}
			ctx, cancel := context.WithTimeout(cmd.Context(), span)
			defer cancel()
			return demo.SendTraffic(ctx, func(address string) {
				fmt.Fprintf(cmd.OutOrStdout(), "sending to %s for %v\n", address, span)
			})
		},
	}
	cmd.Flags().DurationVar(&span, "for", 10*time.Second, "how long")
	return cmd
}

// deviceCommand is how this program becomes a gateway's process.
var deviceCommand = demo.Command{"demo", "device"}

// story is a demo in progress.
type story struct {
	out      io.Writer
	folder   string // with the story's files
	now      func() time.Time
	url      string // of the service
	client   *cloud.Client
	alerts   *demo.Inbox
	devices  []*demo.Device
	gateways []*demo.Gateway
	log      *slog.Logger
}

func (o *demoOptions) run(ctx context.Context, out io.Writer) (err error) {
	folder, err := os.MkdirTemp("", "defenderctl-demo-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(folder)
	if err := demo.WriteFiles(folder); err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	console := &console{out: out, gone: cancel}
	st := &story{out: out, folder: folder, now: forwardClock(demoBehind), log: slog.New(slog.DiscardHandler)}
	if o.verbose {
		st.log = console.logger("demo", slog.LevelInfo)
	}
	if st.alerts, err = demo.OpenInbox(); err != nil {
		return err
	}
	defer st.alerts.Close()
	s, err := openServer(ctx, o.listen, service.Options{
		Data: filepath.Join(folder, "data"), Channels: []alert.Channel{alert.PlainWebhook(st.alerts.URL())}, MinReportInterval: demoInterval,
		CloudEvents: true, Now: st.now, Log: st.log,
	})
	if err != nil {
		return err
	}
	st.url = s.URL()
	return s.While(ctx, func(ctx context.Context) error { return o.show(ctx, st, s) })
}

// show tells the story, and leaves the page up.
func (o *demoOptions) show(ctx context.Context, st *story, s *server.Server) (err error) {
	if st.client, err = cloud.Connect(ctx, cloud.Options{EndpointURL: st.url}); err != nil {
		return err
	}
	defer st.leave()
	if err := st.gather(ctx, s); err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	var wait sync.WaitGroup
	// The gateways end before they are closed.
	defer func() { cancel(); wait.Wait() }()
	for _, g := range st.gateways {
		wait.Go(func() {
			if err := g.Run(ctx, st.log); err != nil {
				st.log.Error("gateway ended", "thing", g.Thing, "error", err)
			}
		})
	}
	if err := st.tell(ctx); err != nil || ctx.Err() != nil {
		return err
	}
	if !o.noWait {
		st.say("The page is at " + st.url + "/ until Ctrl-C.")
		<-ctx.Done()
	}
	return nil
}

// gather makes the gateways and tells the service of them.
func (st *story) gather(ctx context.Context, s *server.Server) error {
	procRoots := map[string]string{}
	var things []string
	for i := range demoGateways {
		thing := fmt.Sprintf("gateway-%d", i+1)
		device, err := demo.StartDevice(thing, deviceCommand)
		if err != nil && i == 0 {
			st.say(fmt.Sprintf("This system lets no user make a network namespace (%v): one gateway shares this host's network.", err))
			device, err = demo.StartSharedDevice(thing, deviceCommand)
		}
		if err != nil {
			return err
		}
		st.devices = append(st.devices, device)
		things = append(things, thing)
		procRoots[thing] = device.ProcRoot
		if device.ProcRoot == hostProc {
			break
		}
	}
	for _, group := range []string{"gateways", "quarantine"} {
		if _, err := st.client.IoT.CreateThingGroup(ctx, &iot.CreateThingGroupInput{ThingGroupName: aws.String(group)}); err != nil {
			return err
		}
	}
	things = append(things, "this-host")
	procRoots["this-host"] = hostProc
	for _, thing := range things {
		g, err := demo.NewGateway(ctx, thing, procRoots[thing], demoInterval)
		if err != nil {
			return err
		}
		st.gateways = append(st.gateways, g)
		if err := s.Attach(ctx, g.Core, thing); err != nil {
			return err
		}
		if thing != "this-host" {
			if _, err := st.client.IoT.AddThingToThingGroup(ctx, &iot.AddThingToThingGroupInput{
				ThingName: aws.String(thing), ThingGroupName: aws.String("gateways"),
			}); err != nil {
				return err
			}
		}
	}
	return nil
}

const hostProc = "/proc"

// leave ends the gateways.
func (st *story) leave() {
	for _, g := range st.gateways {
		if err := g.Close(); err != nil {
			st.log.Error("closing gateway", "thing", g.Thing, "error", err)
		}
	}
	for _, d := range st.devices {
		d.Close()
	}
}

// culprit is the gateway that exfiltrates: the last if there are fewer.
func (st *story) culprit() (*demo.Device, string) {
	d := st.devices[min(demoCulprit, len(st.devices)-1)]
	return d, d.Name
}
