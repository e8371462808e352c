package mqtt

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/device-defender/device-defender/internal/defender/detect"
)

// Nothing that a thing has lets it act or listen as another: not a topic, a filter, a client
// id or a will.
func TestImpersonationIsRefused(t *testing.T) {
	each(t, func(t *testing.T, version int, secure bool) {
		w := newWorld(t, secure, nil)
		victim := w.join(t, version, "core-1")
		if err := victim.sub("$aws/things/core-1/#"); err != nil {
			t.Fatal(err)
		}
		for _, filter := range []string{
			"$aws/things/core-1/defender/metrics/json/accepted", "$aws/things/core-1/#", "$aws/things/+/defender/metrics/json/accepted", "$aws/things/#",
			"$aws/#", "#", "+/#", "$SYS/#", "$share/g/$aws/things/core-2/#", "$aws/things/core-2", "$aws/things/core-2x/#", "$aws/things/core-2/../core-1/a/#x", "core-2/a",
		} {
			other := w.join(t, version, "core-2")
			if err := other.sub(filter); err == nil {
				t.Errorf("subscribed to %s", filter)
			}
			other.end()
		}
		for _, topic := range []string{
			"$aws/things/core-1/defender/metrics/json", "$aws/things/core-1/defender/metrics/json/accepted", "$aws/events/presence/disconnected/core-1", "$SYS/a", "a",
			"$aws/things//defender/metrics/json", "$aws/things/core-2", "$aws/things/core-2/" + strings.Repeat("a", 257),
		} {
			other := w.join(t, version, "core-2")
			if err := other.publish(topic, 1, reportOf(1)); err == nil {
				t.Errorf("published to %s", topic)
			}
			other.end()
		}
		if taken := w.service.Reports("", 10); len(taken) != 0 {
			t.Errorf("reports were taken: %+v", taken)
		}
		if secure {
			w.until(t, "authorization failure of core-2", func(ev detect.CloudEvent) bool {
				return ev.Thing == "core-2" && ev.Type == detect.AuthorizationFailure && ev.Topic != ""
			})
			// The victim's id does not take its session over, nor does its will reach it.
			c := certificate(t, time.Now().Add(time.Hour))
			w.registry.set(c, "core-2")
			thief, err := w.connect(t, options{version: version, certificate: &c, id: "agent-core-1", willTopic: "$aws/things/core-1/will"})
			if err != nil {
				t.Fatal(err)
			}
			if err := thief.publish("$aws/things/core-1/a", 1, nil); err == nil { // ends it, with its will
				t.Error("published as core-1")
			}
		}
		if err := victim.publish("$aws/things/core-1/defender/metrics/json", 1, reportOf(1)); err != nil {
			t.Fatal(err)
		}
		if text := victim.reply(); !strings.HasPrefix(text, "$aws/things/core-1/defender/metrics/json/accepted ") {
			t.Errorf("the victim got %s", text)
		}
	})
}

// Who has no certificate, or one that is not registered or has expired, does not come in, and who has
// lost it reports no more.
func TestCertificates(t *testing.T) {
	for _, version := range []int{3, 5} {
		t.Run(fmt.Sprint("MQTT ", version), func(t *testing.T) {
			w := newWorld(t, true, nil)
			known, expired := certificate(t, time.Now().Add(time.Hour)), certificate(t, time.Now().Add(-time.Hour))
			w.registry.set(known, "core-1")
			w.registry.set(expired, "core-1")
			unknown := certificate(t, time.Now().Add(time.Hour))
			// The certificate does not help without its key: TLS asks for a signature.
			stolen := certificate(t, time.Now().Add(time.Hour))
			stolen.Certificate = known.Certificate
			if _, err := w.connect(t, options{version: version, id: "core-1"}); err == nil {
				t.Error("no certificate: connected")
			}
			if _, err := w.connect(t, options{version: version, id: "core-1", certificate: &expired}); err == nil {
				t.Error("expired: connected")
			}
			if _, err := w.connect(t, options{version: version, id: "core-1", certificate: &unknown}); err == nil {
				t.Error("unknown: connected")
			}
			if _, err := w.connect(t, options{version: version, id: "core-1", certificate: &stolen}); err == nil {
				t.Error("without the key: connected")
			}
			d, err := w.connect(t, options{version: version, id: "any id, even of another: core-2", certificate: &known})
			if err != nil {
				t.Fatal(err)
			}
			if err := d.publish("$aws/things/core-1/defender/metrics/json", 1, reportOf(1)); err != nil {
				t.Error(err)
			}
			w.registry.set(known, "")
			if err := d.publish("$aws/things/core-1/defender/metrics/json", 1, reportOf(2)); err == nil {
				t.Error("reported with a certificate that is deleted")
			}
			if taken := w.service.Reports("", 10); len(taken) != 1 {
				t.Errorf("reports %+v", taken)
			}
		})
	}
}

// A client of 3.1.1 is refused by a return code of 3.1.1, one of 5 by a reason code of 5.
func TestRefusalIsOfTheVersion(t *testing.T) {
	w := newWorld(t, false, nil)
	for _, test := range []struct{ connect, want string }{
		{"\x10\x0f\x00\x04MQTT\x04\x02\x00\x3c\x00\x03a/b", "\x20\x02\x00\x05"},
		{"\x10\x10\x00\x04MQTT\x05\x02\x00\x3c\x00\x00\x03a/b", "\x20"},
	} {
		c, err := net.Dial("tcp", w.address)
		if err != nil {
			t.Fatal(err)
		}
		c.Write([]byte(test.connect))
		c.SetReadDeadline(time.Now().Add(patience))
		got, err := io.ReadAll(c)
		if err != nil || !strings.HasPrefix(string(got), test.want) || test.want == "\x20" && (len(got) < 4 || got[3] != 0x87) {
			t.Errorf("%q: %q, %v, want %q", test.connect, got, err, test.want)
		}
		c.Close()
	}
}

// A core asks for jobs and shadows when it connects, and finds none.
func TestCoreFindsAnEmptyAccount(t *testing.T) {
	each(t, func(t *testing.T, version int, secure bool) {
		w := newWorld(t, secure, nil)
		d := w.join(t, version, "core-1")
		if err := d.sub("$aws/things/core-1/#"); err != nil {
			t.Fatal(err)
		}
		for _, test := range []struct{ topic, request, reply, has string }{
			{"jobs/$next/namespace-aws-gg-deployment/get", `{"clientToken":"t"}`, "/accepted", `"clientToken":"t"`},
			{"jobs/start-next", `{}`, "/accepted", `"timestamp":`},
			{"jobs/get", `{}`, "/accepted", `"queuedJobs":[]`},
			{"jobs/job-1/get", `{"clientToken":7}`, "/rejected", `"code":"ResourceNotFound"`},
			{"jobs/job-1/namespace-aws-gg-deployment/update", `no JSON`, "/rejected", `"code":"ResourceNotFound"`},
			{"shadow/get", ``, "/rejected", `No shadow exists with name: 'core-1'`},
			{"shadow/name/AWSManagedGreengrassV2Deployment/get", `{"clientToken":"u"}`, "/rejected", `"code":404`},
			{"shadow/name/AWSManagedGreengrassV2Deployment/update", `{"state":{}}`, "/rejected", `"code":403`},
		} {
			topic := "$aws/things/core-1/" + test.topic
			if err := d.publish(topic, 1, []byte(test.request)); err != nil {
				t.Fatal(err)
			}
			if text := d.reply(); !strings.HasPrefix(text, topic+test.reply+" {") || !strings.Contains(text, test.has) || strings.Contains(text, "execution") {
				t.Errorf("%s: %s", test.topic, text)
			}
		}
		// What nobody answers is acknowledged and dropped: it does not come back either.
		for _, topic := range []string{"greengrassv2/health/json", "jobs/a/b/c/d", "shadow/name/get", "shadow/a/b/c/get", "defender/metrics/json/accepted"} {
			if err := d.publish("$aws/things/core-1/"+topic, 1, []byte("{}")); err != nil {
				t.Error(err)
			}
		}
		if err := d.publish("$aws/things/core-1/jobs/get", 0, nil); err != nil {
			t.Fatal(err)
		}
		if text := d.reply(); !strings.HasPrefix(text, "$aws/things/core-1/jobs/get/accepted ") {
			t.Error(text)
		}
	})
}

// Connections and messages are events of the cloud-side metrics.
func TestCloudEvents(t *testing.T) {
	each(t, func(t *testing.T, version int, secure bool) {
		w := newWorld(t, secure, nil)
		d := w.join(t, version, "core-1")
		const topic = "$aws/things/core-1/defender/metrics/json"
		if err := d.sub(topic + "/+"); err != nil {
			t.Fatal(err)
		}
		payload := reportOf(1)
		if err := d.publish(topic, 1, payload); err != nil {
			t.Fatal(err)
		}
		d.reply()
		if err := d.publish(topic, 1, payload); err != nil { // without a certificate the first is not counted
			t.Fatal(err)
		}
		d.reply()
		id := map[bool]string{true: "agent-core-1", false: "core-1"}[secure]
		is := func(kind detect.CloudEventType, topic string, size int) func(detect.CloudEvent) bool {
			return func(ev detect.CloudEvent) bool {
				return ev.Thing == "core-1" && ev.ClientID == id && ev.SourceIP.String() == "127.0.0.1" && ev.Type == kind && ev.Topic == topic && (size < 0 || ev.Bytes == size)
			}
		}
		w.until(t, "connect", is(detect.Connect, "", 0))
		w.until(t, "publish", is(detect.Publish, topic, len(payload)))
		w.until(t, "deliver", is(detect.Deliver, topic+"/accepted", -1))
		// One more connection with the same id takes over: the thing is connected still.
		d2 := w.join(t, version, "core-1")
		if err := d2.publish(topic, 1, payload); err != nil {
			t.Fatal(err)
		}
		w.mu.Lock()
		for _, ev := range w.events {
			if ev.Type == detect.Disconnect {
				t.Errorf("disconnected while there is a connection")
			}
		}
		w.mu.Unlock()
		d2.end()
		w.until(t, "disconnect", is(detect.Disconnect, "", 0))
	})
}

// Names that are made up leave nothing behind.
func TestUnknownThingsAreNotCounted(t *testing.T) {
	w := newWorld(t, false, nil)
	for i := range 5 {
		d, err := w.connect(t, options{version: 3, id: fmt.Sprint("made-up-", i)})
		if err != nil {
			t.Fatal(err)
		}
		if err := d.publish(fmt.Sprintf("$aws/things/made-up-%d/jobs/get", i), 1, nil); err != nil {
			t.Error(err)
		}
		d.end()
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.events) > 0 {
		t.Errorf("events %+v", w.events)
	}
}

// A thing has a bounded number of connections and subscriptions, and packets a bounded size.
func TestBounds(t *testing.T) {
	each(t, func(t *testing.T, version int, secure bool) {
		w := newWorld(t, secure, nil)
		var o options
		if secure {
			c := certificate(t, time.Now().Add(time.Hour))
			w.registry.set(c, "core-1")
			o.certificate = &c
		}
		o.version = version
		var last *device
		for i := range maxPerThing {
			o.id = fmt.Sprint("core-1#", i)
			d, err := w.connect(t, o)
			if err != nil {
				t.Fatal(err)
			}
			last = d
		}
		o.id = "core-1#one-more"
		if _, err := w.connect(t, o); err == nil {
			t.Errorf("%d connections", maxPerThing+1)
		}
		for i := range maxSubscriptions {
			if err := last.sub(fmt.Sprint("$aws/things/core-1/", i)); err != nil {
				t.Fatal(err)
			}
		}
		if err := last.sub("$aws/things/core-1/one-more"); err == nil {
			t.Errorf("%d subscriptions", maxSubscriptions+1)
		}
		other := w.join(t, version, "core-2")
		if err := other.publish("$aws/things/core-2/a", 1, make([]byte, maxPacket)); err == nil {
			t.Error("a packet of more than the most is taken")
		}
		if err := w.join(t, version, "core-3").publish("$aws/things/core-3/a", 2, nil); err == nil {
			t.Error("QoS 2 is taken")
		}
	})
}

// Garbage ends its connection, and nothing else.
func TestGarbage(t *testing.T) {
	w := newWorld(t, false, nil)
	connect := []byte("\x10\x12\x00\x04MQTT\x04\x02\x00\x3c\x00\x06core-1")
	random := rand.New(rand.NewPCG(1, 2))
	inputs := [][]byte{
		nil, []byte("GET / HTTP/1.1\r\n\r\n"), {0x10, 0xff, 0xff, 0xff, 0xff}, {0x10, 0xff, 0xff, 0xff, 0x7f}, {0x16, 0x03, 0x01}, connect[:10],
		append(bytes.Clone(connect), connect...), append(bytes.Clone(connect), 0x30, 0xff, 0xff, 0xff, 0x7f), append(bytes.Clone(connect), 0x30, 0x02, 0xff, 0xff),
		append(bytes.Clone(connect), 0x82, 0x02, 0x00, 0x01), append(bytes.Clone(connect), 0xf0, 0x00), append(bytes.Clone(connect), 0x36, 0x04, 0, 1, 'a', 0),
	}
	for range 300 {
		data := make([]byte, random.IntN(60))
		for i := range data {
			data[i] = byte(random.Uint32())
		}
		inputs = append(inputs, data, append(bytes.Clone(connect), data...))
		version5 := bytes.Clone(connect)
		version5[8] = 5
		inputs = append(inputs, append(version5, data...))
	}
	for _, data := range inputs {
		c, err := net.Dial("tcp", w.address)
		if err != nil {
			t.Fatal(err)
		}
		c.Write(data)
		if err := c.(*net.TCPConn).CloseWrite(); err == nil {
			c.SetReadDeadline(time.Now().Add(patience))
			_, err = io.Copy(io.Discard, c)
			if errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("%q: the connection goes on", data)
			}
		}
		c.Close()
	}
	d := w.join(t, 3, "core-2")
	if err := d.publish("$aws/things/core-2/defender/metrics/json", 1, reportOf(1)); err != nil {
		t.Error(err)
	}
}

// Who connects and says nothing gives way to others.
func TestSilentConnectionsGiveWay(t *testing.T) {
	w := newWorld(t, false, nil)
	for range 2 * maxOpening {
		c, err := net.Dial("tcp", w.address)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
	}
	d := w.join(t, 5, "core-1")
	if err := d.publish("$aws/things/core-1/defender/metrics/json", 1, reportOf(1)); err != nil {
		t.Error(err)
	}
}
