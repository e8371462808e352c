package localcore

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"unicode/utf8"

	"github.com/device-defender/device-defender/internal/greengrass"
	"github.com/device-defender/device-defender/internal/greengrass/eventrpc"
)

// accessRecipe is a component whose only mqttproxy policies have these
// resources.
func accessRecipe(resources ...string) string {
	var list strings.Builder
	for _, r := range resources {
		fmt.Fprintf(&list, "%q, ", r)
	}
	return strings.Replace(recipeYAML, `["$aws/things/example-thing/*", "agent/*"]`, "["+list.String()+"]", 1)
}

func TestAccessControl(t *testing.T) {
	for _, test := range []struct {
		resource, requested string
		java, lite          bool
	}{
		{"*", "a/b", true, true},
		{"a/*", "a/b/c", true, true},
		{"a/*", "a/", true, true},
		{"a/*", "a", false, false},
		{"a/*/c", "a/x/y/c", true, true},
		{"a/*b*/c", "a/xbx/c", true, true},
		{"a/b", "a/b", true, true},
		{"a/b", "a/bc", false, false},
		{"a/+/c", "a/b/c", true, true},
		{"a/+/c", "a/b/d/c", false, false},
		{"a/+", "a/b", true, true},
		{"+/b", "a/b", true, true},
		{"a/#", "a/b/c", true, true},
		{"a/#", "a", true, false},
		{"#", "a/b", true, true},
		{"+", "a", true, true},
		{"+", "a/b", false, false},
		// A + inside a level is literal on Java, a wildcard on lite.
		{"a+/b", "ax/b", false, true},
		{"a+/b", "a+/b", true, true},
		// The requested filter is compared as a text.
		{"agent/*", "agent/#", true, true},
		{"agent/#", "agent/#", true, true},
		{"agent/*", "#", false, false},
		{"agent/*", "+/x", false, false},
		{"agent/+/x", "agent/+/x", true, true},
		// Mixed, only the Java nucleus takes both kinds at once.
		{"*/+/c", "a/b/c", true, false},
		{"a/${*}", "a/*", true, true},
		{"a/${*}", "a/b", false, false},
		{"a/${$}x", "a/$x", true, true},
		{"$aws/things/*/defender/metrics/*", "$aws/things/t/defender/metrics/json/accepted", true, true},
		{"agent/{iot:thingName}/x", "agent/example-thing/x", false, true},
		{"agent/{iot:thingName}/x", "agent/{iot:thingName}/x", true, false},
		{"agent/{configuration:/nested/a}", "agent/x", false, true},
		{"agent/{no:such}", "agent/x", false, false},
		{"agent/{", "agent/{", true, false},
		// Regular expressions have no power here.
		{"a.c", "abc", false, false},
		{"größe/*/ü", "größe/x/ü", true, true},
		{"(a|b)", "a", false, false},
	} {
		for _, nucleus := range []greengrass.Nucleus{greengrass.Java, greengrass.Lite} {
			synctest.Test(t, func(t *testing.T) {
				c := newCore(t, Options{Nucleus: nucleus})
				p := dial(t, c, install(t, c, accessRecipe(test.resource)))
				m := p.call("SubscribeToIoTCore", fmt.Sprintf(`{"topicName":%q,"qos":"1"}`, test.requested))
				want := map[greengrass.Nucleus]bool{greengrass.Java: test.java, greengrass.Lite: test.lite}[nucleus]
				if got := m.Text(eventrpc.HeaderModelType) != "aws.greengrass#UnauthorizedError"; got != want {
					t.Errorf("%v: %q on a policy for %q allowed: %v", nucleus, test.requested, test.resource, got)
				}
			})
		}
	}
}

func TestAccessControlShapes(t *testing.T) {
	const service = "aws.greengrass.ipc.pubsub"
	good := map[string]any{"operations": []any{"*"}, "resources": []any{"*"}}
	for _, test := range []struct {
		name       string
		control    any
		java, lite bool
	}{
		{"good", map[string]any{service: map[string]any{"p": good}}, true, true},
		{"none", map[string]any{}, false, false},
		{"another service", map[string]any{"aws.greengrass.ipc.mqttproxy": map[string]any{"p": good}}, false, false},
		{"no operations", map[string]any{service: map[string]any{"p": map[string]any{"resources": []any{"*"}}}}, false, false},
		{"another operation", map[string]any{service: map[string]any{"p": map[string]any{
			"operations": []any{"aws.greengrass#SubscribeToTopic"}, "resources": []any{"*"}}}}, false, false},
		{"wrong shape elsewhere", map[string]any{"x": "y", service: map[string]any{"p": good}}, false, true},
		{"a policy that is no map first", map[string]any{service: map[string]any{"a": "x", "p": good}}, false, false},
		{"resources that are no list first", map[string]any{service: map[string]any{
			"a": map[string]any{"operations": []any{"*"}, "resources": "*"}, "p": good}}, false, true},
		{"policies over 4 KB", map[string]any{service: map[string]any{"p": good, "q": map[string]any{
			"operations": []any{"x"}, "resources": []any{strings.Repeat("x", 900), strings.Repeat("y", 900)}},
			"r": map[string]any{"operations": []any{"x"}, "resources": []any{strings.Repeat("x", 900)}},
			"s": map[string]any{"operations": []any{"x"}, "resources": []any{strings.Repeat("x", 900)}},
			"t": map[string]any{"operations": []any{"x"}, "resources": []any{strings.Repeat("x", 900)}},
		}}, true, false},
	} {
		forBoth(t, func(t *testing.T, c *Core, k *Component) {
			c.mu.Lock()
			k.config.remove([]string{"accessControl"})
			_, err := k.config.merge([]string{"accessControl"}, test.control, k.config.root.modified)
			c.mu.Unlock()
			if err != nil {
				t.Fatal(err)
			}
			m := dial(t, c, k).call("PublishToTopic", `{"topic":"a","publishMessage":{"binaryMessage":{"message":""}}}`)
			want := test.java && !c.lite() || test.lite && c.lite()
			if got := m.Type == eventrpc.ApplicationMessage; got != want {
				t.Errorf("%s: allowed: %v", test.name, got)
			}
		})
	}
}

// Policies act as soon as they are deployed.
func TestAccessControlChanges(t *testing.T) {
	forBoth(t, func(t *testing.T, c *Core, k *Component) {
		p := dial(t, c, k)
		const publish = `{"topicName":"new/x","qos":"1","payload":""}`
		message := "Not Authorized"
		if c.lite() {
			message = "IPC Operation not authorized."
		}
		p.refused("PublishToIoTCore", publish, "UnauthorizedError", message)
		policy := map[string]any{"operations": []any{"*"}, "resources": []any{"new/*"}}
		err := c.Deploy(t.Context(), k.Name(), map[string]any{
			"accessControl": map[string]any{"aws.greengrass.ipc.mqttproxy": map[string]any{"another": policy}},
		})
		if err != nil {
			t.Fatal(err)
		}
		p.succeed("PublishToIoTCore", publish)
	})
}

func TestBadResources(t *testing.T) {
	for resource, want := range map[string]bool{
		"a/*": true, "$aws/x": true, "a$": true, "${*}${?}${$}": true, "a/$/b": true,
		"a?": false, "${x}": false, "${*": false, "a${": false,
	} {
		if got := checkResource(resource) == nil; got != want {
			t.Errorf("checkResource(%q) passes: %v", resource, got)
		}
	}
	recipe, err := ParseRecipe(strings.NewReader(accessRecipe("a?")))
	if err != nil {
		t.Fatal(err)
	}
	lite := newCore(t, Options{Nucleus: greengrass.Lite})
	if _, err := lite.Install(recipe); err == nil {
		t.Error("nucleus lite installs a policy with a bare ?")
	}
	java := newCore(t, Options{})
	if _, err := java.Install(recipe); err != nil {
		t.Errorf("the Java nucleus drops the resource only: %v", err)
	}
	install(t, lite, recipeYAML)
	err = lite.Deploy(t.Context(), "com.example.agent", map[string]any{"accessControl": map[string]any{
		"s": map[string]any{"p": map[string]any{"operations": []string{"*"}, "resources": []string{"${x}"}}}}})
	if err == nil || !strings.Contains(err.Error(), "${x}") {
		t.Errorf("a bad escape deployed: %v", err)
	}
}

// The matchers bear any pattern, and a pattern without wildcards is itself.
func FuzzMatchResource(f *testing.F) {
	for _, seed := range [][2]string{{"a/*", "a/b"}, {"${*}", "*"}, {"a/#", "a"}, {"+/+", "a/b"}, {"${", "${"}, {"*a*b*", "xaxbx"}} {
		f.Add(seed[0], seed[1])
	}
	f.Fuzz(func(t *testing.T, pattern, resource string) {
		matchLiteFilter(pattern, resource)
		glob, mqtt := matchGlob(pattern, resource), matchMQTTGlob(pattern, resource)
		if glob && !mqtt && !strings.ContainsAny(pattern, "+#") {
			t.Errorf("%q on %q: the MQTT matcher is narrower", resource, pattern)
		}
		if utf8.ValidString(pattern) && utf8.ValidString(resource) && !strings.ContainsAny(pattern, "*+#$") && (glob != (pattern == resource) || mqtt != glob) {
			t.Errorf("%q on %q: %v, %v", resource, pattern, glob, mqtt)
		}
		checkResource(pattern)
	})
}
