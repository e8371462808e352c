package profile

import "strings"

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
		if d := editDistance(folded, c); d < distance && d*5 <= len(c)*2 {
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

// editDistance counts the bytes to insert, remove or replace.
func editDistance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			d := diagonal
			if a[i] != b[j] {
				d = 1 + min(diagonal, row[j], row[j+1])
			}
			diagonal, row[j+1] = row[j+1], d
		}
	}
	return row[len(b)]
}
