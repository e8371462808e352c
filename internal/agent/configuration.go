package agent

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"time"

	"github.com/device-defender/device-defender/internal/defender/report"
	"github.com/device-defender/device-defender/internal/greengrass"
	"github.com/device-defender/device-defender/internal/hostproc"
)

const (
	// coalesce is how long the agent waits after a change for more: the nucleus
	// sends one event for every leaf.
	coalesce = time.Second
	// configurationTimeout bounds reading the configuration and reporting on a
	// proposed one; the nucleus waits 20 s for that.
	configurationTimeout = 10 * time.Second
	// configurationRetry is the pause after a configuration could not be read. It
	// doubles up to a minute.
	configurationRetry = time.Second
)

// configuration is what was read, or why it was not.
type configuration struct {
	value map[string]any
	err   error
}

// askForConfiguration makes readConfigurations read. It never blocks.
func (a *agent) askForConfiguration() {
	select {
	case a.refresh <- struct{}{}:
	default: // asked for already
	}
}

// readConfigurations reads the configuration whenever asked for, and again
// after a failure.
func (a *agent) readConfigurations(ctx context.Context) {
	retry := time.NewTimer(0)
	retry.Stop()
	defer retry.Stop()
	pause := configurationRetry
	for first := true; ; first = false {
		select {
		case <-a.refresh:
		case <-retry.C:
		case <-ctx.Done():
			return
		}
		if !first && !sleep(ctx, coalesce) {
			return
		}
		value, err := a.getConfiguration(ctx)
		if err == nil {
			retry.Stop()
			pause = configurationRetry
		} else {
			retry.Reset(pause)
			pause = min(2*pause, time.Minute)
		}
		select {
		case a.configurations <- configuration{value, err}:
		case <-ctx.Done():
			return
		}
	}
}

// getConfiguration reads the configuration as a whole, or if the nucleus can't
// deliver that, key by key: an answer of nucleus lite has at most 10,000 bytes.
func (a *agent) getConfiguration(ctx context.Context) (map[string]any, error) {
	client, err := a.session.Client(ctx)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, configurationTimeout)
	defer cancel()
	response, err := client.GetConfiguration(ctx, greengrass.GetConfigurationRequest{KeyPath: []string{}})
	if greengrass.IsCode(err, greengrass.ServiceError) {
		return getKeys(ctx, client, err)
	}
	return response.Value, err
}

// undelivered stands for a value that the nucleus has and could not deliver.
// No setting takes it, so the last good value stays.
type undelivered struct{}

func (undelivered) String() string { return "a value that the nucleus can't deliver" }

// getKeys reads the keys one by one; whole is why they can't be read together.
func getKeys(ctx context.Context, client *greengrass.Client, whole error) (map[string]any, error) {
	values, read := make(map[string]any), false
	for _, name := range readableNames() {
		response, err := client.GetConfiguration(ctx, greengrass.GetConfigurationRequest{KeyPath: []string{name}})
		switch {
		case greengrass.IsCode(err, greengrass.ResourceNotFoundError):
		case greengrass.IsCode(err, greengrass.ServiceError):
			values[name] = undelivered{}
		case err != nil:
			return nil, err
		default:
			read = true
			values[name] = response.Value
			// A leaf comes as a map of one member, named after it.
			if leaf, ok := response.Value[name]; ok && len(response.Value) == 1 {
				values[name] = leaf
			}
		}
	}
	if !read {
		return nil, whole
	}
	return values, nil
}

// sleep returns false if ctx ended before.
func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// watchConfiguration subscribes to changes and to proposed changes.
func (a *agent) watchConfiguration() {
	greengrass.Subscribe(a.session, "configuration updates",
		func(ctx context.Context, c *greengrass.Client) (*greengrass.Subscription[greengrass.ConfigurationUpdateEvents], error) {
			s, err := c.SubscribeToConfigurationUpdate(ctx, greengrass.SubscribeToConfigurationUpdateRequest{KeyPath: []string{}})
			if err == nil {
				a.askForConfiguration() // for what changed before
			}
			return s, err
		},
		func(context.Context, greengrass.ConfigurationUpdateEvents) { a.askForConfiguration() })
}

// watchProposals subscribes to proposed configurations, or no longer.
func (a *agent) watchProposals(on bool) {
	switch {
	case on && a.validation == nil:
		a.validation = greengrass.Subscribe(a.session, "proposed configurations",
			func(ctx context.Context, c *greengrass.Client) (*greengrass.Subscription[greengrass.ValidateConfigurationUpdateEvents], error) {
				return c.SubscribeToValidateConfigurationUpdates(ctx)
			},
			a.validate, greengrass.Optional())
	case !on && a.validation != nil:
		a.validation.Close()
		a.validation = nil
	}
}

// validate gives the verdict on a proposed configuration.
func (a *agent) validate(ctx context.Context, e greengrass.ValidateConfigurationUpdateEvents) {
	event := e.ValidateConfigurationUpdateEvent
	if event == nil {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, configurationTimeout)
	defer cancel()
	verdict := greengrass.ConfigurationValidityReport{
		Status: greengrass.ConfigurationAccepted, DeploymentID: event.DeploymentID,
	}
	if wrong := a.wrong(ctx, event.Configuration); len(wrong) > 0 {
		verdict.Status = greengrass.ConfigurationRejected
		verdict.Message = strings.Join(wrong, "; ")
	}
	client, err := a.session.Client(ctx)
	if err == nil {
		err = client.SendConfigurationValidityReport(ctx, greengrass.SendConfigurationValidityReportRequest{ConfigurationValidityReport: verdict})
	}
	if err != nil {
		a.Log.Warn("verdict on a proposed configuration not sent", "deployment", event.DeploymentID, "error", err)
		return
	}
	a.Log.Info("proposed configuration judged", "deployment", event.DeploymentID, "verdict", verdict.Status, "message", verdict.Message)
}

// wrong returns what is wrong with a proposed configuration, also with the host
// as it is now.
func (a *agent) wrong(ctx context.Context, proposed map[string]any) []string {
	config, problems := a.parser.Parse(proposed, a.Defaults)
	var wrong []string
	for _, p := range problems {
		if p.Invalid {
			wrong = append(wrong, p.String())
		}
	}
	err, answered := within(ctx, lookPatience, func() error {
		_, err := hostproc.Open(config.ProcPath)
		return err
	})
	if !answered {
		err = errors.New("it does not answer")
	}
	if err != nil {
		wrong = append(wrong, fmt.Sprintf("ProcPath: %q: %v", config.ProcPath, err))
	}
	return wrong
}

// configure applies a configuration that was read.
func (a *agent) configure(ctx context.Context, c configuration) {
	if greengrass.IsCode(c.err, greengrass.ResourceNotFoundError) && !a.configured && a.state.Configuration == nil {
		c.err = nil // a recipe without any configuration
	}
	if changed := a.conditions.changed("configuration", c.err); c.err != nil {
		if changed {
			a.Log.Warn("configuration not read", "error", c.err)
		}
		return
	}
	config, problems := a.parser.Parse(c.value, a.config)
	a.logProblems(problems, config)
	a.apply(ctx, config, "configuration read")
	a.configured = true
}

// goOnAsBefore begins with the configuration of the last start, for a core that
// does not deliver one. Without any, what is to be reported where is not known.
func (a *agent) goOnAsBefore(ctx context.Context) {
	switch {
	case a.configured:
	case a.state.Configuration == nil:
		a.Log.Warn("no configuration read yet, no reports until there is one")
	default:
		a.Log.Warn("no configuration read yet, using the one of the last start")
		a.apply(ctx, a.config, "configuration of the last start")
	}
}

// apply puts a configuration into effect. what it is, is said if it is news.
func (a *agent) apply(ctx context.Context, config Config, what string) {
	a.subscribeToReplies(config)
	for _, s := range a.replies {
		s.Retry() // what was read may be another access control
	}
	a.watchProposals(config.ValidateDeployments)
	if !a.configured || !reflect.DeepEqual(config, a.config) {
		a.config = config
		a.state.Configuration = config.Document()
		a.schedule.setInterval(config.SampleInterval)
		a.Log.Info(what, "interval", config.SampleInterval, "retries", config.PublishRetryCount,
			"proc", config.ProcPath, "format", config.Encoding.Format, "names", config.Encoding.Names, "topic", a.topic(),
			"max_list_items", config.Metrics.MaxListItems, "custom_metrics", len(config.Metrics.Custom))
		if a.Level != nil { // after that line, which a higher level would hide
			a.Level.Set(config.LogLevel)
		}
	}
	a.begin(ctx)
}

// logProblems says what is wrong with a configuration, each problem once, and
// what counts instead.
func (a *agent) logProblems(problems []Problem, config Config) {
	now := make(map[string]bool)
	for _, p := range problems {
		now[p.String()] = true
		switch {
		case a.problems[p.String()]:
		case p.Invalid:
			a.Log.Warn("configuration value not usable", "key", p.Key, "value", quote(p.Value), "want", p.Want, "in_effect", config.inEffect(p.Key))
		default:
			a.Log.Warn("configuration key without effect", "key", p.Key, "hint", p.Want)
		}
	}
	a.problems = now
}

// subscribeToReplies subscribes to the replies to what will be published, if
// that differs from what is subscribed to.
func (a *agent) subscribeToReplies(config Config) {
	topics := []string{
		report.AcceptedTopic(a.ThingName, config.Encoding.Format),
		report.RejectedTopic(a.ThingName, config.Encoding.Format),
	}
	if config.ReportTopic != "" {
		topics = nil
	}
	if reflect.DeepEqual(topics, a.replyTopics) {
		return
	}
	for _, s := range a.replies {
		s.Close()
	}
	a.tracker.forget()
	a.replies, a.replyTopics = nil, topics
	for _, topic := range topics {
		a.replies = append(a.replies, greengrass.Subscribe(a.session, topic,
			func(ctx context.Context, c *greengrass.Client) (*greengrass.Subscription[greengrass.IoTCoreMessage], error) {
				return c.SubscribeToIoTCore(ctx, greengrass.SubscribeToIoTCoreRequest{TopicName: topic, QoS: greengrass.AtLeastOnce})
			}, a.receive))
	}
}

// receive hands a reply to the loop.
func (a *agent) receive(ctx context.Context, m greengrass.IoTCoreMessage) {
	reply, err := report.ParseReply(m.Message.Payload)
	if err != nil {
		a.Log.Warn("reply can't be read", "topic", m.Message.TopicName, "bytes", len(m.Message.Payload), "error", err)
		return
	}
	select {
	case a.answers <- reply:
	case <-ctx.Done():
	}
}
