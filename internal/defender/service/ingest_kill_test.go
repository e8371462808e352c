package service

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/device-defender/device-defender/internal/defender/profile"
	"github.com/device-defender/device-defender/internal/defender/report"
	"github.com/device-defender/device-defender/internal/defender/store"
	"github.com/device-defender/device-defender/internal/memdir"
)

func init() { children["report"] = reportUntilKilled }

const killThings = 8

// normalID says which reports of the test have nothing but the normal port.
func normalID(id int64) bool { return id%5 < 3 }

// reportUntilKilled is a process in which things report, as fast as they are
// answered and each from its last id on, and which prints what was accepted.
func reportUntilKilled(args []string) {
	s, err := Open(Options{Data: args[0], MinReportInterval: -1, Channels: webhook("http://127.0.0.1:1/")})
	if err != nil {
		panic(err)
	}
	var out sync.Mutex
	for i := range killThings {
		thing := fmt.Sprintf("thing-%d", i)
		var id int64
		err := s.read(context.Background(), func(view *store.Reader) error {
			last, _, err := tableLast.Get(view, thing)
			id = last.id
			return err
		})
		if err != nil {
			panic(err)
		}
		go func() {
			for {
				id++
				list := ports(443)
				if !normalID(id) {
					list = ports(443, 8080)
				}
				reply := s.Report(context.Background(), thing, report.JSON, reportOf(id, packets(int(id))+","+list))
				if reply.Status != report.Accepted {
					panic(fmt.Sprintf("%+v", reply))
				}
				out.Lock()
				fmt.Println(thing, id)
				out.Unlock()
			}
		}()
	}
	select {}
}

// TestKilledWhileReporting kills a process at random while reports flow.
// Whatever was acknowledged is there; of each report everything is there or
// nothing, down to its alerts.
func TestKilledWhileReporting(t *testing.T) {
	data := memdir.New(t)
	s, err := Open(Options{Data: data})
	if err != nil {
		t.Fatal(err)
	}
	client := newClient(t, serve(t, s))
	b := &bench{Service: s, t: t, client: client}
	in := profileOf("Ports", onlyPort(443))
	in.AdditionalMetricsToRetain = []string{"aws:all-packets-out"} //lint:ignore SA1019 deprecated, and still taken
	b.attach(in)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	accepted := map[string]int64{}
	for range 5 {
		cmd, lines := startChild(t, "report", data)
		kill := 1 + rand.IntN(200)
		for n := 0; lines.Scan(); n++ {
			var thing string
			var id int64
			// A line that was cut off acknowledges nothing.
			if got, _ := fmt.Sscanf(lines.Text(), "%s %d", &thing, &id); got == 2 && n < kill {
				accepted[thing] = max(accepted[thing], id)
			}
			if n+1 == kill {
				if err := cmd.Process.Kill(); err != nil {
					t.Fatal(err)
				}
			}
		}
		if err := cmd.Wait(); !errors.As(err, new(*exec.ExitError)) {
			t.Fatalf("the child was not killed: %v", err)
		}
		checkReports(t, data, accepted)
	}
}

// checkReports looks at what is on disk of each thing.
func checkReports(t *testing.T, data string, accepted map[string]int64) {
	t.Helper()
	s, err := Open(Options{Data: data})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	err = s.read(t.Context(), func(view *store.Reader) error {
		for i := range killThings {
			thing := fmt.Sprintf("thing-%d", i)
			reported, _, err := tableLast.Get(view, thing)
			if err != nil {
				return err
			}
			last := reported.id // 0, if the process was killed before the thing reported
			if last < accepted[thing] {
				t.Errorf("%s: report %d was acknowledged, and %d is the last one", thing, accepted[thing], last)
			}
			var ids, want []int64
			for _, v := range storedValues(t, view, thing, "aws:all-packets-out") {
				ids = append(ids, *v.Count)
			}
			var events []string
			for id := int64(1); id <= last; id++ {
				want = append(want, id)
				switch {
				case !normalID(id) && normalID(id-1):
					events = append(events, "in-alarm")
				case normalID(id) && !normalID(id-1):
					events = append(events, "alarm-cleared")
				}
			}
			if diff := cmp.Diff(want, ids); diff != "" {
				t.Errorf("values of %s (-want +got):\n%s", thing, diff)
			}
			if diff := cmp.Diff(events, storedEvents(t, view, thing)); diff != "" {
				t.Errorf("events of %s up to report %d (-want +got):\n%s", thing, last, diff)
			}
			if diff := cmp.Diff(events, storedAlerts(t, view, thing)); diff != "" {
				t.Errorf("alerts of %s up to report %d (-want +got):\n%s", thing, last, diff)
			}
		}
		return checkActive(t, view)
	})
	if err != nil {
		t.Error(err)
	}
}

// checkActive compares what there is of active violations.
func checkActive(t *testing.T, view *store.Reader) error {
	t.Helper()
	var want, got [3][]string
	for v, err := range tableViolations.Scan(view, store.Range{}) {
		if err != nil {
			return err
		}
		if v.Value.End.IsZero() {
			for i, key := range []string{v.Key, pairKey(v.Value.Thing, v.Key), pairKey(v.Value.Profile, v.Key)} {
				want[i] = append(want[i], key)
			}
		}
	}
	for i, keys := range []store.Table[struct{}]{tableActive.keys, tableActiveByThing.keys, tableActiveByProfile.keys} {
		slices.Sort(want[i])
		for key, err := range keys.Scan(view, store.Range{}) {
			if err != nil {
				return err
			}
			got[i] = append(got[i], key.Key)
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("active violations (-want +got):\n%s", diff)
	}
	return nil
}

// storedValues returns a metric's values from the first on.
func storedValues(t *testing.T, view *store.Reader, thing, metric string) (all []profile.Value) {
	t.Helper()
	for sample, err := range samplesBackwards(view, thing, time.Time{}, time.Now().AddDate(1, 0, 0)) {
		if err != nil {
			t.Fatal(err)
		}
		for i, series := range sample.Series {
			if series.Metric == metric {
				value, _ := unpacked(&sample.Values[i])
				all = append(all, value)
			}
		}
	}
	slices.Reverse(all)
	return all
}

// storedEvents returns the types of a thing's events from the first on.
func storedEvents(t *testing.T, view *store.Reader, thing string) (all []string) {
	t.Helper()
	for ev, err := range daysBackwards(view, tableEvents, "", time.Time{}, time.Now().AddDate(1, 0, 0), "") {
		if err != nil {
			t.Fatal(err)
		}
		_, id, _ := splitEventKey(ev.Key)
		if v, err := tableViolations.find(view, id); err != nil || v.Thing != thing {
			continue
		}
		all = append(all, string(ev.Value.Type))
	}
	slices.Reverse(all)
	return all
}

// storedAlerts returns the types of the events in the outbox, in its order.
func storedAlerts(t *testing.T, view *store.Reader, thing string) (all []string) {
	t.Helper()
	for alert, err := range tableOutbox.rowsAfter(view, hook+"\x00", "") {
		if err != nil {
			t.Fatal(err)
		}
		if event, ours := strings.CutPrefix(eventOf(alert.Value.Message), thing+" "); ours {
			all = append(all, event)
		}
	}
	return all
}
