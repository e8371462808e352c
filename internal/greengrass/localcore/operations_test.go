package localcore

import (
	"strings"
	"testing"
)

func TestOperationsForFew(t *testing.T) {
	forBoth(t, func(t *testing.T, c *Core, k *Component) {
		p := dial(t, c, k)
		if c.lite() {
			p.refused("RestartComponent", `{"componentName":"x"}`, "UnauthorizedError", "IPC Operation not authorized.")
			p.refused("PutComponentMetric", `{"metrics":[]}`, "ServiceError", "")
			return
		}
		p.refused("RestartComponent", `{"componentName":"x"}`, "ServiceError", "Operation aws.greengrass#RestartComponent is not supported by Greengrass")
		if m := p.call("ValidateAuthorizationToken", `{"token":"x"}`); !strings.Contains(string(m.Payload), "UnauthorizedError") {
			t.Errorf("answered by %s", m.Payload)
		}
		aws := install(t, c, strings.ReplaceAll(recipeYAML, "com.example.agent", "aws.example"))
		dial(t, c, aws).succeed("PutComponentMetric", `{"metrics":[]}`)
	})
}
