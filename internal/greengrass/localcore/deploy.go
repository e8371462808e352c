package localcore

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"time"

	"github.com/device-defender/device-defender/internal/greengrass"
)

const (
	// updateTimeout is how long a deployment waits for components to answer
	// preUpdateEvent (ComponentUpdatePolicy.java).
	updateTimeout = 60 * time.Second
	// validationTimeout is how long it waits for a verdict
	// (DynamicComponentConfigurationValidator.java).
	validationTimeout = 20 * time.Second
)

// RejectedError is a deployment's failure because the component refused the
// configuration.
type RejectedError struct {
	Component, Message string
}

func (e *RejectedError) Error() string {
	return fmt.Sprintf("component %s rejects the configuration: %s", e.Component, e.Message)
}

// Deploy changes a component's configuration as a deployment that leaves its
// version alone: each reset (a JSON pointer; "" is all) goes back to the
// recipe's default, then merge is merged. A whole number in merge counts as an
// integer.
//
// As the Java nucleus it first asks who subscribed to component updates, which
// may defer it, and then the component's validator, whose refusal is a
// [*RejectedError]. After any error nothing has changed.
func (c *Core) Deploy(ctx context.Context, component string, merge map[string]any, reset ...string) error {
	select {
	case c.deploying <- struct{}{}:
		defer func() { <-c.deploying }()
	case <-ctx.Done():
		return ctx.Err()
	}
	ctx, free := until(ctx, c.ctx)
	defer free()
	c.mu.Lock()
	k := c.components[component]
	c.mu.Unlock()
	if k == nil {
		return fmt.Errorf("deploy: no component %q", component)
	}
	id := newDeploymentID()
	value, err := plainValue(merge)
	if err == nil && c.lite() {
		err = checkResources(value["accessControl"])
	}
	if err != nil {
		return fmt.Errorf("deploy %s: %w", component, err)
	}
	d := deployment{core: c, component: k, id: id, merge: value, reset: reset}
	if c.lite() {
		err = d.apply()
	} else {
		err = d.run(ctx)
	}
	if err != nil {
		return fmt.Errorf("deploy %s: %w", component, err)
	}
	c.log.Info("deployed", "component", component, "deployment", id)
	return nil
}

// deployment is one in progress.
type deployment struct {
	core      *Core
	component *Component
	id        string
	merge     map[string]any
	reset     []string
}

// run does what the Java nucleus does around apply.
func (d *deployment) run(ctx context.Context) error {
	if err := d.notify(ctx); err != nil {
		return err
	}
	var post postUpdateEvent
	post.PostUpdateEvent.DeploymentID = d.id
	defer d.toUpdateSubscribers(post)
	if err := d.validate(ctx); err != nil {
		return err
	}
	return d.apply()
}

func (d *deployment) toUpdateSubscribers(event any) {
	d.core.mu.Lock()
	defer d.core.mu.Unlock()
	for _, s := range d.core.subscriptions {
		if s.kind == toComponentUpdates {
			s.event("ComponentUpdatePolicyEvents", event)
		}
	}
}

// notify asks until no component defers.
func (d *deployment) notify(ctx context.Context) error {
	c := d.core
	var pre preUpdateEvent
	pre.PreUpdateEvent.DeploymentID = d.id
	for {
		u := &update{deployment: d.id, waiting: map[*Component]bool{}, answered: make(chan struct{})}
		c.mu.Lock()
		for _, s := range c.subscriptions {
			if s.kind == toComponentUpdates {
				u.waiting[s.conn.component] = true
			}
		}
		if len(u.waiting) == 0 {
			c.mu.Unlock()
			return nil
		}
		c.update = u
		c.mu.Unlock()
		d.toUpdateSubscribers(pre)
		timeout := time.NewTimer(updateTimeout)
		select {
		case <-u.answered:
		case <-timeout.C:
		case <-ctx.Done():
		}
		timeout.Stop()
		c.mu.Lock()
		c.update = nil
		recheck := u.recheck
		c.mu.Unlock()
		if !wait(recheck, ctx.Done()) {
			return ctx.Err()
		}
		if recheck == 0 {
			return nil
		}
		c.log.Info("deployment deferred", "deployment", d.id, "for", recheck)
	}
}

// validate asks the component's validator, if there is one and something would
// change.
func (d *deployment) validate(ctx context.Context) error {
	c, k := d.core, d.component
	c.mu.Lock()
	next, _, err := d.proposed()
	s := c.validators[k]
	if err != nil || s == nil || reflect.DeepEqual(next.root.plain(), k.config.root.plain()) {
		c.mu.Unlock()
		return err
	}
	v := &validation{deployment: d.id, verdict: make(chan greengrass.ConfigurationValidityReport, 1)}
	k.validation = v
	type event struct {
		DeploymentID  string `json:"deploymentId"`
		Configuration any    `json:"configuration"`
	}
	s.event("ValidateConfigurationUpdateEvents", map[string]event{
		"validateConfigurationUpdateEvent": {d.id, c.spell(next.root.plain())},
	})
	c.mu.Unlock()

	timeout := time.NewTimer(validationTimeout)
	defer timeout.Stop()
	select {
	case report := <-v.verdict:
		if report.Status == greengrass.ConfigurationRejected {
			return &RejectedError{Component: k.name, Message: report.Message}
		}
		return nil
	case <-timeout.C:
		err = fmt.Errorf("component %s did not validate the configuration within %v", k.name, validationTimeout)
	case <-ctx.Done():
		err = ctx.Err()
	}
	c.mu.Lock()
	k.validation = nil
	c.mu.Unlock()
	return err
}

// proposed is the configuration after the deployment, and the leaves that it
// changes and that the nucleus announces.
func (d *deployment) proposed() (*store, [][]string, error) {
	now := time.UnixMilli(time.Now().UnixMilli())
	next := d.component.config.clone()
	var changed [][]string
	for _, pointer := range d.reset {
		path, err := parsePointer(pointer)
		if err != nil {
			return nil, nil, err
		}
		removed := next.remove(path)
		value, isDefault := d.component.defaults.get(path)
		if isDefault {
			if _, err := next.merge(path, value, now); err != nil {
				return nil, nil, err
			}
		}
		for _, leaf := range removed {
			before, _ := d.component.config.get(leaf)
			after, still := next.get(leaf)
			// Nucleus lite tells nobody of a deleted key.
			if !reflect.DeepEqual(before, after) && (still || !d.core.lite()) {
				changed = append(changed, leaf)
			}
		}
	}
	merged, err := next.merge(nil, d.merge, now)
	if err == nil && d.core.lite() {
		err = d.core.checkLeaves(d.merge)
	}
	return next, append(changed, merged...), err
}

func (d *deployment) apply() error {
	d.core.mu.Lock()
	defer d.core.mu.Unlock()
	next, changed, err := d.proposed()
	if err != nil {
		return err
	}
	d.component.config = next
	d.component.announce(changed)
	return nil
}

// parsePointer splits a JSON pointer (RFC 6901).
func parsePointer(pointer string) ([]string, error) {
	if pointer == "" {
		return nil, nil
	}
	if pointer[0] != '/' {
		return nil, fmt.Errorf("reset %q: not a JSON pointer", pointer)
	}
	path := strings.Split(pointer[1:], "/")
	for i, key := range path {
		path[i] = strings.NewReplacer("~1", "/", "~0", "~").Replace(key)
	}
	return path, nil
}

// plainValue returns a configuration in the types that are stored, by way of
// its JSON.
func plainValue(v map[string]any) (map[string]any, error) {
	if v == nil {
		return nil, nil
	}
	b, err := json.Marshal(v)
	if err != nil {
		return nil, err
	}
	return decodeObject(b)
}

// newDeploymentID returns a random UUID, as deployments have.
func newDeploymentID() string {
	var b [16]byte
	rand.Read(b[:])
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}
