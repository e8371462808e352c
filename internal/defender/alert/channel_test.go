package alert

import "testing"

func TestMasked(t *testing.T) {
	for url, want := range map[string]string{
		"https://hooks.example/services/secret?token=x": "https://hooks.example/...",
		"https://user:secret@hooks.example:8443/":       "https://hooks.example:8443",
		"https://hooks.example?token=x":                 "https://hooks.example/...",
		"http://[::1]:9":                                "http://[::1]:9",
		"secret":                                        "...",
		"http://%zz":                                    "...",
	} {
		if got := Masked(url); got != want {
			t.Errorf("%s: %s, want %s", url, got, want)
		}
	}
}

// Names are targets of the outbox, where topics are as well; nothing in them can be
// taken for one.
func TestCheck(t *testing.T) {
	for _, c := range []Channel{
		{Name: "", Type: Webhook, URL: "http://x"}, {Name: "a:b", Type: Webhook, URL: "http://x"}, {Name: "a\x00", Type: Webhook, URL: "http://x"},
		{Name: "a", Type: Webhook}, {Name: "a", Type: Webhook, URL: "file:///etc/passwd"}, {Name: "a", Type: Webhook, URL: "http://"}, {Name: "a", Type: SNS, Topic: "alarms"},
	} {
		if err := c.Check(); err == nil {
			t.Errorf("%+v is taken", c)
		}
	}
	for _, pattern := range []string{"", "[", `a\`} {
		if CheckPattern(pattern) == nil {
			t.Errorf("pattern %q is taken", pattern)
		}
	}
	for _, name := range []string{"", "Host", "Content-Length", "a b", "a:", "Webhook-Id"} {
		if CheckHeaderName(name) == nil {
			t.Errorf("header %q is taken", name)
		}
	}
	if CheckHeader("a\r\nb: c") == nil || CheckHeader("Bearer x") != nil || CheckKey("short") == nil {
		t.Error("values")
	}
}
