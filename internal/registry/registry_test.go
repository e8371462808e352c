package registry

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iot"
	"github.com/aws/aws-sdk-go-v2/service/iot/types"
	"go.uber.org/goleak"

	"github.com/device-defender/device-defender/internal/cloud"
	"github.com/device-defender/device-defender/internal/defender/service"
	"github.com/device-defender/device-defender/internal/defender/servicetest"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.IgnoreTopFunction("net/http.(*persistConn).readLoop"), goleak.IgnoreTopFunction("net/http.(*persistConn).writeLoop"))
}

// patience is how long a test waits for what has to come.
const patience = time.Minute

// fleet is a registry as AWS IoT has it, and a service that has its things there. The
// registry is played by another service, which speaks the same API.
type fleet struct {
	t    *testing.T
	aws  *servicetest.World // the registry
	own  *servicetest.World
	down atomic.Bool // AWS does not answer
	*AWS
}

func newFleet(t *testing.T, begin time.Time) *fleet {
	t.Helper()
	f := &fleet{t: t, aws: servicetest.NewWorld(t, begin)}
	target, err := url.Parse(f.aws.URL)
	if err != nil {
		t.Fatal(err)
	}
	proxy := httputil.NewSingleHostReverseProxy(target)
	front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if f.down.Load() {
			w.Header().Set("X-Amzn-ErrorType", "ServiceUnavailableException")
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		r.Host = target.Host
		proxy.ServeHTTP(w, r)
	}))
	t.Cleanup(front.Close)
	client, err := cloud.Connect(t.Context(), cloud.Options{EndpointURL: front.URL})
	if err != nil {
		t.Fatal(err)
	}
	f.AWS = New(client, slog.New(slog.DiscardHandler))
	f.own = servicetest.NewWorld(t, begin, func(o *service.Options) { o.Registry = f.AWS })
	return f
}

// sync reads the registry once.
func (f *fleet) sync() error {
	_, err := f.read(f.t.Context(), f.own.Service, nil, f.now())
	return err
}

func (f *fleet) groups(w *servicetest.World, thing string) (names []string) {
	f.t.Helper()
	out, err := w.IoT.ListThingGroupsForThing(f.t.Context(), &iot.ListThingGroupsForThingInput{ThingName: &thing})
	if err != nil {
		f.t.Fatal(err)
	}
	for _, g := range out.ThingGroups {
		names = append(names, *g.GroupName)
	}
	return names
}

func (f *fleet) group(name, parent string) {
	f.t.Helper()
	in := &iot.CreateThingGroupInput{ThingGroupName: &name}
	if parent != "" {
		in.ParentGroupName = &parent
	}
	if _, err := f.aws.IoT.CreateThingGroup(f.t.Context(), in); err != nil {
		f.t.Fatal(err)
	}
}

func (f *fleet) put(thing, group string) {
	f.t.Helper()
	if _, err := f.aws.IoT.AddThingToThingGroup(f.t.Context(), &iot.AddThingToThingGroupInput{ThingName: &thing, ThingGroupName: &group}); err != nil {
		f.t.Fatal(err)
	}
}

func must[T any](t *testing.T) func(T, error) T {
	t.Helper()
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

// The service has the things, groups and memberships of the registry, whatever becomes of
// them there, and profiles apply by them.
func TestServiceHasTheRegistry(t *testing.T) {
	f := newFleet(t, time.Now())
	f.aws.Things("core-1", "core-2", "core-3")
	f.group("plant", "")
	f.group("line", "plant")
	f.put("core-1", "line")
	f.put("core-2", "plant")
	if err := f.sync(); err != nil {
		t.Fatal(err)
	}
	ctx, c := t.Context(), f.own.IoT
	members := func(group string, want ...string) {
		t.Helper()
		out := must[*iot.ListThingsInThingGroupOutput](t)(c.ListThingsInThingGroup(ctx, &iot.ListThingsInThingGroupInput{ThingGroupName: &group, Recursive: true}))
		slices.Sort(out.Things)
		if !slices.Equal(out.Things, want) {
			t.Errorf("%s has %s, want %s", group, out.Things, want)
		}
	}
	members("plant", "core-1", "core-2")
	members("line", "core-1")
	if parent := must[*iot.DescribeThingGroupOutput](t)(c.DescribeThingGroup(ctx, &iot.DescribeThingGroupInput{ThingGroupName: aws.String("line")})).ThingGroupMetadata.ParentGroupName; *parent != "plant" {
		t.Errorf("line is below %s", *parent)
	}

	// A profile of the upper group applies to the thing of the lower.
	profile := iot.CreateSecurityProfileInput{SecurityProfileName: aws.String("P"), Behaviors: []types.Behavior{servicetest.PacketExfiltration(1)}}
	must[*iot.CreateSecurityProfileOutput](t)(c.CreateSecurityProfile(ctx, &profile))
	target := aws.String("arn:aws:iot:us-east-1:123456789012:thinggroup/plant")
	must[*iot.AttachSecurityProfileOutput](t)(c.AttachSecurityProfile(ctx, &iot.AttachSecurityProfileInput{SecurityProfileName: aws.String("P"), SecurityProfileTargetArn: target}))
	// An alarm of a thing that has left the group lasts, without new measurements.
	measured := func(want ...string) {
		t.Helper()
		var names []string
		for _, v := range must[*iot.ListActiveViolationsOutput](t)(c.ListActiveViolations(ctx, &iot.ListActiveViolationsInput{})).ActiveViolations {
			if v.LastViolationTime.Equal(f.own.Now().Truncate(time.Millisecond)) {
				names = append(names, *v.ThingName)
			}
		}
		slices.Sort(names)
		if !slices.Equal(names, want) {
			t.Errorf("evaluated for %s, want %s", names, want)
		}
	}
	round := func() {
		f.own.Pass(5 * time.Minute)
		for _, thing := range []string{"core-1", "core-2", "core-3"} {
			f.own.Report(thing, 5000)
		}
	}
	round()
	round()
	measured("core-1", "core-2")

	// Changes there are changes here.
	must[*iot.RemoveThingFromThingGroupOutput](t)(f.aws.IoT.RemoveThingFromThingGroup(ctx, &iot.RemoveThingFromThingGroupInput{ThingName: aws.String("core-2"), ThingGroupName: aws.String("plant")}))
	f.put("core-3", "line")
	must[*iot.UpdateThingOutput](t)(f.aws.IoT.UpdateThing(ctx, &iot.UpdateThingInput{ThingName: aws.String("core-3"), AttributePayload: &types.AttributePayload{Attributes: map[string]string{"site": "north"}}}))
	if err := f.sync(); err != nil {
		t.Fatal(err)
	}
	members("plant", "core-1", "core-3")
	if got := must[*iot.DescribeThingOutput](t)(c.DescribeThing(ctx, &iot.DescribeThingInput{ThingName: aws.String("core-3")})); got.Attributes["site"] != "north" || got.Version != 2 {
		t.Errorf("%+v", got)
	}
	round()
	round()
	measured("core-1", "core-3")

	// What is gone there is not registered here, and keeps what it reported. A group that
	// is gone does not take the profile's target with it.
	must[*iot.DeleteThingOutput](t)(f.aws.IoT.DeleteThing(ctx, &iot.DeleteThingInput{ThingName: aws.String("core-1")}))
	for _, group := range []string{"line", "plant"} {
		must[*iot.DeleteThingGroupOutput](t)(f.aws.IoT.DeleteThingGroup(ctx, &iot.DeleteThingGroupInput{ThingGroupName: &group}))
	}
	if err := f.sync(); err != nil {
		t.Fatal(err)
	}
	if out := must[*iot.ListThingGroupsOutput](t)(c.ListThingGroups(ctx, &iot.ListThingGroupsInput{})); len(out.ThingGroups) != 0 {
		t.Errorf("%+v", out.ThingGroups)
	}
	state, ok, err := f.own.Service.Thing(ctx, "core-1")
	if err != nil || !ok || state.Registered || state.LastReport.IsZero() || len(state.Groups) > 0 {
		t.Errorf("%+v, %t, %v", state, ok, err)
	}
	f.group("plant", "")
	f.put("core-2", "plant")
	if err := f.sync(); err != nil {
		t.Fatal(err)
	}
	round()
	round()
	measured("core-2")
	must[*iot.DetachSecurityProfileOutput](t)(c.DetachSecurityProfile(ctx, &iot.DetachSecurityProfileInput{SecurityProfileName: aws.String("P"), SecurityProfileTargetArn: target}))
}

// Quarantine moves the thing in the registry, and release moves it back; what fails there is
// shown.
func TestQuarantineIsInTheRegistry(t *testing.T) {
	begin := time.Now().Add(-30 * time.Minute).Truncate(time.Minute)
	f := newFleet(t, begin)
	f.aws.Things("core-1", "core-2")
	f.group("quarantine", "")
	if err := f.sync(); err != nil {
		t.Fatal(err)
	}
	f.own.Profile("P", servicetest.PacketExfiltration(1))
	f.own.Report("core-1", 5000)
	f.own.Report("core-2", 5000)
	f.own.Real()
	f.own.Run()
	ctx, c := t.Context(), f.own.IoT
	action := func(name, group string) {
		t.Helper()
		must[*iot.CreateMitigationActionOutput](t)(c.CreateMitigationAction(ctx, &iot.CreateMitigationActionInput{
			ActionName: &name, RoleArn: aws.String("arn:aws:iam::123456789012:role/mitigation"),
			ActionParams: &types.MitigationActionParams{AddThingsToThingGroupParams: &types.AddThingsToThingGroupParams{ThingGroupNames: []string{group}}},
		}))
	}
	action("Quarantine", "quarantine")
	action("Nowhere", "nosuch")
	mitigate := func(id, action string, status types.DetectMitigationActionsTaskStatus, executed, failed int64) []types.DetectMitigationActionExecution {
		t.Helper()
		must[*iot.StartDetectMitigationActionsTaskOutput](t)(c.StartDetectMitigationActionsTask(ctx, &iot.StartDetectMitigationActionsTaskInput{
			TaskId: &id, Actions: []string{action}, Target: &types.DetectMitigationActionsTaskTarget{SecurityProfileName: aws.String("P")},
		}))
		client := must[*cloud.Client](t)(cloud.Connect(ctx, cloud.Options{EndpointURL: f.own.URL}))
		waiting, cancel := context.WithTimeout(ctx, patience)
		defer cancel()
		task := must[*cloud.MitigationTask](t)(client.WaitForMitigation(waiting, id, 20*time.Millisecond, func(*cloud.MitigationTask) {}))
		if task.Status != string(status) || task.Executed != executed || task.Failed != failed {
			t.Errorf("%+v", task)
		}
		return must[*iot.ListDetectMitigationActionsExecutionsOutput](t)(c.ListDetectMitigationActionsExecutions(ctx, &iot.ListDetectMitigationActionsExecutionsInput{TaskId: &id})).ActionsExecutions
	}
	mitigate("one", "Quarantine", types.DetectMitigationActionsTaskStatusSuccessful, 2, 0)
	for _, w := range []*servicetest.World{f.aws, f.own} {
		for _, thing := range []string{"core-1", "core-2"} {
			if got := f.groups(w, thing); !slices.Equal(got, []string{"quarantine"}) {
				t.Errorf("%s is in %s", thing, got)
			}
		}
	}
	for _, e := range mitigate("two", "Nowhere", types.DetectMitigationActionsTaskStatusFailed, 0, 2) {
		if *e.ErrorCode != "ResourceNotFoundException" || !strings.Contains(*e.Message, "nosuch") {
			t.Errorf("%s %s", *e.ErrorCode, *e.Message)
		}
	}
	f.down.Store(true)
	for _, e := range mitigate("three", "Quarantine", types.DetectMitigationActionsTaskStatusFailed, 0, 2) {
		if *e.ErrorCode != "ServiceUnavailableException" {
			t.Errorf("%s %s", *e.ErrorCode, *e.Message)
		}
	}
	if notices := strings.Join(must[[]string](t)(f.own.Service.Notices(ctx)), "\n"); !strings.Contains(notices, "4 mitigation actions failed in the registry, the last for core-") {
		t.Errorf("the pages say %s", notices)
	}
	release := func() error {
		_, err := c.RemoveThingFromThingGroup(ctx, &iot.RemoveThingFromThingGroupInput{ThingName: aws.String("core-1"), ThingGroupName: aws.String("quarantine")}, func(o *iot.Options) { o.RetryMaxAttempts = 1 })
		return err
	}
	if err := release(); err == nil || !strings.Contains(err.Error(), "ServiceUnavailableException") {
		t.Errorf("released while AWS is away: %v", err)
	}
	f.down.Store(false)
	if err := release(); err != nil {
		t.Error(err)
	}
	for _, w := range []*servicetest.World{f.aws, f.own} {
		if got := f.groups(w, "core-1"); len(got) > 0 {
			t.Errorf("core-1 is in %s", got)
		}
	}
}

// A reading that began before a move does not undo it.
func TestMoveDuringAReading(t *testing.T) {
	f := newFleet(t, time.Now())
	f.aws.Things("core-1")
	f.group("quarantine", "")
	if err := f.sync(); err != nil {
		t.Fatal(err)
	}
	old, err := f.client.ReadRegistry(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	move := &iot.UpdateThingGroupsForThingInput{ThingName: aws.String("core-1"), ThingGroupsToAdd: []string{"quarantine"}}
	must[*iot.UpdateThingGroupsForThingOutput](t)(f.own.IoT.UpdateThingGroupsForThing(t.Context(), move))
	things, groups := asMirrored(old)
	if _, err := f.own.Service.Mirror(t.Context(), things, groups, f.keep(f.now().Add(-time.Second))); err != nil {
		t.Fatal(err)
	}
	if got := f.groups(f.own, "core-1"); !slices.Equal(got, []string{"quarantine"}) {
		t.Errorf("core-1 is in %s", got)
	}
}

// While the registry cannot be read, the service has what it had, and says so.
func TestOutage(t *testing.T) {
	f := newFleet(t, time.Now())
	f.aws.Things("core-1")
	says := func(texts ...string) {
		t.Helper()
		notices := strings.Join(must[[]string](t)(f.own.Service.Notices(t.Context())), "\n")
		for _, text := range texts {
			if !strings.Contains(notices, text) {
				t.Errorf("%q is not in %s", text, notices)
			}
		}
	}
	f.down.Store(true)
	if err := f.sync(); err == nil {
		t.Error("read")
	}
	says("was not read since the start", "reading it failed at", "ServiceUnavailableException")
	f.down.Store(false)
	if err := f.sync(); err != nil {
		t.Fatal(err)
	}
	says("1 things, 0 groups")
	f.down.Store(true)
	if err := f.sync(); err == nil {
		t.Error("read")
	}
	says("1 things, 0 groups; reading it failed at")
	must[*iot.DescribeThingOutput](t)(f.own.IoT.DescribeThing(t.Context(), &iot.DescribeThingInput{ThingName: aws.String("core-1")}))
}

// A thing that is new there is known after its first report, long before the next reading.
func TestThingThatIsNew(t *testing.T) {
	f := newFleet(t, time.Now())
	f.group("plant", "")
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- f.Run(ctx, f.own.Service) }()
	defer func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	}()
	wait(t, "the first reading", func() bool { return !f.Status().Read.IsZero() })
	f.aws.Things("core-9")
	f.put("core-9", "plant")
	f.own.Report("core-9", 10)
	f.own.Report("stranger", 10)
	wait(t, "core-9", func() bool {
		state, _, err := f.own.Service.Thing(t.Context(), "core-9")
		return err == nil && state.Registered && slices.Equal(state.Groups, []string{"plant"})
	})
	if state, _, _ := f.own.Service.Thing(t.Context(), "stranger"); state.Registered {
		t.Error("registered what AWS does not know")
	}
}

// wait waits until something is so.
func wait(t *testing.T, what string, is func() bool) {
	t.Helper()
	ticker := time.NewTicker(10 * time.Millisecond)
	defer ticker.Stop()
	late := time.After(patience)
	for !is() {
		select {
		case <-ticker.C:
		case <-late:
			t.Fatalf("still waiting for %s", what)
		}
	}
}

// Made-up names cost neither memory without end nor calls.
func TestStrangersAreBounded(t *testing.T) {
	f := newFleet(t, time.Now())
	clock := time.Now()
	f.AWS.now = func() time.Time { return clock }
	for i := range 3 * maxAsked {
		f.Stranger(fmt.Sprint("thing-", i))
		f.Stranger(fmt.Sprint("thing-", i))
		if len(f.wanted) == maxWanted {
			for range maxWanted / 2 {
				<-f.wanted
			}
		}
	}
	if len(f.asked) > maxAsked {
		t.Errorf("%d are kept", len(f.asked))
	}
	for len(f.wanted) > 0 {
		<-f.wanted
	}
	f.Stranger("thing-0")
	if len(f.wanted) != 0 {
		t.Error("asked again at once")
	}
	clock = clock.Add(askAgain)
	f.Stranger("thing-0")
	if len(f.wanted) != 1 {
		t.Error("never asked again")
	}
}

// Things and groups are changed where they are, and not here.
func TestRegistryIsReadOnlyHere(t *testing.T) {
	f := newFleet(t, time.Now())
	f.aws.Things("core-1")
	if err := f.sync(); err != nil {
		t.Fatal(err)
	}
	ctx, c, name := t.Context(), f.own.IoT, aws.String("core-1")
	for what, call := range map[string]func() error{
		"CreateThing": func() error { _, err := c.CreateThing(ctx, &iot.CreateThingInput{ThingName: name}); return err },
		"UpdateThing": func() error { _, err := c.UpdateThing(ctx, &iot.UpdateThingInput{ThingName: name}); return err },
		"DeleteThing": func() error { _, err := c.DeleteThing(ctx, &iot.DeleteThingInput{ThingName: name}); return err },
		"CreateThingGroup": func() error {
			_, err := c.CreateThingGroup(ctx, &iot.CreateThingGroupInput{ThingGroupName: name})
			return err
		},
		"UpdateThingGroup": func() error {
			_, err := c.UpdateThingGroup(ctx, &iot.UpdateThingGroupInput{ThingGroupName: name, ThingGroupProperties: &types.ThingGroupProperties{}})
			return err
		},
		"DeleteThingGroup": func() error {
			_, err := c.DeleteThingGroup(ctx, &iot.DeleteThingGroupInput{ThingGroupName: name})
			return err
		},
	} {
		if err := call(); err == nil || !strings.Contains(err.Error(), "change them there") {
			t.Errorf("%s: %v", what, err)
		}
	}
}

// Ten thousand things are read page by page, and what is unchanged is not written again.
func TestTenThousandThings(t *testing.T) {
	if testing.Short() {
		t.Skip("takes a while")
	}
	f := newFleet(t, time.Now())
	f.group("plant", "")
	const n = 10_000
	var things []service.MirroredThing
	for i := range n {
		things = append(things, service.MirroredThing{Name: fmt.Sprintf("core-%05d", i), Version: 1, Groups: []string{"plant"}})
	}
	never := func(string) bool { return false }
	if _, err := f.aws.Service.Mirror(t.Context(), things, []service.MirroredGroup{{Name: "plant", Version: 1}}, never); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	if err := f.sync(); err != nil {
		t.Fatal(err)
	}
	first := time.Since(began)
	if s := f.Status(); s.Things != n || s.Groups != 1 {
		t.Errorf("%+v", s)
	}
	if got := f.groups(f.own, "core-09999"); !slices.Equal(got, []string{"plant"}) {
		t.Errorf("core-09999 is in %s", got)
	}
	read, err := f.client.ReadRegistry(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	things, groups := asMirrored(read)
	began = time.Now()
	m, err := f.own.Service.Mirror(t.Context(), things, groups, never)
	if err != nil || m != (service.Mirrored{}) {
		t.Errorf("%+v, %v", m, err)
	}
	t.Logf("first reading %v, comparing again %v", first, time.Since(began))
}
