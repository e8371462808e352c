package profile

import (
	"strings"

	"github.com/device-defender/device-defender/internal/spelling"
)

// nearest returns the candidate that was probably meant by text, "" when none
// is near: at most two letters in five differ, and three at all. Case and
// punctuation don't count.
func nearest(text string, candidates []string) string {
	best, distance := "", 4
	if len(text) > 256 {
		return ""
	}
	folded := fold(text)
	for _, candidate := range candidates {
		c := fold(candidate)
		if d := spelling.Distance(folded, c); d < distance && d*5 <= len(c)*2 {
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
