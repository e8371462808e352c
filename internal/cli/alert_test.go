package cli

import (
	"encoding/json"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iot"

	"github.com/device-defender/device-defender/internal/defender/servicetest"
)

// anAlert is an alert as a workshop published it, as SNS puts it in a queue.
const anAlert = `{"Type":"Notification","MessageId":"1","TopicArn":"arn:aws:sns:us-east-1:123456789012:t","Subject":null,"Message":` +
	`"{\"violationEventTime\":1573786800000,\"thingName\":\"dev-IZWB\",\"behavior\":{\"criteria\":{\"consecutiveDatapointsToClear\":1,\"value\":{\"count\":10},` +
	`\"durationSeconds\":300,\"consecutiveDatapointsToAlarm\":1,\"comparisonOperator\":\"less-than\"},\"name\":\"MessagesPub\",\"metric\":\"aws:num-messages-sent\"},` +
	`\"violationEventType\":\"in-alarm\",\"metricValue\":{\"count\":54},\"violationId\":\"37e18651d207bbc74236c13faf146127\",\"securityProfileName\":\"MySecProfile\"}"}`

func TestAlertDecode(t *testing.T) {
	t.Setenv("TZ", "UTC")
	stdout, stderr, code := invoke(t, anAlert+anAlert, "alert", "decode")
	if code != 0 || strings.Count(stdout, "dev-IZWB is in alarm: MessagesPub\n") != 2 {
		t.Fatalf("%d %s%s", code, stdout, stderr)
	}
	want(t, stdout, `^  Time +2019-11-1\d \d\d:00:00 `, `^  Normal +fewer than 10 messages sent in 5 minutes$`, `^  Seen +54 messages$`,
		`^  Metric +aws:num-messages-sent$`, `^  Profile +MySecProfile$`, `^  ID +37e18651d207bbc74236c13faf146127$`)
	stdout, _, code = invoke(t, anAlert, "alert", "decode", "-o", "json")
	var details []alertDetail
	if err := json.Unmarshal([]byte(stdout), &details); err != nil || code != 0 || len(details) != 1 || details[0].Time.Unix() != 1573786800 || *details[0].Value.Count != 54 {
		t.Errorf("%+v, %v", details, err)
	}
	for _, stdin := range []string{"", "{}", "hello", strings.Repeat(" ", 7<<20)} {
		if _, stderr, code := invoke(t, stdin, "alert", "decode"); code != 1 || stderr == "" {
			t.Errorf("%.20q: %d %s", stdin, code, stderr)
		}
	}
	hostile := strings.NewReplacer("dev-IZWB", `\\u001b[2J\\u202e`, "MessagesPub", `a\\nb`).Replace(anAlert)
	if stdout, _, code := invoke(t, hostile, "alert", "decode"); code != 0 || strings.ContainsAny(stdout, "\x1b\u202e") || strings.Contains(stdout, "a\nb") {
		t.Errorf("%d %q", code, stdout)
	}
}

// The service has no topics: it's said what to do instead, and ARNs are taken
// as they are.
func TestAlertSetupOnTheService(t *testing.T) {
	w := exfiltrated(t)
	_, stderr, code := invoke(t, "", "alert", "setup", "DataExfiltrationCheck", "--sns", "security", "--endpoint-url", w.URL)
	if code != 1 || !strings.Contains(stderr, "channels in its configuration file") {
		t.Errorf("%d %s", code, stderr)
	}
	arns := []string{"alert", "setup", "DataExfiltrationCheck", "--sns", "arn:aws:sns:us-east-1:123456789012:t", "--role", "arn:aws:iam::123456789012:role/alerts"}
	if _, stderr, code := invoke(t, "", append(arns, "--endpoint-url", w.URL)...); code == 0 || !strings.Contains(stderr, "--yes") {
		t.Errorf("not asked: %d %s", code, stderr)
	}
	want(t, succeed(t, w, append(arns, "--yes")...), `^\+ set alert target of security profile DataExfiltrationCheck$`, `^note: neither the topic nor the role was looked at$`, `^done: set alert target`)
	out, err := w.IoT.DescribeSecurityProfile(t.Context(), &iot.DescribeSecurityProfileInput{SecurityProfileName: aws.String("DataExfiltrationCheck")})
	if err != nil || *out.AlertTargets["SNS"].AlertTargetArn != "arn:aws:sns:us-east-1:123456789012:t" {
		t.Errorf("%+v, %v", out, err)
	}
	want(t, succeed(t, w, append(arns, "--yes")...), `^= alert target of security profile DataExfiltrationCheck$`, `^nothing to do$`)
}

// With SNS and IAM at hand, everything is made.
func TestAlertSetup(t *testing.T) {
	w := exfiltrated(t)
	q := queryAPI(t)
	args := []string{"alert", "setup", "DataExfiltrationCheck", "--sns", "security", "--yes"}
	want(t, succeed(t, w, args...), `^\+ create topic security \(`, `^\+ create role device-defender-alerts \(`, `^\+ put policy publish-security`, `^done: set alert target`)
	if len(q.Topics) != 1 || len(q.Roles) != 1 || len(q.Policies) != 1 {
		t.Errorf("%+v", q)
	}
	want(t, succeed(t, w, args...), `^= topic security \(nobody is subscribed`, `^nothing to do$`)
}

// queryAPI serves SNS and IAM, where the SDK looks for them.
func queryAPI(t *testing.T) *servicetest.QueryAPI {
	t.Helper()
	q := servicetest.NewQueryAPI()
	server := httptest.NewServer(q)
	t.Cleanup(server.Close)
	t.Setenv("AWS_ENDPOINT_URL_SNS", server.URL)
	t.Setenv("AWS_ENDPOINT_URL_IAM", server.URL)
	return q
}
