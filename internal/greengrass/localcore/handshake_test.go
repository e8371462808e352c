package localcore

import (
	"testing"
	"testing/synctest"

	"github.com/aws/aws-sdk-go-v2/aws/protocol/eventstream"

	"github.com/device-defender/device-defender/internal/greengrass"
	"github.com/device-defender/device-defender/internal/greengrass/eventrpc"
)

func TestHandshakeLite(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCore(t, Options{Nucleus: greengrass.Lite})
		k := install(t, c, recipeYAML)
		token := `"authToken":"` + k.Token() + `"`
		for _, test := range []struct {
			name, payload, version string
			change                 func(*eventrpc.Message)
			accepted               bool
		}{
			{name: "token without version", payload: "{" + token + "}", accepted: true},
			{name: "token and name", payload: "{" + token + `,"componentName":"com.example.agent"}`, accepted: true},
			{name: "token and another's name", payload: "{" + token + `,"componentName":"com.example.other"}`},
			{name: "wrong version", payload: "{" + token + "}", version: "0.2.0"},
			{name: "wrong token", payload: `{"authToken":"AAAAAAAAAAAAAAAA"}`},
			{name: "wrong token and right name", payload: `{"authToken":"AAAAAAAAAAAAAAAA","componentName":"com.example.agent"}`},
			{name: "unknown component", payload: `{"componentName":"com.example.other"}`},
			{name: "null token", payload: `{"authToken":null,"componentName":"com.example.agent"}`},
			{name: "empty", payload: `{}`},
			{name: "no JSON", payload: `{"authToken":`},
			{name: "a list", payload: `[]`},
			{name: "flags", payload: "{" + token + "}", change: func(m *eventrpc.Message) { m.Flags = 1 }},
			{name: "stream", payload: "{" + token + "}", change: func(m *eventrpc.Message) { m.StreamID = 1 }},
			{name: "not a CONNECT", payload: "{" + token + "}", change: func(m *eventrpc.Message) { m.Type = eventrpc.Ping }},
		} {
			t.Log(test.name)
			m := &eventrpc.Message{Type: eventrpc.Connect, Payload: []byte(test.payload)}
			if test.version != "" {
				m.SetText(eventrpc.HeaderVersion, test.version)
			}
			if test.change != nil {
				test.change(m)
			}
			p := open(t, c)
			p.send(m)
			if !test.accepted {
				p.closed()
				continue
			}
			if ack := p.receive(); ack.Flags != eventrpc.ConnectionAccepted || len(ack.Headers) != 0 {
				t.Errorf("%s: acknowledged with %+v", test.name, ack)
			}
			p.succeed("GetConfiguration", "{}")
		}
	})
}

func TestHandshakeJavaRefuses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCore(t, Options{})
		k := install(t, c, recipeYAML)
		for name, m := range map[string]*eventrpc.Message{
			"no version": {Type: eventrpc.Connect, Payload: []byte(`{"authToken":"` + k.Token() + `"}`)},
			"no JSON":    connectWith(`{"authToken":`),
			"no token":   connectWith(`{}`),
			"a name":     connectWith(`{"componentName":"com.example.agent"}`),
		} {
			p := open(t, c)
			p.send(m)
			if ack := p.receive(); ack.Type != eventrpc.ConnectAck || ack.Flags != 0 {
				t.Errorf("%s: answered by %v with flags %d", name, ack.Type, ack.Flags)
			}
			p.closed()
		}
	})
}

func connectWith(payload string) *eventrpc.Message {
	m := connectMessage("")
	m.Payload = []byte(payload)
	return m
}

func TestTokensAreForgotten(t *testing.T) {
	forBoth(t, func(t *testing.T, c *Core, k *Component) {
		old := k.Token()
		if old != k.Token() || len(old) != 16 {
			t.Fatalf("token %q, then %q", old, k.Token())
		}
		p := dial(t, c, k)
		c.ForgetTokens()
		p.succeed("GetConfiguration", "{}") // connections stay

		p = open(t, c)
		p.send(connectMessage(old))
		if c.lite() {
			p.closed()
		} else if ack := p.receive(); ack.Flags != 0 {
			t.Error("an old token is taken")
		}
		if k.Token() == old {
			t.Error("the token is the same after it was forgotten")
		}
		dial(t, c, k)
	})
}

func TestLiteClosesOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCore(t, Options{Nucleus: greengrass.Lite})
		k := install(t, c, recipeYAML)
		withHeader := &eventrpc.Message{StreamID: 1, Payload: []byte("{}")}
		withHeader.Headers = append(withHeader.Headers, eventstream.Header{Name: "x", Value: eventstream.BoolValue(true)})
		for name, m := range map[string]*eventrpc.Message{
			"ping":           {Type: eventrpc.Ping},
			"second connect": connectMessage(k.Token()),
			"stream 0":       {Payload: []byte("{}")},
			"boolean header": withHeader,
		} {
			t.Log(name)
			p := dial(t, c, k)
			p.send(m)
			p.closed()
		}
	})
}

// What nucleus lite refuses as a plain ServiceError leaves the connection
// usable; stream ids are not checked.
func TestLiteBearsWith(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCore(t, Options{Nucleus: greengrass.Lite})
		p := dial(t, c, install(t, c, recipeYAML))
		deep := func(depth int) []byte {
			b := []byte("0")
			for range depth {
				b = append(append([]byte(`{"a":`), b...), '}')
			}
			return b
		}
		many := func(n int) []byte {
			b := []byte(`{"a":[0`)
			for range n - 1 {
				b = append(b, ",0"...)
			}
			return append(b, "]}"...)
		}
		for _, test := range []struct {
			m       *eventrpc.Message
			refused bool
		}{
			{&eventrpc.Message{StreamID: 9, Payload: []byte("{}")}, false},
			{&eventrpc.Message{StreamID: 3, Payload: []byte("{}")}, false},
			{&eventrpc.Message{StreamID: 3, Payload: []byte("{}")}, false},
			{&eventrpc.Message{StreamID: -3, Payload: []byte("{}")}, false},
			{&eventrpc.Message{StreamID: 4, Payload: deep(14)}, false},
			{&eventrpc.Message{StreamID: 4, Payload: many(253)}, false},
			{&eventrpc.Message{StreamID: 4, Payload: deep(16)}, true},
			{&eventrpc.Message{StreamID: 4, Payload: many(254)}, true},
			{&eventrpc.Message{StreamID: 4}, true},
			{&eventrpc.Message{StreamID: 4, Payload: []byte("[]")}, true},
			{&eventrpc.Message{StreamID: 4, Payload: []byte("{} {}")}, true},
			{&eventrpc.Message{StreamID: 4, Payload: []byte("{}"), Flags: 1}, true},
			{&eventrpc.Message{StreamID: 4, Payload: []byte("{}"), Type: eventrpc.ApplicationError}, true},
		} {
			test.m.SetText(eventrpc.HeaderOperation, "aws.greengrass#GetConfiguration")
			p.send(test.m)
			answer := p.receive()
			refused := string(answer.Payload) == `{"_message":"","_errorCode":"ServiceError"}`
			if refused != test.refused || answer.StreamID != test.m.StreamID {
				t.Errorf("%s with flags %d on stream %d answered by %s", test.m.Payload, test.m.Flags, test.m.StreamID, answer.Payload)
			}
		}
		p.send(&eventrpc.Message{StreamID: 5, Payload: []byte("{}")}) // no operation
		if answer := p.receive(); string(answer.Payload) != `{"_message":"","_errorCode":"ServiceError"}` {
			t.Errorf("no operation: answered by %s", answer.Payload)
		}
		p.terminate(77) // of nobody
		p.silent()
	})
}

func TestGetSystemConfig(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCore(t, Options{Nucleus: greengrass.Lite})
		p := dial(t, c, install(t, c, recipeYAML))
		m := &eventrpc.Message{StreamID: 1, Payload: []byte(`{"key":"thingName"}`)}
		m.SetText(eventrpc.HeaderOperation, "aws.greengrass.private#GetSystemConfig")
		p.send(m)
		answer := p.receive()
		if string(answer.Payload) != `{"value":"example-thing"}` || answer.Text(eventrpc.HeaderModelType) != "" {
			t.Errorf("got %s, model type %q", answer.Payload, answer.Text(eventrpc.HeaderModelType))
		}
	})
}
