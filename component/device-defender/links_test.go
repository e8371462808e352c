package main

import (
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// The binary's size and attack surface are a promise: what it may not do it
// does not even link. AWS's component installs packages from the network at a
// deployment; this one cannot.
func TestLinksOnlyWhatItNeeds(t *testing.T) {
	const module = "github.com/device-defender/device-defender/"
	out, err := exec.Command("go", "list", "-deps", ".").Output()
	if err != nil {
		t.Fatal(err)
	}
	forbidden := []string{
		"net/http", "crypto/tls", "os/exec", "plugin", "html/template", "text/template",
		module + "internal/cloud", module + "internal/defender/service", module + "internal/cli", module + "internal/render",
		module + "internal/greengrass/localcore",
	}
	allowed := []string{
		"github.com/aws/aws-sdk-go-v2/aws/protocol/eventstream", "github.com/aws/smithy-go/logging",
		"github.com/fxamacker/cbor/v2", "github.com/x448/float16", "github.com/prometheus/procfs", "golang.org/x/sys/unix",
	}
	for p := range strings.FieldsSeq(string(out)) {
		if slices.Contains(forbidden, p) {
			t.Errorf("links %s", p)
		}
		first, _, _ := strings.Cut(p, "/")
		foreign := strings.Contains(first, ".") && !strings.HasPrefix(p, module)
		inside := slices.ContainsFunc(allowed, func(a string) bool { return p == a || strings.HasPrefix(p, a+"/") })
		if foreign && !inside {
			t.Errorf("links %s, which is not on the list", p)
		}
	}
}
