package service

import (
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iot"
	"github.com/aws/aws-sdk-go-v2/service/iot/types"

	"github.com/device-defender/device-defender/internal/defender/store"
)

// rows counts the rows of the tables that are pruned, in all days.
func (b *bench) rows() map[string]int {
	b.t.Helper()
	count := map[string]int{}
	ok(b, 0, b.read(b.t.Context(), func(view *store.Reader) error {
		for name, keys := range map[string]store.Table[struct{}]{
			"violations": tableViolations.keys, "active": tableActive.keys, "active by thing": tableActiveByThing.keys,
			"active by profile": tableActiveByProfile.keys, "active by start": tableActiveByStart.keys,
			"by thing": tableByThing.keys, "by profile": tableByProfile.keys, "tasks": tableTasks.keys, "executions": tableExecutions.keys,
			"rows": tableRows.keys, "outbox": tableOutbox.keys,
		} {
			for _, err := range keys.Scan(view, store.Range{}) {
				if err != nil {
					return err
				}
				count[name]++
			}
		}
		for name, keys := range map[string]store.DayTable[struct{}]{
			"values": valueKeys, "events": eventKeys, "models": store.NewDayTable("models", store.Empty()),
		} {
			days, err := keys.Days(view)
			if err != nil {
				return err
			}
			for _, day := range days {
				for _, err := range keys.Scan(view, day, store.Range{}) {
					if err != nil {
						return err
					}
					count[name]++
				}
			}
		}
		return nil
	}))
	return count
}

// Values are kept for 14 days, violations for 30 and tasks for 90 (AWS General
// Reference), and then nothing of them is left.
func TestRetention(t *testing.T) {
	b := newBench(t, Options{})
	b.attach(profileOf("Ports", onlyPort(443), atMost(100)))
	b.createAction("A", groupParams("G"))
	b.reports("thing-1", ports(8080)+","+packets(1))
	b.after(time.Minute)
	ok(b, 0, b.startTask("task", types.DetectMitigationActionsTaskTarget{BehaviorName: aws.String("Ports")}, "A"))
	b.mitigated()
	b.after(5 * time.Minute)
	b.reports("thing-1", ports(443)+","+packets(2))
	values := iot.ListMetricValuesInput{ThingName: aws.String("thing-1"), MetricName: aws.String("aws:all-packets-out")}

	at := func(d time.Duration) {
		t.Helper()
		b.after(start.Add(d).Sub(b.now()))
		ok(b, 0, b.advance(b.t.Context()))
		ok(b, 0, b.prune(b.t.Context()))
	}
	at(14*24*time.Hour + time.Minute)
	if got := b.values(values); len(got) != 1 {
		t.Errorf("after 14 days and a minute: values %v, want the second one", got)
	}
	b.restart()
	at(15 * 24 * time.Hour)
	if n := b.rows(); n["values"] != 0 || n["reporters"] != 0 || n["states"] != 0 {
		t.Errorf("after 15 days: %v", n)
	}
	b.wantHistory("6m0s thing-1 Ports alarm-cleared [443]", "0s thing-1 Ports in-alarm [8080]")
	at(30*24*time.Hour + time.Minute)
	b.wantHistory("6m0s thing-1 Ports alarm-cleared [443]")
	at(31 * 24 * time.Hour)
	if n := b.rows(); n["events"] != 0 || n["violations"] != 0 || n["tasks"] != 1 {
		t.Errorf("after 31 days: %v", n)
	}
	at(90*24*time.Hour + time.Hour)
	if n := b.rows(); len(n) != 0 {
		t.Errorf("after 90 days: %v", n)
	}
}

// A violation that lasts is kept, though the event that began it is not.
func TestActiveViolationIsKept(t *testing.T) {
	b := newBench(t, Options{})
	b.attach(profileOf("Ports", onlyPort(443)))
	for range 40 {
		b.reports("thing-1", ports(8080))
		b.after(24 * time.Hour)
		ok(b, 0, b.prune(b.t.Context()))
		ok(b, 0, b.advance(b.t.Context()))
	}
	b.restart()
	if active := b.active(); len(active) != 1 || !active[0].ViolationStartTime.Equal(start) {
		t.Errorf("active: %+v", active)
	}
	b.wantHistory()
	b.reports("thing-1", ports(443))
	b.wantHistory("960h0m0s thing-1 Ports alarm-cleared [443]")
}
