package effect

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/device-defender/device-defender/internal/defender/profile/profilefile"
)

const everything = `{"securityProfileName":"P",
"behaviors":[
 {"name":"Ports","metric":"aws:listening-tcp-ports","criteria":{"comparisonOperator":"in-port-set","value":{"ports":[443]}}},
 {"name":"Silent","metric":"aws:disconnect-duration","exportMetric":true,"criteria":{"comparisonOperator":"less-than-equals","value":{"count":60}}},
 {"name":"Model","metric":"aws:all-bytes-out","criteria":{"mlDetectionConfig":{"confidenceLevel":"HIGH"}}}],
"additionalMetricsToRetainV2":[{"metric":"aws:num-messages-sent"},{"metric":"aws:all-packets-out"}],
"metricsExportConfig":{"mqttTopic":"$aws/rules/x","roleArn":"arn:aws:iam::123456789012:role/R"}}`

func TestNotes(t *testing.T) {
	set, _, err := profilefile.Load([]string{"-"}, strings.NewReader(everything))
	if err != nil {
		t.Fatal(err)
	}
	p := &set.Profiles[0]
	all := []string{
		"behavior Silent is not evaluated: aws:disconnect-duration is measured in the cloud, and this service hears of no connections and messages",
		"behavior Model is not evaluated: ML Detect needs AWS's models",
		"no values of aws:num-messages-sent are kept: it is measured in the cloud, and this service hears of no connections and messages",
		"metrics are not exported: exportMetric and metricsExportConfig are kept, and this service publishes nothing",
	}
	for name, test := range map[string]struct{ without, want []string }{
		"nothing":  {nil, nil},
		"all":      {[]string{CloudSide, Export, ML}, all},
		"a model":  {[]string{ML, "something-new"}, all[1:2]},
		"export":   {[]string{Export}, all[3:]},
		"messages": {[]string{Messages}, []string{"no values of aws:num-messages-sent are kept: it is measured in the cloud, and this service hears of connections, and of no messages"}},
	} {
		if diff := cmp.Diff(test.want, Notes(p, test.without)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}
