package greengrass

import (
	"encoding/json"
	"math"
	"strconv"
	"time"
)

// namespace precedes every operation and shape name on the wire.
const namespace = "aws.greengrass#"

// QoS is an MQTT quality of service as Greengrass writes it: a string.
type QoS string

const (
	AtMostOnce  QoS = "0"
	AtLeastOnce QoS = "1"
)

// PublishToIoTCoreRequest asks the nucleus to publish an MQTT message to AWS
// IoT Core. The answer never means "delivered": the Java nucleus has put the
// message into its spooler, nucleus lite has written it to its MQTT socket.
type PublishToIoTCoreRequest struct {
	// TopicName must pass [CheckTopic].
	TopicName string `json:"topicName"`
	QoS       QoS    `json:"qos"`
	Payload   []byte `json:"payload"`
	// MessageExpiryIntervalSeconds is MQTT 5's. It is for the broker: both nuclei
	// keep a message longer (runs of 2.18 and of lite 2.6.0). 0 leaves it out.
	MessageExpiryIntervalSeconds int64 `json:"messageExpiryIntervalSeconds,omitempty"`
}

// SubscribeToIoTCoreRequest subscribes to an MQTT topic filter. Its events are
// [IoTCoreMessage]. Offline, the Java nucleus does not answer until it is
// online; nucleus lite refuses.
type SubscribeToIoTCoreRequest struct {
	TopicName string `json:"topicName"`
	QoS       QoS    `json:"qos"`
}

// IoTCoreMessage is an event of SubscribeToIoTCore.
type IoTCoreMessage struct {
	Message struct {
		TopicName string `json:"topicName"`
		Payload   []byte `json:"payload"`
	} `json:"message"`
}

// GetConfigurationRequest reads configuration below KeyPath; the empty path is
// the whole of it. ComponentName "" is the caller's own.
type GetConfigurationRequest struct {
	ComponentName string   `json:"componentName,omitempty"`
	KeyPath       []string `json:"keyPath"`
}

// GetConfigurationResponse holds a map's members, or a leaf as a map of one
// member named after the last key. Nucleus lite delivers the scalars of YAML
// recipes as strings; the Java nucleus turns numbers to doubles on an update.
type GetConfigurationResponse struct {
	ComponentName string         `json:"componentName"`
	Value         map[string]any `json:"value"`
}

// SubscribeToConfigurationUpdateRequest subscribes to changes below KeyPath,
// which must exist; the empty path always does.
type SubscribeToConfigurationUpdateRequest struct {
	ComponentName string   `json:"componentName,omitempty"`
	KeyPath       []string `json:"keyPath"`
}

// ConfigurationUpdateEvents is an event of SubscribeToConfigurationUpdate: one
// changed leaf, without its value.
type ConfigurationUpdateEvents struct {
	ConfigurationUpdateEvent *ConfigurationUpdateEvent `json:"configurationUpdateEvent"`
}

// ConfigurationUpdateEvent names the changed leaf, relative to the component's
// configuration.
type ConfigurationUpdateEvent struct {
	ComponentName string   `json:"componentName"`
	KeyPath       []string `json:"keyPath"`
}

// UpdateConfigurationRequest merges ValueToMerge into the map at KeyPath of
// the caller's own configuration. A device clock behind the deployment's makes
// the update fail (Java) or vanish (lite): read back what matters.
type UpdateConfigurationRequest struct {
	KeyPath      []string       `json:"keyPath"`
	Timestamp    Timestamp      `json:"timestamp"` // the zero one is now
	ValueToMerge map[string]any `json:"valueToMerge"`
}

// Timestamp is written as epoch seconds with three decimals, always: nucleus
// lite refuses a number without a fraction.
type Timestamp struct{ time.Time }

func (t Timestamp) MarshalJSON() ([]byte, error) {
	ms := t.UnixMilli()
	return strconv.AppendFloat(nil, float64(ms)/1000, 'f', 3, 64), nil
}

func (t *Timestamp) UnmarshalJSON(b []byte) error {
	var seconds float64
	if err := json.Unmarshal(b, &seconds); err != nil {
		return err
	}
	t.Time = time.UnixMilli(int64(math.Round(seconds * 1000)))
	return nil
}

// ValidateConfigurationUpdateEvents is an event of
// SubscribeToValidateConfigurationUpdates (Java nucleus only). It must be
// answered within 20 seconds or the deployment fails.
type ValidateConfigurationUpdateEvents struct {
	ValidateConfigurationUpdateEvent *ValidateConfigurationUpdateEvent `json:"validateConfigurationUpdateEvent"`
}

// ValidateConfigurationUpdateEvent carries the whole proposed configuration.
type ValidateConfigurationUpdateEvent struct {
	Configuration map[string]any `json:"configuration"`
	DeploymentID  string         `json:"deploymentId"`
}

// SendConfigurationValidityReportRequest answers a
// [ValidateConfigurationUpdateEvent].
type SendConfigurationValidityReportRequest struct {
	ConfigurationValidityReport ConfigurationValidityReport `json:"configurationValidityReport"`
}

// ConfigurationValidityStatus is a verdict on a proposed configuration.
type ConfigurationValidityStatus string

const (
	ConfigurationAccepted ConfigurationValidityStatus = "ACCEPTED"
	ConfigurationRejected ConfigurationValidityStatus = "REJECTED"
)

// ConfigurationValidityReport is a component's verdict. A rejection fails the
// deployment with Message.
type ConfigurationValidityReport struct {
	Status       ConfigurationValidityStatus `json:"status"`
	DeploymentID string                      `json:"deploymentId"`
	Message      string                      `json:"message,omitempty"`
}

// ComponentState is what a component may report of itself.
type ComponentState string

const (
	StateRunning ComponentState = "RUNNING"
	StateErrored ComponentState = "ERRORED"
)

// UpdateStateRequest reports the component's lifecycle state.
type UpdateStateRequest struct {
	State ComponentState `json:"state"`
}

// PublishToTopicRequest publishes on the core's local bus.
type PublishToTopicRequest struct {
	Topic          string         `json:"topic"`
	PublishMessage PublishMessage `json:"publishMessage"`
}

// PublishMessage has exactly one member. The Java nucleus takes only an object
// as a JSON message.
type PublishMessage struct {
	JSONMessage   *JSONMessage   `json:"jsonMessage,omitempty"`
	BinaryMessage *BinaryMessage `json:"binaryMessage,omitempty"`
}

// JSONMessage is a local message with a JSON value.
type JSONMessage struct {
	Message json.RawMessage `json:"message"`
	Context *MessageContext `json:"context,omitempty"`
}

// BinaryMessage is a local message of any bytes.
type BinaryMessage struct {
	Message []byte          `json:"message"`
	Context *MessageContext `json:"context,omitempty"`
}

// MessageContext is set on received local messages.
type MessageContext struct {
	Topic string `json:"topic"`
}

// SubscribeToTopicRequest subscribes to a filter of the core's local bus. Its
// events are [SubscriptionResponseMessage].
type SubscribeToTopicRequest struct {
	Topic       string      `json:"topic"`
	ReceiveMode ReceiveMode `json:"receiveMode,omitempty"`
}

// ReceiveMode says whether a subscriber hears itself. Nucleus lite ignores it:
// one's own messages always come back.
type ReceiveMode string

const (
	ReceiveAll        ReceiveMode = "RECEIVE_ALL_MESSAGES"
	ReceiveFromOthers ReceiveMode = "RECEIVE_MESSAGES_FROM_OTHERS"
)

// SubscriptionResponseMessage is an event of SubscribeToTopic: one member set.
type SubscriptionResponseMessage struct {
	JSONMessage   *JSONMessage   `json:"jsonMessage,omitempty"`
	BinaryMessage *BinaryMessage `json:"binaryMessage,omitempty"`
}
