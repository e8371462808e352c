package service

import (
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iot"
	"github.com/google/go-cmp/cmp"

	"github.com/device-defender/device-defender/internal/defender/store"
)

// A thing says which groups it is in, and which are above them, whatever becomes
// of it and of groups.
func TestPlaced(t *testing.T) {
	b := newBench(t, Options{})
	ctx := t.Context()
	for _, group := range []struct{ name, parent string }{{"plant", ""}, {"line", "plant"}, {"cell", "line"}, {"other", ""}} {
		in := iot.CreateThingGroupInput{ThingGroupName: &group.name}
		if group.parent != "" {
			in.ParentGroupName = &group.parent
		}
		out, err := b.client.CreateThingGroup(ctx, &in)
		ok(b, out, err)
	}
	ok(b, 0, b.Register(ctx, "pump"))
	placed := func(want ...string) {
		t.Helper()
		ok(b, 0, b.read(ctx, func(view *store.Reader) error {
			stored, err := getThing(view, "pump")
			if diff := cmp.Diff(want, ok(b, stored, err).Placed); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
			places, err := placesOf(view, "pump")
			if diff := cmp.Diff(want, ok(b, places, err)); diff != "" {
				t.Errorf("by the groups (-want +got):\n%s", diff)
			}
			return nil
		}))
	}
	add := func(group string) {
		t.Helper()
		out, err := b.client.AddThingToThingGroup(ctx, &iot.AddThingToThingGroupInput{ThingGroupName: &group, ThingName: aws.String("pump")})
		ok(b, out, err)
	}
	remove := func(group string) {
		t.Helper()
		out, err := b.client.RemoveThingFromThingGroup(ctx, &iot.RemoveThingFromThingGroupInput{ThingGroupName: &group, ThingName: aws.String("pump")})
		ok(b, out, err)
	}
	add("cell")
	placed("cell", "line", "plant")
	add("other")
	placed("cell", "line", "other", "plant")
	move := func(to, from []string, want bool) {
		t.Helper()
		_, err := b.client.UpdateThingGroupsForThing(ctx, &iot.UpdateThingGroupsForThingInput{ThingName: aws.String("pump"), ThingGroupsToAdd: to, ThingGroupsToRemove: from})
		if (err == nil) != want {
			t.Errorf("moving to %s from %s: %v", to, from, err)
		}
	}
	move([]string{"line"}, []string{"cell", "other"}, true)
	placed("line", "plant")
	move([]string{"cell", "other", "nosuch"}, []string{"line"}, false)
	placed("line", "plant")
	move([]string{"cell", "other"}, []string{"line"}, true)
	placed("cell", "line", "other", "plant")
	update, err := b.client.UpdateThing(ctx, &iot.UpdateThingInput{ThingName: aws.String("pump")})
	ok(b, update, err)
	placed("cell", "line", "other", "plant")
	remove("cell")
	placed("other")
	add("line")
	placed("line", "other", "plant")
	deleted, err := b.client.DeleteThingGroup(ctx, &iot.DeleteThingGroupInput{ThingGroupName: aws.String("cell")})
	ok(b, deleted, err)
	deleted, err = b.client.DeleteThingGroup(ctx, &iot.DeleteThingGroupInput{ThingGroupName: aws.String("line")})
	ok(b, deleted, err)
	placed("other")
	remove("other")
	placed()
}
