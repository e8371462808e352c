package cli

import (
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iot"
	"github.com/aws/aws-sdk-go-v2/service/iot/types"
	"github.com/spf13/cobra"

	"github.com/device-defender/device-defender/internal/defender/alert"
	"github.com/device-defender/device-defender/internal/defender/service"
	"github.com/device-defender/device-defender/internal/defender/servicetest"
)

// TestExamples runs each example in the help of these commands, in a world
// where what they name is there.
func TestExamples(t *testing.T) {
	for _, name := range []string{"violation", "metric", "alert", "mitigation"} {
		parent, _, err := newRoot().Find([]string{name})
		if err != nil || parent.Name() != name {
			t.Fatal(name, err)
		}
		for _, c := range parent.Commands() {
			t.Run(name+" "+c.Name(), func(t *testing.T) { runExamples(t, c) })
		}
	}
}

func runExamples(t *testing.T, c *cobra.Command) {
	lines := strings.SplitSeq(strings.TrimSpace(c.Example), "\n")
	for line := range lines {
		w, known := exampleWorld(t, c.Name() != "cancel")
		before, stdin := line, ""
		if source, after, piped := strings.Cut(line, " | "); piped {
			if !strings.HasPrefix(strings.TrimSpace(source), "aws sqs receive-message") {
				t.Fatalf("%s: what does %s write?", c.CommandPath(), source)
			}
			before, stdin = after, `{"Messages":[{"Body":`+strconv.Quote(anAlert)+`}]}`
		}
		if command, file, redirected := strings.Cut(before, " < "); redirected {
			data, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			before, stdin = command, string(data)
		}
		args := words(known.Replace(before))
		if args[0] != "defenderctl" {
			t.Fatalf("%s: example %s", c.CommandPath(), line)
		}
		args = args[1:]
		if found, _, err := newRoot().Find(args); err != nil || found.CommandPath() != c.CommandPath() {
			t.Errorf("%s is an example of %s", line, c.CommandPath())
		} else if found.Flag("endpoint-url") != nil {
			args = append(args, "--endpoint-url", w.URL)
		}
		if c.Flag("yes") != nil {
			args = append(args, "--yes")
		}
		if stdout, stderr, code := invoke(t, stdin, args...); code != 0 {
			t.Errorf("%s: exit code %d\n%s%s", line, code, stdout, stderr)
		}
	}
}

// exampleWorld has what examples name; of ids, it says which stand for them.
// The working folder has the files. Tasks are carried out if it runs.
func exampleWorld(t *testing.T, runs bool) (*servicetest.World, *strings.Replacer) {
	t.Helper()
	action, err := os.ReadFile(filepath.Join(repository, "artifacts/mitigation/quarantine-action.json"))
	if err != nil {
		t.Fatal(err)
	}
	t.Chdir(t.TempDir())
	for name, data := range map[string]string{
		"alert.json": anAlert, "actions/quarantine.json": string(action), "artifacts/mitigation/quarantine-action.json": string(action),
	} {
		if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(data), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	q := queryAPI(t)
	q.Topics["arn:aws:sns:us-east-1:123456789012:security"] = map[string]string{}
	q.Roles["alerts"] = `{"Statement":{"Effect":"Allow","Principal":{"Service":"iot.amazonaws.com"},"Action":"sts:AssumeRole"}}`

	receiver := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	t.Cleanup(receiver.Close)
	w := servicetest.NewWorld(t, time.Now().Add(-30*time.Minute).Truncate(time.Minute), func(o *service.Options) {
		o.Channels = []alert.Channel{{Name: "team", Type: alert.Slack, URL: receiver.URL, Only: alert.Filter{Things: []string{"none"}}}}
	})
	if runs {
		w.Run()
	}
	w.Things("gateway-2", "gateway-3")
	w.Profile("DataExfiltrationCheck", servicetest.PacketExfiltration(1))
	ports := types.Behavior{Name: aws.String("ForbiddenTcpPorts"), Metric: aws.String("aws:listening-tcp-ports"), Criteria: &types.BehaviorCriteria{
		ComparisonOperator: types.ComparisonOperatorNotInPortSet, Value: &types.MetricValue{Ports: []int32{22}},
	}}
	w.Profile("OpenPorts", ports)
	_, err = w.IoT.CreateCustomMetric(t.Context(), &iot.CreateCustomMetricInput{
		MetricName: aws.String("cpu_usage"), MetricType: types.CustomMetricTypeNumber, ClientRequestToken: aws.String("1"),
	})
	if err != nil {
		t.Fatal(err)
	}
	w.Report("gateway-2", 2000)
	w.Real()
	succeed(t, w, "mitigation", "apply", "actions", "--yes")
	const task = "quarantine-20261123T101500"
	succeed(t, w, "mitigation", "start", "--profile-name", "OpenPorts", "--action", "QuarantineDevice", "--task", task, "--detach")
	rows := violations(t, w)
	if len(rows) != 2 {
		t.Fatalf("%+v", rows)
	}
	return w, strings.NewReplacer("74de151f21724d91b89bcb87c1fa2c88", rows[0].ViolationID, "74de151f", rows[0].ViolationID[:10], "0a66c2d4", rows[1].ViolationID[:10])
}

// repository is the folder of this repository, wherever a test goes to.
var repository = func() string {
	folder, err := filepath.Abs("../..")
	if err != nil {
		panic(err)
	}
	return folder
}()

// words splits a command line as a shell does, with double quotes.
func words(line string) (args []string) {
	for i, part := range strings.Split(line, `"`) {
		if i%2 == 1 {
			args = append(args, part)
			continue
		}
		args = append(args, strings.Fields(part)...)
	}
	return args
}
