// Package memdir gives tests folders in memory for their databases. A database
// waits for the disk at each commit, and a test that makes hundreds of them would
// do little else.
package memdir

import (
	"os"
	"testing"

	"golang.org/x/sys/unix"
)

// shared is the file system in memory that Linux has for shared memory.
const shared = "/dev/shm"

// room is how much must be free there: in many containers it has 64 MB, and a
// database leaves 256 MB of its disk free.
const room = 512 << 20

// New returns a folder that is removed when the test has ended. If there is no
// room in memory it is that of [testing.T.TempDir]. Programs may not run in it:
// containers mount the memory without that permission.
func New(t testing.TB) string {
	t.Helper()
	var fs unix.Statfs_t
	if err := unix.Statfs(shared, &fs); err != nil || fs.Type != unix.TMPFS_MAGIC || fs.Bavail*uint64(fs.Bsize) < room {
		return t.TempDir()
	}
	folder, err := os.MkdirTemp(shared, "device-defender-test-")
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(folder); err != nil {
			t.Error(err)
		}
	})
	return folder
}
