package report

import "fmt"

// Encoding is one of the four forms of a report. The zero value is that of
// AWS's own component: JSON with long names.
type Encoding struct {
	Format Format
	Names  Names
}

// Format is the syntax of a document.
type Format int

// The formats that have a topic.
const (
	JSON Format = iota
	CBOR
)

// String returns the format as it stands in a topic.
func (f Format) String() string {
	switch f {
	case JSON:
		return "json"
	case CBOR:
		return "cbor"
	}
	return fmt.Sprintf("format %d", int(f))
}

// ParseFormat is the inverse of [Format.String].
func ParseFormat(s string) (Format, error) {
	for _, f := range []Format{JSON, CBOR} {
		if s == f.String() {
			return f, nil
		}
	}
	return 0, fmt.Errorf("format %.64q, want json or cbor", s)
}

// Names is the spelling of a report's member names.
type Names int

// The spellings. Custom metrics have only one.
const (
	Long Names = iota
	Short
)

// String returns "long" or "short".
func (n Names) String() string {
	switch n {
	case Long:
		return "long"
	case Short:
		return "short"
	}
	return fmt.Sprintf("names %d", int(n))
}

// ParseNames is the inverse of [Names.String].
func ParseNames(s string) (Names, error) {
	for _, n := range []Names{Long, Short} {
		if s == n.String() {
			return n, nil
		}
	}
	return 0, fmt.Errorf("names %.64q, want long or short", s)
}

// shortNames is the specification's table of names.
var shortNames = map[string]string{
	"header":                  "hed",
	"report_id":               "rid",
	"version":                 "v",
	"metrics":                 "met",
	"network_stats":           "ns",
	"bytes_in":                "bi",
	"bytes_out":               "bo",
	"packets_in":              "pi",
	"packets_out":             "po",
	"tcp_connections":         "tc",
	"established_connections": "ec",
	"connections":             "cs",
	"remote_addr":             "rad",
	"local_interface":         "li",
	"local_port":              "lp",
	"listening_tcp_ports":     "tp",
	"listening_udp_ports":     "up",
	"ports":                   "pts",
	"port":                    "pt",
	"interface":               "if",
	"total":                   "t",
	"custom_metrics":          "cmet",
}

// spell returns a long name of the table in this spelling.
func (n Names) spell(long string) string {
	if n == Short {
		return shortNames[long]
	}
	return long
}

// other returns the spelling that a report in this one must not use.
func (n Names) other() Names {
	if n == Short {
		return Long
	}
	return Short
}
