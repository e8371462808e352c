package cli

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/device-defender/device-defender/internal/defender/service"
	"github.com/device-defender/device-defender/internal/server"
)

// defaultListen is where the service is unless told otherwise.
const defaultListen = "127.0.0.1:8787"

// serveOptions are the flags of serve.
type serveOptions struct {
	listen   string
	data     string
	interval time.Duration
	throttle bool
	clock    bool
	verbose  bool

	unregistered unregisteredLimits
	mqtt         mqttOptions
	queues       queueOptions
	rules        ruleOptions
	broker       subscribeOptions
	access       accessOptions
	registry     registryOptions
	oidc         oidcOptions
	metrics      metricsOptions
	alerts       alertOptions
	config       configOptions
}

// unregisteredLimits are those of things that are not registered.
type unregisteredLimits struct {
	things    int
	megabytes int64
}

func (l *unregisteredLimits) flags(flags *pflag.FlagSet) {
	flags.IntVar(&l.things, "unregistered-things", 100_000, "most things that may report without being in the registry; -1 is no limit")
	flags.Int64Var(&l.megabytes, "unregistered-megabytes", 512, "most that all of these may send in a day, in MB; -1 is no limit")
}

func (l *unregisteredLimits) check() error {
	if l.things == 0 || l.megabytes == 0 {
		return usageError{errors.New("--unregistered-things and --unregistered-megabytes want 1 and more, or -1 for no limit")}
	}
	return nil
}

func newServe() *cobra.Command {
	var o serveOptions
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Run a Detect-compatible service on this machine",
		Long: `Serve the AWS IoT API of Device Defender Detect on this machine: security
profiles, violations, metric values, mitigation, and the things and groups they
need. Profiles are evaluated here, and nothing is sent to AWS but alerts to SNS
topics that --sns allows and a profile names.

The AWS CLI and SDKs work with it as they are:

  export AWS_ENDPOINT_URL_IOT=http://` + defaultListen + `
  aws iot list-security-profiles

Reports come in by POST to /things/THING/defender/metrics/json (or /cbor), by
Publish of AWS IoT's data plane, from 'defenderctl local', which has the service
in it, or by MQTT: --mqtt takes agents of AWS IoT as they are. With
--tls-certificate a client is the thing whose certificate it has, see
'defenderctl thing register'. Without, it is the thing that its client id names,
and comes from this machine. --queue takes those that a rule of AWS IoT puts into
a queue of SQS, see 'defenderctl ingest'; --rule-secret-file lets such a rule post
to ` + server.RulesPath + `; --subscribe takes those of a broker.

What it knows is shown live at /, in a browser: things, their metrics, profiles
and violations.

On loopback there is no authentication unless --auth says so, and web pages of
other origins are refused. At any other address it wants TLS, and every call is
signed with an access key, as the AWS CLI and SDKs do. The first start writes
the key of an administrator to admin-credentials in the folder of --data, for
AWS_SHARED_CREDENTIALS_FILE; 'defenderctl access' makes others. The pages have a
login then: by an access key, or at an OpenID Connect provider with --oidc-issuer.
'defenderctl audit' shows who changed what.

Flags can be in a file, see --config, and secrets belong there: where alerts are
sent, for example.`,
		Example: `  defenderctl serve
  defenderctl serve --listen 127.0.0.1:9000 --data ./defender
  defenderctl serve --webhook http://127.0.0.1:9001/alerts
  defenderctl serve --sns arn:aws:sns:eu-west-1:123456789012:alarms
  defenderctl serve --mqtt 127.0.0.1:1883
  defenderctl serve --auth on
  defenderctl serve --auth on --oidc-issuer https://id.example.com --oidc-client-id defender --oidc-role admin=ops`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := o.config.read(cmd.Flags(), &o.alerts.channels); err != nil {
				return err
			}
			ctx, cancel := context.WithCancel(cmd.Context())
			defer cancel()
			return o.run(ctx, cmd, &console{out: cmd.OutOrStdout(), gone: cancel})
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&o.listen, "listen", defaultListen, "address and port to listen on; port 0 takes a free one")
	flags.StringVar(&o.data, "data", "", "folder of the database (default "+stateFolderWords()+")")
	flags.DurationVar(&o.interval, "interval", 0, "minimum time between two reports of a thing (default AWS's 5m0s)")
	flags.BoolVar(&o.throttle, "throttle", false, "answer no more calls of the API a second than AWS IoT's quotas allow")
	flags.BoolVar(&o.clock, "accept-clock", false, "take this machine's time for true, though it is days ahead of what the service knew")
	flags.BoolVar(&o.verbose, "verbose", false, "log every report as well")
	o.unregistered.flags(flags)
	o.mqtt.flags(flags)
	o.queues.flags(flags)
	o.rules.flags(flags)
	o.broker.flags(flags)
	o.access.flags(flags)
	o.registry.flags(flags)
	o.oidc.flags(flags)
	o.metrics.flags(flags)
	o.alerts.flags(flags)
	o.config.flags(flags)
	return cmd
}

func (o *serveOptions) run(ctx context.Context, cmd *cobra.Command, console *console) error {
	if o.interval < 0 {
		return usageError{fmt.Errorf("--interval %v, want a positive duration", o.interval)}
	}
	if err := o.unregistered.check(); err != nil {
		return err
	}
	if err := o.mqtt.check(o.access.certificate != ""); err != nil {
		return err
	}
	if err := errors.Join(o.queues.check(), o.broker.check()); err != nil {
		return err
	}
	if err := o.alerts.check(o.config.given("webhook")); err != nil {
		return err
	}
	listeners := []string{o.listen}
	if o.mqtt.address != "" {
		listeners = append(listeners, o.mqtt.address)
	}
	authentication, err := o.access.authentication(ctx, listeners...)
	if err != nil {
		return err
	}
	if o.data == "" {
		if o.data, err = stateFolder(); err != nil {
			return err
		}
	}
	if err := checkFiles(o.data); err != nil {
		return err
	}
	level := slog.LevelInfo
	if o.verbose {
		level = slog.LevelDebug
	}
	log := console.logger("serve", level)
	parts, err := o.access.parts(log)
	if err != nil {
		return err
	}
	fromRules, err := o.rules.parts(console)
	if err != nil {
		return err
	}
	parts = append(parts, fromRules...)
	elsewhere, err := o.registry.parts(ctx, o.listen, authentication, log)
	if err != nil {
		return err
	}
	parts = append(parts, elsewhere...)
	oidc, err := o.oidc.part(authentication)
	if err != nil {
		return err
	}
	parts = append(parts, oidc...)
	scraped, err := o.metrics.parts()
	if err != nil {
		return err
	}
	if o.config.check {
		return o.config.show(cmd, o.alerts.channels)
	}
	o.config.warn(log)
	options := service.Options{
		CloudEvents: o.mqtt.address != "", CloudConnections: len(o.queues.urls) > 0,
		Data: o.data, MinReportInterval: o.interval, Throttle: o.throttle, AcceptClock: o.clock,
		MaxUnregistered: o.unregistered.things, MaxUnregisteredBytes: o.unregistered.megabytes << 20,
		Authentication: authentication, Log: log,
	}
	o.alerts.set(&options)
	s, err := openServer(ctx, o.listen, options, append(parts, scraped...)...)
	if err != nil {
		return err
	}
	if err := o.mqtt.listen(ctx, s, console); err != nil {
		return errors.Join(err, s.Close())
	}
	if err := errors.Join(o.queues.receive(ctx, s, console), o.broker.subscribe(s, o.data, console)); err != nil {
		return errors.Join(err, s.Close())
	}
	console.line("serve", "listening on "+s.URL()+", state in "+o.data+"; Ctrl-C ends it")
	return s.Run(ctx)
}

// checkFiles refuses a folder for the service in which something is a link of
// another user.
func checkFiles(data string) error {
	for _, name := range service.Files(data) {
		if err := checkLinks(name); err != nil {
			return fmt.Errorf("--data: %w", err)
		}
	}
	return nil
}

// openServer opens a server at the address of --listen.
func openServer(ctx context.Context, listen string, o service.Options, with ...server.Option) (*server.Server, error) {
	s, err := server.Open(o, with...)
	if err != nil {
		return nil, err
	}
	if err := s.Listen(ctx, listen); err != nil {
		return nil, errors.Join(fmt.Errorf("--listen: %w", err), s.Close())
	}
	return s, nil
}
