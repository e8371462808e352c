package profile

import (
	"os/exec"
	"strings"
	"testing"
)

// TestLinksNoFiles: what a document means is known without what reads files.
// The agent has room for the first only.
func TestLinksNoFiles(t *testing.T) {
	const module = "github.com/device-defender/device-defender/internal/"
	out, err := exec.Command("go", "list", "-deps", ".").Output()
	if err != nil {
		t.Fatal(err)
	}
	for p := range strings.FieldsSeq(string(out)) {
		first, _, _ := strings.Cut(p, "/")
		switch {
		case p == module+"defender/profile", p == module+"spelling":
		case strings.Contains(first, "."), p == "net/http":
			t.Errorf("links %s", p)
		}
	}
}
