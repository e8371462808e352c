package agent

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/device-defender/device-defender/internal/defender/report"
	"github.com/device-defender/device-defender/internal/greengrass"
	"github.com/device-defender/device-defender/internal/greengrass/localcore"
	"github.com/device-defender/device-defender/recipes"
)

// bench is a stand-in core with the agent in it, on a clock that runs only
// when everybody waits.
type bench struct {
	t         *testing.T
	core      *localcore.Core
	component *localcore.Component
	proc      string // a copy of a captured /proc
	folder    string // the work folder
	defaults  Config
	thing     string // AWS_IOT_THING_NAME
	unit      string // the component whose systemd unit the agent runs in
	start     time.Time
	log       logBuffer
	stop      context.CancelFunc
	ended     chan error

	mu      sync.Mutex
	arrived []arrival
	replies []report.Reply
}

// arrival is a report that reached the cloud.
type arrival struct {
	at    time.Duration // since the bench began
	topic string
	*report.Report
}

// bothNuclei runs a test on each nucleus, in a bubble of its own.
func bothNuclei(t *testing.T, test func(t *testing.T, nucleus greengrass.Nucleus)) {
	for _, nucleus := range []greengrass.Nucleus{greengrass.Java, greengrass.Lite} {
		t.Run(nucleus.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { test(t, nucleus) })
		})
	}
}

// newBench makes a core with the component installed, as the recipe has it
// but for the proc path and the given settings. The agent is not running yet.
func newBench(t *testing.T, nucleus greengrass.Nucleus, settings map[string]any) *bench {
	t.Helper()
	b := &bench{t: t, defaults: DefaultConfig(), thing: "thing", start: time.Now(), folder: t.TempDir(), proc: filepath.Join(t.TempDir(), "proc")}
	if err := os.CopyFS(b.proc, os.DirFS("../metrics/testdata/scenario")); err != nil {
		t.Fatal(err)
	}
	var err error
	b.core, err = localcore.New(localcore.Options{
		Nucleus: nucleus, ThingName: "thing", Root: t.TempDir(), Log: slog.New(slog.NewTextHandler(&b.log, nil)),
		MinReportInterval: MinSampleInterval,
	})
	if err != nil {
		t.Fatal(err)
	}
	b.core.Tap(b.see)
	recipe, err := localcore.ParseRecipe(bytes.NewReader(recipes.DeviceDefender))
	if err != nil {
		t.Fatal(err)
	}
	if b.component, err = b.core.Install(recipe); err != nil {
		t.Fatal(err)
	}
	b.deploy(map[string]any{"ProcPath": b.proc})
	b.deploy(settings)
	t.Cleanup(func() {
		b.stopAgent()
		b.core.Close()
	})
	return b
}

// run starts the agent.
func (b *bench) run() {
	ctx, cancel := context.WithCancel(context.Background())
	b.stop, b.ended = cancel, make(chan error, 1)
	level := new(slog.LevelVar)
	options := Options{
		ThingName: b.thing, Token: b.component.Token(), Dial: b.dial, Component: b.unit, WorkDir: b.folder,
		Defaults: b.defaults, MinInterval: MinSampleInterval,
		Log: slog.New(slog.NewTextHandler(&b.log, &slog.HandlerOptions{Level: level})), Level: level,
	}
	go func() { b.ended <- Run(ctx, options) }()
}

// stopAgent ends the agent and returns what Run returned.
func (b *bench) stopAgent() error {
	if b.stop == nil {
		return nil
	}
	b.stop()
	b.stop = nil
	return <-b.ended
}

func (b *bench) dial(context.Context) (net.Conn, error) {
	here, there := net.Pipe()
	go b.core.ServeConn(context.Background(), there)
	return here, nil
}

// see is the cloud's view.
func (b *bench) see(m localcore.Message) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if reply, err := report.ParseReply(m.Payload); err == nil {
		b.replies = append(b.replies, reply)
		return
	}
	r, _, err := report.Decode(m.Payload)
	if err != nil {
		b.t.Errorf("message on %s: %v", m.Topic, err)
		return
	}
	b.arrived = append(b.arrived, arrival{time.Since(b.start), m.Topic, r})
}

// answerWith lets the cloud answer each report with replies of the test's own.
func (b *bench) answerWith(replies func(id int64) []report.Reply) {
	b.core.SetDefender(func(m localcore.Message) (answers []localcore.Message) {
		r, encoding, err := report.Decode(m.Payload)
		if err != nil {
			return nil
		}
		for _, reply := range replies(r.ID) {
			topic := report.AcceptedTopic("thing", encoding.Format)
			if reply.Status == report.Rejected {
				topic = report.RejectedTopic("thing", encoding.Format)
			}
			payload, err := reply.Encode(encoding.Format)
			if err != nil {
				b.t.Error(err)
			}
			answers = append(answers, localcore.Message{Topic: topic, Payload: payload})
		}
		return answers
	})
}

// after lets time pass.
func (b *bench) after(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

// reports returns what has arrived, and checks what must be true of any run:
// ids rise, and no two reports are closer than the service allows.
func (b *bench) reports() []arrival {
	b.t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	for i := 1; i < len(b.arrived); i++ {
		if b.arrived[i].ID <= b.arrived[i-1].ID {
			b.t.Errorf("report id %d after %d", b.arrived[i].ID, b.arrived[i-1].ID)
		}
	}
	return slices.Clone(b.arrived)
}

// spaced checks that reports are at least the minimum interval apart, give or
// take a second.
func spaced(t *testing.T, reports []arrival) {
	t.Helper()
	for i := 1; i < len(reports); i++ {
		if gap := reports[i].at - reports[i-1].at; gap < MinSampleInterval-prompt {
			t.Errorf("reports at %v and %v are %v apart", reports[i-1].at, reports[i].at, gap)
		}
	}
}

func (b *bench) count(status report.Status) int {
	b.mu.Lock()
	defer b.mu.Unlock()
	n := 0
	for _, r := range b.replies {
		if r.Status == status {
			n++
		}
	}
	return n
}

// logged returns the log lines that hold all the words.
func (b *bench) logged(words ...string) []string {
	var lines []string
	for line := range strings.Lines(b.log.String()) {
		if !slices.ContainsFunc(words, func(w string) bool { return !strings.Contains(line, w) }) {
			lines = append(lines, line)
		}
	}
	return lines
}

// write changes a file of the proc tree.
func (b *bench) write(name, content string) {
	b.t.Helper()
	if err := os.WriteFile(filepath.Join(b.proc, name), []byte(content), 0o600); err != nil {
		b.t.Fatal(err)
	}
}

// traffic sets eth0's counters.
func (b *bench) traffic(bytes, packets uint64) {
	b.write("1/net/dev", fmt.Sprintf("Inter-|   Receive\n face |bytes\n  eth0: %[1]d %[2]d 0 0 0 0 0 0 %[1]d %[2]d 0 0 0 0 0 0\n", bytes, packets))
}

// logBuffer is a log that can be read while it is written.
type logBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

var _ io.Writer = (*logBuffer)(nil)
