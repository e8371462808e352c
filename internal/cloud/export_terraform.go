package cloud

import (
	"fmt"
	"strconv"
	"strings"
	"unicode"

	"github.com/device-defender/device-defender/internal/defender/profile/profilefile"
)

// Terraform returns the set as resources of the provider awscc, formatted as
// 'terraform fmt' does. The provider aws has no security profiles.
func Terraform(set *profilefile.Set) []byte {
	ids := map[string]identifiers{}
	w := &hclWriter{}
	w.WriteString(`terraform {
  required_providers {
    awscc = {
      source = "hashicorp/awscc"
    }
  }
}
`)
	for _, r := range resources(set, func(kind, name string) string {
		if ids[kind] == nil {
			ids[kind] = identifiers{}
		}
		prefix := ""
		if name != "" && !unicode.IsLetter(rune(name[0])) {
			prefix = "_"
		}
		return "awscc_iot_" + snake(kind) + "." + ids[kind].of(prefix, name, "_", isFileName)
	}) {
		kind, id, _ := strings.Cut(r.id, ".")
		fmt.Fprintf(w, "\nresource %q %q {\n", kind, id)
		w.object(r.properties, 1)
		if r.needs != nil {
			w.WriteString("\n  depends_on = [\n")
			for _, id := range r.needs {
				fmt.Fprintf(w, "    %s,\n", id)
			}
			w.WriteString("  ]\n")
		}
		w.WriteString("}\n")
	}
	return []byte(w.String())
}

// snake returns a CamelCase name in snake_case.
func snake(name string) string {
	var b strings.Builder
	for i, r := range name {
		if unicode.IsUpper(r) {
			if i > 0 {
				b.WriteByte('_')
			}
			r = unicode.ToLower(r)
		}
		b.WriteRune(r)
	}
	return b.String()
}

// hclWriter writes the values of attributes.
type hclWriter struct{ strings.Builder }

// object writes the attributes of an object or block, one a line.
func (w *hclWriter) object(o object, depth int) {
	names := make([]string, len(o))
	for i, m := range o {
		names[i] = snake(m.name)
	}
	w.attributes(o, names, depth)
}

// attributes aligns the equals signs of neighbours with a value on one line.
func (w *hclWriter) attributes(o object, names []string, depth int) {
	indent := strings.Repeat("  ", depth)
	for i := 0; i < len(o); {
		end, width := i, 0
		for ; end < len(o) && isOneLine(o[end].value); end++ {
			width = max(width, len(names[end]))
		}
		if end == i {
			end++
		}
		for ; i < end; i++ {
			fmt.Fprintf(w, "%s%-*s = ", indent, width, names[i])
			w.value(o[i].value, depth)
			w.WriteByte('\n')
		}
	}
}

func isOneLine(value any) bool {
	switch v := value.(type) {
	case object, dictionary:
		return false
	case []any:
		for _, e := range v {
			if !isOneLine(e) {
				return false
			}
		}
	}
	return true
}

func (w *hclWriter) value(value any, depth int) {
	indent := strings.Repeat("  ", depth)
	switch v := value.(type) {
	case object:
		w.WriteString("{\n")
		w.object(v, depth+1)
		w.WriteString(indent + "}")
	case dictionary:
		w.WriteString("{\n")
		names := make([]string, len(v))
		for i, m := range v {
			names[i] = hclString(m.name)
		}
		w.attributes(object(v), names, depth+1)
		w.WriteString(indent + "}")
	case []any:
		if isOneLine(v) {
			w.WriteByte('[')
			for i, e := range v {
				if i > 0 {
					w.WriteString(", ")
				}
				w.value(e, depth)
			}
			w.WriteByte(']')
			return
		}
		w.WriteString("[\n")
		for _, e := range v {
			w.WriteString(indent + "  ")
			w.value(e, depth+1)
			w.WriteString(",\n")
		}
		w.WriteString(indent + "]")
	case string:
		w.WriteString(hclString(v))
	case float64:
		w.WriteString(strconv.FormatFloat(v, 'f', -1, 64))
	default: // int64 and bool
		fmt.Fprint(w, v)
	}
}

// hclString returns a quoted template of HCL that means the text: what begins
// an interpolation or a directive, as the ${ of ${iot:ClientId}, is doubled.
func hclString(text string) string {
	var b strings.Builder
	b.WriteByte('"')
	for i, r := range text {
		switch {
		case r == '"' || r == '\\':
			b.WriteByte('\\')
			b.WriteRune(r)
		case (r == '$' || r == '%') && strings.HasPrefix(text[i+1:], "{"):
			b.WriteRune(r)
			b.WriteRune(r)
		case unicode.IsGraphic(r):
			b.WriteRune(r)
		case r > 0xffff:
			fmt.Fprintf(&b, `\U%08x`, r)
		default:
			fmt.Fprintf(&b, `\u%04x`, r)
		}
	}
	b.WriteByte('"')
	return b.String()
}
