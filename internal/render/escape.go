package render

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Longest texts that are shown, in characters. AWS's own limits are 128 for
// names and 1000 for notes; a longer one is not from AWS.
const (
	nameLimit = 128
	noteLimit = 1000
)

// Clean makes text from a device harmless: on a line of a terminal, in a
// table, on a page. What could move the cursor, change colours, break the
// line, turn the direction of writing or hide is shown as \u{...}; bytes that
// are no UTF-8 as \x...; a text of more than limit characters is cut.
func Clean(text string, limit int) string {
	var b strings.Builder
	for count := 0; len(text) > 0; count++ {
		if count == limit {
			b.WriteRune('…')
			break
		}
		r, size := utf8.DecodeRuneInString(text)
		switch {
		case r == utf8.RuneError && size == 1:
			fmt.Fprintf(&b, `\x%02x`, text[0])
		case r == ' ' || unicode.IsGraphic(r) && !unicode.IsSpace(r) && !invisible(r):
			b.WriteRune(r)
		default:
			fmt.Fprintf(&b, `\u{%x}`, r)
		}
		text = text[size:]
	}
	return b.String()
}

// invisible reports whether a graphic character leaves no ink or joins the one
// before it: marks can pile up over the lines above, fillers are blank letters.
func invisible(r rune) bool {
	switch r {
	case '\u115f', '\u1160', '\u3164', '\uffa0', '\u2800':
		return true
	}
	return unicode.Is(unicode.M, r)
}

// name cleans a name or a value.
func name(text string) string { return Clean(text, nameLimit) }

// note cleans a sentence.
func note(text string) string { return Clean(text, noteLimit) }
