//go:build linux

package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
)

// payloads are the reports of a fleet, prepared so that the next one costs the
// client a copy and a few digits. They differ by the remote addresses, of which
// one changes from each to the next.
type payloads struct {
	texts [][]byte
	// Where digits are put: the report id, and the traffic.
	id       []int
	counters [][]int
}

const (
	peerSets    = 8
	idDigits    = 10
	countDigits = 6
	firstID     = 1_000_000_000
)

// newPayloads makes reports with n established connections. Alarming ones
// violate every behavior of alarmProfile.
func newPayloads(n int, alarming bool) *payloads {
	random := rand.New(rand.NewPCG(1, 2))
	peer := func() string {
		return fmt.Sprintf("10.%d.%d.%d:443", random.IntN(256), random.IntN(256), random.IntN(256))
	}
	ports := []int{22, 80, 443, 8883}
	var connections []map[string]any
	for i := range n {
		connections = append(connections, map[string]any{"remote_addr": peer(), "local_interface": "eth0", "local_port": 32768 + i})
	}
	if alarming {
		ports = append(ports, 23)
		connections = append(connections, map[string]any{"remote_addr": "203.0.113.9:443", "local_interface": "eth0", "local_port": 32000})
	}
	var tcp []map[string]any
	for _, port := range ports {
		tcp = append(tcp, map[string]any{"port": port, "interface": "0.0.0.0"})
	}
	p := &payloads{}
	for set := range peerSets {
		if n > 0 {
			connections[set%n]["remote_addr"] = peer()
		}
		text, err := json.Marshal(map[string]any{
			"header": map[string]any{"report_id": firstID, "version": "1.0"},
			"metrics": map[string]any{
				"network_stats":       map[string]any{"bytes_in": 111_111, "bytes_out": 111_111, "packets_in": 111_111, "packets_out": 111_111},
				"tcp_connections":     map[string]any{"established_connections": map[string]any{"connections": connections, "total": len(connections)}},
				"listening_tcp_ports": map[string]any{"ports": tcp, "total": len(tcp)},
				"listening_udp_ports": map[string]any{"ports": []any{map[string]any{"port": 68, "interface": "eth0"}, map[string]any{"port": 5353}}, "total": 2},
			},
		})
		if err != nil {
			panic(err) // maps of numbers and strings
		}
		p.texts = append(p.texts, text)
		p.id = append(p.id, bytes.Index(text, []byte("1000000000")))
		var at []int
		for from := 0; ; {
			i := bytes.Index(text[from:], []byte("111111"))
			if i < 0 {
				break
			}
			at = append(at, from+i)
			from += i + countDigits
		}
		p.counters = append(p.counters, at)
	}
	return p
}

// append appends the report of a thing in a round. Its traffic is random, and
// so are values that cannot be compressed better than real ones.
func (p *payloads) append(b []byte, thing, round int, random *rand.Rand) []byte {
	set := p.set(thing, round)
	start := len(b)
	b = append(b, p.texts[set]...)
	digits(b[start+p.id[set]:][:idDigits], firstID+uint64(round))
	for _, at := range p.counters[set] {
		digits(b[start+at:][:countDigits], 100_000+random.Uint64N(900_000))
	}
	return b
}

// set is the set of peers: it changes with each fourth report.
func (p *payloads) set(thing, round int) int { return (thing + round/4) % peerSets }

// size is the length of a report, which depends on its set.
func (p *payloads) size(thing, round int) int { return len(p.texts[p.set(thing, round)]) }

// digits writes a number of as many digits over b.
func digits(b []byte, n uint64) {
	for i := len(b) - 1; i >= 0; i-- {
		b[i] = byte('0' + n%10)
		n /= 10
	}
}

func thingName(i int) string { return fmt.Sprintf("thing-%07d", i) }
