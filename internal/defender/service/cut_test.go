package service

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iot/types"
	"github.com/google/go-cmp/cmp"
)

// connected is a report with connections to addresses, of a stated total.
func connected(total int, addresses ...string) string {
	entries := make([]string, len(addresses))
	for i, a := range addresses {
		entries[i] = fmt.Sprintf(`{"remote_addr":"%s:443"}`, a)
	}
	return fmt.Sprintf(`"tcp_connections":{"established_connections":{"connections":[%s],"total":%d}}`, strings.Join(entries, ","), total)
}

// loopback are n addresses of connections that anybody on the device may open.
func loopback(n int) (list []string) {
	for i := range n {
		list = append(list, fmt.Sprintf("127.0.%d.%d", i/250, 1+i%250))
	}
	return list
}

// Whoever floods the list of connections with more of them than the agent lists
// does not end the alarm of the one that matters: also when the service is
// restarted in between.
func TestCutListNeverClears(t *testing.T) {
	b := newBench(t, Options{})
	b.attach(profileOf("Destinations", types.Behavior{
		Name: aws.String("Known"), Metric: aws.String("aws:destination-ip-addresses"),
		Criteria: &types.BehaviorCriteria{
			ComparisonOperator: types.ComparisonOperatorInCidrSet, Value: &types.MetricValue{Cidrs: []string{"127.0.0.0/8", "10.0.0.0/8"}},
			ConsecutiveDatapointsToClear: aws.Int32(2),
		},
	}))
	for i, step := range []struct {
		metrics string
		active  int
	}{
		{connected(1240, loopback(250)...), 0},                         // nothing is known to be wrong
		{connected(1240, append(loopback(249), "203.0.113.66")...), 1}, // a cut list may raise an alarm
		{connected(1240, loopback(250)...), 1},                         // and does not clear it
		{connected(1240), 1},                                           // nor does an empty one
		{connected(2, "127.0.0.1", "10.0.0.1"), 1},                     // a whole list is the first of two that do
		{connected(251, loopback(250)...), 1},                          // what comes between does not count
		{connected(2, "127.0.0.1", "127.0.0.1"), 0},                    // and so this is the second
		{connected(3, "127.0.0.1", "203.0.113.66"), 1},
	} {
		b.reports("thing-1", step.metrics)
		b.after(300 * time.Second)
		if i%2 == 0 {
			b.restart()
		}
		if got := len(b.active()); got != step.active {
			t.Errorf("after report %d: %d active violations, want %d", i+1, got, step.active)
		}
	}
	b.wantHistory("35m0s thing-1 Known in-alarm", "30m0s thing-1 Known alarm-cleared", "5m0s thing-1 Known in-alarm")
}

// ListMetricValues says which lists are cut, in a member that AWS's clients pass
// over: the SDK of this test reads the values as any others.
func TestListMetricValuesOfCutLists(t *testing.T) {
	b := newBench(t, Options{})
	b.attach(profileOf("Ports", onlyPort(22)))
	b.reports("thing-1", ports(22))
	b.after(300 * time.Second)
	b.reports("thing-1", `"listening_tcp_ports":{"ports":[{"port":22,"interface":"lo"},{"port":22,"interface":"eth0"}],"total":9}`)
	b.wantValues("thing-1", "aws:listening-tcp-ports", "5m0s [22] [] [] []", "0s [22] [] [] []")
	at := func(d time.Duration) string { return start.Add(d).Format(time.RFC3339) }
	response, err := http.Get(b.url + "/metric-values?thingName=thing-1&metricName=aws:listening-tcp-ports&startTime=" + at(-time.Hour) + "&endTime=" + at(time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	want := fmt.Sprintf(`{"metricDatumList":[{"timestamp":%d,"value":{"ports":[22]},"cut":{"listed":2,"total":9}},{"timestamp":%d,"value":{"ports":[22]}}]}`,
		start.Add(5*time.Minute).Unix(), start.Unix())
	if d := cmp.Diff(normal(t, want), normal(t, string(body))); d != "" {
		t.Error(d)
	}
}
