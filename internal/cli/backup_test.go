package cli

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/device-defender/device-defender/internal/memdir"
)

// What a service knows is backed up while it runs, with an access key, and restored.
func TestBackup(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	folder := memdir.New(t)
	data, file, restored := filepath.Join(folder, "data"), filepath.Join(folder, "file.backup"), filepath.Join(folder, "restored")
	run := func(want int, says string, args ...string) {
		t.Helper()
		var out bytes.Buffer
		if got := Main(t.Context(), args, strings.NewReader(""), &out, &out); got != want || !regexp.MustCompile(says).MatchString(out.String()) {
			t.Errorf("%s: exit code %d, want %d with %q\n%s", args, got, want, says, out.String())
		}
	}
	serve := func(data string) (end func()) {
		t.Helper()
		ctx, cancel := context.WithCancel(t.Context())
		log, code := newScreen(), make(chan int, 1)
		go func() {
			code <- Main(ctx, []string{"serve", "--listen", "127.0.0.1:0", "--auth", "on", "--data", data}, strings.NewReader(""), log, log)
		}()
		log.until(t, "Ctrl-C ends it", 1)
		t.Setenv("AWS_ENDPOINT_URL_IOT", regexp.MustCompile(`http://[0-9.:]+`).FindString(log.String()))
		return func() {
			cancel()
			if c := <-code; c != 0 {
				t.Errorf("exit code %d; shown:\n%s", c, log)
			}
		}
	}
	t.Setenv("AWS_ACCESS_KEY_ID", "")
	end := serve(data)
	t.Setenv("AWS_SHARED_CREDENTIALS_FILE", filepath.Join(folder, "none"))
	run(1, "UnrecognizedClientException", "backup", file)
	t.Setenv("AWS_SHARED_CREDENTIALS_FILE", filepath.Join(data, "admin-credentials"))
	run(0, "ana", "access", "create", "ana", "--role", "viewer")
	run(0, `^\S+: \d+ rows, \d+ bytes, as of 20\S+Z\n$`, "backup", file)
	run(1, "no such file", "backup", filepath.Join(folder, "none", "file"))
	end()
	info, err := os.Stat(file)
	if err != nil {
		t.Fatal(err)
	}
	if runtime.GOOS != "windows" && info.Mode() != 0o600 {
		t.Errorf("mode %v", info.Mode())
	}
	run(2, "--data is missing", "restore", file)
	run(1, "is not empty", "restore", file, "--data", data)
	run(1, "no such file", "restore", file+"x", "--data", restored)
	run(0, `^\S+: \d+ rows as of 20`, "restore", file, "--data", restored)
	defer serve(restored)()
	run(0, "ana", "access", "list")
}

// Until a backup is whole, what was at its place stays, and nothing is left.
func TestBackupIsWholeOrNotThere(t *testing.T) {
	for _, before := range []string{"", "before"} {
		folder := t.TempDir()
		file := filepath.Join(folder, "file")
		if before != "" {
			if err := os.WriteFile(file, []byte(before), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		gone := errors.New("connection lost")
		for _, fetch := range []func(context.Context, io.Writer) error{
			func(context.Context, io.Writer) error { return gone },
			func(_ context.Context, w io.Writer) error {
				_, err := io.WriteString(w, "(\xb5\x2f\xfd half")
				return err
			},
			func(context.Context, io.Writer) error {
				// A process that is killed now leaves what is there.
				entries, err := os.ReadDir(folder)
				if err != nil || runtime.GOOS == "linux" && len(entries) != len(before)/len("before") {
					t.Error(entries, err)
				}
				return gone
			},
		} {
			if _, _, err := writeBackup(t.Context(), file, fetch); err == nil {
				t.Error("no error")
			}
		}
		entries, err := os.ReadDir(folder)
		if err != nil {
			t.Fatal(err)
		}
		text, err := os.ReadFile(file)
		if before == "" && len(entries) != 0 || before != "" && (len(entries) != 1 || string(text) != before || err != nil) {
			t.Errorf("left are %v, %q", entries, text)
		}
	}
}
