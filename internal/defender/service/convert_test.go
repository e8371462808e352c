package service

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/device-defender/device-defender/internal/defender/report"
	"github.com/device-defender/device-defender/internal/defender/store"
	"github.com/device-defender/device-defender/internal/memdir"
)

// version01 is what is in testdata of version 0.1 (commit 55568ec): the database
// that its serve made of calls and reports, and how it answered then.
type version01 struct {
	Time    time.Time
	Answers []struct {
		Path   string
		Answer json.RawMessage
	}
	file []byte
}

func readVersion01(t *testing.T) *version01 {
	t.Helper()
	var v version01
	text, err := os.ReadFile("testdata/version01.json")
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, &v); err != nil {
		t.Fatal(err)
	}
	packed, err := os.ReadFile("testdata/version01.db.gz")
	if err != nil {
		t.Fatal(err)
	}
	r, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		t.Fatal(err)
	}
	if v.file, err = io.ReadAll(r); err != nil {
		t.Fatal(err)
	}
	return &v
}

// folder returns a folder with the database.
func (v *version01) folder(t *testing.T) string {
	t.Helper()
	folder := memdir.New(t)
	if err := os.WriteFile(filepath.Join(folder, oldFile), v.file, 0o600); err != nil {
		t.Fatal(err)
	}
	return folder
}

func (v *version01) open(t *testing.T, folder string) *Service {
	t.Helper()
	return openService(t, Options{Data: folder, MinReportInterval: time.Second, Channels: webhook("http://127.0.0.1:1/hook"), Now: func() time.Time { return v.Time }})
}

// check compares the answers of the service with those of version 0.1.
func (v *version01) check(t *testing.T, s *Service) {
	t.Helper()
	handler := s.Handler()
	for _, want := range v.Answers {
		w := send(t, handler, "GET", want.Path, nil, "")
		if diff := cmp.Diff(normal(t, string(want.Answer)), normal(t, w.Body.String())); diff != "" {
			t.Errorf("%s (-want +got):\n%s", want.Path, diff)
		}
	}
	b := &bench{Service: s, t: t, client: newClient(t, serve(t, s))}
	alerts := b.outboxed()
	want := []string{"pump-1 in-alarm", "pump-2 in-alarm", "stranger in-alarm", "pump-2 alarm-cleared"}
	if diff := cmp.Diff(map[string][]string{hook: want, "arn:aws:sns:us-east-1:123456789012:alarms": want}, alerts); diff != "" {
		t.Errorf("alerts (-want +got):\n%s", diff)
	}
	violations := 0
	err := s.read(t.Context(), func(view *store.Reader) (err error) {
		violations, err = tableViolations.count(view)
		return errors.Join(err, checkActive(t, view))
	})
	if err != nil {
		t.Error(err)
	}
	found, err := s.Findings(t.Context(), Scope{}, 100)
	if err != nil || len(found.List) != violations || found.Active != len(b.active()) {
		t.Errorf("the pages list %d violations and %d in alarm, %v", len(found.List), found.Active, err)
	}
}

// names lists what is in a folder.
func names(t *testing.T, folder string) (list []string) {
	t.Helper()
	entries, err := os.ReadDir(folder)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		list = append(list, e.Name())
	}
	return list
}

// A database of version 0.1 is taken over whole, down to the state of things.
func TestVersion01(t *testing.T) {
	v := readVersion01(t)
	folder := v.folder(t)
	s := v.open(t, folder)
	v.check(t, s)
	if diff := cmp.Diff([]string{oldFileKept, storeFolder}, names(t, folder)); diff != "" {
		t.Errorf("files (-want +got):\n%s", diff)
	}
	// It goes on: groups say which profiles apply, and alarms are those of before.
	v.Time = v.Time.Add(time.Minute)
	for _, thing := range []string{"pump-1", "stranger"} {
		if reply := s.Report(t.Context(), thing, report.JSON, reportOf(4, ports(443))); reply.Status != report.Accepted {
			t.Errorf("%+v", reply)
		}
	}
	w := send(t, s.Handler(), "GET", "/active-violations", nil, "")
	if got := w.Body.String(); got != `{"activeViolations":[]}` {
		t.Errorf("after normal reports: %s", got)
	}
}

// A conversion that was interrupted goes on where it was.
func TestConversionIsInterrupted(t *testing.T) {
	v := readVersion01(t)
	whole := func(t *testing.T) string { // a folder that has been converted
		folder := v.folder(t)
		if err := v.open(t, folder).Close(); err != nil {
			t.Fatal(err)
		}
		return folder
	}
	move := func(t *testing.T, folder, from, to string) {
		t.Helper()
		if err := os.Rename(filepath.Join(folder, from), filepath.Join(folder, to)); err != nil {
			t.Fatal(err)
		}
	}
	for name, prepare := range map[string]func(*testing.T) string{
		"while it was written": func(t *testing.T) string {
			folder := v.folder(t)
			if err := os.MkdirAll(filepath.Join(folder, newFolder, "below"), 0o700); err != nil {
				t.Fatal(err)
			}
			return folder
		},
		"when it was whole": func(t *testing.T) string {
			folder := whole(t)
			move(t, folder, storeFolder, convertedFolder)
			move(t, folder, oldFileKept, oldFile)
			return folder
		},
		"when the file was set aside": func(t *testing.T) string {
			folder := whole(t)
			move(t, folder, storeFolder, convertedFolder)
			return folder
		},
	} {
		t.Run(name, func(t *testing.T) {
			folder := prepare(t)
			v.check(t, v.open(t, folder))
			if diff := cmp.Diff([]string{oldFileKept, storeFolder}, names(t, folder)); diff != "" {
				t.Errorf("files (-want +got):\n%s", diff)
			}
		})
	}
}

// What can't be converted stays as it is, and says so in one line.
func TestVersion01IsRefused(t *testing.T) {
	v := readVersion01(t)
	refused := func(folder, says string) {
		t.Helper()
		before := names(t, folder)
		_, err := Open(Options{Data: folder})
		if err == nil || !strings.Contains(err.Error(), says) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%v, want %q", err, says)
		}
		left := strings.Join(names(t, folder), " ")
		if left = strings.TrimSuffix(left, " "+newFolder); left != strings.Join(before, " ") {
			t.Errorf("files %s, had %s", left, before)
		}
	}
	folder := v.folder(t)
	if err := os.Mkdir(filepath.Join(folder, storeFolder), 0o700); err != nil {
		t.Fatal(err)
	}
	refused(folder, "move away the one that is not wanted")

	folder = v.folder(t)
	other, err := os.Open(filepath.Join(folder, oldFile))
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.Flock(int(other.Fd()), unix.LOCK_EX); err != nil { // as bbolt does
		t.Fatal(err)
	}
	refused(folder, "is another defenderctl using it?")
	if err := other.Close(); err != nil {
		t.Fatal(err)
	}
	v.open(t, folder)

	for name, data := range map[string][]byte{
		"no database": []byte(strings.Repeat("hello, world\n", 10_000)), "a short text": []byte("hello"), "nothing but zeros": make([]byte, len(v.file)),
		"one byte": v.file[:1], "one page": v.file[:4096], "three pages": v.file[:3*4096], "half": v.file[:len(v.file)/2],
	} {
		t.Log(name)
		bad := &version01{file: data}
		refused(bad.folder(t), "is damaged")
	}
}

// Whatever is in the file, there is no trace of Go.
func TestDamagedVersion01(t *testing.T) {
	v := readVersion01(t)
	var cases []damagedDatabase
	rng := rand.New(rand.NewPCG(1, 2))
	for i := range 60 {
		bad := &version01{file: bytes.Clone(v.file)}
		page := 2 + rng.IntN(len(v.file)/4096-2)
		for range 1 + rng.IntN(64) {
			bad.file[page*4096+rng.IntN(4096)] = byte(rng.Uint32())
		}
		cases = append(cases, damagedDatabase{fmt.Sprintf("%d: page %d", i, page), bad.folder(t), oldFile, false})
	}
	checkDamaged(t, cases)
}

// FuzzBoltFile: whatever is in a file, reading it ends.
func FuzzBoltFile(f *testing.F) {
	f.Add([]byte(nil))
	packed, err := os.ReadFile("testdata/version01.db.gz")
	if err != nil {
		f.Fatal(err)
	}
	r, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		f.Fatal(err)
	}
	data, err := io.ReadAll(r)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(data)
	f.Fuzz(func(t *testing.T, data []byte) {
		file, err := parseBoltFile(bytes.NewReader(data), int64(len(data)))
		if err != nil {
			return
		}
		size := 0
		var walk func(boltEntry) error
		walk = func(e boltEntry) error {
			if size += len(e.key); e.bucket == nil {
				size += len(e.value)
				return nil
			}
			return file.each(e.bucket, walk)
		}
		// No byte is read twice: what is damaged doesn't grow.
		file.each(file.top(), walk)
		if size > len(data) {
			t.Errorf("%d bytes of %d", size, len(data))
		}
	})
}
