package localcore

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/device-defender/device-defender/internal/greengrass"
)

// Configuration returns a copy of the component's present configuration:
// map[string]any, []any, string, bool, int64, float64 and nil.
func (k *Component) Configuration() map[string]any {
	k.core.mu.Lock()
	defer k.core.mu.Unlock()
	return k.configuration()
}

func (k *Component) configuration() map[string]any {
	return k.config.root.plain().(map[string]any)
}

// target is the component that a request names, or the one that asks.
func (r *request) target() *Component {
	name := r.text("componentName")
	switch {
	case !r.has("componentName"), !r.present("componentName") && !r.core.lite():
		return r.component()
	case r.core.lite() && name == dialects[greengrass.Java].nucleus:
		name = r.core.dialect.nucleus
	}
	return r.core.components[name]
}

func getConfiguration(r *request) (any, *refusal) {
	path, target := r.texts("keyPath"), r.target()
	missing := refuse(greengrass.ResourceNotFoundError, "Key not found")
	if r.core.lite() {
		missing = refuse(greengrass.ResourceNotFoundError, "Key not found.")
	}
	switch {
	case r.malformed():
		return nil, r.badParameters()
	case r.core.lite() && len(path) > liteMaxPath:
		return nil, refuse(greengrass.ServiceError, "Config path depth larger than supported.")
	case r.core.noConfigDaemon():
		return nil, refuse(greengrass.ServiceError, "")
	case target == nil:
		return nil, missing
	}
	n := target.config.find(path)
	if n == nil {
		return nil, missing
	}
	response := greengrass.GetConfigurationResponse{ComponentName: target.name}
	if r.present("componentName") {
		response.ComponentName = r.text("componentName")
	}
	if n.children == nil {
		response.Value = map[string]any{n.name: r.core.spell(n.value)}
	} else {
		response.Value = r.core.spell(n.plain()).(map[string]any)
	}
	return response, nil
}

func subscribeToConfigurationUpdate(r *request) (any, *refusal) {
	path, target := r.texts("keyPath"), r.target()
	switch {
	case r.malformed() && r.core.lite():
		return nil, refuse(greengrass.ServiceError, "Failed to validate the map.")
	case r.malformed():
		return nil, internalServerError
	case r.core.noConfigDaemon():
		return nil, refuse(greengrass.ServiceError, "Failed to subscribe to configuration update.")
	case target == nil || target.config.find(path) == nil:
		return nil, refuse(greengrass.ResourceNotFoundError, "Key not found")
	case !r.subscribe(&subscription{kind: toConfiguration, target: target, path: path}):
		return nil, refuse(greengrass.ServiceError, "Failed to subscribe to configuration update.")
	}
	return done{}, nil
}

// seconds reads the timestamp of an update. Nucleus lite takes a float only.
func (r *request) seconds(name string) (time.Time, bool) {
	var seconds float64
	switch v := r.object[name].(type) {
	case nil:
		if r.core.lite() {
			r.fail(fmt.Errorf("%s is missing", name))
		}
		return time.Time{}, false
	case float64:
		seconds = v
	case int64:
		if r.core.lite() {
			r.fail(fmt.Errorf("%s: an integer, want a float", name))
		}
		seconds = float64(v)
	default:
		r.fail(fmt.Errorf("%s: JSON %T, want a number", name, v))
		return time.Time{}, false
	}
	if math.Abs(seconds) > 1<<40 {
		r.fail(fmt.Errorf("%s: %v is out of range", name, seconds))
		return time.Time{}, false
	}
	return time.UnixMilli(int64(seconds * 1000)), true
}

func updateConfiguration(r *request) (any, *refusal) {
	k := r.component()
	path := r.texts("keyPath")
	at, hasTime := r.seconds("timestamp")
	value, hasValue := r.object["valueToMerge"]
	object, isMap := value.(map[string]any)
	_, restricted := object["accessControl"]
	restricted = len(path) == 0 && restricted || len(path) > 0 && path[0] == "accessControl"

	if r.core.lite() {
		switch {
		case r.malformed() || !hasValue:
			return nil, refuse(greengrass.InvalidArgumentsError, "Received invalid parameters.")
		case restricted:
			return nil, refuse(greengrass.InvalidArgumentsError, "Config update is not allowed for following field [accessControl]")
		case len(path) > liteMaxPath:
			return nil, refuse(greengrass.ServiceError, "Config path depth larger than supported.")
		case len(path) == 0 && !isMap || r.core.noConfigDaemon() || k.merge(path, value, at) != nil:
			return nil, refuse(greengrass.ServiceError, "Failed to update the configuration.")
		}
		return done{}, nil
	}

	switch {
	case r.malformed() || value != nil && !isMap:
		return nil, internalServerError
	case !hasTime:
		return nil, refuse(greengrass.InvalidArgumentsError, "Timestamp is required")
	case value == nil:
		return nil, refuse(greengrass.InvalidArgumentsError, "ValueToMerge is required")
	case restricted:
		return nil, refuse(greengrass.InvalidArgumentsError, "Config update is not allowed for following fields [accessControl]")
	}
	// A new path gets the nucleus' time. A leaf at the path becomes a map
	// (UpdateConfigurationOperationHandler, Topics.updateChild; run of 2.18).
	if k.config.find(path) == nil {
		at = time.UnixMilli(time.Now().UnixMilli())
	}
	err := k.merge(path, doubles(object), at)
	if leaf, ok := errors.AsType[*leafError](err); ok {
		parent, last := leaf.path[:len(leaf.path)-1], leaf.path[len(leaf.path)-1]
		err = fmt.Errorf("%s in %s is already a leaf, cannot become a container",
			last, strings.Join(append([]string{"services", k.name, "configuration"}, parent...), "."))
	}
	if err != nil {
		return nil, refuse(greengrass.ServiceError, err.Error())
	}
	if n := k.config.find(path); at.Before(n.newest()) {
		return nil, refuse(greengrass.FailedUpdateConditionCheckError, "Proposed timestamp is older than the config's latest modified timestamp")
	}
	return done{}, nil
}

// doubles is v as Gson reads a free-form map: all its numbers are doubles.
func doubles(v any) any {
	return mapScalars(v, func(v any) any {
		if i, ok := v.(int64); ok {
			return float64(i)
		}
		return v
	})
}

// merge changes the configuration and tells its subscribers, or fails and
// changes nothing.
func (k *Component) merge(path []string, value any, at time.Time) error {
	next := k.config.clone()
	changed, err := next.merge(path, value, at)
	if err == nil && k.core.lite() {
		err = k.core.checkLeaves(value)
	}
	if err != nil {
		return err
	}
	k.config = next
	k.announce(changed)
	return nil
}

// checkLeaves refuses values that nucleus lite cannot store.
func (c *Core) checkLeaves(v any) error {
	if object, ok := v.(map[string]any); ok {
		for key, value := range object {
			if err := c.checkLeaves(value); err != nil {
				return fmt.Errorf("%s: %w", key, err)
			}
		}
		return nil
	}
	b, err := c.encode(c.spell(v))
	if err != nil {
		return err
	}
	if len(b) > liteMaxLeaf {
		return errors.New("value longer than nucleus lite stores")
	}
	return nil
}

// announce sends one event per changed leaf to who listens above it.
func (k *Component) announce(changed [][]string) {
	for _, path := range changed {
		event := greengrass.ConfigurationUpdateEvents{
			ConfigurationUpdateEvent: &greengrass.ConfigurationUpdateEvent{ComponentName: k.name, KeyPath: path},
		}
		for _, s := range k.core.subscriptions {
			if s.kind == toConfiguration && s.target == k && k.config.below(s.path, path) {
				s.event("ConfigurationUpdateEvents", event)
			}
		}
	}
}

// below reports whether path is at or below parent.
func (s *store) below(parent, path []string) bool {
	return len(parent) <= len(path) &&
		slices.EqualFunc(parent, path[:len(parent)], func(a, b string) bool { return s.key(a) == s.key(b) })
}
