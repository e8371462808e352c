package service

import (
	"encoding/json"
	"strings"

	"github.com/device-defender/device-defender/internal/defender/detect"
	"github.com/device-defender/device-defender/internal/defender/outbox"
	"github.com/device-defender/device-defender/internal/defender/profile"
)

// alertMessage is the text of an alert, as AWS sends it to SNS topics. Other
// than in the API, the time is in milliseconds.
type alertMessage struct {
	Time     int64             `json:"violationEventTime"`
	Thing    string            `json:"thingName"`
	Behavior *profile.Behavior `json:"behavior"`
	Type     detect.EventType  `json:"violationEventType"`
	Value    *profile.Value    `json:"metricValue,omitempty"`
	ID       string            `json:"violationId"`
	Profile  string            `json:"securityProfileName"`
}

// alert puts an event into the outbox: for the profile's SNS topic and for the
// webhook. A suppressed behavior's events go to neither.
func (b *batch) alert(ev *detect.Event, topic string) error {
	if ev.Behavior.Suppressed() {
		return nil
	}
	var targets []string
	switch {
	case isTopic(topic):
		targets = append(targets, topic)
	case topic != "":
		b.tx.OnCommit(func() {
			b.s.log.Warn("alert target is no SNS topic, no alert is sent to it", "profile", ev.Profile, "target", topic)
		})
	}
	if b.s.options.Webhook != "" {
		targets = append(targets, outbox.Webhook)
	}
	if len(targets) == 0 {
		return nil
	}
	message, err := json.Marshal(alertMessage{
		Time: ev.Time.UnixMilli(), Thing: ev.Thing, Behavior: ev.Behavior, Type: ev.Type,
		Value: ev.Value, ID: ev.ViolationID, Profile: ev.Profile,
	})
	if err != nil {
		return err
	}
	for _, target := range targets {
		if err := b.enqueue(target, message); err != nil {
			return err
		}
	}
	return nil
}

// maxTopic is longer than any ARN of an SNS topic, whose name has up to 256
// characters.
const maxTopic = 512

// isTopic reports whether the text is the ARN of an SNS topic.
func isTopic(arn string) bool {
	parts := strings.Split(arn, ":")
	return len(arn) <= maxTopic && len(parts) == 6 && parts[0] == "arn" && parts[2] == "sns" && parts[3] != "" && parts[5] != ""
}
