package cli

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// posted is what a receiver got.
type posted struct {
	path   string
	header http.Header
	body   string
}

// TestServeChannels runs the service as its configuration file says, has two things
// misbehave, and looks at what arrives. The signature is checked as the specification
// Standard Webhooks says, without code of the sender.
func TestServeChannels(t *testing.T) {
	got := make(chan posted, 20)
	receiver := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		got <- posted{r.URL.Path, r.Header, string(body)}
		if r.URL.Path == "/broken" {
			http.Redirect(w, r, "/elsewhere", http.StatusTemporaryRedirect)
		}
	}))
	defer receiver.Close()
	folder := t.TempDir()
	secret := "whsec_" + base64.StdEncoding.EncodeToString([]byte("0123456789abcdef0123456789abcdef"))
	for name, content := range map[string]string{
		"secret": secret + "\n",
		"defender.yaml": `
listen: 127.0.0.1:0
data: ` + folder + `/data
interval: 1ms
channels:
  siem: {type: webhook, url: {env: RECEIVER}, secret: {file: secret}, headers: {X-Team: blue}}
  team: {type: slack, url: "` + receiver.URL + `/team", group: 1s, only: {events: in-alarm}}
  never: {type: ocsf, url: "` + receiver.URL + `/never", only: {things: pump-*}}
  broken: {type: teams, url: "` + receiver.URL + `/broken", only: {things: none}}
`,
	} {
		if err := os.WriteFile(filepath.Join(folder, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("RECEIVER", receiver.URL+"/siem")
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	s := newScreen()
	ended := make(chan int, 1)
	go func() {
		ended <- Main(ctx, []string{"serve", "--config", filepath.Join(folder, "defender.yaml")}, strings.NewReader(""), s, s)
	}()
	s.until(t, "listening on http://", 1)
	url := regexp.MustCompile(`listening on (http://127\.0\.0\.1:\d+)`).FindStringSubmatch(s.String())[1]

	profile := filepath.Join(folder, "ports.json")
	text := `{"securityProfileName":"Ports","behaviors":[{"name":"NoTelnet","metric":"aws:listening-tcp-ports","criteria":{"comparisonOperator":"not-in-port-set","value":{"ports":[23]}}}],"targets":["all/things"]`
	write := func(more string) {
		t.Helper()
		if err := os.WriteFile(profile, []byte(text+more+"}"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(`,"alertTargets":{"SNS":{"alertTargetArn":"arn:aws:sns:eu-west-1:123456789012:alarms","roleArn":"arn:aws:iam::123456789012:role/alerts"}}`)
	if _, stderr, code := invoke(t, "", "profile", "apply", "--yes", profile, "--endpoint-url", url); code != 1 || !strings.Contains(stderr, "--sns arn:aws:sns:eu-west-1:123456789012:alarms") {
		t.Errorf("a topic that is not allowed: %d %s", code, stderr)
	}
	write("")
	if _, stderr, code := invoke(t, "", "profile", "apply", "--yes", profile, "--endpoint-url", url); code != 0 {
		t.Fatalf("%d %s", code, stderr)
	}
	for _, thing := range []string{"gateway-1", "gateway-2"} {
		response, err := http.Post(url+"/things/"+thing+"/defender/metrics/json", "application/json",
			strings.NewReader(`{"header":{"report_id":1,"version":"1.0"},"metrics":{"listening_tcp_ports":{"ports":[{"port":23}],"total":1}}}`))
		if err != nil {
			t.Fatal(err)
		}
		response.Body.Close()
	}
	byPath := map[string][]posted{}
	for range 3 { // one of each thing, and one of both
		p := <-got
		byPath[p.path] = append(byPath[p.path], p)
	}
	if len(byPath["/siem"]) != 2 || len(byPath["/team"]) != 1 {
		t.Fatalf("%v", byPath)
	}
	if body := byPath["/team"][0].body; !strings.Contains(body, "2 things are in alarm: NoTelnet") || !strings.Contains(body, "gateway-") {
		t.Errorf("team: %s", body)
	}
	for _, p := range byPath["/siem"] {
		key, _ := base64.StdEncoding.DecodeString(strings.TrimPrefix(secret, "whsec_"))
		mac := hmac.New(sha256.New, key)
		fmt.Fprintf(mac, "%s.%s.%s", p.header.Get("webhook-id"), p.header.Get("webhook-timestamp"), p.body)
		if want := "v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil)); p.header.Get("webhook-signature") != want {
			t.Errorf("signature %q, want %q", p.header.Get("webhook-signature"), want)
		}
		var alert struct {
			Type string `json:"violationEventType"`
		}
		if err := json.Unmarshal([]byte(p.body), &alert); err != nil || alert.Type != "in-alarm" || p.header.Get("X-Team") != "blue" {
			t.Errorf("%s, %v, %v", p.body, err, p.header)
		}
	}

	// A test goes at once, whatever the filter, and says what came of it.
	stdout, stderr, code := invoke(t, "", "alert", "test", "never", "--endpoint-url", url)
	if code != 0 || !strings.HasPrefix(stdout, "channel never (ocsf at "+receiver.URL+"/...): delivered, it answered 200 OK") {
		t.Errorf("%d %s%s", code, stdout, stderr)
	}
	if p := <-got; p.path != "/never" || !strings.Contains(p.body, `"class_uid":2004`) || !strings.Contains(p.body, "Test: ") {
		t.Errorf("%+v", p)
	}
	stdout, stderr, code = invoke(t, "", "alert", "test", "broken", "--endpoint-url", url)
	if code != 1 || stdout != "" || !strings.Contains(stderr, "it answered 307 Temporary Redirect") {
		t.Errorf("%d %s%s", code, stdout, stderr)
	}
	<-got
	stdout, _, code = invoke(t, "", "alert", "test", "broken", "--output", "json", "--endpoint-url", url)
	if code != 1 || !strings.Contains(stdout, `"delivered": false`) {
		t.Errorf("%d %s", code, stdout)
	}
	<-got
	if _, stderr, code := invoke(t, "", "alert", "test", "none", "--endpoint-url", url); code != 1 || !strings.Contains(stderr, "there are siem, team, never, broken") {
		t.Errorf("%d %s", code, stderr)
	}
	select {
	case p := <-got:
		t.Errorf("unexpected: %+v", p)
	default:
	}
	cancel()
	if code := <-ended; code != 0 {
		t.Errorf("exit code %d", code)
	}
	if log := s.String(); strings.Contains(log, "whsec_") || strings.Contains(log, "/siem") || strings.Contains(log, "/team") {
		t.Errorf("secrets are logged:\n%s", log)
	}
}

// For a SIEM there is one finding a line, with what the schema requires.
func TestViolationListOCSF(t *testing.T) {
	w := exfiltrated(t)
	lines := strings.Split(strings.TrimSuffix(succeed(t, w, "violation", "list", "--since", "3h", "--output", "ocsf"), "\n"), "\n")
	var types []float64
	for _, line := range lines {
		var finding struct {
			Info map[string]any `json:"finding_info"`
		}
		var all map[string]any
		if err := json.Unmarshal([]byte(line), &all); err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal([]byte(line), &finding); err != nil || len(finding.Info["uid"].(string)) < 32 || finding.Info["title"] != "PacketExfiltration" {
			t.Errorf("%s: %v", line, err)
		}
		for _, required := range []string{"activity_id", "category_uid", "class_uid", "type_uid", "time", "severity_id", "metadata", "finding_info"} {
			if all[required] == nil {
				t.Errorf("%s is missing in %s", required, line)
			}
		}
		types = append(types, all["type_uid"].(float64))
		if at := time.UnixMilli(int64(all["time"].(float64))); at.Before(w.At(0)) || at.After(time.Now()) {
			t.Errorf("time %v", at)
		}
	}
	if len(types) != 2 || types[0] != 200403 || types[1] != 200401 {
		t.Errorf("types %v", types)
	}
	if text := succeed(t, w, "violation", "list", "--output", "ocsf"); text != "" {
		t.Errorf("%q", text)
	}
	if _, _, code := invoke(t, "", "metric", "values", "x", "y", "--output", "ocsf"); code != 2 {
		t.Errorf("exit code %d", code)
	}
}
