package localcore

import (
	"context"
	"encoding/json"
	"errors"
	"math"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestDeploy(t *testing.T) {
	forBoth(t, func(t *testing.T, c *Core, k *Component) {
		p := dial(t, c, k)
		stream := p.subscribe("SubscribeToConfigurationUpdate", `{}`)
		deploy := func(merge map[string]any, reset ...string) {
			t.Helper()
			if err := c.Deploy(t.Context(), "com.example.agent", merge, reset...); err != nil {
				t.Fatal(err)
			}
		}
		changed := func(paths ...string) {
			t.Helper()
			for _, path := range paths {
				if c.lite() && strings.HasPrefix(path, "new ") {
					continue // a second event of the Java nucleus
				}
				path = strings.TrimPrefix(path, "new ")
				p.event(stream, "ConfigurationUpdateEvents", `{"configurationUpdateEvent":{"componentName":"com.example.agent","keyPath":`+path+`}}`)
			}
			p.silent()
		}
		deploy(map[string]any{"interval": 60, "nested": map[string]any{"a": "x", "c": []string{"d"}}})
		changed(`["interval"]`, `["nested","c"]`, `new ["nested","c"]`)
		deploy(map[string]any{"interval": 60.0}) // JSON has one kind of whole number
		changed()
		deploy(nil)
		changed()
		if diff := cmp.Diff(`{"componentName":"com.example.agent","value":{"interval":60}}`, p.succeed("GetConfiguration", `{"keyPath":["interval"]}`)); diff != "" {
			t.Error(diff)
		}
		if c.lite() { // nobody hears of a deleted key
			deploy(nil, "/nested/c")
			changed()
		} else {
			deploy(nil, "/nested/c")
			changed(`["nested","c"]`)
		}
		deploy(map[string]any{"x~/y": 1}, "/interval")
		changed(`["interval"]`, `["x~/y"]`, `new ["x~/y"]`)
		if c.lite() {
			deploy(nil, "/x~0~1y")
			changed()
		} else {
			deploy(nil, "/X~0~1Y")
			changed(`["x~/y"]`)
		}
		r, err := ParseRecipe(strings.NewReader(recipeYAML))
		if err != nil {
			t.Fatal(err)
		}
		want, _, err := r.resolve(c.opts.Nucleus)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, k.Configuration()); diff != "" {
			t.Errorf("after the resets (-want +got):\n%s", diff)
		}
		deploy(map[string]any{"nested": map[string]any{"a": "other"}}, "")
		changed(`["nested","a"]`)
	})
}

func TestDeployRefusals(t *testing.T) {
	forBoth(t, func(t *testing.T, c *Core, k *Component) {
		before := k.Configuration()
		for _, test := range []struct {
			component string
			merge     map[string]any
			reset     string
			lite      bool // fails on lite only
		}{
			{component: "nobody"},
			{merge: map[string]any{"a": math.Inf(1)}},
			{merge: map[string]any{"a": make(chan int)}},
			{merge: map[string]any{"b": 1}, reset: "no pointer"},
			{merge: map[string]any{"a": strings.Repeat("x", 1_024)}, lite: true},
			{merge: map[string]any{"nested": 1}, lite: true},
		} {
			if test.component == "" {
				test.component = k.Name()
			}
			if test.lite && !c.lite() {
				continue
			}
			if err := c.Deploy(t.Context(), test.component, test.merge, test.reset); err == nil {
				t.Errorf("%+v deployed", test)
			}
			if diff := cmp.Diff(before, k.Configuration()); diff != "" {
				t.Errorf("%+v failed, but:\n%s", test, diff)
			}
		}
	})
}

// A proposal is the JSON of a validation event.
func proposal(t *testing.T, payload []byte) (deployment string, configuration map[string]any) {
	t.Helper()
	var event struct {
		E struct {
			DeploymentID  string
			Configuration map[string]any
		} `json:"validateConfigurationUpdateEvent"`
	}
	if err := json.Unmarshal(payload, &event); err != nil {
		t.Fatal(err)
	}
	return event.E.DeploymentID, event.E.Configuration
}

func TestValidation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCore(t, Options{})
		k := install(t, c, recipeYAML)
		p := dial(t, c, k)
		first := p.subscribe("SubscribeToValidateConfigurationUpdates", "{}")
		second := p.subscribe("SubscribeToValidateConfigurationUpdates", "{}")
		deploy := func(interval int) chan error {
			result := make(chan error, 1)
			go func() { result <- c.Deploy(t.Context(), k.Name(), map[string]any{"interval": interval}) }()
			return result
		}
		report := func(deployment, status string) string {
			return `{"configurationValidityReport":{"status":"` + status + `","deploymentId":"` + deployment + `"}}`
		}

		result := deploy(60)
		m := p.receive()
		id, configuration := proposal(t, m.Payload)
		if m.StreamID != first || configuration["interval"] != 60.0 || configuration["accessControl"] == nil {
			t.Errorf("stream %d: %s", m.StreamID, m.Payload)
		}
		const late = "Validation request either timed out or was never made"
		p.refused("SendConfigurationValidityReport", report("another", "ACCEPTED"), "InvalidArgumentsError", late)
		p.succeed("SendConfigurationValidityReport", report(id, "ACCEPTED"))
		if err := <-result; err != nil || k.Configuration()["interval"] != int64(60) {
			t.Errorf("accepted: %v, %v", err, k.Configuration())
		}
		p.refused("SendConfigurationValidityReport", report(id, "ACCEPTED"), "InvalidArgumentsError", late)

		if err := <-deploy(60); err != nil { // changes nothing, asks nobody
			t.Error(err)
		}

		result = deploy(70)
		id, _ = proposal(t, p.receive().Payload)
		begun := time.Now()
		if err := <-result; err == nil || time.Since(begun) != 20*time.Second {
			t.Errorf("no verdict: %v after %v", err, time.Since(begun))
		}
		p.refused("SendConfigurationValidityReport", report(id, "REJECTED"), "InvalidArgumentsError", late)
		if k.Configuration()["interval"] != int64(60) {
			t.Error("applied without a verdict")
		}

		result = deploy(70)
		id, _ = proposal(t, p.receive().Payload)
		p.succeed("SendConfigurationValidityReport", report(id, "REJECTED"))
		if err := <-result; !errors.Is(err, ErrNoStateChange) || !strings.Contains(err.Error(), "is invalid { name = com.example.agent, message =  }") {
			t.Errorf("got %v", err)
		}

		// Closing either stream ends it for the component.
		p.terminate(second)
		if err := <-deploy(80); err != nil || k.Configuration()["interval"] != int64(80) {
			t.Errorf("after the end of the subscription: %v", err)
		}

		ctx, cancel := context.WithCancel(t.Context())
		p.terminate(first)
		p.subscribe("SubscribeToValidateConfigurationUpdates", "{}")
		go func() { result <- c.Deploy(ctx, k.Name(), map[string]any{"interval": 90}) }()
		p.receive()
		cancel()
		if err := <-result; !errors.Is(err, context.Canceled) {
			t.Errorf("got %v", err)
		}
	})
}

// As soon as one component validates, a deployment waits for every component
// that it changes, also for those that do not: run of 2.18, a deployment of two
// components, one of which had subscribed and answered at once.
func TestValidationWaitsForOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCore(t, Options{})
		k := install(t, c, recipeYAML)
		other := install(t, c, strings.ReplaceAll(recipeYAML, "com.example.agent", "com.example.other"))
		both := func(interval int) []Change {
			return []Change{
				{Component: k.Name(), Merge: map[string]any{"interval": interval}},
				{Component: other.Name(), Merge: map[string]any{"interval": interval}},
			}
		}
		if err := c.DeployAll(t.Context(), both(31)...); err != nil {
			t.Errorf("nobody validates: %v", err)
		}
		p := dial(t, c, k)
		p.subscribe("SubscribeToValidateConfigurationUpdates", "{}")
		deploy := func(changes ...Change) (took time.Duration, err error) {
			begun := time.Now()
			result := make(chan error, 1)
			go func() { result <- c.DeployAll(t.Context(), changes...) }()
			synctest.Wait()
			for _, f := range p.pending(nil) {
				id, _ := proposal(t, []byte(f.Payload))
				p.succeed("SendConfigurationValidityReport", `{"configurationValidityReport":{"status":"ACCEPTED","deploymentId":"`+id+`"}}`)
			}
			err = <-result
			return time.Since(begun).Round(time.Second), err
		}
		took, err := deploy(both(32)...)
		const want = "deploy: FAILED_NO_STATE_CHANGE: Error while waiting for validation report for one or more components:null"
		if err == nil || err.Error() != want || took != 20*time.Second {
			t.Errorf("%v after %v", err, took)
		}
		if took, err := deploy(both(32)[0]); err != nil || took != 0 {
			t.Errorf("the one that validates: %v after %v", err, took)
		}
		if took, err := deploy(both(33)[1]); err != nil || took != 0 {
			t.Errorf("the other one, which nobody is asked about: %v after %v", err, took)
		}
		if took, err := deploy(both(33)[0], Change{Component: "aws.greengrass.Nucleus", Merge: map[string]any{"logging": "x"}}); err == nil || took != 20*time.Second {
			t.Errorf("with the nucleus itself: %v after %v", err, took)
		}
		if took, err := deploy(both(33)...); err != nil || took != 0 {
			t.Errorf("the other one does not change: %v after %v", err, took)
		}
		if diff := cmp.Diff(k.Configuration()["interval"], other.Configuration()["interval"]); diff != "" {
			t.Error(diff)
		}
	})
}

// A map that a deployment's reset removed is back after the next start of the
// Java nucleus; a leaf stays away (run of 2.18).
func TestRemovedMapsComeBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCore(t, Options{})
		k := install(t, c, recipeYAML)
		custom := func() any { return k.Configuration()["CustomMetrics"] }
		deploy := func(merge map[string]any, reset ...string) {
			t.Helper()
			if err := c.Deploy(t.Context(), k.Name(), merge, reset...); err != nil {
				t.Fatal(err)
			}
		}
		deploy(map[string]any{"CustomMetrics": map[string]any{"gpu": map[string]any{"File": "/run/x"}, "uptime": true}})
		deploy(nil, "/CustomMetrics/gpu", "/CustomMetrics/uptime")
		if diff := cmp.Diff(any(map[string]any{}), custom()); diff != "" {
			t.Errorf("after the reset (-want +got):\n%s", diff)
		}
		if err := c.RestartIPC(); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(any(map[string]any{"gpu": map[string]any{"File": "/run/x"}}), custom()); diff != "" {
			t.Errorf("after a restart of the nucleus (-want +got):\n%s", diff)
		}
		deploy(map[string]any{"CustomMetrics": map[string]any{"gpu": false}})
		if diff := cmp.Diff(any(map[string]any{"gpu": false}), custom()); diff != "" {
			t.Errorf("-want +got:\n%s", diff)
		}
	})
}

func TestComponentUpdates(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCore(t, Options{})
		k := install(t, c, recipeYAML)
		p := dial(t, c, k)
		p.refused("DeferComponentUpdate", `{"deploymentId":"x"}`, "InvalidArgumentsError", "Component is not subscribed to component update events")
		stream := p.subscribe("SubscribeToComponentUpdates", "{}")
		p.refused("DeferComponentUpdate", `{}`, "InvalidArgumentsError", "Cannot defer the update, the deployment ID provided was null")

		// Who never answers, or without saying when, delays each deployment.
		begun := time.Now()
		result := make(chan error, 1)
		go func() { result <- c.Deploy(t.Context(), k.Name(), map[string]any{"interval": 1}) }()
		var pre preUpdateEvent
		if err := json.Unmarshal(p.receive().Payload, &pre); err != nil {
			t.Fatal(err)
		}
		p.succeed("DeferComponentUpdate", `{"deploymentId":"`+pre.PreUpdateEvent.DeploymentID+`"}`)
		p.event(stream, "ComponentUpdatePolicyEvents", `{"postUpdateEvent":{"deploymentId":"`+pre.PreUpdateEvent.DeploymentID+`"}}`)
		if err := <-result; err != nil || time.Since(begun) != time.Minute {
			t.Errorf("%v after %v", err, time.Since(begun))
		}

		// Close ends a deployment that waits.
		go func() { result <- c.Deploy(t.Context(), k.Name(), map[string]any{"interval": 2}) }()
		p.receive()
		c.Close()
		if err := <-result; err == nil {
			t.Error("deployed on a closed core")
		}
	})
}

func TestUpdateState(t *testing.T) {
	forBoth(t, func(t *testing.T, c *Core, k *Component) {
		p := dial(t, c, k)
		p.succeed("UpdateState", `{"state":"RUNNING"}`)
		if k.State() != "RUNNING" {
			t.Errorf("state %q", k.State())
		}
		if c.lite() {
			p.succeed("UpdateState", `{"state":"STARTING"}`)
			p.refused("UpdateState", `{"state":"ASLEEP"}`, "ServiceError", "Failed to update the lifecycle state.")
		}
	})
}
