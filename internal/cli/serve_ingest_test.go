package cli

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// What is wrong with the flags of sources is said before anything is opened, and without secrets.
func TestServeRefusesSources(t *testing.T) {
	empty := filepath.Join(t.TempDir(), "empty")
	if err := os.WriteFile(empty, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		args []string
		want string
		code int
	}{
		{[]string{"--queue", "reports"}, "is not a URL such as https://sqs.", 2},
		{[]string{"--queue", "http://sqs.eu-central-1.amazonaws.com/123456789012/q"}, "want https", 2},
		{[]string{"--subscribe", "mqtt://broker.example"}, "want mqtts", 2},
		{[]string{"--subscribe", "mqtts://a:secret@broker.example"}, "do not belong on a command line", 2},
		{[]string{"--subscribe-replies"}, "want --subscribe", 2},
		{[]string{"--subscribe", "mqtts://broker.example", "--subscribe-ca", "/nowhere"}, "authorities", 1},
		{[]string{"--rule-accounts", "123456789012"}, "wants a secret", 2},
		{[]string{"--rule-secret-file", empty}, "is empty", 1},
		{[]string{"--rule-secret-file", "/nowhere"}, "--rule-secret-file", 1},
	} {
		args := append([]string{"serve", "--listen", "127.0.0.1:0", "--data", t.TempDir()}, test.args...)
		_, stderr, code := invoke(t, "", args...)
		if code != test.code || !strings.Contains(stderr, test.want) || strings.Contains(stderr, "secret@") {
			t.Errorf("%q: %d %s", test.args, code, stderr)
		}
	}
}

// The service has no rules, and it is said where they are.
func TestIngestOnTheService(t *testing.T) {
	w := exfiltrated(t)
	for _, command := range []string{"setup", "check"} {
		_, stderr, code := invoke(t, "", "ingest", command, "--endpoint-url", w.URL)
		if code != 1 || !strings.Contains(stderr, "has no rules and queues") {
			t.Errorf("%s: %d %s", command, code, stderr)
		}
	}
	if _, stderr, code := invoke(t, "", "ingest", "setup", "--core", "a/b"); code != 2 || !strings.Contains(stderr, "--core") {
		t.Errorf("%d %s", code, stderr)
	}
}
