package main

import (
	"compress/gzip"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Each command that people see has a page, and each shell a completion.
func TestWrite(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "manual")
	if err := write(dir); err != nil {
		t.Fatal(err)
	}
	for name, says := range map[string]string{
		"defenderctl": "Work with AWS IoT", "defenderctl-serve": "--tls-certificate", "defenderctl-backup": "Copy everything", "defenderctl-violation-show": "violation",
	} {
		f, err := os.Open(filepath.Join(dir, "man1", name+".1.gz"))
		if err != nil {
			t.Error(err)
			continue
		}
		defer f.Close()
		r, err := gzip.NewReader(f)
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(r)
		if err != nil || !strings.Contains(string(text), says) {
			t.Errorf("%s: %v, no %q in\n%s", name, err, says, text)
		}
	}
	if _, err := os.Stat(filepath.Join(dir, "man1", "defenderctl-demo-device.1.gz")); err == nil {
		t.Error("a hidden command has a page")
	}
	for _, shell := range []string{"bash", "zsh", "fish"} {
		text, err := os.ReadFile(filepath.Join(dir, "completions", "defenderctl."+shell))
		if err != nil || !strings.Contains(string(text), "defenderctl") {
			t.Errorf("%s: %v", shell, err)
		}
	}
}
