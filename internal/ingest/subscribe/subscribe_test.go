package subscribe

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/eclipse/paho.golang/paho"
	"go.uber.org/goleak"

	"github.com/device-defender/device-defender/internal/defender/detect"
	"github.com/device-defender/device-defender/internal/defender/report"
	"github.com/device-defender/device-defender/internal/ingest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// taker is a service that stores reports, or can't.
type taker struct {
	mu    sync.Mutex
	took  []string
	tried int
	full  bool
}

func (s *taker) ReportObserved(_ context.Context, thing string, _ report.Format, payload []byte, _ time.Time) report.Reply {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tried++
	if s.full {
		return report.Reply{Status: report.Rejected, ErrorCode: "ServiceUnavailable"}
	}
	r, _, err := report.Decode(payload)
	if err != nil {
		return report.Reply{ThingName: thing, Status: report.Rejected, ErrorCode: "InvalidPayload", Timestamp: time.Now()}
	}
	s.took = append(s.took, fmt.Sprint(thing, " ", r.ID))
	return report.Reply{ThingName: thing, ReportID: r.ID, Status: report.Accepted, Timestamp: time.Now()}
}

func (*taker) Cloud(detect.CloudEvent) {}

func (s *taker) has(report string) func() bool {
	return func() bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		return slices.Contains(s.took, report)
	}
}

func (s *taker) tries() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.tried
}

func (s *taker) setFull(full bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.full = full
}

// served runs a source until the function that it returns is called.
func served(t *testing.T, o Options, s *taker) (end func(), log *lines) {
	t.Helper()
	log = &lines{}
	o.Log = slog.New(slog.NewTextHandler(log, nil))
	o.Intake = ingest.New(s, o.Log)
	source, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- source.Serve(ctx) }()
	end = sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(end)
	return end, log
}

type lines struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *lines) count(what string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Count(l.text.String(), what)
}

func (l *lines) says(what string, times int) func() bool {
	return func() bool { return l.count(what) >= times }
}

// Reports by mosquitto are taken and answered. By its rules a thing reports as itself only.
func TestReportsByMosquitto(t *testing.T) {
	m, s := newMosquitto(t), &taker{}
	_, log := served(t, m.options(m.address()), s)
	eventually(t, "the subscription", log.says("msg=subscribed", 1))
	one, two := m.thing("core-1"), m.thing("core-2")
	if _, err := one.Subscribe(t.Context(), &paho.Subscribe{Subscriptions: []paho.SubscribeOptions{
		{Topic: "$aws/things/core-1/defender/metrics/json/accepted", QoS: 1}, {Topic: "$aws/things/core-1/defender/metrics/json/rejected", QoS: 1},
	}}); err != nil {
		t.Fatal(err)
	}
	two.publish(t, "core-1", 66)
	two.publish(t, "core-2", 2)
	one.publish(t, "core-1", 1)
	eventually(t, "reports", func() bool { return s.has("core-1 1")() && s.has("core-2 2")() })
	eventually(t, "the reply", func() bool { return one.heard() == "$aws/things/core-1/defender/metrics/json/accepted" })
	if s.has("core-1 66")() {
		t.Error("core-2 reported as core-1")
	}
}

// The broker ends, and is there again: the source subscribes again.
func TestMosquittoRestarts(t *testing.T) {
	m, s := newMosquitto(t), &taker{}
	_, log := served(t, m.options(m.address()), s)
	eventually(t, "the subscription", log.says("msg=subscribed", 1))
	for i := range 3 {
		eventually(t, "the subscription again", log.says("subscribed again", i))
		m.thing("core-1").publish(t, "core-1", i+1)
		eventually(t, "the report", s.has(fmt.Sprint("core-1 ", i+1)))
		if i == 0 {
			m.stop()
		} else {
			m.kill()
		}
		m.start()
	}
}

// What can't be stored is not acknowledged: the broker gives it to the next.
func TestNoAcknowledgementWithoutAStore(t *testing.T) {
	m, s := newMosquitto(t), &taker{full: true}
	end, log := served(t, m.options(m.address()), s)
	eventually(t, "the subscription", log.says("msg=subscribed", 1))
	m.thing("core-1").publish(t, "core-1", 1)
	eventually(t, "the report", func() bool { return s.tries() > 0 })
	end()
	s.setFull(false)
	if s.has("core-1 1")() {
		t.Fatal("it was stored")
	}
	served(t, m.options(m.address()), s)
	eventually(t, "the report once more", s.has("core-1 1"))
}

// A network that says nothing any more is noticed.
func TestCutOff(t *testing.T) {
	m, s := newMosquitto(t), &taker{}
	proxy := newProxy(t, m.address())
	_, log := served(t, m.options(proxy.address()), s)
	eventually(t, "the subscription", log.says("msg=subscribed", 1))
	proxy.cut()
	m.thing("core-1").publish(t, "core-1", 1) // waits in the session
	eventually(t, "the loss", log.says("tried again", 1))
	proxy.mend()
	eventually(t, "the report", s.has("core-1 1"))
}

// proxy forwards, or holds back all bytes without a word.
type proxy struct {
	listener net.Listener
	to       string
	mu       sync.Mutex
	held     chan struct{} // closed when it forwards again
	running  sync.WaitGroup
	conns    []net.Conn
}

func newProxy(t *testing.T, to string) *proxy {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{listener: l, to: to}
	p.running.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			p.running.Go(func() { p.forward(c) })
		}
	})
	t.Cleanup(func() {
		l.Close()
		p.mend()
		p.mu.Lock()
		for _, c := range p.conns {
			c.Close()
		}
		p.mu.Unlock()
		p.running.Wait()
	})
	return p
}

func (p *proxy) address() string { return p.listener.Addr().String() }

func (p *proxy) cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.held = make(chan struct{})
}

func (p *proxy) mend() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.held != nil {
		close(p.held)
		p.held = nil
	}
}

// Read and write through a cut that lasts until it is mended.
func (p *proxy) pass() {
	p.mu.Lock()
	held := p.held
	p.mu.Unlock()
	if held != nil {
		<-held
	}
}

func (p *proxy) forward(c net.Conn) {
	b, err := net.Dial("tcp", p.to)
	if err != nil {
		c.Close()
		return
	}
	p.mu.Lock()
	p.conns = append(p.conns, b, c)
	p.mu.Unlock()
	one := func(to, from net.Conn) {
		buffer := make([]byte, 4096)
		for {
			n, err := from.Read(buffer)
			p.pass()
			if _, werr := to.Write(buffer[:n]); err != nil || werr != nil {
				to.Close()
				from.Close()
				return
			}
		}
	}
	p.running.Go(func() { one(b, c) })
	one(c, b)
}

// What is subscribed to names topics with a $ in full, or the broker would leave them out.
func TestFilters(t *testing.T) {
	for group, want := range map[string][]string{
		"":         {"$aws/things/+/defender/metrics/json", "$aws/things/+/defender/metrics/cbor"},
		"defender": {"$share/defender/$aws/things/+/defender/metrics/json", "$share/defender/$aws/things/+/defender/metrics/cbor"},
	} {
		s := &Source{options: Options{Group: group}}
		var got []string
		for _, f := range s.filters() {
			got = append(got, f.Topic)
			if f.QoS != 1 {
				t.Errorf("%s: QoS %d", f.Topic, f.QoS)
			}
		}
		if !slices.Equal(got, want) {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

// README.md shows the rules that are tested.
func TestReadmeHasTheRules(t *testing.T) {
	readme, err := os.ReadFile("../../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"acl", "mosquitto.conf"} {
		text, err := os.ReadFile(filepath.Join("testdata", name))
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(text)) {
			line = strings.NewReplacer("FOLDER/", "/etc/mosquitto/", "listener PORT 127.0.0.1", "listener 8883").Replace(strings.TrimSpace(line))
			ofTests := strings.HasPrefix(line, "autosave") || strings.HasPrefix(line, "persistence_location") || name != "acl" && strings.HasPrefix(line, "#")
			if !ofTests && !strings.Contains(string(readme), "    "+line+"\n") && line != "" {
				t.Errorf("README.md lacks %q of %s", line, name)
			}
		}
	}
}

func TestOptions(t *testing.T) {
	good := Options{URL: "mqtts://broker.example", Group: "defender"}
	for name, test := range map[string]struct {
		change func(*Options)
		want   string
	}{
		"good":          {func(*Options) {}, ""},
		"loopback":      {func(o *Options) { o.URL = "mqtt://127.0.0.1:1883" }, ""},
		"no TLS":        {func(o *Options) { o.URL = "mqtt://broker.example" }, "want mqtts"},
		"no URL":        {func(o *Options) { o.URL = "broker.example:8883" }, "want a URL"},
		"a path":        {func(o *Options) { o.URL += "/a" }, "want a URL"},
		"user in URL":   {func(o *Options) { o.URL = "mqtts://a:secret@broker.example" }, "do not belong on a command line"},
		"half a pair":   {func(o *Options) { o.Certificate = "a" }, "go together"},
		"password only": {func(o *Options) { o.Password = "a" }, "wants a user"},
		"a level":       {func(o *Options) { o.Group = "a/b" }, "want a name"},
		"no file":       {func(o *Options) { o.CA = filepath.Join(os.DevNull, "none") }, "authorities"},
	} {
		o := good
		test.change(&o)
		_, err := New(o)
		if (err == nil) != (test.want == "") || err != nil && !strings.Contains(err.Error(), test.want) || err != nil && strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: %v, want %q", name, err, test.want)
		}
	}
}
