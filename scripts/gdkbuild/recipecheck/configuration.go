package recipecheck

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/device-defender/device-defender/internal/agent"
)

const mqttproxy = "aws.greengrass.ipc.mqttproxy"

// resources are what each operation is used on: exactly the report topics and
// their replies.
var resources = map[string][]string{
	"aws.greengrass#PublishToIoTCore": {
		"$aws/things/+/defender/metrics/json", "$aws/things/+/defender/metrics/cbor",
	},
	"aws.greengrass#SubscribeToIoTCore": {
		"$aws/things/+/defender/metrics/json/accepted", "$aws/things/+/defender/metrics/json/rejected",
		"$aws/things/+/defender/metrics/cbor/accepted", "$aws/things/+/defender/metrics/cbor/rejected",
	},
}

// configuration checks the default configuration.
func (c *checker) configuration(n *yaml.Node) {
	c.keys(n, "DefaultConfiguration")
	defaults := c.required(n, "DefaultConfiguration")
	if defaults == nil {
		return
	}
	values, err := decode(defaults)
	if err != nil {
		c.fault(defaults, "DefaultConfiguration: %v", err)
		return
	}
	parser := agent.Parser{Defaults: agent.DefaultConfig(), MinInterval: agent.MinSampleInterval}
	_, problems := parser.Parse(values, parser.Defaults)
	for _, p := range problems {
		c.fault(defaults, "DefaultConfiguration: %s", p)
	}
	known := agent.ConfigurationKeys()
	for _, key := range known {
		if _, ok := values[key]; !ok {
			c.fault(defaults, "DefaultConfiguration: %s is missing", key)
		}
	}
	for key := range values {
		if key != "accessControl" && !slices.Contains(known, key) {
			c.fault(defaults, "DefaultConfiguration: %s is no key of the component", key)
		}
	}
	if control := c.required(defaults, "accessControl"); control != nil {
		c.accessControl(control)
	}
}

// decode gives a node the types that it has on its way through Greengrass.
func decode(n *yaml.Node) (values map[string]any, err error) {
	var raw map[string]any
	if err := n.Decode(&raw); err != nil {
		return nil, err
	}
	text, err := json.Marshal(raw)
	if err == nil {
		err = json.Unmarshal(text, &values)
	}
	return values, err
}

func (c *checker) accessControl(control *yaml.Node) {
	c.keys(control, mqttproxy)
	policies := c.required(control, mqttproxy)
	if policies == nil {
		return
	}
	if policies.Kind != yaml.MappingNode {
		c.fault(policies, "%s: want a map of policies", mqttproxy)
		return
	}
	granted := make(map[string][]string)
	for i := 1; i < len(policies.Content); i += 2 {
		id, policy := policies.Content[i-1], policies.Content[i]
		if !strings.HasPrefix(id.Value, c.recipe.Name+":mqttproxy:") {
			c.fault(id, "policy %s, want %s:mqttproxy:N: ids are unique on a device", id.Value, c.recipe.Name)
		}
		c.keys(policy, "policyDescription", "operations", "resources")
		for _, operation := range items(member(policy, "operations")) {
			if resources[operation.Value] == nil {
				c.fault(operation, "operation %s is not used", operation.Value)
			}
			for _, resource := range items(member(policy, "resources")) {
				granted[operation.Value] = append(granted[operation.Value], resource.Value)
				c.resource(operation.Value, resource)
			}
		}
	}
	for operation, topics := range resources {
		for _, topic := range topics {
			if !slices.Contains(granted[operation], topic) {
				c.fault(policies, "%s on %s is not allowed", operation, topic)
			}
		}
	}
}

func (c *checker) resource(operation string, n *yaml.Node) {
	switch r := n.Value; {
	case strings.Contains(r, "*") && strings.ContainsAny(r, "+#"):
		c.fault(n, "resource %s mixes * with + or #: nucleus lite takes it for one or the other", r)
	case !slices.Contains(resources[operation], r):
		c.fault(n, "resource %s is not used by %s, want %s", r, operation, fmt.Sprint(resources[operation]))
	}
}

func items(n *yaml.Node) []*yaml.Node {
	if n == nil {
		return nil
	}
	return n.Content
}
