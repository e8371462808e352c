package localcore

import (
	"context"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"io"
	"net"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/device-defender/device-defender/internal/greengrass"
	"github.com/device-defender/device-defender/internal/greengrass/eventrpc"
)

// announce is a frame's prelude.
func announce(length uint32) []byte {
	b := binary.BigEndian.AppendUint32(nil, length)
	b = binary.BigEndian.AppendUint32(b, 0)
	return binary.BigEndian.AppendUint32(b, crc32.ChecksumIEEE(b))
}

func TestFrameCaps(t *testing.T) {
	forBoth(t, func(t *testing.T, c *Core, k *Component) {
		limit := uint32(eventrpc.MaxFrame)
		if c.lite() {
			limit = eventrpc.MaxFrameLite
		}
		p := dial(t, c, k)
		p.write(announce(limit + 1))
		p.closed()
	})
}

func TestBrokenFrameCloses(t *testing.T) {
	forBoth(t, func(t *testing.T, c *Core, k *Component) {
		p := dial(t, c, k)
		b, err := (&eventrpc.Message{StreamID: 1}).Encode(eventrpc.NumbersFirst)
		if err != nil {
			t.Fatal(err)
		}
		b[len(b)-1] ^= 1
		p.write(b)
		p.closed()
	})
}

func TestLiteLongestPayload(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCore(t, Options{Nucleus: greengrass.Lite})
		k := install(t, c, recipeYAML)
		p := dial(t, c, k)
		publish := func(bytes int) string {
			return fmt.Sprintf(`{"topicName":"agent/x","qos":"1","payload":%q}`, strings.Repeat("AAAA", bytes/3))
		}
		p.succeed("PublishToIoTCore", publish(7_200))
		m := &eventrpc.Message{StreamID: 2, Payload: []byte(publish(8_001))}
		m.SetText(eventrpc.HeaderOperation, "aws.greengrass#PublishToIoTCore")
		b, err := m.Encode(eventrpc.NumbersFirst)
		if err != nil {
			t.Fatal(err)
		}
		p.write(b[:12])
		p.closed()
	})
}

// An answer that does not fit lite's frame becomes an error.
func TestLiteAnswerTooLong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCore(t, Options{Nucleus: greengrass.Lite})
		k := install(t, c, recipeYAML)
		large := map[string]any{}
		for i := range 20 {
			large[fmt.Sprint("key", i)] = strings.Repeat("x", 900)
		}
		if err := c.Deploy(t.Context(), "com.example.agent", large); err != nil {
			t.Fatal(err)
		}
		p := dial(t, c, k)
		p.refused("GetConfiguration", `{"keyPath":[]}`, "ServiceError", "")
		p.succeed("GetConfiguration", `{"keyPath":["key7"]}`)
	})
}

// Nucleus lite waits five seconds for the rest of a frame, and for ever for its
// beginning.
func TestHalfAFrame(t *testing.T) {
	forBoth(t, func(t *testing.T, c *Core, k *Component) {
		p := dial(t, c, k)
		time.Sleep(time.Hour)
		p.succeed("GetConfiguration", "{}")
		p.write(announce(100))
		begun := time.Now()
		_, err := p.read(time.Minute)
		if !c.lite() {
			if err == nil || err == io.EOF {
				t.Errorf("the Java nucleus did not wait: %v", err)
			}
			return
		}
		if waited := time.Since(begun); err != io.EOF || waited != 5*time.Second {
			t.Errorf("closed after %v: %v", waited, err)
		}
	})
}

func TestLiteConnections(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCore(t, Options{Nucleus: greengrass.Lite})
		k := install(t, c, recipeYAML)
		peers := make([]*peer, 50)
		for i := range peers {
			peers[i] = dial(t, c, k)
		}
		open(t, c).closed()
		peers[0].nc.Close()
		synctest.Wait()
		dial(t, c, k)
	})
}

func TestLiteSubscriptions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCore(t, Options{Nucleus: greengrass.Lite})
		k := install(t, c, recipeYAML)
		p := dial(t, c, k)
		for range 99 {
			p.subscribe("SubscribeToTopic", `{"topic":"a"}`)
		}
		p.refused("SubscribeToTopic", `{"topic":"a"}`, "ServiceError", "Failed to bind subscription.")
		p.subscribe("SubscribeToConfigurationUpdate", `{"keyPath":[]}`)
		p.refused("SubscribeToConfigurationUpdate", `{}`, "ServiceError", "Failed to subscribe to configuration update.")
		p.refused("SubscribeToIoTCore", `{"topicName":"agent/x","qos":"1"}`, "ServiceError", "Failed to bind the subscription.")
		p.terminate(5)
		p.subscribe("SubscribeToIoTCore", `{"topicName":"agent/x","qos":"1"}`)
	})
}

// A client that does not read loses events, and costs the others nothing.
func TestSlowReader(t *testing.T) {
	forBoth(t, func(t *testing.T, c *Core, k *Component) {
		slow, quick := dial(t, c, k), dial(t, c, k)
		stream := slow.subscribe("SubscribeToTopic", `{"topic":"a","receiveMode":"RECEIVE_ALL_MESSAGES"}`)
		begun := time.Now()
		const published = maxUnreadEvents + 100
		for range published {
			quick.succeed("PublishToTopic", `{"topic":"a","publishMessage":{"binaryMessage":{"message":"AA=="}}}`)
		}
		if time.Since(begun) != 0 {
			t.Error("a publisher waited")
		}
		received := 0
		for {
			m, err := slow.read(time.Second)
			if err != nil {
				break
			}
			if m.StreamID != stream {
				t.Fatalf("frame on stream %d", m.StreamID)
			}
			received++
		}
		if received < maxUnreadEvents || received > published-90 {
			t.Errorf("received %d of %d", received, published)
		}
		slow.succeed("GetConfiguration", "{}") // the connection is usable
	})
}

// A client that asks without reading answers is served no further, and bound.
func TestAsksWithoutReading(t *testing.T) {
	forBoth(t, func(t *testing.T, c *Core, k *Component) {
		p := dial(t, c, k)
		go func() {
			for i := range int32(1_000) {
				m := &eventrpc.Message{StreamID: i + 1, Payload: []byte("{}")}
				m.SetText(eventrpc.HeaderOperation, "aws.greengrass#GetConfiguration")
				b, _ := m.Encode(eventrpc.NumbersFirst)
				if _, err := p.nc.Write(b); err != nil {
					return
				}
			}
		}()
		synctest.Wait()
		c.mu.Lock()
		for conn := range c.conns {
			conn.out.mu.Lock()
			if n := len(conn.out.frames); n > maxUnread {
				t.Errorf("%d answers wait", n)
			}
			conn.out.mu.Unlock()
		}
		c.mu.Unlock()
		for i := range int32(1_000) {
			if m := p.receive(); m.StreamID != i+1 {
				t.Fatalf("answer %d on stream %d", i, m.StreamID)
			}
		}
	})
}

func TestContextEndsConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCore(t, Options{})
		client, server := net.Pipe()
		ctx, cancel := context.WithCancel(t.Context())
		served := make(chan struct{})
		go func() {
			c.ServeConn(ctx, server)
			close(served)
		}()
		synctest.Wait()
		cancel()
		<-served
		if _, err := client.Read(make([]byte, 1)); err != io.EOF {
			t.Error(err)
		}
	})
}

func TestServeConnAfterClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCore(t, Options{})
		c.Close()
		open(t, c).closed()
		if err := c.Close(); err != nil {
			t.Errorf("second Close: %v", err)
		}
	})
}

func TestFaults(t *testing.T) {
	forBoth(t, func(t *testing.T, c *Core, k *Component) {
		p := dial(t, c, k)
		elapsed := func(f func()) time.Duration {
			begun := time.Now()
			f()
			return time.Since(begun)
		}
		ask := func() { p.succeed("GetConfiguration", "{}") }

		c.DelayAnswers(3 * time.Second)
		if d := elapsed(ask); d != 3*time.Second {
			t.Errorf("answered after %v", d)
		}
		c.DelayAnswers(0)
		c.Stall(5 * time.Second)
		c.Stall(time.Hour) // one at a time
		if d := elapsed(ask); d != 5*time.Second {
			t.Errorf("answered after a stall of %v", d)
		}
		c.CutFrame()
		p.request("GetConfiguration", "{}")
		if _, err := p.read(time.Hour); err == nil || err == io.EOF {
			t.Errorf("a cut frame: %v", err)
		}

		p = dial(t, c, k)
		c.CloseConnections()
		p.closed()

		p = dial(t, c, k)
		token := k.Token()
		if err := c.RestartIPC(); err != nil {
			t.Fatal(err)
		}
		p.closed()
		if k.Token() == token {
			t.Error("the token outlived the process that made it")
		}
		dial(t, c, k)
		c.Stall(time.Hour) // Close does not wait for it
	})
}

// What a client sends while the process is stopped is served when it goes on,
// each attempt, also of a client that has given up (runs of 2.18 and 2.6.0).
func TestStallServesEachAttempt(t *testing.T) {
	forBoth(t, func(t *testing.T, c *Core, k *Component) {
		messages := seen(c)
		p, gone := dial(t, c, k), dial(t, c, k)
		c.Stall(40 * time.Second)
		for range 4 {
			p.request("PublishToIoTCore", publication("1", 1))
			time.Sleep(10 * time.Second / 2)
		}
		gone.request("PublishToIoTCore", publication("1", 2))
		gone.request("PublishToIoTCore", publication("1", 2))
		gone.nc.Close()
		if got := messages(); got != nil {
			t.Errorf("arrived during the stall: %v", got)
		}
		time.Sleep(20 * time.Second)
		got := messages()
		slices.Sort(got)
		if diff := cmp.Diff([]string{"agent/x 1", "agent/x 1", "agent/x 1", "agent/x 1", "agent/x 2", "agent/x 2"}, got); diff != "" {
			t.Errorf("-want +got:\n%s", diff)
		}
		if n := len(p.pending(nil)); n != 4 {
			t.Errorf("%d answers, want 4", n)
		}
	})
}

// An open connection on which nothing arrives any more, while others work.
func TestSilence(t *testing.T) {
	forBoth(t, func(t *testing.T, c *Core, k *Component) {
		messages := seen(c)
		p := dial(t, c, k)
		c.Silence()
		p.request("PublishToIoTCore", publication("1", 1))
		p.silent()
		if diff := cmp.Diff([]string{"agent/x 1"}, messages()); diff != "" {
			t.Errorf("-want +got:\n%s", diff)
		}
		dial(t, c, k).succeed("GetConfiguration", "{}")
	})
}

// Without its configuration daemon lite authorizes nothing (run of 2.6.0).
func TestConfigDaemonIsDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCore(t, Options{Nucleus: greengrass.Lite})
		p := dial(t, c, install(t, c, recipeYAML))
		c.SetConfigDaemon(false)
		const denied = "IPC Operation not authorized."
		p.refused("SubscribeToIoTCore", `{"topicName":"agent/in","qos":"1"}`, "UnauthorizedError", denied)
		p.refused("PublishToIoTCore", publication("0", 1), "UnauthorizedError", denied)
		p.refused("PublishToTopic", `{"topic":"a","publishMessage":{"binaryMessage":{"message":"eA=="}}}`, "UnauthorizedError", denied)
		p.refused("SubscribeToTopic", `{"topic":"a"}`, "UnauthorizedError", denied)
		p.refused("GetConfiguration", `{"keyPath":[]}`, "ServiceError", "")
		p.refused("SubscribeToConfigurationUpdate", `{"keyPath":[]}`, "ServiceError", "Failed to subscribe to configuration update.")
		p.refused("UpdateConfiguration", `{"keyPath":[],"timestamp":`+now()+`,"valueToMerge":{"a":1}}`, "ServiceError", "Failed to update the configuration.")
		c.SetConfigDaemon(true)
		p.succeed("PublishToIoTCore", publication("0", 1))
	})
}
