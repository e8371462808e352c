package localcore

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/device-defender/device-defender/internal/greengrass"
	"github.com/device-defender/device-defender/internal/greengrass/eventrpc"
)

// probeStep is one request of testdata/probe and what a real nucleus sent until
// the next one: Java nucleus 2.18.0-SNAPSHOT (a28341c) with its CLI component
// on JDK 17, or nucleus lite 2.6.0 (326e992), each before a Mosquitto broker.
type probeStep struct {
	Operation, Request, Note string
	Do                       string // instead: what was done to the core
	Skipped                  bool   // the frame is too long for lite
	Frames                   []probeFrame
}

type probeFrame struct {
	Step        int                  `json:"step"` // which opened the stream, from 1
	Type        eventrpc.MessageType `json:"type,omitempty"`
	Flags       eventrpc.Flags       `json:"flags,omitempty"`
	Shape       string               `json:"shape,omitempty"`
	ContentType *string              `json:"contentType,omitempty"` // nil: application/json
	Payload     string               `json:"payload"`
	Closed      bool                 `json:"closed,omitempty"`
}

// TestProbe sends what was sent to the real nuclei and expects their answers.
func TestProbe(t *testing.T) {
	for name, nucleus := range map[string]greengrass.Nucleus{"java": greengrass.Java, "lite": greengrass.Lite} {
		t.Run(name, func(t *testing.T) {
			b, err := os.ReadFile("testdata/probe/" + name + ".json")
			if err != nil {
				t.Fatal(err)
			}
			var steps []probeStep
			if err := json.Unmarshal(b, &steps); err != nil {
				t.Fatal(err)
			}
			recipe, err := os.ReadFile("testdata/probe/recipe.yaml")
			if err != nil {
				t.Fatal(err)
			}
			synctest.Test(t, func(t *testing.T) {
				c := newCore(t, Options{Nucleus: nucleus})
				c.SetHealthDaemon(false) // none ran beside the recorded lite
				k := install(t, c, string(recipe))
				probe(t, c, k, steps)
			})
		})
	}
}

func probe(t *testing.T, c *Core, k *Component, steps []probeStep) {
	p := dial(t, c, k)
	opened := map[int32]int{} // the step that opened a stream
	for i, step := range steps {
		switch {
		case step.Skipped:
			continue
		case step.Do != "":
			prepareProbe(t, c, k, step.Do)
		default:
			request := fillIn(step.Request)
			time.Sleep(time.Millisecond) // on its way
			opened[p.request(step.Operation, request)] = i + 1
		}
		synctest.Wait()
		want := slices.Clone(step.Frames)
		got := p.pending(opened)
		if racy[step.Note] {
			answer := func(f probeFrame) bool { return f.Step == i+1 }
			want, got = slices.DeleteFunc(want, answer), slices.DeleteFunc(got, answer)
		}
		for _, frames := range [][]probeFrame{want, got} {
			for i := range frames {
				frames[i].Payload = canonical(frames[i].Payload)
			}
			// Events and answers come from different threads, in any order.
			slices.SortFunc(frames, func(a, b probeFrame) int { return strings.Compare(fmt.Sprint(a), fmt.Sprint(b)) })
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("step %d, %s%s (%s) %s (-nucleus +stand-in):\n%s", i+1, step.Operation, step.Do, step.Note, step.Request, diff)
		}
	}
}

// racy are the steps that the Java nucleus answered by {} in one run and by
// FailedUpdateConditionCheckError in another: a new map has the nucleus' time
// until the nucleus has handled what is in it, in another thread (Topics.java).
var racy = map[string]bool{"new subtree": true, "empty map": true}

// prepareProbe does to the core what was done to the nucleus between requests.
func prepareProbe(t *testing.T, c *Core, k *Component, what string) {
	t.Helper()
	switch what {
	case "allow everything":
		everything := map[string]any{"operations": []any{"*"}, "resources": []any{"*"}}
		err := c.Deploy(t.Context(), k.Name(), map[string]any{
			"accessControl": map[string]any{"aws.greengrass.ipc.lifecycle": map[string]any{"p": everything}},
		})
		if err != nil {
			t.Fatal(err)
		}
	case "offline":
		c.SetOnline(false)
	case "online":
		c.SetOnline(true)
	default:
		t.Fatalf("unknown step %q", what)
	}
}

var zeros = regexp.MustCompile(`\$bytes(\d+)`)

// fillIn replaces what a recorded request leaves open: the time, and payloads
// that are only long.
func fillIn(request string) string {
	request = strings.ReplaceAll(request, "$nowInteger", strconv.FormatInt(time.Now().Unix()+1, 10))
	request = strings.ReplaceAll(request, "$now", fmt.Sprintf("%.3f", float64(time.Now().UnixMilli())/1000))
	return zeros.ReplaceAllStringFunc(request, func(s string) string {
		n, _ := strconv.Atoi(zeros.FindStringSubmatch(s)[1])
		return base64.StdEncoding.EncodeToString(make([]byte, n))
	})
}

// pending are the frames that have come.
func (p *peer) pending(opened map[int32]int) (frames []probeFrame) {
	p.t.Helper()
	for {
		m, err := p.read(time.Millisecond)
		if err != nil {
			return frames
		}
		f := probeFrame{
			Step: opened[m.StreamID], Type: m.Type, Flags: m.Flags, Payload: string(m.Payload),
			Shape: strings.TrimPrefix(m.Text(eventrpc.HeaderModelType), namespace),
		}
		if contentType := m.Text(eventrpc.HeaderContentType); contentType != eventrpc.ContentTypeJSON {
			f.ContentType = &contentType
		}
		frames = append(frames, f)
	}
}

// canonical is JSON with sorted keys and the numbers as they were spelled; what
// is not JSON stays as it is.
func canonical(payload string) string {
	d := json.NewDecoder(strings.NewReader(payload))
	d.UseNumber()
	var v any
	if d.Decode(&v) != nil {
		return payload
	}
	b, err := json.Marshal(v)
	if err != nil {
		return payload
	}
	return string(b)
}
