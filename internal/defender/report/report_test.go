package report

import (
	"fmt"
	"math"
	"math/rand/v2"
	"net/netip"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var encodings = []Encoding{{JSON, Long}, {JSON, Short}, {CBOR, Long}, {CBOR, Short}}

var longJSON = Encoding{JSON, Long}

// equal compares what cmp cannot look into.
var equal = cmp.Options{cmp.Comparer(func(a, b netip.AddrPort) bool { return a == b })}

// readTestdata reads a file of testdata. The files aws-example-* are the
// examples of the Device Defender developer guide; greengrass-component-* is a
// report of AWS's Greengrass component 3, python-agent-* and python-sdk-* are
// reports of AWS's Python agent and SDK, all captured as they were sent.
func readTestdata(t testing.TB, name string) []byte {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func mustDecode(t testing.TB, data []byte, want Encoding) *Report {
	t.Helper()
	r, enc, err := Decode(data)
	if err != nil {
		t.Fatal(err)
	}
	if enc != want {
		t.Fatalf("encoding %v, want %v", enc, want)
	}
	return r
}

func mustEncode(t testing.TB, r *Report, enc Encoding) []byte {
	t.Helper()
	data, err := r.Encode(enc)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func connection(remote, name string, local uint16) Connection {
	return Connection{RemoteAddr: netip.MustParseAddrPort(remote), LocalInterface: name, LocalPort: &local}
}

// awsExample is the document of both testdata/aws-example-long.json and -short.json,
// whose header and network_stats differ.
func awsExample(id int64, bytesIn, bytesOut, packetsIn, packetsOut uint64) *Report {
	return &Report{
		ID: id, Version: "1.0",
		Metrics: &Metrics{
			NetworkStats: &NetworkStats{BytesIn: &bytesIn, BytesOut: &bytesOut, PacketsIn: &packetsIn, PacketsOut: &packetsOut},
			TCPConnections: &EstablishedConnections{
				Connections: []Connection{connection("192.168.0.1:8000", "eth0", 80), connection("192.168.0.1:8000", "eth0", 80)},
				Total:       new(int64(2)),
			},
			ListeningTCPPorts: &ListeningPorts{Ports: []Port{{24800, "eth0"}, {22, "eth0"}, {53, "eth0"}}, Total: new(int64(3))},
			ListeningUDPPorts: &ListeningPorts{Ports: []Port{{5353, "eth0"}, {67, "eth0"}}, Total: new(int64(2))},
		},
		CustomMetrics: map[string]CustomMetric{
			"MyMetricOfType_Number":     {Type: Number, Number: 1},
			"MyMetricOfType_NumberList": {Type: NumberList, Numbers: []float64{1, 2, 3}},
			"MyMetricOfType_StringList": {Type: StringList, Strings: []string{"value_1", "value_2"}},
			"MyMetricOfType_IpList":     {Type: IPList, Strings: []string{"172.0.0.0", "172.0.0.10"}},
		},
	}
}

// bigReport is the report of a busy host: IPv6 connections, and ports, as many
// as asked for.
func bigReport(connections, tcp, udp int) *Report {
	r := &Report{ID: 1795385460, Version: DocumentVersion, Metrics: &Metrics{
		NetworkStats:      &NetworkStats{new(uint64(10280)), new(uint64(10280)), new(uint64(10)), new(uint64(10))},
		TCPConnections:    &EstablishedConnections{Connections: []Connection{}, Total: new(int64(connections))},
		ListeningTCPPorts: &ListeningPorts{Ports: []Port{}, Total: new(int64(tcp))},
		ListeningUDPPorts: &ListeningPorts{Ports: []Port{}, Total: new(int64(udp))},
	}, CustomMetrics: map[string]CustomMetric{"cpu_usage": {Number: 12.5}}}
	m := r.Metrics
	for i := range connections {
		m.TCPConnections.Connections = append(m.TCPConnections.Connections,
			connection(fmt.Sprintf("[2001:db8:1234:5678:9abc:def0:1111:%x]:50443", 0x1000+i), "eth0", uint16(30000+i)))
	}
	for i := range tcp {
		m.ListeningTCPPorts.Ports = append(m.ListeningTCPPorts.Ports, Port{uint16(10000 + i), "eth0"})
	}
	for i := range udp {
		m.ListeningUDPPorts.Ports = append(m.ListeningUDPPorts.Ports, Port{uint16(20000 + i), "eth0"})
	}
	return r
}

// randomReport makes a report that is valid, with everything that may be absent
// or empty at times absent or empty, and text that JSON must escape.
func randomReport(rng *rand.Rand) *Report {
	r := &Report{ID: 1 + rng.Int64N(math.MaxInt64), Version: fmt.Sprintf("%d.%d", rng.IntN(3), rng.IntN(300))}
	if rng.IntN(8) > 0 {
		r.Metrics = &Metrics{
			NetworkStats: sometimes(rng, func() NetworkStats {
				return NetworkStats{
					sometimes(rng, rng.Uint64), sometimes(rng, rng.Uint64),
					sometimes(rng, func() uint64 { return rng.Uint64N(300) }), sometimes(rng, func() uint64 { return rng.Uint64N(70000) }),
				}
			}),
			TCPConnections: sometimes(rng, func() EstablishedConnections {
				return EstablishedConnections{randomList(rng, randomConnection), sometimes(rng, rng.Int64)}
			}),
			ListeningTCPPorts: sometimes(rng, func() ListeningPorts { return randomPorts(rng) }),
			ListeningUDPPorts: sometimes(rng, func() ListeningPorts { return randomPorts(rng) }),
		}
	}
	if r.Metrics == nil || rng.IntN(4) > 0 {
		r.CustomMetrics = make(map[string]CustomMetric)
		for range rng.IntN(40) { // more than 23 need a longer CBOR head
			r.CustomMetrics[randomText(rng)] = randomCustom(rng)
		}
	}
	return r
}

func sometimes[T any](rng *rand.Rand, f func() T) *T {
	if rng.IntN(4) == 0 {
		return nil
	}
	return new(f())
}

func randomList[T any](rng *rand.Rand, item func(*rand.Rand) T) []T {
	if rng.IntN(6) == 0 {
		return nil
	}
	return nonNilList(rng, item)
}

func nonNilList[T any](rng *rand.Rand, item func(*rand.Rand) T) []T {
	list := []T{}
	for range rng.IntN(1 << rng.IntN(7)) {
		list = append(list, item(rng))
	}
	return list
}

func randomConnection(rng *rand.Rand) Connection {
	var a [16]byte
	for i := range a {
		a[i] = byte(rng.Uint32())
	}
	addr := netip.AddrFrom16(a)
	switch rng.IntN(3) {
	case 0:
		addr = netip.AddrFrom4([4]byte(a[:4]))
	case 1:
		addr = netip.AddrFrom16(netip.AddrFrom4([4]byte(a[:4])).As16()) // v4-mapped
	}
	return Connection{
		RemoteAddr:     netip.AddrPortFrom(addr, uint16(rng.Uint32())),
		LocalInterface: randomText(rng),
		LocalPort:      sometimes(rng, func() uint16 { return uint16(rng.Uint32()) }),
	}
}

func randomPorts(rng *rand.Rand) ListeningPorts {
	return ListeningPorts{randomList(rng, func(rng *rand.Rand) Port {
		return Port{uint16(1 + rng.IntN(math.MaxUint16)), randomText(rng)}
	}), sometimes(rng, rng.Int64)}
}

func randomText(rng *rand.Rand) string {
	alphabet := []rune("abc019:_-/. \"\\<>&\t\x00\x7fäß\u2028漢😀")
	text := make([]rune, rng.IntN(30))
	for i := range text {
		text[i] = alphabet[rng.IntN(len(alphabet))]
	}
	return string(text)
}

func randomCustom(rng *rand.Rand) CustomMetric {
	number := func(rng *rand.Rand) float64 {
		for {
			v := math.Float64frombits(rng.Uint64())
			if rng.IntN(2) == 0 {
				v = float64(rng.Int64N(2000) - 1000)
			}
			if !math.IsNaN(v) && !math.IsInf(v, 0) {
				return v
			}
		}
	}
	switch t := MetricType(rng.IntN(4)); t {
	case Number:
		return CustomMetric{Type: t, Number: number(rng)}
	case NumberList:
		return CustomMetric{Type: t, Numbers: nonNilList(rng, number)}
	default:
		return CustomMetric{Type: t, Strings: nonNilList(rng, randomText)}
	}
}
