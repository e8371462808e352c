package localcore

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/device-defender/device-defender/internal/greengrass"
)

// Component is an installed component. Its methods are safe for concurrent
// use.
type Component struct {
	core     *Core
	name     string
	defaults *store // the recipe's configuration

	// Guarded by Core.mu.
	config     *store
	setenv     map[string]string
	token      string // "" until asked for, and after ForgetTokens
	state      string // as reported by UpdateState
	validation *validation
	process    *Process // of Start
}

// Install makes a recipe's component known to the core, with its default
// configuration and access control. It fails if the recipe has no manifest
// with a run or startup step for this machine, or for one that the nucleus
// would refuse.
func (c *Core) Install(r *Recipe) (*Component, error) {
	configuration, setenv, err := r.resolve(c.opts.Nucleus)
	if err == nil && c.lite() {
		if err = checkResources(configuration["accessControl"]); err == nil {
			err = c.checkLeaves(configuration)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("install %s: %w", r.Name, err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.components[r.Name] != nil {
		return nil, fmt.Errorf("install %s: already installed", r.Name)
	}
	k, err := c.addComponent(r.Name, configuration)
	if err != nil {
		return nil, fmt.Errorf("install %s: %w", r.Name, err)
	}
	k.setenv = setenv
	if control, ok := configuration["accessControl"]; ok && !c.lite() {
		if err := checkAccessControl(control); err != nil {
			c.log.Warn("the component may do nothing: "+err.Error(), "component", r.Name)
		}
	}
	return k, nil
}

// addComponent adds a component with its configuration as of now.
func (c *Core) addComponent(name string, configuration map[string]any) (*Component, error) {
	k := &Component{core: c, name: name, config: newStore(c.lite())}
	if _, err := k.config.merge(nil, configuration, time.UnixMilli(time.Now().UnixMilli())); err != nil {
		return nil, err
	}
	k.defaults = k.config.clone()
	c.components[name] = k
	return k, nil
}

// Name is the component's name.
func (k *Component) Name() string { return k.name }

// WorkDir is the component's work folder below the core's root.
func (k *Component) WorkDir() string { return filepath.Join(k.core.opts.Root, "work", k.name) }

// Token is what the component's process authenticates with. After ForgetTokens
// it is a new one.
func (k *Component) Token() string {
	k.core.mu.Lock()
	defer k.core.mu.Unlock()
	return k.core.token(k)
}

// Environ is the environment of the component's process: what a real core
// sets, what the recipe sets, and of the caller's own what neither does.
func (k *Component) Environ() []string {
	c := k.core
	socket := filepath.Join(c.opts.Root, c.dialect.socket)
	set := map[string]string{
		"SVCUID":                            k.Token(),
		"AWS_CONTAINER_AUTHORIZATION_TOKEN": k.Token(),
		"AWS_GG_NUCLEUS_DOMAIN_SOCKET_FILEPATH_FOR_COMPONENT": socket,
		"AWS_IOT_THING_NAME": c.opts.ThingName,
		"AWS_REGION":         c.opts.Region,
		"AWS_DEFAULT_REGION": c.opts.Region,
		"GGC_VERSION":        c.dialect.version,
		"GG_ROOT_CA_PATH":    filepath.Join(c.opts.Root, "rootCA.pem"),
	}
	// Not set by every core, thus not to be inherited either.
	unset := []string{"AWS_CONTAINER_CREDENTIALS_FULL_URI", "AWS_GG_NUCLEUS_DOMAIN_SOCKET_FILEPATH"}
	if c.opts.Nucleus == greengrass.Java {
		set["AWS_GG_NUCLEUS_DOMAIN_SOCKET_FILEPATH"] = socket
	}
	c.mu.Lock()
	for name, value := range k.setenv {
		if interpolated, ok := k.interpolate(value); ok {
			value = interpolated
		}
		set[name] = value
	}
	c.mu.Unlock()
	var environ []string
	for _, variable := range os.Environ() {
		name, _, _ := strings.Cut(variable, "=")
		if _, isSet := set[name]; !isSet && !slices.Contains(unset, name) {
			environ = append(environ, variable)
		}
	}
	for _, name := range sortedKeys(set) {
		environ = append(environ, name+"="+set[name])
	}
	return environ
}

// Setenv sets a variable for the component's processes to come, as the
// recipe's Setenv does.
func (k *Component) Setenv(name, value string) {
	k.core.mu.Lock()
	defer k.core.mu.Unlock()
	if k.setenv == nil {
		k.setenv = make(map[string]string)
	}
	k.setenv[name] = value
}
