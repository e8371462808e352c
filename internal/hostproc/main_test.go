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
	viewRoot    = "HOSTPROC_VIEW_ROOT"
	viewUser    = "HOSTPROC_VIEW_USER"
	viewReaders = "HOSTPROC_VIEW_READERS" // what both readers of sockets see
	viewRefusal = "HOSTPROC_VIEW_REFUSAL" // the error number that netlink is refused with
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
	if refusal := os.Getenv(viewRefusal); refusal != "" {
		number, err := strconv.Atoi(refusal)
		if err != nil {
			panic(err)
		}
		if err := refuseNetlink(syscall.Errno(number)); err != nil {
			panic(err)
		}
	}
	var seen any
	if os.Getenv(viewReaders) != "" {
		seen = readBoth(root)
	} else {
		seen = viewOf(root)
	}
	if err := json.NewEncoder(os.Stdout).Encode(seen); err != nil {
		panic(err)
	}
}
