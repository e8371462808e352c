package cli

import (
	"context"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/device-defender/device-defender/internal/defender/servicetest"
	"github.com/device-defender/device-defender/internal/memdir"
)

// A service that has its things elsewhere knows them, and moves them there.
func TestServeRegistry(t *testing.T) {
	aws := servicetest.NewWorld(t, time.Now())
	aws.Things("core-1")
	succeed(t, aws, "group", "create", "quarantine")
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	s := newScreen()
	code := make(chan int, 1)
	go func() {
		code <- Main(ctx, []string{"serve", "--listen", "127.0.0.1:0", "--data", memdir.New(t), "--registry", "aws", "--registry-endpoint", aws.URL}, strings.NewReader(""), s, s)
	}()
	s.until(t, "without --auth on, every user of this machine can have things moved", 1)
	s.until(t, "registry read", 1)
	s.until(t, "Ctrl-C ends it", 1)
	t.Setenv("AWS_ENDPOINT_URL_IOT", regexp.MustCompile(`listening on (http://[0-9.:]+)`).FindStringSubmatch(s.String())[1])
	for _, test := range []struct {
		args string
		code int
		says string
	}{
		{"thing list", 0, "core-1"},
		{"group add quarantine core-1", 0, "core-1 is in quarantine"},
		{"group add nosuch core-1", 1, "ResourceNotFoundException: Thing group nosuch not found"},
		{"thing show core-1", 0, "quarantine"},
		{"thing delete core-1 --yes", 1, "change them there"},
		{"group create another", 1, "Things and groups are those of " + aws.URL + ": change them there"},
	} {
		stdout, stderr, code := invoke(t, "", strings.Fields(test.args)...)
		if code != test.code || !strings.Contains(stdout+stderr, test.says) {
			t.Errorf("%s: %d %s%s, want %d %s", test.args, code, stdout, stderr, test.code, test.says)
		}
	}
	if groups := groupsOf(t, aws, "core-1"); len(groups) != 1 {
		t.Errorf("in the registry core-1 is in %s", groups)
	}
	cancel()
	if c := <-code; c != 0 {
		t.Errorf("exit code %d: %s", c, s)
	}
}

func TestServeRegistryFlags(t *testing.T) {
	for _, test := range []struct {
		args string
		says string
	}{
		{"--registry nosuch", "want local or aws"},
		{"--registry-endpoint http://127.0.0.1:1", "are for --registry aws"},
		{"--registry aws --registry-endpoint nowhere", "--registry-endpoint: endpoint"},
		{"--registry aws --registry-endpoint http://localhost:8787", "is this service itself"},
	} {
		_, stderr, code := invoke(t, "", append([]string{"serve", "--data", memdir.New(t)}, strings.Fields(test.args)...)...)
		if code != 2 || !strings.Contains(stderr, test.says) {
			t.Errorf("%s: %d %s", test.args, code, stderr)
		}
	}
}

// The endpoint that a service's clients use is not that of its registry.
func TestIsListener(t *testing.T) {
	for _, test := range []struct {
		endpoint, listen string
		want             bool
	}{
		{"http://127.0.0.1:8787", "127.0.0.1:8787", true},
		{"http://localhost:8787/", "127.0.0.1:8787", true},
		{"http://[::1]:8787", "0.0.0.0:8787", true},
		{"https://defender.example:8443", "defender.example:8443", true},
		{"https://localhost", ":443", true},
		{"https://defender.example:8443", "0.0.0.0:8443", false},
		{"http://127.0.0.1:5000", "127.0.0.1:8787", false},
		{"https://iot.eu-west-1.amazonaws.com", "0.0.0.0:443", false},
	} {
		if got := isListener(test.endpoint, test.listen); got != test.want {
			t.Errorf("%s at %s: %t", test.endpoint, test.listen, got)
		}
	}
}
