package mqtt

import (
	"fmt"
	"io"
	"log/slog"
	"os"
	"sync"
	"time"
)

const (
	// lookAgain is how long a list of revoked certificates counts before its file is looked at
	// again.
	lookAgain = time.Second
	// maxRevocations bounds the file in bytes: about 500,000 certificates.
	maxRevocations = 32 << 20
)

// revocations is a list of certificates that no longer count, from a file.
type revocations struct {
	file string
	log  *slog.Logger

	mu      sync.Mutex // guards the rest
	ids     map[string]bool
	looked  time.Time
	info    os.FileInfo // of the file when it was read
	problem string      // said since then
}

func loadRevocations(file string, log *slog.Logger) (*revocations, error) {
	r := &revocations{file: file, log: log}
	var err error
	r.ids, r.info, err = readRevocations(file)
	return r, err
}

func readRevocations(file string) (map[string]bool, os.FileInfo, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, nil, fmt.Errorf("reading revoked certificates: %w", err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, nil, fmt.Errorf("reading revoked certificates: %w", err)
	}
	data, err := io.ReadAll(io.LimitReader(f, maxRevocations+1))
	if err != nil {
		return nil, nil, fmt.Errorf("reading revoked certificates: %w", err)
	}
	if len(data) > maxRevocations {
		return nil, nil, fmt.Errorf("revoked certificates %s: longer than %d bytes", file, maxRevocations)
	}
	ids, err := parseRevocations(data)
	if err != nil {
		return nil, nil, fmt.Errorf("revoked certificates %s: %w", file, err)
	}
	return ids, info, nil
}

// current returns what is revoked by the file. If it cannot be read, that is the last list
// that could, and the log says so once.
func (r *revocations) current(now time.Time) map[string]bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if since := now.Sub(r.looked); since >= 0 && since < lookAgain {
		return r.ids
	}
	r.looked = now
	info, err := os.Stat(r.file)
	if err == nil && os.SameFile(info, r.info) && info.Size() == r.info.Size() && info.ModTime().Equal(r.info.ModTime()) {
		return r.ids
	}
	ids, info, err := readRevocations(r.file)
	switch {
	case err == nil:
		r.ids, r.info, r.problem = ids, info, ""
		r.log.Info("revoked certificates read again", "file", r.file, "certificates", len(ids))
	case err.Error() != r.problem:
		r.problem = err.Error()
		r.log.Error("the revoked certificates cannot be read, the last list is kept", "error", err)
	}
	return r.ids
}
