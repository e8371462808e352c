package service

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/device-defender/device-defender/internal/defender/report"
	"github.com/device-defender/device-defender/internal/defender/store"
	"github.com/device-defender/device-defender/internal/defender/store/archive"
	"github.com/device-defender/device-defender/internal/memdir"
)

// answersOf is what a service says of what it keeps.
func answersOf(t *testing.T, handler http.Handler) (answers []string) {
	t.Helper()
	at := func(d time.Duration) string { return time.Now().UTC().Add(d).Truncate(time.Hour).Format(time.RFC3339) }
	for _, path := range []string{"/things", "/thing-groups", "/security-profiles/Ports", "/security-profiles/Ports/targets", "/active-violations",
		"/metric-values?thingName=thing-1&metricName=aws:listening-tcp-ports&startTime=" + at(-2*time.Hour) + "&endTime=" + at(2*time.Hour), "/tags?resourceArn=arn:aws:iot:us-east-1:123456789012:securityprofile/Ports"} {
		w := send(t, handler, "GET", path, nil, "")
		answers = append(answers, path+" "+w.Body.String())
		if w.Code != http.StatusOK {
			t.Errorf("%s: %d %s", path, w.Code, w.Body)
		}
	}
	return answers
}

// A backup that is made while things report is of one moment, and a service that is
// restored from it says what the first one said.
func TestBackupAndRestore(t *testing.T) {
	s := openService(t, Options{MinReportInterval: -1})
	handler := s.Handler()
	for _, call := range [][3]string{
		{"POST", "/security-profiles/Ports", `{"behaviors":[{"name":"Few","metric":"aws:num-listening-tcp-ports","criteria":{"comparisonOperator":"less-than","value":{"count":1}}}],
			"additionalMetricsToRetainV2":[{"metric":"aws:listening-tcp-ports"}],"tags":[{"Key":"a","Value":"b"}]}`},
		{"PUT", "/security-profiles/Ports/targets?securityProfileTargetArn=arn:aws:iot:us-east-1:123456789012:all/things", ""},
		{"POST", "/thing-groups/g", "{}"}, {"POST", "/things/thing-1", "{}"},
	} {
		if w := send(t, handler, call[0], call[1], jsonBody, call[2]); w.Code != http.StatusOK {
			t.Fatal(call, w.Code, w.Body)
		}
	}
	if reply := s.Report(t.Context(), "thing-1", report.JSON, reportOf(1, ports(443))); reply.Status != report.Accepted {
		t.Fatal(reply)
	}
	want := answersOf(t, handler)

	ctx, cancel := context.WithCancel(t.Context())
	var reporting sync.WaitGroup
	for i := range 4 {
		reporting.Go(func() {
			for id := int64(1); ctx.Err() == nil; id++ {
				s.Report(ctx, fmt.Sprint("other-", i), report.JSON, reportOf(id, packets(int(id))))
			}
		})
	}
	var backups [][]byte
	for range 3 {
		w := send(t, handler, "GET", "/backup", nil, "")
		if w.Code != http.StatusOK || w.Header().Get("Content-Type") != "application/zstd" {
			t.Fatal(w.Code, w.Header())
		}
		backups = append(backups, w.Body.Bytes())
	}
	cancel()
	reporting.Wait()
	for i, text := range backups {
		data := filepath.Join(memdir.New(t), "made")
		b, err := Restore(t.Context(), "b", bytes.NewReader(text), data)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff([]string{"access_keys"}, b.Without); diff != "" {
			t.Error(diff)
		}
		restored := openService(t, Options{Data: data, MinReportInterval: -1})
		// What the other things have reported meanwhile is in it, in part.
		var got []string
		for _, answer := range answersOf(t, restored.Handler()) {
			got = append(got, withoutOthers(t, answer))
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("backup %d (-said +says after restore):\n%s", i, diff)
		}
		if reply := restored.Report(t.Context(), "thing-1", report.JSON, reportOf(2, ports(443))); reply.Status != report.Accepted {
			t.Error(reply)
		}
	}
}

// withoutOthers leaves out what an answer lists of the things other-N.
func withoutOthers(t *testing.T, answer string) string {
	t.Helper()
	path, text, _ := strings.Cut(answer, " ")
	var v map[string]any
	if err := json.Unmarshal([]byte(text), &v); err != nil {
		t.Fatal(err)
	}
	changed := false
	for key, member := range v {
		list, _ := member.([]any)
		kept := []any{}
		for _, element := range list {
			if e, ok := element.(map[string]any); ok && strings.HasPrefix(fmt.Sprint(e["thingName"]), "other-") {
				changed = true
				continue
			}
			kept = append(kept, element)
		}
		if list != nil {
			v[key] = kept
		}
	}
	if !changed {
		return answer
	}
	left, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return path + " " + string(left)
}

// With authentication only an administrator gets a backup, and access keys work
// after it was restored.
func TestBackupWithAccessKeys(t *testing.T) {
	g := openGuarded(t, Options{})
	viewer := g.create(t, "ana", "viewer")
	for _, role := range []string{"operator", "ingest"} {
		if w := g.call(t, g.create(t, role, role), "GET", "/backup", nil, ""); w.Code != http.StatusForbidden {
			t.Errorf("role %s: %d", role, w.Code)
		}
	}
	w := g.call(t, g.admin, "GET", "/backup", nil, "")
	if w.Code != http.StatusOK {
		t.Fatal(w.Code, w.Body)
	}
	data := memdir.New(t)
	if b, err := Restore(t.Context(), "b", bytes.NewReader(w.Body.Bytes()), data); err != nil || b.Without != nil {
		t.Fatal(b, err)
	}
	s := openService(t, Options{Data: data, Authentication: true})
	restored := &guarded{Service: s, handler: s.Handler(), admin: g.admin}
	if w := restored.call(t, viewer, "GET", "/things", nil, ""); w.Code != http.StatusOK {
		t.Error(w.Code, w.Body)
	}

	// The same database without authentication gives them to nobody.
	if err := g.Close(); err != nil {
		t.Fatal(err)
	}
	open := openService(t, Options{Data: g.options.Data})
	text := send(t, open.Handler(), "GET", "/backup", nil, "").Body.Bytes()
	rows := map[string]int{}
	if _, err := archive.Read(bytes.NewReader(text), nil, func(row store.Row) error {
		rows[row.Table]++
		if bytes.Contains(row.Value, []byte(g.admin.SecretAccessKey)) {
			t.Errorf("the secret is in table %s", row.Table)
		}
		return nil
	}); err != nil || rows["meta"] == 0 || rows["access_keys"] != 0 {
		t.Error(rows, err)
	}
}

// What can't be restored is refused before anything is written.
func TestRestoreRefuses(t *testing.T) {
	s := openService(t, Options{})
	whole := send(t, s.Handler(), "GET", "/backup", nil, "").Body.Bytes()
	var newer bytes.Buffer
	w, err := archive.NewWriter(&newer, archive.Header{Data: dataFormat + 1})
	if err == nil {
		err = w.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	full := t.TempDir()
	if err := os.WriteFile(filepath.Join(full, "file"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	fresh := filepath.Join(t.TempDir(), "fresh")
	for name, test := range map[string]struct {
		text []byte
		data string
		says string
	}{
		"cut off":     {whole[:len(whole)-40], fresh, "backup b: the backup is cut off"},
		"no backup":   {[]byte("hello"), fresh, "backup b: not a backup of defenderctl"},
		"newer":       {newer.Bytes(), fresh, "backup b was written by a newer defenderctl (data of version 2, this one knows version 1): use that one, or a newer one; nothing was changed"},
		"not empty":   {whole, full, "is not empty, it has file in it"},
		"in use":      {whole, s.options.Data, "is not empty, it has store in it"},
		"not a place": {whole, filepath.Join(full, "file"), "not a directory"},
	} {
		if _, err := Restore(t.Context(), "b", bytes.NewReader(test.text), test.data); err == nil || !strings.Contains(err.Error(), test.says) {
			t.Errorf("%s: %v, want %q", name, err, test.says)
		}
	}
	if _, err := os.Stat(fresh); !errors.Is(err, os.ErrNotExist) {
		t.Error("the folder was made")
	}
	// One that was interrupted is begun again.
	again := memdir.New(t)
	if err := os.MkdirAll(filepath.Join(again, "store.restored", "leftover"), 0o700); err != nil {
		t.Fatal(err)
	}
	if _, err := Restore(t.Context(), "b", bytes.NewReader(whole), again); err != nil {
		t.Error(err)
	}
	openService(t, Options{Data: again})
}

// A database of a newer version is refused, and not changed.
func TestNewerDatabaseIsRefused(t *testing.T) {
	data := memdir.New(t)
	s := openService(t, Options{Data: data})
	version := func(v uint64) {
		t.Helper()
		if err := s.write(t.Context(), func(tx *store.Tx) error { return tableMeta.Put(tx, metaFormat, v) }); err != nil {
			t.Fatal(err)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
	version(dataFormat + 1)
	_, err := Open(Options{Data: data})
	if _, newer := errors.AsType[*NewerError](err); !newer || !strings.Contains(err.Error(), filepath.Join(data, "store")+" was written by a newer defenderctl (data of version 2") {
		t.Error(err)
	}
	// So is one whose files are.
	s = openService(t, Options{})
	version(dataFormat)
	path := filepath.Join(s.options.Data, "store")
	markers, err := filepath.Glob(filepath.Join(path, "marker.format-version.*"))
	if err != nil || len(markers) != 1 {
		t.Fatal(markers, err)
	}
	if err := os.Rename(markers[0], filepath.Join(path, "marker.format-version.999999.999")); err != nil {
		t.Fatal(err)
	}
	_, err = Open(Options{Data: s.options.Data})
	if _, newer := errors.AsType[*NewerError](err); !newer || strings.Contains(err.Error(), "damaged") {
		t.Error(err)
	}
}

// One backup is made at a time, and one whose caller goes is given up.
func TestOneBackupAtATime(t *testing.T) {
	s := openService(t, Options{})
	s.backingUp.Lock()
	if w := send(t, s.Handler(), "GET", "/backup", nil, ""); w.Code != http.StatusConflict || !strings.Contains(w.Body.String(), "one at a time") {
		t.Error(w.Code, w.Body)
	}
	s.backingUp.Unlock()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.writeBackup(ctx, &bytes.Buffer{}, "", nil); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}
