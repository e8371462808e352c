package localcore

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
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

// ErrNoStateChange is the status of a deployment that failed before it changed
// anything, because of what a component said of its configuration.
var ErrNoStateChange = errors.New("FAILED_NO_STATE_CHANGE")

// Change is what a deployment changes in one component.
type Change struct {
	Component string
	// Merge is merged into the configuration. A whole number in it counts as an
	// integer.
	Merge map[string]any
	// Reset are JSON pointers ("" is all) of what goes back to the recipe's
	// default first.
	Reset []string
}

// Deploy changes the configuration of one component.
func (c *Core) Deploy(ctx context.Context, component string, merge map[string]any, reset ...string) error {
	return c.DeployAll(ctx, Change{Component: component, Merge: merge, Reset: reset})
}

// DeployAll changes the configuration of components as one deployment that
// changes no versions. On the Java nucleus it first asks the components that
// subscribed to component updates, which may defer it, and then those that
// validate their configuration; what they refuse is [ErrNoStateChange]. After
// any error nothing has changed. A deployment gives every BROKEN component
// another chance (DefaultActivator.java, reinstallBrokenServices).
func (c *Core) DeployAll(ctx context.Context, changes ...Change) error {
	select {
	case c.deploying <- struct{}{}:
		defer func() { <-c.deploying }()
	case <-ctx.Done():
		return ctx.Err()
	}
	ctx, free := until(ctx, c.ctx)
	defer free()
	d := deployment{core: c, id: newDeploymentID()}
	for _, change := range changes {
		if err := d.add(change); err != nil {
			return fmt.Errorf("deploy %s: %w", change.Component, err)
		}
	}
	if err := d.run(ctx); err != nil {
		return fmt.Errorf("deploy: %w", err)
	}
	c.log.Info("deployed", "deployment", d.id)
	return nil
}

// deployment is one in progress.
type deployment struct {
	core  *Core
	id    string
	parts []part
}

// part is what a deployment does to one component.
type part struct {
	component *Component
	merge     map[string]any
	reset     [][]string
}

// add reads one change.
func (d *deployment) add(change Change) error {
	c := d.core
	c.mu.Lock()
	p := part{component: c.components[change.Component]}
	c.mu.Unlock()
	if p.component == nil {
		return errors.New("no such component")
	}
	var err error
	if p.merge, err = plainValue(change.Merge); err != nil {
		return err
	}
	for _, pointer := range change.Reset {
		path, err := parsePointer(pointer)
		if err != nil {
			return err
		}
		p.reset = append(p.reset, path)
	}
	if c.lite() {
		if err := checkResources(p.merge["accessControl"]); err != nil {
			return err
		}
		if err := c.checkLeaves(p.merge); err != nil {
			return err
		}
	}
	d.parts = append(d.parts, p)
	return nil
}

// run does what the nucleus does around apply (DeploymentConfigMerger.java).
func (d *deployment) run(ctx context.Context) error {
	if !d.core.lite() {
		if err := d.notify(ctx); err != nil {
			return err
		}
		var post postUpdateEvent
		post.PostUpdateEvent.DeploymentID = d.id
		defer d.toUpdateSubscribers(post)
		if err := d.validate(ctx); err != nil {
			return err
		}
	}
	if err := d.apply(); err != nil {
		return err
	}
	d.core.everyProcess((*Process).revive)
	return nil
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

// validate asks the validators of the components that change. As soon as one of
// them is asked, all must answer, also those that do not validate: these fail
// the deployment (DynamicComponentConfigurationValidator.validateOverIpc; run
// of 2.18: the same with the nucleus itself as the other one).
func (d *deployment) validate(ctx context.Context) error {
	changed, err := d.ask()
	if err != nil {
		return err
	}
	defer d.forget(changed)
	if !slices.ContainsFunc(changed, func(v *validation) bool { return v.asked }) {
		return nil
	}
	const (
		invalid = "Components reported that their to-be-deployed configuration is invalid"
		missing = "Error while waiting for validation report for one or more components:null"
	)
	timeout := time.NewTimer(validationTimeout)
	defer timeout.Stop()
	reports := make([]greengrass.ConfigurationValidityReport, len(changed))
	for i, v := range changed {
		select {
		case reports[i] = <-v.verdict:
		case <-timeout.C:
			return fmt.Errorf("%w: %s", ErrNoStateChange, missing)
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	message := invalid
	for i, v := range changed {
		if reports[i].Status == greengrass.ConfigurationRejected {
			message += fmt.Sprintf(" { name = %s, message = %s }", v.component.name, reports[i].Message)
		}
	}
	if message != invalid {
		return fmt.Errorf("%w: %s", ErrNoStateChange, message)
	}
	return nil
}

// ask sends the proposed configurations to the components that validate. It
// returns what all the components that change have to answer.
func (d *deployment) ask() (changed []*validation, err error) {
	type event struct {
		DeploymentID  string `json:"deploymentId"`
		Configuration any    `json:"configuration"`
	}
	c := d.core
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, p := range d.parts {
		k := p.component
		proposed, err := p.proposed()
		if err != nil {
			return nil, err
		}
		if reflect.DeepEqual(proposed, k.configuration()) {
			continue
		}
		v := &validation{component: k, deployment: d.id, verdict: make(chan greengrass.ConfigurationValidityReport, 1)}
		changed = append(changed, v)
		if s := c.validators[k]; s != nil {
			v.asked = true
			k.validation = v
			s.event("ValidateConfigurationUpdateEvents", map[string]event{
				"validateConfigurationUpdateEvent": {d.id, c.spell(proposed)},
			})
		}
	}
	return changed, nil
}

func (d *deployment) forget(validations []*validation) {
	d.core.mu.Lock()
	defer d.core.mu.Unlock()
	for _, v := range validations {
		v.component.validation = nil
	}
}

// proposed is the component's configuration after the deployment.
func (p *part) proposed() (map[string]any, error) {
	next := p.component.config.clone()
	for _, path := range p.reset {
		next.remove(path)
		if value, isDefault := p.component.defaults.get(path); isDefault {
			if _, err := next.merge(path, value, time.Time{}); err != nil {
				return nil, err
			}
		}
	}
	if _, err := next.merge(nil, p.merge, time.Unix(1<<40, 0)); err != nil {
		return nil, err
	}
	return next.root.plain().(map[string]any), nil
}

// apply changes the configurations and raises their events, or does nothing.
func (d *deployment) apply() error {
	d.core.mu.Lock()
	defer d.core.mu.Unlock()
	now := time.UnixMilli(time.Now().UnixMilli())
	next := make([]*store, len(d.parts))
	events := make([][][]string, len(d.parts))
	for i, p := range d.parts {
		value, err := p.proposed()
		if err != nil {
			return err
		}
		next[i] = p.component.config.clone()
		if events[i], err = next[i].replace(value, now); err != nil {
			return err
		}
	}
	for i, p := range d.parts {
		p.component.config = next[i]
		p.component.announce(events[i])
	}
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
