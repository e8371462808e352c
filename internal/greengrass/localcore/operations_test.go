package localcore

import (
	"strings"
	"testing"
	"testing/synctest"
)

func TestPutComponentMetricIsForAWS(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCore(t, Options{})
		aws := install(t, c, strings.ReplaceAll(recipeYAML, "com.example.agent", "aws.example"))
		dial(t, c, aws).succeed("PutComponentMetric", `{"metrics":[]}`)
	})
}
