package spelling

import (
	"fmt"
	"strconv"
	"strings"
)

// Nearest returns the candidate that was probably meant by text, "" when none
// is near: at most two letters in five differ, and three at all. Case and
// punctuation don't count.
func Nearest(text string, candidates []string) string {
	best, distance := "", 4
	if len(text) > 256 {
		return ""
	}
	folded := fold(text)
	for _, candidate := range candidates {
		c := fold(candidate)
		if d := Distance(folded, c); d < distance && d*5 <= len(c)*2 {
			best, distance = candidate, d
		}
	}
	return best
}

// fold leaves what tells two names apart.
func fold(s string) string {
	return strings.Map(func(r rune) rune {
		if strings.ContainsRune("-_.: ", r) {
			return -1
		}
		return r
	}, strings.ToLower(s))
}

// Suggest returns what was probably meant, or all that there is.
func Suggest(value string, allowed []string) string {
	if meant := Nearest(value, allowed); meant != "" {
		return strconv.Quote(meant)
	}
	return Alternatives(allowed)
}

// Alternatives lists words as "a, b or c".
func Alternatives[T any](words []T) string {
	var b strings.Builder
	for i, word := range words {
		switch {
		case i > 0 && i == len(words)-1:
			b.WriteString(" or ")
		case i > 0:
			b.WriteString(", ")
		}
		fmt.Fprint(&b, word)
	}
	return b.String()
}
