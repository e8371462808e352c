package greengrass

import (
	"strings"
	"testing"
)

func TestCheckTopic(t *testing.T) {
	long := func(n int) string { return strings.Repeat("x", n) }
	tests := []struct {
		topic string
		want  string // part of the error, "" for none
	}{
		{"a", ""},
		{"agent/in/x", ""},
		{"/a//b/", ""},
		{"täg/lich", ""},
		{"$aws/things/example-thing/defender/metrics/json", ""},
		{"1/2/3/4/5/6/7/8", ""},
		{"1/2/3/4/5/6/7/8/9", "8 slashes, at most 7"},
		{long(256), ""},
		{long(257), "257 bytes, at most 256"},
		{strings.Repeat("ä", 129), "258 bytes, at most 256"},
		{"$aws/things/" + long(128) + "/jobs/" + long(64) + "/a/b/c/d/e/update/accepted", ""},
		{"$aws/" + long(507), ""},
		{"$aws/" + long(508), "513 bytes, at most 512"},
		{"$aws/rules/my_rule/1/2/3/4/5/6/7/8", ""},
		{"$aws/rules/my_rule/1/2/3/4/5/6/7/8/9", "8 slashes"},
		{"$aws/rules/my_rule/" + long(256), ""},
		{"$aws/rules/my_rule/" + long(257), "257 bytes"},
		{"$aws/rules/my_rule", "want $aws/rules/RULE/TOPIC"},
		{"$aws/rules/my_rule/", "want $aws/rules/RULE/TOPIC"},
		{"$aws/rules//x", "want $aws/rules/RULE/TOPIC"},
		{"", "empty topic"},
		{"#", "wildcards"},
		{"agent/#", "wildcards"},
		{"+/x", "wildcards"},
		{"a+b", "wildcards"},
		{"a\x00b", "not UTF-8"},
		{"a\xffb", "not UTF-8"},
	}
	for _, test := range tests {
		err := CheckTopic(test.topic)
		if (err == nil) != (test.want == "") || err != nil && !strings.Contains(err.Error(), test.want) {
			t.Errorf("%.80q: got %v, want %q", test.topic, err, test.want)
		}
	}
}

func FuzzCheckTopic(f *testing.F) {
	f.Add("$aws/rules/my_rule/x")
	f.Add("agent/+/x")
	f.Fuzz(func(t *testing.T, topic string) {
		if err := CheckTopic(topic); err == nil && (topic == "" || len(topic) > 512 || strings.ContainsAny(topic, "#+\x00")) {
			t.Errorf("%q passed", topic)
		} else if err != nil && len(err.Error()) > 2_200 {
			t.Errorf("error of %d bytes", len(err.Error()))
		}
	})
}
