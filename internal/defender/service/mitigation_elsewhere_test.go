package service

import (
	"context"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iot"
	"github.com/aws/aws-sdk-go-v2/service/iot/types"

	"github.com/device-defender/device-defender/internal/defender/awsrest"
)

// elsewhere is a registry that does what it is told.
type elsewhere struct {
	mu    sync.Mutex
	added []string
	add   func(thing string) error // called first
}

func (e *elsewhere) Add(ctx context.Context, thing, group string, _ bool) error {
	if e.add != nil {
		if err := e.add(thing); err != nil {
			return err
		}
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.added = append(e.added, thing)
	return nil
}

func (*elsewhere) Remove(context.Context, string, string) error { return nil }
func (*elsewhere) Stranger(string)                              {}
func (*elsewhere) Status() RegistryStatus                       { return RegistryStatus{Source: "elsewhere"} }

// alarmedElsewhere makes a violation of each of n things of another registry.
func (b *bench) alarmedElsewhere(names ...string) {
	b.t.Helper()
	b.attach(profileOf("Ports", onlyPort(443)))
	var things []MirroredThing
	for _, name := range names {
		things = append(things, MirroredThing{Name: name, Version: 1})
	}
	_, err := b.Mirror(b.t.Context(), things, []MirroredGroup{{Name: "Quarantine", Version: 1}}, func(string) bool { return false })
	ok(b, 0, err)
	for _, name := range names {
		b.reports(name, ports(8080))
	}
	b.createAction("Quarantine", groupParams("Quarantine"))
}

// finished waits for the tasks that are being carried on with.
func (b *bench) finished() { b.elsewhere.done.Wait() }

// What was done while a task was canceled is not said to be skipped.
func TestCanceledElsewhere(t *testing.T) {
	registry := &elsewhere{}
	b := newBench(t, Options{Registry: registry})
	b.alarmedElsewhere("a", "b")
	calling, goOn := make(chan bool, 2), make(chan bool)
	registry.add = func(string) error {
		calling <- true
		<-goOn
		return nil
	}
	ok(b, 0, b.startTask("task", types.DetectMitigationActionsTaskTarget{SecurityProfileName: aws.String("Ports")}, "Quarantine"))
	b.mitigated()
	<-calling
	canceled, err := b.client.CancelDetectMitigationActionsTask(t.Context(), &iot.CancelDetectMitigationActionsTaskInput{TaskId: aws.String("task")})
	ok(b, canceled, err)
	b.wantTask("task", types.DetectMitigationActionsTaskStatusCanceled, statistics(0, 2, 0))
	close(goOn)
	b.finished()
	b.wantTask("task", types.DetectMitigationActionsTaskStatusCanceled, statistics(2, 0, 0))
	if members := b.members(); !slices.Equal(members, []string{"a", "b"}) {
		t.Errorf("members %s", members)
	}
}

// A process that ends meanwhile does the rest after it was started again, and no execution
// has failed by that.
func TestRestartedElsewhere(t *testing.T) {
	registry := &elsewhere{}
	b := newBench(t, Options{Registry: registry})
	b.alarmedElsewhere("a", "b")
	ctx, cancel := context.WithCancel(t.Context())
	registry.add = func(thing string) error {
		if thing == "b" {
			cancel()
		}
		return nil
	}
	ok(b, 0, b.startTask("task", types.DetectMitigationActionsTaskTarget{SecurityProfileName: aws.String("Ports")}, "Quarantine"))
	if err := b.runJobs(ctx, nil); err != nil && ctx.Err() == nil {
		t.Fatal(err)
	}
	b.finished()
	registry.add = nil
	b.restart()
	b.wantTask("task", types.DetectMitigationActionsTaskStatusInProgress, statistics(0, 0, 0))
	b.after(jobLease + time.Second)
	b.mitigated()
	b.finished()
	b.wantTask("task", types.DetectMitigationActionsTaskStatusSuccessful, statistics(2, 0, 0))
	slices.Sort(registry.added)
	if added := slices.Compact(registry.added); !slices.Equal(added, []string{"a", "b"}) {
		t.Errorf("added %s", added)
	}
}

// Things are moved in the name of the operator, so who may mitigate may, and nobody else; a
// certificate is registered for things that the registry has.
func TestAccessElsewhere(t *testing.T) {
	g := openGuarded(t, Options{Registry: &elsewhere{}})
	for _, op := range g.operations() {
		switch op.Name {
		case "AddThingToThingGroup", "RemoveThingFromThingGroup", "UpdateThingGroupsForThing":
			if op.Access != awsrest.Admin {
				t.Errorf("%s has level %v", op.Name, op.Access)
			}
		}
	}
	operator := g.create(t, "ana", "operator")
	w := g.call(t, operator, "PUT", "/thing-groups/addThingToThingGroup", jsonBody, `{"thingName":"a","thingGroupName":"Quarantine"}`)
	if w.Code != 403 {
		t.Errorf("an operator moves things: %d %s", w.Code, w.Body)
	}
}

// Reports of a thing that the registry has no more count as those of others that are not
// registered, and the counts fit when it comes and goes.
func TestMirroredThingsAreCounted(t *testing.T) {
	b := newBench(t, Options{Registry: &elsewhere{}})
	mirror := func(want int64, names ...string) {
		t.Helper()
		var things []MirroredThing
		for _, name := range names {
			things = append(things, MirroredThing{Name: name, Version: 1})
		}
		_, err := b.Mirror(t.Context(), things, nil, func(string) bool { return false })
		ok(b, 0, err)
		if n := b.unregistered(); n != want {
			t.Errorf("with %s: %d, want %d", names, n, want)
		}
	}
	b.reports("a", ports(443))
	b.reports("b", ports(443))
	mirror(1, "a", "silent")
	mirror(0, "a", "b")
	mirror(2)
	mirror(1, "b")
}
