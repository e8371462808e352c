// Package buildinfo says which build a binary is. The release build sets the
// version and commit with -ldflags -X; a plain "go build" in a clone has the
// commit from version control.
package buildinfo

import (
	"fmt"
	"runtime"
	"runtime/debug"
)

var (
	version = "dev"
	commit  = ""
)

// Version is the release's version, or "dev".
func Version() string { return version }

// Line is the whole of it on one line: "1.0.0 (go1.26.0, linux/arm64, commit 0123abc)".
func Line() string {
	return fmt.Sprintf("%s (%s, %s/%s, commit %s)", version, runtime.Version(), runtime.GOOS, runtime.GOARCH, revision())
}

func revision() string {
	if commit != "" {
		return commit
	}
	info, _ := debug.ReadBuildInfo()
	if info != nil {
		for _, s := range info.Settings {
			if s.Key == "vcs.revision" {
				return s.Value
			}
		}
	}
	return "unknown"
}
