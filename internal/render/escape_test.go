package render

import (
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"
)

func TestClean(t *testing.T) {
	for _, test := range []struct{ what, text, want string }{
		{"plain", "sensor-07", "sensor-07"},
		{"other scripts", "Gerät Łódź 温度 حساس", "Gerät Łódź 温度 حساس"},
		{"escape sequence", "\x1b[2J\x1b]0;title\a", `\u{1b}[2J\u{1b}]0;title\u{7}`},
		{"C1 control", "a\u009b31mb", `a\u{9b}31mb`},
		{"line breaks", "a\nb\rc\u2028d\u0085e", `a\u{a}b\u{d}c\u{2028}d\u{85}e`},
		{"tab and no-break space", "a\tb\u00a0c", `a\u{9}b\u{a0}c`},
		{"direction", "\u202egpj.exe\u2066\u200f", `\u{202e}gpj.exe\u{2066}\u{200f}`},
		{"invisible", "pay\u200bpal\ufeff\u00ad\u3164\U000e0041", `pay\u{200b}pal\u{feff}\u{ad}\u{3164}\u{e0041}`},
		{"piled marks", "e\u0301\u0301", `e\u{301}\u{301}`},
		{"not UTF-8", "a\xff\xfe\xc3", `a\xff\xfe\xc3`},
		{"a replacement character that was sent", "a\ufffd", "a\ufffd"},
		{"private use", "\ue000", `\u{e000}`},
		{"markup is not this function's concern", "<b>&", "<b>&"},
		{"empty", "", ""},
		{"as long as allowed", strings.Repeat("ä", 20), strings.Repeat("ä", 20)},
		{"too long", strings.Repeat("ä", 21), strings.Repeat("ä", 20) + "…"},
	} {
		if got := Clean(test.text, 20); got != test.want {
			t.Errorf("%s: %q, want %q", test.what, got, test.want)
		}
	}
}

// harmless fails the test for a text that could do more than be read.
func harmless(t *testing.T, text string, allowed string) {
	t.Helper()
	if !utf8.ValidString(text) {
		t.Fatalf("%q is not UTF-8", text)
	}
	for _, r := range text {
		if strings.ContainsRune(allowed, r) {
			continue
		}
		if unicode.IsControl(r) || unicode.In(r, unicode.Cf, unicode.Zl, unicode.Zp, unicode.Bidi_Control, unicode.M) {
			t.Fatalf("%q contains %U", text, r)
		}
	}
}

func FuzzClean(f *testing.F) {
	f.Add(hostile, 128)
	f.Add("\x1b[31m\u202e\xff", 3)
	f.Add("", 0)
	f.Fuzz(func(t *testing.T, text string, limit int) {
		limit = max(0, min(limit, 2000))
		got := Clean(text, limit)
		harmless(t, got, "")
		if n := utf8.RuneCountInString(got); n > limit*len(`\u{10ffff}`)+1 {
			t.Fatalf("%d characters for a limit of %d", n, limit)
		}
	})
}
