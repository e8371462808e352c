package service

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iot"
	"github.com/google/go-cmp/cmp"

	"github.com/device-defender/device-defender/internal/defender/report"
	"github.com/device-defender/device-defender/internal/defender/store"
)

// told reports whether a subscriber has been told of a change.
func told(changes <-chan struct{}) bool {
	select {
	case <-changes:
		return true
	default:
		return false
	}
}

func TestSubscribe(t *testing.T) {
	s := openService(t, Options{MinReportInterval: -1})
	changes, cancel, ok := s.Subscribe()
	if !ok || told(changes) {
		t.Fatalf("ok %t, or told of nothing", ok)
	}
	// One who does not look holds nobody up, and hears once of all of it.
	for id := range 100 {
		s.Report(t.Context(), "a", report.JSON, reportOf(int64(id+1), packets(1)))
	}
	if !told(changes) || told(changes) {
		t.Error("not told once of many reports")
	}
	if err := s.Register(t.Context(), "b"); err != nil || !told(changes) {
		t.Errorf("not told of a new thing: %v", err)
	}
	if s.Report(t.Context(), "a", report.JSON, []byte("{")); !told(changes) {
		t.Error("not told of a rejected report")
	}
	cancel()
	if s.Report(t.Context(), "a", report.JSON, []byte("{")); told(changes) {
		t.Error("told after the end of the subscription")
	}
	for range maxWatchers {
		_, cancel, ok := s.Subscribe()
		if !ok {
			t.Fatalf("fewer than %d subscriptions", maxWatchers)
		}
		defer cancel()
	}
	if _, _, ok := s.Subscribe(); ok {
		t.Error("one subscription too many")
	}
}

func TestLatestReports(t *testing.T) {
	at := time.Date(2026, 11, 22, 6, 0, 0, 0, time.UTC)
	s := openService(t, Options{MinReportInterval: -1, Now: func() time.Time { return at }})
	if got := s.Reports("", 10); len(got) != 0 {
		t.Errorf("at first: %+v", got)
	}
	s.Report(t.Context(), "a", report.JSON, reportOf(7, packets(1)))
	s.Report(t.Context(), strings.Repeat("\xff", 1000), report.CBOR, []byte("??"))
	s.Report(t.Context(), "a", report.JSON, []byte("{}"))
	got := s.Reports("", 10)
	rejected := report.Reply{Status: report.Rejected, ErrorCode: "InvalidPayload", ErrorMessage: "Malformed metrics report", Timestamp: at}
	want := []TakenReport{
		{Time: at, Thing: "a", Format: report.JSON, Bytes: 2, Reply: rejected},
		{Time: at, Thing: "\uFFFD", Format: report.CBOR, Bytes: 2, Reply: rejected},
		{Time: at, Thing: "a", Format: report.JSON, Bytes: len(reportOf(7, packets(1))), Reply: report.Reply{Status: report.Accepted, ReportID: 7, Timestamp: at}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if got := s.Reports("a", 1); len(got) != 1 || got[0].Reply.Status != report.Rejected {
		t.Errorf("the latest of a: %+v", got)
	}
	// The oldest make room.
	for range keepReports {
		s.Report(t.Context(), "b", report.JSON, []byte("{}"))
	}
	if all, a := s.Reports("", 10*keepReports), s.Reports("a", 10); len(all) != keepReports || len(a) != 0 {
		t.Errorf("%d reports, %d of the first thing", len(all), len(a))
	}
}

func TestThingStates(t *testing.T) {
	at := time.Date(2026, 11, 22, 6, 0, 0, 0, time.UTC)
	s := openService(t, Options{Now: func() time.Time { return at }})
	for _, name := range []string{"registered", "silent"} {
		if err := s.Register(t.Context(), name); err != nil {
			t.Fatal(err)
		}
	}
	client := newClient(t, serve(t, s))
	_, err := client.CreateThingGroup(t.Context(), &iot.CreateThingGroupInput{ThingGroupName: aws.String("quarantine")})
	if err != nil {
		t.Fatal(err)
	}
	_, err = client.AddThingToThingGroup(t.Context(), &iot.AddThingToThingGroupInput{ThingGroupName: aws.String("quarantine"), ThingName: aws.String("registered")})
	if err != nil {
		t.Fatal(err)
	}
	first := at
	s.Report(t.Context(), "registered", report.JSON, reportOf(1, packets(1)))
	at = at.Add(time.Minute)
	s.Report(t.Context(), "stranger", report.JSON, reportOf(1, packets(1)))
	want := []ThingState{
		{Name: "stranger", LastReport: at},
		{Name: "registered", Registered: true, Groups: []string{"quarantine"}, LastReport: first},
		{Name: "silent", Registered: true},
	}
	got, total, err := s.Things(t.Context(), 10)
	if diff := cmp.Diff(want, got); diff != "" || total != 3 || err != nil {
		t.Errorf("%d things, %v\n%s", total, err, diff)
	}
	got, total, err = s.Things(t.Context(), 1)
	if diff := cmp.Diff(want[:1], got); diff != "" || total != 3 || err != nil {
		t.Errorf("one of %d things, %v\n%s", total, err, diff)
	}
	for _, state := range want {
		got, ok, err := s.Thing(t.Context(), state.Name)
		if diff := cmp.Diff(state, got); diff != "" || !ok || err != nil {
			t.Errorf("%s: %t, %v\n%s", state.Name, ok, err, diff)
		}
	}
	if got, ok, err := s.Thing(t.Context(), "nosuch"); ok || err != nil {
		t.Errorf("%+v, %v", got, err)
	}
}

func BenchmarkThings(b *testing.B) {
	s := openService(b, Options{})
	err := s.write(b.Context(), func(tx *store.Tx) error {
		for i := range 100_000 {
			if err := tableRows.Put(tx, fmt.Sprintf("thing-%06d", i), thingRow{last: lastReport{id: 1, time: s.now()}, state: make([]byte, 500)}); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if _, total, err := s.Things(b.Context(), 100); err != nil || total != 100_000 {
			b.Fatal(total, err)
		}
	}
}
