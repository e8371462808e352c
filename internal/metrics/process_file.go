package metrics

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

const (
	procSuperMagic = 0x9fa0 // linux/magic.h
	procRootInode  = 1      // PROC_ROOT_INO in include/linux/proc_fs.h
)

// errProcessFile refuses what a process folder holds: the environment of this
// very process has the token of the nucleus.
var errProcessFile = errors.New("files of processes are not read")

// refuseProcess returns an error for a file below a process folder of any proc
// file system, whatever path or link led to it. Where a proc file system is
// mounted in part only, its files can't be told apart and none is read.
func refuseProcess(f *os.File) error {
	conn, err := f.SyscallConn()
	if err != nil {
		return err
	}
	var path string
	var verdict error
	err = conn.Control(func(fd uintptr) {
		var stat syscall.Statfs_t
		if verdict = syscall.Fstatfs(int(fd), &stat); verdict != nil || int64(stat.Type) != procSuperMagic {
			return
		}
		if path, verdict = os.Readlink(fmt.Sprintf("/proc/self/fd/%d", fd)); verdict == nil {
			verdict = checkProcPath(path)
		}
	})
	return errors.Join(err, verdict)
}

// checkProcPath judges the path of a file on a proc file system.
func checkProcPath(path string) error {
	root := path
	for root != "/" && isProc(filepath.Dir(root)) {
		root = filepath.Dir(root)
	}
	info, err := os.Stat(root)
	if err != nil {
		return err
	}
	if s, ok := info.Sys().(*syscall.Stat_t); !ok || s.Ino != procRootInode {
		return errProcessFile
	}
	inside := strings.TrimPrefix(strings.TrimPrefix(path, root), "/")
	folder, _, _ := strings.Cut(inside, "/")
	if folder == "self" || folder == "thread-self" || strings.Trim(folder, "0123456789") == "" {
		return errProcessFile
	}
	return nil
}

func isProc(folder string) bool {
	var stat syscall.Statfs_t
	return syscall.Statfs(folder, &stat) == nil && int64(stat.Type) == procSuperMagic
}
