package cli

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"unicode"
	"unicode/utf16"

	pretty "github.com/jedib0t/go-pretty/v6/table"
	"github.com/jedib0t/go-pretty/v6/text"
	"github.com/spf13/cobra"
	"go.yaml.in/yaml/v3"
	"golang.org/x/term"

	"github.com/device-defender/device-defender/internal/render"
	"github.com/device-defender/device-defender/internal/spelling"
)

// The rules of output:
//
//   - what was asked for goes to stdout, remarks go to stderr;
//   - --output table is for people and may change; json and yaml are for
//     programs, have the same data and keep their keys;
//   - there is colour on a terminal only, and never with NO_COLOR; nothing is
//     told by colour alone;
//   - text from files, devices and services is made harmless first: it cannot
//     move the cursor, hide, or turn the direction of writing.

// outputOptions is the flag --output.
type outputOptions struct {
	format  string
	formats []string
}

// outputFlags adds --output to a command, which may know more formats.
func outputFlags(cmd *cobra.Command, more ...string) *outputOptions {
	o := &outputOptions{format: "table", formats: append([]string{"table", "json", "yaml"}, more...)}
	cmd.Flags().VarP(o, "output", "o", "how to write the result: "+spelling.Alternatives(o.formats))
	// The error is for flags that don't exist.
	_ = cmd.RegisterFlagCompletionFunc("output", cobra.FixedCompletions(o.formats, cobra.ShellCompDirectiveNoFileComp))
	return o
}

// String, Set and Type make the options a flag's value.
func (o *outputOptions) String() string { return o.format }

func (o *outputOptions) Set(format string) error {
	if slices.Contains(o.formats, format) {
		o.format = format
		return nil
	}
	return errors.New("want " + spelling.Alternatives(o.formats))
}

func (o *outputOptions) Type() string { return "format" }

// text reports whether the output is for people.
func (o *outputOptions) text() bool { return o.format == "table" }

// write writes the value for programs or the table for people.
func (o *outputOptions) write(cmd *cobra.Command, value any, t table) error {
	var b bytes.Buffer
	switch o.format {
	case "json":
		if err := encodeJSON(&b, value, jsonEscape); err != nil {
			return err
		}
	case "yaml":
		if err := encodeYAML(&b, value); err != nil {
			return err
		}
	default:
		b.WriteString(t.render(colorsOf(cmd.OutOrStdout())))
	}
	_, err := cmd.OutOrStdout().Write(b.Bytes())
	return err
}

// encodeJSON writes indented JSON that is safe to look at.
func encodeJSON(b *bytes.Buffer, value any, escape func(rune) string) error {
	var plain bytes.Buffer
	e := json.NewEncoder(&plain)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(value); err != nil {
		return fmt.Errorf("encoding the result: %w", err)
	}
	escapeInvisible(b, plain.String(), escape)
	return nil
}

// encodeYAML writes the same data with the same keys in the same order: YAML
// is made of the JSON.
func encodeYAML(b *bytes.Buffer, value any) error {
	var flow bytes.Buffer
	if err := encodeJSON(&flow, value, yamlEscape); err != nil {
		return err
	}
	var document yaml.Node
	if err := yaml.Unmarshal(flow.Bytes(), &document); err != nil {
		return fmt.Errorf("encoding the result: %w", err)
	}
	if err := restyle(&document); err != nil {
		return fmt.Errorf("encoding the result: %w", err)
	}
	var plain bytes.Buffer
	e := yaml.NewEncoder(&plain)
	e.SetIndent(2)
	if err := e.Encode(&document); err != nil {
		return fmt.Errorf("encoding the result: %w", err)
	}
	if err := e.Close(); err != nil {
		return fmt.Errorf("encoding the result: %w", err)
	}
	escapeInvisible(b, plain.String(), yamlEscape)
	return nil
}

// restyle turns the style of JSON into that of YAML.
func restyle(n *yaml.Node) error {
	for _, child := range n.Content {
		if err := restyle(child); err != nil {
			return err
		}
	}
	switch {
	case n.Kind == yaml.MappingNode || n.Kind == yaml.SequenceNode:
		n.Style = 0
		if len(n.Content) == 0 {
			n.Style = yaml.FlowStyle
		}
	case n.Kind == yaml.ScalarNode && n.Tag == "!!str":
		if strings.ContainsFunc(n.Value, isInvisible) {
			n.Style = yaml.DoubleQuotedStyle // the only one that has escapes
			return nil
		}
		// Encode quotes what readers of YAML 1.1 take for something else.
		return n.Encode(n.Value)
	}
	return nil
}

// escapeInvisible replaces characters that a terminal may obey or not show.
// In JSON, and in YAML after restyle, they are in quoted text only.
func escapeInvisible(b *bytes.Buffer, s string, escape func(rune) string) {
	for _, r := range s {
		if r != '\n' && isInvisible(r) {
			b.WriteString(escape(r))
		} else {
			b.WriteRune(r)
		}
	}
}

func isInvisible(r rune) bool { return r != ' ' && (!unicode.IsGraphic(r) || unicode.IsSpace(r)) }

func jsonEscape(r rune) string {
	if high, low := utf16.EncodeRune(r); high != unicode.ReplacementChar {
		return fmt.Sprintf(`\u%04x\u%04x`, high, low)
	}
	return fmt.Sprintf(`\u%04x`, r)
}

func yamlEscape(r rune) string {
	if r > 0xffff {
		return fmt.Sprintf(`\U%08x`, r)
	}
	return fmt.Sprintf(`\u%04x`, r)
}

// table is a result for people.
type table struct {
	header []string
	rows   [][]string
	right  []int  // columns of numbers, from 0: aligned right
	empty  string // what to say when there are no rows
}

// mostInCell is how many characters of a text are shown in a table. AWS's own
// descriptions have 1000 at most.
const mostInCell = 1000

// mostInList is how many characters of a list of ports or targets are shown in
// a table that has other columns; 'show' and --output json have all.
const mostInList = 60

// render returns the table as lines, its texts made harmless.
func (t table) render(c colors) string {
	if len(t.rows) == 0 && t.empty != "" {
		return t.empty + "\n"
	}
	w := pretty.NewWriter()
	w.SetStyle(pretty.Style{
		Box:     pretty.BoxStyle{PaddingRight: "  "},
		Options: pretty.OptionsNoBordersAndSeparators,
	})
	var columns []pretty.ColumnConfig
	for _, i := range t.right {
		columns = append(columns, pretty.ColumnConfig{Number: i + 1, Align: text.AlignRight, AlignHeader: text.AlignRight, AlignFooter: text.AlignRight})
	}
	w.SetColumnConfigs(columns)
	row := func(cells []string) pretty.Row {
		r := make(pretty.Row, len(cells))
		for i, cell := range cells {
			r[i] = render.Clean(cell, mostInCell)
		}
		return r
	}
	w.AppendHeader(row(t.header))
	for _, cells := range t.rows {
		w.AppendRow(row(cells))
	}
	var b strings.Builder
	for i, line := range strings.Split(w.Render(), "\n") {
		line = strings.TrimRight(line, " ")
		if i == 0 {
			line = c.paint(bold, line)
		}
		b.WriteString(line + "\n")
	}
	return b.String()
}

// colors says whether to use any.
type colors bool

// style is the parameter of ANSI's SGR.
type style string

const (
	bold   style = "1"
	faint  style = "2"
	red    style = "31"
	green  style = "32"
	yellow style = "33"
	cyan   style = "36"
)

// paint returns the text in the style. The text is harmless already.
func (c colors) paint(s style, text string) string {
	if !c || text == "" {
		return text
	}
	return "\x1b[" + string(s) + "m" + text + "\x1b[0m"
}

// colorsOf reports whether what is written to w is seen in colour.
func colorsOf(w io.Writer) colors {
	return colors(isTerminal(w) && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb")
}

func isTerminal(stream any) bool {
	f, ok := stream.(interface{ Fd() uintptr })
	return ok && term.IsTerminal(int(f.Fd()))
}

// textOptions are those of a command's output, for plots and pages of text.
func textOptions(cmd *cobra.Command) render.TextOptions {
	out := cmd.OutOrStdout()
	o := render.TextOptions{Color: bool(colorsOf(out))}
	if f, ok := out.(interface{ Fd() uintptr }); ok {
		o.Width, _, _ = term.GetSize(int(f.Fd()))
	}
	return o
}
