package hostproc

import (
	"encoding/json"
	"os"
	"strconv"
	"syscall"
	"testing"

	"go.uber.org/goleak"

	"github.com/device-defender/device-defender/internal/hostproc/hostproctest"
)

// Variables that make the test binary, run in another namespace, print what it
// sees instead of running tests.
const (
	viewRoot = "HOSTPROC_VIEW_ROOT"
	viewUser = "HOSTPROC_VIEW_USER"
)

func TestMain(m *testing.M) {
	hostproctest.Helper()
	if root := os.Getenv(viewRoot); root != "" {
		printView(root)
		return
	}
	goleak.VerifyTestMain(m)
}

// printView prints the view of a root, as the user asked for.
func printView(root string) {
	if user := os.Getenv(viewUser); user != "" {
		id, err := strconv.Atoi(user)
		if err != nil {
			panic(err)
		}
		if err := syscall.Setgroups(nil); err != nil {
			panic(err)
		}
		if err := syscall.Setresgid(id, id, id); err != nil {
			panic(err)
		}
		if err := syscall.Setresuid(id, id, id); err != nil {
			panic(err)
		}
	}
	if err := json.NewEncoder(os.Stdout).Encode(viewOf(root)); err != nil {
		panic(err)
	}
}
