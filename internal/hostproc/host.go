package hostproc

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/prometheus/procfs"
)

// ownProc is the only root taken to be the reader's own proc. That <root>/self
// is this process proves less: a container may share the host's process ids
// but not its network.
const ownProc = procfs.DefaultMountPoint

// Host is a host seen through its proc file system. Nothing is kept open between
// reads. It is safe for concurrent use.
type Host struct {
	root   string
	netDir string
	notice string

	machine procfs.FS // at root
}

// Open returns the host whose proc file system is mounted at root.
//
// It decides where the network tables are, and so is where a missing or a
// foreign, hidden root shows. What is visible can change while a host runs, by
// a remount or when a container starts before its mounts; as Open is cheap (a
// few system calls, no table is read), open a Host for every sample.
func Open(root string) (*Host, error) {
	root = filepath.Clean(root)
	info, err := os.Stat(root)
	if err != nil {
		return nil, fmt.Errorf("proc file system: %w", err)
	}
	if !info.IsDir() {
		return nil, fmt.Errorf("proc file system: %s is not a directory", root)
	}
	h := &Host{root: root}
	if h.netDir, h.notice, err = networkDir(root, root == ownProc); err != nil {
		return nil, err
	}
	if h.machine, err = procfs.NewFS(root); err != nil {
		return nil, fmt.Errorf("proc file system: %w", err)
	}
	return h, nil
}

// Root is the folder where the proc file system is mounted.
func (h *Host) Root() string { return h.root }

// NetDir is the folder of the network tables.
func (h *Host) NetDir() string { return h.netDir }

// Notice is what the user should be told, once, about where the network tables
// are read from; empty if that is as it should be.
func (h *Host) Notice() string { return h.notice }

// networkDir returns the folder of the network tables of the host whose proc
// file system is root; own says that it is also the reader's.
func networkDir(root string, own bool) (dir, notice string, err error) {
	dir = filepath.Join(root, "1/net")
	err = readable(filepath.Join(dir, "tcp"))
	if err == nil {
		return dir, "", nil
	}
	if !own {
		return "", "", foreignError(root, err)
	}
	reader := filepath.Join(root, "net")
	if e := readable(filepath.Join(reader, "tcp")); e != nil {
		return "", "", fmt.Errorf("no network tables: %w; %w", err, e)
	}
	notice = fmt.Sprintf("network tables are read from %s, the network of this process, as those of the first process are hidden: %v", reader, err)
	return reader, notice, nil
}

// foreignError says why a root that may be another host's has no tables to
// offer; err is what happened to the network tables of its first process.
func foreignError(root string, err error) error {
	for _, name := range []string{"1", "net", "stat"} {
		if _, e := os.Lstat(filepath.Join(root, name)); !errors.Is(e, fs.ErrNotExist) {
			return fmt.Errorf("the host's network tables can't be read: %w; "+
				"%s/net is no substitute, it is the network of this process: "+
				"mount the host's /proc there without hidepid, or with gid= of a group of this user", err, root)
		}
	}
	return fmt.Errorf("%s is not a proc file system: 1, net and stat are missing", root)
}

// readable returns why a file can't be opened, nil if it can.
func readable(file string) error {
	f, err := os.Open(file)
	if err != nil {
		return err
	}
	return f.Close()
}
