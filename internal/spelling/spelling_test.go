package spelling

import (
	"strings"
	"testing"
)

func TestDistance(t *testing.T) {
	for _, test := range []struct {
		a, b string
		want int
	}{
		{"", "", 0}, {"abc", "abc", 0}, {"", "abc", 3}, {"abc", "", 3},
		{"kitten", "sitting", 3}, {"saturday", "sunday", 3}, {"count", "counts", 1}, {"ab", "ba", 2},
	} {
		if got := Distance(test.a, test.b); got != test.want {
			t.Errorf("Distance(%q, %q) = %d, want %d", test.a, test.b, got, test.want)
		}
	}
}

func TestSuggest(t *testing.T) {
	names := []string{"aws:all-bytes-out", "aws:all-bytes-in", "aws:num-disconnects"}
	for text, want := range map[string]string{
		"aws:all-bytes-uot":       `"aws:all-bytes-out"`,
		"AWS:all_bytes_in":        `"aws:all-bytes-in"`,
		"aws:cpu":                 "aws:all-bytes-out, aws:all-bytes-in or aws:num-disconnects",
		strings.Repeat("a", 1000): "aws:all-bytes-out, aws:all-bytes-in or aws:num-disconnects",
	} {
		if got := Suggest(text, names); got != want {
			t.Errorf("%.40s: %s, want %s", text, got, want)
		}
	}
}
