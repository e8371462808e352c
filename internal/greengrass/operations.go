package greengrass

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// PublishToIoTCore publishes an MQTT message. Success is not delivery: the Java
// nucleus has stored the message, nucleus lite has sent it. The topic is
// checked by [CheckTopic]; the Java nucleus takes payloads of up to 128 KiB.
//
// Offline, both refuse QoS 0 at once. The Java nucleus stores QoS 1 for as long
// as the outage lasts, and then sends all of it, however old. Nucleus lite takes
// few QoS 1 messages at a time for the whole device.
func (c *Client) PublishToIoTCore(ctx context.Context, r PublishToIoTCoreRequest) error {
	if err := CheckTopic(r.TopicName); err != nil {
		return fmt.Errorf("PublishToIoTCore: %w: %w", ErrNotSent, err)
	}
	if r.Payload == nil {
		r.Payload = []byte{} // "", not null
	}
	_, err := call[empty](ctx, c, "PublishToIoTCore", r)
	return err
}

// SubscribeToIoTCore subscribes to an MQTT topic filter. Unlike other calls it
// has no timeout of its own: the Java nucleus answers when it is online.
func (c *Client) SubscribeToIoTCore(ctx context.Context, r SubscribeToIoTCoreRequest) (*Subscription[IoTCoreMessage], error) {
	return subscribe[IoTCoreMessage](ctx, c, "SubscribeToIoTCore", r)
}

// GetConfiguration reads configuration. A key that is not there is a
// ResourceNotFoundError.
func (c *Client) GetConfiguration(ctx context.Context, r GetConfigurationRequest) (GetConfigurationResponse, error) {
	r.KeyPath = path(r.KeyPath)
	return call[GetConfigurationResponse](ctx, c, "GetConfiguration", r)
}

// SubscribeToConfigurationUpdate subscribes to changes of configuration. Read
// it again afterwards: what changed before was not told, and nucleus lite does
// not tell of removed keys at all.
func (c *Client) SubscribeToConfigurationUpdate(ctx context.Context, r SubscribeToConfigurationUpdateRequest) (*Subscription[ConfigurationUpdateEvents], error) {
	ctx, cancel := withTimeout(ctx)
	defer cancel()
	r.KeyPath = path(r.KeyPath)
	return subscribe[ConfigurationUpdateEvents](ctx, c, "SubscribeToConfigurationUpdate", r)
}

// UpdateConfiguration merges values into the component's own configuration.
func (c *Client) UpdateConfiguration(ctx context.Context, r UpdateConfigurationRequest) error {
	r.KeyPath = path(r.KeyPath)
	if r.Timestamp.IsZero() {
		r.Timestamp = Timestamp{time.Now()}
	}
	if r.ValueToMerge == nil {
		r.ValueToMerge = map[string]any{}
	}
	_, err := call[empty](ctx, c, "UpdateConfiguration", r)
	return err
}

// SubscribeToValidateConfigurationUpdates subscribes to proposals of new
// configuration, each to be answered with [Client.SendConfigurationValidityReport].
// The Java nucleus keeps one such subscription per component; nucleus lite has
// none.
func (c *Client) SubscribeToValidateConfigurationUpdates(ctx context.Context) (*Subscription[ValidateConfigurationUpdateEvents], error) {
	ctx, cancel := withTimeout(ctx)
	defer cancel()
	return subscribe[ValidateConfigurationUpdateEvents](ctx, c, "SubscribeToValidateConfigurationUpdates", empty{})
}

// SendConfigurationValidityReport answers a proposal. One that came too late
// is an InvalidArgumentsError.
func (c *Client) SendConfigurationValidityReport(ctx context.Context, r SendConfigurationValidityReportRequest) error {
	_, err := call[empty](ctx, c, "SendConfigurationValidityReport", r)
	return err
}

// UpdateState reports the component's lifecycle state.
func (c *Client) UpdateState(ctx context.Context, r UpdateStateRequest) error {
	_, err := call[empty](ctx, c, "UpdateState", r)
	return err
}

// PublishToTopic publishes on the core's local bus.
func (c *Client) PublishToTopic(ctx context.Context, r PublishToTopicRequest) error {
	m := r.PublishMessage
	switch {
	case (m.JSONMessage == nil) == (m.BinaryMessage == nil):
		return errors.New("PublishToTopic: want either a JSON or a binary message")
	case m.JSONMessage != nil && len(m.JSONMessage.Message) == 0:
		return errors.New("PublishToTopic: JSON message without a value")
	case m.BinaryMessage != nil && m.BinaryMessage.Message == nil:
		m.BinaryMessage = &BinaryMessage{Message: []byte{}, Context: m.BinaryMessage.Context}
		r.PublishMessage = m
	}
	_, err := call[empty](ctx, c, "PublishToTopic", r)
	return err
}

// SubscribeToTopic subscribes to a filter of the core's local bus.
func (c *Client) SubscribeToTopic(ctx context.Context, r SubscribeToTopicRequest) (*Subscription[SubscriptionResponseMessage], error) {
	ctx, cancel := withTimeout(ctx)
	defer cancel()
	return subscribe[SubscriptionResponseMessage](ctx, c, "SubscribeToTopic", r)
}

// path is a key path as the nuclei want it: the empty one, not null.
func path(keys []string) []string {
	if keys == nil {
		return []string{}
	}
	return keys
}
