package service

import (
	"encoding/json"
	"fmt"
	"slices"

	"github.com/device-defender/device-defender/internal/defender/alert"
	"github.com/device-defender/device-defender/internal/defender/awsrest"
	"github.com/device-defender/device-defender/internal/defender/detect"
	"github.com/device-defender/device-defender/internal/defender/effect"
	"github.com/device-defender/device-defender/internal/defender/profile"
)

// alert puts an event into the outbox: for the profile's SNS topic and for the
// channels that take it. A suppressed behavior's events go to none of them.
func (b *batch) alert(ev *detect.Event, v *storedViolation) error {
	if ev.Behavior.Suppressed() {
		return nil
	}
	topic := v.Topic
	var targets []string
	switch {
	case topic == "":
	case b.s.mayPublish(topic):
		targets = append(targets, topic)
	default:
		b.tx.OnCommit(func() {
			b.s.log.Warn("no alert is sent to this SNS topic, it is not allowed", "profile", ev.Profile, "target", topic)
		})
	}
	message := alert.Alert{
		Time: ev.Time.UnixMilli(), Thing: ev.Thing, Behavior: ev.Behavior, Type: string(ev.Type),
		Value: ev.Value, ID: ev.ViolationID, Profile: ev.Profile,
	}
	for i := range b.s.options.Channels {
		if c := &b.s.options.Channels[i]; c.Only.Takes(&message, v.Groups) {
			targets = append(targets, c.Name)
		}
	}
	if len(targets) == 0 {
		return nil
	}
	text, err := json.Marshal(message)
	if err != nil {
		return err
	}
	for _, target := range targets {
		if err := b.enqueue(target, text); err != nil {
			return err
		}
	}
	return nil
}

// groupsForChannels returns the thing's groups, if a channel's filter asks for them.
func (b *batch) groupsForChannels(thing string) []string {
	asked := slices.ContainsFunc(b.s.options.Channels, func(c alert.Channel) bool { return len(c.Only.Groups) > 0 })
	if k := b.things[thing]; asked && k != nil {
		return k.registry.Groups
	}
	return nil
}

// mayPublish reports whether profiles may have alerts sent to the SNS topic.
func (s *Service) mayPublish(topic string) bool { return s.options.Topics.Allow(topic) }

// serves reports whether something is delivered to the target of the outbox.
func (s *Service) serves(target string) bool {
	return s.mayPublish(target) || slices.ContainsFunc(s.options.Channels, func(c alert.Channel) bool { return c.Name == target })
}

// checkAlertTargets refuses a topic that the operator has not allowed.
func (s *Service) checkAlertTargets(targets map[string]profile.AlertTarget) error {
	topic := topicOf(targets)
	if topic == "" || s.mayPublish(topic) {
		return nil
	}
	return awsrest.Invalid(fmt.Sprintf("alertTargets.SNS.alertTargetArn %s is not allowed: the operator of this service lists the SNS topics that it may publish to, under 'sns' in the configuration file or with 'defenderctl serve --sns %[1]s'", awsrest.Clip(topic)))
}

func topicOf(targets map[string]profile.AlertTarget) string { return targets["SNS"].AlertTargetARN }

// notesOn lists what of the profile is kept and without effect.
func (s *Service) notesOn(p *profile.Profile, without []string) []string {
	notes := effect.Notes(p, without)
	if topic := topicOf(p.AlertTargets); topic != "" && !s.mayPublish(topic) {
		notes = append(notes, fmt.Sprintf("no alert is sent to %s: it is not among the topics of --sns, or of 'sns' in the configuration file", topic))
	}
	return notes
}
