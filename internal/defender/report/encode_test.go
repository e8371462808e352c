package report

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"net/netip"
	"strings"
	"testing"

	"github.com/fxamacker/cbor/v2"
	"github.com/google/go-cmp/cmp"
)

func TestEncodeReproducesCapturedCBOR(t *testing.T) {
	// The peer sends null for an interface that it does not know; ours leaves
	// the member out.
	withoutNull := func(data []byte) []byte {
		null := []byte("\xa3\x6bremote_addr\x77[::ffff:10.9.0.1]:47750\x6flocal_interface\xf6")
		absent := []byte("\xa2\x6bremote_addr\x77[::ffff:10.9.0.1]:47750")
		if bytes.Count(data, null) != 1 {
			t.Fatal("the capture has no null interface")
		}
		return bytes.Replace(data, null, absent, 1)
	}
	for name, want := range map[string][]byte{
		"python-agent-dry-run.cbor":     readTestdata(t, "python-agent-dry-run.cbor"),
		"python-sdk-scenario-long.cbor": withoutNull(readTestdata(t, "python-sdk-scenario-long.cbor")),
	} {
		t.Run(name, func(t *testing.T) {
			r := mustDecode(t, readTestdata(t, name), Encoding{CBOR, Long})
			if got := mustEncode(t, r, Encoding{CBOR, Long}); !bytes.Equal(got, want) {
				t.Errorf("got\n%s\nwant\n%s", hex.Dump(got), hex.Dump(want))
			}
		})
	}
}

func TestEncodeBytes(t *testing.T) {
	r := &Report{
		ID: 1542697506, Version: "1.0",
		Metrics: &Metrics{
			NetworkStats: &NetworkStats{BytesIn: new(uint64(0)), PacketsOut: new(uint64(math.MaxUint64))},
			TCPConnections: &EstablishedConnections{
				Connections: []Connection{
					{RemoteAddr: netip.MustParseAddrPort("[fd09::1]:443")},
					connection("10.9.0.1:1002", "eth0", 0),
				}, Total: new(int64(300)),
			},
			ListeningTCPPorts: &ListeningPorts{Ports: []Port{}, Total: new(int64(0))},
			ListeningUDPPorts: &ListeningPorts{Ports: []Port{{Port: 53}, {5353, `br"0`}}},
		},
		CustomMetrics: map[string]CustomMetric{
			"total": {Type: NumberList, Numbers: []float64{-1.5, 1e21, 1e-7, 100}}, // a name that has a short form elsewhere
			"ips":   {Type: IPList},
		},
	}
	for enc, want := range map[Encoding]string{
		{JSON, Long}: `{"header":{"report_id":1542697506,"version":"1.0"},"metrics":{"network_stats":{"bytes_in":0,"packets_out":18446744073709551615},` +
			`"tcp_connections":{"established_connections":{"connections":[{"remote_addr":"[fd09::1]:443"},{"remote_addr":"10.9.0.1:1002","local_interface":"eth0","local_port":0}],"total":300}},` +
			`"listening_tcp_ports":{"ports":[],"total":0},"listening_udp_ports":{"ports":[{"port":53},{"port":5353,"interface":"br\"0"}]}},` +
			`"custom_metrics":{"ips":[{"ip_list":[]}],"total":[{"number_list":[-1.5,1e+21,1e-07,100]}]}}`,
		{JSON, Short}: `{"hed":{"rid":1542697506,"v":"1.0"},"met":{"ns":{"bi":0,"po":18446744073709551615},` +
			`"tc":{"ec":{"cs":[{"rad":"[fd09::1]:443"},{"rad":"10.9.0.1:1002","li":"eth0","lp":0}],"t":300}},` +
			`"tp":{"pts":[],"t":0},"up":{"pts":[{"pt":53},{"pt":5353,"if":"br\"0"}]}},` +
			`"cmet":{"ips":[{"ip_list":[]}],"total":[{"number_list":[-1.5,1e+21,1e-07,100]}]}}`,
		{CBOR, Short}: "\xa3" + "\x63hed\xa2\x63rid\x1a\x5b\xf3\xb2\x22\x61v\x631.0" +
			"\x63met\xa4" + "\x62ns\xa2\x62bi\x00\x62po\x1b\xff\xff\xff\xff\xff\xff\xff\xff" +
			"\x62tc\xa1\x62ec\xa2\x62cs\x82\xa1\x63rad\x6d[fd09::1]:443\xa3\x63rad\x6d10.9.0.1:1002\x62li\x64eth0\x62lp\x00\x61t\x19\x01\x2c" +
			"\x62tp\xa2\x63pts\x80\x61t\x00" + "\x62up\xa1\x63pts\x82\xa1\x62pt\x18\x35\xa2\x62pt\x19\x14\xe9\x62if\x64br\"0" +
			"\x64cmet\xa2\x63ips\x81\xa1\x67ip_list\x80\x65total\x81\xa1\x6bnumber_list\x84" +
			"\xfb\xbf\xf8\x00\x00\x00\x00\x00\x00" + "\xfb\x44\x4b\x1a\xe4\xd6\xe2\xef\x50" + "\xfb\x3e\x7a\xd7\xf2\x9a\xbc\xaf\x48" + "\xfb\x40\x59\x00\x00\x00\x00\x00\x00",
	} {
		if diff := cmp.Diff(want, string(mustEncode(t, r, enc))); diff != "" {
			t.Errorf("%v (-want +got):\n%s", enc, diff)
		}
	}
}

// TestEncodingsAgree checks all four encodings of random reports: decoded they
// give the same report, and independent decoders find the same document in JSON
// and in CBOR.
func TestEncodingsAgree(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	strict, err := cbor.DecOptions{
		DupMapKey: cbor.DupMapKeyEnforcedAPF, IndefLength: cbor.IndefLengthForbidden, TagsMd: cbor.TagsForbidden,
	}.DecMode()
	if err != nil {
		t.Fatal(err)
	}
	for range 500 {
		r := randomReport(rng)
		for _, enc := range encodings {
			data := mustEncode(t, r, enc)
			if diff := cmp.Diff(r, mustDecode(t, data, enc), equal); diff != "" {
				t.Fatalf("%v (-want +got):\n%s", enc, diff)
			}
			if enc.Format != CBOR {
				continue
			}
			var fromCBOR, fromJSON map[string]any
			if err := strict.Unmarshal(data, &fromCBOR); err != nil {
				t.Fatal(err)
			}
			if err := json.Unmarshal(mustEncode(t, r, Encoding{JSON, enc.Names}), &fromJSON); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(fromJSON, asJSON(fromCBOR)); diff != "" {
				t.Fatalf("%v (-json +cbor):\n%s", enc, diff)
			}
		}
	}
}

// asJSON gives a decoded CBOR value the types that encoding/json gives.
func asJSON(v any) any {
	switch v := v.(type) {
	case uint64:
		return float64(v)
	case []any:
		for i := range v {
			v[i] = asJSON(v[i])
		}
	case map[string]any:
		for name := range v {
			v[name] = asJSON(v[name])
		}
	case map[any]any:
		m := make(map[string]any, len(v))
		for name, value := range v {
			m[name.(string)] = asJSON(value)
		}
		return m
	}
	return v
}

func TestEncodeRefuses(t *testing.T) {
	tests := []struct {
		spoil func(*Report)
		want  string
	}{
		{func(r *Report) { r.ID = 0 }, "header.report_id: 0, want 1 or more"},
		{func(r *Report) { r.Version = "1" }, `header.version: "1", want Major.Minor`},
		{func(r *Report) { r.Metrics, r.CustomMetrics = nil, nil }, "want metrics or custom metrics"},
		{func(r *Report) { r.Metrics.ListeningUDPPorts.Ports[1].Port = 0 },
			"metrics.listening_udp_ports.ports[1].port: 0, want 1 to 65535"},
		{func(r *Report) { r.Metrics.ListeningTCPPorts.Total = new(int64(-1)) },
			"metrics.listening_tcp_ports.total: -1, want 0 or more"},
		{func(r *Report) { r.Metrics.ListeningTCPPorts.Ports[2].Interface = "\xff" },
			`metrics.listening_tcp_ports.ports[2].interface: "\xff", want valid UTF-8`},
		{func(r *Report) { r.Metrics.TCPConnections.Connections[0].RemoteAddr = netip.AddrPort{} },
			`metrics.tcp_connections.established_connections.connections[0].remote_addr: "invalid AddrPort", want ip:port`},
		{func(r *Report) {
			r.Metrics.TCPConnections.Connections[1].RemoteAddr = netip.MustParseAddrPort("[fe80::1%eth0]:1")
		}, `metrics.tcp_connections.established_connections.connections[1].remote_addr: "[fe80::1%eth0]:1", want ip:port`},
		{func(r *Report) { r.CustomMetrics["n"] = CustomMetric{Number: math.Inf(1)} },
			"custom_metrics.n[0].number: +Inf, want a finite number"},
		{func(r *Report) {
			r.CustomMetrics["n"] = CustomMetric{Type: NumberList, Numbers: []float64{0, math.NaN()}}
		},
			"custom_metrics.n[0].number_list[1]: NaN, want a finite number"},
		{func(r *Report) { r.CustomMetrics["n"] = CustomMetric{Type: 7} },
			`custom_metrics.n[0]."metric type 7": want one of number, number_list, string_list, ip_list`},
		{func(r *Report) { r.CustomMetrics["\xff"] = CustomMetric{} }, `custom_metrics."\xff": "\xff", want valid UTF-8`},
	}
	for _, test := range tests {
		for _, format := range []Format{JSON, CBOR} {
			r := awsExample(1, 2, 3, 4, 5)
			test.spoil(r)
			data, err := r.Encode(Encoding{Format: format})
			var invalid *InvalidError
			if !errors.As(err, &invalid) || invalid.Error() != test.want {
				t.Errorf("%v: error %v, want %s", format, err, test.want)
			}
			if data != nil {
				t.Errorf("%v: %d bytes besides the error", test.want, len(data))
			}
		}
	}
	r := awsExample(1, 2, 3, 4, 5)
	r.Version = strings.Repeat("1", 1<<20)
	if _, err := r.Encode(Encoding{}); err == nil || len(err.Error()) > 200 {
		t.Errorf("error %.300v, want a short one", err)
	}
}

func BenchmarkEncode(b *testing.B) {
	r := bigReport(250, 50, 50)
	for _, enc := range encodings {
		b.Run(fmt.Sprintf("%v-%v", enc.Format, enc.Names), func(b *testing.B) {
			b.ReportAllocs()
			var size int
			for b.Loop() {
				size = len(mustEncode(b, r, enc))
			}
			b.ReportMetric(float64(size), "bytes")
		})
	}
}
