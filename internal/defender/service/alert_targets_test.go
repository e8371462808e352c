package service

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iot"
	"github.com/aws/aws-sdk-go-v2/service/iot/types"
	"github.com/google/go-cmp/cmp"

	"github.com/device-defender/device-defender/internal/defender/alert"
	"github.com/device-defender/device-defender/internal/defender/outbox"
	"github.com/device-defender/device-defender/internal/defender/store"
)

// Whoever may change profiles could have the service sign messages to any topic, with
// the credentials of its operator: topics have to be allowed.
func TestTopicsHaveToBeAllowed(t *testing.T) {
	for _, test := range []struct {
		name    string
		topics  alert.Topics
		allowed bool
	}{
		{"nothing is allowed by default", nil, false},
		{"another one", alert.Topics{topic + "2", "arn:aws:sns:eu-west-1:123456789012:alarm"}, false},
		{"this one", alert.Topics{topic}, true},
		{"all of the account", alert.Topics{"arn:aws:sns:eu-west-1:123456789012:*"}, true},
		{"of another region", alert.Topics{"arn:aws:sns:us-east-1:123456789012:*"}, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			b := newBench(t, Options{Topics: test.topics})
			_, err := b.client.CreateSecurityProfile(t.Context(), withTopic("P", onlyPort(443)))
			if test.allowed {
				ok(b, 0, err)
			} else if !isInvalid(err) || !strings.Contains(err.Error(), "--sns "+topic) {
				t.Errorf("create: %v", err)
			}
			_, err = b.client.CreateSecurityProfile(t.Context(), profileOf("Q", onlyPort(443)))
			ok(b, 0, err)
			_, err = b.client.UpdateSecurityProfile(t.Context(), &iot.UpdateSecurityProfileInput{
				SecurityProfileName: aws.String("Q"),
				AlertTargets:        map[string]types.AlertTarget{"SNS": {AlertTargetArn: aws.String(topic), RoleArn: aws.String(role)}},
			})
			if test.allowed {
				ok(b, 0, err)
			} else if !isInvalid(err) || !strings.Contains(err.Error(), "'sns' in the configuration file") {
				t.Errorf("update: %v", err)
			}
		})
	}
}

func TestTopicsAreChecked(t *testing.T) {
	for _, topic := range []string{"", "*", "arn:aws:sns:eu-west-1:*", "arn:aws:sns:eu-west-1:*:alarms", "arn:aws:sns:*:1:a*", "arn:aws:sqs:eu-west-1:1:a", "arn:aws:sns:eu-west-1:1:a*b", "alarms"} {
		if s, err := Open(Options{Data: t.TempDir(), Topics: alert.Topics{topic}}); err == nil {
			t.Errorf("%q is taken", topic)
			s.Close()
		}
	}
}

// A profile that names a topic from before is kept and can be changed. Nothing is sent
// to the topic, and that is said.
func TestTopicThatIsAllowedNoMore(t *testing.T) {
	var log strings.Builder
	b := newBench(t, Options{Topics: allTopics, Log: newTextLog(&log)})
	b.attach(withTopic("P", onlyPort(443)))
	b.reports("thing-1", ports(8080))
	b.options.Topics = nil
	log.Reset()
	b.restart()
	if !strings.Contains(log.String(), "a part of the profile is without effect") || !strings.Contains(log.String(), topic) {
		t.Errorf("log: %s", log.String())
	}
	if notices := b.noticed("no alert is sent to " + topic); len(notices) != 1 || !strings.HasPrefix(notices[0], "profile P: ") {
		t.Errorf("notices %q", notices)
	}
	_, err := b.client.UpdateSecurityProfile(t.Context(), &iot.UpdateSecurityProfileInput{SecurityProfileName: aws.String("P"), SecurityProfileDescription: aws.String("changed")})
	ok(b, 0, err)
	b.after(time.Hour)
	b.reports("thing-1", ports(443)) // the alarm ends
	if diff := cmp.Diff(map[string][]string{topic: {"thing-1 in-alarm"}}, b.outboxed()); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	targets, err := newAlerts(b.Service).Targets()
	if len(ok(b, targets, err)) > 0 {
		t.Errorf("alerts would be delivered to %q", targets)
	}
	// What waits is kept for as long as delivery would be tried, in case that the
	// topic is allowed again.
	b.after(outbox.Life - 2*time.Hour)
	ok(b, 0, b.prune(t.Context()))
	if left := b.outboxed()[topic]; len(left) != 1 {
		t.Errorf("after two days: %q", left)
	}
	b.after(2 * time.Hour)
	ok(b, 0, b.prune(t.Context()))
	if left := b.outboxed()[topic]; len(left) != 0 {
		t.Errorf("after three days: %q", left)
	}
	if !strings.Contains(log.String(), "alerts given up") {
		t.Errorf("log: %s", log.String())
	}
}

// Pruning looks at the alerts of what is not configured any more, wherever they are
// between those of others.
func TestSweepOutbox(t *testing.T) {
	b := newBench(t, Options{Channels: []alert.Channel{{Name: "b", Type: alert.Webhook, URL: "http://127.0.0.1:1/"}, {Name: "d", Type: alert.Webhook, URL: "http://127.0.0.1:1/"}}})
	const many = pruneStep + 7
	ok(b, 0, b.evaluate(t.Context(), b.operator, func(alerts *batch) error {
		for range many {
			for _, target := range []string{"a", "b", "c", "d", "e"} {
				if err := alerts.enqueue(target, []byte(`{}`)); err != nil {
					return err
				}
			}
		}
		return nil
	}))
	b.after(outbox.Life)
	ok(b, 0, b.evaluate(t.Context(), b.operator, func(alerts *batch) error { return alerts.enqueue("c", []byte(`{}`)) }))
	ok(b, 0, b.prune(t.Context()))
	left := map[string]int{}
	for target, list := range b.outboxed() {
		left[target] = len(list)
	}
	if diff := cmp.Diff(map[string]int{"b": many, "c": 1, "d": many}, left); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

// Each channel gets what it is for, in the format of AWS.
func TestChannelsHaveFilters(t *testing.T) {
	channel := func(name string, only alert.Filter) alert.Channel {
		return alert.Channel{Name: name, Type: alert.Webhook, URL: "http://127.0.0.1:1/", Only: only}
	}
	b := newBench(t, Options{Channels: []alert.Channel{
		channel("all", alert.Filter{}),
		channel("alarms", alert.Filter{Events: []string{"in-alarm"}}),
		channel("profile", alert.Filter{Profiles: []string{"Po*"}}),
		channel("other-profile", alert.Filter{Profiles: []string{"Q", "R?"}}),
		channel("behavior", alert.Filter{Behaviors: []string{"Ports"}}),
		channel("thing", alert.Filter{Things: []string{"pump-*"}}),
		channel("group", alert.Filter{Groups: []string{"Production"}}),
		channel("both", alert.Filter{Groups: []string{"Production"}, Events: []string{"alarm-cleared"}}),
	}})
	_, err := b.client.CreateThing(t.Context(), &iot.CreateThingInput{ThingName: aws.String("pump-1")})
	ok(b, 0, err)
	_, err = b.client.CreateThingGroup(t.Context(), &iot.CreateThingGroupInput{ThingGroupName: aws.String("Production")})
	ok(b, 0, err)
	_, err = b.client.CreateThingGroup(t.Context(), &iot.CreateThingGroupInput{ThingGroupName: aws.String("Pumps"), ParentGroupName: aws.String("Production")})
	ok(b, 0, err)
	_, err = b.client.AddThingToThingGroup(t.Context(), &iot.AddThingToThingGroupInput{ThingGroupName: aws.String("Pumps"), ThingName: aws.String("pump-1")})
	ok(b, 0, err)
	b.attach(profileOf("Ports", onlyPort(443)))
	for _, thing := range []string{"pump-1", "valve-1"} {
		b.reports(thing, ports(8080))
	}
	// Who was told of the alarm is told of its end, though the thing is elsewhere.
	_, err = b.client.RemoveThingFromThingGroup(t.Context(), &iot.RemoveThingFromThingGroupInput{ThingGroupName: aws.String("Pumps"), ThingName: aws.String("pump-1")})
	ok(b, 0, err)
	b.after(time.Hour)
	b.reports("pump-1", ports(443))
	pump, valve := "pump-1 in-alarm", "valve-1 in-alarm"
	cleared := "pump-1 alarm-cleared"
	want := map[string][]string{
		"all": {pump, valve, cleared}, "alarms": {pump, valve}, "profile": {pump, valve, cleared}, "behavior": {pump, valve, cleared},
		"thing": {pump, cleared}, "group": {pump, cleared}, "both": {cleared},
	}
	if diff := cmp.Diff(want, b.outboxed()); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	ok(b, 0, b.read(t.Context(), func(view *store.Reader) error {
		stored, there, err := tableOutbox.Get(view, outboxKey("all", 1))
		if err != nil || !there || !json.Valid(stored.Message) {
			t.Errorf("%+v, %v", stored, err)
		}
		return nil
	}))
}
