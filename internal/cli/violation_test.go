package cli

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/device-defender/device-defender/internal/defender/finding"
	"github.com/device-defender/device-defender/internal/defender/profile"
	"github.com/device-defender/device-defender/internal/defender/servicetest"
)

// exfiltrated is a world in which gateway-2 moved data out an hour ago, for 15
// minutes; its clock shows the real time.
func exfiltrated(t *testing.T) *servicetest.World {
	t.Helper()
	w := servicetest.NewWorld(t, time.Now().Add(-2*time.Hour).Truncate(time.Minute))
	w.Things("gateway-1", "gateway-2", "gateway-3")
	w.Profile("DataExfiltrationCheck", servicetest.PacketExfiltration(1))
	w.Exfiltrate()
	w.Real()
	return w
}

// invoke runs a command and returns what it wrote.
func invoke(t *testing.T, stdin string, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	var out, errs bytes.Buffer
	code = Main(t.Context(), args, strings.NewReader(stdin), &out, &errs)
	return out.String(), errs.String(), code
}

// succeed runs a command on the world that has to succeed.
func succeed(t *testing.T, w *servicetest.World, args ...string) (stdout string) {
	t.Helper()
	stdout, stderr, code := invoke(t, "", append(args, "--endpoint-url", w.URL)...)
	if code != 0 {
		t.Fatalf("defenderctl %s: exit code %d\n%s%s", strings.Join(args, " "), code, stdout, stderr)
	}
	return stdout
}

// violations returns the rows of violation list as JSON.
func violations(t *testing.T, w *servicetest.World, args ...string) []violationRow {
	t.Helper()
	var rows []violationRow
	text := succeed(t, w, append([]string{"violation", "list", "--output", "json"}, args...)...)
	if err := json.Unmarshal([]byte(text), &rows); err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	return rows
}

func want(t *testing.T, text string, patterns ...string) {
	t.Helper()
	for _, p := range patterns {
		if !regexp.MustCompile(`(?m)` + p).MatchString(text) {
			t.Errorf("nothing matches %q in\n%s", p, text)
		}
	}
}

func TestViolationList(t *testing.T) {
	w := exfiltrated(t)
	want(t, succeed(t, w, "violation", "list"), `^nothing is in alarm$`)
	text := succeed(t, w, "violation", "list", "--since", "3h")
	want(t, text,
		`^TIME +STATE +THING +PROFILE +BEHAVIOR +SEEN +VERDICT +ID$`,
		`^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d +alarm-cleared +gateway-2 +DataExfiltrationCheck +PacketExfiltration +290 packets +unknown +[0-9a-f]{8}$`,
		`^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d +in-alarm +gateway-2 +DataExfiltrationCheck +PacketExfiltration +5,013 packets +unknown +[0-9a-f]{8}$`)
	if strings.Index(text, "alarm-cleared") > strings.Index(text, "in-alarm") {
		t.Errorf("the latest is not first:\n%s", text)
	}
	rows := violations(t, w, "--since", "3h", "--state", "in-alarm")
	if len(rows) != 1 || !rows[0].Time.Equal(w.At(65)) || rows[0].Expected != "at most 1,000 packets out in 5 minutes" || *rows[0].Value.Count != 5013 || len(rows[0].ViolationID) < 32 {
		t.Errorf("%+v", rows)
	}
	for _, none := range [][]string{{"--thing", "gateway-1"}, {"--behavior", "x"}, {"--profile-name", "x"}, {"--state", "alarm-invalidated"}} {
		if rows := violations(t, w, append([]string{"--since", "3h"}, none...)...); len(rows) != 0 {
			t.Errorf("%v: %+v", none, rows)
		}
	}
	from, to := w.At(70).UTC().Format(time.RFC3339), w.At(85).UTC().Format(time.RFC3339)
	if rows := violations(t, w, "--from", from, "--to", to); len(rows) != 1 || rows[0].State != "alarm-cleared" {
		t.Errorf("from %s to %s: %+v", from, to, rows)
	}
}

func TestViolationListActive(t *testing.T) {
	w := servicetest.NewWorld(t, time.Now().Add(-time.Hour))
	w.Things("gateway-2")
	w.Profile("DataExfiltrationCheck", servicetest.PacketExfiltration(1))
	w.Report("gateway-2", 2000)
	w.Pass(5 * time.Minute)
	w.Report("gateway-2", 3000)
	w.Real()
	want(t, succeed(t, w, "violation", "list"), `in-alarm +gateway-2 +DataExfiltrationCheck +PacketExfiltration +3,000 packets +unknown`)
	rows := violations(t, w)
	if len(rows) != 1 || rows[0].LastSeen.Sub(rows[0].Time) != 5*time.Minute {
		t.Errorf("%+v", rows)
	}
	want(t, succeed(t, w, "violation", "show", rows[0].ViolationID), `^PacketExfiltration on gateway-2$`, `2,000 packets at first, 3,000 packets last`)
}

// What the tutorial's reader has to find out is shown: what was seen, and the
// address that is new.
func TestViolationShow(t *testing.T) {
	w := exfiltrated(t)
	id := violations(t, w, "--since", "3h")[0].ViolationID
	for _, abbreviated := range []string{id, id[:8]} {
		text := succeed(t, w, "violation", "show", abbreviated)
		want(t, text, `^PacketExfiltration on gateway-2$`, `^Normal +at most 1,000 packets out in 5 minutes$`, `^Seen +5,013 packets$`,
			`NEW +203\.0\.113\.77`, `198\.51\.100\.20`, `DataExfiltrationCheck`, id)
		if regexp.MustCompile(`NEW +198`).MatchString(text) {
			t.Errorf("an address that was there before is called new:\n%s", text)
		}
	}
	var d violationDetail
	if err := json.Unmarshal([]byte(succeed(t, w, "violation", "show", id, "-o", "json")), &d); err != nil {
		t.Fatal(err)
	}
	if d.ViolationID != id || len(d.Events) != 2 || len(d.Metrics) != 3 || len(d.Metrics[0].Values) != 18 || !d.Ended.Equal(w.At(80)) {
		t.Errorf("%+v", d)
	}
	if set := d.Metrics[1]; set.Metric != "aws:destination-ip-addresses" || !slices.Equal(set.New, []string{servicetest.Unknown}) || !set.NewSince.Equal(w.At(60)) {
		t.Errorf("%+v", set)
	}
	page := filepath.Join(t.TempDir(), "violation.html")
	succeed(t, w, "violation", "show", id, "--html", page)
	data, err := os.ReadFile(page)
	if err != nil || !bytes.HasPrefix(data, []byte("<!")) || !bytes.Contains(data, []byte(servicetest.Unknown)) {
		t.Errorf("%.200s, %v", data, err)
	}
	if left, _ := filepath.Glob(filepath.Join(filepath.Dir(page), ".*")); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
	if _, stderr, code := invoke(t, "", "violation", "show", "ffffffff", "--endpoint-url", w.URL); code != 1 || !strings.Contains(stderr, "no violation ffffffff") {
		t.Errorf("%d %s", code, stderr)
	}
}

func TestViolationMark(t *testing.T) {
	w := exfiltrated(t)
	id := violations(t, w, "--since", "3h")[0].ViolationID
	want(t, succeed(t, w, "violation", "mark", id[:10], "--as", "benign", "--note", "backup to a new mirror"), id+` is benign: PacketExfiltration of gateway-2`)
	row := violations(t, w, "--since", "3h")[0]
	if row.Verification != "BENIGN_POSITIVE" || row.Note != "backup to a new mirror" {
		t.Errorf("%+v", row)
	}
	want(t, succeed(t, w, "violation", "list", "--since", "3h"), ` benign `)
}

func TestViolationReport(t *testing.T) {
	w := exfiltrated(t)
	want(t, succeed(t, w, "violation", "report", "--since", "1d"), `gateway-2`, `PacketExfiltration`, `DataExfiltrationCheck`)
	page := succeed(t, w, "violation", "report", "--html", "-")
	if !strings.HasPrefix(page, "<!") || !strings.Contains(page, "gateway-2") {
		t.Errorf("%.200s", page)
	}
	var rows []violationRow
	if err := json.Unmarshal([]byte(succeed(t, w, "violation", "report", "-o", "json")), &rows); err != nil || len(rows) != 1 || rows[0].State != "alarm-cleared" {
		t.Errorf("%+v, %v", rows, err)
	}
}

// Names in answers are from devices and other people: they stay on their line.
func TestHostileNames(t *testing.T) {
	const hostile = `evil\u001b[2J\u202e\n<script>`
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		io.WriteString(w, `{"activeViolations":[{"violationId":"00000000aaaa","thingName":"`+hostile+`","securityProfileName":"`+hostile+`",
			"behavior":{"name":"`+hostile+`","metric":"`+hostile+`"},"lastViolationValue":{"strings":["`+hostile+`"]},
			"verificationState":"`+hostile+`","lastViolationTime":1560279000,"violationStartTime":1560279000}],
			"violationEvents":[],"actionIdentifiers":[],"tasks":[{"taskId":"`+hostile+`","taskStatus":"`+hostile+`"}]}`)
	}))
	defer server.Close()
	for _, args := range [][]string{
		{"violation", "list"}, {"violation", "list", "-o", "json"}, {"violation", "list", "-o", "yaml"}, {"violation", "list", "--html", "-"},
		{"violation", "report"}, {"violation", "show", "0000"}, {"violation", "mark", "0000", "--as", "benign"}, {"mitigation", "list"},
	} {
		stdout, stderr, _ := invoke(t, "", append(args, "--endpoint-url", server.URL)...)
		for _, bad := range []string{"\x1b", "\u202e", "evil\n"} {
			if strings.Contains(stdout+stderr, bad) {
				t.Errorf("%v writes %q:\n%q", args, bad, stdout+stderr)
			}
		}
		if strings.HasPrefix(stdout, "<!") && strings.Contains(stdout, `{a}<script>`) {
			t.Errorf("%v writes a script:\n%s", args, stdout)
		}
	}
}

func TestViolationUsage(t *testing.T) {
	for _, args := range [][]string{
		{"violation", "list", "--since", "soon"}, {"violation", "list", "--since", "-1h"}, {"violation", "list", "--since", "1h", "--from", "2026-01-01"},
		{"violation", "list", "--to", "2026-01-01"}, {"violation", "list", "--from", "2026-01-02", "--to", "2026-01-01"}, {"violation", "list", "--from", "yesterday"},
		{"violation", "list", "--state", "alarm"}, {"violation", "list", "--state", "in-alarm"}, {"violation", "list", "x"},
		{"violation", "show"}, {"violation", "mark", "1234"}, {"violation", "mark", "1234", "--as", "bad"}, {"violation", "mark", "1234", "--as", "benign", "--note", "a\nb"},
		{"violation", "report", "--since", "400d"}, {"metric", "values", "thing"}, {"metric", "values", "t", "aws:packets"},
		{"metric", "values", "t", "aws:all-packets-out", "--as", "pie"}, {"metric", "values", "t", "aws:num-messages-sent", "--outside"},
		{"alert", "setup", "P"}, {"alert", "setup", "--sns", "t"}, {"alert", "setup", "P", "--sns", "arn:aws:sqs:a:b:c"}, {"alert", "setup", "P", "--sns", "t.fifo"},
		{"alert", "setup", "P", "--sns", "t", "--role", "arn:aws:sns:a:b:c"}, {"alert", "decode", "x"},
		{"mitigation", "apply"}, {"mitigation", "start"}, {"mitigation", "start", "--action", "A"}, {"mitigation", "start", "--violation", "1"},
		{"mitigation", "start", "--violation", "1", "--profile-name", "P", "--action", "A"}, {"mitigation", "start", "--profile-name", "P", "--action", "1,2,3,4,5,6"},
		{"mitigation", "start", "--profile-name", "P", "--action", "A", "--task", "a b"}, {"mitigation", "start", "--profile-name", "P", "--action", "A", "--since", "x"},
		{"mitigation", "start", "--profile-name", "P", "--action", "a b"}, {"mitigation", "release"}, {"mitigation", "show"}, {"mitigation", "cancel"},
	} {
		if _, stderr, code := invoke(t, "", args...); code != 2 || stderr == "" {
			t.Errorf("%v: exit code %d, %s", args, code, stderr)
		}
	}
}

func TestViolationCompletion(t *testing.T) {
	w := alarmed(t)
	id := violations(t, w)[0].ViolationID
	t.Setenv("AWS_ENDPOINT_URL_IOT", w.URL)
	for _, args := range [][]string{{"violation", "show", id[:4]}, {"violation", "mark", ""}, {"mitigation", "start", "--violation", ""}} {
		stdout, _, code := invoke(t, "", append([]string{"__complete"}, args...)...)
		if code != 0 || !strings.HasPrefix(stdout, id+"\tPacketExfiltration of gateway-2\n") {
			t.Errorf("%v: %d %s", args, code, stdout)
		}
	}
	for _, args := range [][]string{{"violation", "show", id, ""}, {"violation", "show", "zz"}} {
		if stdout, _, _ := invoke(t, "", append([]string{"__complete"}, args...)...); strings.Contains(stdout, id) {
			t.Errorf("%v: %s", args, stdout)
		}
	}
	stdout, _, _ := invoke(t, "", "__complete", "violation", "list", "--profile-name", "Data")
	want(t, stdout, "^DataExfiltrationCheck$")
	stdout, _, _ = invoke(t, "", "__complete", "violation", "list", "--state", "")
	want(t, stdout, "^alarm-invalidated$")
}

// A list of many ports does not push the other columns out of sight.
func TestLongListInTable(t *testing.T) {
	var ports []int32
	for p := range int32(250) {
		ports = append(ports, p+1)
	}
	v := finding.Violation{ID: "74de151f", Thing: "gateway-1", Behavior: profile.Behavior{Name: "Ports", Metric: "aws:listening-tcp-ports"}}
	rows := []violationRow{rowOf(v, time.Now(), finding.InAlarm, &profile.Value{Ports: ports})}
	shown := new(violationListOptions).table(rows, time.UTC, "").render(false)
	want(t, shown, ` 1, 2, 3, .*… +74de151f$`)
	for line := range strings.Lines(shown) {
		if n := len([]rune(line)); n > 160 {
			t.Errorf("%d columns: %s", n, line)
		}
	}
	if len(rows[0].Seen) < 1000 {
		t.Errorf("programs do not get it all: %s", rows[0].Seen)
	}
}

// --open hands the page to the desktop's opener.
func TestOpen(t *testing.T) {
	w := exfiltrated(t)
	folder := t.TempDir()
	opener := "#!/bin/sh\ncp \"$1\" \"" + folder + "/opened\" && rm \"$1\"\n"
	if err := os.WriteFile(filepath.Join(folder, "xdg-open"), []byte(opener), 0o700); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", folder+":"+os.Getenv("PATH"))
	t.Setenv("TMPDIR", folder)
	succeed(t, w, "violation", "report", "--open")
	if data, err := os.ReadFile(filepath.Join(folder, "opened")); err != nil || !bytes.Contains(data, []byte("gateway-2")) {
		t.Errorf("%.100s, %v", data, err)
	}
	if _, stderr, code := invoke(t, "", "violation", "report", "--open", "--html", "-", "--endpoint-url", w.URL); code != 2 {
		t.Errorf("%d %s", code, stderr)
	}
	if _, stderr, code := invoke(t, "", "violation", "report", "--html", filepath.Join(folder, "no", "page.html"), "--endpoint-url", w.URL); code != 1 || stderr == "" {
		t.Errorf("%d %s", code, stderr)
	}
}

// A page replaces a file, and nothing but a file.
func TestReplaceFile(t *testing.T) {
	t.Chdir(t.TempDir())
	if err := os.WriteFile("old", []byte("a longer text"), 0o600); err != nil {
		t.Fatal(err)
	}
	for link, target := range map[string]string{"link": "old", "device": "/dev/null"} {
		if err := os.Symlink(target, link); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir("folder", 0o700); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"new", "old", "link", "device"} {
		if err := replaceFile(name, []byte(name)); err != nil {
			t.Error(err)
		}
	}
	for name, content := range map[string]string{"new": "new", "old": "link", "device": ""} {
		if got, err := os.ReadFile(name); err != nil || string(got) != content {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
	if info, err := os.Stat("/dev/null"); err != nil || info.Mode().IsRegular() {
		t.Fatal("the device is gone")
	}
	if info, err := os.Lstat("link"); err != nil || info.Mode().IsRegular() {
		t.Error("the link is gone")
	}
	for name, message := range map[string]string{"folder": "writing folder: is a directory", "none/x": "writing none/x: no such file or directory"} {
		if err := replaceFile(name, nil); err == nil || err.Error() != message {
			t.Errorf("%v, want %s", err, message)
		}
	}
	if left, _ := filepath.Glob(".defenderctl-*"); left != nil {
		t.Error(left)
	}
}

func TestParseSpan(t *testing.T) {
	tests := []struct {
		text string
		want time.Duration
	}{
		{"90m", 90 * time.Minute}, {"24h", 24 * time.Hour}, {"7d", 168 * time.Hour}, {"2w", 336 * time.Hour}, {"1h30m", 90 * time.Minute},
		{"0d", 0}, {"-1d", 0}, {"d", 0}, {"1.5d", 0}, {"", 0}, {"9999999999d", 0}, {"367d", 0}, {"1y", 0},
	}
	for _, test := range tests {
		got, err := parseSpan(test.text)
		if got != test.want || (err == nil) != (test.want != 0) {
			t.Errorf("%q: %v, %v", test.text, got, err)
		}
	}
}

func TestAbbreviate(t *testing.T) {
	got := abbreviate([]string{"aaaaaaaaaa1", "aaaaaaaaaa2", "b", "ccccccccccccccc", "b"})
	for id, want := range map[string]string{"aaaaaaaaaa1": "aaaaaaaaaa1", "b": "b"} {
		if got[id] != want {
			t.Errorf("%s: %s, want %s", id, got[id], want)
		}
	}
	if got := abbreviate([]string{"ccccccccccccccc"}); got["ccccccccccccccc"] != "cccccccc" {
		t.Errorf("%v", got)
	}
	// One that is the beginning of another cannot be told from it by less.
	if got := abbreviate([]string{"aaaaaaaaaa", "aaaaaaaaaaa"}); got["aaaaaaaaaa"] != "aaaaaaaaaa" || got["aaaaaaaaaaa"] != "aaaaaaaaaaa" {
		t.Errorf("%v", got)
	}
}
