package eventrpc

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"os"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws/protocol/eventstream"
	"github.com/google/go-cmp/cmp"
)

// vector is a captured frame: of the official Node SDK with nucleus lite, or
// with a server on the C runtime that the Java nucleus is built on.
type vector struct {
	Name      string
	Direction string // "client-to-server" or "server-to-client"
	Server    string // "lite" or "crt"
	Headers   []struct {
		Name, Type string
		Value      any
	}
	Payload string
	Hex     string
}

func (v vector) frame(t testing.TB) []byte {
	t.Helper()
	b, err := hex.DecodeString(v.Hex)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func (v vector) layout() Layout {
	fromRuntime := v.Server == "crt" && v.Direction == "server-to-client"
	nodeConnect := strings.HasPrefix(v.Name, v.Server+"/connect") && v.Headers[0].Name == HeaderVersion
	if fromRuntime || nodeConnect {
		return NumbersLast
	}
	return NumbersFirst
}

func vectors(t testing.TB) []vector {
	t.Helper()
	b, err := os.ReadFile("testdata/ipc-frames.json")
	if err != nil {
		t.Fatal(err)
	}
	var vs []vector
	if err := json.Unmarshal(b, &vs); err != nil {
		t.Fatal(err)
	}
	return vs
}

// captured returns the frame of the vector with that name.
func captured(t testing.TB, name string) []byte {
	t.Helper()
	for _, v := range vectors(t) {
		if v.Name == name {
			return v.frame(t)
		}
	}
	t.Fatalf("no vector %s", name)
	return nil
}

func TestVectors(t *testing.T) {
	vs := vectors(t)
	if len(vs) != 110 {
		t.Fatalf("%d vectors, want 110", len(vs))
	}
	for _, v := range vs {
		t.Run(v.Name, func(t *testing.T) {
			frame := v.frame(t)
			m, err := NewReader(bytes.NewReader(frame), len(frame)).Read()
			if err != nil {
				t.Fatal(err)
			}
			got := map[string]any{
				HeaderType:     float64(m.Type),
				HeaderFlags:    float64(m.Flags),
				HeaderStreamID: float64(m.StreamID),
			}
			for _, h := range m.Headers {
				got[h.Name] = string(h.Value.(eventstream.StringValue))
			}
			want := make(map[string]any)
			for _, h := range v.Headers {
				want[h.Name] = h.Value
			}
			if d := cmp.Diff(want, got); d != "" {
				t.Errorf("headers (-want +got):\n%s", d)
			}
			if d := cmp.Diff(v.Payload, string(m.Payload)); d != "" {
				t.Errorf("payload (-want +got):\n%s", d)
			}
			again, err := m.Encode(v.layout())
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(hex.Dump(frame), hex.Dump(again)); d != "" {
				t.Errorf("encoded again (-want +got):\n%s", d)
			}
		})
	}
}
