package report

import (
	"errors"
	"fmt"
	"math"
	"os"
	"strings"
	"testing"

	"github.com/fxamacker/cbor/v2"
	"github.com/google/go-cmp/cmp"
)

func TestDecodeDocumentedExamples(t *testing.T) {
	long := mustDecode(t, readTestdata(t, "aws-example-long.json"), Encoding{JSON, Long})
	if diff := cmp.Diff(awsExample(1530304554, 29358693495, 26485035, 10013573555, 11382615), long, equal); diff != "" {
		t.Errorf("long (-want +got):\n%s", diff)
	}
	short := mustDecode(t, readTestdata(t, "aws-example-short.json"), Encoding{JSON, Short})
	if diff := cmp.Diff(awsExample(1530305228, 29359307173, 26490711, 10014614051, 11387620), short, equal); diff != "" {
		t.Errorf("short (-want +got):\n%s", diff)
	}
}

func TestDecodeGreengrassComponent(t *testing.T) {
	want := &Report{
		ID: 1795384386, Version: "1.0",
		Metrics: &Metrics{
			NetworkStats: &NetworkStats{new(uint64(145893945)), new(uint64(7547455)), new(uint64(128964)), new(uint64(128085))},
			TCPConnections: &EstablishedConnections{
				Connections: []Connection{connection("127.0.0.1:8883", "lo", 39784), connection("127.0.0.1:39784", "lo", 8883)},
				Total:       new(int64(2)),
			},
			ListeningTCPPorts: &ListeningPorts{Ports: []Port{{8883, "lo"}, {2024, "0.0.0.0"}, {18830, "lo"}}, Total: new(int64(3))},
		},
		CustomMetrics: map[string]CustomMetric{"cpu_usage": {Type: Number, Number: 60}},
	}
	got := mustDecode(t, readTestdata(t, "greengrass-component-first-report.json"), Encoding{JSON, Long})
	if diff := cmp.Diff(want, got, equal); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestDecodePythonSDK(t *testing.T) {
	fromJSON := mustDecode(t, readTestdata(t, "python-sdk-scenario-long.json"), Encoding{JSON, Long})
	fromCBOR := mustDecode(t, readTestdata(t, "python-sdk-scenario-long.cbor"), Encoding{CBOR, Long})
	if diff := cmp.Diff(fromJSON, fromCBOR, equal); diff != "" {
		t.Errorf("the sample in JSON and in CBOR differ (-json +cbor):\n%s", diff)
	}
	connections := fromCBOR.Metrics.TCPConnections
	if diff := cmp.Diff(connection("[::ffff:10.9.0.1]:47750", "", 1002), connections.Connections[8], equal); diff != "" {
		t.Errorf("connection with a null interface (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(Port{Port: 1009}, fromCBOR.Metrics.ListeningTCPPorts.Ports[1]); diff != "" {
		t.Errorf("port without an interface (-want +got):\n%s", diff)
	}
	if len(connections.Connections) != 10 || *connections.Total != 10 || len(fromCBOR.Metrics.ListeningUDPPorts.Ports) != 8 {
		t.Errorf("lengths: %+v", fromCBOR.Metrics)
	}
}

func TestDecodeRefusesMixedNames(t *testing.T) {
	for name, format := range map[string]Format{"python-sdk-scenario-short-broken.json": JSON, "python-sdk-scenario-short-broken.cbor": CBOR} {
		_, enc, err := Decode(readTestdata(t, name))
		want := &InvalidError{Path: "met.tp.pts[0].port", Problem: "long name in a report with short names"}
		var got *InvalidError
		if !errors.As(err, &got) || *got != *want {
			t.Errorf("%s: error %v, want %v", name, err, want)
		}
		if enc != (Encoding{format, Short}) {
			t.Errorf("%s: encoding %v", name, enc)
		}
	}
}

// TestDecodeTakes has what other agents send and this package never writes.
func TestDecodeTakes(t *testing.T) {
	header := `{"header":{"report_id":7,"version":"1.0"},`
	report := func(m *Metrics) *Report { return &Report{ID: 7, Version: "1.0", Metrics: m} }
	tests := []struct {
		name, in string
		want     *Report
	}{
		{"white space", " \r\n\t" + header + `"metrics":{}} ` + "\n", report(&Metrics{})},
		{"custom metrics alone", header + `"custom_metrics":{"a":[{"number":-0.5}]}}`,
			&Report{ID: 7, Version: "1.0", CustomMetrics: map[string]CustomMetric{"a": {Number: -0.5}}}},
		{"no custom metrics in the block", header + `"custom_metrics":{}}`,
			&Report{ID: 7, Version: "1.0", CustomMetrics: map[string]CustomMetric{}}},
		{"members of a later minor version",
			`{"header":{"report_id":7,"version":"1.9","x":1},"later":[{}],"metrics":{"t":1,"new":null,"listening_tcp_ports":{"ports":[{"port":1,"process":"x"}],"rid":0}}}`,
			&Report{ID: 7, Version: "1.9", Metrics: &Metrics{ListeningTCPPorts: &ListeningPorts{Ports: []Port{{Port: 1}}}}}},
		{"null for what may be absent",
			header + `"custom_metrics":null,"metrics":{"network_stats":{"bytes_in":null},"tcp_connections":null,"listening_tcp_ports":{"ports":null,"total":null},"listening_udp_ports":{"ports":[{"port":1,"interface":null}]}}}`,
			report(&Metrics{NetworkStats: &NetworkStats{}, ListeningTCPPorts: &ListeningPorts{},
				ListeningUDPPorts: &ListeningPorts{Ports: []Port{{Port: 1}}}})},
		{"integers as floats", `{"header":{"report_id":7e0,"version":"1.0"},"metrics":{"network_stats":{"bytes_in":1.8e19},"listening_tcp_ports":{"ports":[{"port":22.0}],"total":1.0}}}`,
			report(&Metrics{NetworkStats: &NetworkStats{BytesIn: new(uint64(18e18))},
				ListeningTCPPorts: &ListeningPorts{Ports: []Port{{Port: 22}}, Total: new(int64(1))}})},
		{"a total beside a shorter list", header + `"metrics":{"listening_tcp_ports":{"ports":[],"total":12}}}`,
			report(&Metrics{ListeningTCPPorts: &ListeningPorts{Ports: []Port{}, Total: new(int64(12))}})},
		{"connections block without established", header + `"metrics":{"tcp_connections":{}}}`, report(&Metrics{})},
		{"escaped names", `{"\u0068eader":{"report_id":7,"version":"1\u002e0"},"metrics":{}}`, report(&Metrics{})},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got := mustDecode(t, []byte(test.in), Encoding{JSON, Long})
			if diff := cmp.Diff(test.want, got, equal); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// TestDecodeTakesCBOR has the forms of CBOR that this package never writes.
func TestDecodeTakesCBOR(t *testing.T) {
	in := "\xbf" + "\x63hed" + "\xbf\x63rid\x1b\x00\x00\x00\x00\x00\x00\x00\x07\x61v\x7f\x611\x62.0\xff\xff" + // indefinite lengths, an integer too wide
		"\x63met" + "\xa1\x62up\xa2\x63pts\x9f\xa1\x62pt\xf9\x4d\x80\xff\x61t\xfa\x3f\x80\x00\x00" + // half 22, single 1
		"\x64cmet" + "\xa1\x61n\x81\xa1\x66number\xf9\x3e\x00" + "\xff" // half 1.5
	want := &Report{
		ID: 7, Version: "1.0",
		Metrics:       &Metrics{ListeningUDPPorts: &ListeningPorts{Ports: []Port{{Port: 22}}, Total: new(int64(1))}},
		CustomMetrics: map[string]CustomMetric{"n": {Number: 1.5}},
	}
	if diff := cmp.Diff(want, mustDecode(t, []byte(in), Encoding{CBOR, Short}), equal); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestDecodeRefuses(t *testing.T) {
	header := `{"header":{"report_id":7,"version":"1.0"},`
	metrics := func(s string) string { return header + `"metrics":{` + s + `}}` }
	ports := func(s string) string { return metrics(`"listening_tcp_ports":{"ports":[` + s + `]}`) }
	connections := func(s string) string {
		return metrics(`"tcp_connections":{"established_connections":{"connections":[` + s + `]}}`)
	}
	custom := func(s string) string { return header + `"custom_metrics":{"m":` + s + `}}` }
	const connection = "metrics.tcp_connections.established_connections.connections[0]"

	tests := []struct{ in, want string }{
		// Not a document.
		{"", "neither a JSON object nor a CBOR map"},
		{" \n", "neither a JSON object nor a CBOR map"},
		{"[]", "neither a JSON object nor a CBOR map"},
		{"\ufeff{}", "neither a JSON object nor a CBOR map"},
		{"\x80", "neither a JSON object nor a CBOR map"},
		{"{", "malformed JSON: unexpected end of JSON input"},
		{header, "malformed JSON: unexpected end of JSON input"},
		{`{"a":1,}`, `malformed JSON: invalid character '}' looking for beginning of object key string`},
		{`{"a":01}`, "malformed JSON: invalid character '1' after object key:value pair"},
		{ports("") + "{}", "malformed JSON: invalid character '{' after top-level value"},
		{`{"a":"` + "\xff" + `"}`, "malformed JSON: not valid UTF-8"},
		{metrics(`"x":{"a":1,"a":1}`), `malformed JSON: duplicate name "a"`},
		{`{"header":{"report_id":7,"version":"1.0"},"header":{}}`, `malformed JSON: duplicate name "header"`},
		{metrics(`"x":1e999`), "malformed JSON: number 1e999 out of range"},
		{`{"a":` + strings.Repeat("[", 16) + strings.Repeat("]", 16) + `}`, "malformed JSON: nested deeper than 16 levels"},
		{`{"a":"` + strings.Repeat("x", MaxSize) + `"}`, "131080 bytes, want at most 131072"},

		// The header.
		{`{}`, "header: missing"},
		{`{"metrics":{}}`, "header: missing"},
		{`{"Header":{"report_id":7,"version":"1.0"},"metrics":{}}`, "header: missing"},
		{`{"header":null,"metrics":{}}`, "header: missing"},
		{`{"header":[],"metrics":{}}`, "header: a list of 0, want an object"},
		{`{"header":{"version":"1.0"},"metrics":{}}`, "header.report_id: missing"},
		{`{"header":{"report_id":7},"metrics":{}}`, "header.version: missing"},
		{`{"hed":{"rid":7},"met":{}}`, "hed.v: missing"},
		{`{"header":{"report_id":0,"version":"1.0"},"metrics":{}}`, "header.report_id: 0, want 1 to 9223372036854775807"},
		{`{"header":{"report_id":-7,"version":"1.0"},"metrics":{}}`, "header.report_id: -7, want 1 to 9223372036854775807"},
		{`{"header":{"report_id":9223372036854775808,"version":"1.0"},"metrics":{}}`, "header.report_id: 9223372036854775808, want 1 to 9223372036854775807"},
		{`{"header":{"report_id":"7","version":"1.0"},"metrics":{}}`, `header.report_id: "7", want 1 to 9223372036854775807`},
		{`{"header":{"report_id":7.5,"version":"1.0"},"metrics":{}}`, "header.report_id: 7.5, want 1 to 9223372036854775807"},
		{`{"header":{"report_id":7,"version":1.0},"metrics":{}}`, "header.version: 1, want text"},
		{`{"header":{"report_id":7,"version":"1"},"metrics":{}}`, `header.version: "1", want Major.Minor`},
		{`{"header":{"report_id":7,"version":"1.0.0"},"metrics":{}}`, `header.version: "1.0.0", want Major.Minor`},
		{`{"header":{"report_id":7,"version":"-1.0"},"metrics":{}}`, `header.version: "-1.0", want Major.Minor`},

		// The blocks.
		{`{"header":{"report_id":7,"version":"1.0"}}`, "want metrics or custom_metrics"},
		{`{"hed":{"rid":7,"v":"1.0"}}`, "want met or cmet"},
		{header + `"metrics":null,"custom_metrics":null}`, "want metrics or custom_metrics"},
		{header + `"metrics":[]}`, "metrics: a list of 0, want an object"},
		{metrics(`"listening_tcp_ports":[]`), "metrics.listening_tcp_ports: a list of 0, want an object"},
		{metrics(`"listening_udp_ports":{"ports":{}}`), "metrics.listening_udp_ports.ports: an object, want a list"},
		{metrics(`"listening_udp_ports":{"total":-1}`), "metrics.listening_udp_ports.total: -1, want 0 to 9223372036854775807"},
		{metrics(`"network_stats":{"bytes_in":-1}`), "metrics.network_stats.bytes_in: -1, want 0 or more"},
		{metrics(`"network_stats":{"packets_out":"1"}`), `metrics.network_stats.packets_out: "1", want 0 or more`},
		{metrics(`"network_stats":{"bytes_out":18446744073709551616}`), "metrics.network_stats.bytes_out: 1.8446744073709552e+19, want 0 or more"},
		{ports(`{"port":1},{"port":2},{"port":3},{"port":0}`), "metrics.listening_tcp_ports.ports[3].port: 0, want 1 to 65535"},
		{ports(`{"port":65536}`), "metrics.listening_tcp_ports.ports[0].port: 65536, want 1 to 65535"},
		{ports(`{"port":1e300}`), "metrics.listening_tcp_ports.ports[0].port: 1e+300, want 1 to 65535"},
		{ports(`{"interface":"lo"}`), "metrics.listening_tcp_ports.ports[0].port: missing"},
		{ports(`{"port":null}`), "metrics.listening_tcp_ports.ports[0].port: missing"},
		{ports(`{"port":true}`), "metrics.listening_tcp_ports.ports[0].port: true, want 1 to 65535"},
		{ports(`{"port":1},null`), "metrics.listening_tcp_ports.ports[1]: null, want an object"},
		{ports(`{"port":1,"interface":0}`), "metrics.listening_tcp_ports.ports[0].interface: 0, want text"},
		{connections(`{"local_port":1}`), connection + ".remote_addr: missing"},
		{connections(`{"remote_addr":1}`), connection + ".remote_addr: 1, want text"},
		{connections(`{"remote_addr":"10.0.0.1"}`), connection + `.remote_addr: "10.0.0.1", want ip:port`},
		{connections(`{"remote_addr":"fd09::1:443"}`), connection + `.remote_addr: "fd09::1:443", want ip:port`},
		{connections(`{"remote_addr":"[fe80::1%eth0]:443"}`), connection + `.remote_addr: "[fe80::1%eth0]:443", want ip:port`},
		{connections(`{"remote_addr":"localhost:443"}`), connection + `.remote_addr: "localhost:443", want ip:port`},
		{connections(`{"remote_addr":"10.0.0.1:65536"}`), connection + `.remote_addr: "10.0.0.1:65536", want ip:port`},
		{connections(`{"remote_addr":"10.0.0.1:1","local_port":"80"}`), connection + `.local_port: "80", want 0 to 65535`},

		// Mixed names.
		{header + `"met":{}}`, "met: short name in a report with long names"},
		{header + `"hed":{},"metrics":{}}`, "hed: short name in a report with long names"},
		{`{"hed":{"rid":7,"v":"1.0"},"met":{},"custom_metrics":{}}`, "custom_metrics: long name in a report with short names"},
		{metrics(`"listening_tcp_ports":{"t":1}`), "metrics.listening_tcp_ports.t: short name in a report with long names"},
		{ports(`{"port":1,"if":null}`), "metrics.listening_tcp_ports.ports[0].if: short name in a report with long names"},

		// Custom metrics. The first is AWS's own example of a rejected report.
		{custom(`{"number":0}`), "custom_metrics.m: an object, want a list of one object"},
		{custom(`null`), "custom_metrics.m: null, want a list of one object"},
		{custom(`[]`), "custom_metrics.m: a list of 0, want a list of one object"},
		{custom(`[{"number":1},{"number":2}]`), "custom_metrics.m: a list of 2, want a list of one object"},
		{custom(`[1]`), "custom_metrics.m[0]: 1, want an object"},
		{custom(`[{}]`), "custom_metrics.m[0]: want one of number, number_list, string_list, ip_list"},
		{custom(`[{"number":null}]`), "custom_metrics.m[0]: want one of number, number_list, string_list, ip_list"},
		{custom(`[{"number-list":[1]}]`), "custom_metrics.m[0]: want one of number, number_list, string_list, ip_list"},
		{custom(`[{"ip_list":[],"number":1}]`), "custom_metrics.m[0]: number and ip_list, want only one of them"},
		{custom(`[{"number":"23"}]`), `custom_metrics.m[0].number: "23", want a finite number`},
		{custom(`[{"number_list":1}]`), "custom_metrics.m[0].number_list: 1, want a list"},
		{custom(`[{"number_list":[1,"2"]}]`), `custom_metrics.m[0].number_list[1]: "2", want a finite number`},
		{custom(`[{"string_list":["a",2]}]`), "custom_metrics.m[0].string_list[1]: 2, want text"},
		{header + `"custom_metrics":{"b":1,"a.b":1}}`, `custom_metrics."a.b": 1, want a list of one object`},
		{header + `"custom_metrics":[]}`, "custom_metrics: a list of 0, want an object"},
	}
	for _, test := range tests {
		r, _, err := Decode([]byte(test.in))
		var invalid *InvalidError
		if !errors.As(err, &invalid) || invalid.Error() != test.want {
			t.Errorf("%.120s\n got %v\nwant %s", test.in, err, test.want)
		}
		if r != nil {
			t.Errorf("%.120s: a report besides the error", test.in)
		}
	}
}

func TestDecodeRefusesCBOR(t *testing.T) {
	header := "\x66header\xa2\x69report_id\x07\x67version\x631.0"
	tests := []struct{ name, in, want string }{
		{"cut short", "\xa2" + header, "malformed CBOR: unexpected EOF"},
		{"trailing data", "\xa2" + header + "\x67metrics\xa0\x00", "malformed CBOR: "},
		{"duplicate name", "\xa3" + header + "\x61a\x00\x61a\x00", "malformed CBOR: "},
		{"duplicate name inside", "\xa2" + header + "\x67metrics\xa2\x61a\x00\x61a\xf6", "malformed CBOR: "},
		{"tag", "\xa2" + header + "\x67metrics\xc1\x00", "malformed CBOR: "},
		{"bignum", "\xa2" + header + "\x61a\xc2\x41\x01", "malformed CBOR: "},
		{"name that is no text", "\xa2" + header + "\x01\x01", "malformed CBOR: "},
		{"text that is not UTF-8", "\xa2" + header + "\x61a\x61\xff", "malformed CBOR: "},
		{"a length beyond the end", "\xba\xff\xff\xff\xff", "malformed CBOR: "},
		{"nested too deep", "\xa2" + header + "\x61a" + strings.Repeat("\x81", 17) + "\x00", "malformed CBOR: "},
		{"not a number", "\xa2" + header + "\x6ecustom_metrics\xa1\x61m\x81\xa1\x66number\xf9\x7e\x00",
			"custom_metrics.m[0].number: NaN, want a finite number"},
		{"bytes for text", "\xa1\x66header\xa2\x69report_id\x07\x67version\x431.0", "header.version: a value that JSON does not have, want text"},
		{"an integer below all others", "\xa1\x66header\xa2\x69report_id\x3b\xff\xff\xff\xff\xff\xff\xff\xff\x67version\x631.0",
			"header.report_id: a value that JSON does not have, want 1 to 9223372036854775807"},
		{"local_port as text, of AWS's C agent",
			"\xa2" + header + "\x67metrics\xa1\x6ftcp_connections\xa1\x77established_connections\xa1\x6bconnections\x81" +
				"\xa2\x6bremote_addr\x6a10.0.0.1:1\x6alocal_port\x6280",
			`metrics.tcp_connections.established_connections.connections[0].local_port: "80", want 0 to 65535`},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			_, enc, err := Decode([]byte(test.in))
			var invalid *InvalidError
			if !errors.As(err, &invalid) || !strings.HasPrefix(invalid.Error(), test.want) {
				t.Errorf("got %v, want %s", err, test.want)
			}
			if enc.Format != CBOR {
				t.Errorf("format %v", enc.Format)
			}
		})
	}
}

// TestDepth pins the limit of both formats to the same document.
func TestDepth(t *testing.T) {
	for depth, ok := range map[int]bool{16: true, 17: false} {
		lists := depth - 1
		inJSON := `{"hed":{"rid":7,"v":"1.0"},"met":{},"x":` + strings.Repeat("[", lists) + strings.Repeat("]", lists) + "}"
		inCBOR := "\xa3\x63hed\xa2\x63rid\x07\x61v\x631.0\x63met\xa0\x61x" + strings.Repeat("\x81", lists-1) + "\x80"
		for _, in := range []string{inJSON, inCBOR} {
			if _, enc, err := Decode([]byte(in)); (err == nil) != ok {
				t.Errorf("%v of %d levels: %v", enc.Format, depth, err)
			}
		}
	}
}

// TestErrorsAreShort keeps a hostile document from filling a log.
func TestErrorsAreShort(t *testing.T) {
	long := strings.Repeat("x\x00", 20000)
	for _, doc := range []map[string]any{
		{"header": long},
		{"header": map[string]any{"report_id": long}},
		{"header": map[string]any{"report_id": 1, "version": long}},
		{"header": map[string]any{"report_id": 1, "version": "1.0"}, "custom_metrics": map[string]any{long: long}},
	} {
		data, err := cbor.Marshal(doc)
		if err != nil {
			t.Fatal(err)
		}
		if _, _, err := Decode(data); err == nil || len(err.Error()) > 1000 {
			t.Errorf("error %.1000v, want a short one", err)
		}
	}
}

func TestDiagnose(t *testing.T) {
	got, err := Diagnose([]byte("\xa1\x66number\xfb\x3f\xe6\x66\x66\x66\x66\x66\x66"))
	if want := `{"number": 0.7}`; err != nil || got != want {
		t.Errorf("got %s, %v, want %s", got, err, want)
	}
	if _, err := Diagnose([]byte("\xa1")); err == nil {
		t.Error("no error for half a map")
	}
}

// FuzzDecode checks that whatever is taken is a report: it can be written in
// all encodings, and read again as the same.
func FuzzDecode(f *testing.F) {
	files, err := os.ReadDir("testdata")
	if err != nil {
		f.Fatal(err)
	}
	for _, file := range files {
		if !file.IsDir() {
			f.Add(readTestdata(f, file.Name()))
		}
	}
	for _, enc := range encodings {
		f.Add(mustEncode(f, awsExample(1, 0, math.MaxUint64, 23, 24), enc))
	}
	f.Add([]byte(`{"hed":{"rid":1e3,"v":"1.0"},"cmet":{"":[{"number":-0.0}],"\ud800":[{"string_list":[]}]}}`))
	f.Add([]byte("\xbf\x63hed\xbf\x63rid\xf9\x3c\x00\x61v\x7f\x611\x62.0\xff\xff\x63met\xa0\xff"))
	f.Fuzz(func(t *testing.T, data []byte) {
		r, enc, err := Decode(data)
		if err != nil {
			var invalid *InvalidError
			if !errors.As(err, &invalid) || invalid.Problem == "" || r != nil {
				t.Fatalf("report %v, error %#v", r, err)
			}
			return
		}
		r.Warnings()
		for _, enc := range encodings {
			data, err := r.Encode(enc)
			if err != nil {
				t.Fatal(err)
			}
			if len(data) > MaxSize {
				continue // a compact document can be longer in another encoding
			}
			again, got, err := Decode(data)
			if err != nil || got != enc {
				t.Fatalf("%v: decoded as %v, %v", enc, got, err)
			}
			if diff := cmp.Diff(r, again, equal); diff != "" {
				t.Fatalf("%v (-first +second):\n%s", enc, diff)
			}
		}
		if _, _, cut, err := r.Fit(enc, len(data)/2); err != nil && !cut.IsZero() {
			t.Fatalf("cut %v besides error %v", cut, err)
		}
	})
}

func BenchmarkDecode(b *testing.B) {
	b.Run("captured", func(b *testing.B) {
		data := readTestdata(b, "python-sdk-scenario-long.json")
		b.SetBytes(int64(len(data)))
		b.ReportAllocs()
		for b.Loop() {
			mustDecode(b, data, longJSON)
		}
	})
	r := bigReport(250, 50, 50)
	for _, enc := range encodings {
		b.Run(fmt.Sprintf("%v-%v", enc.Format, enc.Names), func(b *testing.B) {
			data := mustEncode(b, r, enc)
			b.SetBytes(int64(len(data)))
			b.ReportAllocs()
			for b.Loop() {
				mustDecode(b, data, enc)
			}
		})
	}
}
