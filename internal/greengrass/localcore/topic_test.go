package localcore

import (
	"strings"
	"testing"
)

func TestMatchTopic(t *testing.T) {
	for _, test := range []struct {
		filter, topic string
		want          bool
	}{
		{"a/b", "a/b", true},
		{"a/b", "a/b/c", false},
		{"a/b", "a", false},
		{"a/+", "a/b", true},
		{"a/+", "a/", true},
		{"a/+", "a", false},
		{"a/+", "a/b/c", false},
		{"+/b", "a/b", true},
		{"a/+/c", "a/b/c", true},
		{"a/#", "a/b/c", true},
		{"a/#", "a", true},
		{"a/#", "ab", false},
		{"#", "a/b", true},
		{"#", "$aws/x", false},
		{"+/x", "$aws/x", false},
		{"$aws/#", "$aws/x", true},
		{"$aws/things/+/defender/metrics/json/accepted", "$aws/things/t/defender/metrics/json/accepted", true},
		{"a//b", "a//b", true},
		{"a/+/b", "a//b", true},
	} {
		if got := matchTopic(test.filter, test.topic); got != test.want {
			t.Errorf("matchTopic(%q, %q) = %v", test.filter, test.topic, got)
		}
	}
}

func TestCovers(t *testing.T) {
	for _, test := range []struct {
		filter, other string
		want          bool
	}{
		{"#", "a/#", true},
		{"a/#", "#", false},
		{"a/#", "a/#", true},
		{"a/#", "a/+/b", true},
		{"a/+", "a/+", true},
		{"a/+", "a/#", false},
		{"a/b", "a/+", false},
		{"a/+", "a/b", true},
	} {
		if got := covers(test.filter, test.other); got != test.want {
			t.Errorf("covers(%q, %q) = %v", test.filter, test.other, got)
		}
	}
}

func TestValidFilter(t *testing.T) {
	for filter, want := range map[string]bool{
		"a": true, "a/b": true, "+": true, "#": true, "a/+/b/#": true, "/": true,
		"": false, "a/#/b": false, "a#": false, "a/b+": false, "++": false, "a\x00": false,
	} {
		if got := validFilter(filter); got != want {
			t.Errorf("validFilter(%q) = %v", filter, got)
		}
	}
}

func TestCheckTopicJava(t *testing.T) {
	const slashes = "The request topic must have no more than 7 forward slashes (/)"
	long := strings.Repeat("x", 257)
	for _, test := range []struct {
		topic   string
		publish bool
		want    string // the beginning
	}{
		{"a/b", true, ""},
		{"", true, "Topic must not be empty"},
		{"a/#", true, "Publish topics must not contain wildcard characters of '#' or '+'"},
		{"a/#", false, ""},
		{"1/2/3/4/5/6/7/8", true, ""},
		{"1/2/3/4/5/6/7/8/9", true, slashes},
		{long, true, "The topic size of request must be no larger than 256 bytes"},
		{"$aws/things/1/2/3/4/5/6/7/8/9", true, ""},
		{"$aws/" + long, true, ""},
		{"$aws/a/b/" + long + long, true, "Reserved topic total length is greater than 512 bytes of UTF-8 encoded characters"},
		{"$aws/rules/r/1/2/3/4/5/6/7/8", true, ""},
		{"$aws/rules/r/1/2/3/4/5/6/7/8/9", true, slashes},
		{"$share/group/1/2/3/4/5/6/7/8", false, ""},
		{"$share/group/1/2/3/4/5/6/7/8/9", false, slashes},
		{"$share/group/1/2/3/4/5/6/7", true, slashes},
	} {
		got := checkTopicJava(test.topic, test.publish)
		if !strings.HasPrefix(got, test.want) || (got == "") != (test.want == "") {
			t.Errorf("checkTopicJava(%q, %v) = %q", test.topic, test.publish, got)
		}
	}
}

// A filter takes a topic if and only if replacing wildcards by the topic's own
// levels makes them equal.
func FuzzMatchTopic(f *testing.F) {
	for _, seed := range [][2]string{{"a/+/c", "a/b/c"}, {"a/#", "a"}, {"#", "$x"}, {"+/+", "/"}, {"a/#/b", "a/#/b"}} {
		f.Add(seed[0], seed[1])
	}
	f.Fuzz(func(t *testing.T, filter, topic string) {
		if !validFilter(filter) || hasWildcard(topic) {
			matchTopic(filter, topic)
			return
		}
		levels, want := strings.Split(topic, "/"), true
		wild := strings.Split(filter, "/")
		if strings.HasPrefix(topic, "$") && (wild[0] == "+" || wild[0] == "#") {
			want = false
		}
		for i, w := range wild {
			if w == "#" {
				levels = levels[:min(i, len(levels))]
				wild = wild[:i]
				break
			}
		}
		if len(wild) != len(levels) {
			want = false
		} else {
			for i, w := range wild {
				want = want && (w == "+" || w == levels[i])
			}
		}
		if got := matchTopic(filter, topic); got != want {
			t.Errorf("matchTopic(%q, %q) = %v, want %v", filter, topic, got, want)
		}
	})
}
