package eventrpc

import (
	"net"
	"path/filepath"
	"testing"
)

// BenchmarkCall is a round trip of a small request and answer.
func BenchmarkCall(b *testing.B) {
	b.Run("pipe", func(b *testing.B) {
		here, there := net.Pipe()
		benchmarkCall(b, here, there)
	})
	b.Run("unix", func(b *testing.B) {
		l, err := net.Listen("unix", filepath.Join(b.TempDir(), "s"))
		if err != nil {
			b.Fatal(err)
		}
		defer l.Close()
		here, err := net.Dial("unix", l.Addr().String())
		if err != nil {
			b.Fatal(err)
		}
		there, err := l.Accept()
		if err != nil {
			b.Fatal(err)
		}
		benchmarkCall(b, here, there)
	})
}

func benchmarkCall(b *testing.B, here, there net.Conn) {
	c, p := connectedOver(b, here, there)
	answer := modelled(0, "aws.greengrass#PublishToIoTCoreResponse", "{}")
	go func() {
		for {
			m, err := p.frames.Read()
			if err != nil {
				return
			}
			answer.StreamID = m.StreamID
			p.write(answer)
		}
	}()
	payload := []byte(`{"topicName":"agent/in/x","qos":"1","payload":"aGVsbG8="}`)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := c.Call(b.Context(), "aws.greengrass#PublishToIoTCore", payload); err != nil {
			b.Fatal(err)
		}
	}
}
