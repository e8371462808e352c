package localcore

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/device-defender/device-defender/internal/greengrass"
)

// maxPolicyBytes is what nucleus lite can decode of one service's policies
// (ipc_authz.c).
const maxPolicyBytes = 4_096

// authorized reports whether the component's access control allows the
// request's operation on a resource: a topic or filter, compared as it is.
func (r *request) authorized(service, resource string) bool {
	c, k := r.core, r.component()
	switch {
	case c.noConfigDaemon(), // ggl_ipc_auth fails as it does for want of a policy
		c.lite() && checkResource(resource) != nil,
		!c.lite() && resource == "":
		return false
	}
	control, _ := k.config.get([]string{"accessControl"})
	if !c.lite() && checkAccessControl(control) != nil {
		return false
	}
	services, _ := control.(map[string]any)
	policies, _ := services[service].(map[string]any)
	if c.lite() {
		if b, err := c.encode(policies); err != nil || len(b) > maxPolicyBytes {
			return false
		}
	}
	for _, id := range sortedKeys(policies) {
		policy, ok := policies[id].(map[string]any)
		if !ok {
			return false
		}
		operations, okOperations := stringList(policy["operations"])
		resources, okResources := stringList(policy["resources"])
		if !okOperations || !okResources || !slices.Contains(operations, "*") && !slices.Contains(operations, r.operation) {
			continue
		}
		if slices.ContainsFunc(resources, func(pattern string) bool { return r.matches(service, pattern, resource) }) {
			return true
		}
	}
	return false
}

// matches reports whether one resource of a policy allows the requested one.
func (r *request) matches(service, pattern, resource string) bool {
	if r.core.lite() {
		pattern, ok := r.component().interpolate(pattern)
		return ok && (matchGlob(pattern, resource) || service == mqttproxy && matchLiteFilter(pattern, resource))
	}
	if checkResource(pattern) != nil {
		return false // dropped when it was read
	}
	if service == mqttproxy {
		return matchMQTTGlob(pattern, resource)
	}
	return matchGlob(pattern, resource)
}

// unauthorized is the Java nucleus' refusal (AuthorizationHandler.java).
func (r *request) unauthorized(service, resource string) *refusal {
	if resource == "" {
		return refuse(greengrass.UnauthorizedError, "Resource cannot be empty")
	}
	return refuse(greengrass.UnauthorizedError, fmt.Sprintf("Principal %s is not authorized to perform %s:%s on resource %s",
		r.component().name, service, r.operation, resource))
}

// matchGlob matches a pattern in which * stands for any text, slashes too, and
// ${c} for the character c.
func matchGlob(pattern, resource string) bool {
	return compileResource(pattern, false).MatchString(resource)
}

// matchMQTTGlob is matchGlob with the MQTT wildcards where they are valid, as
// the Java nucleus' WildcardTrie has it: a/# takes a, too.
func matchMQTTGlob(pattern, resource string) bool {
	return compileResource(pattern, true).MatchString(resource)
}

// compileResource returns the regular expression of a policy's resource, which
// matches in linear time.
func compileResource(pattern string, mqtt bool) *regexp.Regexp {
	pattern = strings.ToValidUTF8(pattern, "\uFFFD")
	var re strings.Builder
	re.WriteString(`(?s)\A`)
	for i := 0; i < len(pattern); {
		rest := pattern[i:]
		wholeLevel := i == 0 || pattern[i-1] == '/'
		switch {
		case escape(rest) != "":
			re.WriteString(regexp.QuoteMeta(escape(rest)))
			i += len("${}") + len(escape(rest))
			continue
		case rest[0] == '*':
			re.WriteString(`.*`)
		case mqtt && rest == "/#":
			re.WriteString(`(?:/.*)?`)
			i++
		case mqtt && rest == "#" && wholeLevel:
			re.WriteString(`.*`)
		case mqtt && rest[0] == '+' && wholeLevel && (len(rest) == 1 || rest[1] == '/'):
			re.WriteString(`[^/]*`)
		default:
			_, size := utf8.DecodeRuneInString(rest)
			re.WriteString(regexp.QuoteMeta(rest[:size]))
			i += size - 1
		}
		i++
	}
	re.WriteString(`\z`)
	return regexp.MustCompile(re.String())
}

// escape returns what an escape ${c} at the beginning of s stands for, or "".
func escape(s string) string {
	inner, ok := strings.CutPrefix(s, "${")
	if end := strings.IndexByte(inner, '}'); ok && end > 0 {
		return inner[:end]
	}
	return ""
}

// matchLiteFilter is nucleus lite's match of MQTT wildcards (mqttproxy.c): + is
// not bound to a whole level, # takes any rest, and a/# does not take a.
func matchLiteFilter(filter, resource string) bool {
	for i := range len(filter) {
		switch {
		case filter[i] == '+':
			end := strings.IndexByte(resource, '/')
			if end < 0 {
				end = len(resource)
			}
			resource = resource[end:]
		case filter[i] == '#':
			return true
		case resource == "" || filter[i] != resource[0]:
			return false
		default:
			resource = resource[1:]
		}
	}
	return resource == ""
}

// interpolate replaces the recipe variables of a policy's resource, as nucleus
// lite does at each call. It reports false for one that has no value.
func (k *Component) interpolate(resource string) (string, bool) {
	var out strings.Builder
	for {
		before, after, found := strings.Cut(resource, "{")
		out.WriteString(before)
		if !found {
			return out.String(), true
		}
		if strings.HasSuffix(before, "$") { // an escape, the matcher's
			out.WriteByte('{')
			resource = after
			continue
		}
		variable, rest, closed := strings.Cut(after, "}")
		value, ok := k.variable(variable)
		if !closed || !ok {
			return "", false
		}
		out.WriteString(value)
		resource = rest
	}
}

// variable is the value of a recipe variable.
func (k *Component) variable(name string) (string, bool) {
	switch name {
	case "iot:thingName":
		return k.core.opts.ThingName, true
	case "kernel:rootPath":
		return k.core.opts.Root, true
	case "work:path":
		return k.WorkDir(), true
	}
	pointer, ok := strings.CutPrefix(name, "configuration:/")
	if !ok {
		return "", false
	}
	value, ok := k.config.get(strings.Split(pointer, "/"))
	if text, isText := value.(string); isText {
		return text, ok
	}
	b, err := k.core.encode(k.core.spell(value))
	return string(b), ok && err == nil
}

// checkResource refuses what no nucleus takes as a policy's resource: ? without
// an escape, and escapes other than ${*}, ${?} and ${$}.
func checkResource(resource string) error {
	for rest := resource; ; {
		i := strings.IndexAny(rest, "?$")
		switch {
		case i < 0:
			return nil
		case rest[i] == '?':
			return fmt.Errorf("access control resource %q: ? must be written ${?}", resource)
		case strings.HasPrefix(rest[i:], "${*}"), strings.HasPrefix(rest[i:], "${?}"), strings.HasPrefix(rest[i:], "${$}"):
			i += len("${*}") - 1
		case strings.HasPrefix(rest[i:], "${"):
			return fmt.Errorf("access control resource %q: the escapes are ${*}, ${?} and ${$}", resource)
		}
		rest = rest[i+1:]
	}
}

// checkResources refuses access control with a bad resource, as nucleus lite
// refuses the deployment that carries it.
func checkResources(control any) error {
	services, _ := control.(map[string]any)
	for _, service := range services {
		policies, _ := service.(map[string]any)
		for _, policy := range policies {
			policy, _ := policy.(map[string]any)
			resources, _ := policy["resources"].([]any)
			for _, resource := range resources {
				if s, ok := resource.(string); ok {
					if err := checkResource(s); err != nil {
						return err
					}
				}
			}
		}
	}
	return nil
}

// checkAccessControl reports a shape for which the Java nucleus drops all of a
// component's policies (AuthorizationPolicyParser.java).
func checkAccessControl(control any) error {
	wrong := errors.New("access control is not services of policies with lists of operations and resources")
	services, ok := control.(map[string]any)
	if !ok {
		return wrong
	}
	for _, service := range services {
		policies, ok := service.(map[string]any)
		if !ok {
			return wrong
		}
		for _, policy := range policies {
			policy, ok := policy.(map[string]any)
			if !ok {
				return wrong
			}
			for _, list := range []any{policy["operations"], policy["resources"]} {
				if _, ok := stringList(list); !ok && list != nil {
					return wrong
				}
			}
		}
	}
	return nil
}

func stringList(v any) ([]string, bool) {
	list, ok := v.([]any)
	texts := make([]string, len(list))
	for i, e := range list {
		if texts[i], ok = e.(string); !ok {
			return nil, false
		}
	}
	return texts, ok
}
