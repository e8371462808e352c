package agent

import (
	"context"
	"reflect"
	"strings"
	"time"

	"github.com/device-defender/device-defender/internal/defender/report"
	"github.com/device-defender/device-defender/internal/greengrass"
)

const (
	// coalesce is how long the agent waits after a change for more: the nucleus
	// sends one event for every leaf.
	coalesce = time.Second
	// configurationTimeout bounds reading the configuration and reporting on a
	// proposed one; the nucleus waits 20 s for that.
	configurationTimeout = 10 * time.Second
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

// readConfigurations reads the configuration whenever asked for.
func (a *agent) readConfigurations(ctx context.Context) {
	for first := true; ; first = false {
		select {
		case <-a.refresh:
		case <-ctx.Done():
			return
		}
		if !first && !sleep(ctx, coalesce) {
			return
		}
		value, err := a.getConfiguration(ctx)
		select {
		case a.configurations <- configuration{value, err}:
		case <-ctx.Done():
			return
		}
	}
}

func (a *agent) getConfiguration(ctx context.Context) (map[string]any, error) {
	client, err := a.session.Client(ctx)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, configurationTimeout)
	defer cancel()
	response, err := client.GetConfiguration(ctx, greengrass.GetConfigurationRequest{KeyPath: []string{}})
	return response.Value, err
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
	greengrass.Subscribe(a.session, "proposed configurations",
		func(ctx context.Context, c *greengrass.Client) (*greengrass.Subscription[greengrass.ValidateConfigurationUpdateEvents], error) {
			return c.SubscribeToValidateConfigurationUpdates(ctx)
		},
		a.validate, greengrass.Optional())
}

// validate gives the verdict on a proposed configuration.
func (a *agent) validate(ctx context.Context, e greengrass.ValidateConfigurationUpdateEvents) {
	event := e.ValidateConfigurationUpdateEvent
	if event == nil {
		return
	}
	verdict := greengrass.ConfigurationValidityReport{
		Status: greengrass.ConfigurationAccepted, DeploymentID: event.DeploymentID,
	}
	_, problems := a.parser.Parse(event.Configuration, a.Defaults)
	var wrong []string
	for _, p := range problems {
		if p.Invalid {
			wrong = append(wrong, p.String())
		}
	}
	if len(wrong) > 0 {
		verdict.Status = greengrass.ConfigurationRejected
		verdict.Message = strings.Join(wrong, "; ")
	}
	ctx, cancel := context.WithTimeout(ctx, configurationTimeout)
	defer cancel()
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

// configure applies a configuration that was read.
func (a *agent) configure(c configuration) {
	if changed := a.conditions.changed("configuration", c.err); c.err != nil {
		if changed {
			a.Log.Warn("configuration not read, keeping the last one", "error", c.err)
		}
		a.subscribeToReplies(a.config)
		return
	}
	config, problems := a.parser.Parse(c.value, a.config)
	a.logProblems(problems)
	a.subscribeToReplies(config)
	if reflect.DeepEqual(config, a.config) && a.configured {
		return
	}
	a.configured = true
	a.config = config
	a.schedule.setInterval(config.SampleInterval)
	if a.Level != nil {
		a.Level.Set(config.LogLevel)
	}
	a.Log.Info("configuration read", "interval", config.SampleInterval, "retries", config.PublishRetryCount,
		"proc", config.ProcPath, "format", config.Encoding.Format, "names", config.Encoding.Names, "topic", a.topic(),
		"max_list_items", config.Metrics.MaxListItems, "custom_metrics", len(config.Metrics.Custom))
}

// logProblems says what is wrong with a configuration, each problem once.
func (a *agent) logProblems(problems []Problem) {
	now := make(map[string]bool)
	for _, p := range problems {
		now[p.String()] = true
		switch {
		case a.problems[p.String()]:
		case p.Invalid:
			a.Log.Warn("configuration value not usable, keeping the last good one", "key", p.Key, "value", quote(p.Value), "want", p.Want)
		default:
			a.Log.Warn("unknown configuration key", "key", p.Key, "hint", p.Want)
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
