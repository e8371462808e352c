package localcore

import (
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/device-defender/device-defender/internal/greengrass"
	"github.com/device-defender/device-defender/internal/greengrass/eventrpc"
)

func TestListen(t *testing.T) {
	for nucleus, name := range map[greengrass.Nucleus]string{greengrass.Java: "ipc.socket", greengrass.Lite: "gg-ipc.socket"} {
		root := filepath.Join(t.TempDir(), "gg")
		c := newCore(t, Options{Nucleus: nucleus, Root: root})
		k := install(t, c, recipeYAML)
		if err := c.Listen(); err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(root, name)
		info, err := os.Stat(path)
		if err != nil || info.Mode() != os.ModeSocket|0o600 {
			t.Errorf("socket: %v, %v", info.Mode(), err)
		}
		if err := c.Listen(); err == nil {
			t.Error("listens twice")
		}
		ask := func() *greengrass.Client {
			t.Helper()
			nc, err := net.Dial("unix", path)
			if err != nil {
				t.Fatal(err)
			}
			client, err := greengrass.NewClient(t.Context(), nc, k.Token(), slog.New(slog.DiscardHandler))
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { client.Close() })
			if _, err := client.GetConfiguration(t.Context(), greengrass.GetConfigurationRequest{KeyPath: []string{}}); err != nil {
				t.Fatal(err)
			}
			if client.Nucleus() != nucleus {
				t.Errorf("the client takes %v for %v", nucleus, client.Nucleus())
			}
			return client
		}
		client := ask()
		if err := c.RestartIPC(); err != nil {
			t.Fatal(err)
		}
		<-client.Done()
		client = ask()
		if err := c.Close(); err != nil {
			t.Fatal(err)
		}
		<-client.Done()
		if _, err := os.Stat(path); !os.IsNotExist(err) {
			t.Errorf("the socket is left behind: %v", err)
		}
		if err := c.Listen(); err == nil {
			t.Error("a closed core listens")
		}
	}
}

func TestListenRefuses(t *testing.T) {
	if err := newCore(t, Options{}).Listen(); err == nil {
		t.Error("listens without a root folder")
	}
	long := filepath.Join(t.TempDir(), strings.Repeat("x", 100))
	if err := newCore(t, Options{Root: long}).Listen(); err == nil || !strings.Contains(err.Error(), "at most 107 bytes") {
		t.Errorf("a long path: %v", err)
	}
	root := t.TempDir()
	path := filepath.Join(root, "ipc.socket")
	first := newCore(t, Options{Root: root})
	if err := first.Listen(); err != nil {
		t.Fatal(err)
	}
	if err := newCore(t, Options{Root: root}).Listen(); err == nil || !strings.Contains(err.Error(), "another core serves") {
		t.Errorf("a second core: %v", err)
	}
	first.Close()
	if err := os.WriteFile(path, []byte("precious"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := newCore(t, Options{Root: root}).Listen(); err == nil {
		t.Error("replaces a file")
	}
	os.Remove(path)

	// The socket of a core that crashed is in nobody's way.
	stale, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	stale.SetUnlinkOnClose(false)
	stale.Close()
	if err := newCore(t, Options{Root: root}).Listen(); err != nil {
		t.Error(err)
	}
}

func TestNewRefuses(t *testing.T) {
	if _, err := New(Options{Nucleus: 7}); err == nil {
		t.Error("any nucleus will do")
	}
}

// Any bytes on a connection do no harm: it ends with them, and the next one is
// served.
func FuzzConnection(f *testing.F) {
	frames := func(messages ...*eventrpc.Message) (all []byte) {
		for _, m := range messages {
			b, err := m.Encode(eventrpc.NumbersFirst)
			if err != nil {
				f.Fatal(err)
			}
			all = append(all, b...)
		}
		return all
	}
	const token = "FUZZINGFUZZING00"
	request := func(stream int32, operation, payload string) *eventrpc.Message {
		m := &eventrpc.Message{StreamID: stream, Payload: []byte(payload)}
		m.SetText(eventrpc.HeaderOperation, "aws.greengrass#"+operation)
		return m
	}
	f.Add(frames(connectMessage(token), request(1, "GetConfiguration", "{}"), request(2, "SubscribeToTopic", `{"topic":"a"}`),
		request(3, "PublishToTopic", `{"topic":"a","publishMessage":{"jsonMessage":{"message":{}}}}`)))
	f.Add(frames(connectMessage(token), request(1, "UpdateConfiguration", `{"timestamp":9e9,"keyPath":["a","b"],"valueToMerge":{"c":{}}}`),
		request(2, "SubscribeToIoTCore", `{"topicName":"agent/#","qos":"1"}`), request(3, "PublishToIoTCore", `{"topicName":"agent/x","qos":"1","payload":""}`)))
	f.Add(frames(connectMessage(token), request(1, "SubscribeToComponentUpdates", `{}`), request(2, "DeferComponentUpdate", `{"deploymentId":"x","recheckAfterMs":-1}`),
		request(3, "SubscribeToValidateConfigurationUpdates", `{}`), request(4, "SendConfigurationValidityReport", `{"configurationValidityReport":{}}`),
		&eventrpc.Message{StreamID: 3, Flags: eventrpc.TerminateStream}))
	f.Add(frames(connectMessage("wrong")))
	f.Add(announce(1 << 31))
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, nucleus := range []greengrass.Nucleus{greengrass.Java, greengrass.Lite} {
			c := newCore(t, Options{Nucleus: nucleus})
			k := install(t, c, recipeYAML)
			giveToken(c, k, token)
			client, server := net.Pipe()
			served := make(chan struct{})
			go func() {
				c.ServeConn(t.Context(), server)
				close(served)
			}()
			go func() { // what the core says is of no interest
				for buf := make([]byte, 4096); ; {
					if _, err := client.Read(buf); err != nil {
						return
					}
				}
			}()
			client.Write(b)
			client.Close()
			<-served
			dial(t, c, k).succeed("GetConfiguration", "{}")
			c.Close()
		}
	})
}
