package cli

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/jedib0t/go-pretty/v6/text"
	"github.com/spf13/cobra"

	"github.com/device-defender/device-defender/internal/defender/profile"
	"github.com/device-defender/device-defender/internal/render"
)

// showProblems writes what is wrong with documents to stderr, and returns an
// error when any of it is one.
func showProblems(cmd *cobra.Command, problems []profile.Problem) error {
	w := cmd.ErrOrStderr()
	if err := newSources(nil).write(w, problems); err != nil {
		return err
	}
	if n := countSeverity(problems, profile.Error); n > 0 {
		return fmt.Errorf("%s in the files", countOf(n, "error", "errors"))
	}
	return nil
}

// summary counts the problems, as "1 error, 2 warnings".
func summary(problems []profile.Problem) string {
	var parts []string
	if n := countSeverity(problems, profile.Error); n > 0 {
		parts = append(parts, countOf(n, "error", "errors"))
	}
	if n := countSeverity(problems, profile.Warning); n > 0 {
		parts = append(parts, countOf(n, "warning", "warnings"))
	}
	return strings.Join(parts, ", ")
}

func countSeverity(problems []profile.Problem, s profile.Severity) (n int) {
	for _, p := range problems {
		if p.Severity == s {
			n++
		}
	}
	return n
}

// sources are the files that problems are in, to show the lines.
type sources struct {
	lines map[string][]string
}

// newSources takes what was read of the standard input, which is file "-".
func newSources(stdin []byte) *sources {
	return &sources{map[string][]string{"-": splitLines(stdin)}}
}

func splitLines(data []byte) []string {
	data = bytes.ReplaceAll(data, []byte("\r\n"), []byte("\n"))
	return strings.Split(string(data), "\n")
}

// mostSource is the longest file that lines are shown of. A document has 1 MB.
const mostSource = 1 << 20

// line returns a line of a file, "" when it cannot be had.
func (s *sources) line(file string, number int) string {
	lines, ok := s.lines[file]
	if !ok {
		if f, err := os.Open(file); err == nil {
			data, err := io.ReadAll(io.LimitReader(f, mostSource))
			f.Close()
			if err == nil {
				lines = splitLines(bytes.TrimPrefix(data, []byte("\ufeff")))
			}
		}
		s.lines[file] = lines
	}
	if number < 1 || number > len(lines) {
		return ""
	}
	return lines[number-1]
}

// write writes the problems as a compiler does: where and what in one line,
// which editors and grep understand, then the line itself, and what would be
// right.
func (s *sources) write(w io.Writer, problems []profile.Problem) error {
	c := colorsOf(w)
	var b strings.Builder
	for i, p := range problems {
		if i > 0 {
			b.WriteByte('\n')
		}
		s.problem(&b, p, c)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// mostShown is how many characters of a message are shown; profile cuts its
// own before.
const mostShown = 2000

func (s *sources) problem(b *strings.Builder, p profile.Problem, c colors) {
	clean := func(t string) string { return render.Clean(t, mostShown) }
	where := ""
	if p.File != "" {
		where = clean(p.File) + ": "
		if p.Line > 0 {
			where = fmt.Sprintf("%s:%d:%d: ", clean(p.File), p.Line, p.Column)
		}
	}
	severity := yellow
	if p.Severity == profile.Error {
		severity = red
	}
	fmt.Fprintf(b, "%s%s %s %s\n", c.paint(bold, where), c.paint(severity, p.Severity.String()+":"), clean(p.Message), c.paint(faint, "["+clean(p.Rule)+"]"))
	number := ""
	// A bracket alone is where a document begins that something is missing of.
	if line, offset := excerpt(s.line(p.File, p.Line), p.Column); strings.Trim(line, " []{}") != "" {
		number = fmt.Sprint(p.Line)
		fmt.Fprintf(b, "  %s\n", c.paint(faint, number+" | ")+line)
		fmt.Fprintf(b, "  %s\n", c.paint(faint, strings.Repeat(" ", len(number))+" | ")+strings.Repeat(" ", offset)+c.paint(severity, "^"))
	}
	if p.Path != "" {
		fmt.Fprintf(b, "  %s %s\n", c.paint(faint, "at  "), clean(p.Path))
	}
	if p.Want != "" {
		fmt.Fprintf(b, "  %s %s\n", c.paint(faint, "want"), c.paint(green, clean(p.Want)))
	}
}

// excerpt returns what of a line to show, and how far in it the column is: the
// character, counted from 1. Of a long line the part around it is shown.
func excerpt(line string, column int) (shown string, offset int) {
	const before, most = 40, 100
	runes := []rune(line)
	if column < 1 || column > len(runes)+1 {
		return "", 0
	}
	at := column - 1
	start := 0
	if len(runes) > most {
		start = max(0, min(at-before, len(runes)-most))
	}
	end := min(start+most, len(runes))
	left, right := "", ""
	if start > 0 {
		left = "…"
	}
	if end < len(runes) {
		right = "…"
	}
	clean := func(r []rune) string {
		return render.Clean(strings.ReplaceAll(string(r), "\t", "    "), 8*most)
	}
	prefix := left + clean(runes[start:at])
	return prefix + clean(runes[at:end]) + right, text.StringWidthWithoutEscSequences(prefix)
}

// problemRow is a problem for programs.
type problemRow struct {
	File     string `json:"file"`
	Line     int    `json:"line"`
	Column   int    `json:"column"`
	Path     string `json:"path"`
	Severity string `json:"severity"` // error or warning
	Rule     string `json:"rule"`
	Message  string `json:"message"`
	Want     string `json:"want,omitempty"`
}

func problemRows(problems []profile.Problem) []problemRow {
	rows := make([]problemRow, len(problems))
	for i, p := range problems {
		rows[i] = problemRow{p.File, p.Line, p.Column, p.Path, p.Severity.String(), p.Rule, p.Message, p.Want}
	}
	return rows
}

// filesOf returns how many files have problems.
func filesOf(problems []profile.Problem) int {
	var files []string
	for _, p := range problems {
		if !slices.Contains(files, p.File) {
			files = append(files, p.File)
		}
	}
	return len(files)
}
