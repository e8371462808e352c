// Package spelling guesses which name was meant, by how far apart two are.
package spelling

// Distance is Levenshtein's: how many bytes to insert, remove or replace to
// make a of b. It takes time in proportion to the product of the lengths;
// callers bound those.
func Distance(a, b string) int {
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
